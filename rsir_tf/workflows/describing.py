"""From the model's answer for one image to regions and their descriptors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import CONV4_3, FURTHER_LAYERS
from rsir_tf.errors import InputError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import ImageFeatures
from rsir_tf.regions import (
    VOID,
    Adjacency,
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
        recnn_conv4_3: float32 [m, 512], like `recnn`, of conv4_3; None where the model was not asked for that.
        recnn_plus_conv4_3: float32 [512], like `recnn_plus`; None likewise.
    """

    regions: Regions
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]
    adjacency: Adjacency
    recnn_conv4_3: NDArray[np.float32] | None = None
    recnn_plus_conv4_3: NDArray[np.float32] | None = None

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
            self.recnn_conv4_3,
            self.recnn_plus_conv4_3,
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
    segmentation = prediction.segmentation
    if valid is not None:
        segmentation = void_where(segmentation, ~valid)
    regions = connected_regions(segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
    how: dict[str, Any] = {"pooling": settings.pooling, "convention": settings.convention}
    recnn, recnn_plus = pool(prediction.conv5_3, regions.labels, valid, **how)
    adjacency = region_adjacency(regions.labels, segmentation == VOID)
    described = Described(regions, recnn, recnn_plus, adjacency)
    if prediction.conv4_3 is None:
        return described
    recnn, recnn_plus = pool(prediction.conv4_3, regions.labels, valid, stride=FURTHER_LAYERS[CONV4_3], **how)
    return replace(described, recnn_conv4_3=recnn, recnn_plus_conv4_3=recnn_plus)


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
