"""The parts of the page as HTML, from templates that escape every name."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rsir_tf.web.question import FEW, MOST_HITS, Question

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from rsir_tf.web.house import Found
    from rsir_tf.workflows.browsing import Browsed

SMALL = 640
"""Pixels of a side up to which the picture of a hit is shown itself and not its thumbnail."""

FORMS = {"csv": "CSV", "json": "JSON", "geojson": "GeoJSON", "png": "picture"}


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
    return render("archive.html", question=question, images=shown, total=total, last=math.ceil(total / page))


def hits(found: Found) -> str:
    """The hits of a question."""
    question, result, index = found.question, found.result, found.browsed.index
    colours = edges(found)
    finite = [hit.distance for hit in result.hits if math.isfinite(hit.distance)]
    farthest = max(finite, default=0.0) or 1.0
    shown, seen = [], {hit.id for hit in result.hits}
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
                "distance": _number(hit.distance),
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
    return render(
        "hits.html",
        question=question,
        hits=shown,
        scheme=found.scheme,
        examples=_examples(question),
        # Marks of images that are no hits by now still hold.
        marked=[(name, each) for name in ("like", "unlike") for each in getattr(question, name) if each not in seen],
        without_place=result.without_place,
        forms=[
            (form, words)
            for form, words in FORMS.items()
            if (placed or form != "geojson") and (colours or form != "png")
        ],
        api=lambda form: "/api/query?" + urlencode([*question.pairs(), ("format", form)]),
        more=question.url(top=more) if len(shown) == question.top < more <= MOST_HITS else None,
    )


def _number(distance: float) -> str:
    if not math.isfinite(distance):
        return "∞"
    return f"{distance:,.0f}" if distance >= 1000 else f"{distance:.4g}"


def _examples(question: Question) -> str | None:
    """What asks besides one image, in words."""
    method = "with a classifier" if question.method == "classifier" else "by their nearness (Rocchio)"
    marked = f"{len(question.like)} right and {len(question.unlike)} wrong"
    if len(question.id) > 1:
        also = f", and {marked}," if question.like or question.unlike else ""
        return f"{len(question.id)} images{also} ask together, {method}."
    return f"Refined with {marked} images, {method}." if question.like or question.unlike else None


def problem(words: Mapping[str, str | None], question: Question) -> str:
    """What did not work.

    Args:
        words: "error", "wanted" and "cure", as the routes for programs tell it.
        question: That was asked.
    """
    told = {name: text and text.rstrip(".") for name, text in words.items()}
    return render("problem.html", words=told, again=question.url())


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
    return render("api.html", paths=paths)


def _parameter(described: dict[str, Any]) -> dict[str, Any]:
    return {name: described.get(name) for name in ("name", "description", "required")}


def thumbnail_url(browsed: Browsed, row: int) -> str:
    """The address of a thumbnail; another picture has another address, so that browsers may keep it."""
    images = browsed.index.images
    return "/api/thumbnail?" + urlencode({"id": images.ids[row], "v": images.content_hashes[row][:12]})


def picture_url(**asked: Any) -> str:
    """The address of a picture."""
    return "/api/picture?" + urlencode(asked)


def edges(found: Found) -> list[str]:
    """The colour of each region of the query image; empty where no image asks."""
    from rsir_tf.workflows import QueryResult
    from rsir_tf.workflows.shown_regions import region_colours

    if not isinstance(found.result, QueryResult):
        return []
    regions = found.result.regions
    return region_colours(regions.labels, len(regions))


def plain(template: str, **values: Any) -> str:
    """Fill names into a short piece of HTML; they are escaped."""
    from html import escape

    return template.format(**{name: escape(v) if isinstance(v, str) else v for name, v in values.items()})


def script_text(text: str) -> str:
    """A text as a literal of JavaScript."""
    return json.dumps(text).replace("<", "\\u003c")


def _breakable(name: str) -> Markup:
    """A name as HTML that may break after its folders, rather than anywhere."""
    from markupsafe import Markup, escape

    return escape(name).replace("/", Markup("/<wbr>"))


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("rsir_tf.web")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["breakable"] = _breakable
    return made


def percent(share: float) -> str:
    """A share of an area in words."""
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def render(name: str, **values: Any) -> str:
    """Fill values into one of the templates; names in them are escaped."""
    # A file name may hold bytes that are not text: they become question marks.
    return _templates().get_template(name).render(**values).encode("utf-8", "replace").decode()
