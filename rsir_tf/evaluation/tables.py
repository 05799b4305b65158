"""An evaluation as Markdown: settings, the table of figures, intervals, curves, figures by scene."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rsir_tf.evaluation.figures import INTERVAL_LEVEL, TIMED_QUERIES, Evaluation, SchemeFigures
from rsir_tf.evaluation.plots import MOST_CELLS
from rsir_tf.evaluation.precision import RECALL_LEVELS
from rsir_tf.evaluation.published import SCHEME_TITLES, PublishedRow
from rsir_tf.evaluation.rank_error import anmrr_variant
from rsir_tf.evaluation.significance import PairedTests

MISSING = "–"
"""Stands for a figure that does not exist, such as P@50 where 40 images are ranked."""


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many decimals, or "–" where there is none."""
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def in_words(key: str) -> str:
    """A key of a report's JSON as people read it."""
    return key.replace("_", " ")


def figures_table(
    evaluation: Evaluation, published: Mapping[str, PublishedRow] | None = None
) -> tuple[list[str], list[list[str]]]:
    """The main table: a row a scheme, and below it the published row where there is one.

    Args:
        evaluation: What was found.
        published: From a scheme's name to its published figures.

    Returns:
        Header and rows, cells as text: descriptor, ANMRR, mAP, P@k.
    """
    cutoffs = _cutoffs(evaluation)
    header = ["Descriptor", "ANMRR", "mAP", *(f"P@{k}" for k in cutoffs)]
    rows = []
    for name, figures in evaluation.schemes.items():
        title = SCHEME_TITLES.get(name, name)
        rows.append([title, *_cells(figures, cutoffs)])
        if published is not None and name in published:
            rows.append([f"{title} (published)", *_cells(published[name], cutoffs)])
    return header, rows


def figures_csv(evaluation: Evaluation, published: Mapping[str, PublishedRow] | None = None) -> str:
    """The main table for spreadsheets and programs: all digits, an empty cell where there is no figure.

    Args:
        evaluation: What was found.
        published: From a scheme's name to its published figures.

    Returns:
        CSV, lines ending in a line feed: descriptor, source ("measured" or "published"), anmrr, map, p_at_k,
        recall_at_k, the graded figures, and what each descriptor cost.
    """
    cutoffs = _cutoffs(evaluation)
    schemes = evaluation.schemes.values()
    recalls = sorted({k for figures in schemes for k in figures.recall})
    graded = list(dict.fromkeys(name for figures in schemes for name in figures.graded))
    costs = sorted({name for figures in schemes for name in figures.costs})
    further = [*(f"recall_at_{k}" for k in recalls), *graded, *costs]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["descriptor", "source", "anmrr", "map", *(f"p_at_{k}" for k in cutoffs), *further])
    for name, figures in evaluation.schemes.items():
        values = [figures.recall.get(k) for k in recalls] + [figures.graded.get(key) for key in graded]
        values += [figures.costs.get(cost) for cost in costs]
        writer.writerow([name, "measured", *_numbers(figures, cutoffs), *map(_exact, values)])
        if published is not None and name in published:
            writer.writerow([name, "published", *_numbers(published[name], cutoffs), *("" for _ in further)])
    return text.getvalue()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, the others right; bars in cells are escaped."""
    aligned = [":--", *["--:"] * (len(header) - 1)]
    lines = [[_cell(text) for text in header], aligned, *([_cell(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def settings(evaluation: Evaluation) -> list[str]:
    """What the figures depend on, a sentence each."""
    variant = anmrr_variant(evaluation.anmrr_variant)
    relevance = {
        "scene": "it shows the query's scene class",
        "tags": "it shares a tag with the query",
        "jaccard": "the Jaccard index of its tags and the query's is high enough (jaccard_at)",
    }
    lines = [
        f"{evaluation.queries} queries, each ranking {evaluation.archive} images.",
        f"An image is relevant where {relevance.get(evaluation.relevance, evaluation.relevance)}.",
        "The query itself is in its ranking and counts as relevant."
        if evaluation.query_counts
        else "The query itself is not in its ranking.",
        f'ANMRR variant "{variant.name}": {variant.definition}.',
    ]
    if evaluation.left_out:
        lines.append(f"Queries without a relevant image, which are in no figure: {evaluation.left_out}.")
    for key, value in evaluation.details.items():
        lines.append(f"{key}: {_plain(value)}")
    return lines


def _plain(value: Any) -> str:
    """JSON types as words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(own)}" for name, own in value.items())
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def scene_table(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """ANMRR and mAP by scene class: header and rows, cells as text; no row where queries have no scene."""
    scenes = sorted({scene for figures in evaluation.schemes.values() for scene in figures.by_scene})
    header = ["Scene", "Queries"]
    for name in evaluation.schemes:
        title = SCHEME_TITLES.get(name, name)
        header += [f"{title} ANMRR", f"{title} mAP"]
    rows = []
    for scene in scenes:
        found = [figures.by_scene.get(scene) for figures in evaluation.schemes.values()]
        row = [scene, str(max(figures.queries for figures in found if figures is not None))]
        for figures in found:
            row += [MISSING, MISSING] if figures is None else [number(figures.anmrr), number(figures.map)]
        rows.append(row)
    return header, rows


def scene_plot_left_out(evaluation: Evaluation) -> str | None:
    """A sentence where there are too many scene classes for a picture of them; None where there are not."""
    scenes = {scene for figures in evaluation.schemes.values() for scene in figures.by_scene}
    if len(scenes) <= MOST_CELLS:
        return None
    return f"The plot of ANMRR by scene class is left out: {len(scenes)} classes are more than {MOST_CELLS}."


def markdown(
    evaluation: Evaluation,
    *,
    title: str,
    published: Mapping[str, PublishedRow] | None = None,
    remarks: Sequence[str] = (),
    tests: PairedTests | None = None,
) -> str:
    """The whole report as Markdown; it refers to `precision_recall.png` and, where it has been drawn, `scenes.png`."""
    parts = [f"# {_cell(title)}", "\n".join(f"- {_cell(line)}" for line in settings(evaluation))]
    parts.append(markdown_table(*figures_table(evaluation, published)))
    parts.append("ANMRR: lower is better. All others: higher is better.")
    if published is not None and any(name in published for name in evaluation.schemes):
        parts.append(
            "Published rows: Table I of the paper of ReCNN and ReCNN+, 420 queries on UC Merced with its own split, "
            "network and training; they are no figures of this run."
        )
    if remarks:
        parts += ["## Remarks", "\n".join(f"- {_cell(line)}" for line in remarks)]
    header, rows = interval_table(evaluation)
    if rows:
        parts += [f"## {INTERVAL_LEVEL:.0%} bootstrap intervals over queries", markdown_table(header, rows)]
    if tests is not None:
        parts += ["## Paired tests", tests.sentence(), markdown_table(*paired_test_table(tests))]
    curves = [
        [SCHEME_TITLES.get(name, name), *(number(value) for value in figures.pr_curve)]
        for name, figures in evaluation.schemes.items()
    ]
    parts += ["## Interpolated 11-point precision-recall curves", "![Precision over recall](precision_recall.png)"]
    parts.append(markdown_table(["Recall", *(f"{level:.1f}" for level in RECALL_LEVELS)], curves))
    header, rows = scene_table(evaluation)
    if rows:
        picture = scene_plot_left_out(evaluation) or "![ANMRR of each scene class](scenes.png)"
        parts += ["## By scene class", picture, markdown_table(header, rows)]
    graded = list(dict.fromkeys(name for figures in evaluation.schemes.values() for name in figures.graded))
    if graded:
        table = [
            [SCHEME_TITLES.get(name, name), *(number(f.graded.get(key)) for key in graded)]
            for name, f in evaluation.schemes.items()
        ]
        parts += ["## Graded by shared tags", markdown_table(["Descriptor", *graded], table)]
    if evaluation.shown_tags is not None:
        averages = evaluation.shown_tags.to_json()
        loss = averages.pop("hamming_loss")
        table = [[name, *(number(value) for value in own.values())] for name, own in averages.items()]
        parts += ["## Tags that the segmentations show, against the images' own", f"Hamming loss: {number(loss)}."]
        parts.append(markdown_table(["Average", "Accuracy", "Precision", "Recall", "F1"], table))
    costs = sorted({name for figures in evaluation.schemes.values() for name in figures.costs})
    if costs:
        table = [
            [SCHEME_TITLES.get(name, name), *(f"{f.costs[cost]:.4g}" if cost in f.costs else MISSING for cost in costs)]
            for name, f in evaluation.schemes.items()
        ]
        parts += [
            "## What it costs",
            markdown_table(["Descriptor", *map(in_words, costs)], table),
            costs_words(evaluation),
        ]
    return "\n\n".join(parts) + "\n"


def costs_words(evaluation: Evaluation) -> str:
    """How the costs were measured: a sentence on each that a scheme has, the same in every report."""
    timed = min(TIMED_QUERIES, evaluation.queries)
    words = {
        "bytes_per_image": "Bytes per image: its vectors, as they are kept.",
        "seconds_per_query": (
            f"Seconds per query: of a core's time, searching {evaluation.queries} images and ranking all of them for "
            f"the first {timed} queries, once more and by itself, with all vectors in memory."
        ),
        "seconds_per_image": (
            "Seconds per image: describing it, of a core's time, without reading it; of ReCNN and ReCNN+ the whole of "
            "indexing by the clock, where this command did it."
        ),
    }
    known = {name for figures in evaluation.schemes.values() for name in figures.costs}
    return " ".join(sentence for name, sentence in words.items() if name in known)


def paired_test_table(tests: PairedTests) -> tuple[list[str], list[list[str]]]:
    """The paired tests: header and rows, cells as text; p-values with four decimals."""
    rows = [
        [SCHEME_TITLES.get(name, name), f"{p:.4f}", f"{tests.corrected[name]:.4f}"]
        for name, p in tests.p_values.items()
    ]
    return ["Descriptor", "p", "p (Holm)"], rows


def interval_table(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Bootstrap intervals: header and rows, cells as text; no row where no scheme has any."""
    cutoffs = _cutoffs(evaluation)
    rows = []
    for name, figures in evaluation.schemes.items():
        if not figures.intervals:
            continue
        found = [figures.intervals.get(key) for key in ("anmrr", "map", *(f"p_at_{k}" for k in cutoffs))]
        cells = [MISSING if pair is None else f"{number(pair[0])} to {number(pair[1])}" for pair in found]
        rows.append([SCHEME_TITLES.get(name, name), *cells])
    return ["Descriptor", "ANMRR", "mAP", *(f"P@{k}" for k in cutoffs)], rows


def _cutoffs(evaluation: Evaluation) -> list[int]:
    return sorted({k for figures in evaluation.schemes.values() for k in figures.precision})


def _numbers(figures: SchemeFigures | PublishedRow, cutoffs: Sequence[int]) -> list[str]:
    return [_exact(value) for value in (figures.anmrr, figures.map, *(figures.precision.get(k) for k in cutoffs))]


def _exact(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _cells(figures: SchemeFigures | PublishedRow, cutoffs: Sequence[int]) -> list[str]:
    return [number(figures.anmrr), number(figures.map), *(number(figures.precision.get(k)) for k in cutoffs)]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
