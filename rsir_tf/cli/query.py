"""`rsir-tf query`: which images of an index show what this one shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.cli import console, options

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.index import Index
    from rsir_tf.workflows import QueryResult

NAME = "query"


def command(
    images: Annotated[list[Path], typer.Argument(help="The image to ask with, or several.", metavar="IMAGE...")],
    index: Annotated[Path, typer.Option(help="An index's folder.")],
    scheme: Annotated[
        options.Scheme | None,
        typer.Option(
            help="recnn: region against region (Eq. 3); recnn+: whole images. recnn+ where not given and no region is "
            "picked."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many hits.")] = 10,
    metric: Annotated[options.Metric | None, typer.Option(help="For recnn+; l1 where not given.")] = None,
    direction: Annotated[
        options.Direction,
        typer.Option(help="For recnn; query: Eq. 3 as it stands; both: the mean of Eq. 3 there and back."),
    ] = options.Direction.query,
    region: Annotated[
        int | None, typer.Option(help="Ask with one region alone, by its number: --scheme recnn --json tells them.")
    ] = None,
    at: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Ask with the region at a point of the image, in pixels from its top left.", metavar="X Y"),
    ] = None,
    tags_overlap: Annotated[
        bool, typer.Option(help="Only images whose segmentation shares a class with the query's.")
    ] = False,
    montage: Annotated[Path | None, typer.Option(help="Also draw query and hits into this PNG file.")] = None,
    server: options.Servers = None,
    saved_model: options.SavedModel = None,
    model: options.ModelName = "fcn8s",
    version: options.Version = None,
    version_label: options.VersionLabel = None,
    timeout: options.Timeout = 300.0,
    tls: options.Encrypted = False,
    tls_ca: options.CertificateAuthority = None,
    tls_certificate: options.Certificate = None,
    tls_key: options.Key = None,
    tls_server_name: options.ServerName = None,
    connectivity: Annotated[
        options.Connectivity | None, typer.Option(help="Insist on it; refused where the index has another.")
    ] = None,
    min_area: Annotated[int | None, typer.Option(help="Insist on it, likewise.")] = None,
    convention: Annotated[options.Convention | None, typer.Option(help="Insist on it, likewise.")] = None,
    resize: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="HEIGHT WIDTH", help="Insist on it, likewise; the query is brought to the index's size."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Rank the images of an index by their distance to an image, or to one of its regions; exact."""
    one_region = region is not None or at is not None
    if len(images) > 1 and (one_region or montage is not None):
        raise typer.BadParameter("--region, --at and --montage are for one image")
    if region is not None and at is not None:
        raise typer.BadParameter("both --region and --at are given: name one region")
    if one_region and scheme is options.Scheme.recnn_plus:
        raise typer.BadParameter("--region and --at ask under --scheme recnn")
    if direction is options.Direction.both and not one_region and scheme is not options.Scheme.recnn:
        raise typer.BadParameter("--direction both is for --scheme recnn")
    chosen = scheme or (options.Scheme.recnn if one_region else options.Scheme.recnn_plus)

    asked = {
        "connectivity": int(connectivity.value) if connectivity else None,
        "min_area": min_area,
        "convention": convention.value if convention else None,
        "resize": resize,
    }
    # A wrong path is told before TensorFlow's seconds; where a server is asked, it is read while that answers.
    opened_index = None if saved_model is None else _open(index)
    opened = options.open_model(
        server, saved_model, model_name=model, version=version, label=version_label, timeout=timeout,
        encrypted=tls, ca=tls_ca, certificate=tls_certificate, key=tls_key, server_name=tls_server_name,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "scheme": chosen.value,
        "top": top,
        "metric": metric.value if metric else None,
        "direction": direction.value,
        "tags_overlap": tags_overlap,
        "asked": {name: value for name, value in asked.items() if value is not None},
    }
    with opened:
        if opened_index is None:
            opened_index = _open(index)
        from rsir_tf.workflows import query_image, query_images

        if len(images) > 1:
            _answer_all(query_images(images, opened_index, opened, **settings), json)
            return
        result = query_image(images[0], opened_index, opened, region=region, at=at, **settings)
        # Before the montage: what was found is not lost to a picture that cannot be written.
        if json:
            console.put_json(result.to_json())
        else:
            console.put(_table(result))
        if montage is not None:
            _draw(montage, result, opened_index, opened)


def _open(index: Path) -> Index:
    from rsir_tf.index import open_index

    return open_index(index)


def _answer_all(results: Iterator[QueryResult], json: bool) -> None:
    """Answers come as they are found; what was found before an error is not lost to it."""
    found = []
    try:
        for result in results:
            if json:
                found.append(result.to_json())
            else:
                console.put(f"{result.query}\n{_table(result)}\n")
    finally:
        if json:
            console.put_json(found)


def _draw(montage: Path, result: QueryResult, index: Index, model: Model) -> None:
    from rsir_tf.archives.label_files import class_colours
    from rsir_tf.pictures import save_png
    from rsir_tf.workflows import draw_query

    save_png(montage, draw_query(result, index, model, colours=class_colours(index.settings.class_names)))
    console.say(f"wrote {montage}")


def _table(result: QueryResult) -> str:
    width = max([len(hit.id) for hit in result.hits] + [2])
    lines = [f"{'rank':>4}  {'distance':>10}  {'id':{width}}  tags"]
    for rank, (hit, (_, tags)) in enumerate(zip(result.hits, result.facts, strict=True), start=1):
        lines.append(f"{rank:4}  {hit.distance:10.4f}  {hit.id:{width}}  {', '.join(tags or ())}".rstrip())
    return "\n".join(lines)
