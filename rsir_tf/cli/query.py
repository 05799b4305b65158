"""`rsir-tf query`: which images of an index show what this one shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options, query_output
from rsir_tf.cli.connection import Connection
from rsir_tf.cli.option_groups import OptionGroup, Without

if TYPE_CHECKING:
    from rsir_tf.errors import RsirError
    from rsir_tf.ranking import Index, Scheme

NAME = "query"

_SETTINGS = "Settings that the index must have"


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
    images: Annotated[
        list[str],
        typer.Argument(
            help="The query image, or several. - reads a list of them from stdin and @FILE from a file, one path in "
            "each line.",
            metavar="IMAGE...",
        ),
    ],
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
    top: Annotated[
        int | None,
        typer.Option(help="How many hits to print at most. The default is 10, or all of them with --within."),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            help="Print only images that are at most this far from the query. --json prints distances in full, the "
            "table rounds them.",
        ),
    ] = None,
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
    montage: Annotated[
        Path | None,
        typer.Option(
            help="Also draw the query and its hits into this file, as PNG, JPEG or WebP by its ending. An existing "
            "file is replaced only if it is such a drawing."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --montage replace any file.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print the path of each hit too; --json always does.")] = False,
    root: options.Roots = None,
    connection: Annotated[Connection, Without("batch_size")],
    required: RequiredSettings,
    json: options.Json = False,
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="Print each image's result as one line of JSON, as soon as it is known."),
    ] = False,
) -> None:
    """Rank the images of an index by their distance to an image, or to one of its regions. The search is exact.

    Of several images, those that cannot be used are named on stderr, the others are answered, and the exit code is 1.
    """
    from rsir_tf.cli.image_lists import expand, is_list

    one_region = region is not None or at is not None
    files = expand(images)
    several = len(files) > 1 or any(map(is_list, images))
    if several and (one_region or montage is not None):
        raise typer.BadParameter("--region, --at and --montage are for one image")
    if region is not None and at is not None:
        raise typer.BadParameter("both --region and --at are given: name one region")
    if within is not None and not within >= 0:
        raise typer.BadParameter(f"--within {within}: wanted a number of at least 0")
    if json and jsonl:
        raise typer.BadParameter("both --json and --jsonl are given: name one")
    if montage is not None:
        from rsir_tf.presentation.picture_files import check_picture_target

        with options.usage_errors():
            check_picture_target(montage, force=force)

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
            "top": 10 if top is None and within is None else top,
            "within": math.inf if within is None else within,
            "tags_overlap": tags_overlap,
            "asked": required.named,
        }
        if several:
            refused: list[str] = []

            def refuse(image: str, error: RsirError) -> None:
                refused.append(image)
                console.complain(error)

            results = query_images(files, opened_index, opened, **settings, refused=refuse)
            query_output.answer_all(results, json, jsonl, paths, lambda: len(refused), len(files))
            raise typer.Exit(1 if refused else 0)
        result = query_image(files[0], opened_index, opened, region=region, at=at, **settings)
        # Before the montage: what was found is not lost to a picture that cannot be written.
        if json or jsonl:
            console.put_json(result.to_json(), one_line=jsonl)
        else:
            console.put(query_output.table(result, paths))
        query_output.tell_problems(result)
        if montage is not None:
            query_output.draw(montage, force, result, opened_index, opened)
