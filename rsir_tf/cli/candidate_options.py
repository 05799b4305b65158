"""Options of `rsir-tf query` about a vector database that proposes images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.ranking import Index, Scheme
    from rsir_tf.workflows import Proposals

_PANEL = "Candidates from a vector database"


@dataclass(frozen=True)
class CandidateOptions(OptionGroup):
    """Which collection proposes images, and how many."""

    candidates: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Rank only images that this collection proposes, qdrant://HOST:PORT/COLLECTION, made by rsir-tf "
            "publish. The search is then not exact: --json says so, and which share of the exact first ten was "
            "proposed when the collection was published.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    candidates_top: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many images are proposed for a query. The default is 1000.", rich_help_panel=_PANEL
        ),
    ] = None

    def open(self, index: Index, scheme: Scheme, *, top: int | None) -> Proposals | None:
        """Open the collection; None where none is named.

        Args:
            index: That is searched.
            scheme: That ranks.
            top: How many hits are wanted; None for all within a distance.

        Raises:
            typer.BadParameter: More hits are wanted than are proposed, or no collection is named, though it is said how
                many images are proposed.
        """
        if self.candidates is None:
            if self.candidates_top is not None:
                raise typer.BadParameter("--candidates-top needs --candidates")
            return None
        proposed = self.candidates_top or 1000
        if top is not None and top > proposed:
            raise typer.BadParameter(f"--top {top} is more than the {proposed} images of --candidates-top")
        from rsir_tf.workflows import Proposals

        return Proposals(self.candidates, index, scheme, top=proposed)
