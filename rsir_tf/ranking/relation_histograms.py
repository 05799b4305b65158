"""How the regions of an image lie to each other, as a histogram over classes that shifting, turning and flipping keep.

It has four parts of the same weight:

- *border*: which classes touch, by the length of their border as a share of all borders in the image;
- *within*: which class lies within which (`enclosure`), by the square roots of the areas of the regions inside;
- *apart*: how far the regions of two classes are from each other: near, between or far, by the gap between their boxes
  as a share of the picture's side (the square root of the area of all regions), and the product of their areas;
- *size*: of which class there are small, medium and large regions, by the share of the picture that they cover.

A region or a pair between two such bins is shared by both, so that a small change of an image changes little. An image
in which a relation does not occur, for example without borders because there is one region, has a bin for that.

That images can be told by histograms of relations between classes is from Kalaycılar, Kale, Zamalieva and Aksoy,
"Mining of remote sensing image archives using spatial relationship histograms", IGARSS 2008; the relations here are our
own choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsir_tf.ranking.borders import largest_regions
from rsir_tf.ranking.enclosure import enclosing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking.images import ImageBlock

NEAR, FAR = 0.0, 0.5
"""Gaps that are fully near and fully far, as a share of the picture's side; halfway is between."""

SMALL, LARGE = 1 / 256, 1 / 4
"""Shares of the picture that are fully small and fully large; halfway, on a scale of logarithms, is medium."""

MOST_REGIONS = 512
"""Of more regions in one image the largest count for how far they are apart."""

_PAIRS = 1 << 20
"""About how many pairs of regions are looked at together."""

_CLASSES = 256
"""Class indices are below this. Its last one, which stands for void, says here: in no region."""

_NOWHERE = _CLASSES - 1
_KINDS = 4
"""Room for kinds of one relation: near, between and far, or small, medium and large; and the last for none at all."""

BINS = 4 * _KINDS * _CLASSES * _CLASSES


class Histograms(NamedTuple):
    """The bins that are not empty of the histograms of k images.

    Attributes:
        images: int64 [n], the number of the image.
        bins: int64 [n], below `BINS`: part, kind of relation and both classes as one number. Those of a single image
            are in order.
        values: float64 [n], above 0; those of an image with regions sum to 1. They are multiples of 2⁻³², so that sums
            of them are exact in any order: equal histograms have distance 0.
    """

    images: NDArray[np.int64]
    bins: NDArray[np.int64]
    values: NDArray[np.float64]


class _Counts(NamedTuple):
    images: NDArray[np.int64]
    kinds: NDArray[np.int64]
    ones: NDArray[np.int64]
    others: NDArray[np.int64]
    weights: NDArray[np.float64]


def relation_histograms(block: ImageBlock) -> Histograms:
    """Count the relations in each image of a block; an image without regions has no bin.

    Args:
        block: Its borders are known. Of each image at most 512 regions are compared in pairs.
    """
    parts = [_borders(block), _within(block), _joined(list(_apart(block))), _sizes(block)]
    found = []
    for number, part in enumerate(parts):
        sums = np.bincount(part.images, weights=part.weights, minlength=len(block))
        none = np.flatnonzero((sums == 0) & (np.diff(block.starts) > 0))
        nothing = np.zeros(len(none), np.int64)
        lacking = _Counts(none, nothing + _KINDS - 1, nothing, nothing, np.full(len(none), 1 / len(parts)))
        shares = part.weights / np.where(sums > 0, sums, 1)[part.images] / len(parts)
        every = _joined([part._replace(weights=shares), lacking])
        codes = ((number * _KINDS + every.kinds) * _CLASSES + every.ones) * _CLASSES + every.others
        found.append(_summed(every.images * BINS + codes, every.weights))
    codes, values = (np.concatenate(columns) for columns in zip(*found, strict=True))
    images, bins = np.divmod(codes, BINS)
    values = np.round(values * 2.0**32) / 2.0**32
    return Histograms(images[values > 0], bins[values > 0], values[values > 0])


def histogram_distances(query: Histograms, images: Histograms, count: int) -> NDArray[np.float64]:
    """Half the L1 distance from one image's histogram to those of others.

    Args:
        query: Of one image, as `relation_histograms` gives it.
        images: Of the others.
        count: How many others there are.

    Returns:
        float64 [count], from 0 (all shares are equal) to 1 (nothing in common); infinite where one of the images has
        no region.
    """
    if not len(query.bins):
        return np.full(count, np.inf)
    at = np.minimum(np.searchsorted(query.bins, images.bins), len(query.bins) - 1)
    expected = np.where(query.bins[at] == images.bins, query.values[at], 0)
    # Only bins that an image has are visited: in the others all of the query's share is missing.
    changes = np.bincount(images.images, weights=np.abs(images.values - expected) - expected, minlength=count)
    known = np.bincount(images.images, minlength=count) > 0
    return np.where(known, np.minimum((query.values.sum() + changes) / 2, 1), np.inf)


def _borders(block: ImageBlock) -> _Counts:
    one, other, lengths = block.borders.T
    classes = block.classes.astype(np.int64)
    kinds = np.zeros(len(one), np.int64)
    return _Counts(block.images[one], kinds, classes[one], classes[other], lengths.astype(np.float64))


def _within(block: ImageBlock) -> _Counts:
    around = enclosing(block.borders, block.edge)
    one = np.where(around >= 0, block.classes, _NOWHERE).astype(np.int64)
    other = np.where(around >= 0, block.classes[around], _NOWHERE).astype(np.int64)
    return _Counts(block.images, np.zeros(len(one), np.int64), one, other, np.sqrt(block.areas))


def _apart(block: ImageBlock) -> Iterator[_Counts]:
    """Pairs of regions, a few images at a time, summed by image, kind and classes."""
    counts = np.minimum(np.diff(block.starts), MOST_REGIONS)
    regions = largest_regions(block, MOST_REGIONS)
    begins = np.cumsum(counts) - counts
    shares = _shares(block)
    side = np.sqrt(np.bincount(block.images, weights=block.areas, minlength=len(block)))
    classes, boxes = block.classes.astype(np.int64), block.boxes.astype(np.float64)
    groups = np.cumsum(counts * counts) // _PAIRS
    for group in np.unique(groups).tolist():
        own = np.flatnonzero(groups == group)
        pairs = counts[own] ** 2
        images = np.repeat(own, pairs)
        at = np.arange(len(images)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        one, other = (regions[begins[images] + place] for place in np.divmod(at, counts[images]))
        kept = one != other
        images, one, other = images[kept], one[kept], other[kept]
        ahead = boxes[:, :2][one] - boxes[:, 2:][other]
        gaps = np.maximum(np.maximum(ahead, boxes[:, :2][other] - boxes[:, 2:][one]), 0)
        apart = np.sqrt(np.square(gaps).sum(axis=1)) / side[images]
        for kinds, parts in _between(apart, NEAR, FAR):
            codes = ((images * _KINDS + kinds) * _CLASSES + classes[one]) * _CLASSES + classes[other]
            codes, weights = _summed(codes, shares[one] * shares[other] * parts)
            rest, others = np.divmod(codes, _CLASSES)
            rest, ones = np.divmod(rest, _CLASSES)
            yield _Counts(rest // _KINDS, rest % _KINDS, ones, others, weights)


def _sizes(block: ImageBlock) -> _Counts:
    shares, classes = _shares(block), block.classes.astype(np.int64)
    nothing = np.zeros(len(classes), np.int64)
    kinds = _between(np.log(shares), np.log(SMALL), np.log(LARGE))
    return _joined([_Counts(block.images, kind, classes, nothing, shares * part) for kind, part in kinds])


def _shares(block: ImageBlock) -> NDArray[np.float64]:
    """float64 [n], the share of all regions of its image that each region covers."""
    sums = np.bincount(block.images, weights=block.areas, minlength=len(block))
    return np.asarray(block.areas / sums[block.images])


def _between(
    values: NDArray[np.float64], low: float, high: float
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Share values between two neighbours of the kinds 0 (up to `low`), 1 (halfway) and 2 (from `high`)."""
    place = 2 * np.clip((values - low) / (high - low), 0, 1)
    lower = np.minimum(place.astype(np.int64), 1)
    return [(lower, 1 - (place - lower)), (lower + 1, place - lower)]


def _summed(codes: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    found, which = np.unique(codes, return_inverse=True)
    return found, np.bincount(which, weights=weights, minlength=len(found)).astype(np.float64)


def _joined(parts: list[_Counts]) -> _Counts:
    none = np.empty(0, np.int64)
    every = [_Counts(none, none, none, none, np.empty(0)), *parts]
    return _Counts(*(np.concatenate(columns) for columns in zip(*every, strict=True)))
