"""The side of the page: the search form, and what is asked with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rsir_tf.web.fragments import edges, percent, render
from rsir_tf.web.question import FEW, MOST_HITS, PARAMETERS, Question

if TYPE_CHECKING:
    from rsir_tf.web.house import Found
    from rsir_tf.workflows.browsing import Browsed

SHARES = ("0.05", "0.1", "0.25", "0.5", "0.75")
COUNTS = (12, FEW, 48, 96, 192, MOST_HITS)
SCHEME_OPTIONS = {
    "metric": ("Distance", ("l1", "l2", "cosine")),
    "direction": ("Regions of", ("query", "both")),
    "vectors": ("Vectors", ("unit", "raw")),
}
"""Name → words, and values; a scheme shows those that it has."""


def side(question: Question, browsed: Browsed, found: Found | None = None) -> str:
    """The search form, and what is asked with.

    Args:
        question: That is shown.
        browsed: The index.
        found: What the question found; None where nothing is asked, or it failed.
    """
    ways = {"scheme", *SCHEME_OPTIONS, "overlap", "scene", "tag", "shows", "text", "area"}
    own = {"scheme", "method", *SCHEME_OPTIONS, "overlap", "scene", "text", "area", "page", "top"}
    return render(
        "side.html",
        question=question,
        query=None if found is None else _query(found),
        kept=set(PARAMETERS) - own,
        ways=ways,
        options=_options(question) if question.asks else [],
        scenes=_counted("any", browsed.scenes),
        tags=_counted("any", browsed.tags),
        classes=_counted("anything", browsed.classes),
        placed=browsed.placed,
        area=PARAMETERS["area"].write(question.area),
        counts=[("" if count == FEW else str(count), str(count)) for count in sorted({*COUNTS, question.top})],
        top="" if question.top == FEW else str(question.top),
        shares=[("", "any part"), *((share, f"{float(share):.0%}") for share in SHARES)],
        chips=_chips(question),
    )


def _query(found: Found) -> dict[str, Any]:
    """What the template tells of the query image."""
    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.workflows import QueryResult
    from rsir_tf.workflows.shown_regions import shown_regions

    question, result = found.question, found.result
    marked = {"like": question.like, "unlike": question.unlike, "further": question.id[1:]}
    if not isinstance(result, QueryResult):
        return {"heading": "Examples ask", "name": "", "picture": None, "one_region": False, **marked}
    fills = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours(result.class_names)]
    colours = edges(found)
    one_region = question.region is not None or question.at is not None
    one = _by_regions(question)
    asked = set(result.asked) or set(range(len(result.regions)))
    regions = [
        {
            "region": region.region,
            "name": region.name,
            "share": percent(region.share),
            "area": region.share,
            "outline": region.outline,
            "fill": fills[region.index],
            "edge": colours[region.region],
            "asked": region.region in asked,
            "url": one.url(region=region.region),
        }
        for region in shown_regions(result.regions, result.class_names)
    ]
    shares: dict[int, float] = {}
    for number, index in enumerate(result.regions.classes.tolist()):
        shares[index] = shares.get(index, 0.0) + float(result.regions.areas[number]) / result.regions.labels.size
    height, width = result.image.shape[:2]
    kept: dict[str, Any] = {"id": question.id[:1], "upload": question.upload[:1], "path": question.path}
    kept |= {"window": question.window, "lonlat": question.lonlat, "bbox": question.bbox}
    return {
        **marked,
        "heading": "One region asks" if one_region else "This image asks",
        "name": found.name,
        "picture": "/api/picture?" + Question(**kept).query(),
        "width": width,
        "height": height,
        "regions": regions,
        "by_area": sorted(regions, key=lambda region: -float(region["area"])),
        "one_region": one_region,
        "legend": [
            {"name": result.class_names[index], "share": percent(share), "colour": fills[index]}
            for index, share in sorted(shares.items(), key=lambda item: -item[1])
        ],
    }


def _by_regions(question: Question) -> Question:
    """The question that a region asks in: under the same scheme where that asks with regions, else the default."""
    from rsir_tf.ranking import make_scheme

    if question.scheme is not None and make_scheme(question.scheme).asks_with == "regions":
        return replace(question, at=None)
    return replace(question, at=None, scheme=None, metric=None, direction=None, vectors=None)


def _options(question: Question) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    """How is searched: the scheme and its options, each with name, words, choices and the chosen one."""
    from dataclasses import fields, is_dataclass

    from rsir_tf.errors import InputError
    from rsir_tf.ranking.schemes import SCHEMES
    from rsir_tf.workflows import query_scheme

    one_region = question.region is not None or question.at is not None
    several = bool(question.like or question.unlike or question.id[1:])
    usual = query_scheme(one_region=one_region, several=several).name
    options = [("scheme", "Scheme", tuple(SCHEMES), usual)]
    try:
        scheme = query_scheme(question.scheme, one_region=one_region, several=several)
    except InputError:
        scheme = None
    if is_dataclass(scheme):
        own = {field.name for field in fields(scheme)} & set(SCHEME_OPTIONS)
        options += [(name, *SCHEME_OPTIONS[name], getattr(scheme, name)) for name in SCHEME_OPTIONS if name in own]
    shown = []
    for name, words, values, default in options:
        chosen = getattr(question, name)
        choices = [("", f"{default} (the default)"), *((value, value) for value in values if value != default)]
        shown.append((name, words, choices, "" if chosen in (None, default) else chosen))
    return shown


def _chips(question: Question) -> list[tuple[str, str]]:
    """Each condition in words, with the address without it."""
    chips = [(f"tag {tag}", question.without("tag", tag).url(page=1)) for tag in question.tag]
    for shown in question.shows:
        name, share = shown
        words = f"shows {name}" + (f" on {percent(share)} or more" if share else "")
        chips.append((words, question.without("shows", shown).url(page=1)))
    if question.area:
        chips.append(("in the drawn area", question.url(area=(), page=1)))
    return chips


def _counted(nothing: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    return [("", nothing), *((name, f"{name} ({count:,})") for name, count in counts.items() if count)]
