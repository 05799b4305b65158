"""Mean and standard deviation: the simplest description of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import grey
from rsir_tf.rasters import check_image


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and standard deviation of each channel, or of the luma.

    These are the "simple statistics" of Yang and Newsam (Geographic image retrieval using local invariant features,
    IEEE TGRS 51(2), 2013), who take them from the grey image.

    Args:
        channels: "grey" or "rgb".
    """

    channels: str = "grey"
    name: ClassVar[str] = "statistics"
    title: ClassVar[str] = "Statistics"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv",)

    def __post_init__(self) -> None:
        from rsir_tf.baselines.descriptor import require

        require(self.channels in ("grey", "rgb"), f"channels is {self.channels!r}", "'grey' or 'rgb'")

    @property
    def dimensions(self) -> int:
        return 2 if self.channels == "grey" else 6

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give means, then standard deviations (of the population), in grey levels 0..255."""
        check_image(image, "image")
        pixels = grey(image)[..., None] if self.channels == "grey" else image
        return np.concatenate([pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))]).astype(np.float32)
