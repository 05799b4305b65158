"""`rsir-tf query`: which images of an index show what this one shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection
from rsir_tf.cli.option_groups import OptionGroup, Without
from rsir_tf.errors import ArtifactError

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index, Scheme
    from rsir_tf.workflows import QueryResult

NAME = "query"

_SETTINGS = "Settings that the index must have"

MOVED = "if the archive has been moved, name its folder by --root, or index it again"


@dataclass(frozen=True)
class RequiredSettings(OptionGroup):
    """Settings of an index that a query insists on: an index with other ones is refused."""

    connectivity: Annotated[
        options.Connectivity | None,
        typer.Option(help="How many neighbours of a pixel can belong to the same region.", rich_help_panel=_SETTINGS),
    ] = None
    min_area: Annotated[
        int | None,
        typer.Option(help="The smallest area of a region that was kept, in pixels.", rich_help_panel=_SETTINGS),
    ] = None
    convention: Annotated[
        options.Convention | None,
        typer.Option(help="How conv5_3 was interpolated to the image's size.", rich_help_panel=_SETTINGS),
    ] = None
    resize: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH",
            help="The size that images were resized to. The query image is always resized as the index's images were.",
            rich_help_panel=_SETTINGS,
        ),
    ] = None

    @property
    def named(self) -> dict[str, Any]:
        """The settings that the command line names, as an index's manifest has them."""
        values = {
            "connectivity": int(self.connectivity.value) if self.connectivity else None,
            "min_area": self.min_area,
            "convention": self.convention.value if self.convention else None,
            "resize": self.resize,
        }
        return {name: value for name, value in values.items() if value is not None}


def command(
    images: Annotated[list[Path], typer.Argument(help="The query image, or several.", metavar="IMAGE...")],
    index: Annotated[Path, typer.Option(help="The index's folder.")],
    *,
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar=options.SCHEME_NAMES,
            help="How images are compared. recnn: region by region (the paper's Eq. 3). recnn+: as a whole. The "
            "default is recnn+, or recnn if --region or --at picks a region.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many hits to print.")] = 10,
    metric: options.Metric = None,
    direction: options.Direction = None,
    region: Annotated[
        int | None,
        typer.Option(help="Search with one region of the query image: its number, as --scheme recnn --json prints it."),
    ] = None,
    at: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="X Y",
            help="Search with the region at this point of the query image, in pixels from the top left corner.",
        ),
    ] = None,
    tags_overlap: Annotated[
        bool, typer.Option(help="Leave out images whose segmentation shares no class with the query's.")
    ] = False,
    montage: Annotated[Path | None, typer.Option(help="Also draw the query and its hits into this PNG file.")] = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print the path of each hit too; --json always does.")] = False,
    root: options.Roots = None,
    connection: Annotated[Connection, Without("batch_size")],
    required: RequiredSettings,
    json: options.Json = False,
) -> None:
    """Rank the images of an index by their distance to an image, or to one of its regions. The search is exact."""
    one_region = region is not None or at is not None
    if len(images) > 1 and (one_region or montage is not None):
        raise typer.BadParameter("--region, --at and --montage are for one image")
    if region is not None and at is not None:
        raise typer.BadParameter("both --region and --at are given: name one region")

    def prepare() -> tuple[Scheme, Index]:
        from rsir_tf.ranking import open_index
        from rsir_tf.workflows import query_scheme

        with options.usage_errors():
            ranks = query_scheme(scheme, metric=metric, direction=direction, one_region=one_region)
        return ranks, open_index(index, roots=options.parse_roots(root))

    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is read while that answers.
    prepared = None if connection.saved_model is None else prepare()
    with connection.open() as opened:
        ranks, opened_index = prepared or prepare()
        from rsir_tf.workflows import query_image, query_images

        settings: dict[str, Any] = {
            "scheme": ranks,
            "top": top,
            "tags_overlap": tags_overlap,
            "asked": required.named,
        }
        if len(images) > 1:
            _answer_all(query_images(images, opened_index, opened, **settings), json, paths)
            return
        result = query_image(images[0], opened_index, opened, region=region, at=at, **settings)
        # Before the montage: what was found is not lost to a picture that cannot be written.
        if json:
            console.put_json(result.to_json())
        else:
            console.put(_table(result, paths))
        _tell_problems(result)
        if montage is not None:
            _draw(montage, result, opened_index, opened)


def _answer_all(results: Iterator[QueryResult], json: bool, paths: bool) -> None:
    """Answers come as they are found; what was found before an error is not lost to it."""
    found = []
    try:
        for result in results:
            if json:
                found.append(result.to_json())
            else:
                console.put(f"{result.query}\n{_table(result, paths)}\n")
            _tell_problems(result)
    finally:
        if json:
            console.put_json(found)


def _draw(montage: Path, result: QueryResult, index: Index, model: Model) -> None:
    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.presentation import save_png
    from rsir_tf.workflows import draw_query

    missing: dict[str, str] = {}
    colours = class_colours(index.settings.class_names)
    save_png(montage, draw_query(result, index, model, colours=colours, missing=missing.__setitem__))
    console.say(f"wrote {montage}")
    for image, why in missing.items():
        console.say(f"not drawn: {image}: {why}")
    if missing and len(missing) == len(result.hits):
        raise ArtifactError(f"{montage}: shows none of the hits: their pictures are missing", cure=MOVED)


def _tell_problems(result: QueryResult) -> None:
    problems = [picture for picture in result.pictures if picture.problem is not None]
    if problems:
        first = f"{problems[0].path}: {problems[0].problem}"
        console.say(f"{len(problems)} of {len(result.hits)} hits are not what was indexed ({first}); {MOVED}")


def _table(result: QueryResult, paths: bool) -> str:
    from rsir_tf.presentation import Table, console_table

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
