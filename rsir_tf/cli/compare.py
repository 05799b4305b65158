"""`rsir-tf compare`: the paper's Table I for an archive."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection
from rsir_tf.cli.scene_options import SceneOptions
from rsir_tf.ranking.schemes import PAPER_SCHEMES

if TYPE_CHECKING:
    from rsir_tf.baselines import Descriptor
    from rsir_tf.workflows import Comparison

NAME = "compare"

_PARTS = "Which images"
BASELINE_NAMES = ("statistics", "color", "lbp", "glcm", "gist", "bovw", "mlir")


class Relevance(str, Enum):
    """What makes an image relevant."""

    scene = "scene"
    tags = "tags"


def command(
    archive: options.Archive,
    to: Annotated[
        Path, typer.Option(help="The folder for the report and all that was described. It is made, or continued.")
    ],
    *,
    descriptor: Annotated[
        list[str] | None,
        typer.Option(help=f"Compare only this baseline: {', '.join(BASELINE_NAMES)}. Repeat the option for several."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.FIELD=VALUE",
            help="A parameter of a baseline, for example glcm.levels=16. Repeat the option for several.",
        ),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="An index of the images to rank, from which ReCNN and ReCNN+ are compared.")
    ] = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            metavar=options.SCHEME_NAMES,
            help="With --index or a model: compare this ranking scheme, and not recnn and recnn+. Repeat the option "
            "for several.",
        ),
    ] = None,
    connection: Connection,
    resize: options.Resize = None,
    split: Annotated[
        Path | None,
        typer.Option(help="A split file from `rsir-tf split`. Its test part is ranked.", rich_help_panel=_PARTS),
    ] = None,
    test: Annotated[
        float,
        typer.Option(
            help="The fraction of each scene class that is ranked if no split file is given.", rich_help_panel=_PARTS
        ),
    ] = 0.2,
    seed: options.Seed = 0,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Rank all images. BoVW is left out then, because no image is left to learn its words from.",
            rich_help_panel=_PARTS,
        ),
    ] = False,
    relevance: Annotated[
        Relevance | None,
        typer.Option(
            help="Which images are relevant to a query. scene: those of the same scene class. tags: those that share a "
            "tag. The default is scene if the images have scene classes."
        ),
    ] = None,
    anmrr_variant: options.AnmrrVariant = "2ng",
    query_counts: options.QueryCounts = True,
    intervals: Annotated[bool, typer.Option(help="Add 95% bootstrap intervals and paired tests.")] = False,
    against: Annotated[
        str | None,
        typer.Option(help="Test the others against this descriptor. The default is the one with the best mAP."),
    ] = None,
    published: Annotated[
        bool | None,
        typer.Option(
            help="Show the paper's figures beside the measured ones. By default they are shown if archive, part and "
            "settings are the paper's."
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="How many processes describe images. The default is one for each processor core."),
    ] = None,
    annotations: options.Annotations,
    scenes: SceneOptions,
    json: options.Json = False,
) -> None:
    """Compare the paper's descriptors on an archive: its Table I, curves, confusions, best and worst queries, costs.

    What was described is kept, so a stopped command can be continued. ReCNN and ReCNN+ are compared if --index or a
    model is given.
    """
    from rsir_tf.archives import draw_split, leave_out_void, read_split, without
    from rsir_tf.processors import usable_cores
    from rsir_tf.ranking import make_schemes
    from rsir_tf.workflows import compare_archive

    chosen = _baselines(descriptor, set_)
    if index is not None and (connection.saved_model or connection.server_on_line):
        raise typer.BadParameter("both --index and a model are given: name one")
    if resize is not None and (index is not None or not connection.named):
        raise typer.BadParameter("--resize is for asking a model: an index of --index has its own size")
    compared = [baseline.name for baseline in chosen]
    with options.usage_errors():
        schemes = make_schemes(scheme or PAPER_SCHEMES)
    if index is not None or connection.named:
        compared += [each.name for each in schemes]
    elif scheme:
        raise typer.BadParameter("--scheme: name an --index or a model too")
    if against is not None and not intervals:
        raise typer.BadParameter("--against: tests are made with --intervals")
    if against is not None and against not in compared:
        raise typer.BadParameter(f"--against {against}: wanted one of {', '.join(compared)}")
    if everything and split is not None:
        raise typer.BadParameter("both --all and --split are given: name one")
    whole = annotations.open(archive, scenes)
    with console.progress("looking for valid pixels") as tell:
        opened = leave_out_void(whole, tell)
    if everything:
        drawn = None
    elif split is None:
        drawn = draw_split(opened, test, seed=seed)
    else:
        void = {record.id for record in whole} - {record.id for record in opened}
        drawn = without(read_split(split), void)
    with console.progress("comparing") as tell:
        page = compare_archive(
            opened,
            to,
            split=drawn,
            index=index,
            open_model=connection.open if connection.named else None,
            resize=resize,
            published=published,
            found=partial(_tell, json, _choice(len(opened), test, seed) if drawn and split is None else None),
            progress=tell,
            descriptors=chosen,
            schemes=schemes,
            relevance=None if relevance is None else relevance.value,
            anmrr_variant=anmrr_variant,
            query_counts=query_counts,
            intervals=intervals,
            against=against,
            processes=processes or usable_cores(),
        )
    console.say(f"wrote {page}")


def _choice(images: int, test: float, seed: int) -> str:
    """Why only some images are ranked, where no option has said so."""
    return (
        f"these are the test part of {images:,} images, drawn with --test {test:g} --seed {seed}; --all ranks all, "
        "--split FILE ranks the test part of a split file"
    )


def _tell(json: bool, choice: str | None, found: Comparison) -> None:
    from rsir_tf.presentation.retrieval_console import console_figures

    if json:
        console.put_json(found.to_json())
    else:
        heading, *table = console_figures(found.evaluation)
        console.put("\n".join([heading, *([choice] if choice else []), *table]))
    for line in [*found.remarks, *(f"left out {why}" for why in found.skipped.values())]:
        console.say(line)


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
