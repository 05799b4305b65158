"""`rsir-tf check`: read a whole archive and say what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rsir_tf.cli import console, options, polygon_options
from rsir_tf.cli.scene_options import SceneOptions, windows_together
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from rsir_tf.archives import ArchiveReport

NAME = "check"


def command(
    archive: options.Archive,
    *,
    annotations: options.Annotations,
    scenes: SceneOptions,
    polygons: polygon_options.LabelPolygonOptions,
    json: options.Json = False,
) -> None:
    """Read every file of an archive, count what is in it, and name each file that training would fail at.

    The exit code is 1 if training would fail, as it does on an archive without masks and tags, which can only be
    indexed and searched.
    """
    from rsir_tf.archives import check_archive

    opened = annotations.open(archive, scenes, need_labels=True, tell=False, polygons=polygons.chosen())
    with console.progress("reading") as tell:
        report = check_archive(opened, progress=tell)
    if json:
        console.put_json(report.to_json())
    else:
        console.put(_text(report))
    if not report.trainable:
        raise typer.Exit(1)


SIZES_SHOWN = 5
FAULTS_SHOWN = 20
SCENES_SHOWN = 20


def _text(report: ArchiveReport) -> str:
    from rsir_tf.presentation.tables import Table, console_table, visible

    lines = [f"{report.root}: {counted(report.images, 'image')}, format {report.format}"]
    lines.append(f"layout   {report.understood}")
    if report.reading_in_words:
        lines.append(f"reading  {report.reading_in_words}")
    if report.pairing:
        lines.append(f"pairs    {report.pairing}")
    if report.label_proof:
        lines.append(f"labels   {report.label_set}: {report.label_proof}")
    lines += _scene_lines(report)
    sizes = [f"{size} ({count:,})" for size, count in report.sizes.items()]
    more = f" and {len(sizes) - SIZES_SHOWN} other sizes" if len(sizes) > SIZES_SHOWN else ""
    if sizes:
        lines.append(f"sizes    {', '.join(sizes[:SIZES_SHOWN])}{more}")
    # Of windows, groups are the files that are listed above, and what are scenes otherwise are folders.
    divisions = {"folders": report.scenes} if report.scene_files else {"scenes": report.scenes, "groups": report.groups}
    for name, counts in divisions.items():
        if counts:
            fewest, most = min(counts.values()), max(counts.values())
            lines.append(
                f"{name:8} {len(counts)}, with {fewest} to {most} images"
                if fewest < most
                else f"{name:8} {len(counts)}, with {counted(most, 'image')} each"
            )
    if report.tags:
        lines.append(f"tags     {len(report.tags)}, {report.tags_per_image or 0:.2f} an image")
        tags = Table(["", ""], [[name, counted(count, "image")] for name, count in report.tags.items()], figures=True)
        lines += console_table(tags, indent=2)
    if report.classes:
        lines.append(f"classes  {len(report.classes)} of label set {report.label_set}, void {report.void_share:.2%}")
        shares = [
            [entry.name, f"{entry.share:.2%} of pixels", counted(entry.images, "image")] for entry in report.classes
        ]
        lines += console_table(Table(["", "", ""], shares, figures=True), indent=2)
    # A problem's own line names one example; all follow it here.
    lines += [f"problem  {line.partition(' (')[0]}" for line in report.problems]
    faults = _faults(report)
    lines += [f"  {line}" for line in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        lines.append(f"  … and {len(faults) - FAULTS_SHOWN:,} more; --json names all")
    lines += [f"remark   {line}" for line in report.remarks]
    lines += [f"left out {path}: {why}" for path, why in list(report.left_out.items())[:FAULTS_SHOWN]]
    if len(report.left_out) > FAULTS_SHOWN:
        lines.append(f"left out … and {len(report.left_out) - FAULTS_SHOWN:,} more; --json names all")
    searchable = "fit for search; " if not report.supervision and not report.problems else ""
    lines.append("fit for training" if report.trainable else f"{searchable}training would fail")
    return "\n".join(map(visible, lines))


def _scene_lines(report: ArchiveReport) -> list[str]:
    """The scenes that are cut into windows, one line each."""
    from rsir_tf.presentation.tables import Table, console_table, short_number

    if not report.scene_files:
        return []
    rows = [
        [
            scene.id,
            scene.size,
            f"{counted(scene.bands, 'band')} of {scene.dtype}",
            scene.crs or "no place",
            "" if scene.metres_a_pixel is None else f"{short_number(scene.metres_a_pixel)} m",
            counted(scene.windows - scene.windows_left_out, "window"),
            f"{scene.valid_share:.1%} valid",
        ]
        for scene in report.scene_files
    ]
    lines = [f"files    {len(rows):,}"]
    lines += console_table(Table([""] * 7, rows[:SCENES_SHOWN]), indent=2)
    if len(rows) > SCENES_SHOWN:
        lines.append(f"  … and {len(rows) - SCENES_SHOWN:,} more; --json names all")
    return lines


def _unreadable(report: ArchiveReport) -> list[str]:
    """Images that cannot be read, one line each; of windows, one line for each scene with its first reason."""
    if not report.scene_files:
        return list(report.unreadable.values())
    return windows_together(report.unreadable)


def _faults(report: ArchiveReport) -> list[str]:
    """Every file that training would fail at, one line each."""
    return [
        *_unreadable(report),
        *(f"{image}: has no mask" for image in report.images_without_mask),
        *report.unreadable_masks.values(),
        *report.masks_of_other_size.values(),
        *report.masks_of_other_orientation.values(),
        *report.masks_with_unknown_values.values(),
        *(f"{image}: has no line in the tags file" for image in report.images_without_tags if not report.label_set),
    ]
