"""Plots of a report, as the bytes of PNG files. No display and no global state is used."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rsir_tf.errors import InputError
from rsir_tf.evaluation.precision import RECALL_LEVELS
from rsir_tf.evaluation.published import SCHEME_TITLES

MOST_CELLS = 100
"""Rows or columns of a picture; more cannot be read on a page."""

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is too light for lines on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F7F7F")
_MARKERS = "osD^vPX<>"


def precision_recall_plot(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Interpolated 11-point precision-recall curves.

    Args:
        curves: From a scheme's name to precision, 0..1, at recall 0, 0.1, …, 1.

    Returns:
        A PNG file.
    """
    figure, axes = _canvas(7.0, 5.0)
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(
            RECALL_LEVELS, curve, clip_on=False, zorder=3, **_style(number), label=plain(SCHEME_TITLES.get(name, name))
        )
    axes.set(xlabel="Recall", ylabel="Precision (interpolated)", xlim=(0, 1), ylim=(0, 1))
    axes.set_xticks(RECALL_LEVELS)
    axes.set_yticks(RECALL_LEVELS)
    axes.grid(color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return png_file(figure)


def scene_plot(anmrr: Mapping[str, Mapping[str, float]]) -> bytes:
    """ANMRR of each scene class, one row a scene and one mark a scheme; the first scheme's best scene on top.

    Args:
        anmrr: From a scheme's name to ANMRR, 0..1, by scene class.

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
        axes.plot(places, rows, zorder=3, clip_on=False, label=plain(SCHEME_TITLES.get(name, name)), **style)
    axes.set_yticks(range(len(scenes)), [plain(scene) for scene in scenes])
    axes.set(xlabel="ANMRR (lower is better)", xlim=(0, 1), ylim=(len(scenes) - 0.5, -0.5))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return png_file(figure)


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


def plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs in names as mathematics."""
    return text.replace("$", r"\$")


def png_file(figure: Any) -> bytes:
    """A matplotlib figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()
