"""An image together with its mask, as training and checking read them: what one accepts, the other does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsir_tf.archives.labels import VOID
from rsir_tf.archives.record_masks import mask_of
from rsir_tf.rasters import Examined, FileSource, RasterSource, read_pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Record


@dataclass(frozen=True, slots=True)
class Looked:
    """A record's image as it was read.

    Attributes:
        examined: Its pixels, with what is worth telling of its file.
        valid: bool [H, W]: which pixels show something; None where all do.
    """

    examined: Examined
    valid: NDArray[np.bool_] | None = None


def examine_record(record: Record) -> Looked:
    """Read a record's image, with what is worth telling of its file.

    Raises:
        InputError: It cannot be used.
    """
    if isinstance(record.source, FileSource):
        return Looked(record.source.examine())
    pixels = read_pixels(record.source)
    # What is worth knowing of a scene is told once, and not of each of its windows.
    source = record.source
    notes = source.notes if isinstance(source, RasterSource) and source.window is None else ()
    return Looked(Examined(pixels.values, notes=notes), pixels.valid)


def read_classes(record: Record, label_set: LabelSet, image: Looked | None) -> NDArray[np.uint8] | None:
    """Read the mask of a record.

    Args:
        record: Any.
        label_set: What the mask's values mean.
        image: Its image; None where that could not be read.

    Returns:
        Its classes, uint8 [H, W]: 0..K-1, or `VOID`, also wherever the image shows nothing; None where it has no mask.

    Raises:
        InputError: It cannot be used, or does not belong to its image; see `read_mask`.
    """
    mask = mask_of(record)
    if mask is None:
        return None
    if image is None:
        return mask.read(label_set)
    classes = mask.read(label_set, image.examined.pixels.shape[:2], orientation=image.examined.orientation)
    if image.valid is not None:
        classes[~image.valid] = VOID
    return classes


def read_annotated(record: Record, label_set: LabelSet) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Read an image and its mask.

    Args:
        record: Any.
        label_set: What the mask's values mean.

    Returns:
        The image, uint8 [H, W, 3], and its classes as `read_classes` gives them.

    Raises:
        InputError: One of them cannot be used, or they do not belong together; see `read_mask`.
    """
    image = examine_record(record)
    return image.examined.pixels, read_classes(record, label_set, image)
