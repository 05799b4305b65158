"""The parts of the page as HTML, from templates that escape every name."""

from __future__ import annotations

import functools
import json
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rsir_tf.web.question import MOST_HITS, PARAMETERS, Question

if TYPE_CHECKING:
    from jinja2 import Environment

    from rsir_tf.web.house import Found
    from rsir_tf.workflows.browsing import Browsed

SMALL = 640
"""Pixels of a side up to which the picture of a hit is shown itself and not its thumbnail."""

FEW = 24
"""How many hits "More" adds."""

FORMS = {"csv": "CSV", "json": "JSON", "geojson": "GeoJSON", "png": "picture"}
SHARES = ("0.05", "0.1", "0.25", "0.5", "0.75")
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
    from rsir_tf.ranking.schemes import SCHEMES

    ways = {"scheme", *SCHEME_OPTIONS, "overlap", "scene", "tag", "shows", "text", "area"}
    own = {"scheme", "method", *SCHEME_OPTIONS, "overlap", "scene", "text", "page", "top"}
    return _render(
        "side.html",
        question=question,
        query=None if found is None else _query(found),
        kept=set(PARAMETERS) - own,
        ways=ways,
        schemes=[("", "the default"), *((name, name) for name in SCHEMES)],
        scheme_options=_scheme_options(question),
        scenes=_counted("any", browsed.scenes),
        tags=_counted("any", browsed.tags),
        classes=_counted("anything", browsed.classes),
        shares=[("", "any part"), *((share, f"{float(share):.0%}") for share in SHARES)],
        chips=_chips(question),
    )


def archive(question: Question, browsed: Browsed, rows: list[int], total: int, page: int) -> str:
    """One page of the archive.

    Args:
        question: That is shown.
        browsed: The index.
        rows: Of the images on this page.
        total: Number of images on all pages.
        page: Images on a page.
    """
    images = browsed.index.images
    shown = [
        {
            "id": images.ids[row],
            "url": question.asking(id=(images.ids[row],)).url(),
            "thumbnail": thumbnail_url(browsed, row),
            "words": ", ".join([images.scenes[row] or images.ids[row], *(images.tags[row] or ())]),
        }
        for row in rows
    ]
    return _render("archive.html", question=question, images=shown, total=total, last=math.ceil(total / page))


def hits(found: Found) -> str:
    """The hits of a question."""
    question, result, index = found.question, found.result, found.browsed.index
    colours = _edges(found)
    finite = [hit.distance for hit in result.hits if math.isfinite(hit.distance)]
    farthest = max(finite, default=0.0) or 1.0
    shown = []
    for hit, (scene, tags), picture in zip(result.hits, result.facts, result.pictures, strict=True):
        height, width = index.settings.resize or (index.images.heights[hit.row], index.images.widths[hit.row])
        small = max(height, width) <= SMALL
        shown.append(
            {
                "id": hit.id,
                "url": question.asking(id=(hit.id,)).url(),
                "picture": picture_url(id=hit.id) if small else thumbnail_url(found.browsed, hit.row),
                "words": ", ".join([scene or hit.id, *(tags or ())]),
                "problem": picture.problem,
                "width": int(width),
                "height": int(height),
                "distance": f"{hit.distance:.4g}" if math.isfinite(hit.distance) else "∞",
                "part": f"{min(hit.distance / farthest, 1):.3f}",
                "scene": scene,
                "tags": tags,
                "matches": [
                    {
                        "region": match.region,
                        "query_region": match.query_region,
                        "colour": colours[match.query_region] if colours else "#ffffff",
                        "y": match.box[0],
                        "x": match.box[1],
                        "height": match.box[2] - match.box[0],
                        "width": match.box[3] - match.box[1],
                    }
                    for match in hit.matches
                ],
            }
        )
    more = min(question.top + FEW, MOST_HITS)
    placed = any(footprint is not None for footprint in result.footprints)
    return _render(
        "hits.html",
        question=question,
        hits=shown,
        scheme=result.scheme,
        without_place=result.without_place,
        forms=[
            (form, words)
            for form, words in FORMS.items()
            if (placed or form != "geojson") and (colours or form != "png")
        ],
        api=lambda form: "/api/query?" + urlencode([*question.pairs(), ("format", form)]),
        more=question.url(top=more) if len(shown) == question.top < more <= MOST_HITS else None,
    )


def problem(words: dict[str, str | None], question: Question) -> str:
    """What did not work.

    Args:
        words: "error", "wanted" and "cure", as the routes for programs tell it.
        question: That was asked.
    """
    told = {name: text and text.rstrip(".") for name, text in words.items()}
    return _render("problem.html", words=told, again=question.url())


def routes(description: dict[str, Any]) -> str:
    """The routes for programs, as a page of its own.

    Args:
        description: By OpenAPI.
    """
    paths = {
        path: {
            method: {
                "summary": route["summary"],
                "parameters": [_parameter(each) for each in route.get("parameters", ())],
            }
            for method, route in methods.items()
        }
        for path, methods in description["paths"].items()
    }
    return _render("api.html", paths=paths)


def _parameter(described: dict[str, Any]) -> dict[str, Any]:
    return {name: described.get(name) for name in ("name", "description", "required")}


def thumbnail_url(browsed: Browsed, row: int) -> str:
    """The address of a thumbnail; another picture has another address, so that browsers may keep it."""
    images = browsed.index.images
    return "/api/thumbnail?" + urlencode({"id": images.ids[row], "v": images.content_hashes[row][:12]})


def picture_url(**asked: Any) -> str:
    """The address of a picture."""
    return "/api/picture?" + urlencode(asked)


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
    edges = _edges(found)
    one_region = question.region is not None or question.at is not None
    asked = set(result.asked) or set(range(len(result.regions)))
    regions = [
        {
            "region": region.region,
            "name": region.name,
            "share": _percent(region.share),
            "area": region.share,
            "outline": region.outline,
            "fill": fills[region.index],
            "edge": edges[region.region],
            "asked": region.region in asked,
            "url": question.url(region=region.region, at=None, scheme=_by_regions(question.scheme)),
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
            {"name": result.class_names[index], "share": _percent(share), "colour": fills[index]}
            for index, share in sorted(shares.items(), key=lambda item: -item[1])
        ],
    }


def _by_regions(scheme: str | None) -> str | None:
    """The scheme to ask with one region: the same where it asks with regions, else the default."""
    from rsir_tf.ranking.schemes import scheme_kind

    if scheme is None:
        return None
    return scheme if getattr(scheme_kind(scheme), "asks_with", "") == "regions" else None


def _scheme_options(question: Question) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The options of the scheme in use: name, words and choices."""
    from dataclasses import fields, is_dataclass

    from rsir_tf.errors import InputError
    from rsir_tf.workflows import query_scheme

    try:
        one_region = question.region is not None or question.at is not None
        scheme = query_scheme(question.scheme, one_region=one_region)
    except InputError:
        return []
    own: set[str] = {field.name for field in fields(scheme)} if is_dataclass(scheme) else set()
    return [
        (name, words, [("", "the default"), *((value, value) for value in values)])
        for name, (words, values) in SCHEME_OPTIONS.items()
        if name in own
    ]


def _chips(question: Question) -> list[tuple[str, str]]:
    """Each condition in words, with the address without it."""
    chips = [(f"tag {tag}", question.url(tag=_without(question.tag, tag), page=1)) for tag in question.tag]
    for shown in question.shows:
        name, share = shown
        words = f"shows {name}" + (f" on {_percent(share)} or more" if share else "")
        chips.append((words, question.url(shows=_without(question.shows, shown), page=1)))
    if question.area:
        chips.append(("in the drawn area", question.url(area=(), page=1)))
    return chips


def _without(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    return tuple(each for each in values if each != value)


def _counted(nothing: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    return [("", nothing), *((name, f"{name} ({count:,})") for name, count in counts.items() if count)]


def _edges(found: Found) -> list[str]:
    from rsir_tf.workflows import QueryResult
    from rsir_tf.workflows.shown_regions import region_colours

    if not isinstance(found.result, QueryResult):
        return []
    regions = found.result.regions
    return region_colours(regions.labels, len(regions))


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def plain(template: str, **values: Any) -> str:
    """Fill names into a short piece of HTML; they are escaped."""
    from html import escape

    return template.format(**{name: escape(v) if isinstance(v, str) else v for name, v in values.items()})


def script_text(text: str) -> str:
    """A text as a literal of JavaScript."""
    return json.dumps(text).replace("<", "\\u003c")


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("rsir_tf.web")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _render(name: str, **values: Any) -> str:
    # A file name may hold bytes that are not text: they become question marks.
    return _templates().get_template(name).render(**values).encode("utf-8", "replace").decode()
