"""From the model's answer for one image to regions and their descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rsir_tf.index import IndexSettings
from rsir_tf.regions import Convention, Regions, connected_regions, pool_image, pool_regions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.contract import Prediction


@dataclass(frozen=True, slots=True)
class Described:
    """An image's regions and descriptors.

    Attributes:
        regions: m connected regions of its segmentation.
        recnn: float32 [m, 512], ReCNN: one row per region (paper, Eq. 2).
        recnn_plus: float32 [512], ReCNN+: over the whole image.
    """

    regions: Regions
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]


def describe_prediction(prediction: Prediction, settings: IndexSettings) -> Described:
    """Cut a segmentation into regions and pool conv5_3 over each (paper, II.B).

    Args:
        prediction: The answer of the model.
        settings: Connectivity, minimum area and bilinear convention; one class index per name.

    Raises:
        InputError: The features hold NaN or infinity.
    """
    convention = cast(Convention, settings.convention)
    regions = connected_regions(prediction.segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
    return Described(
        regions=regions,
        recnn=pool_regions(prediction.conv5_3, regions.labels, convention=convention),
        recnn_plus=pool_image(prediction.conv5_3, prediction.segmentation.shape, convention=convention),
    )
