"""How training sees an archive: the size of its crops, and what varies between them. Plain data, checked at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rsir_tf.errors import InputError


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Ranges of the variations; `Augmentation.none()` has none but the random place of a crop.

    Attributes:
        scale: Smallest and largest magnification; the paper's tool varies by ±10%.
        flips: Mirror left to right. With `turns` this gives all eight positions of a square.
        turns: Quarter turns: from above no direction is up.
        brightness: Largest shift, as a fraction of 255.
        contrast: Largest relative change, about the image's mean.
        saturation: Largest relative change, about each pixel's grey.
    """

    scale: tuple[float, float] = (0.9, 1.1)
    flips: bool = True
    turns: bool = True
    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise InputError(f"scale from {low} to {high}", wanted="0.1 ≤ smallest ≤ largest ≤ 10")

    @classmethod
    def none(cls) -> Augmentation:
        """No variation."""
        return cls(scale=(1.0, 1.0), flips=False, turns=False, brightness=0.0, contrast=0.0, saturation=0.0)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, for manifests."""
        return {**asdict(self), "scale": list(self.scale)}


@dataclass(frozen=True, slots=True)
class Crops:
    """How training sees the archive.

    Attributes:
        size: Pixels a side of what the network gets; a multiple of 32.
        batch: Images a step.
        per_epoch: Crops an epoch; 0 for as many as cover the archive's pixels once.
        augmentation: What is varied.
    """

    size: int = 256
    batch: int = 8
    per_epoch: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 32:
            raise InputError(f"crop size {self.size}", wanted="a multiple of 32 (the network halves it five times)")
        if self.batch < 1:
            raise InputError(f"batch size {self.batch}", wanted="at least 1")
        if self.per_epoch < 0:
            raise InputError(f"{self.per_epoch} crops an epoch", wanted="0 (all) or more")
