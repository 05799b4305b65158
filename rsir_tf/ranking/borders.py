"""What the schemes that read borders of regions have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances
from rsir_tf.errors import InputError
from rsir_tf.ranking.images import HeldBlock
from rsir_tf.ranking.scheme import ImageFeatures, Match, matches_with

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.ranking.images import ImageBlock

EXPLAINED = 32
"""How many regions of a query are matched at most, the largest, with as many of the hit."""


def require_borders(index: StoredIndex, scheme: str) -> None:
    """Refuse an index that does not know which regions touch, or that has only one class.

    Raises:
        InputError: With the number of images, and what to do.
    """
    names = index.settings.class_names
    if len(names) < 2:
        raise InputError(
            f"{index.path}: has one class alone, {names[0]!r}", wanted=f"at least two classes, which {scheme} relates"
        )
    lacking = sum(
        len(np.intersect1d(segment.images_without_borders, np.flatnonzero(index.vectors.live[positions])))
        for positions, segment in index.vectors.parts()
    )
    if lacking:
        raise InputError(
            f"{index.path}: does not know which regions touch in {lacking:,} of {len(index):,} images, which "
            f"scheme {scheme} reads, since an older version of rsir_tf made it",
            cure="run rsir-tf index with the same archive and another folder for --to",
        )


def surroundings(images: ImageFeatures | ImageBlock) -> NDArray[np.float64]:
    """What lies around each region: float64 [n, 257], shares of its outline that sum to 1.

    Column c is the share along regions of class c, and the last one the share where the picture ends. A region whose
    outline meets nothing that was kept has zeros alone.

    Args:
        images: One image or a block of them, with n regions together.
    """
    around = np.zeros((len(images.edge), 257))
    one, other, lengths = images.borders.T
    np.add.at(around, (one, images.classes[other]), lengths)
    around[:, -1] = images.edge
    outline: NDArray[np.float64] = around / np.maximum(around.sum(axis=1, keepdims=True), 1)
    return outline


def largest_regions(block: ImageBlock, most: int) -> NDArray[np.int64]:
    """At most so many regions of each image, the largest, in the order of the block: int64 [n]."""
    by_area = np.lexsort((-block.areas, block.images))
    rank = np.arange(len(by_area)) - block.starts[block.images[by_area]]
    return np.sort(by_area[rank < most])


def matching_regions(query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
    """Match the largest regions of a query with those of the same class in a hit that lie in similar surroundings.

    The distance of a match is the mean of half the L1 distance between their `surroundings`, and of the difference
    between the shares of their pictures that they cover: from 0 to 1.
    """
    own, others = (largest_regions(HeldBlock([image]), EXPLAINED) for image in (query, hit))
    if not len(own) or not len(others):
        return ()
    apart = pairwise_distances(surroundings(query)[own], surroundings(hit)[others], "l1") / 4
    shares = [image.areas[chosen] / image.areas.sum() for image, chosen in ((query, own), (hit, others))]
    apart = apart + np.abs(shares[0][:, None] - shares[1]) / 2
    apart[query.classes[own][:, None] != hit.classes[others]] = np.inf
    nearest = apart.argmin(axis=1)
    pairs = zip(own.tolist(), others[nearest].tolist(), apart.min(axis=1).tolist(), strict=True)
    return matches_with(hit, (pair for pair in pairs if np.isfinite(pair[2])))
