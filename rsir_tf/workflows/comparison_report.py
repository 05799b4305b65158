"""A comparison on disk: Table I as Markdown, CSV and JSON, plots, contact sheets, and one page that gathers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import manifest, write_json, written_aside
from rsir_tf.evaluation import (
    PUBLISHED_UC_MERCED,
    Picture,
    PublishedRow,
    Section,
    ShownImage,
    Table,
    extreme_queries,
    extremes_sheet,
    heat_map,
    write_page,
    write_report,
)
from rsir_tf.evaluation.figures import INTERVAL_LEVEL
from rsir_tf.evaluation.published import SCHEME_TITLES
from rsir_tf.evaluation.tables import (
    costs_words,
    figures_table,
    in_words,
    interval_table,
    paired_test_table,
    scene_plot_left_out,
    scene_table,
    settings,
)
from rsir_tf.imagery import read_image
from rsir_tf.pictures import save_png

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.workflows.comparing import Comparison

EXTREMES = 3
"""Best and worst queries that are shown of each descriptor."""

COMPARISON_VERSION = 1
"""Of comparison.json."""

PUBLISHED_A_SCENE = 20
"""Images of each scene class that were ranked for Table I."""

Shown = Mapping[str, PublishedRow] | None


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
    copies = [record for record in comparison.records if not _is_tiff(record.image)]
    if not copies:
        return []
    return [
        f"{len(copies)} of {len(comparison.records)} images are no TIFF files, as the originals are that the published "
        f"rows are of ({copies[0].id}): what copying changed in them is in the figures measured here."
    ]


def _is_tiff(file: Path) -> bool:
    """Whatever its name says."""
    try:
        with file.open("rb") as opened:
            return opened.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    except OSError:
        return False


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
    rows: Shown = PUBLISHED_UC_MERCED if published else None
    remarks = [*comparison.remarks, *_unread(comparison)]
    write_report(to, comparison.evaluation, title=title, published=rows, remarks=remarks, tests=comparison.tests)
    write_json(to / "comparison.json", manifest("comparison", COMPARISON_VERSION, **comparison.to_json()))
    sections = [_figures(to, comparison, rows), *_scenes(to, comparison), *_confusion(to, comparison)]
    sections += [_extremes(to, comparison), _costs(comparison), _settings(comparison)]
    page = write_page(to / "index.html", title, sections, lead=_lead(comparison))
    shown = [block.source for section in sections for block in section.content if isinstance(block, Picture)]
    own = [to / "anmrr_by_scene.png"]
    own += [to / f"{kind}_{_file(name)}.png" for kind in ("confusion", "best", "worst") for name in SCHEME_TITLES]
    for stale in set(own).difference(source for source in shown if isinstance(source, Path)):
        stale.unlink(missing_ok=True)
    return page


def _lead(comparison: Comparison) -> str:
    found = comparison.evaluation
    words = f"{len(found.schemes)} descriptors on {found.queries:,} queries, each ranking {found.archive:,} images."
    if found.left_out == found.queries:
        return f"{words} No query has a relevant image: there are no figures."
    best = min(found.schemes, key=lambda name: found.schemes[name].anmrr)
    return f"{words} Best by ANMRR: {_title(best)}."


def _figures(to: Path, comparison: Comparison, published: Shown) -> Section:
    content: list[str | Table | Picture] = [Table(*figures_table(comparison.evaluation, published))]
    content.append("ANMRR: lower is better. All others: higher is better.")
    if published:
        content.append(
            "Published rows: Table I of the paper, with its own split, network and parameters, which it does not give "
            "for the baselines; they are no figures of this run."
        )
    content += comparison.remarks
    header, intervals = interval_table(comparison.evaluation)
    if intervals:
        content.append(Table(header, intervals, f"{INTERVAL_LEVEL:.0%} bootstrap intervals over queries"))
    if comparison.tests is not None:
        content += [Table(*paired_test_table(comparison.tests), "Paired tests"), comparison.tests.sentence()]
    content.append(Picture(to / "precision_recall.png", "Interpolated precision over recall, a curve a descriptor"))
    schemes = comparison.evaluation.schemes
    graded = list(dict.fromkeys(name for figures in schemes.values() for name in figures.graded))
    if graded:
        rows: list[list[str | int | float]] = [
            [_title(name), *(f.graded.get(key, float("nan")) for key in graded)] for name, f in schemes.items()
        ]
        content.append(Table(["Descriptor", *graded], rows, "Graded by the number of shared tags"))
    return Section("Figures", content)


def _scenes(to: Path, comparison: Comparison) -> list[Section]:
    header, rows = scene_table(comparison.evaluation)
    schemes = comparison.evaluation.schemes
    no_plot = scene_plot_left_out(comparison.evaluation)
    content: list[str | Table | Picture] = [] if no_plot is None else [no_plot]
    if rows and no_plot is None:
        scenes = [row[0] for row in rows]
        values = [
            [f.by_scene[scene].anmrr if scene in f.by_scene else np.nan for f in schemes.values()] for scene in scenes
        ]
        picture = heat_map(values, scenes, [_title(name) for name in schemes], colours="Oranges", blanks=False)
        content.append(_save(to / "anmrr_by_scene.png", picture, "ANMRR of each scene class under each descriptor"))
    return [Section("By scene class", [*content, Table(header, rows)])] if rows else []


def _confusion(to: Path, comparison: Comparison) -> list[Section]:
    content: list[str | Table | Picture] = [
        "Of the first NG hits of a scene's queries (NG: other images of that scene; the query left out), the share "
        "that shows each scene. The diagonal is the mean R-precision."
    ]
    for name, confusion in comparison.confusion.items():
        words = f"{_title(name)}: scenes of the queries (rows) and of their hits (columns)"
        picture = heat_map(confusion.shares(), confusion.names, confusion.names, row_title="query", column_title="hits")
        content.append(_save(to / f"confusion_{_file(name)}.png", picture, words))
        pairs = confusion.most_confused(5)
        content.append(Table(["Query shows", "Hits show", "Share"], pairs, f"{_title(name)}: most confused"))
    return [Section("Confusion between scene classes", content)] if comparison.confusion else []


def _extremes(to: Path, comparison: Comparison) -> Section:
    content: list[str | Table | Picture] = []
    scenes = [record.scene for record in comparison.records]
    several = len(set(scenes)) > 1
    for name, figures in comparison.average_precision.items():
        for word, lowest in (("best", False), ("worst", True)):
            rows = []
            for query in extreme_queries(figures, scenes, EXTREMES, lowest=lowest):
                relevant = comparison.relevant(query)
                hits = [
                    ShownImage(
                        comparison.records[hit].id, read_image(comparison.records[hit].image), bool(relevant[hit])
                    )
                    for hit in comparison.first_hits[name][query]
                ]
                record = comparison.records[query]
                rows.append((f"AP {figures[query]:.3f}", ShownImage(record.id, read_image(record.image)), hits))
            if rows:
                title = f"{_title(name)}: {word} queries{', one of each scene class first' if several else ''}"
                file = to / f"{word}_{_file(name)}.png"
                save_png(file, extremes_sheet(rows, title=title))
                content.append(Picture(file, title))
    return Section("Best and worst queries", content)


def _costs(comparison: Comparison) -> Section:
    schemes = comparison.evaluation.schemes
    names = list(dict.fromkeys(cost for figures in schemes.values() for cost in figures.costs))
    rows = [
        [_title(name), *(f"{figures.costs[cost]:.4g}" if cost in figures.costs else "–" for cost in names)]
        for name, figures in schemes.items()
    ]
    content: list[str | Table] = [
        Table(["Descriptor", *map(in_words, names)], rows),
        costs_words(comparison.evaluation),
    ]
    return Section("What it costs", content)


def _settings(comparison: Comparison) -> Section:
    lines = settings(comparison.evaluation)
    lines += _unread(comparison)
    return Section(
        "Settings", ["Parameters of the baselines are this program's choice: the paper does not give them.", *lines]
    )


def _unread(comparison: Comparison) -> list[str]:
    """Images that are left out, the first ones named."""
    if not comparison.skipped:
        return []
    return [f"{len(comparison.skipped)} images could not be read:", *list(comparison.skipped.values())[:20]]


def _save(file: Path, content: bytes, words: str) -> Picture:
    with written_aside(file, replace=True) as aside:
        aside.write_bytes(content)
    return Picture(file, words, words)


def _title(name: str) -> str:
    return SCHEME_TITLES.get(name, name)


def _file(name: str) -> str:
    return name.replace("+", "_plus")
