"""Integrated region matching: images as sets of regions whose areas count.

The distance that defines it is in `region_matching`. A search first bounds every distance from below by matrix products
and then matches images in order of these bounds, until no image that is left can be among the nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances, to_float64, unit_vectors
from rsir_tf.processors import in_threads
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.bounds.blocks import ReadBlock, region_blocks
from rsir_tf.ranking.images import image_blocks
from rsir_tf.ranking.region_matching import area_shares, least_distances, match, require_vectors
from rsir_tf.ranking.scheme import Field, Found, ImageFeatures, Match
from rsir_tf.ranking.whole_archives import rankings_by_distance

if TYPE_CHECKING:
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

_FIRST = 256
"""Images that are matched first; each later batch is twice as large."""


@dataclass(frozen=True, slots=True)
class IRM:
    """Ranks by integrated region matching, with shares of the area as masses and L2 between region vectors.

    A query is always a whole image: all its mass is matched with all mass of the other image, so that one region alone
    would be compared with everything that the other image shows.

    Attributes:
        vectors: "unit" scales every region's vector to length 1 first, so that only its direction counts; "raw" takes
            vectors as they are.

    Raises:
        InputError: It is neither of these.
    """

    vectors: str = "unit"

    name: ClassVar[str] = "irm"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    reads: ClassVar[tuple[Field, ...]] = ("recnn", "classes", "areas", "boxes")
    metrics: ClassVar[tuple[str, ...]] = ("l2",)
    derived_files: ClassVar[tuple[()]] = ()

    def __post_init__(self) -> None:
        require_vectors(self.vectors)

    @property
    def title(self) -> str:
        """Says so where vectors are compared as they are."""
        return "IRM" if self.vectors == "unit" else "IRM, raw vectors"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Match the query with each image; infinite where one of them has no region."""
        return np.asarray(self._measured([query], images)[0])

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """For each region of the query, the region of the hit that most of its area is matched with."""
        if not len(query.recnn) or not len(hit.recnn):
            return ()
        apart = np.asarray(pairwise_distances(self._scaled(query.recnn), self._scaled(hit.recnn), "l2"), np.float64)
        _, steps = match(apart[None], area_shares(query.areas), area_shares(hit.areas)[None])
        moved = np.zeros(apart.size)
        for pairs, masses in steps:
            moved[pairs] += masses
        boxes = hit.boxes.tolist()
        return tuple(
            Match(number, region, float(apart[number, region]), int(hit.classes[region]), tuple(boxes[region]))
            for number, region in enumerate(moved.reshape(apart.shape).argmax(axis=1).tolist())
        )

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`."""
        return [self._nearest(stored, query, top, mask) for query, mask in zip(queries, wanted, strict=True)]

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Blocks of images are spread over the cores."""
        return brute_force.all_distances_in_threads(self._measured, stored, queries, wanted)

    def rankings(
        self, stored: StoredVectors, positions: NDArray[np.int64], queries: range
    ) -> Iterator[NDArray[np.int64]]:
        """See `RanksArchives.rankings`."""
        return rankings_by_distance(self, stored, positions, queries)

    def _nearest(self, stored: StoredVectors, query: ImageFeatures, top: int, wanted: NDArray[np.bool_]) -> Found:
        low = self._least(stored, query, wanted)
        order = np.flatnonzero(wanted)
        order = order[np.argsort(low[order], kind="stable")]
        distances = np.full(len(stored), np.inf)
        done, size, farthest = 0, top + _FIRST, np.inf
        while done < len(order) and low[order[done]] <= farthest:
            batch = order[done : done + size]
            batch = batch[low[batch] <= farthest]
            self._measure(stored, query, batch, distances)
            done += len(batch)
            size *= 2
            if done >= top:
                farthest = float(np.partition(distances[order[:done]], top - 1)[top - 1])
        return brute_force.first(stored, order[:done], distances[order[:done]], top)

    def _measure(
        self, stored: StoredVectors, query: ImageFeatures, batch: NDArray[np.int64], distances: NDArray[np.float64]
    ) -> None:
        mask = np.zeros(len(stored), dtype=bool)
        mask[batch] = True
        for places, block in image_blocks(stored, mask):
            distances[places] = self.distances(query, block)

    def _least(self, stored: StoredVectors, query: ImageFeatures, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Lower bounds of the distances, float64 [P]; infinite for images without regions."""
        low = np.full(len(stored), np.inf)
        if not len(query.recnn):
            return low
        asked = self._scaled(query.recnn)
        columns, masses = np.ascontiguousarray(asked.T, np.float32), area_shares(query.areas).astype(np.float32)
        squares = np.square(asked).sum(axis=1).astype(np.float32)[:, None]
        # A float32 product of C numbers is off by less than (C + 2)·2⁻²⁴ of the product of the lengths, and so are the
        # squared lengths; twice each, because squares of distances are sums of three such numbers.
        slack = np.float32((asked.shape[1] + 8) * 2.0**-23)

        def bound(read: ReadBlock) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            block = read(None)
            lengths = np.sqrt(block.squared_norms)
            products = (block.vectors @ columns).T
            if self.vectors == "unit":
                own = np.where(lengths > 0, 1.0, 0.0).astype(np.float32)
                products /= np.where(lengths > 0, lengths, 1)
            else:
                own = block.squared_norms
            apart = squares + own - 2 * products
            apart -= slack * (squares + own)
            shares = stored.area_shares(block.positions)
            return block.positions, least_distances(np.sqrt(np.maximum(apart, 0)), masses, shares, block.starts)

        for positions, least in in_threads(bound, region_blocks(stored, wanted)):
            low[positions] = least
        return low * (1 - 1e-5)  # of sums in float32

    def _measured(self, queries: Sequence[ImageFeatures], images: ImageBlock) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to the images of a block."""
        found = np.full((len(queries), len(images)), np.inf)
        vectors = self._scaled(images.recnn)
        counts = np.diff(images.starts)
        for which, regions in _alike(images.starts[:-1], counts):
            inside = np.arange(regions.shape[1]) < counts[which, None]
            areas = np.where(inside, images.areas[regions], 0)
            shares = areas / areas.sum(axis=1, keepdims=True)
            of_images = vectors[regions.ravel()]
            for at, query in enumerate(queries):
                if len(query.recnn):
                    apart = pairwise_distances(self._scaled(query.recnn), of_images, "l2")
                    cube = apart.reshape(-1, *regions.shape).transpose(1, 0, 2)
                    cube = np.where(inside[:, None], cube, np.inf)
                    found[at, which], _ = match(cube, area_shares(query.areas), shares)
        return found

    def _scaled(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        return unit_vectors(to_float64(vectors)) if self.vectors == "unit" else to_float64(vectors)


def _alike(
    starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Images with about equally many regions, which are matched together; those without regions are left out.

    Args:
        starts: int64 [k], the first region of each image.
        counts: int64 [k], how many it has.

    Yields:
        int64 [j], images; and int64 [j, n], their regions, where the last one stands again in the place of each that an
        image does not have.
    """
    sizes = np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    for size in np.unique(sizes[counts > 0]).tolist():
        which = np.flatnonzero((sizes == size) & (counts > 0))
        number = np.arange(int(counts[which].max()))
        yield which, starts[which, None] + np.minimum(number, counts[which, None] - 1)
