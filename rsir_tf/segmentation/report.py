"""What a run reached: scores on whole test images, curves, and pictures of image, prediction and truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rsir_tf.archives.records import Archive
from rsir_tf.artifacts import write_json, written_aside
from rsir_tf.pictures import Tile, colour_map, save_png, sheet
from rsir_tf.segmentation.data import PairReader
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.runs import Run, load_best
from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES = 6
"""Test images on the sheet of examples, spread evenly over the test part."""


def write_run_report(
    run: Run, test: Archive, *, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Any] | None:
    """Score the run's best network on whole test images and write `report/` into the run's folder.

    Files: `scores.json`, `report.md`, `curves.png`, `examples.png`; each replaced atomically.

    Args:
        run: With at least one ended epoch.
        test: The test part, with masks.
        progress: Called after each image.

    Returns:
        The scores as in `scores.json`; None where the test part is empty (only the curves are written then).

    Raises:
        ArtifactError: There is no checkpoint, or the folder cannot be written.
    """
    folder = run.path / "report"
    history = run.history()
    _write_curves(folder / "curves.png", history)
    if not len(test):
        return None
    network = load_best(run)
    scores, examples = _look_at_all(network, PairReader(test.records, run.label_set), run, progress)
    checkpoint = run.best.name if run.best else "none"
    content = {
        **scores.to_json(run.label_set.names),
        "images": len(test),
        "epochs": len(history),
        "checkpoint": checkpoint,
    }
    legend = list(zip(run.label_set.names, run.label_set.colours, strict=True))
    save_png(folder / "examples.png", sheet(examples, title="Image, prediction, truth", legend=legend))
    with written_aside(folder / "report.md", replace=True) as aside:
        aside.write_text(_markdown(content, history), encoding="utf-8")
    write_json(folder / "scores.json", content)
    return content


def _look_at_all(
    network: keras.Model, reader: PairReader, run: Run, progress: Callable[[int, int, str], None] | None
) -> tuple[SegmentationScores, list[list[Tile]]]:
    classes, colours = run.architecture.classes, run.label_set.colours
    confusion = np.zeros((classes, classes), np.int64)
    chosen = {round(i) for i in np.linspace(0, len(reader) - 1, min(PICTURES, len(reader)))}
    examples = []
    for index, record in enumerate(reader.records):
        image, truth = reader.read(index)
        prediction = segment(network, image)
        confusion += confusion_matrix(truth, prediction, classes)
        if index in chosen:
            examples.append(
                [
                    Tile(image, (record.id,)),
                    Tile(
                        colour_map(prediction, colours),
                        (f"predicted, {_agreement(truth, prediction, classes)}",),
                        smooth=False,
                    ),
                    Tile(colour_map(truth, colours), ("truth",), smooth=False),
                ]
            )
        if progress:
            progress(index + 1, len(reader), "scoring whole test images")
    return segmentation_scores(confusion), examples


def _agreement(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> str:
    counts = truth < classes
    return f"{np.mean(truth[counts] == prediction[counts]):.0%} of pixels right" if counts.any() else "no pixel counts"


def _markdown(scores: dict[str, Any], history: list[dict[str, Any]]) -> str:
    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    lines = [
        "# Training report",
        "",
        f"{scores['images']} whole test images, {scores['pixels']:,} pixels; checkpoint {scores['checkpoint']}.",
        "",
    ]
    lines += ["| pixel accuracy | mean accuracy | mean IU | frequency-weighted IU |", "|---|---|---|---|"]
    names = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")
    lines += ["| " + " | ".join(number(scores[name]) for name in names) + " |", "", "| class | IU |", "|---|---|"]
    lines += [f"| {name} | {number(value)} |" for name, value in scores["class_iu"].items()]
    lines += ["", "![curves](curves.png)", "", "![image, prediction, truth](examples.png)", ""]
    lines += ["| epoch | loss | mean IU (windows) | images/s | seconds |", "|---|---|---|---|---|"]
    for entry in history:
        cells = [entry["epoch"], f"{entry['loss']:.4f}", number(entry["mean_iu"])]
        cells += [entry["images_per_second"], entry["seconds"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _write_curves(path: Path, history: list[dict[str, Any]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = [entry["epoch"] for entry in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, iu = figure.subplots(1, 2)
    loss.plot(epochs, [entry["loss"] for entry in history], marker="o", color="#1e5ac8")
    loss.set(xlabel="epoch", ylabel="training loss (nats a pixel)")
    for name, colour in (("mean_iu", "#228b44"), ("pixel_accuracy", "#b26a00")):
        iu.plot(epochs, [entry[name] for entry in history], marker="o", label=name.replace("_", " "), color=colour)
    iu.set(xlabel="epoch", ylabel="on the validation windows", ylim=(0, 1))
    iu.legend()
    for axes in (loss, iu):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    with written_aside(path, replace=True) as aside:
        figure.savefig(aside, dpi=120, format="png")
