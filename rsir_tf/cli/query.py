"""`rsir-tf query`: which images of an index show what this one shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli import console, options

if TYPE_CHECKING:
    from rsir_tf.workflows import QueryResult

NAME = "query"


def command(
    image: Annotated[Path, typer.Argument(help="The image to ask with.")],
    index: Annotated[Path, typer.Option(help="An index's folder.")],
    scheme: Annotated[
        options.Scheme, typer.Option(help="recnn: region against region (Eq. 3); recnn+: whole images.")
    ] = options.Scheme.recnn_plus,
    top: Annotated[int, typer.Option(help="How many hits.")] = 10,
    metric: Annotated[options.Metric | None, typer.Option(help="For recnn+; l1 where not given.")] = None,
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
    tls_ca: options.CertificateAuthority = None,
    tls_certificate: options.Certificate = None,
    tls_key: options.Key = None,
    connectivity: Annotated[
        options.Connectivity | None, typer.Option(help="Insist on it; refused where the index has another.")
    ] = None,
    min_area: Annotated[int | None, typer.Option(help="Insist on it, likewise.")] = None,
    convention: Annotated[options.Convention | None, typer.Option(help="Insist on it, likewise.")] = None,
    json: options.Json = False,
) -> None:
    """Rank the images of an index by their distance to an image; exact."""
    from rsir_tf.index import open_index
    from rsir_tf.workflows import draw_query, query_image

    opened_index = open_index(index)
    asked = {
        "connectivity": int(connectivity.value) if connectivity else None,
        "min_area": min_area,
        "convention": convention.value if convention else None,
    }
    opened = options.open_model(
        server, saved_model, model_name=model, version=version, label=version_label, timeout=timeout,
        ca=tls_ca, certificate=tls_certificate, key=tls_key,
    )  # fmt: skip
    with opened:
        result = query_image(
            image,
            opened_index,
            opened,
            scheme=scheme.value,
            top=top,
            metric=metric.value if metric else None,
            tags_overlap=tags_overlap,
            asked={name: value for name, value in asked.items() if value is not None},
        )
        # Before the montage: what was found is not lost to a picture that cannot be written.
        if json:
            console.put_json(result.to_json())
        else:
            console.put(_table(result))
        if montage is not None:
            from rsir_tf.archives.label_files import class_colours
            from rsir_tf.pictures import save_png

            colours = class_colours(opened_index.settings.class_names)
            save_png(montage, draw_query(result, opened_index, opened, colours=colours))
            console.say(f"wrote {montage}")


def _table(result: QueryResult) -> str:
    width = max([len(hit.id) for hit in result.hits] + [2])
    lines = [f"{'rank':>4}  {'distance':>10}  {'id':{width}}  tags"]
    for rank, (hit, (_, tags)) in enumerate(zip(result.hits, result.facts, strict=True), start=1):
        lines.append(f"{rank:4}  {hit.distance:10.4f}  {hit.id:{width}}  {', '.join(tags or ())}".rstrip())
    return "\n".join(lines)
