"""What was found, in the forms that programs and people take away; no path of this machine is in any of them."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.web.house import Found, House
    from rsir_tf.workflows.browsing import Browsed

FORMATS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "geojson": "application/geo+json",
    "png": "image/png",
}
"""Name → media type."""


def index_json(browsed: Browsed) -> dict[str, Any]:
    """What an index holds, as JSON types."""
    from rsir_tf.ranking.schemes import SCHEMES

    return {
        "images": len(browsed.index),
        "model_id": browsed.index.settings.model_id,
        "schemes": list(SCHEMES),
        "scenes": browsed.scenes,
        "tags": browsed.tags,
        "classes": browsed.classes,
        "placed": browsed.placed,
    }


def found_json(found: Found) -> dict[str, Any]:
    """The JSON of `rsir-tf query --json`; paths and addresses are those of pictures on this server."""
    content = found.result.to_json()
    content["query"] = found.name
    for hit in content["hits"]:
        hit["path"] = hit["address"] = "/api/picture?" + urlencode({"id": hit["id"]})
    return content


def written(found: Found, form: str, house: House) -> bytes:
    """What was found, in one of `FORMATS`.

    Raises:
        InputError: There is no such form.
        ModelError: The model does not answer: a picture of the hits shows their regions.
    """
    if form == "json":
        return _json(found_json(found))
    if form == "csv":
        return _csv(found).encode("utf-8", "replace")
    if form == "geojson":
        content = found.result.to_geojson()
        content["rsir_tf"]["queries"] = [found.name]
        for feature in content["features"]:
            properties = feature["properties"]
            properties["query"] = found.name
            properties["path"] = properties["address"] = "/api/picture?" + urlencode({"id": properties["id"]})
        return _json(content)
    if form == "png":
        return _montage(found, house)
    raise InputError(f"format={form[:40]}", wanted=", ".join(FORMATS))


def _json(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False).encode("ascii")  # ASCII: a file name may be no text.


def _csv(found: Found) -> str:
    """A table for spreadsheets."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(["rank", "distance", "id", "scene", "tags", "west", "south", "east", "north"])
    for hit in found.result.to_json()["hits"]:
        place = hit["place"] or ["", "", "", ""]
        names = (hit["id"], hit["scene"] or "", ", ".join(hit["tags"] or ()))
        table.writerow([hit["rank"], hit["distance"], *map(_no_formula, names), *place])
    return text.getvalue()


def _no_formula(text: str) -> str:
    """A spreadsheet must not compute a name: one that begins like a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _montage(found: Found, house: House) -> bytes:
    from dataclasses import replace

    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.presentation import png_bytes
    from rsir_tf.workflows import QueryResult, draw_query

    if not isinstance(found.result, QueryResult):
        raise InputError("a picture shows an image and its hits, and no image asked", wanted="csv or json")
    index = found.browsed.index
    drawn = replace(found.result, query=os.path.basename(found.name) or found.name)
    return png_bytes(draw_query(drawn, index, house.model, colours=class_colours(index.settings.class_names)))
