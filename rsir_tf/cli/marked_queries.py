"""`rsir-tf query` without a query image and without a model: by marked images of the index, or by classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rsir_tf.cli.example_options import ContentOptions, ExampleOptions
    from rsir_tf.ranking import Index, Scheme
    from rsir_tf.workflows import GeographicLimits, RankedHits


def refuse_what_needs_an_image(given: dict[str, object]) -> None:
    """Refuse options that are about a query image, where there is none.

    Args:
        given: Name of each option → whether it is given.

    Raises:
        typer.BadParameter: One of them is.
    """
    for option, value in given.items():
        if value:
            raise typer.BadParameter(f"{option}: there is no image to search with")


def ask(
    index: Index,
    scheme: Scheme,
    examples: ExampleOptions,
    content: ContentOptions,
    *,
    top: int | None,
    within: float | None,
    tags_overlap: bool,
    limits: GeographicLimits | None,
) -> RankedHits:
    """Search by marked images; or by classes alone, where there are none.

    Args:
        index: That is asked.
        scheme: By which examples are compared.
        examples: The marked images.
        content: The classes that hits have to show.
        top: How many hits at most; None for all.
        within: The largest distance of a hit; None for any.
        tags_overlap: Leave out images that share no class with the first example.
        limits: Where on Earth hits may lie.
    """
    from rsir_tf.workflows import refine, show_classes

    shows, farthest = content.classes(index), math.inf if within is None else within
    if not examples.several:
        return show_classes(index, shows, top=top, within=farthest, limits=limits)
    return refine(
        index,
        **examples.arguments,
        scheme=scheme,
        top=top,
        within=farthest,
        tags_overlap=tags_overlap,
        shows=shows,
        limits=limits,
    )
