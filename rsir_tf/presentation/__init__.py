"""Everything that people look at: pictures, sheets, plots, tables, reports and pages. Nothing here computes a figure.

drawing, text, fonts   class maps, outlines, scaling; lines of text that fit
sheets             rows of captioned tiles
badges, contact_sheets, extremes  a query and its hits; the best and worst queries
scale_bars         a scale bar and an arrow to the north, for pictures with a place
plots              curves, scenes, heat maps
tables             one table, written as Markdown or for the console
page               sections on a static HTML page, from a template
retrieval_tables, retrieval_report, retrieval_console   what an evaluation found
comparison_page    what a comparison found
training_report    what a training run reached
maps/              files for geographic information systems

Attributes load their file at their first use: a table for the console does not load the code for plots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    name: f"rsir_tf.presentation.{module}"
    for module, names in {
        "drawing": (
            "VOID_COLOUR", "Colour", "blend", "colour_map", "outline", "png_bytes", "save_png", "scale", "scaled_size",
        ),
        "scale_bars": ("Ground", "ground_of"),
        "sheets": ("Tile", "legend", "sheet"),
        "contact_sheets": ("SheetItem", "contact_sheet", "no_picture"),
        "extremes": ("ShownImage", "extremes_sheet"),
        "plots": ("MOST_CELLS", "heat_map", "precision_recall_plot", "scene_plot"),
        "tables": ("Table", "console_table", "markdown_table"),
        "page": ("Output", "Picture", "Section", "write_page"),
        "retrieval_report": ("check_report_target", "write_report"),
    }.items()
    for name in names
}  # fmt: skip

__all__ = [
    "MOST_CELLS",
    "VOID_COLOUR",
    "Colour",
    "Ground",
    "Output",
    "Picture",
    "Section",
    "SheetItem",
    "ShownImage",
    "Table",
    "Tile",
    "blend",
    "check_report_target",
    "colour_map",
    "console_table",
    "contact_sheet",
    "extremes_sheet",
    "ground_of",
    "heat_map",
    "legend",
    "markdown_table",
    "no_picture",
    "outline",
    "png_bytes",
    "precision_recall_plot",
    "save_png",
    "scale",
    "scaled_size",
    "scene_plot",
    "sheet",
    "write_page",
    "write_report",
]

if TYPE_CHECKING:
    from rsir_tf.presentation.contact_sheets import SheetItem, contact_sheet, no_picture
    from rsir_tf.presentation.drawing import (
        VOID_COLOUR,
        Colour,
        blend,
        colour_map,
        outline,
        png_bytes,
        save_png,
        scale,
        scaled_size,
    )
    from rsir_tf.presentation.extremes import ShownImage, extremes_sheet
    from rsir_tf.presentation.page import Output, Picture, Section, write_page
    from rsir_tf.presentation.plots import MOST_CELLS, heat_map, precision_recall_plot, scene_plot
    from rsir_tf.presentation.retrieval_report import check_report_target, write_report
    from rsir_tf.presentation.scale_bars import Ground, ground_of
    from rsir_tf.presentation.sheets import Tile, legend, sheet
    from rsir_tf.presentation.tables import Table, console_table, markdown_table

__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
