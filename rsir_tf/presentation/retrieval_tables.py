"""The tables of retrieval figures, for Markdown, pages and spreadsheets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from rsir_tf.evaluation import Evaluation, PairedTests, PublishedRow, SchemeFigures
from rsir_tf.evaluation.figures import INTERVAL_LEVEL, TIMED_QUERIES
from rsir_tf.evaluation.precision import RECALL_LEVELS
from rsir_tf.presentation.plots import MOST_CELLS
from rsir_tf.presentation.tables import MISSING, Table, number

ANMRR_NOTE = "ANMRR: lower is better. All others: higher is better."

DESCRIPTOR = "Descriptor"
"""Title of the first column of most tables."""


def figures_table(evaluation: Evaluation, published: Mapping[str, PublishedRow] | None = None) -> Table:
    """The main table: ANMRR, mAP and P@k of each descriptor, followed by the published row if there is one.

    Args:
        evaluation: What was found.
        published: From a descriptor's name to its published figures.
    """
    cutoffs = _cutoffs(evaluation)
    rows = []
    for name, figures in evaluation.schemes.items():
        rows.append([evaluation.title_of(name), *map(number, _main_figures(figures, cutoffs))])
        if published is not None and name in published:
            rows.append(
                [f"{evaluation.title_of(name)} (published)", *map(number, _main_figures(published[name], cutoffs))]
            )
    return Table([DESCRIPTOR, "ANMRR", "mAP", *(f"P@{k}" for k in cutoffs)], rows, figures=True)


def figures_csv(evaluation: Evaluation, published: Mapping[str, PublishedRow] | None = None) -> str:
    """The main table for spreadsheets and programs: all digits, an empty cell where there is no figure.

    Args:
        evaluation: What was found.
        published: From a descriptor's name to its published figures.

    Returns:
        CSV, lines ending in a line feed: descriptor, source ("measured" or "published"), anmrr, map, p_at_k,
        recall_at_k, the graded figures, and what each descriptor cost.
    """
    cutoffs = _cutoffs(evaluation)
    schemes = evaluation.schemes.values()
    recalls = sorted({k for figures in schemes for k in figures.recall})
    graded, costs = _names(f.graded for f in schemes), sorted(_names(f.costs for f in schemes))
    further = [*(f"recall_at_{k}" for k in recalls), *graded, *costs]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["descriptor", "source", "anmrr", "map", *(f"p_at_{k}" for k in cutoffs), *further])
    for name, figures in evaluation.schemes.items():
        values = [*_main_figures(figures, cutoffs), *(figures.recall.get(k) for k in recalls)]
        values += [figures.graded.get(key) for key in graded] + [figures.costs.get(cost) for cost in costs]
        writer.writerow([name, "measured", *map(_exact, values)])
        if published is not None and name in published:
            known = map(_exact, _main_figures(published[name], cutoffs))
            writer.writerow([name, "published", *known, *("" for _ in further)])
    return text.getvalue()


def interval_table(evaluation: Evaluation) -> Table | None:
    """Bootstrap intervals; None where no descriptor has any."""
    cutoffs = _cutoffs(evaluation)
    rows = []
    for name, figures in evaluation.schemes.items():
        if figures.intervals:
            found = [figures.intervals.get(key) for key in ("anmrr", "map", *(f"p_at_{k}" for k in cutoffs))]
            cells = [MISSING if pair is None else f"{number(pair[0])} to {number(pair[1])}" for pair in found]
            rows.append([evaluation.title_of(name), *cells])
    header = [DESCRIPTOR, "ANMRR", "mAP", *(f"P@{k}" for k in cutoffs)]
    caption = f"{INTERVAL_LEVEL:.0%} bootstrap intervals over queries"
    return Table(header, rows, caption, figures=True) if rows else None


def paired_test_table(evaluation: Evaluation, tests: PairedTests) -> Table:
    """The paired tests; p-values with four decimals."""
    rows = [
        [evaluation.title_of(name), f"{p:.4f}", f"{tests.corrected[name]:.4f}"] for name, p in tests.p_values.items()
    ]
    return Table([DESCRIPTOR, "p", "p (Holm)"], rows, "Paired tests", figures=True)


def paired_test_sentence(evaluation: Evaluation, tests: PairedTests) -> str:
    """What was tested, and how to read the result."""
    chosen = (
        ", the best by mAP, which was chosen on the same queries: the p-values are too small for a claim about it"
        if tests.chosen_as_best
        else ""
    )
    tests_here = "the one test" if len(tests.p_values) == 1 else f"the {len(tests.p_values)} tests"
    return (
        f"Paired randomisation tests of AP, two-sided, against {evaluation.title_of(tests.against)}{chosen}; "
        f"Holm's correction is over {tests_here} of this table."
    )


def curve_table(evaluation: Evaluation) -> Table:
    """The interpolated 11-point precision-recall curve of each descriptor."""
    rows = [[evaluation.title_of(name), *map(number, figures.pr_curve)] for name, figures in evaluation.schemes.items()]
    caption = "Interpolated 11-point precision-recall curves"
    return Table(["Recall", *(f"{level:.1f}" for level in RECALL_LEVELS)], rows, caption, figures=True)


def scene_table(evaluation: Evaluation) -> Table | None:
    """ANMRR and mAP by scene class; None where queries have no scene."""
    schemes = evaluation.schemes
    titles = [f"{evaluation.title_of(name)} {figure}" for name in schemes for figure in ("ANMRR", "mAP")]
    rows = []
    for scene in sorted(_names(figures.by_scene for figures in schemes.values())):
        found = [figures.by_scene.get(scene) for figures in schemes.values()]
        queries = max(figures.queries for figures in found if figures is not None)
        cells = [(MISSING, MISSING) if own is None else (number(own.anmrr), number(own.map)) for own in found]
        rows.append([scene, f"{queries}", *(cell for pair in cells for cell in pair)])
    return Table(["Scene", "Queries", *titles], rows, "By scene class", figures=True) if rows else None


def scene_plot_left_out(evaluation: Evaluation) -> str | None:
    """A sentence that says that there are too many scene classes for a plot; None where there are not."""
    scenes = _names(figures.by_scene for figures in evaluation.schemes.values())
    if len(scenes) <= MOST_CELLS:
        return None
    return f"The plot of ANMRR by scene class is left out: {len(scenes)} classes are more than {MOST_CELLS}."


def graded_table(evaluation: Evaluation) -> Table | None:
    """Figures graded by shared tags; None where no descriptor has any."""
    names = _names(figures.graded for figures in evaluation.schemes.values())
    rows = [
        [evaluation.title_of(name), *(number(f.graded.get(key)) for key in names)]
        for name, f in evaluation.schemes.items()
    ]
    return (
        Table([DESCRIPTOR, *map(graded_title, names)], rows, "Graded by shared tags", figures=True) if names else None
    )


def graded_title(name: str) -> str:
    """How tables spell a figure that is graded by shared tags: "acg_at_10" is ACG@10."""
    return name.upper().replace("_AT_", "@")


def shown_tags_table(evaluation: Evaluation) -> Table | None:
    """How well the classes in the segmentations agree with the images' tags; None where that is not known."""
    if evaluation.shown_tags is None:
        return None
    figures = evaluation.shown_tags.to_json()
    loss = figures.pop("hamming_loss")
    rows = [[average, *map(number, own.values())] for average, own in figures.items()]
    caption = f"Tags in the segmentations, compared with the images' own tags: Hamming loss {number(loss)}"
    return Table(["Average", "Accuracy", "Precision", "Recall", "F1"], rows, caption, figures=True)


def costs_table(evaluation: Evaluation) -> Table | None:
    """What each descriptor costs; None where costs were not measured."""
    names = sorted(_names(figures.costs for figures in evaluation.schemes.values()))
    rows = [
        [evaluation.title_of(name), *(f"{f.costs[cost]:.4g}" if cost in f.costs else MISSING for cost in names)]
        for name, f in evaluation.schemes.items()
    ]
    return (
        Table([DESCRIPTOR, *(name.replace("_", " ") for name in names)], rows, "Costs", figures=True) if names else None
    )


def costs_words(evaluation: Evaluation) -> str:
    """How the costs were measured: one sentence for each cost in the table, the same in every report."""
    timed = min(TIMED_QUERIES, evaluation.queries)
    words = {
        "bytes_per_image": "Bytes per image: the size of its stored vectors.",
        "seconds_per_query": (
            f"Seconds per query: time on one core for searching {evaluation.queries} images and ranking all of them, "
            f"measured separately for the first {timed} queries, with all vectors in memory."
        ),
        "seconds_per_image": (
            "Seconds per image: time on one core for describing it, without reading it. For descriptors from an index: "
            "elapsed time of the whole indexing, if this command did it."
        ),
    }
    known = _names(figures.costs for figures in evaluation.schemes.values())
    return " ".join(sentence for name, sentence in words.items() if name in known)


def _names(found: Iterable[Mapping[str, object]]) -> list[str]:
    """Each name once, in the order of its first appearance."""
    return list(dict.fromkeys(name for own in found for name in own))


def _cutoffs(evaluation: Evaluation) -> list[int]:
    return sorted({k for figures in evaluation.schemes.values() for k in figures.precision})


def _main_figures(figures: SchemeFigures | PublishedRow, cutoffs: Sequence[int]) -> list[float | None]:
    return [figures.anmrr, figures.map, *(figures.precision.get(k) for k in cutoffs)]


def _exact(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
