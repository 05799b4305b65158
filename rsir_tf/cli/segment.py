"""`rsir-tf segment`: scenes and pictures as maps of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection, return_memory
from rsir_tf.cli.option_groups import Without
from rsir_tf.cli.scene_options import SceneOptions, notes_together
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from rsir_tf.rasters import RasterSource
    from rsir_tf.workflows import SegmentSummary

NAME = "segment"


def command(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="A scene of any size (a GeoTIFF or another raster, or its URL) or a picture; or several. - reads a "
            "list of them from stdin and @FILE from a file, one path in each line.",
            metavar="SOURCE...",
        ),
    ],
    *,
    to: Annotated[
        Path,
        typer.Option(
            help="The class raster: a GeoTIFF (.tif) on the scene's own grid, or a PNG with a palette (.png). For "
            "several sources, a folder: each gets a file of its own name, .tif where its place is known and otherwise "
            ".png. An existing file is replaced only if it is a class raster."
        ),
    ],
    polygons: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the areas as polygons that share their borders: a GeoPackage (.gpkg) in the scene's own "
            "reference system, or GeoJSON (.geojson) in longitude and latitude. Pixels that touch at a corner alone "
            "belong to two areas.",
        ),
    ] = None,
    window_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="The largest side of what the model sees at a time. The default is 2624: the model then needs 5 to 7 "
            "GB of memory. With 1024 it needs 2 GB and twice the time.",
        ),
    ] = None,
    margin: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="How many pixels at each cut side of a window are left to its neighbour, because the model sees too "
            "little around them. The default is 160: fewer than 0.1% of the pixels differ from one large window.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --to and --polygons replace any file.")] = False,
    scenes: Annotated[SceneOptions, Without("tile", "overlap", "min_valid", "grid")],
    connection: Annotated[Connection, Without("batch_size")],
    json: options.Json = False,
) -> None:
    """Ask a model for the class of each pixel of a scene, and write a map of the classes.

    The map has the colours and the names of the classes, and no value (255) where the scene shows nothing. The command
    prints how much of the scene each class covers. Of several sources, those that cannot be used are named on stderr,
    the others are segmented, and the exit code is 1.
    """
    from rsir_tf.cli.image_lists import expand, is_list
    from rsir_tf.presentation.maps.vector_files import check_areas
    from rsir_tf.rasters import RasterSource
    from rsir_tf.workflows.segmenting import MARGIN, WINDOW, plan_windows, segment_scene

    paths = expand(sources)
    several = len(paths) > 1 or any(map(is_list, sources))
    if several and polygons is not None:
        raise typer.BadParameter("--polygons is for one source")
    sizes = {"window": WINDOW if window_size is None else window_size, "margin": MARGIN if margin is None else margin}
    with options.usage_errors():
        plan_windows((1, 1), **sizes)
        if polygons is not None:
            from rsir_tf.presentation.maps.vector_files import check_polygon_target

            check_polygon_target(polygons, force=force)
    reading = scenes.computed(paths)
    found = [RasterSource(path, reading.recipe, tile_names=reading.tile_names) for path in paths]
    targets = _targets(found, to, several, force)
    # Before the work, since a map may have no place.
    for line in notes_together((str(source), note) for source, _ in targets for note in source.notes):
        console.say(line)
    if polygons is not None:
        check_areas(polygons, found[0].place)
    summaries: list[SegmentSummary] = []
    failed = len(paths) - len(targets)
    if connection.saved_model is None:
        return_memory()
    with connection.open() as model, console.progress("segmenting") as tell:
        for source, target in targets:
            try:
                summary = segment_scene(source, model, target, polygons=polygons, progress=tell, **sizes)
            except InputError as error:
                if not several:
                    raise
                failed += 1
                console.complain(error)
                continue
            summaries.append(summary)
            if summary.areas_left_out:
                console.say(
                    f"{polygons}: {counted(summary.areas_left_out, 'area')} left out for reaching beyond the Earth, as "
                    "the scene's projection shows it, or around both poles; a GeoPackage (.gpkg) holds all"
                )
            if not json:
                console.put(_text(summary))
    if json:
        found_json = [summary.to_json() for summary in summaries]
        console.put_json(found_json if several else found_json[0])
    raise typer.Exit(1 if failed else 0)


def _targets(sources: list[RasterSource], to: Path, several: bool, force: bool) -> list[tuple[RasterSource, Path]]:
    """Where each source's class raster goes; those that cannot be read are named, or raised where it is the only one.

    Raises:
        InputError: Two sources would have one file, or the only source cannot be read.
        ArtifactError: A file is in the way.
    """
    from rsir_tf.presentation.maps.class_raster import check_class_target
    from rsir_tf.rasters import is_url

    if not several:
        with options.usage_errors():
            check_class_target(to, force=force)
        options.require_other(sources[0].path, to)
        sources[0].shape  # noqa: B018 - what cannot be read is told before the model is loaded
        return [(sources[0], to)]
    if to.exists() and not to.is_dir():
        raise ArtifactError(f"{to}: is a file", wanted="a folder, because there are several sources")
    to.mkdir(parents=True, exist_ok=True)
    targets: dict[Path, RasterSource] = {}
    for source in sources:
        try:
            ending = ".png" if source.place is None else ".tif"
        except InputError as error:
            console.complain(error)
            continue
        path = source.path.partition("?")[0] if is_url(source.path) else source.path
        target = to / f"{Path(path).stem}{ending}"
        if target in targets:
            raise InputError(
                f"{targets[target]} and {source} would both become {target}", cure="segment them into two folders"
            )
        check_class_target(target, force=force)
        options.require_other(source.path, target)
        targets[target] = source
    return [(source, target) for target, source in targets.items()]


def _text(summary: SegmentSummary) -> str:
    from rsir_tf.presentation.tables import Table, console_table, visible

    header = ["class", "share", "pixels"]
    rows = [[entry.name, f"{entry.share:.2%}", f"{entry.pixels:,}"] for entry in summary.classes if entry.pixels]
    if summary.crs is not None:
        header.append("m²")
        areas = [entry.square_metres or 0.0 for entry in summary.classes if entry.pixels]
        rows = [[*row, f"{area:,.0f}" if area >= 10 else f"{area:.2g}"] for row, area in zip(rows, areas, strict=True)]
    lines = list(console_table(Table(header, rows, right=tuple(range(1, len(header))))))
    if summary.unknown:
        lines.append(counted(summary.unknown, "pixel shows nothing", "pixels show nothing"))
    if summary.polygons is not None:
        lines.append(f"{summary.polygons}: {counted(summary.areas or 0, 'area')}")
    return "\n".join(map(visible, [*lines, summary.to]))
