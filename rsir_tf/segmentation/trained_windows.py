"""Which windows of scenes are trained on: nothing is learned from one that shows nothing, or has no labelled pixel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rsir_tf.archives.annotated import read_annotated
from rsir_tf.archives.labels import VOID
from rsir_tf.archives.scenes import leave_out_void
from rsir_tf.errors import InputError
from rsir_tf.processors import in_threads

if TYPE_CHECKING:
    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Archive, Record
    from rsir_tf.progress import Progress


def records_to_train_on(archive: Archive, label_set: LabelSet, progress: Progress, *, masks: bool) -> list[Record]:
    """Leave out the windows that nothing can be learned from; all of them are read once for this.

    Args:
        archive: A part of an archive. Where its files are not cut into windows, all its records are given back.
        label_set: What the values in masks mean.
        progress: Called after each window.
        masks: Whether masks alone supervise: windows without a labelled pixel are left out then.

    Raises:
        InputError: No window is left that shows something.
    """
    shown = list(leave_out_void(archive, progress))
    if archive.reading.tiling is None or not masks:
        return shown

    def labelled(record: Record) -> bool:
        try:
            classes = read_annotated(record, label_set)[1]
        except InputError:  # It is named where it is used.
            return True
        return classes is None or bool((classes != VOID).any())

    kept = []
    for done, (record, useful) in enumerate(zip(shown, in_threads(labelled, shown), strict=True), start=1):
        progress(done, len(shown), "looking for labelled pixels")
        if useful:
            kept.append(record)
    if len(kept) < len(shown):
        logging.getLogger("rsir_tf").warning(
            "%d of %d windows have no labelled pixel and are left out", len(shown) - len(kept), len(shown)
        )
    return kept or shown
