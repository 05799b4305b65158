"""`rsir-tf share`: an index's vectors for other programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.wording import counted

NAME = "share"


def command(
    index: Annotated[Path, typer.Argument(help="The index's folder.")],
    to: Annotated[
        Path,
        typer.Option(
            help="The Parquet file to write. An existing file is replaced only if this program wrote it, or with "
            "--force."
        ),
    ],
    *,
    force: Annotated[bool, typer.Option("--force", help="Let --to replace any file.")] = False,
    root: options.Roots = None,
    json: options.Json = False,
) -> None:
    """Write the ids, footprints and ReCNN+ vectors of an index into a table that other programs read.

    It is GeoParquet if images have a place on Earth, for example for DuckDB and geopandas, and plain Parquet otherwise.
    The file's metadata says which model and settings made the vectors.
    """
    from rsir_tf.presentation.maps.targets import check_parquet_target
    from rsir_tf.ranking import open_index
    from rsir_tf.workflows import share_index

    with options.usage_errors():
        check_parquet_target(to, force=force)
    opened = open_index(index, roots=options.parse_roots(root))
    with console.progress("writing") as tell:
        shared = share_index(opened, to, progress=tell)
    if json:
        console.put_json(dataclasses.asdict(shared))
    else:
        console.say(
            f"{counted(shared.images, 'image')}, {shared.with_place:,} with a place, by model {shared.model_id}"
        )
        console.put(shared.path)
