"""An image together with its mask, as training and checking read them: what one accepts, the other does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.archives.masks import read_mask
from rsir_tf.archives.records import Record
from rsir_tf.rasters import Examined, FileSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet


def examine_record(record: Record) -> Examined:
    """Read a record's image, with what is worth telling of its file.

    Raises:
        InputError: It cannot be used.
    """
    if isinstance(record.source, FileSource):
        return record.source.examine()
    return Examined(record.source.read())


def read_annotated(record: Record, label_set: LabelSet) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Read an image and its mask.

    Args:
        record: Any.
        label_set: What the mask's values mean.

    Returns:
        The image, uint8 [H, W, 3], and its classes, uint8 [H, W]: 0..K-1, or `VOID`; None where it has no mask.

    Raises:
        InputError: One of them cannot be used, or they do not belong together; see `read_mask`.
    """
    image = examine_record(record)
    if record.mask is None:
        return image.pixels, None
    return image.pixels, read_mask(record.mask, label_set, image.pixels.shape[:2], orientation=image.orientation)
