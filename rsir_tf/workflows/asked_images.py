"""One image to ask an index with: its regions and descriptors, and which of its regions are meant."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.ranking import ImageFeatures, Scheme
from rsir_tf.ranking.stages import Stage, needs_regions
from rsir_tf.rasters import Pixels, Source, content_hash
from rsir_tf.workflows.describing import Described, describe_prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Prediction
    from rsir_tf.ranking import Index
    from rsir_tf.regions import Regions


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image to ask with, described.

    Attributes:
        source: Of its pixels.
        image: uint8 [H, W, 3], as the model saw it.
        content_hash: Of its source's pixels.
        prediction: What the model answered.
        described: Its regions and descriptors; an indexed image's own where its pixels are in the index.
        regions: Numbers of the regions to ask with.
    """

    source: Source
    image: NDArray[np.uint8]
    content_hash: str
    prediction: Prediction
    described: Described
    regions: tuple[int, ...]

    def features(self) -> ImageFeatures:
        """What is asked with: the whole image, or the regions that were picked."""
        features = self.described.features()
        return features.only(self.regions) if self.regions else features


def describe_asked(
    source: Source,
    original: Pixels,
    seen: Pixels,
    prediction: Prediction,
    index: Index,
    scheme: Scheme,
    *,
    region: int | None = None,
    at: tuple[int, int] | None = None,
) -> AskedImage:
    """Describe an image that is to be asked with.

    Args:
        source: Of its pixels.
        original: Its source's pixels.
        seen: What the model saw: of the index's size.
        prediction: What the model answered.
        index: Which is asked.
        scheme: By which it is asked.
        region: The region to ask with, where one is picked by number.
        at: A point (x, y) of it in the source's pixels, where one is picked so.

    Raises:
        InputError: It shows nothing; or it has no region to ask with, or not the one that was picked.
    """
    if seen.valid is not None and not seen.valid.any():
        raise InputError(
            f"{source}: shows nothing: no pixel that the model would see is valid",
            wanted="an image, or a window of a scene, that shows something",
        )
    content = content_hash(original)
    described = _described(content, prediction, index, seen.valid)
    picked: tuple[int, ...] = ()
    point = _moved(source, at, original.values.shape, seen.values.shape)
    if not len(described.regions) and needs_regions(scheme):
        raise InputError(
            f"{source}: has no region of at least {index.settings.min_area} pixels",
            cure=f"use --scheme recnn+{' alone' * isinstance(scheme, Stage)}",
        )
    if scheme.asks_with == "regions":
        picked = _picked(source, described.regions, region, point)
    return AskedImage(source, seen.values, content, prediction, described, picked)


def _described(content: str, prediction: Prediction, index: Index, valid: NDArray[np.bool_] | None) -> Described:
    """Equal pixels get the very descriptors that the index holds, so that their distance is 0 and not a rounding error.

    A batch of another size adds up in another order.
    """
    described = describe_prediction(prediction, index.settings, valid)
    known = index.find_content(content)
    if known is None or not np.array_equal(known.areas, described.regions.areas):
        return described
    names = ("recnn", "recnn_plus", "recnn_conv4_3", "recnn_plus_conv4_3")
    return dataclasses.replace(described, **{name: getattr(known, name) for name in names})


def _moved(
    source: Source, at: tuple[int, int] | None, original: tuple[int, ...], seen: tuple[int, ...]
) -> tuple[int, int] | None:
    """Give a point of the source's image as one of the image that the model saw."""
    if at is None:
        return None
    (x, y), (height, width) = at, original[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{source}: has no point ({x}, {y})", wanted=f"x below {width} and y below {height}")
    return (2 * x + 1) * seen[1] // (2 * width), (2 * y + 1) * seen[0] // (2 * height)  # of the pixel's centre


def _picked(source: Source, regions: Regions, region: int | None, at: tuple[int, int] | None) -> tuple[int, ...]:
    """The numbers of the regions to ask with."""
    if at is not None:
        x, y = at
        region = int(regions.labels[y, x]) - 1
        if region < 0:
            raise InputError(f"{source}: the point ({x}, {y}) lies in no region", cure="choose another point")
    if region is None:
        return tuple(range(len(regions)))
    if not 0 <= region < len(regions):
        raise InputError(f"{source}: has no region {region}", wanted=f"0 to {len(regions) - 1}")
    return (region,)
