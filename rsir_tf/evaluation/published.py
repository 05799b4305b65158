"""The published figures for UC Merced, shown beside new ones for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a published table: ANMRR (lower is better), mAP and P@k, 0..1."""

    anmrr: float
    map: float
    precision: dict[int, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON types, named as in `SchemeFigures`."""
        return {"anmrr": self.anmrr, "map": self.map, **{f"p_at_{k}": value for k, value in self.precision.items()}}


def _row(anmrr: float, mean_ap: float, *precision: float) -> PublishedRow:
    return PublishedRow(anmrr, mean_ap, dict(zip((5, 10, 20, 50), precision, strict=True)))


PUBLISHED_UC_MERCED = {
    "statistics": _row(0.820, 0.156, 0.273, 0.182, 0.131, 0.098),
    "color": _row(0.705, 0.255, 0.481, 0.341, 0.239, 0.146),
    "lbp": _row(0.740, 0.217, 0.480, 0.327, 0.218, 0.121),
    "glcm": _row(0.746, 0.207, 0.400, 0.279, 0.196, 0.129),
    "gist": _row(0.754, 0.225, 0.451, 0.303, 0.200, 0.120),
    "bovw": _row(0.538, 0.398, 0.561, 0.464, 0.376, 0.236),
    "mlir": _row(0.707, 0.246, 0.394, 0.289, 0.229, 0.156),
    "recnn": _row(0.509, 0.441, 0.686, 0.556, 0.414, 0.228),
    "recnn+": _row(0.264, 0.688, 0.861, 0.753, 0.624, 0.344),
}
"""Table I of the paper of ReCNN and ReCNN+: 420 images of UC Merced (20%) as queries and archive, images of the same
scene class are relevant. The FCN was trained on DLRSD's pixel labels of the other 80%."""
