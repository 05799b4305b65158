"""Options of the second stages of a search: `--expand`, `--mix`, `--rerank`."""

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
    expand_both: Annotated[
        bool,
        typer.Option(
            "--expand-both",
            help="With --expand K: order the first --rerank-top images by vectors that are expanded too, each by its "
            "own K nearest images. For recnn+ and multiscale+.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEME:SHARE",
            help="Give another scheme this share of the distance, for example relations:0.05. Distances of both are "
            "divided by their mean over the images searched. With --expand, it asks with the query as it is.",
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
        int | None,
        typer.Option(
            min=1,
            help="How many images --rerank and --expand-both order; no others are hits. The default is 100.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    @property
    def chosen(self) -> bool:
        """Whether there is any."""
        return any(each is not None for each in (self.expand, self.mix, self.rerank))

    def around(self, scheme: Scheme, *, top: int | None = None) -> Scheme:
        """Put the chosen stages around a scheme.

        Args:
            scheme: That finds the first hits.
            top: How many hits are wanted; None where all images are ranked.

        Raises:
            typer.BadParameter: More hits are wanted than are ordered again, nothing is ordered again though it is said
                how many, or what is mixed is not SCHEME:SHARE.
            InputError: There is no such scheme.
        """
        from rsir_tf.ranking import Expanded, ExpandedBoth, Mixed, Reranked, make_scheme

        if self.expand_both and self.expand is None:
            raise typer.BadParameter("--expand-both needs --expand K")
        ordered = self.rerank_top or 100
        if self.rerank is None and not self.expand_both:
            if self.rerank_top is not None:
                raise typer.BadParameter("--rerank-top needs --rerank or --expand-both")
        elif top is not None and top > ordered:
            raise typer.BadParameter(f"--top {top} is more than the {ordered} images of --rerank-top")
        if self.expand is not None:
            scheme = (
                ExpandedBoth(scheme, self.expand, top=ordered) if self.expand_both else Expanded(scheme, self.expand)
            )
        if self.mix is not None:
            name, _, share = self.mix.rpartition(":")
            try:
                number = float(share)
            except ValueError:
                raise typer.BadParameter(f"--mix is {self.mix!r}; wanted SCHEME:SHARE, as in relations:0.05") from None
            scheme = Mixed(scheme, make_scheme(name), number)
        return scheme if self.rerank is None else Reranked(scheme, make_scheme(self.rerank), ordered)
