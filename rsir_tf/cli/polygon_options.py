"""Options for ground truth that is given as polygons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.archives import PolygonOptions

PANEL = "Labels as polygons"


@dataclass(frozen=True)
class LabelPolygonOptions(OptionGroup):
    """Files of polygons, and what they say about the pixels inside and outside."""

    label_polygons: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A GeoPackage, GeoJSON file or shapefile with labelled polygons, in any coordinate reference system. "
            "They take the place of masks. Repeat the option for several files; where polygons overlap, the later file "
            "is on top, and in one file the later polygon. A layer is named as 'FILE|layername=LAYER'.",
            rich_help_panel=PANEL,
        ),
    ] = None
    class_field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The attribute that holds the class of a polygon. Its values are the classes, in alphabetical order, "
            "or in that of --labels FILE.",
            rich_help_panel=PANEL,
        ),
    ] = None
    class_name: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The class of all polygons, if they have no attribute for it.",
            rich_help_panel=PANEL,
        ),
    ] = None
    outside: Annotated[
        str | None,
        typer.Option(
            metavar="void|CLASS",
            help="What lies outside all polygons: a class, if everything of interest was drawn; void, if it is not "
            "known. Needed with --label-polygons.",
            rich_help_panel=PANEL,
        ),
    ] = None

    def chosen(self) -> PolygonOptions | None:
        """What was given; None without --label-polygons.

        Raises:
            typer.BadParameter: Options are missing, or cannot go together.
        """
        from rsir_tf.archives import PolygonOptions
        from rsir_tf.cli.options import usage_errors

        if not self.label_polygons:
            for name in ("class_field", "class_name", "outside"):
                if getattr(self, name) is not None:
                    raise typer.BadParameter(
                        f"--{name.replace('_', '-')}: is about polygons; give --label-polygons too"
                    )
            return None
        with usage_errors():
            return PolygonOptions(tuple(map(str, self.label_polygons)), self.class_field, self.class_name, self.outside)
