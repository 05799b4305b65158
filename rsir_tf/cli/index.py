"""`rsir-tf index`: describe every image of an archive and keep the descriptors."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.connection import Connection

if TYPE_CHECKING:
    from rsir_tf.archives import Archive

NAME = "index"


class Part(str, Enum):
    """A part of a split."""

    train = "train"
    validation = "validation"
    test = "test"


def command(
    images: options.Archive,
    to: Annotated[Path, typer.Option(help="The index's folder. It is made, or continued if it holds an index.")],
    *,
    connection: Connection,
    resize: options.Resize = None,
    split: Annotated[
        Path | None, typer.Option(help="A split file from `rsir-tf split`. Only one part of it is indexed.")
    ] = None,
    part: Annotated[Part, typer.Option(help="The part of --split to index.")] = Part.test,
    connectivity: Annotated[
        options.Connectivity, typer.Option(help="How many neighbours of a pixel can belong to the same region.")
    ] = options.Connectivity.eight,
    min_area: Annotated[int, typer.Option(help="Leave out regions with fewer pixels than this.")] = 0,
    convention: Annotated[
        options.Convention,
        typer.Option(help="How conv5_3 is interpolated to the image's size before it is pooled over regions."),
    ] = options.Convention.half_pixel,
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
    annotations: options.Annotations,
    json: options.Json = False,
) -> None:
    """Ask a model about each image of an archive, and write the descriptors of its regions to an index.

    Images that are in the index and have not changed are not sent again, so a stopped command can be continued.
    """

    def open_images() -> Archive:
        from rsir_tf.archives import read_split, select

        archive = annotations.open(images)
        return archive if split is None else select(archive, read_split(split), part.value)

    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is looked at while that answers.
    archive = None if connection.saved_model is None else open_images()
    with connection.open() as opened, console.progress("indexing") as tell:
        archive = open_images() if archive is None else archive
        from rsir_tf.workflows import index_archive

        summary = index_archive(
            archive,
            opened,
            to,
            connectivity=int(connectivity.value),
            min_area=min_area,
            convention=convention.value,
            dtype="float16" if half else "float32",
            resize=resize,
            strict=strict,
            prune=prune,
            repair=repair,
            merge=merge,
            progress=tell,
        )
    for dropped in summary.dropped:
        console.say(
            f"dropped damaged segment {dropped.segment} with {dropped.images:,} images, to be indexed again: "
            + ("their list is damaged too" if dropped.ids is None else ", ".join(dropped.ids))
        )
    skipped = summary.skipped or {}
    for image, reason in skipped.items():
        console.say(f"skipped {image}: {reason}")
    console.say(
        f"{summary.images:,} images in the index: {summary.added:,} added, {summary.reused:,} with known content, "
        f"{summary.unchanged:,} unchanged, {summary.removed:,} removed, {len(skipped):,} skipped"
    )
    if json:
        console.put_json(summary.to_json())
    else:
        console.put(str(to))
