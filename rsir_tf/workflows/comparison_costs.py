"""What describing images costs: seconds per image, and bytes per image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import manifest, read_manifest, write_json
from rsir_tf.baselines import DescribedImages
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import open_index
from rsir_tf.ranking.scheme import IMAGE_FIELDS, REGION_VECTORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive
    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index, Scheme

KIND, VERSION = "costs", 1


def describing_costs(found: DescribedImages, ids: Sequence[str], dimensions: int) -> dict[str, float]:
    """Costs of a baseline, over the images that are compared.

    Args:
        found: The described images; there may be more than are compared.
        ids: The ids of the compared images.
        dimensions: Length of a vector of float32.
    """
    seconds = dict(zip(found.ids, found.seconds.tolist(), strict=True))
    return {
        "seconds_per_image": float(np.mean([seconds[name] for name in ids])),
        "bytes_per_image": float(np.dtype(np.float32).itemsize * dimensions),
    }


def index_costs(index: Index, scheme: Scheme, rows: NDArray[np.int64]) -> dict[str, float]:
    """Costs of a ranking scheme, over the images that are compared.

    Args:
        index: The index; it may hold more images than are compared.
        scheme: The scheme, whose vectors are counted: one per region, one per image, or both.
        rows: int64 [N], the index's rows of the compared images.

    Returns:
        "seconds_per_image" only where `describe_into_index` made the index.
    """
    vectors = float(np.mean(index.images.region_counts[rows])) * len({*REGION_VECTORS} & {*scheme.reads})
    vectors += len({*IMAGE_FIELDS} & {*scheme.reads})
    costs = {"bytes_per_image": vectors * index.settings.channels * np.dtype(index.settings.dtype).itemsize}
    kept = _kept(index)
    return {"seconds_per_image": kept[1] / kept[0], **costs} if kept else costs


def describe_into_index(
    archive: Archive,
    model: Model,
    to: Path,
    resize: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> Index:
    """Make or continue an index like `index_archive`, and keep the time per image in a file beside it.

    Args:
        archive: The images.
        model: From `rsir_tf.load` or `rsir_tf.connect`.
        to: The index's folder; the time is kept in `NAME-costs.json` beside it, for later runs.
        resize: As for `index_archive`.
        progress: Called with (done, in all, words).

    Raises:
        RsirError: As `index_archive`.
    """
    from rsir_tf.workflows.indexing import index_archive

    started = time.perf_counter()
    summary = index_archive(archive, model, to, resize=resize, progress=progress)
    seconds = time.perf_counter() - started
    index = open_index(to)
    if summary.added:
        images, before = _kept(index) or (0, 0.0)
        content = {"images": images + summary.added, "seconds": before + seconds}
        write_json(_file(index), manifest(KIND, VERSION, model_id=index.settings.model_id, **content))
    return index


def _kept(index: Index) -> tuple[int, float] | None:
    """Images described, and the seconds that took; None where that is not known of this model's index."""
    if not _file(index).exists():
        return None
    content = read_manifest(_file(index), KIND, VERSION)
    return (content["images"], content["seconds"]) if content["model_id"] == index.settings.model_id else None


def _file(index: Index) -> Path:
    path = Path(index.path).resolve()
    return path.with_name(f"{path.name}-costs.json")
