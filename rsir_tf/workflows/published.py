"""What a published collection says of itself: which index it was made from, and how well it proposes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsir_tf import __version__
from rsir_tf.errors import DatabaseError, MismatchError, RsirError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import options_of

if TYPE_CHECKING:
    from rsir_tf.ranking import Index, Scheme

FORMAT = 1

FIRST = 10
"""Of so many nearest images it is measured how many are among the proposed ones."""

AGAIN = "run rsir-tf publish with this index"


@dataclass(frozen=True, slots=True)
class Published:
    """Facts that are kept with a collection.

    Attributes:
        settings: Of the index.
        scheme: The name of the scheme for which images are proposed.
        options: Its options.
        images: How many images the index had.
        state: Which images these were; see `state_of`.
        writer: Of the process that publishes, any text: two at the same time see each other by it.
        complete: Whether all was written, and measured.
        queries: How many images of the index asked when recall was measured.
        recall: How many images were proposed → the mean share of the exact first ten that were among them.
    """

    settings: IndexSettings
    scheme: str
    options: dict[str, Any]
    images: int
    state: str
    writer: str
    complete: bool = False
    queries: int = 0
    recall: dict[int, float] | None = None

    def require_made_for(self, index: Index, scheme: Scheme, address: str) -> None:
        """Refuse a collection that was made from other vectors, or for another scheme.

        Raises:
            MismatchError: It was; both values are named.
        """
        cure = "use the index that it was published from, or publish this one into another collection"
        index.settings.require_equal(self.settings, whose=f"the collection {address}", cure=cure)
        self.require_scheme(scheme, address)

    def require_scheme(self, scheme: Scheme, address: str) -> None:
        """Refuse to propose for another scheme; its recall would not be known.

        Raises:
            MismatchError: It is another one.
        """
        asked, made = _named(scheme.name, options_of(scheme)), _named(self.scheme, self.options)
        if asked != made:
            raise MismatchError(
                f"the collection {address} proposes images for {made}",
                wanted=f"one for {asked}, which is to rank them",
                cure="ask with the same scheme and options, or publish into another collection",
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "format": FORMAT,
            "made_by": f"rsir_tf {__version__}",
            "settings": self.settings.to_json(),
            "scheme": self.scheme,
            "options": self.options,
            "images": self.images,
            "state": self.state,
            "writer": self.writer,
            "complete": self.complete,
            "queries": self.queries,
            "recall": [[top, value] for top, value in (self.recall or {}).items()],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any], address: str) -> Published:
        """Read the result of `to_json`.

        Raises:
            DatabaseError: It is of a newer version, or damaged.
        """
        if content.get("format") != FORMAT:
            raise DatabaseError(
                f"{address}: was published in format {content.get('format')}", wanted=f"format {FORMAT}", cure=AGAIN
            )
        try:
            return cls(
                IndexSettings.from_json(content["settings"], address),
                str(content["scheme"]),
                dict(content["options"]),
                int(content["images"]),
                str(content["state"]),
                str(content["writer"]),
                bool(content["complete"]),
                int(content["queries"]),
                {int(top): float(value) for top, value in content["recall"]},
            )
        except (KeyError, TypeError, ValueError, RsirError) as error:
            raise DatabaseError(
                f"{address}: what it says of itself is damaged ({error})", cure="publish into another collection"
            ) from error


def state_of(index: Index) -> str:
    """Which images an index has: a text that changes with an image's id or its pixels, and with nothing else."""
    text = "\n".join([*index.images.ids, *index.images.content_hashes])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _named(name: str, options: dict[str, Any]) -> str:
    return f"{name} ({', '.join(f'{option} {value}' for option, value in options.items())})" if options else name
