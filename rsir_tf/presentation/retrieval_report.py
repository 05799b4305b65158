"""The report folder of an evaluation: JSON, Markdown, CSV and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsir_tf.artifacts import REPORT, manifest, read_manifest, written_aside
from rsir_tf.errors import ArtifactError
from rsir_tf.evaluation import ANMRR_VARIANTS, Evaluation, PairedTests, PublishedRow
from rsir_tf.presentation.plots import precision_recall_plot, scene_plot
from rsir_tf.presentation.retrieval_tables import (
    ANMRR_NOTE,
    costs_table,
    costs_words,
    curve_table,
    figures_csv,
    figures_table,
    graded_table,
    interval_table,
    paired_test_sentence,
    paired_test_table,
    scene_plot_left_out,
    scene_table,
    shown_tags_table,
)
from rsir_tf.presentation.tables import Table, bullets, markdown_table, markdown_text

REPORT_VERSION = 1
"""Format version of `report.json`."""


def write_report(
    to: Path,
    evaluation: Evaluation,
    *,
    title: str = "Retrieval figures",
    published: Mapping[str, PublishedRow] | None = None,
    remarks: Sequence[str] = (),
    tests: PairedTests | None = None,
) -> Path:
    """Write `report.json`, `.md` and `.csv`, `precision_recall.png` and, where queries have scenes, `scenes.png`.

    If there are more scene classes than can be read on a page, the plot is left out and a remark says so.

    A new folder is written beside its place and then renamed. In the folder of an earlier report, each file is replaced
    atomically after all are ready, `report.json` last; other files in the folder stay.

    Args:
        to: The folder.
        evaluation: The results; one scheme or more.
        title: The heading of the Markdown file.
        published: Scheme → published figures to show beside its own: `PUBLISHED_UC_MERCED` if the archive is UC Merced.
        remarks: What was left out and why, one line each, in addition to the evaluation's own remarks.
        tests: Paired tests of the schemes against one of them.

    Returns:
        `to`.

    Raises:
        ArtifactError: `to` is a file, or a folder that holds files but no report; or the disk is full or read-only.
    """
    check_report_target(to)
    files = _compose(evaluation, title, published, remarks, tests)
    if not to.exists():
        with written_aside(to) as aside:
            aside.mkdir()
            for name, content in files.items():
                (aside / name).write_bytes(content)
        return to
    for name, content in files.items():
        with written_aside(to / name, replace=True) as aside:
            aside.write_bytes(content)
    if "scenes.png" not in files:
        (to / "scenes.png").unlink(missing_ok=True)
    return to


def check_report_target(to: Path) -> None:
    """Refuse a folder where a report must not be written; call this before long work.

    Args:
        to: The folder that the report will have.

    Raises:
        ArtifactError: It is a file, or a folder that holds files but no report that this program knows.
    """
    if not to.exists():
        return
    if not to.is_dir():
        raise ArtifactError(f"{to}: is a file", wanted="a folder for the report", cure="choose another name")
    if not any(to.iterdir()):
        return
    if not (to / REPORT).exists():
        raise ArtifactError(
            f"{to}: holds files, but no report", wanted="a new folder or an earlier report", cure="choose another name"
        )
    read_manifest(to / REPORT, "report", REPORT_VERSION)


def _compose(
    evaluation: Evaluation,
    title: str,
    published: Mapping[str, PublishedRow] | None,
    remarks: Sequence[str],
    tests: PairedTests | None,
) -> dict[str, bytes]:
    """Compose all files before the first is written: if a plot fails, the earlier report stays as it was."""
    shown = {name: row for name, row in (published or {}).items() if name in evaluation.schemes}
    no_plot = scene_plot_left_out(evaluation)
    remarks = [*evaluation.remarks, *remarks, *([] if no_plot is None else [no_plot])]
    content = manifest("report", REPORT_VERSION, **evaluation.to_json())
    if shown:
        content["published"] = {name: row.to_json() for name, row in shown.items()}
    if remarks:
        content["remarks"] = list(remarks)
    if tests is not None:
        content["tests"] = tests.to_json()
    schemes = evaluation.schemes
    files = {
        "precision_recall.png": precision_recall_plot(
            {evaluation.title_of(name): f.pr_curve for name, f in schemes.items()}
        )
    }
    by_scene = {
        evaluation.title_of(name): {scene: own.anmrr for scene, own in f.by_scene.items()}
        for name, f in schemes.items()
        if f.by_scene
    }
    if by_scene and no_plot is None:
        files["scenes.png"] = scene_plot(by_scene)
    files["report.csv"] = figures_csv(evaluation, shown).encode()
    text = markdown_report(evaluation, title=title, published=shown, remarks=remarks, tests=tests)
    files["report.md"] = text.encode()
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    files[REPORT] = f"{text}\n".encode()
    return files


def markdown_report(
    evaluation: Evaluation,
    *,
    title: str,
    published: Mapping[str, PublishedRow] | None = None,
    remarks: Sequence[str] = (),
    tests: PairedTests | None = None,
) -> str:
    """The whole report as Markdown; it refers to `precision_recall.png` and, where it has been drawn, `scenes.png`."""
    parts = [f"# {markdown_text(title)}", bullets(settings_words(evaluation))]
    parts += [_lines(figures_table(evaluation, published)), ANMRR_NOTE]
    if published is not None and any(name in published for name in evaluation.schemes):
        parts.append(
            "Published rows: Table I of the paper of ReCNN and ReCNN+, 420 queries on UC Merced with its own split, "
            "network and training; they are not figures of this run."
        )
    if remarks:
        parts += ["## Remarks", bullets(remarks)]
    parts += _section(interval_table(evaluation))
    if tests is not None:
        parts += _section(paired_test_table(evaluation, tests), paired_test_sentence(evaluation, tests))
    parts += _section(curve_table(evaluation), "![Precision over recall](precision_recall.png)")
    picture = scene_plot_left_out(evaluation) or "![ANMRR of each scene class](scenes.png)"
    parts += _section(scene_table(evaluation), picture)
    parts += _section(graded_table(evaluation))
    parts += _section(shown_tags_table(evaluation))
    parts += _section(costs_table(evaluation))
    return "\n\n".join([*parts, *filter(None, [costs_words(evaluation)])]) + "\n"


def settings_words(evaluation: Evaluation) -> list[str]:
    """What the figures depend on, one sentence each."""
    variant = ANMRR_VARIANTS[evaluation.anmrr_variant]
    relevance = {
        "scene": "it shows the query's scene class",
        "tags": "it shares a tag with the query",
        "jaccard": "the Jaccard index of its tags and the query's is high enough (jaccard at)",
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
    return lines + [f"{_key(name)}: {_words(value)}" for name, value in evaluation.details.items()]


def _section(table: Table | None, *before: str) -> list[str]:
    """A table with its caption as a heading, and paragraphs before it; nothing if there is no table."""
    return [] if table is None else [f"## {table.caption}", *before, _lines(table)]


def _lines(table: Table) -> str:
    return "\n".join(markdown_table(table))


def _key(name: str) -> str:
    """A key of the report's JSON as words for people."""
    return name.replace("_", " ")


def _words(value: Any) -> str:
    """JSON types as words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_key(name)} {_words(own)}" for name, own in value.items())
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
