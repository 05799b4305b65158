"""`rsir-tf query`: which images of an index show what this one shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import changed_places, console, options, query_output
from rsir_tf.cli.candidate_options import CandidateOptions
from rsir_tf.cli.cluster_options import ClusterOptions
from rsir_tf.cli.connection import Connection
from rsir_tf.cli.example_options import ContentOptions, ExampleOptions
from rsir_tf.cli.heatmap import Heatmap
from rsir_tf.cli.marked_queries import ask, refuse_what_needs_an_image
from rsir_tf.cli.option_groups import OptionGroup, Without
from rsir_tf.cli.query_options import HitPlaces, MapFiles, SceneParts, own_reading, parse_within
from rsir_tf.cli.scene_options import SceneOptions
from rsir_tf.cli.second_stages import SecondStages

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.errors import RsirError
    from rsir_tf.ranking import Index, Scheme
    from rsir_tf.rasters import Source
    from rsir_tf.workflows import SearchOptions

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
    pooling: Annotated[
        options.Pooling | None,
        typer.Option(help="How features were pooled over the pixels of a region.", rich_help_panel=_SETTINGS),
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
            "pooling": self.pooling.value if self.pooling else None,
            "resize": self.resize,
        }
        return {name: value for name, value in values.items() if value is not None}


def command(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="The query image, or several: files or URLs. - reads a list of them from stdin and @FILE from a file, "
            "one path in each line.",
            metavar="IMAGE...",
            show_default=False,
        ),
    ] = None,
    *,
    index: Annotated[Path, typer.Option(help="The index's folder.")],
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar=options.SCHEME_NAMES,
            help="How images are compared. recnn: each region of the query with the nearest one of the image (the "
            "paper's Eq. 3). recnn+: as a whole. irm: all regions with all regions, by the area that they cover. "
            "relations: by how classes lie to each other. relations-graph: as irm, and by what surrounds each region. "
            "multiscale, multiscale+: as irm and recnn+, in two layers (index --layers conv4_3). The default is "
            "recnn+, or recnn if regions are asked for (--region, --at, --same-place, --matched-regions).",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many hits to print at most. The default is 10, or all of them with --within DISTANCE or "
            "--same-place. Of a whole scene with --same-place: how many pairs of windows, 10 by default.",
        ),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DISTANCE|AREAS",
            help="A number: print only images that are at most this far from the query. --json prints distances in "
            "full, the table rounds them. A GeoJSON, GeoPackage or shapefile: print only images whose ground overlaps "
            "one of its areas. Repeat the option for both.",
        ),
    ] = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    vectors: options.Vectors = None,
    stages: SecondStages,
    proposed: CandidateOptions,
    examples: ExampleOptions,
    content: ContentOptions,
    region: Annotated[
        int | None,
        typer.Option(help="Search with one region of the query image: its number, as --json prints it."),
    ] = None,
    at: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="X Y",
            help="Search with the region at this point of the query image, in pixels from the top left corner.",
        ),
    ] = None,
    tags_overlap: Annotated[
        bool,
        typer.Option(
            help="Leave out images whose segmentation shares no class with the query's, or with the first --like's."
        ),
    ] = False,
    montage: Annotated[
        Path | None,
        typer.Option(
            help="Also draw the query and its hits into this file, as PNG, JPEG or WebP by its ending. An existing "
            "file is replaced only if it is such a drawing."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let --montage, --geojson, --geoparquet and --to replace any file.")
    ] = False,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print the path of each hit too; of a window, that of its scene.")
    ] = False,
    root: options.Roots = None,
    cluster: ClusterOptions,
    connection: Annotated[Connection, Without("batch_size")],
    parts: SceneParts,
    places: HitPlaces,
    maps: MapFiles,
    heat: Heatmap,
    scenes: Annotated[SceneOptions, Without("tile", "overlap", "min_valid", "grid")],
    required: RequiredSettings,
    json: options.Json = False,
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="Print each image's result as one line of JSON, as soon as it is known."),
    ] = False,
) -> None:
    """Rank the images of an index by their distance to an image, or to one of its regions.

    The search is exact, except with --candidates.

    Several examples ask together with --together, --like and --unlike; --shows asks for classes. Of several images that
    ask one by one, those that cannot be used are named on stderr, the others are answered, and the exit code is 1. A
    query is read as the images of the index were, but for the options that are given here.
    """
    from rsir_tf.cli.image_lists import expand, is_list

    files = expand(images) if images else []
    several = (len(files) > 1 or any(map(is_list, images or ()))) and not examples.together
    one_region = region is not None or at is not None
    marked = not files and parts.lonlat is None
    _refuse(
        (region is not None and at is not None, "both --region and --at are given: name one"),
        (json and jsonl, "both --json and --jsonl are given: name one"),
        (several and (one_region or montage is not None), "--region, --at and --montage are for one image"),
        (
            proposed.candidates is not None and (stages.chosen or examples.several),
            "--candidates is for a query image alone, without second stages",
        ),
        (examples.together and (one_region or not files), "--together is for several whole images"),
        (
            marked and not (examples.several or content.any),
            "name an image to search with, a place by --lonlat, images of the index by --like, or classes by --shows",
        ),
    )
    distance, areas = parse_within(within)
    hits = 10 if top is None and distance is None and not places.same_place else top
    limits, part, reading = places.limits(areas), parts.part(alone=heat.heatmap is None), own_reading(scenes)
    cluster.require_cluster()
    query_output.check_targets(files, montage, maps, heat, force=force)
    heat.check(several=several, staged=stages.chosen or examples.several, force=force)

    def prepare() -> tuple[Scheme, Index]:
        from rsir_tf.ranking.schemes import DEFAULT_REGION_SCHEME
        from rsir_tf.workflows import query_scheme

        by_regions = places.same_place or maps.matched_regions
        with options.usage_errors():
            ranks = query_scheme(
                scheme or (DEFAULT_REGION_SCHEME if by_regions else None),
                metric=metric,
                direction=direction,
                vectors=vectors,
                one_region=one_region,
                several=examples.several,
            )
            ranks = stages.around(ranks, top=top or 10)
        return ranks, cluster.open_index(index, roots=options.parse_roots(root))

    pictures = montage is not None or maps.matched_regions or heat.heatmap is not None
    if marked and not (pictures and examples.like):
        refuse_what_needs_an_image(
            {
                "--region and --at": one_region,
                "--tags-overlap without --like": tags_overlap and not examples.like,
                "--window, --bbox and --tile": part is not None,
                "--montage, --matched-regions and --heatmap": pictures,
                "--resolution, --bands, --stretch, --nodata and --tile-names": reading,
                "--connectivity, --min-area, --convention, --pooling and --resize": required.named,
                "--candidates": proposed.candidates,
                "--scheme, --metric, --direction, --vectors, --expand, --mix and --rerank": not examples.several
                and (scheme or metric or direction or vectors or stages.chosen),
            }
        )
        ranks, opened_index = prepare()
        found = ask(
            opened_index, ranks, examples, content, top=hits, within=distance, tags_overlap=tags_overlap, limits=limits
        )
        query_output.answer(found, json or jsonl, jsonl, paths, False)
        query_output.Maps(maps, opened_index, None).write_all([found])
        return

    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is read while that answers.
    prepared = None if connection.saved_model is None else prepare()
    with connection.open() as opened:
        ranks, opened_index = prepared or prepare()
        from rsir_tf.workflows import SearchOptions, query_image, query_together

        settings = SearchOptions(
            scheme=ranks,
            top=hits,
            within=math.inf if distance is None else distance,
            tags_overlap=tags_overlap,
            shows=content.classes(opened_index),
            **examples.arguments,
            limits=limits,
            proposals=proposed.open(opened_index, ranks, top=hits),
            part=part,
            reading=reading,
            asked=required.named,
        )
        drawn = query_output.Maps(maps, opened_index, opened)
        if several:
            raise typer.Exit(
                _ask_each(files, opened_index, opened, settings, drawn, json, jsonl, paths, places.same_place)
            )
        if (
            places.same_place
            and not (one_region or examples.several or montage or heat.heatmap)
            and changed_places.answered(files, opened_index, opened, settings, drawn, json, jsonl, top)
        ):
            return
        image: str | Source = files[0] if files else query_output.indexed_image(opened_index, parts, examples)
        if not files:
            # It is the whole image.
            settings = replace(settings, part=None, likes=settings.likes[1:] if marked else settings.likes)
        if examples.together:
            result = query_together(files, opened_index, opened, settings)
        else:
            result = query_image(image, opened_index, opened, settings, region=region, at=at)
        if files and (parts.lonlat or parts.bbox):
            console.say(f"searching with {result.query}")
        # Before the files: what was found is not lost to one that cannot be written.
        query_output.answer(result, json or jsonl, jsonl, paths, places.same_place)
        drawn.write_all([result])
        heat.write(result, opened_index, opened, reading, parts.tile, one_region)
        if montage is not None:
            query_output.draw(montage, force, result, opened_index, opened)


def _refuse(*wrong: tuple[bool, str]) -> None:
    """Refuse what cannot be asked: whether it is, and why."""
    for found, why in wrong:
        if found:
            raise typer.BadParameter(why)


def _ask_each(
    files: list[str],
    index: Index,
    model: Model,
    settings: SearchOptions,
    drawn: query_output.Maps,
    json: bool,
    jsonl: bool,
    paths: bool,
    changes: bool,
) -> int:
    """Ask with each image by itself, and print and write what is found; gives the exit code."""
    from rsir_tf.workflows import query_images

    refused: list[str] = []

    def refuse(image: str, error: RsirError) -> None:
        refused.append(image)
        console.complain(error)

    results = query_images(files, index, model, settings, refused=refuse)
    query_output.answer_all(drawn.noting(results), json, jsonl, paths, changes, lambda: len(refused), len(files))
    drawn.write()
    return int(bool(refused))
