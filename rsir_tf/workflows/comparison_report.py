"""A comparison on disk: Table I as Markdown, CSV and JSON, plots, contact sheets, and one page that gathers them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import write_json, written_aside
from rsir_tf.evaluation import (
    MOST_CELLS,
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
from rsir_tf.evaluation.published import SCHEME_TITLES
from rsir_tf.evaluation.tables import figures_table, scene_table, settings
from rsir_tf.imagery import read_image
from rsir_tf.pictures import save_png

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.workflows.comparing import Comparison

EXTREMES = 3
"""Best and worst queries that are shown of each descriptor."""

Shown = Mapping[str, PublishedRow] | None


def is_uc_merced(archive: Archive) -> bool:
    """Whether these are UC Merced's 2,100 images, by their names: 100 of each of its 21 scene classes."""
    from rsir_tf.archives.synthetic.archive import SCENES

    names = {Path(record.id).with_suffix("").as_posix() for record in archive}
    return names == {f"{scene}/{scene}{number:02}" for scene in SCENES for number in range(100)}


def write_comparison(to: Path, comparison: Comparison, *, title: str, published: bool) -> Path:
    """Write the report folder; a later comparison in the same folder replaces it file by file.

    Args:
        to: The folder.
        comparison: From `compare_descriptors`.
        title: Heading of report and page.
        published: Whether to show the paper's rows beside; they are for UC Merced, relevance by scene.

    Returns:
        The page, `index.html`, which opens without a server.

    Raises:
        ArtifactError: `to` holds something else, or the disk is full or read-only.
    """
    rows: Shown = PUBLISHED_UC_MERCED if published else None
    write_report(to, comparison.evaluation, title=title, published=rows)
    write_json(to / "comparison.json", comparison.to_json())
    sections = [_figures(to, comparison, rows), *_scenes(to, comparison), *_confusion(to, comparison)]
    sections += [_extremes(to, comparison), _costs(comparison), _settings(comparison)]
    return write_page(to / "index.html", title, sections, lead=_lead(comparison))


def _lead(comparison: Comparison) -> str:
    found = comparison.evaluation
    best = min(found.schemes, key=lambda name: np.nan_to_num(found.schemes[name].anmrr, nan=1.0))
    return (
        f"{len(found.schemes)} descriptors on {found.queries:,} queries, each ranking {found.archive:,} images. "
        f"Best by ANMRR: {_title(best)}."
    )


def _figures(to: Path, comparison: Comparison, published: Shown) -> Section:
    content: list[str | Table | Picture] = [Table(*figures_table(comparison.evaluation, published))]
    content.append("ANMRR: lower is better. All others: higher is better.")
    if published:
        content.append(
            "Published rows: Table I of the paper, with its own split, network and parameters, which it does not give "
            "for the baselines; they are no figures of this run."
        )
    content += comparison.remarks
    content.append(Picture(to / "precision_recall.png", "Interpolated precision over recall, a curve a descriptor"))
    schemes = comparison.evaluation.schemes
    graded = list(dict.fromkeys(name for figures in schemes.values() for name in figures.graded))
    if graded:
        rows: list[list[str | int | float]] = [
            [_title(name), *(f.graded.get(key, float("nan")) for key in graded)] for name, f in schemes.items()
        ]
        content.append(Table(["Descriptor", *graded], rows, "Graded by the number of shared tags"))
    if comparison.p_values:
        tests = [[_title(name), f"{value:.4f}"] for name, value in comparison.p_values.items()]
        content.append(Table(["Descriptor", "p"], tests, "Paired randomisation test of AP against the best by mAP"))
    return Section("Figures", content)


def _scenes(to: Path, comparison: Comparison) -> list[Section]:
    header, rows = scene_table(comparison.evaluation)
    schemes = comparison.evaluation.schemes
    content: list[str | Table | Picture] = []
    if 0 < len(rows) <= MOST_CELLS:
        scenes = [row[0] for row in rows]
        values = [
            [f.by_scene[scene].anmrr if scene in f.by_scene else np.nan for f in schemes.values()] for scene in scenes
        ]
        picture = heat_map(values, scenes, [_title(name) for name in schemes], colours="Oranges")
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
                title = f"{_title(name)}: {word} queries"
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
    words = (
        "Seconds an image: describing it, of a core's time, without reading it; of ReCNN and ReCNN+ the whole of "
        "indexing, where this command did it. Seconds a query: ranking all images for all queries, by their number."
    )
    return Section("What it costs", [Table(["Descriptor", *names], rows), words])


def _settings(comparison: Comparison) -> Section:
    lines = settings(comparison.evaluation)
    if comparison.skipped:
        lines.append(f"{len(comparison.skipped)} images could not be read:")
        lines += list(comparison.skipped.values())[:20]
    return Section(
        "Settings", ["Parameters of the baselines are this program's choice: the paper does not give them.", *lines]
    )


def _save(file: Path, content: bytes, words: str) -> Picture:
    with written_aside(file, replace=True) as aside:
        aside.write_bytes(content)
    return Picture(file, words, words)


def _title(name: str) -> str:
    return SCHEME_TITLES.get(name, name)


def _file(name: str) -> str:
    return name.replace("+", "_plus")
