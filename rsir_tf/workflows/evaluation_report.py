"""An evaluation on disk: the report, its page, the figures of each query, and rankings that other tools can judge."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import RsirError
from rsir_tf.evaluation import PUBLISHED_UC_MERCED, Evaluation
from rsir_tf.evaluation.trec import qrels_lines, run_lines
from rsir_tf.presentation import scale, write_report
from rsir_tf.presentation.comparison_page import in_file_names, write_comparison_page
from rsir_tf.rasters import open_source
from rsir_tf.workflows.ranking_records import RankingRecord
from rsir_tf.workflows.shown_extremes import extremes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index

PER_QUERY = "per_query.csv"
QRELS = "relevance.qrels"
NO_PICTURE = np.full((64, 64, 3), 225, dtype=np.uint8)
"""Stands for an image that cannot be read."""

SIDE = 256
"""Pixels of the longer side of an image on the page, at most."""


def run_name(scheme: str) -> str:
    """The file of a scheme's rankings."""
    return f"rankings_{in_file_names(scheme)}.run"


def write_evaluation(
    to: Path, index: Index, evaluation: Evaluation, record: RankingRecord, *, published: bool = False
) -> Path:
    """Write the report folder; a later evaluation in the same folder replaces it file by file.

    Beside the files of `rsir_tf.presentation.write_report` there are `index.html`, which opens without a server;
    `per_query.csv`; and for trec_eval and its like `rankings_SCHEME.run` and `relevance.qrels`.

    Args:
        to: The folder.
        index: The index that was evaluated.
        evaluation: From `evaluate_index`.
        record: Which that filled.
        published: Whether to show the paper's rows beside.

    Returns:
        The page.

    Raises:
        ArtifactError: `to` holds something else, or the disk is full or read-only.
    """
    title = f"Retrieval figures of {index.path.resolve().name}"
    rows = PUBLISHED_UC_MERCED if published else None
    measured = record.measured
    write_report(to, evaluation, title=title, published=rows)
    _write(to / PER_QUERY, _per_query(index, record))
    _write(to / QRELS, _qrels(index, record))
    written = {run_name(scheme) for scheme in measured}
    for scheme in measured:
        _write(to / run_name(scheme), _run(index, record, scheme))
    for stale in to.glob("rankings_*.run"):
        if stale.name not in written:
            stale.unlink()
    pictures = _Pictures(index)
    extremes = extremes_of(
        {scheme: found.average_precision for scheme, found in measured.items()},
        {scheme: found.first_hits for scheme, found in measured.items()},
        record.relevant,
        index.images.scenes,
        pictures,
        next((found.queries for found in measured.values()), None),
    )
    return write_comparison_page(
        to,
        evaluation,
        title=title,
        confusion={scheme: found.confusion for scheme, found in measured.items() if found.confusion is not None},
        extremes=extremes,
        published=rows,
        remarks=evaluation.remarks,
        settings=[f"{PER_QUERY} has the figures of each query.", _run_words(evaluation, record)],
        unread=pictures.unread,
    )


class _Pictures:
    """Reads an indexed image as it is asked for; one that cannot be read is told, and a grey square stands for it."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.unread: list[str] = []

    def __call__(self, row: int) -> tuple[str, NDArray[np.uint8]]:
        name = self.index.images.ids[row]
        try:
            return name, scale(open_source(self.index.images.paths[row]).read(), SIDE)
        except RsirError as error:
            line = f"Not shown: {error}"
            if line not in self.unread:
                self.unread.append(line)
            return f"{name} (cannot be read)", NO_PICTURE


def _run_words(evaluation: Evaluation, record: RankingRecord) -> str:
    words = (
        f"{', '.join(map(run_name, record.measured))} and {QRELS} hold rankings and relevance for trec_eval and its "
        "like."
    )
    if evaluation.archive > record.depth:
        words += (
            f" The first {record.depth:,} of {evaluation.archive:,} images of each ranking are in them: figures over "
            "whole rankings, such as mAP, come out lower there."
        )
    return f"{words} For example: trec_eval -m map {QRELS} {run_name(next(iter(record.measured)))}"


def _per_query(index: Index, record: RankingRecord) -> Iterator[str]:
    """Lines of CSV; an empty cell where a query has no such figure."""
    text = _Line()
    writer = csv.writer(text, lineterminator="\n")
    titles = {"anmrr": "nmrr", "map": "ap"}
    names = list(next(iter(record.measured.values())).per_query)
    writer.writerow(["scheme", "query", "scene", "relevant", *(titles.get(name, name) for name in names)])
    yield text.taken()
    for scheme, found in record.measured.items():
        for place, row in enumerate(found.queries.tolist()):
            figures = [found.per_query[name][place] for name in names]
            cells = ["" if math.isnan(value) else repr(float(value)) for value in figures]
            relevant = int(np.count_nonzero(record.counted(row)))
            writer.writerow([scheme, index.images.ids[row], index.images.scenes[row] or "", relevant, *cells])
            yield text.taken()


class _Line:
    """A file of one line, for the CSV writer."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def taken(self) -> str:
        text, self.text = self.text, ""
        return text


def _qrels(index: Index, record: RankingRecord) -> Iterator[str]:
    ids, queries = index.images.ids, next(iter(record.measured.values())).queries.tolist()
    return qrels_lines((ids[row], [ids[other] for other in np.flatnonzero(record.counted(row))]) for row in queries)


def _run(index: Index, record: RankingRecord, scheme: str) -> Iterator[str]:
    ids, found = index.images.ids, record.measured[scheme]
    deepest = max((len(ranking) for ranking in found.rankings), default=0)
    ranked = zip(found.queries.tolist(), found.rankings, strict=True)
    return run_lines(
        ((ids[row], (ids[other] for other in ranking.tolist())) for row, ranking in ranked), scheme, images=deepest
    )


def _write(path: Path, lines: Iterable[str]) -> None:
    with written_aside(path, replace=True) as aside, aside.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(lines)
