"""From the model's answer for one image to regions and their descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import ImageFeatures
from rsir_tf.regions import (
    VOID,
    Adjacency,
    Convention,
    Regions,
    connected_regions,
    pool,
    region_adjacency,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Prediction


@dataclass(frozen=True, slots=True)
class Described:
    """An image's regions and descriptors.

    Attributes:
        regions: m connected regions of its segmentation.
        recnn: float32 [m, 512], ReCNN: one row per region (paper, Eq. 2).
        recnn_plus: float32 [512], ReCNN+: over the whole image.
        adjacency: Which of the regions touch, and how much of each lies at the end of the picture.
    """

    regions: Regions
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]
    adjacency: Adjacency

    def features(self) -> ImageFeatures:
        """What ranking schemes read of the image."""
        regions = self.regions
        return ImageFeatures(
            regions.classes,
            regions.areas,
            regions.boxes,
            regions.centroids,
            self.recnn,
            self.recnn_plus,
            self.adjacency.borders,
            self.adjacency.edge,
        )


def describe_prediction(
    prediction: Prediction, settings: IndexSettings, valid: NDArray[np.bool_] | None = None
) -> Described:
    """Cut a segmentation into regions, pool conv5_3 over each (paper, II.B), and find out which regions touch.

    Pixels that are not valid belong to no region, whatever the model took them for, and to no descriptor. An image
    without a valid pixel has no region, and ReCNN+ is all 0.

    Args:
        prediction: The answer of the model.
        settings: Connectivity, minimum area, pooling and bilinear convention; one class index per name.
        valid: bool [H, W], which pixels of what the model saw show something; None where all of them do.

    Raises:
        InputError: The features hold NaN or infinity, or the validity is of another shape than the segmentation.
    """
    convention = cast(Convention, settings.convention)
    segmentation, features = prediction.segmentation, prediction.conv5_3
    if valid is not None:
        segmentation = void_where(segmentation, ~valid)
    regions = connected_regions(segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
    recnn, recnn_plus = pool(features, regions.labels, valid, pooling=settings.pooling, convention=convention)
    adjacency = region_adjacency(regions.labels, segmentation == VOID)
    return Described(regions=regions, recnn=recnn, recnn_plus=recnn_plus, adjacency=adjacency)


def void_where(segmentation: NDArray[np.uint8], void: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give a segmentation whose pixels belong to no class where a mask says so.

    Args:
        segmentation: uint8 [H, W], class indices; it is not changed.
        void: bool [H, W].

    Raises:
        InputError: The shapes differ.
    """
    if void.shape != segmentation.shape:
        raise InputError(
            f"validity of {list(void.shape)} pixels for a segmentation of {list(segmentation.shape)}",
            wanted="both of the image that the model saw",
        )
    return np.where(void, np.uint8(VOID), segmentation)
