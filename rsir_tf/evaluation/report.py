"""The report folder that an evaluation leaves: JSON, Markdown, CSV, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rsir_tf.artifacts import manifest, read_manifest, written_aside
from rsir_tf.errors import ArtifactError
from rsir_tf.evaluation.figures import Evaluation
from rsir_tf.evaluation.plots import precision_recall_plot, scene_plot
from rsir_tf.evaluation.published import PublishedRow
from rsir_tf.evaluation.significance import PairedTests
from rsir_tf.evaluation.tables import figures_csv, markdown, scene_plot_left_out

REPORT_VERSION = 1
"""Of report.json."""


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

    Of more scene classes than can be read on a page there is no plot, and a remark says so.

    A new folder appears whole, by rename. In the folder of an earlier report each file is replaced atomically,
    `report.json` last, once all of them are ready; other files in it stay.

    Args:
        to: The folder.
        evaluation: What was found; one scheme or more.
        title: The Markdown file's heading.
        published: Published figures to show beside, by scheme: `PUBLISHED_UC_MERCED` where the archive is UC Merced.
        remarks: What was left out and why, a line each, beside the evaluation's own.
        tests: Of the schemes against one of them.

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
    """Refuse a place where a report must not be written; call it before hours of work.

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
    if not (to / "report.json").exists():
        raise ArtifactError(
            f"{to}: holds files, but no report", wanted="a new folder or an earlier report", cure="choose another name"
        )
    read_manifest(to / "report.json", "report", REPORT_VERSION)


def _compose(
    evaluation: Evaluation,
    title: str,
    published: Mapping[str, PublishedRow] | None,
    remarks: Sequence[str],
    tests: PairedTests | None,
) -> dict[str, bytes]:
    """All files, before the first is written: a plot that fails leaves the earlier report as it was."""
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
    files = {"precision_recall.png": precision_recall_plot({name: f.pr_curve for name, f in schemes.items()})}
    by_scene = {name: {scene: s.anmrr for scene, s in f.by_scene.items()} for name, f in schemes.items() if f.by_scene}
    if by_scene and no_plot is None:
        files["scenes.png"] = scene_plot(by_scene)
    files["report.csv"] = figures_csv(evaluation, shown).encode()
    text = markdown(evaluation, title=title, published=shown, remarks=remarks, tests=tests)
    files["report.md"] = text.encode()
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    files["report.json"] = f"{text}\n".encode()
    return files
