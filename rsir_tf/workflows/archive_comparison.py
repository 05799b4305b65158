"""From an archive to a report folder that compares descriptors on it; `comparing` has the figures alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.archives import archive_hash, select
from rsir_tf.artifacts import content_hash, disk_errors
from rsir_tf.errors import ArtifactError
from rsir_tf.locks import WriterLock
from rsir_tf.presentation import check_report_target
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import open_index
from rsir_tf.workflows.comparing import Comparison, compare_descriptors
from rsir_tf.workflows.comparison_costs import describe_into_index
from rsir_tf.workflows.comparison_report import published_remarks, unlike_published, write_comparison

if TYPE_CHECKING:
    from rsir_tf.archives import Archive, Split
    from rsir_tf.contract import Model

LOCK = "writer.lock"


def compare_archive(
    archive: Archive,
    to: Path,
    *,
    split: Split | None = None,
    index: Path | None = None,
    open_model: Callable[[], Model] | None = None,
    resize: tuple[int, int] | None = None,
    published: bool | None = None,
    found: Callable[[Comparison], None] = lambda _: None,
    progress: Progress = silent,
    **options: Any,
) -> Path:
    """Compare descriptors on an archive (the paper's Table I), and write a folder with the report.

    The vectors are kept in the folder, so that a stopped call can be continued.

    Args:
        archive: The whole archive.
        to: The folder for the cache and the report; made, or continued.
        split: Its test part is ranked, and visual words are learned from its training part. None ranks all images, and
            BoVW is left out.
        index: An index with these images, for ReCNN and ReCNN+.
        open_model: Opens a model that describes the images for ReCNN and ReCNN+ if no index is given; it is closed
            after that. Without index and model, the two are left out.
        resize: The size to which images are resized for that model, [height, width].
        published: Whether to show the paper's figures; None shows them if archive, part and settings are the paper's.
        found: Called with the figures before the report is written, so that a full disk does not lose them.
        progress: Called with (done, total, text).
        **options: Further arguments of `compare_descriptors`.

    Returns:
        The report's page.

    Raises:
        ArtifactError: The folder, or the report's, holds other files, another process compares in this folder, or the
            disk is full or read-only.
        RsirError: As `compare_descriptors` and `index_archive`.
    """
    report = to / "report"
    check_report_target(report)
    if to.is_dir() and not (to / LOCK).exists() and (other := next(to.iterdir(), None)):
        raise ArtifactError(
            f"{to}: is a folder with other things in it ({other.name} …)",
            wanted="an earlier comparison, or a folder that is empty or not there yet",
            cure="choose another name",
        )
    ranked, training, details = _parts(archive, split)
    opened = None if index is None else open_index(index)
    with disk_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        held.callback(WriterLock(to / LOCK).release)  # Until the report is complete, so that it is of one comparison.
        if opened is None and open_model is not None:
            with open_model() as model:
                opened = describe_into_index(ranked, model, to / "index", resize=resize, progress=progress)
        comparison = compare_descriptors(
            ranked, to / "descriptors", training=training, index=opened, details=details, progress=progress, **options
        )
        differs = unlike_published(archive, comparison)
        if published and differs:
            comparison.remarks.append(
                f"Published rows are shown because they were asked for, though {'; '.join(differs)}."
            )
        shown = not differs if published is None else published
        comparison.remarks += published_remarks(comparison) if shown else []
        found(comparison)
        title = f"Descriptors compared on {archive.root.resolve().name}"
        return write_comparison(report, comparison, title=title, published=shown)


def _parts(archive: Archive, split: Split | None) -> tuple[Archive, Archive | None, dict[str, Any]]:
    """The images to rank, those to learn from, and what to record of the choice."""
    if split is None:
        return archive, None, {"images": "all", "archive_hash": archive_hash(archive)}
    details = {
        "images": "test part",
        "archive_hash": archive_hash(archive),
        "split_hash": content_hash(split.to_json()),
        "split_by": split.by,
        "split_seed": split.seed,
        "test_fraction": split.fraction,
        **({"test_groups": list(split.groups)} if split.groups else {}),
    }
    return select(archive, split, "test"), select(archive, split, "train"), details
