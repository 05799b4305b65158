"""A comparison on disk: a report, and one page that gathers it; and where the paper's figures may stand beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rsir_tf.artifacts import manifest, write_json
from rsir_tf.evaluation import PUBLISHED_UC_MERCED, extreme_queries
from rsir_tf.presentation import ShownImage, write_report
from rsir_tf.presentation.comparison_page import ExtremeQueries, write_comparison_page
from rsir_tf.rasters import is_tiff

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.workflows.comparing import Comparison

EXTREMES = 3
"""Best and worst queries that are shown of each descriptor."""

COMPARISON_VERSION = 1
"""Of comparison.json."""

PUBLISHED_A_SCENE = 20
"""Images of each scene class that were ranked for Table I."""

UNREAD = 20
"""Images that could not be read and are named on the page; the others are counted."""


def is_uc_merced(archive: Archive) -> bool:
    """Whether these are UC Merced's 2,100 images, 100 of each of its 21 scene classes by name, and not rendered."""
    from rsir_tf.archives.synthetic.archive import SCENES, is_rendered

    names = {Path(record.id).with_suffix("").as_posix() for record in archive}
    wanted = {f"{scene}/{scene}{number:02}" for scene in SCENES for number in range(100)}
    return names == wanted and not is_rendered(archive.root)


def unlike_published(archive: Archive, comparison: Comparison) -> list[str]:
    """What keeps a comparison's figures from standing beside the paper's; nothing where they may.

    Args:
        archive: The whole archive, of which a part was compared.
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
    """What to say where the paper's rows stand beside: that images are copies, if they are.

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
        published: Whether to show the paper's rows beside; `unlike_published` tells where they may stand.

    Returns:
        The page, `index.html`, which opens without a server. Pictures that only the earlier comparison had are removed.

    Raises:
        ArtifactError: `to` holds something else, or the disk is full or read-only.
        InputError: An image that is shown can no longer be read.
    """
    rows = PUBLISHED_UC_MERCED if published else None
    found, unread = comparison.evaluation, _unread(comparison)
    remarks = [*comparison.remarks, *unread]
    write_report(to, found, title=title, published=rows, remarks=remarks, tests=comparison.tests)
    write_json(to / "comparison.json", manifest("comparison", COMPARISON_VERSION, **comparison.to_json()))
    return write_comparison_page(
        to,
        found,
        title=title,
        confusion=comparison.confusion,
        extremes=_extremes(comparison),
        tests=comparison.tests,
        published=rows,
        remarks=comparison.remarks,
        unread=unread,
    )


def _extremes(comparison: Comparison) -> Iterator[ExtremeQueries]:
    """The best and the worst queries of each descriptor, with their first hits; images are read as they are asked for.

    A descriptor without figures has none.
    """
    records = comparison.records
    scenes = [record.scene for record in records]

    def shown(row: int, relevant: bool | None = None) -> ShownImage:
        return ShownImage(records[row].id, records[row].source.read(), relevant)

    for name, figures in comparison.average_precision.items():
        for kind, lowest in (("best", False), ("worst", True)):
            rows = []
            for query in extreme_queries(figures, scenes, EXTREMES, lowest=lowest):
                relevant = comparison.relevant(query)
                hits = [shown(hit, bool(relevant[hit])) for hit in comparison.first_hits[name][query]]
                rows.append((f"AP {figures[query]:.3f}", shown(query), hits))
            if rows:
                yield ExtremeQueries(name, kind, rows, by_scene=len(set(scenes)) > 1)


def _unread(comparison: Comparison) -> list[str]:
    """Images that are left out, the first ones named."""
    if not comparison.skipped:
        return []
    return [f"{len(comparison.skipped)} images could not be read:", *list(comparison.skipped.values())[:UNREAD]]
