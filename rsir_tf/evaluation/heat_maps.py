"""Heat maps of a report, as the bytes of PNG files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rsir_tf.errors import InputError
from rsir_tf.evaluation.plots import MOST_CELLS, plain, png_file


def heat_map(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colours: str = "Blues",
    row_title: str = "",
    column_title: str = "",
    blanks: bool = True,
) -> bytes:
    """Figures from 0 to 1 as coloured cells with two decimals in them.

    Args:
        values: [R, C], 0..1 or NaN.
        rows: Names of the R rows, top to bottom.
        columns: Names of the C columns.
        colours: A matplotlib colour map, light at 0.
        row_title: What rows are.
        column_title: What columns are.
        blanks: Leave cells of 0 (below .005) and NaN without text; False writes .00 and –.

    Returns:
        A PNG file.

    Raises:
        InputError: Names and values do not fit, or there are none or more than 100 rows or columns.
    """
    from matplotlib.figure import Figure

    table = np.asarray(values, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not 0 < max(table.shape) <= MOST_CELLS or not table.size:
        raise InputError(
            f"values are {list(table.shape)}", wanted=f"[{len(rows)}, {len(columns)}], 1 to {MOST_CELLS} each"
        )
    figure = Figure(figsize=(2.2 + 0.42 * len(columns), 1.8 + 0.26 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table, cmap=colours, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), [plain(name) for name in columns], rotation=45, ha="left", fontsize=8)
    axes.set_yticks(range(len(rows)), [plain(name) for name in rows], fontsize=8)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set_visible(False)
    axes.set(ylabel=row_title, xlabel=column_title)
    # Out of the layout: measuring hundreds of texts that lie inside the axes anyway takes a second.
    shown = np.nan_to_num(table) >= 0.005 if blanks else np.ones_like(table, dtype=bool)
    for row, column in zip(*np.nonzero(shown), strict=True):
        value = table[row, column]
        axes.text(
            column, row, "–" if np.isnan(value) else f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7,
            color="white" if value > 0.55 else "black", in_layout=False,
        )  # fmt: skip
    return png_file(figure)
