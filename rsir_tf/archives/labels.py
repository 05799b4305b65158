"""Label sets: what the values or colours in a mask mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rsir_tf.artifacts import content_hash
from rsir_tf.errors import InputError

VOID = 255
"""Class index of a pixel that counts neither in training nor in scoring."""

MAX_CLASSES = 255
"""Class indices are uint8 and 255 is `VOID`."""

MAX_ID = 65535
"""Mask files hold 8 or 16 bits a pixel."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of a segmentation, and how mask files spell them.

    Class indices are 0..K-1 in the order of `names`, K ≤ 255; `VOID` (255) stands for ignored pixels.

    Attributes:
        name: For messages and manifests.
        names: One per class.
        ids: The value in a palette or id mask that stands for each class; None where masks are given by colour alone.
        colours: RGB of each class, for colour masks and for pictures. Empty gives each class a distinct colour.
        ignore_ids: Mask values that mean "void", such as the −9999 that a raster declares to be no data.
        ignore_colours: Mask colours that mean "void".
        rest: Whether the last class stands for every value and colour that is neither listed nor ignored. It has no
            id of its own. A label set file of one class gets such a second class (`load_label_set`).

    Raises:
        InputError: Names, ids or colours are missing, repeated, out of range, or not one per class.
    """

    name: str
    names: tuple[str, ...]
    ids: tuple[int, ...] | None
    colours: tuple[Colour, ...] = ()
    ignore_ids: tuple[int, ...] = ()
    ignore_colours: tuple[Colour, ...] = ()
    rest: bool = False

    def __post_init__(self) -> None:
        if not self.colours and self.ids is not None:
            object.__setattr__(self, "colours", self._made_colours)
        elif self.rest and len(self.colours) == len(self.listed):
            taken = (*self.colours, *self.ignore_colours)
            object.__setattr__(self, "colours", (*self.colours, *distinct_colours(1, avoid=taken)))
        where = f"label set {self.name}"
        if not 1 <= len(self.names) <= MAX_CLASSES:
            raise InputError(f"{where}: has {len(self.names)} classes", wanted=f"1 to {MAX_CLASSES}")
        for entry in self.names:
            if not entry or entry != entry.strip():
                raise InputError(f"{where}: has the class name {entry!r}", wanted="names without space at their ends")
        _check_unique(f"{where}: class name", self.names)
        if self.ids is not None:
            _check_count(where, "ids", self.ids, self.listed)
        _check_count(where, "colours", self.colours, self.names)
        for value in self.ids or ():
            if not 0 <= value <= MAX_ID:
                raise InputError(f"{where}: has the id {value}", wanted=f"0 to {MAX_ID}")
        for colour in (*self.colours, *self.ignore_colours):
            if len(colour) != 3 or not all(0 <= band <= 255 for band in colour):
                raise InputError(f"{where}: has the colour {colour}", wanted="three numbers from 0 to 255")
        _check_unique(f"{where}: id", (*(self.ids or ()), *self.ignore_ids))
        _check_unique(f"{where}: colour", [spell_colour(colour) for colour in (*self.colours, *self.ignore_colours)])

    @property
    def listed(self) -> tuple[str, ...]:
        """The classes that masks spell by a value or a colour of their own: all but the one that is the rest."""
        return self.names[:-1] if self.rest else self.names

    @property
    def otherwise(self) -> int:
        """Class index of a value that is not listed: that of the rest, or `VOID`."""
        return len(self.names) - 1 if self.rest else VOID

    @property
    def has_own_colours(self) -> bool:
        """Whether masks may be read by colour: not where the colours are those that classes without any are given."""
        return self.ids is None or self.colours != self._made_colours

    @property
    def _made_colours(self) -> tuple[Colour, ...]:
        return distinct_colours(len(self.names), avoid=self.ignore_colours)

    def to_json(self) -> dict[str, Any]:
        """Give the label set as JSON types, in the form that label set files have."""
        classes: list[dict[str, Any]] = []
        for index, name in enumerate(self.listed):
            entry: dict[str, Any] = {"name": name}
            if self.ids is not None:
                entry["id"] = self.ids[index]
            classes.append({**entry, "colour": spell_colour(self.colours[index])})
        return {
            "name": self.name,
            "classes": classes,
            "ignore_ids": list(self.ignore_ids),
            "ignore_colours": [spell_colour(colour) for colour in self.ignore_colours],
            **({"rest": self.names[-1]} if self.rest else {}),
        }

    @classmethod
    def from_json(cls, content: Any, *, name: str | None = None) -> LabelSet:
        """Make a label set of what `to_json` gave or a label set file holds.

        Args:
            content: A mapping: `classes`, a list of mappings with `name` and `id` or `colour` or both (ids and colours
                for all classes or for none); optionally `name`, `ignore_ids`, `ignore_colours`, and `rest`, the name of
                a class for all other values. A colour is "#RRGGBB" or three numbers.
            name: Used where the content has no name.

        Raises:
            InputError: An entry is missing, unknown, or of another type.
        """
        table = _mapping(content, "label set", required={"classes"}, known=_SET_KEYS)
        if not isinstance(table["classes"], list) or not table["classes"]:
            raise InputError("label set: `classes` is no list or empty", wanted="one entry a class")
        entries = [
            _mapping(entry, f"class {number}", required={"name"}, known=_CLASS_KEYS)
            for number, entry in enumerate(table["classes"], start=1)
        ]
        ids = _column(entries, "id")
        colours = _column(entries, "colour")
        if ids is None and colours is None:
            raise InputError("label set: has neither ids nor colours", wanted="`id` or `colour` in each class")
        rest = [_text(table["rest"], "`rest`")] if "rest" in table else []
        return cls(
            name=_text(table.get("name", name or "unnamed"), "name"),
            names=(*(_text(entry["name"], "a class's `name`") for entry in entries), *rest),
            ids=None if ids is None else tuple(_integer(value, "an `id`") for value in ids),
            colours=tuple(read_colour(value) for value in colours or ()),
            ignore_ids=tuple(_integer(value, "`ignore_ids`") for value in _list(table, "ignore_ids")),
            ignore_colours=tuple(read_colour(value) for value in _list(table, "ignore_colours")),
            rest=bool(rest),
        )

    def content_hash(self) -> str:
        """SHA-256 of everything but the set's own name: equal where masks and class indices mean the same."""
        content = self.to_json()
        del content["name"]
        return content_hash(content)


_SET_KEYS = {"name", "classes", "ignore_ids", "ignore_colours", "rest"}
_CLASS_KEYS = {"name", "id", "colour"}


def spell_colour(colour: Iterable[int]) -> str:
    """Spell an RGB colour as #RRGGBB."""
    return "#" + "".join(f"{band:02X}" for band in colour)


def read_colour(value: Any) -> Colour:
    """Read a colour: "#RRGGBB", or three numbers from 0 to 255.

    Raises:
        InputError: It is neither.
    """
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
    if isinstance(value, list | tuple) and len(value) == 3 and all(type(band) is int for band in value):
        return value[0], value[1], value[2]
    cure = 'in YAML, put the colour in quotes: "#8429F6"' if value is None else None
    raise InputError(f"label set: has the colour {value!r}", wanted='"#RRGGBB" or three numbers', cure=cure)


def distinct_colours(count: int, *, avoid: Iterable[Colour] = ()) -> tuple[Colour, ...]:
    """Make colours that tell `count` classes apart; the same each time.

    Args:
        count: How many.
        avoid: Colours that are taken.
    """
    import colorsys

    taken = {*avoid, (0, 0, 0), (255, 255, 255)}
    colours: list[Colour] = []
    step = 0
    while len(colours) < count:
        # Steps of the golden ratio keep any number of hues apart; lightness changes at another rhythm.
        hue = step * 0.6180339887 % 1
        bands = colorsys.hsv_to_rgb(hue, (0.9, 0.55, 0.75)[step % 3], (0.95, 0.9, 0.6)[step // 2 % 3])
        colour = (round(bands[0] * 255), round(bands[1] * 255), round(bands[2] * 255))
        step += 1
        if colour not in taken:
            taken.add(colour)
            colours.append(colour)
    return tuple(colours)


def plain_name(name: str) -> str:
    """A class's name without what spellings differ in: UC Merced's tags have bare-soil, DLRSD's masks bare soil."""
    return name.replace("-", " ").replace("_", " ").lower()


def _check_unique(what: str, values: Iterable[Any]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise InputError(f"{what} {value} occurs twice", wanted="each once")
        seen.add(value)


def _check_count(where: str, what: str, values: tuple[Any, ...], names: tuple[str, ...]) -> None:
    if len(values) != len(names):
        raise InputError(f"{where}: has {len(values)} {what} for {len(names)} classes", wanted="one each")


def _mapping(content: Any, what: str, *, required: set[str], known: set[str]) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"{what}: is {content!r}", wanted="a mapping with " + ", ".join(sorted(required)))
    unknown = sorted(str(key) for key in content.keys() - known)
    if unknown:
        raise InputError(f"{what}: has the entry {unknown[0]!r}", wanted="only " + ", ".join(sorted(known)))
    missing = sorted(required - content.keys())
    if missing:
        raise InputError(f"{what}: has no {missing[0]!r}")
    return content


def _column(entries: list[Mapping[str, Any]], key: str) -> list[Any] | None:
    """Give one entry of every class, or None where no class has it."""
    lacking = [entry["name"] for entry in entries if key not in entry]
    if len(lacking) == len(entries):
        return None
    if lacking:
        raise InputError(f"label set: class {lacking[0]!r} has no {key}", wanted=f"a {key} for all classes or for none")
    return [entry[key] for entry in entries]


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"label set: `{key}` is {value!r}", wanted="a list")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"label set: {what} is {value!r}", wanted="text (in YAML, quote words such as no, on, 1)")
    return value


def _integer(value: Any, what: str) -> int:
    if type(value) is not int:
        raise InputError(f"label set: {what} holds {value!r}", wanted="a whole number")
    return value
