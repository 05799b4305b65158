"""Options of `rsir-tf query` about the Earth: which part of a scene asks, where hits may lie, and files for maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import options
from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.cli.scene_options import SceneOptions
    from rsir_tf.workflows.geographic_limits import GeographicLimits
    from rsir_tf.workflows.query_windows import QueryWindow

PART = "Which part of a scene asks"
WHERE = "Where hits may lie"
MAPS = "Files for maps"


@dataclass(frozen=True)
class SceneParts(OptionGroup):
    """The part of a scene that is the query image."""

    window: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(
            metavar="X Y WIDTH HEIGHT",
            help="Search with this window of the image, in pixels from its top left corner. --at counts from the "
            "window's corner.",
            rich_help_panel=PART,
        ),
    ] = None
    lonlat: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LON LAT",
            help="Search with the window around this longitude and latitude, in degrees. Without an image, search with "
            "the image of the index that shows this place.",
            rich_help_panel=PART,
        ),
    ] = None
    bbox: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(
            metavar="WEST SOUTH EAST NORTH",
            help="Search with what the image shows of this box of longitudes and latitudes, in degrees.",
            rich_help_panel=PART,
        ),
    ] = None
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="With --lonlat or --heatmap: the side of a window. The default is that of the windows in the index.",
            rich_help_panel=PART,
        ),
    ] = None

    def part(self, *, alone: bool = True) -> QueryWindow | None:
        """The part of the scene; None where none is named.

        Args:
            alone: Whether --tile is about this part alone, so that there must be one.

        Raises:
            typer.BadParameter: There is no such part.
        """
        tile = self.tile if alone or self.lonlat is not None else None
        if replace(self, tile=tile) == SceneParts():
            return None
        from rsir_tf.workflows.query_windows import QueryWindow

        with options.usage_errors():
            return QueryWindow(self.window, self.lonlat, self.bbox, tile)


@dataclass(frozen=True)
class HitPlaces(OptionGroup):
    """Where hits may lie; --within, which is about distances too, stands beside --top."""

    near: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="LON LAT KM",
            help="Print only images whose ground comes at least this near to a longitude and latitude.",
            rich_help_panel=WHERE,
        ),
    ] = None
    same_place: Annotated[
        bool,
        typer.Option(
            "--same-place",
            help="Print the images of other scenes that show the query's place, such as those of other dates, with the "
            "distance of each region to the nearest region there. Two images show the same place if at least half of "
            "the smaller one's ground is common. Each window of a whole scene asks for itself, and the pairs of "
            "windows that differ most come first. The default scheme is then recnn.",
            rich_help_panel=WHERE,
        ),
    ] = False
    elsewhere: Annotated[
        bool,
        typer.Option(
            "--elsewhere",
            help="Leave out images that share ground with the query.",
            rich_help_panel=WHERE,
        ),
    ] = False

    def limits(self, areas: Sequence[str]) -> GeographicLimits | None:
        """Where hits may lie; None for anywhere.

        Args:
            areas: The vector files that --within names.

        Raises:
            typer.BadParameter: There is no such place.
        """
        if self == HitPlaces() and not areas:
            return None
        from rsir_tf.workflows.geographic_limits import GeographicLimits

        with options.usage_errors():
            return GeographicLimits(self.near, tuple(areas), self.same_place, self.elsewhere)


@dataclass(frozen=True)
class MapFiles(OptionGroup):
    """Files that say where the hits lie."""

    geojson: Annotated[
        Path | None,
        typer.Option(
            help="Also write the footprints of the hits into this file, as GeoJSON (RFC 7946). An existing file is "
            "replaced only if this program wrote it.",
            rich_help_panel=MAPS,
        ),
    ] = None
    geoparquet: Annotated[
        Path | None,
        typer.Option(help="The same as GeoParquet 1.1.", rich_help_panel=MAPS),
    ] = None
    matched_regions: Annotated[
        bool,
        typer.Option(
            "--matched-regions",
            help="Write the outlines of the regions that matched, not the footprints. The model is asked for the hits "
            "again. The default scheme is then recnn.",
            rich_help_panel=MAPS,
        ),
    ] = False

    @property
    def any(self) -> bool:
        """Whether there is a file to write."""
        return self.geojson is not None or self.geoparquet is not None


def parse_within(given: Sequence[str] | None) -> tuple[float | None, list[str]]:
    """Tell the distance of --within from its vector files: a number is the distance.

    Returns:
        The distance, None where there is none; and the files.

    Raises:
        typer.BadParameter: There are two distances, or one that is impossible, or no such file.
    """
    distances = [float(text) for text in given or () if _is_number(text)]
    areas = [text for text in given or () if not _is_number(text)]
    for text in areas:
        if not Path(text).exists():
            raise typer.BadParameter(f"--within {text}: wanted a distance, or a file of areas that exists")
    if len(distances) > 1:
        raise typer.BadParameter(f"--within {distances[0]:g} and {distances[1]:g}: wanted one distance")
    if distances and not distances[0] >= 0:
        raise typer.BadParameter(f"--within {distances[0]}: wanted a number of at least 0")
    return (distances[0] if distances else None), areas


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def own_reading(scenes: SceneOptions) -> dict[str, Any]:
    """What the command line says of how queries are read, as `query_image` takes it; the rest is as in the index.

    Raises:
        typer.BadParameter: An option has an impossible value.
    """
    if not scenes.given:
        return {}
    reading = scenes.reading()
    recipe = {field.name: getattr(reading.recipe, field.name) for field in fields(reading.recipe)}
    return {name: value for name, value in {**recipe, "tile_names": reading.tile_names}.items() if value is not None}
