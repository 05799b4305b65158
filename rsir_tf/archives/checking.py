"""Reading a whole archive to see what it holds and what is wrong with it."""

from __future__ import annotations

import dataclasses
import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.annotated import examine_record, read_classes
from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.masks import MaskOrientationError, MaskSizeError, MaskValueError
from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.report import SCENE_SIDE, ArchiveReport, ClassShare
from rsir_tf.archives.scene_facts import Seen, describe_scenes
from rsir_tf.archives.scenes import why_left_out
from rsir_tf.archives.splits import draw_split
from rsir_tf.errors import InputError
from rsir_tf.processors import in_threads
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 2
"""Decoders at work; decoding leaves Python's lock, so they run side by side."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """One record: its size, its mask's pixels a class ([256], the last is void), and what there is to tell."""

    record: Record
    size: tuple[int, ...] | None
    pixels: NDArray[np.int64] | None
    notes: tuple[str, ...]
    seen: Seen
    left_out: str | None
    image_error: InputError | None
    mask_error: InputError | None


def check_archive(archive: Archive, progress: Progress = silent) -> ArchiveReport:
    """Read every image and mask of an archive and report; a bad file is named and never stops it.

    Args:
        archive: From `open_archive`.
        progress: Called after each image.

    Returns:
        The report, with `problems` (training would fail), `remarks` and `trainable`.
    """
    report = ArchiveReport(root=str(archive.root), format=archive.format, images=len(archive))
    sizes: Counter[str] = Counter()
    pixels = np.zeros(256, dtype=np.int64)
    images = np.zeros(256, dtype=np.int64)
    seen: dict[str, Seen] = {}
    findings = in_threads(partial(_look, archive.label_set, archive.reading), archive, threads=THREADS)
    for done, finding in enumerate(findings, start=1):
        name = finding.record.id
        progress(done, len(archive), name)
        seen[name] = finding.seen
        if finding.left_out is not None:
            report.windows_left_out[name] = finding.left_out
            continue
        if finding.size is not None:
            size = "{1}x{0}".format(*finding.size)
            sizes[size] += 1
            if max(finding.size) > SCENE_SIDE and archive.reading.tiling is None:
                report.large[name] = size
        if finding.image_error is not None:
            report.unreadable[name] = str(finding.image_error)
        _note(report, name, finding.notes)
        if finding.pixels is not None:
            pixels += finding.pixels
            images += finding.pixels > 0
            report.masks_read += 1
            if not finding.pixels[:VOID].any():
                report.masks_void.append(name)
        if finding.mask_error is not None:
            _place_of(report, finding.mask_error)[name] = str(finding.mask_error)
    _describe_scenes(report, archive, seen)
    kept = tuple(record for record in archive if record.id not in report.windows_left_out)
    archive = dataclasses.replace(archive, records=kept)
    report.images = len(archive)
    _describe_records(report, archive)
    report.sizes = dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
    total = max(int(pixels.sum()), 1)
    if archive.label_set is not None:
        report.classes = [
            ClassShare(name, int(pixels[index]), int(pixels[index]) / total, int(images[index]))
            for index, name in enumerate(archive.label_set.names)
        ]
    report.void_pixels = int(pixels[VOID])
    report.void_share = report.void_pixels / total
    report.judge()
    if report.supervision and len(archive) > 1:
        try:
            draw_split(archive)
        except InputError as error:
            choose = "--test 0 trains on all" if len(report.groups) == 1 else "choose --test"
            report.remarks.append(f"by default {error.found.partition(': ')[2]}: {choose}")
    report.remarks += [*archive.remarks, *(f"repaired: {line}" for line in archive.repairs)]
    return report


def _place_of(report: ArchiveReport, error: InputError) -> dict[str, str]:
    if isinstance(error, MaskSizeError):
        return report.masks_of_other_size
    if isinstance(error, MaskOrientationError):
        return report.masks_of_other_orientation
    return report.masks_with_unknown_values if isinstance(error, MaskValueError) else report.unreadable_masks


def _describe_scenes(report: ArchiveReport, archive: Archive, seen: Mapping[str, Seen]) -> None:
    report.scene_files = describe_scenes(archive, seen, report.windows_left_out)
    for scene in report.scene_files:
        _note(report, scene.id, scene.notes)


def _note(report: ArchiveReport, name: str, notes: Iterable[str]) -> None:
    for note in notes:
        report.notes.setdefault(note, []).append(name)


def _describe_records(report: ArchiveReport, archive: Archive) -> None:
    """Fill in what the records say without a look at any pixel."""
    report.reading = archive.reading.to_json()
    report.reading_in_words = archive.reading.describe() if report.reading else ""
    report.understood, report.pairing, report.label_proof = archive.understood, archive.pairing, archive.label_proof
    report.left_out = dict(archive.left_out)
    masked = any(record.mask is not None for record in archive)
    tagged = [record for record in archive if record.tags is not None]
    report.supervision = ["masks"] * masked + ["tags"] * bool(tagged)
    report.scenes = _count(record.scene for record in archive)
    report.groups = _count(record.group for record in archive)
    report.masks_without_image = [mask.relative_to(archive.root).as_posix() for mask in archive.orphan_masks]
    if archive.label_set is not None:
        report.label_set = archive.label_set.name
        report.images_without_mask = [record.id for record in archive if record.mask is None]
    if tagged:
        tags = Counter(tag for record in tagged for tag in record.tags or ())
        report.tags = {name: tags[name] for name in sorted({*archive.tag_names, *tags})}
        report.tags_per_image = sum(tags.values()) / len(tagged)
        report.tags_without_image = list(archive.orphan_tags)
        for record in archive:
            if record.tags is None:
                meant = difflib.get_close_matches(PurePosixPath(record.id).stem, archive.orphan_tags, n=1)
                report.images_without_tags[record.id] = f"is {meant[0]!r} meant?" if meant else None


def _count(values: Iterator[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _look(label_set: LabelSet | None, reading: Reading, record: Record) -> _Finding:
    image, pixels, left_out, image_error, mask_error = None, None, None, None, None
    try:
        image = examine_record(record)
        left_out = why_left_out(image.valid, reading)
    except InputError as error:
        image_error = error
    if label_set is not None and left_out is None:
        try:
            classes = read_classes(record, label_set, image)
            pixels = None if classes is None else np.bincount(classes.ravel(), minlength=256)
        except InputError as error:
            mask_error = error
    if image is None:
        return _Finding(record, None, pixels, (), Seen(), left_out, image_error, mask_error)
    colours, notes = image.examined.pixels, image.examined.notes
    seen = Seen() if reading.tiling is None else Seen.of(colours, image.valid)
    return _Finding(record, colours.shape[:2], pixels, notes, seen, left_out, image_error, mask_error)
