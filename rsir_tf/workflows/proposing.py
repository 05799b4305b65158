"""Images that a vector database proposes for a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.databases import Collection, VectorKind, open_collection
from rsir_tf.errors import DatabaseError, InputError, MismatchError
from rsir_tf.ranking import Candidates, proposal_of
from rsir_tf.workflows.published import AGAIN, Published, state_of

if TYPE_CHECKING:
    from rsir_tf.ranking import ImageFeatures, Index, Scheme

TOP = 1000
"""How many images are proposed if nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is known of the images that were proposed for an answer.

    Attributes:
        address: Of the collection.
        top: How many images were asked for.
        recall: The mean share of the exact first ten images that were among so many proposed ones, or fewer, when the
            collection was published; None where that was not measured for such a query.
        recall_top: The number of proposed images for which that was measured.
        queries: With how many images of the index it was measured.
    """

    address: str
    top: int
    recall: float | None
    recall_top: int | None
    queries: int

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "collection": self.address,
            "top": self.top,
            "recall_of_first_10": self.recall,
            "recall_measured_with_top": self.recall_top,
            "recall_measured_with_queries": self.queries,
        }


class Proposals:
    """Asks a published collection for images that may be near a query.

    Args:
        collection: Its address, as for `rsir_tf.databases.open_collection`, or the collection.
        index: That was published.
        scheme: That ranks what is proposed.
        top: How many images are proposed for a query.

    Raises:
        InputError: Fewer than one image, no such address, or the scheme cannot be proposed for.
        MismatchError: The collection was made from another index, or from an earlier state of it, or for another
            scheme.
        DatabaseError: The database cannot be reached; or the collection is gone, incomplete or of another program.
    """

    def __init__(self, collection: str | Collection, index: Index, scheme: Scheme, *, top: int = TOP) -> None:
        if top < 1:
            raise InputError(f"{top} images are to be proposed", wanted="at least 1")
        self.top = top
        self._index, self._proposal = index, proposal_of(scheme)
        self._collection = open_collection(collection) if isinstance(collection, str) else collection
        address = self._collection.address
        facts = self._collection.facts()
        if facts is None:
            raise DatabaseError(f"{address}: there is no such collection", cure=AGAIN)
        self._published = Published.from_json(facts, address)
        self._published.require_made_for(index, scheme, address)
        if not self._published.complete:
            raise DatabaseError(f"{address}: was not published to its end", cure=AGAIN)
        if self._published.state != state_of(index):
            raise MismatchError(
                f"the collection {address} has {self._published.images:,} images of another state of the index",
                wanted=f"the {len(index):,} images that {index.path} has now",
                cure=AGAIN,
            )
        kind = VectorKind(index.settings.channels, self._proposal.metric, self._proposal.of_regions)
        self._collection.require(kind)

    def require_scheme(self, scheme: Scheme) -> None:
        """Refuse to propose for a scheme that is not the published one.

        Raises:
            MismatchError: It is another one, for example because a second stage or further examples were put around it.
        """
        self._published.require_scheme(scheme, self._collection.address)

    def candidates(self, features: ImageFeatures, limits: Candidates | None) -> Candidates:
        """The images to rank for a query.

        Args:
            features: The query.
            limits: The images that may be found; None for all. If there are no more than are proposed, they are the
                candidates, and nothing is asked.

        Raises:
            InputError: The query has too many regions for the database.
            DatabaseError: The database cannot be reached, or the collection has changed.
        """
        if limits is not None and len(limits.rows) <= self.top:
            return limits
        index, collection = self._index, self._collection
        vectors = self._proposal.vectors(features)
        if vectors.size > collection.most_numbers:
            raise InputError(
                f"the query has {len(vectors):,} regions, too many for {collection.address}",
                wanted=f"at most {collection.most_numbers // vectors.shape[1]:,}",
                cure="ask without --candidates",
            )
        among = None if limits is None else [index.images.ids[row] for row in limits.rows.tolist()]
        try:
            rows = [index.row_of(image) for image in collection.nearest(vectors, self.top, among)]
        except InputError as error:
            raise DatabaseError(f"{collection.address}: has changed since it was opened", cure=AGAIN) from error
        return Candidates(np.unique(np.array(rows, dtype=np.int64)), complete=len(set(rows)) == len(index))

    def about(self, *, measured: bool) -> Proposed:
        """What an answer says of the images that were proposed for it.

        Args:
            measured: Whether the query was of the kind that recall was measured with: a whole image, without limits.
        """
        known = [top for top in (self._published.recall or {}) if top <= self.top] if measured else []
        recall = (self._published.recall or {})[max(known)] if known else None
        return Proposed(
            self._collection.address, self.top, recall, max(known) if known else None, self._published.queries
        )
