"""Plots of a report, as the bytes of PNG files. They use no display and no global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rsir_tf.errors import InputError
from rsir_tf.evaluation.precision import RECALL_LEVELS

MOST_CELLS = 100
"""The largest number of rows or columns of a picture; more cannot be read on a page."""

# The colours of Okabe and Ito, which colour-blind readers can distinguish; their yellow is too light for lines on
# white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F7F7F")
_MARKERS = "osD^vPX<>"


def precision_recall_plot(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Interpolated 11-point precision-recall curves.

    Args:
        curves: Title of a descriptor → precision, 0..1, at recall 0, 0.1, …, 1.

    Returns:
        A PNG file.
    """
    figure, axes = _canvas(7.0, 5.0)
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(RECALL_LEVELS, curve, clip_on=False, zorder=3, **_style(number), label=_plain(name))
    axes.set(xlabel="Recall", ylabel="Precision (interpolated)", xlim=(0, 1), ylim=(0, 1))
    axes.set_xticks(RECALL_LEVELS)
    axes.set_yticks(RECALL_LEVELS)
    axes.grid(color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return _png(figure)


def rounds_plot(curves: Mapping[str, Sequence[float]], ylabel: str) -> bytes:
    """A figure after each round of marking.

    Args:
        curves: Title of a method → its figure, 0..1, before the first round and after each one; NaN where there is
            none.
        ylabel: What the figure is.

    Returns:
        A PNG file.
    """
    figure, axes = _canvas(7.0, 4.2)
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(range(len(curve)), curve, clip_on=False, zorder=3, **_style(number), label=_plain(name))
    axes.set(xlabel="Rounds of marking", ylabel=ylabel, ylim=(0, 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return _png(figure)


def scene_plot(anmrr: Mapping[str, Mapping[str, float]]) -> bytes:
    """ANMRR of each scene class: one row per scene and one mark per descriptor, sorted by the first descriptor.

    Args:
        anmrr: Title of a descriptor → scene class → ANMRR, 0..1.

    Returns:
        A PNG file.

    Raises:
        InputError: There are more than `MOST_CELLS` scene classes.
    """
    first = next(iter(anmrr.values()))
    scenes = sorted({scene for values in anmrr.values() for scene in values}, key=lambda s: (first.get(s, 2.0), s))
    if len(scenes) > MOST_CELLS:
        raise InputError(f"{len(scenes)} scene classes to plot", wanted=f"at most {MOST_CELLS}")
    figure, axes = _canvas(7.0, 1.2 + 0.24 * len(scenes))
    for row, scene in enumerate(scenes):
        found = [values[scene] for values in anmrr.values() if scene in values]
        axes.plot([min(found), max(found)], [row, row], color="#c8c8c8", linewidth=2, zorder=1)
    for number, (name, values) in enumerate(anmrr.items()):
        rows = [row for row, scene in enumerate(scenes) if scene in values]
        style = {**_style(number), "linestyle": "none"}
        places = [values[scenes[row]] for row in rows]
        axes.plot(places, rows, zorder=3, clip_on=False, label=_plain(name), **style)
    axes.set_yticks(range(len(scenes)), [_plain(scene) for scene in scenes])
    axes.set(xlabel="ANMRR (lower is better)", xlim=(0, 1), ylim=(len(scenes) - 0.5, -0.5))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return _png(figure)


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
        row_title: Title of the rows.
        column_title: Title of the columns.
        blanks: True leaves cells with NaN or less than .005 without text; False writes – and .00.

    Returns:
        A PNG file.

    Raises:
        InputError: Names and values do not fit, or there are 0 or more than 100 rows or columns.
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
    axes.set_xticks(range(len(columns)), [_plain(name) for name in columns], rotation=45, ha="left", fontsize=8)
    axes.set_yticks(range(len(rows)), [_plain(name) for name in rows], fontsize=8)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.spines[:].set_visible(False)
    axes.set(ylabel=row_title, xlabel=column_title)
    # The layout ignores these texts: they are inside the axes anyway, and measuring hundreds of them takes a second.
    shown = np.nan_to_num(table) >= 0.005 if blanks else np.ones_like(table, dtype=bool)
    for row, column in zip(*np.nonzero(shown), strict=True):
        value = table[row, column]
        axes.text(
            column, row, "–" if np.isnan(value) else f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7,
            color="white" if value > 0.55 else "black", in_layout=False,
        )  # fmt: skip
    return _png(figure)


def training_plot(epochs: Sequence[int], loss: Sequence[float], figures: Mapping[str, Sequence[float]]) -> bytes:
    """Loss and held-out figures by epoch; only the loss where there are no figures.

    Args:
        epochs: The numbers of the epochs, from 1.
        loss: Loss of each epoch, in nats.
        figures: Title of a figure → its values, 0..1, NaN where an epoch has none.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6) if figures else (4.5, 3.6), layout="constrained")
    left, *held = figure.subplots(1, 2 if figures else 1, squeeze=False)[0]
    left.plot(epochs, loss, marker="o", color=_COLOURS[0])
    left.set(xlabel="epoch", ylabel="training loss (nats)")
    for axes in held:
        for number, (name, values) in enumerate(figures.items()):
            axes.plot(epochs, values, **_style(number), label=_plain(name))
        axes.set(xlabel="epoch", ylabel="on held-out images", ylim=(0, 1))
        axes.legend()
    for axes in (left, *held):
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return _png(figure, dpi=120)


def _canvas(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _style(number: int) -> dict[str, Any]:
    turn = number // len(_COLOURS)
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "marker": _MARKERS[(number + turn) % len(_MARKERS)],
        "markersize": 5.5,
        "linewidth": 1.8,
        "linestyle": "-" if turn % 2 == 0 else "--",
    }


def _plain(text: str) -> str:
    """Escape dollar signs, which matplotlib would read as mathematics."""
    return text.replace("$", r"\$")


def _png(figure: Any, dpi: int = 130) -> bytes:
    """A matplotlib figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
