"""`rsir-tf publish`: an index's vectors into a vector database, which then proposes images for queries."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.wording import counted

NAME = "publish"


def command(
    index: Annotated[Path, typer.Argument(help="The index's folder.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The collection: qdrant://HOST:PORT/COLLECTION, or qdrant+https:// for an encrypted connection. The "
            "environment variable QDRANT_API_KEY has the server's API key, if it wants one.",
        ),
    ],
    *,
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar="recnn+|recnn",
            help="The scheme that will rank what is proposed. recnn+ (the default): one vector for each image. recnn: "
            "one for each region.",
        ),
    ] = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    vectors: options.Vectors = None,
    queries: Annotated[
        int,
        typer.Option(min=1, help="How many images of the index ask, when it is measured how well images are proposed."),
    ] = 200,
    json: options.Json = False,
) -> None:
    """Put the vectors of an index into a collection of Qdrant, which can then propose images: query --candidates.

    The collection is made, or brought to the state of the index; only what it lacks is sent, so that a stopped command
    can be continued. At the end it is measured which share of the exact first ten images is among 100 and 1,000
    proposed ones; answers say so.
    """
    from rsir_tf.ranking import open_index
    from rsir_tf.workflows import publish_index, query_scheme

    with options.usage_errors():
        ranks = query_scheme(scheme, metric=metric, direction=direction, vectors=vectors)
    opened = open_index(index)
    with console.progress("publishing") as tell:
        summary = publish_index(opened, to, scheme=ranks, queries=queries, progress=tell)
    console.say(
        f"{counted(summary.images, 'image')} in the collection: {summary.sent:,} sent, {summary.removed:,} removed"
    )
    for top, share in summary.recall.items():
        console.say(
            f"of the exact first 10, {share:.2%} are among the first {top:,} proposed ({summary.queries} queries)"
        )
    if json:
        console.put_json(dataclasses.asdict(summary))
    else:
        console.put(summary.address)
