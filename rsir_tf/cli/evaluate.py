"""`rsir-tf evaluate`: retrieval figures of an index."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.cluster_options import ClusterOptions
from rsir_tf.cli.second_stages import SecondStages

NAME = "evaluate"


_SETS = "Separate queries"


class Part(str, Enum):
    """A part of a split."""

    train = "train"
    validation = "validation"
    test = "test"


class Gallery(str, Enum):
    """What is ranked: a part of a split, or all images."""

    train = "train"
    validation = "validation"
    test = "test"
    all = "all"


class Relevance(str, Enum):
    """What makes an image relevant."""

    scene = "scene"
    tags = "tags"
    jaccard = "jaccard"


def command(
    index: Annotated[Path, typer.Argument(help="The index's folder.")],
    *,
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            metavar=options.SCHEME_NAMES,
            help="Evaluate only this scheme. Repeat the option for several. The default is those of the paper, recnn "
            "and recnn+.",
        ),
    ] = None,
    relevance: Annotated[
        Relevance,
        typer.Option(
            help="Which images are relevant to a query. scene: those of the same scene class. tags: those that share a "
            "tag. jaccard: those whose tags have a Jaccard index of at least --jaccard-at with the query's."
        ),
    ] = Relevance.scene,
    jaccard_at: Annotated[
        float, typer.Option(help="The smallest Jaccard index of a relevant image, above 0 and at most 1.")
    ] = 0.5,
    k: Annotated[
        list[int] | None,
        typer.Option(
            "--k",
            min=1,
            help="A cut-off of P@k, recall@k, ACG@k and NDCG@k. Repeat the option for several. The default is 5, 10, "
            "20 and 50.",
        ),
    ] = None,
    anmrr_variant: options.AnmrrVariant = "2ng",
    query_counts: options.QueryCounts = True,
    metric: options.Metric = None,
    direction: options.Direction = None,
    vectors: options.Vectors = None,
    stages: SecondStages,
    tags_overlap: Annotated[
        bool, typer.Option(help="Rank images last if their segmentation shares no class with the query's.")
    ] = False,
    intervals: Annotated[bool, typer.Option(help="Add 95% bootstrap intervals, drawn over queries.")] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="SPLIT",
            help="A split file from `rsir-tf split`: only the images of one part are queries, and those of another are "
            "ranked. By default, each image is a query and all are ranked.",
            rich_help_panel=_SETS,
        ),
    ] = None,
    part: Annotated[
        Part, typer.Option(help="With --queries: the part whose images are queries.", rich_help_panel=_SETS)
    ] = Part.test,
    gallery: Annotated[
        Gallery,
        typer.Option(help="With --queries: the part whose images are ranked, or all.", rich_help_panel=_SETS),
    ] = Gallery.train,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a report into this folder: a page, JSON, CSV, Markdown, plots, the figures of each query, and "
            "rankings in TREC's format."
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, help="How many images of each ranking stand in the report's TREC files.")
    ] = 1000,
    published: Annotated[
        bool, typer.Option(help="Show the paper's figures for UC Merced beside the measured ones in the report.")
    ] = False,
    cluster: ClusterOptions,
    json: options.Json = False,
) -> None:
    """Measure how well an index retrieves: each image is the query once, and all images are ranked for it.

    With --queries, the images of one part of a split are the queries, and those of another are ranked.

    The figures are ANMRR, mAP, P@k, recall@k and the 11-point precision-recall curve. If images have tags, ACG, NDCG
    and WAP are added; if the tags are classes of the model, so is how well the segmentations show them.
    """
    from rsir_tf.archives import read_split
    from rsir_tf.evaluation import CUTOFFS
    from rsir_tf.presentation import check_report_target
    from rsir_tf.presentation.retrieval_console import console_figures, console_tag_figures
    from rsir_tf.ranking import make_schemes, open_index
    from rsir_tf.ranking.schemes import PAPER_SCHEMES
    from rsir_tf.workflows import RankingRecord, evaluate_index, sets_of_split, write_evaluation

    if not 0 < jaccard_at <= 1:
        raise typer.BadParameter(f"--jaccard-at {jaccard_at}: wanted a number above 0, at most 1")
    with options.usage_errors():
        chosen = make_schemes(scheme or PAPER_SCHEMES, metric=metric, direction=direction, vectors=vectors)
        schemes = [stages.around(each) for each in chosen]
    cluster.require_cluster()
    if report is not None:
        check_report_target(report)
    opened = open_index(index)
    sets = None if queries is None else sets_of_split(opened, read_split(queries), part.value, gallery.value)
    record = None if report is None else RankingRecord(depth)
    with cluster.rankers(opened) as pool, console.progress("evaluating") as tell:
        found = evaluate_index(
            opened,
            schemes=schemes,
            relevance=relevance.value,
            jaccard_at=jaccard_at,
            cutoffs=sorted(set(k)) if k else CUTOFFS,
            anmrr_variant=anmrr_variant,
            query_counts=query_counts,
            tags_overlap=tags_overlap,
            intervals=intervals,
            sets=sets,
            record=record,
            pool=pool,
            progress=tell,
        )
    # Before the report: figures are not lost to a disk that is full.
    if json:
        console.put_json(found.to_json())
    else:
        console.put("\n".join([*console_figures(found), *console_tag_figures(found)]))
    for line in found.remarks:
        console.say(line)
    if report is not None and record is not None:
        write_evaluation(report, opened, found, record, published=published)
        console.say(f"wrote {report}")
