"""What `rsir-tf query SCENE --same-place` prints: each window of the scene beside the other dates of its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rsir_tf.cli import console
from rsir_tf.cli.query_output import NO_OTHER_DATE, Maps, answer_all
from rsir_tf.presentation.tables import Table, console_table
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index
    from rsir_tf.workflows import QueryResult, SearchOptions

SHOWN = 10
"""Pairs of windows that are printed without --top."""

Pair = tuple[float, list[str]]
"""The distance of two windows, and the line of the table."""


def answered(
    files: list[str],
    index: Index,
    model: Model,
    settings: SearchOptions,
    maps: Maps,
    json: bool,
    jsonl: bool,
    top: int | None,
) -> bool:
    """Ask with each window of a whole scene, and print the pairs of windows that differ most.

    Args:
        files: The scene alone; of anything else, nothing is done.
        index: That is asked, of windows.
        model: That made it.
        settings: Of each query.
        maps: Files that all hits go into.
        json: Whether to print all results, a window each, as an array.
        jsonl: Whether to print each as a line of JSON.
        top: How many pairs are printed as text; None for `SHOWN`.

    Returns:
        Whether this was such a scene.

    Raises:
        InputError: The scene has no place.
    """
    from rsir_tf.workflows.query_windows import windows_as_indexed

    if len(files) != 1 or settings.part is not None or settings.proposals is not None:
        return False
    windows = windows_as_indexed(files[0], index, settings.reading)
    if len(windows) < 2:  # One window is the image itself.
        return False
    from rsir_tf.workflows import query_images
    from rsir_tf.workflows.geographic_limits import ground_of

    if windows[0].place is None:
        ground_of(windows[0])  # It is refused before the windows are described.
    results = maps.noting(query_images(windows, index, model, replace(settings, top=None)))
    if json or jsonl:
        answer_all(results, json, jsonl, False, False, lambda: 0, len(windows))
        maps.write()
        return True
    pairs: list[Pair] = []
    alone = 0
    with console.progress("asking") as tell:
        for done, result in enumerate(results, start=1):
            found = list(_pairs(result))
            pairs += found
            alone += not found
            tell(done, len(windows), f"window {done}")
    shown = sorted(pairs, key=lambda pair: -pair[0])[: SHOWN if top is None else top]
    if pairs:
        console.put(_table(line for _, line in shown))
    if alone:
        console.say(f"{alone:,} of {counted(len(windows), 'window')}: {NO_OTHER_DATE}")
    if len(shown) < len(pairs):
        console.say(
            f"these are the {len(shown):,} of {len(pairs):,} pairs of windows that differ most; --top prints more, "
            "--json all; --lonlat LON LAT of one tells of each of its regions"
        )
    maps.write()
    return True


def _pairs(result: QueryResult) -> Iterator[Pair]:
    from rsir_tf.rasters import pixel_to_lonlat

    place, (height, width) = result.source.place, result.source.shape
    assert place is not None  # Else nothing is at the same place.
    lon, lat = (f"{float(degrees):.6f}" for degrees in pixel_to_lonlat(place, width / 2, height / 2))
    for hit in result.hits:
        most = []
        if hit.matches:
            changed = max(hit.matches, key=lambda match: match.distance)
            asked = result.class_names[result.regions.classes[changed.query_region]]
            most = [f"{changed.distance:.4f}", asked, result.class_names[changed.class_index]]
        yield hit.distance, [f"{hit.distance:.4f}", lon, lat, hit.id, *most]


def _table(lines: Iterable[list[str]]) -> str:
    rows = list(lines)
    columns = max(map(len, rows))  # An image without regions has nothing that is nearest.
    rows = [[*row, *[""] * (columns - len(row))] for row in rows]
    header = ["distance", "lon", "lat", "id", "most changed", "class", "nearest there"][:columns]
    return "\n".join(console_table(Table(header, rows, right=(0, 1, 2, 4)[: 4 if len(header) > 4 else 3])))
