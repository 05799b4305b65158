"""What a vector database can compare in place of a scheme, to propose images that the scheme then ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float64, unit_vectors
from rsir_tf.errors import InputError
from rsir_tf.ranking.scheme import REGION_VECTORS, ImageFeatures, Scheme


@dataclass(frozen=True, slots=True)
class Proposal:
    """Vectors of images, and the distance between two vectors, by which near images can be proposed.

    Attributes:
        field: The field of `ImageFeatures` that holds the vectors: one for each region, or one for the image.
        metric: "l1", "l2" or "cosine".
        unit: Whether vectors are scaled to length 1 first.
    """

    field: Literal["recnn", "recnn_plus"]
    metric: str
    unit: bool = False

    @property
    def of_regions(self) -> bool:
        """Whether an image has one vector for each region, and not one in all."""
        return self.field in REGION_VECTORS

    def vectors(self, features: ImageFeatures) -> NDArray[np.float32]:
        """The vectors of one image: float32 [m, C] where they are of regions, [1, C] otherwise."""
        vectors: NDArray[np.float32] = np.atleast_2d(getattr(features, self.field))
        return unit_vectors(to_float64(vectors)).astype(np.float32) if self.unit else vectors


@runtime_checkable
class Proposable(Protocol):
    """A scheme whose nearest images a vector database can propose."""

    def proposal(self) -> Proposal:
        """What the database compares: near images under the scheme are to be near by it too, most of the time."""
        ...


def proposal_of(scheme: Scheme) -> Proposal:
    """What a vector database compares for a scheme; see `Proposable`.

    Raises:
        InputError: No database can propose for this scheme.
    """
    if isinstance(scheme, Proposable):
        return scheme.proposal()
    raise InputError(f"a vector database cannot propose images for {scheme.name}", wanted="recnn+ or recnn")
