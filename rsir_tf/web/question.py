"""What is asked, as the address bar holds it: one table of parameters for the page, for programs and for OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from rsir_tf.errors import InputError

MOST_HITS = 500
FEW = 24
"""How many hits are shown at first, and "More" adds."""

MOST_EXAMPLES = 50
PAGE = 60
"""Images on a page of the archive."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a visitor sees: a part of the archive, or what an image finds in it. See `PARAMETERS` for the fields."""

    id: tuple[str, ...] = ()
    upload: tuple[str, ...] = ()
    path: str | None = None
    window: tuple[int, int, int, int] | None = None
    lonlat: tuple[float, float] | None = None
    bbox: tuple[float, float, float, float] | None = None
    region: int | None = None
    at: tuple[int, int] | None = None
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    method: str | None = None
    scheme: str | None = None
    metric: str | None = None
    direction: str | None = None
    vectors: str | None = None
    top: int = FEW
    overlap: bool = False
    scene: str | None = None
    tag: tuple[str, ...] = ()
    shows: tuple[tuple[str, float], ...] = ()
    text: str | None = None
    area: tuple[tuple[float, float], ...] = ()
    page: int = 1

    @property
    def asks(self) -> bool:
        """Whether anything is asked with; otherwise the archive is shown."""
        return bool(self.id or self.upload or self.path or self.like)

    @classmethod
    def parse(cls, query: str) -> Question:
        """Read the query of an address.

        Args:
            query: What follows the question mark. Names that are none of `PARAMETERS` are left to others.

        Raises:
            InputError: A value is impossible, or one is given twice that there can be only one of.
        """
        given: dict[str, list[Any]] = {}
        try:
            pairs = parse_qsl(query, keep_blank_values=False, max_num_fields=400)
        except ValueError as error:
            raise InputError("the address has too many parameters", wanted="at most 400") from error
        for name, text in pairs:
            if name in PARAMETERS:
                try:
                    given.setdefault(name, []).append(PARAMETERS[name].read(text))
                except ValueError as error:
                    raise InputError(f"{name}={text[:80]}", wanted=PARAMETERS[name].form) from error
        values: dict[str, Any] = {}
        for name, found in given.items():
            if PARAMETERS[name].several:
                values[name] = tuple(dict.fromkeys(found))[:MOST_EXAMPLES]
            elif len(found) > 1:
                raise InputError(f"{name} is given {len(found)} times", wanted="once")
            else:
                values[name] = found[0]
        return cls(**values)

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the address that asks this; parameters at their defaults are left out."""
        pairs = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                parameter = PARAMETERS[field.name]
                pairs += [(field.name, parameter.write(each)) for each in (value if parameter.several else (value,))]
        return pairs

    def query(self) -> str:
        """The query of the address that asks this."""
        return urlencode(self.pairs())

    def url(self, **changed: Any) -> str:
        """The address of the page that shows this, with some fields changed."""
        query = replace(self, **changed).query()
        return f"/?{query}" if query else "/"

    def without(self, field: str, value: Any) -> Question:
        """The same without one of several values of a field."""
        kept: dict[str, Any] = {field: tuple(each for each in getattr(self, field) if each != value)}
        return replace(self, **kept)

    def asking(self, **given: Any) -> Question:
        """The same way of searching with another query: scheme, options and limits stay."""
        nothing = {name: _DEFAULTS[name] for name in QUERY_NAMES}
        return replace(self, **{**nothing, "page": 1, "top": _DEFAULTS["top"], **given})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an address.

    Attributes:
        form: What a value looks like, for errors and for OpenAPI.
        about: What it means.
        read: Makes a value of text; raises ValueError.
        write: The other way round.
        several: Whether it may be given several times.
    """

    form: str
    about: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str
    several: bool = False


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return read


def _numbers(kind: type, count: int) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        parts = tuple(kind(part) for part in text.split(","))
        if len(parts) != count or not all(abs(part) < 1e9 for part in parts):
            raise ValueError(text)
        return parts

    return read


def _joined(numbers: Any) -> str:
    return ",".join(f"{number:.12g}" for number in numbers)


def _shown(text: str) -> tuple[str, float]:
    name, colon, share = text.rpartition(":")
    return (name, float(share)) if colon else (text, 0.0)


def _outline(text: str) -> tuple[tuple[float, float], ...]:
    if " " not in text.strip():
        west, south, east, north = _numbers(float, 4)(text)
        points: tuple[tuple[float, float], ...] = ((west, south), (east, south), (east, north), (west, north))
    else:
        points = tuple(_numbers(float, 2)(point) for point in text.split())
    points = _as_box(points) or points
    if not 3 <= len(points) <= 500 or not all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in points):
        raise ValueError(text)
    return points


def _as_box(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...] | None:
    """The corners of a box in their usual order; None if it is another polygon."""
    xs, ys = sorted({x for x, _ in points}), sorted({y for _, y in points})
    if len(points) != 4 or len(set(points)) != 4 or len(xs) != 2 or len(ys) != 2:
        return None
    return ((xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1]))


def _outline_text(points: tuple[tuple[float, float], ...]) -> str:
    return _joined((*points[0], *points[2])) if points == _as_box(points) else " ".join(map(_joined, points))


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


PARAMETERS = {
    "id": Parameter("an image's id", "An image of the archive to ask with. Several are asked together.", several=True),
    "upload": Parameter("a name that POST /api/uploads gave", "An uploaded image to ask with.", several=True),
    "path": Parameter("a path", "A file of the index to ask with: an image, or a scene with a part of it."),
    "window": Parameter("x,y,width,height", "The part of the scene, in pixels.", _numbers(int, 4), _joined),
    "lonlat": Parameter("longitude,latitude", "The window of the scene around it.", _numbers(float, 2), _joined),
    "bbox": Parameter("west,south,east,north", "The part of the scene, in degrees.", _numbers(float, 4), _joined),
    "region": Parameter("a number from 0", "Ask with this region of the image alone.", _whole(0, 10**6)),
    "at": Parameter("x,y", "Ask with the region at this pixel of the image alone.", _numbers(int, 2), _joined),
    "like": Parameter("an image's id", "A right example, to refine the search with.", several=True),
    "unlike": Parameter("an image's id", "A wrong example.", several=True),
    "method": Parameter("rocchio or classifier", "How examples refine the search."),
    "scheme": Parameter("a ranking scheme", "How images are compared; see /api/index for the names."),
    "metric": Parameter("a metric", "As `rsir-tf query --metric`."),
    "direction": Parameter("query or both", "As `rsir-tf query --direction`."),
    "vectors": Parameter("unit or raw", "As `rsir-tf query --vectors`."),
    "top": Parameter(f"1 to {MOST_HITS}", "How many hits at most.", _whole(1, MOST_HITS)),
    "overlap": Parameter(
        "0 or 1", "1 leaves out images that share no class with the query.", _flag, lambda value: str(int(value))
    ),
    "scene": Parameter("a scene class", "Only images of this scene."),
    "tag": Parameter("a tag", "Only images with this tag; several must all be there.", several=True),
    "shows": Parameter(
        "CLASS or CLASS:SHARE",
        "Only images with a region of this class, or where its regions cover this share of the area, 0 to 1.",
        _shown,
        lambda value: f"{value[0]}:{value[1]:g}",
        several=True,
    ),
    "text": Parameter("text", "Only images whose id holds this."),
    "area": Parameter(
        "west,south,east,north, or longitude,latitude of each corner, separated by spaces",
        "Only images whose ground overlaps this box or polygon.",
        _outline,
        _outline_text,
    ),
    "page": Parameter("a number from 1", f"Which {PAGE} images of the archive.", _whole(1, 10**7)),
}
"""Name → what it is."""

QUERY_NAMES = ("id", "upload", "path", "window", "lonlat", "bbox", "region", "at", "like", "unlike", "method")
_DEFAULTS = {field.name: field.default for field in fields(Question)}
