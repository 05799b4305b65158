"""`rsir-tf compare`: the paper's Table I for an archive."""

from __future__ import annotations

import contextlib
import math
import os
from collections import defaultdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli import split as split_command
from rsir_tf.cli.evaluate import relevant_words

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.baselines import Descriptor
    from rsir_tf.workflows import Comparison

NAME = "compare"

_PARTS = "Which images"
BASELINE_NAMES = ("statistics", "color", "lbp", "glcm", "gist", "bovw", "mlir")
LEARNED_NAMES = ("recnn", "recnn+")
LOCK = "writer.lock"


class Relevance(str, Enum):
    """What makes an image relevant."""

    scene = "scene"
    tags = "tags"


def command(
    archive: options.Archive,
    to: Annotated[Path, typer.Option(help="The folder for cache and report: made, or continued.")],
    descriptor: Annotated[
        list[str] | None, typer.Option(help=f"Only this baseline: {', '.join(BASELINE_NAMES)}; repeat for several.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.FIELD=VALUE", help="A baseline's parameter, as glcm.levels=16; repeat."),
    ] = None,
    index: Annotated[Path | None, typer.Option(help="An index of these images, for ReCNN and ReCNN+.")] = None,
    server: options.Servers = None,
    saved_model: options.SavedModel = None,
    model: options.ModelName = "fcn8s",
    version: options.Version = None,
    version_label: options.VersionLabel = None,
    timeout: options.Timeout = 300.0,
    batch_size: options.BatchSize = 4,
    resize: options.Resize = None,
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
    against: Annotated[
        str | None, typer.Option(help="Test the others against this descriptor; the best by mAP where none is named.")
    ] = None,
    published: Annotated[
        bool | None,
        typer.Option(help="Show the paper's figures beside; by default where archive, part and settings are its own."),
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Describe in so many processes; all cores.")] = None,
    tags: options.Tags = None,
    labels_as_published: options.AsPublished = False,
    labels: options.Labels = None,
    json: options.Json = False,
) -> None:
    """Compare the paper's descriptors on an archive: Table I, curves, confusions, best and worst queries, costs.

    What was described is kept: a stopped command goes on where it was. ReCNN and ReCNN+ need --index or a model.
    """
    from rsir_tf.archives import open_archive
    from rsir_tf.artifacts import disk_errors
    from rsir_tf.evaluation import ANMRR_VARIANTS, check_report_target
    from rsir_tf.index import open_index
    from rsir_tf.locks import WriterLock
    from rsir_tf.processors import usable_cores
    from rsir_tf.workflows import (
        compare_descriptors,
        describe_into_index,
        published_remarks,
        unlike_published,
        write_comparison,
    )

    chosen = _baselines(descriptor, set_)
    # A server that the environment names is a default, one that the line names is a contradiction.
    if index is not None and (
        saved_model or (server and server != os.environ.get(options.SERVER_VARIABLE, "").split())
    ):
        raise typer.BadParameter("both --index and a model are given: name one")
    if resize is not None and (index is not None or not (server or saved_model)):
        raise typer.BadParameter("--resize is for asking a model: an index of --index has its own size")
    compared = [baseline.name for baseline in chosen]
    if index is not None or server or saved_model:
        compared += LEARNED_NAMES
    if against is not None and not intervals:
        raise typer.BadParameter("--against: tests are made with --intervals")
    if against is not None and against not in compared:
        raise typer.BadParameter(f"--against {against}: wanted one of {', '.join(compared)}")
    if anmrr_variant not in ANMRR_VARIANTS:
        raise typer.BadParameter(f"--anmrr-variant {anmrr_variant}: wanted one of {', '.join(ANMRR_VARIANTS)}")
    report = to / "report"
    check_report_target(report)
    opened = open_archive(archive, labels=labels, tags=tags, repair=not labels_as_published)
    ranked, training, details = _parts(opened, split, test, seed, everything)
    opened_index = None if index is None else open_index(index)
    with disk_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        held.callback(WriterLock(to / LOCK).release)  # Until the report is whole: it is of one comparison.
        if opened_index is None and (server or saved_model):
            asked = options.open_model(
                server, saved_model, model_name=model, version=version, label=version_label, timeout=timeout,
                batch_size=batch_size, encrypted=tls, ca=tls_ca, certificate=tls_certificate, key=tls_key,
                server_name=tls_server_name,
            )  # fmt: skip
            with asked, console.progress("indexing") as tell:
                opened_index = describe_into_index(ranked, asked, to / "index", resize=resize, progress=tell)
        with console.progress("comparing") as tell:
            found = compare_descriptors(
                ranked,
                to / "descriptors",
                descriptors=chosen,
                training=training,
                index=opened_index,
                relevance=None if relevance is None else relevance.value,
                anmrr_variant=anmrr_variant,
                query_counts=query_counts,
                intervals=intervals,
                against=against,
                processes=processes or usable_cores(),
                details=details,
                progress=tell,
            )
        differs = unlike_published(opened, found)
        if published and differs:
            found.remarks.append(f"Published rows are shown because they were asked for, though {'; '.join(differs)}.")
        shown = not differs if published is None else published
        found.remarks += published_remarks(found) if shown else []
        # Before the report: figures are not lost to a disk that is full.
        if json:
            console.put_json(found.to_json())
        else:
            console.put(_table(found))
        for line in [*found.remarks, *(f"left out {why}" for why in found.skipped.values())]:
            console.say(line)
        page = write_comparison(
            report,
            found,
            title=f"Descriptors compared on {opened.root.resolve().name}",
            published=shown,
        )
        console.say(f"wrote {page}")


def _baselines(names: list[str] | None, settings: list[str] | None) -> list[Descriptor]:
    """The baselines that --descriptor names, or all, with the parameters that --set gives."""
    from rsir_tf.baselines import BASELINES, with_parameters
    from rsir_tf.errors import InputError

    unknown = sorted(set(names or ()) - set(BASELINES))
    if unknown:
        raise typer.BadParameter(f"--descriptor {unknown[0]}: wanted one of {', '.join(BASELINES)}")
    chosen = [name for name in BASELINES if not names or name in names]
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for setting in settings or ():
        place, equals, value = setting.partition("=")
        name, dot, parameter = place.strip().partition(".")
        if not equals or not dot:
            raise typer.BadParameter(f"--set {setting}: wanted NAME.FIELD=VALUE, as glcm.levels=16")
        if name not in chosen:
            raise typer.BadParameter(f"--set {setting}: wanted one of {', '.join(chosen)}, which are compared")
        if parameter in texts[name]:
            raise typer.BadParameter(f"--set {setting}: {place} is set twice")
        texts[name][parameter] = value
    try:
        return [with_parameters(BASELINES[name], texts[name]) for name in chosen]
    except InputError as error:
        raise typer.BadParameter(f"--set: {error}") from error


def _parts(
    archive: Archive, split: Path | None, test: float, seed: int, everything: bool
) -> tuple[Archive, Archive | None, dict[str, Any]]:
    """The images to rank, those to learn from, and what to record of the choice."""
    from rsir_tf.archives import archive_hash, read_split, select
    from rsir_tf.artifacts import content_hash

    if everything:
        if split is not None:
            raise typer.BadParameter("both --all and --split are given: name one")
        return archive, None, {"images": "all", "archive hash": archive_hash(archive)}
    drawn = split_command.draw(archive, test, None, seed) if split is None else read_split(split)
    details = {
        "images": "test part",
        "archive hash": archive_hash(archive),
        "split hash": content_hash(drawn.to_json()),
        "split by": drawn.by,
        "split seed": drawn.seed,
        "test fraction": drawn.fraction,
        **({"test groups": list(drawn.groups)} if drawn.groups else {}),
    }
    return select(archive, drawn, "test"), select(archive, drawn, "train"), details


def _table(found: Comparison) -> str:
    evaluation = found.evaluation
    relevant = relevant_words(evaluation.relevance)
    lines = [
        f"{evaluation.queries} queries, {evaluation.archive} images ranked, relevant: {relevant}",
        f"{'':10} {'ANMRR':>7} {'mAP':>7} {'P@5':>7} {'P@10':>7} {'P@20':>7} {'P@50':>7}",
    ]
    for name, figures in evaluation.schemes.items():
        numbers = [figures.anmrr, figures.map, *figures.precision.values()]
        lines.append(f"{name:10} " + " ".join("      –" if math.isnan(value) else f"{value:7.4f}" for value in numbers))
    return "\n".join(lines)
