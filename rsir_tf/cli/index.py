"""`rsir-tf index`: describe every image of an archive and keep the descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection, return_memory
from rsir_tf.cli.scene_options import SceneOptions, notes_together, windows_together
from rsir_tf.errors import InputError, why
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.contract import Model
    from rsir_tf.rasters import Reading
    from rsir_tf.workflows import IndexSummary, ModelOnWorkers

NAME = "index"

SKIPPED_SHOWN = 50
"""More images, or scenes with windows that cannot be read, are not printed."""


class Part(str, Enum):
    """A part of a split."""

    train = "train"
    validation = "validation"
    test = "test"


def command(
    images: Annotated[
        str | None,
        typer.Argument(
            help="A folder of images: UC Merced, DLRSD, MLRSNet, images beside masks, or any folder of images or "
            "scenes; an image file or its URL; or @FILE, a text file that lists scenes, a path or URL in each line. It "
            "is left out if --remove or --root only changes an index.",
            show_default=False,
        ),
    ] = None,
    *,
    to: Annotated[Path, typer.Option(help="The index's folder. It is made, or continued if it holds an index.")],
    connection: Connection,
    resize: options.Resize = None,
    split: Annotated[
        Path | None, typer.Option(help="A split file from `rsir-tf split`. Only one part of it is indexed.")
    ] = None,
    part: Annotated[Part, typer.Option(help="The part of --split to index.")] = Part.test,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="PART/PARTS",
            help="Index one of several equal parts of the images, for example 3/16. Several machines can then work at "
            "the same time, each with a --to of its own; `rsir-tf join` puts the parts together.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Describe the images on the workers of a running Ray cluster: HOST:PORT of its head, or `auto` for "
            "the cluster that this machine belongs to. Each worker asks --server, or loads --saved-model. The images, "
            "the model and the index must lie on storage that all machines see at the same paths.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many workers of the Ray cluster to use. The default is one for each GPU, or one for each machine "
            "if there are none.",
        ),
    ] = None,
    staging: Annotated[
        Path | None,
        typer.Option(
            help="The folder for finished parts of a Ray cluster's work, which are removed at the end. The default is "
            "the index's name with .parts at its end.",
        ),
    ] = None,
    connectivity: Annotated[
        options.Connectivity, typer.Option(help="How many neighbours of a pixel can belong to the same region.")
    ] = options.Connectivity.eight,
    min_area: Annotated[int, typer.Option(help="Leave out regions with fewer pixels than this.")] = 0,
    convention: Annotated[
        options.Convention,
        typer.Option(help="How conv5_3 is interpolated to the image's size before it is pooled over regions."),
    ] = options.Convention.half_pixel,
    pooling: Annotated[
        options.Pooling,
        typer.Option(
            help="How features are pooled over the pixels of a region, and over those of an image. max: the largest of "
            "each channel, as in the paper. gem: their generalised mean (power 3), between mean and max. mean: their "
            "mean. rmac: the largest in each of 14 windows, summed up as vectors of length 1 (R-MAC). Queries are "
            "described in the same way."
        ),
    ] = options.Pooling.max,
    layers: Annotated[
        list[options.Layer] | None,
        typer.Option(
            help="Keep vectors of this layer too, beside those of conv5_3, for the schemes multiscale and multiscale+. "
            "They take as much space again. The model must have been exported with --conv4.",
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--float16", help="Store descriptors as float16, in half the space.")] = False,
    strict: Annotated[
        bool, typer.Option(help="Stop at the first image that cannot be read. By default it is skipped and listed.")
    ] = False,
    prune: Annotated[bool, typer.Option(help="Remove images from the index that are not among those given.")] = False,
    repair: Annotated[
        bool,
        typer.Option(help="First read every byte of the index, drop damaged segments and index their images again."),
    ] = False,
    merge: Annotated[
        bool,
        typer.Option(help="At the end, merge small segments and segments with removed images into large ones."),
    ] = False,
    rehash: Annotated[
        bool,
        typer.Option(help="Read all images again. By default, images of the same file size and time are not read."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Keep the images of this archive under a name of their own, beside another archive's: their ids begin "
            "with NAME/.",
        ),
    ] = None,
    root: options.Roots = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Only remove the image with this id from the index. Repeat the option for several. @FILE reads ids "
            "from a file, one in each line. No model is asked.",
        ),
    ] = None,
    annotations: options.Annotations,
    scenes: SceneOptions,
    json: options.Json = False,
) -> None:
    """Ask a model about each image of an archive, and write the descriptors of its regions to an index.

    With --tile, scenes are cut into windows, and each window is an image of the index. How files are read is kept in
    the index, and queries are read in the same way.

    Images that are in the index and have not changed are not sent again, so a stopped command can be continued. Their
    tags, scene classes and places are brought up to date. An archive that has been moved is recognised by its images.
    """
    if images is None:
        if not (remove or root):
            raise typer.BadParameter("missing argument: the archive's folder")
        _change(to, _ids(remove or []), options.parse_roots(root), json)
        return
    if remove:
        raise typer.BadParameter("--remove stands alone, without an archive")
    roots = options.parse_roots(root)
    if len(roots) > 1 or roots.keys() - {name or ""}:
        raise typer.BadParameter("beside an archive, --root names that archive's folder and no other")
    folder = roots.get(name or "")
    own_part = None
    if shard is not None:
        from rsir_tf.workflows import Shard

        with options.usage_errors():
            own_part = Shard.parse(shard)

    def open_images() -> Archive:
        from rsir_tf.archives import read_split, select
        from rsir_tf.workflows import recorded_reading

        known = recorded_reading(to, images, name)
        archive = annotations.open(images, scenes, known=known, strict=strict)
        for line in notes_together((name, note) for note, names in archive.notes.items() for name in names):
            console.say(line)
        _compare_with_card(connection, archive.reading)
        return archive if split is None else select(archive, read_split(split), part.value)

    if connection.saved_model is None:
        return_memory()
    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is looked at while that answers.
    archive = None if connection.saved_model is None else open_images()
    with _asked(connection, ray, workers, staging) as model:
        archive = open_images() if archive is None else archive
        from rsir_tf.workflows import index_archive

        with console.progress("indexing") as tell:
            summary = index_archive(
                archive,
                model,
                to,
                connectivity=int(connectivity.value),
                min_area=min_area,
                convention=convention.value,
                pooling=pooling.value,
                layers=[layer.value for layer in layers or ()],
                dtype="float16" if half else "float32",
                resize=resize,
                strict=strict,
                prune=prune,
                repair=repair,
                merge=merge,
                rehash=rehash,
                name=name,
                root=folder,
                shard=own_part,
                staging=staging,
                progress=tell,
            )
    _tell(summary)
    if json:
        console.put_json(summary.to_json())
    else:
        console.put(str(to))
    # A program must be able to tell that nothing could be read.
    raise typer.Exit(int(bool(summary.skipped) and not summary.images))


@contextmanager
def _asked(
    connection: Connection, ray: str | None, workers: int | None, staging: Path | None
) -> Iterator[Model | ModelOnWorkers]:
    """The model to ask, in this process or on the workers of a cluster."""
    if ray is None:
        if workers is not None or staging is not None:
            raise typer.BadParameter("--workers and --staging are for the workers of --ray")
        with connection.open() as model:
            yield model
        return
    from rsir_tf.cluster import WorkerPool
    from rsir_tf.workflows import ModelOnWorkers

    connection.require_one()
    with WorkerPool(ray, connection.open, workers=workers) as pool:
        yield ModelOnWorkers(pool)


def _tell(summary: IndexSummary) -> None:
    """Say on stderr what was done."""
    if summary.moved_from is not None:
        console.say(f"the archive has been moved from {summary.moved_from}: the index names its new place")
    for dropped in summary.dropped:
        console.say(
            f"dropped damaged segment {dropped.segment} with {counted(dropped.images, 'image')}, to be indexed again: "
            + ("their list is damaged too" if dropped.ids is None else ", ".join(dropped.ids))
        )
    skipped = summary.skipped or {}
    told = windows_together(skipped)
    for line in told[:SKIPPED_SHOWN]:
        console.say(f"skipped {line}")
    if len(told) > SKIPPED_SHOWN:
        console.say(f"skipped {len(told) - SKIPPED_SHOWN:,} more: skipped.json in the index's folder names them all")
    console.say(
        f"{counted(summary.images, 'image')} in the index: {summary.added:,} added, "
        f"{summary.reused:,} with known content, {summary.unchanged:,} unchanged, {summary.refreshed:,} refreshed, "
        f"{summary.removed:,} removed, {len(skipped):,} skipped"
    )
    if summary.left_out:
        left_out = counted(summary.left_out, "window is left out", "windows are left out")
        console.say(f"{left_out}: too few pixels are valid")
    if summary.absent:
        absent = counted(summary.absent, "image of the index is", "images of the index are")
        gone = counted(summary.gone, "has", "have")
        them = "it" if summary.absent == 1 else "them"
        console.say(f"{absent} not among those given, and {gone} no file any more; --prune removes {them}")


def _compare_with_card(connection: Connection, reading: Reading) -> None:
    """Say where a model in this process was trained on images that were read in another way."""
    from rsir_tf.serving.exports import trained_reading

    trained = None if connection.saved_model is None else trained_reading(connection.saved_model)
    if trained is not None and trained.recipe.to_json() != reading.recipe.to_json():
        console.say(
            f"{connection.saved_model}: was trained on images that were read in another way "
            f"({trained.recipe.describe() or 'as they are'}) than these ({reading.recipe.describe() or 'as they are'})"
        )


def _ids(named: list[str]) -> list[str]:
    """The ids that --remove names, those of @FILE included."""
    ids: list[str] = []
    for text in named:
        if not text.startswith("@"):
            ids.append(text)
            continue
        try:
            lines = Path(text[1:]).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{text[1:]}: cannot be read: {why(error)}", wanted="ids, one in each line") from error
        ids += [line for line in lines if line]
    return ids


def _change(to: Path, remove: list[str], roots: dict[str, Path], json: bool) -> None:
    from rsir_tf.workflows import change_index

    changed = change_index(to, remove=remove, roots=roots)
    console.say(f"{counted(changed['images'], 'image')} in the index: {changed['removed']:,} removed")
    if json:
        console.put_json(changed)
    else:
        console.put(str(to))
