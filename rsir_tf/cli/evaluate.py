"""`rsir-tf evaluate`: retrieval figures of an index."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options

if TYPE_CHECKING:
    from rsir_tf.evaluation import Evaluation

NAME = "evaluate"


class Relevance(str, Enum):
    """What makes an image relevant."""

    scene = "scene"
    tags = "tags"


def command(
    index: Annotated[Path, typer.Argument(help="An index's folder.")],
    scheme: Annotated[list[options.Scheme] | None, typer.Option(help="Only this scheme; both where not given.")] = None,
    relevance: Annotated[Relevance, typer.Option(help="Same scene class, or a shared tag.")] = Relevance.scene,
    anmrr_variant: Annotated[str, typer.Option(help="Which definition of ANMRR; the default is the paper's.")] = "2ng",
    query_counts: Annotated[bool, typer.Option(help="Whether the query is ranked too, and relevant.")] = True,
    metric: Annotated[options.Metric | None, typer.Option(help="For recnn+; l1 where not given.")] = None,
    direction: Annotated[
        options.Direction,
        typer.Option(help="For recnn; query: Eq. 3 as it stands; both: the mean of Eq. 3 there and back."),
    ] = options.Direction.query,
    tags_overlap: Annotated[
        bool, typer.Option(help="Rank images last whose segmentation shares no class with the query's.")
    ] = False,
    intervals: Annotated[bool, typer.Option(help="Add 95% bootstrap intervals over queries.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write JSON, a Markdown table and plots into this folder.")
    ] = None,
    published: Annotated[bool, typer.Option(help="Show the paper's figures beside; they are for UC Merced.")] = False,
    json: options.Json = False,
) -> None:
    """Let each image be the query once: ANMRR, mAP, P@5/10/20/50 and the 11-point precision-recall curve."""
    from rsir_tf.evaluation import ANMRR_VARIANTS, PUBLISHED_UC_MERCED, check_report_target, write_report
    from rsir_tf.index import open_index
    from rsir_tf.workflows import evaluate_index

    if anmrr_variant not in ANMRR_VARIANTS:
        raise typer.BadParameter(f"--anmrr-variant {anmrr_variant}: wanted one of {', '.join(ANMRR_VARIANTS)}")
    if report is not None:
        check_report_target(report)
    with console.progress("evaluating") as tell:
        found = evaluate_index(
            open_index(index),
            schemes=[entry.value for entry in scheme or options.Scheme],
            relevance=relevance.value,
            anmrr_variant=anmrr_variant,
            query_counts=query_counts,
            metric=metric.value if metric else None,
            direction=direction.value,
            tags_overlap=tags_overlap,
            intervals=intervals,
            progress=tell,
        )
    # Before the report: figures are not lost to a disk that is full.
    if json:
        console.put_json(found.to_json())
    else:
        console.put(_table(found))
    if report is not None:
        write_report(report, found, published=PUBLISHED_UC_MERCED if published else None)
        console.say(f"wrote {report}")


def _table(found: Evaluation) -> str:
    lines = [f"{found.queries} queries, {found.archive} images ranked, relevant: same {found.relevance}"]
    lines.append(f"{'':8} {'ANMRR':>7} {'mAP':>7} {'P@5':>7} {'P@10':>7} {'P@20':>7} {'P@50':>7}")
    for name, figures in found.schemes.items():
        numbers = [figures.anmrr, figures.map, *figures.precision.values()]
        lines.append(f"{name:8} " + " ".join("      –" if math.isnan(value) else f"{value:7.4f}" for value in numbers))
    return "\n".join(lines)
