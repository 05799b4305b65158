"""A comparison on disk: a report and its page; and whether the paper's figures can be shown beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rsir_tf.artifacts import manifest, write_json
from rsir_tf.evaluation import PUBLISHED_UC_MERCED
from rsir_tf.presentation import write_report
from rsir_tf.presentation.comparison_page import write_comparison_page
from rsir_tf.rasters import is_tiff
from rsir_tf.workflows.shown_extremes import extremes_of

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.workflows.comparing import Comparison

COMPARISON_VERSION = 1
"""Format version of `comparison.json`."""

PUBLISHED_A_SCENE = 20
"""Number of images of each scene class that were ranked for Table I."""

UNREAD = 20
"""At most this number of unreadable images are named on the page; all are counted."""


def is_uc_merced(archive: Archive) -> bool:
    """Whether these are UC Merced's 2,100 images, 100 of each of its 21 scene classes by name, and not rendered."""
    from rsir_tf.archives.synthetic.archive import SCENES, is_rendered

    names = {Path(record.id).with_suffix("").as_posix() for record in archive}
    wanted = {f"{scene}/{scene}{number:02}" for scene in SCENES for number in range(100)}
    return names == wanted and not is_rendered(archive.root)


def unlike_published(archive: Archive, comparison: Comparison) -> list[str]:
    """Reasons why a comparison's figures cannot be compared with the paper's; empty if they can.

    Args:
        archive: The whole archive; a part of it was compared.
        comparison: From `compare_descriptors`.
    """
    from rsir_tf.archives.synthetic.archive import is_rendered

    found = comparison.evaluation
    differs = []
    if not is_uc_merced(archive):
        differs.append("the images are rendered" if is_rendered(archive.root) else "the archive is not UC Merced")
    counts = set(Counter(record.scene for record in comparison.records).values())
    if counts != {PUBLISHED_A_SCENE} or found.queries != 420:
        differs.append(f"{found.queries} images are compared, not 420, {PUBLISHED_A_SCENE} of each scene class")
    if found.relevance != "scene":
        differs.append("an image is relevant where it shares a tag, not a scene class")
    if not found.query_counts:
        differs.append("the query is not ranked")
    if found.anmrr_variant != "2ng":
        differs.append(f'ANMRR is of variant "{found.anmrr_variant}", not "2ng"')
    return differs


def published_remarks(comparison: Comparison) -> list[str]:
    """What to say if the paper's rows are shown: that images are copies, if they are.

    Args:
        comparison: From `compare_descriptors`.
    """
    copies = [record for record in comparison.records if not is_tiff(record.source.address)]
    if not copies:
        return []
    return [
        f"{len(copies)} of {len(comparison.records)} images are no TIFF files, as the originals are that the published "
        f"rows are of ({copies[0].id}): what copying changed in them is in the figures measured here."
    ]


def write_comparison(to: Path, comparison: Comparison, *, title: str, published: bool) -> Path:
    """Write the report folder; a later comparison in the same folder replaces it file by file.

    Args:
        to: The folder.
        comparison: From `compare_descriptors`.
        title: Heading of report and page.
        published: Whether to show the paper's rows; `unlike_published` tells whether they are comparable.

    Returns:
        The page, `index.html`, which opens without a server. Pictures that only the earlier comparison had are removed.

    Raises:
        ArtifactError: `to` holds something else, or the disk is full or read-only.
        InputError: An image that is shown can no longer be read.
    """
    rows = PUBLISHED_UC_MERCED if published else None
    found, records, unread = comparison.evaluation, comparison.records, _unread(comparison)
    remarks = [*comparison.remarks, *unread]
    write_report(to, found, title=title, published=rows, remarks=remarks, tests=comparison.tests)
    write_json(to / "comparison.json", manifest("comparison", COMPARISON_VERSION, **comparison.to_json()))
    return write_comparison_page(
        to,
        found,
        title=title,
        confusion=comparison.confusion,
        extremes=extremes_of(
            comparison.average_precision,
            comparison.first_hits,
            comparison.relevant,
            [record.scene for record in records],
            lambda row: (records[row].id, records[row].source.read()),
        ),
        tests=comparison.tests,
        published=rows,
        remarks=comparison.remarks,
        unread=unread,
    )


def _unread(comparison: Comparison) -> list[str]:
    """Lines about the images that are left out; the first ones are named."""
    if not comparison.skipped:
        return []
    return [f"{len(comparison.skipped)} images could not be read:", *list(comparison.skipped.values())[:UNREAD]]
