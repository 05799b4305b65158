"""Options of `rsir-tf query` for a map of how near each place of a scene is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.option_groups import OptionGroup
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index
    from rsir_tf.workflows import QueryResult


class By(str, Enum):
    """What a place of a map is."""

    windows = "windows"
    cells = "cells"


PANEL = "A map of how near each place of a scene is"


@dataclass(frozen=True)
class Heatmap(OptionGroup):
    """The scene, the file of its map, and what is compared."""

    heatmap: Annotated[
        str | None,
        typer.Option(
            metavar="SCENE",
            help="Also measure how near each place of this scene (a file or URL) is to the query, or to the region "
            "that --at or --region picks. The scene is read as the images of the index were. Windows that the index "
            "has are not described again.",
            rich_help_panel=PANEL,
        ),
    ] = None
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --heatmap: the map, a GeoTIFF (.tif) of distances on the scene's own ground. A picture of it is "
            "written beside it (.png). Existing files are replaced only if they are such files.",
            rich_help_panel=PANEL,
        ),
    ] = None
    heatmap_by: Annotated[
        By | None,
        typer.Option(
            help="With --heatmap: what a place is. windows: a window of the scene, which is compared as the images of "
            "the index are. cells: 16×16 pixels, around which a square as large as the region is compared with it. The "
            "default is cells if a region is picked, otherwise windows.",
            rich_help_panel=PANEL,
        ),
    ] = None
    overlap: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="With --heatmap: how many pixels two neighbouring windows share. The more, the finer the map. The "
            "default is that of the index.",
            rich_help_panel=PANEL,
        ),
    ] = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written: the map and its picture, or nothing."""
        return () if self.to is None else (self.to, self.to.with_suffix(".png"))

    def check(self, *, several: bool, staged: bool, force: bool) -> None:
        """Refuse options that cannot go together, and files that must not be written over, before the work.

        Raises:
            typer.BadParameter: Options do not go together, or a file has another ending.
            InputError: The scene is no raster file.
            ArtifactError: A file is in the way.
        """
        if self.heatmap is None or self.to is None:
            if self != Heatmap():
                raise typer.BadParameter("--heatmap SCENE and --to FILE: give both, or none of these options")
            return
        if several:
            raise typer.BadParameter("--heatmap is for one image")
        if staged:
            raise typer.BadParameter("--heatmap maps the distances of one scheme: leave --expand, --mix, --rerank out")
        from rsir_tf.presentation.maps.similarity import check_raster_target
        from rsir_tf.presentation.picture_files import check_picture_target
        from rsir_tf.rasters import is_url, open_dataset

        with options.usage_errors():
            check_raster_target(self.to, force=force)
            check_picture_target(self.files[1], force=force)
        if not is_url(self.heatmap):
            with open_dataset(self.heatmap):  # A wrong path is told before the search.
                pass

    def write(
        self,
        result: QueryResult,
        index: Index,
        model: Model,
        own: Mapping[str, Any],
        tile: int | None,
        one_region: bool,
    ) -> None:
        """Measure the scene and write its map, if one is asked for.

        Args:
            result: From `query_image`.
            index: That was asked.
            model: That was asked.
            own: What the command line says of how queries are read; the rest is as in the index.
            tile: Side of a window of the scene; None takes that of the index.
            one_region: Whether a region was picked.
        """
        if self.heatmap is None or self.to is None:
            return
        from rsir_tf.rasters import Tiling
        from rsir_tf.workflows import similarity_map, write_similarity_map
        from rsir_tf.workflows.query_windows import query_reading

        reading = query_reading(index, own)
        tiling = reading.tiling
        with options.usage_errors():
            if tile is not None:
                tiling = Tiling(tile) if tiling is None else replace(tiling, tile=tile, overlap=0)
            if self.overlap is not None and tiling is not None:
                tiling = replace(tiling, overlap=self.overlap)
        cells = self.heatmap_by is By.cells if self.heatmap_by else one_region
        with console.progress("measuring") as tell:
            found = similarity_map(
                result,
                self.heatmap,
                index,
                model,
                by="cells" if cells else "windows",
                reading=replace(reading, tiling=tiling),
                progress=tell,
            )
        if found.place is None:
            console.say(f"{self.heatmap}: nothing says where on Earth it lies, so that the map has no place either")
        picture = write_similarity_map(found, self.to)
        whence = "" if cells else f"; {counted(found.held, 'window')} from the index, {found.described} from the model"
        console.say(f"wrote {self.to} and {picture}{whence}")
