"""`rsir-tf compare`: the paper's Table I for an archive."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli import split as split_command
from rsir_tf.cli.evaluate import Relevance

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.workflows import Comparison

NAME = "compare"

_PARTS = "Which images"
BASELINE_NAMES = ("statistics", "color", "lbp", "glcm", "gist", "bovw", "mlir")


def command(
    archive: options.Archive,
    to: Annotated[Path, typer.Option(help="The folder for cache and report: made, or continued.")],
    descriptor: Annotated[
        list[str] | None, typer.Option(help=f"Only this baseline: {', '.join(BASELINE_NAMES)}; repeat for several.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="An index of these images, for ReCNN and ReCNN+.")] = None,
    server: options.Servers = None,
    saved_model: options.SavedModel = None,
    model: options.ModelName = "fcn8s",
    version: options.Version = None,
    version_label: options.VersionLabel = None,
    timeout: options.Timeout = 300.0,
    batch_size: options.BatchSize = 4,
    tls: options.Encrypted = False,
    tls_ca: options.CertificateAuthority = None,
    tls_certificate: options.Certificate = None,
    tls_key: options.Key = None,
    tls_server_name: options.ServerName = None,
    split: Annotated[Path | None, typer.Option(help="Rank the test part of this file.", rich_help_panel=_PARTS)] = None,
    test: Annotated[
        float, typer.Option(help="Where no split is named: fraction of each scene to rank.", rich_help_panel=_PARTS)
    ] = 0.2,
    seed: options.Seed = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="Rank all images; BoVW has none left to learn from.", rich_help_panel=_PARTS)
    ] = False,
    relevance: Annotated[
        Relevance | None, typer.Option(help="Same scene class, or a shared tag; scene where there are any.")
    ] = None,
    anmrr_variant: Annotated[str, typer.Option(help="Which definition of ANMRR; the default is the paper's.")] = "2ng",
    query_counts: Annotated[bool, typer.Option(help="Whether the query is ranked too, and relevant.")] = True,
    intervals: Annotated[bool, typer.Option(help="Add 95% bootstrap intervals and paired tests.")] = False,
    published: Annotated[
        bool | None, typer.Option(help="Show the paper's figures beside; by default where this is UC Merced.")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Describe in so many processes; all cores.")] = None,
    tags: options.Tags = None,
    labels: options.Labels = None,
    json: options.Json = False,
) -> None:
    """Compare the paper's descriptors on an archive: Table I, curves, confusions, best and worst queries, costs.

    What was described is kept: a stopped command goes on where it was. ReCNN and ReCNN+ need --index or a model.
    """
    from rsir_tf.archives import open_archive
    from rsir_tf.baselines import BASELINES
    from rsir_tf.evaluation import ANMRR_VARIANTS, check_report_target
    from rsir_tf.index import open_index
    from rsir_tf.workflows import compare_descriptors, is_uc_merced, write_comparison

    unknown = sorted(set(descriptor or ()) - set(BASELINES))
    if unknown:
        raise typer.BadParameter(f"--descriptor {unknown[0]}: wanted one of {', '.join(BASELINES)}")
    if anmrr_variant not in ANMRR_VARIANTS:
        raise typer.BadParameter(f"--anmrr-variant {anmrr_variant}: wanted one of {', '.join(ANMRR_VARIANTS)}")
    report = to / "report"
    check_report_target(report)
    opened = open_archive(archive, labels=labels, tags=tags)
    ranked, training, details = _parts(opened, split, test, seed, everything)
    opened_index, seconds = None if index is None else open_index(index), None
    if opened_index is None and (server or saved_model):
        asked = options.open_model(
            server, saved_model, model_name=model, version=version, label=version_label, timeout=timeout,
            batch_size=batch_size, encrypted=tls, ca=tls_ca, certificate=tls_certificate, key=tls_key,
            server_name=tls_server_name,
        )  # fmt: skip
        from rsir_tf.workflows import index_archive

        with asked, console.progress("indexing") as tell:
            started = time.perf_counter()
            summary = index_archive(ranked, asked, to / "index", progress=tell)
            seconds = (time.perf_counter() - started) / summary.added if summary.added else None
        opened_index = open_index(to / "index")
    with console.progress("comparing") as tell:
        found = compare_descriptors(
            ranked,
            to / "descriptors",
            descriptors=[BASELINES[name]() for name in BASELINES if not descriptor or name in descriptor],
            training=training,
            index=opened_index,
            index_seconds=seconds,
            relevance=None if relevance is None else relevance.value,
            anmrr_variant=anmrr_variant,
            query_counts=query_counts,
            intervals=intervals,
            processes=processes or os.cpu_count() or 1,
            details=details,
            progress=tell,
        )
    # Before the report: figures are not lost to a disk that is full.
    if json:
        console.put_json(found.to_json())
    else:
        console.put(_table(found))
    for line in [*found.remarks, *(f"left out {why}" for why in found.skipped.values())]:
        console.say(line)
    beside = is_uc_merced(opened) if published is None else published
    page = write_comparison(
        report,
        found,
        title=f"Descriptors compared on {opened.root.resolve().name}",
        published=beside and found.evaluation.relevance == "scene",
    )
    console.say(f"wrote {page}")


def _parts(
    archive: Archive, split: Path | None, test: float, seed: int, everything: bool
) -> tuple[Archive, Archive | None, dict[str, Any]]:
    """The images to rank, those to learn from, and what to record of the choice."""
    from rsir_tf.archives import read_split, select

    if everything:
        if split is not None:
            raise typer.BadParameter("both --all and --split are given: name one")
        return archive, None, {"images": "all"}
    drawn = split_command.draw(archive, test, None, seed) if split is None else read_split(split)
    details = {"images": "test part", "split by": drawn.by, "split seed": drawn.seed, "test fraction": drawn.fraction}
    return select(archive, drawn, "test"), select(archive, drawn, "train"), details


def _table(found: Comparison) -> str:
    evaluation = found.evaluation
    lines = [
        f"{evaluation.queries} queries, {evaluation.archive} images ranked, relevant: same {evaluation.relevance}",
        f"{'':10} {'ANMRR':>7} {'mAP':>7} {'P@5':>7} {'P@10':>7} {'P@20':>7} {'P@50':>7}",
    ]
    for name, figures in evaluation.schemes.items():
        numbers = [figures.anmrr, figures.map, *figures.precision.values()]
        lines.append(f"{name:10} " + " ".join("      –" if math.isnan(value) else f"{value:7.4f}" for value in numbers))
    return "\n".join(lines)
