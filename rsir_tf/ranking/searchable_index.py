"""An index that can be searched, as `rsir_tf.open_index` returns it."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.store import StoredIndex
from rsir_tf.ranking import searching
from rsir_tf.ranking.candidates import sharing_classes, wanted_positions
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.scheme import Hit, Scheme, check_index
from rsir_tf.ranking.schemes import DEFAULT_SCHEME, make_scheme
from rsir_tf.ranking.searching import Query
from rsir_tf.ranking.whole_archives import all_distances


def open_index(path: str | os.PathLike[str], *, roots: Mapping[str, str | os.PathLike[str]] | None = None) -> Index:
    """Open an index for reading and searching.

    Versions, sizes and shapes are checked; the bytes are not (see `verify_index`). A writer may change the index
    meanwhile: this reader keeps the state that it opened.

    Args:
        path: The index's folder.
        roots: Where archives lie by now, by name, for those that have been moved; "" is the first one's name.

    Raises:
        ArtifactError: There is no index, its format is newer, or a file is missing or has the wrong size; the text
            names it.
        InputError: The index has no archive of such a name.
    """
    return Index.open(path, roots=roots)


class Index(StoredIndex):
    """Images and their descriptors, in rows sorted by id, and the search over them. Use `rsir_tf.open_index`."""

    def search(
        self,
        features: Query,
        *,
        scheme: str | Scheme = DEFAULT_SCHEME,
        top: int | None = 10,
        within: float = math.inf,
        metric: str | None = None,
        direction: str | None = None,
        share_classes: Collection[int] | None = None,
    ) -> list[Hit]:
        """Find the images nearest to a query; exact for an index of any size.

        Args:
            features: For "recnn" float32 [m, C] with m ≥ 1 (one row finds images with a region like it); for "recnn+"
                float32 [C]; for any scheme an image (`ImageFeatures`). Vectors are rounded to the index's number type
                before they are compared.
            scheme: "recnn" (Eq. 3), "recnn+" (the global descriptor), or any other `Scheme`.
            top: How many images at most, at least 1; None, or a number larger than the index, gives all.
            within: The largest distance of a hit: images farther away are left out.
            metric: For "recnn+" "l1" (the paper's, the default), "l2" or "cosine"; for "recnn" Eq. 3 fixes "l2".
            direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
            share_classes: Class indices, usually the query's: images that have no region of these classes are left out
                and never scored. None looks at all images.

        Returns:
            Nearest first; equal distances are in order of id. With "recnn", images without regions come last, at
            infinity.

        Raises:
            InputError: The features have a wrong shape or type, hold NaN or infinity, or have no region; `top` is below
                1 or `within` below 0; the scheme is unknown; the scheme does not have an option; or the index does not
                have a class.
        """
        (hits,) = self.search_many(
            [features],
            scheme=scheme,
            top=top,
            within=within,
            metric=metric,
            direction=direction,
            share_classes=[share_classes],
        )
        return hits

    def search_many(
        self,
        features: Sequence[Query],
        *,
        scheme: str | Scheme = DEFAULT_SCHEME,
        top: int | None = 10,
        within: float = math.inf,
        metric: str | None = None,
        direction: str | None = None,
        share_classes: Sequence[Collection[int] | None] | None = None,
    ) -> list[list[Hit]]:
        """Search for several queries at once: like `search` for each, but the index is read once for many of them.

        `features` and `share_classes` hold one entry for each query; all else is as for `search`.

        Returns:
            The hits of each query.
        """
        built = make_scheme(scheme, metric=metric, direction=direction)
        filters = [None] * len(features) if share_classes is None else share_classes
        among = [None if classes is None else sharing_classes(self, classes) for classes in filters]
        answers = searching.search_many(self, features, built, top=top, within=within, among=among)
        return [list(answer.hits) for answer in answers]

    def distances(
        self,
        features: Query,
        scheme: str | Scheme = DEFAULT_SCHEME,
        *,
        metric: str | None = None,
        direction: str | None = None,
    ) -> NDArray[np.float64]:
        """Compute the distances from a query to every image, for evaluation; arguments and errors as for `search`.

        Returns:
            float64 [N], in row order. A stable sort gives the order of `search`; values agree with those of `search` to
            1e-9.
        """
        return searching.distances(self, features, make_scheme(scheme, metric=metric, direction=direction))

    def all_distances(
        self,
        scheme: str | Scheme = DEFAULT_SCHEME,
        rows: Sequence[int] | None = None,
        *,
        metric: str | None = None,
        direction: str | None = None,
        among: Any = None,
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Compute the distances with every image as the query, for evaluation.

        `rows` are the images that are queries, `among` the rows to measure the distance to; None takes all. The other
        arguments are those of `search`.

        Yields:
            A row, and float64 [N], which agree to 1e-9 with what `distances` returns for that image: 0 for itself and
            for equal descriptors; NaN for images that are not in `among`. With "recnn", an image without regions is
            infinitely far from all images, itself included.

        Raises:
            InputError: The index does not have a row, or the scheme, metric or direction is unknown.
        """
        built = make_scheme(scheme, metric=metric, direction=direction)
        check_index(built, self)
        asked = list(range(len(self))) if rows is None else [int(row) for row in rows]
        positions = [self.position_of(row) for row in asked]
        wanted, _ = wanted_positions(self, among)
        queries = (image_at(self.vectors, position) for position in positions)
        answers = all_distances(built, self.vectors, queries, wanted)
        for row, distances in zip(asked, answers, strict=True):
            yield row, distances[self.vectors.positions]
