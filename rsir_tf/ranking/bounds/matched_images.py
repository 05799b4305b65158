"""Images and queries as the two sides of the products of integrated region matching, which `matchings` bounds.

Equal vectors in one image become one region with the mass of all: they are equally far from everything, so that the
order among them changes nothing but the rounding of masses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.ranking.bounds.intervals import matrix_products
from rsir_tf.ranking.bounds.matchings import MatchedImages, MatchedQuery
from rsir_tf.ranking.bounds.operands import RegionBlock

Number = TypeVar("Number", np.int64, np.float64)


def side_by_side(
    queries: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], list[MatchedQuery]]:
    """Put queries into the columns of one product.

    Args:
        queries: At least one: the vectors float64 [m, C] and the masses float64 [m] of each.

    Returns:
        float64 [C, M], −2 times the vectors, and where each query stands.
    """
    found, at = [], 0
    queries = [_once(*query) for query in queries]
    for vectors, masses in queries:
        squares = np.einsum("ij,ij->i", vectors, vectors)
        found.append(MatchedQuery(slice(at, at + len(vectors)), masses, squares.max(keepdims=True), squares))
        at += len(vectors)
    return np.concatenate([vectors for vectors, _ in queries]).T * -2.0, found


def matched_images(
    block: RegionBlock,
    areas: NDArray[np.int64],
    columns: NDArray[np.float64],
    *,
    unit: bool,
    finely: bool = False,
) -> list[tuple[NDArray[np.int64], MatchedImages]]:
    """Multiply the vectors of a block with queries, and put images with about equally many regions together.

    Args:
        block: k images.
        areas: int64 [n], of its regions.
        columns: From `side_by_side`.
        unit: The images' vectors are to be scaled to length 1; those of the queries are already.
        finely: As for `alike`.

    Returns:
        Positions of images, and these images.
    """
    vectors = block.vectors.astype(np.float64)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    products = matrix_products(vectors, columns)
    if unit:
        # The lengths are off by C·2⁻⁵³ of themselves and the products by that; the bound counts four times as much.
        shown = squares > 0
        products /= np.sqrt(np.where(shown, squares, 1.0))[:, None]
        squares = shown.astype(np.float64)
    products += squares[:, None]
    counts = np.diff(block.starts, append=len(vectors))
    areas, repeated = _joined(vectors, squares, np.repeat(np.arange(len(counts)), counts), areas)
    found = []
    for which, regions in alike(block.starts, counts, finely=finely):
        inside = (np.arange(regions.shape[1]) < counts[which, None]) & ~repeated[regions]
        own = np.where(inside, areas[regions], 0)
        shares = own / own.sum(axis=1, keepdims=True)
        images = MatchedImages(products, squares, regions, shares, inside, vectors.shape[1])
        found.append((block.positions[which], images))
    return found


def _joined(
    vectors: NDArray[np.float64],
    squares: NDArray[np.float64],
    owners: NDArray[np.int64],
    masses: NDArray[Number],
) -> tuple[NDArray[Number], NDArray[np.bool_]]:
    """Give the mass of equal vectors of one image to the first of them.

    Args:
        vectors: float64 [n, C].
        squares: float64 [n], equal for equal vectors; most others differ in it.
        owners: int64 [n], the image of each, ascending.
        masses: [n].

    Returns:
        The masses, and bool [n], which vectors are left out.
    """
    masses, repeated = masses.copy(), np.zeros(len(vectors), dtype=bool)
    order = np.lexsort((squares, owners))
    same = (np.diff(owners[order]) == 0) & (np.diff(squares[order]) == 0)
    first = -1
    for at in np.flatnonzero(same).tolist():
        one, other = order[at], order[at + 1]
        first = first if repeated[one] else one
        if np.array_equal(vectors[first], vectors[other]):
            masses[first] += masses[other]
            repeated[other] = True
    return masses, repeated


def _once(vectors: NDArray[np.float64], masses: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    masses, repeated = _joined(vectors, squares, np.zeros(len(vectors), np.int64), masses)
    return vectors[~repeated], masses[~repeated]


def alike(
    starts: NDArray[np.int64], counts: NDArray[np.int64], *, finely: bool = False
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Images with about equally many regions, which are matched together; those without regions are left out.

    Args:
        starts: int64 [k], the first region of each image.
        counts: int64 [k], how many it has.
        finely: An image of a group has at least 0.89 times as many regions as another one, and not just half of them.

    Yields:
        int64 [j], images; and int64 [j, n], their regions, where the last one stands again in the place of each that an
        image does not have.
    """
    sizes = np.ceil(np.log2(np.maximum(counts, 1)) * (6 if finely else 1)).astype(np.int64)
    for size in np.unique(sizes[counts > 0]).tolist():
        which = np.flatnonzero((sizes == size) & (counts > 0))
        number = np.arange(int(counts[which].max()))
        yield which, starts[which, None] + np.minimum(number, counts[which, None] - 1)
