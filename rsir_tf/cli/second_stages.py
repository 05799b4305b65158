"""Options of the second stages of a search: `--expand`, `--rerank`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli.option_groups import OptionGroup
from rsir_tf.ranking.schemes import SCHEMES

if TYPE_CHECKING:
    from rsir_tf.ranking import Scheme

_PANEL = "Second stages"


@dataclass(frozen=True)
class SecondStages(OptionGroup):
    """What is asked after a scheme has found its first hits."""

    expand: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Search again with the query and its K nearest images together, each weighted by its similarity.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCHEMES),
            help="Order the first images by this scheme. With --expand, they are those of the second search.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    rerank_top: Annotated[
        int, typer.Option(min=1, help="How many images --rerank orders; no others are hits.", rich_help_panel=_PANEL)
    ] = 100

    @property
    def chosen(self) -> bool:
        """Whether there is any."""
        return self.expand is not None or self.rerank is not None

    def around(self, scheme: Scheme, *, top: int | None = None) -> Scheme:
        """Put the chosen stages around a scheme.

        Args:
            scheme: That finds the first hits.
            top: How many hits are wanted; None where all images are ranked.

        Raises:
            typer.BadParameter: More hits are wanted than are ordered again.
            InputError: There is no such scheme.
        """
        from rsir_tf.ranking import Expanded, Reranked, make_scheme

        if self.rerank is not None and top is not None and top > self.rerank_top:
            raise typer.BadParameter(f"--top {top} is more than the {self.rerank_top} images of --rerank-top")
        if self.expand is not None:
            scheme = Expanded(scheme, self.expand)
        return scheme if self.rerank is None else Reranked(scheme, make_scheme(self.rerank), self.rerank_top)
