"""What `rsir-tf query` prints and draws of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.cli import console
from rsir_tf.errors import ArtifactError
from rsir_tf.presentation.tables import Table, console_table, visible

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index
    from rsir_tf.workflows import QueryResult


MOVED = "if the archive has been moved, name its folder by --root, or index it again"


def answer_all(
    results: Iterator[QueryResult], json: bool, jsonl: bool, paths: bool, refused: Callable[[], int], total: int
) -> None:
    """Print the answers to several images as they are found; what was found before an error is not lost to it.

    Args:
        results: From `query_images`.
        json: Whether to print an array of all at the end.
        jsonl: Whether to print a line of JSON for each.
        paths: Whether tables have a column of paths.
        refused: Says how many images could not be asked with so far.
        total: How many images there are.
    """
    found: list[dict[str, Any]] = []
    try:
        with console.progress("asking") as tell:
            for done, result in enumerate(results, start=1):
                if json:
                    found.append(result.to_json())
                elif jsonl:
                    console.put_json(result.to_json(), one_line=True)
                else:
                    console.put(f"{visible(result.query)}\n{table(result, paths)}\n")
                tell_problems(result)
                tell(done + refused(), total, Path(result.query).name)
    finally:
        if json:
            console.put_json(found)


def draw(montage: Path, force: bool, result: QueryResult, index: Index, model: Model) -> None:
    """Draw an image and its hits into a file; hits whose pictures are missing are named."""
    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.presentation.picture_files import check_picture_target, save_picture
    from rsir_tf.workflows import draw_query

    missing: dict[str, str] = {}
    colours = class_colours(index.settings.class_names)
    drawn = draw_query(result, index, model, colours=colours, missing=missing.__setitem__)
    check_picture_target(montage, force=force)  # Again: something may have come there meanwhile.
    save_picture(montage, drawn)
    console.say(f"wrote {montage}")
    for image, why in missing.items():
        console.say(f"not drawn: {image}: {why}")
    if missing and len(missing) == len(result.hits):
        raise ArtifactError(f"{montage}: shows none of the hits: their pictures are missing", cure=MOVED)


def tell_problems(result: QueryResult) -> None:
    """Say on stderr how many hits have no picture any more, or another one than was indexed."""
    problems = [picture for picture in result.pictures if picture.problem is not None]
    if problems:
        first = f"{problems[0].path}: {problems[0].problem}"
        console.say(f"{len(problems)} of {len(result.hits)} hits are not what was indexed ({first}); {MOVED}")


def table(result: QueryResult, paths: bool) -> str:
    """The hits as a table."""
    header, right = ["rank", "distance", "id", "tags"], (0, 1)
    rows = [
        [f"{rank}", f"{hit.distance:.4f}", hit.id, ", ".join(tags or ())]
        for rank, (hit, (_, tags)) in enumerate(zip(result.hits, result.facts, strict=True), start=1)
    ]
    if paths:
        header.append("path")
        rows = [[*row, picture.path] for row, picture in zip(rows, result.pictures, strict=True)]
    if any(picture.problem for picture in result.pictures):
        header.append("problem")
        rows = [[*row, picture.problem or ""] for row, picture in zip(rows, result.pictures, strict=True)]
    return "\n".join(console_table(Table(header, rows, right=right)))
