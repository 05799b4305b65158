"""The page of a comparison or an evaluation: tables, curves, heat maps, extreme queries, costs and settings."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.evaluation import Evaluation, PairedTests, PublishedRow, SceneConfusion
from rsir_tf.presentation.drawing import save_png
from rsir_tf.presentation.extremes import ShownImage, extremes_sheet
from rsir_tf.presentation.page import Block, Picture, Section, write_page
from rsir_tf.presentation.plots import heat_map
from rsir_tf.presentation.retrieval_report import settings_words
from rsir_tf.presentation.retrieval_tables import (
    ANMRR_NOTE,
    costs_table,
    costs_words,
    figures_table,
    graded_table,
    interval_table,
    paired_test_sentence,
    paired_test_table,
    scene_plot_left_out,
    scene_table,
)
from rsir_tf.presentation.tables import Table

PAGE = "index.html"

BASELINES_CHOSEN = "The parameters of the baselines are this program's choice, because the paper does not give them."

CONFUSED = 5
"""Number of most confused pairs of scene classes that are listed for each descriptor."""


@dataclass(frozen=True, slots=True)
class ExtremeQueries:
    """The best or the worst queries of one descriptor.

    Attributes:
        scheme: The descriptor's name.
        kind: "best" or "worst".
        rows: As `extremes_sheet` takes them.
        by_scene: Whether the first rows are one query of each scene class.
    """

    scheme: str
    kind: str
    rows: Sequence[tuple[str, ShownImage, Sequence[ShownImage]]]
    by_scene: bool


def write_comparison_page(
    to: Path,
    evaluation: Evaluation,
    *,
    title: str,
    confusion: Mapping[str, SceneConfusion],
    extremes: Iterable[ExtremeQueries],
    tests: PairedTests | None = None,
    published: Mapping[str, PublishedRow] | None = None,
    remarks: Sequence[str] = (),
    unread: Sequence[str] = (),
    settings: Sequence[str] = (
        "The parameters of the baselines are this program's choice, because the paper does not give them.",
    ),
) -> Path:
    """Write `index.html` and the pictures that only the page shows into the folder of a report.

    Args:
        to: The folder; `write_report` has written `precision_recall.png` into it.
        evaluation: Figures of each descriptor.
        title: The page's heading.
        confusion: Descriptor → which scenes its hits confuse.
        extremes: Best and worst queries; read one after another, so that few images are in memory at a time.
        tests: Paired tests of the descriptors against one of them.
        published: Descriptor → published figures to show beside its own.
        remarks: What was left out and why, one line each.
        unread: The images that could not be read, one line each.
        settings: What is said before the settings of the evaluation, one paragraph each.

    Returns:
        The page, which opens without a server. Pictures that only an earlier page had are removed.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    shown_extremes = [_extremes(to, evaluation, found) for found in extremes]
    sections = [
        _figures(to, evaluation, tests, published, remarks),
        *_scenes(to, evaluation),
        *_confusion(to, evaluation, confusion),
        *([Section("Best and worst queries", shown_extremes)] if shown_extremes else []),
        *_costs(evaluation),
        Section(
            "Settings",
            [*settings, *settings_words(evaluation), *unread],
        ),
    ]
    earlier = _own_pictures(to / PAGE)
    page = write_page(to / PAGE, title, sections, lead=_lead(evaluation))
    for stale in earlier - _own_pictures(page):
        (to / stale).unlink(missing_ok=True)
    return page


def _own_pictures(page: Path) -> set[str]:
    """Names of the pictures that a page shows and nothing else does; none where there is no page."""
    if not page.exists():
        return set()
    text = page.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r'<img src="((?:anmrr_by_scene|(?:confusion|best|worst)_[^"/]+)\.png)"', text)
    return {urllib.parse.unquote(name) for name in found}


def _lead(evaluation: Evaluation) -> str:
    schemes = evaluation.schemes
    several = "1 descriptor" if len(schemes) == 1 else f"{len(schemes)} descriptors"
    words = f"{several} on {evaluation.queries:,} queries, each ranking {evaluation.archive:,} images."
    if evaluation.left_out == evaluation.queries:
        return f"{words} No query has a relevant image: there are no figures."
    if len(schemes) == 1:
        return words
    return f"{words} Best by ANMRR: {evaluation.title_of(min(schemes, key=lambda name: schemes[name].anmrr))}."


def _figures(
    to: Path,
    evaluation: Evaluation,
    tests: PairedTests | None,
    published: Mapping[str, PublishedRow] | None,
    remarks: Sequence[str],
) -> Section:
    content: list[Block] = [figures_table(evaluation, published), ANMRR_NOTE]
    if published:
        content.append(
            "Published rows: Table I of the paper, with its own split, network and parameters, which it does not give "
            "for the baselines; they are no figures of this run."
        )
    content += remarks
    content += filter(None, [interval_table(evaluation)])
    if tests is not None:
        content += [paired_test_table(evaluation, tests), paired_test_sentence(evaluation, tests)]
    content.append(Picture(to / "precision_recall.png", "Interpolated precision over recall, one curve per descriptor"))
    content += filter(None, [graded_table(evaluation)])
    return Section("Figures", content)


def _scenes(to: Path, evaluation: Evaluation) -> list[Section]:
    table, no_plot = scene_table(evaluation), scene_plot_left_out(evaluation)
    if table is None:
        return []
    if no_plot is not None:
        return [Section("By scene class", [no_plot, table])]
    scenes, schemes = [str(row[0]) for row in table.rows], evaluation.schemes
    values = [
        [f.by_scene[scene].anmrr if scene in f.by_scene else np.nan for f in schemes.values()] for scene in scenes
    ]
    picture = heat_map(values, scenes, [evaluation.title_of(name) for name in schemes], colours="Oranges", blanks=False)
    words = "ANMRR of each scene class for each descriptor"
    return [Section("By scene class", [_save(to / "anmrr_by_scene.png", picture, words), table])]


def _confusion(to: Path, evaluation: Evaluation, found: Mapping[str, SceneConfusion]) -> list[Section]:
    content: list[Block] = [
        "The share of each scene among the first NG hits of a scene's queries. NG is the number of other images of "
        "that scene; the query is left out. The diagonal is the mean R-precision."
    ]
    for name, confusion in found.items():
        words = f"{evaluation.title_of(name)}: scenes of the queries (rows) and of their hits (columns)"
        picture = heat_map(confusion.shares(), confusion.names, confusion.names, row_title="query", column_title="hits")
        content.append(_save(_file(to, "confusion", name), picture, words))
        pairs = confusion.most_confused(CONFUSED)
        content.append(
            Table(
                ["Scene of the query", "Scene of the hits", "Share"],
                pairs,
                f"{evaluation.title_of(name)}: most confused",
            )
        )
    return [Section("Confusion between scene classes", content)] if found else []


def _extremes(to: Path, evaluation: Evaluation, found: ExtremeQueries) -> Picture:
    first = ", one of each scene class first" if found.by_scene else ""
    title = f"{evaluation.title_of(found.scheme)}: {found.kind} queries{first}"
    file = _file(to, found.kind, found.scheme)
    save_png(file, extremes_sheet(found.rows, title=title))
    return Picture(file, title)


def _costs(evaluation: Evaluation) -> list[Section]:
    table = costs_table(evaluation)
    return [] if table is None else [Section("Costs", [table, costs_words(evaluation)])]


def _save(file: Path, content: bytes, words: str) -> Picture:
    with written_aside(file, replace=True) as aside:
        aside.write_bytes(content)
    return Picture(file, words, words)


def _file(to: Path, kind: str, scheme: str) -> Path:
    return to / f"{kind}_{in_file_names(scheme)}.png"


def in_file_names(scheme: str) -> str:
    """A scheme's name as part of the names of files: "recnn+, expanded by 5" is recnn_plus_expanded_by_5."""
    return urllib.parse.quote(re.sub(r",?\s", "_", scheme.replace("+", "_plus")), safe="")
