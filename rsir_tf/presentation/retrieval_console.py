"""What an evaluation found, as the command line prints it: descriptors by the names that options have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rsir_tf.evaluation import Evaluation
from rsir_tf.presentation.retrieval_tables import graded_title
from rsir_tf.presentation.tables import Table, console_table, number

DIGITS = 4

_RELEVANT = {"scene": "same scene", "tags": "a shared tag", "jaccard": "tags alike (Jaccard index)"}


def console_figures(evaluation: Evaluation) -> list[str]:
    """The lines that say what was evaluated, and ANMRR, mAP and P@k of each descriptor."""
    relevant = _RELEVANT.get(evaluation.relevance, evaluation.relevance)
    if "jaccard_at" in evaluation.details:
        relevant += f" from {evaluation.details['jaccard_at']:g} on"
    found = f"{evaluation.queries} queries, {evaluation.archive} images ranked, relevant: {relevant}"
    schemes = evaluation.schemes
    cutoffs = next(iter(schemes.values())).precision
    rows = {name: [figures.anmrr, figures.map, *figures.precision.values()] for name, figures in schemes.items()}
    return [found, *_lines(["ANMRR", "mAP", *(f"P@{k}" for k in cutoffs)], rows)]


def console_tag_figures(evaluation: Evaluation) -> list[str]:
    """The lines on figures that are graded by shared tags, and on the tags that segmentations show; none without."""
    lines = []
    graded = {name: figures.graded for name, figures in evaluation.schemes.items() if figures.graded}
    if graded:
        keys = sorted(next(iter(graded.values())), key=lambda key: key != "wap")
        lines += ["graded by shared tags"]
        lines += _lines(
            [graded_title(key) for key in keys], {name: [own[key] for key in keys] for name, own in graded.items()}
        )
    if evaluation.shown_tags is not None:
        shown = evaluation.shown_tags.to_json()
        loss = number(shown.pop("hamming_loss"), DIGITS)
        lines += [f"tags that the segmentations show, against the images' own: Hamming loss {loss}"]
        titles = ["accuracy", "precision", "recall", "F1"]
        lines += _lines(titles, {average: list(figures.values()) for average, figures in shown.items()})
    return lines


def _lines(titles: Sequence[str], rows: Mapping[str, Sequence[float]]) -> list[str]:
    cells = [[name, *(number(value, DIGITS) for value in values)] for name, values in rows.items()]
    return console_table(Table(["", *titles], cells, figures=True))
