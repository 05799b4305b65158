"""`rsir-tf index`: describe every image of an archive and keep the descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from rsir_tf.cli import console, options

if TYPE_CHECKING:
    from rsir_tf.archives import Archive

NAME = "index"


def command(
    images: options.Archive,
    to: Annotated[Path, typer.Option(help="The index's folder: made, or continued.")],
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
    split: Annotated[Path | None, typer.Option(help="Only one part of this split file.")] = None,
    part: Annotated[str, typer.Option(help="Which part: 'train', 'validation' or 'test'.")] = "test",
    connectivity: Annotated[options.Connectivity, typer.Option(help="Of regions.")] = options.Connectivity.eight,
    min_area: Annotated[int, typer.Option(help="Smallest region kept, in pixels.")] = 0,
    convention: Annotated[
        options.Convention, typer.Option(help="Bilinear convention of region pooling.")
    ] = options.Convention.half_pixel,
    half: Annotated[bool, typer.Option("--float16", help="Store vectors in half the space.")] = False,
    strict: Annotated[bool, typer.Option(help="Fail at the first image that cannot be read.")] = False,
    prune: Annotated[bool, typer.Option(help="Take out images that are not among those given.")] = False,
    repair: Annotated[
        bool,
        typer.Option(help="First read every byte of the index; drop damaged segments and index their images again."),
    ] = False,
    merge: Annotated[
        bool, typer.Option(help="At the end, merge small segments and those that lack images into large ones.")
    ] = False,
    tags: options.Tags = None,
    labels: options.Labels = None,
    labels_as_published: options.AsPublished = False,
    json: options.Json = False,
) -> None:
    """Ask the model about each image, pool its features over regions, and write them to an index.

    Images that are in the index and unchanged are not asked for again: a stopped command goes on where it was.
    """
    if part not in ("train", "validation", "test"):
        raise typer.BadParameter(f"--part {part}: wanted 'train', 'validation' or 'test'")

    def open_images() -> Archive:
        from rsir_tf.archives import open_archive, read_split, select

        archive = open_archive(images, labels=labels, tags=tags, repair=not labels_as_published)
        if split is None:
            return archive
        return select(archive, read_split(split), cast(Literal["train", "validation", "test"], part))

    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is looked at while that answers.
    archive = None if saved_model is None else open_images()
    opened = options.open_model(
        server, saved_model, model_name=model, version=version, label=version_label, timeout=timeout,
        batch_size=batch_size, encrypted=tls, ca=tls_ca, certificate=tls_certificate, key=tls_key,
        server_name=tls_server_name,
    )  # fmt: skip
    with opened, console.progress("indexing") as tell:
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
