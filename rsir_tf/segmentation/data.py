"""tf.data from records: decoded in parallel, cropped, augmented together with the mask, batched, prefetched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from rsir_tf.archives.annotated import read_annotated
from rsir_tf.archives.labels import VOID
from rsir_tf.errors import InputError
from rsir_tf.segmentation.augmentation import augment
from rsir_tf.segmentation.crops import Augmentation, Crops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Record

DRAWS = 16
"""Number of places to try for a crop with a labelled pixel: nothing is learned from a crop without one."""

Pair = tuple["NDArray[np.uint8]", "NDArray[np.uint8]"]


class PairReader:
    """Reads image and mask of a record; can keep them in memory.

    Args:
        records: Records with masks.
        label_set: Meaning of the values in masks.
        keep: Whether decoded pairs stay in memory (4 bytes per pixel).
        without_masks: Whether images may have no mask. Their masks are then all void, and their crops show the whole
            image, because its tags are not known for parts of it.
    """

    def __init__(
        self,
        records: Sequence[Record],
        label_set: LabelSet,
        *,
        keep: bool = False,
        without_masks: bool = False,
    ) -> None:
        without = [record.id for record in records if record.mask is None]
        if without and not without_masks:
            raise InputError(
                f"{len(without)} of {len(records)} images have no mask, the first is {without[0]}",
                wanted="a mask for each image",
                cure="if the archive has tags, train with `--supervision mixed` or `--supervision tags`",
            )
        self.records = tuple(records)
        self.label_set = label_set
        self.sizes = [record.source.shape for record in records]
        self.failure: InputError | None = None
        self._kept: dict[int, Pair] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self.records)

    def frame(self, index: int, size: int) -> int:
        """Side in pixels of what a crop shows at magnification 1: its own size, or a whole image without a mask."""
        return size if self.records[index].mask is not None else max(self.sizes[index])

    def crops(self, size: int) -> list[int]:
        """How many crops of a size cover each record once: max(1, round(pixels / size²)); 1 if it has no mask."""
        return [
            max(1, round(height * width / size**2)) if record.mask is not None else 1
            for record, (height, width) in zip(self.records, self.sizes, strict=True)
        ]

    def read(self, index: int) -> Pair:
        """Return image uint8 [H, W, 3] and class map uint8 [H, W] (0..K-1, VOID) of one record.

        Raises:
            InputError: One of them cannot be used. The error is kept in `failure`, because tf.data raises another one.
        """
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        record = self.records[index]
        try:
            image, mask = read_annotated(record, self.label_set)
            pair = image, np.full(image.shape[:2], VOID, np.uint8) if mask is None else mask
        except InputError as error:
            self.failure = error
            raise
        if self._kept is not None:
            self._kept[index] = pair
        return pair


@contextlib.contextmanager
def failures_of(*readers: PairReader) -> Iterator[None]:
    """Within this block, a file that cannot be used raises its own error instead of that of tf.data."""
    try:
        yield
    except tf.errors.OpError as error:
        for reader in readers:
            if reader.failure is not None:
                raise reader.failure from error
        raise


def plan_epoch(counts: Sequence[int], crops: Crops, seed: int, epoch: int) -> NDArray[np.int64]:
    """Decide which crops an epoch uses and in which order; the same arguments give the same plan.

    Args:
        counts: Number of crops of each record, before `per_epoch` limits or repeats them.
        crops: Size, number and batch.
        seed: The seed of the run.
        epoch: From 0.

    Returns:
        int64 [n, 2]: index of the record and seed of the crop. n is a multiple of the batch size, so that all steps
        have the same size.
    """
    random = np.random.default_rng((seed, epoch))
    once = np.repeat(np.arange(len(counts)), counts)
    wanted = crops.per_epoch or len(once)
    steps = max(1, round(wanted / crops.batch))
    rounds = -(-steps * crops.batch // len(once))
    order = np.concatenate([random.permutation(once) for _ in range(rounds)])[: steps * crops.batch]
    return np.stack([order, random.integers(0, 2**31 - 1, len(order))], axis=1)


def training_dataset(reader: PairReader, crops: Crops, *, seed: int, epoch: int) -> tf.data.Dataset:
    """The batches of one epoch.

    Args:
        reader: Reads the pairs.
        crops: Size, batch, augmentation.
        seed: The seed of the run.
        epoch: From 0.

    Returns:
        A dataset of (float32 [B, S, S, 3] RGB 0..255, int32 [B, S, S] class indices, VOID = 255). The same arguments
        give the same batches, so that a resumed run gives the same result as one without interruption.
    """
    plan = plan_epoch(reader.crops(crops.size), crops, seed, epoch)
    cut = _cropper(reader, crops)

    def load(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, mask = tf.numpy_function(cut, [row[0], row[1]], [tf.uint8, tf.uint8], stateful=False)
        image.set_shape((None, None, 3))
        mask.set_shape((None, None))
        return augment(image, mask, crops.size, crops.augmentation, row[1])

    dataset = tf.data.Dataset.from_tensor_slices(plan)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(crops.batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def sample_images(reader: PairReader, crops: Crops, seed: int) -> NDArray[np.float32]:
    """Crops of up to 16 images: enough for three digits of a root mean square, and few enough for a laptop.

    Returns:
        float32 [N, S, S, 3], RGB, 0..255, without augmentation.
    """
    few = Crops(crops.size, min(16, crops.batch * 4), augmentation=Augmentation.none(), per_epoch=1)
    images, _ = next(training_dataset(reader, few, seed=seed, epoch=0).as_numpy_iterator())
    return np.asarray(images)


def _cropper(reader: PairReader, crops: Crops) -> Callable[[np.int64, np.int64], Pair]:
    """Cut a square at a random place and scale before the pixels enter TensorFlow: large tiles are not copied whole."""
    low, high = crops.augmentation.scale

    def cut(index: np.int64, seed: np.int64) -> Pair:
        image, mask = reader.read(int(index))
        random = np.random.default_rng(int(seed))
        # Uniform in the logarithm: half and double size have the same probability.
        side = round(reader.frame(int(index), crops.size) / float(np.exp(random.uniform(np.log(low), np.log(high)))))
        height, width = mask.shape
        for _ in range(DRAWS):
            top = int(random.integers(0, max(0, height - side) + 1))
            left = int(random.integers(0, max(0, width - side) + 1))
            if (mask[top : top + side, left : left + side] != VOID).any():
                break
        return _window(image, mask, top, left, side)

    return cut


def _window(image: NDArray[np.uint8], mask: NDArray[np.uint8], top: int, left: int, side: int) -> Pair:
    """Cut a square; beyond the edge, the image is mirrored and the mask is void."""
    image = image[top : top + side, left : left + side]
    mask = mask[top : top + side, left : left + side]
    below, right = side - mask.shape[0], side - mask.shape[1]
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=VOID)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def validation_crops(reader: PairReader, size: int, limit: int, seed: int) -> list[tuple[int, int, int]]:
    """Choose the windows for validation after each epoch: cells of a fixed grid; `seed` chooses `limit` of them.

    Args:
        reader: The validation records.
        size: Side in pixels.
        limit: The largest number of windows; 0 for all.
        seed: The seed of the run.

    Returns:
        (record's index, top, left) of each window.
    """
    cells = [
        (index, top, left)
        for index, (height, width) in enumerate(reader.sizes)
        for top in _starts(height, size)
        for left in _starts(width, size)
    ]
    if limit and len(cells) > limit:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(cells))[:limit])
        cells = [cells[i] for i in chosen]
    return cells


def _starts(length: int, size: int) -> list[int]:
    """Starts of windows that cover a length. They do not overlap, except for the last, which ends at the border."""
    if length <= size:
        return [0]
    count = -(-length // size)
    return [min(i * size, length - size) for i in range(count)]


def validation_dataset(
    reader: PairReader, cells: Sequence[tuple[int, int, int]], size: int, batch: int
) -> tf.data.Dataset:
    """Batches of fixed windows, unaugmented.

    Returns:
        A dataset of (float32 [B, S, S, 3] RGB 0..255, int32 [B, S, S]), the last batch possibly smaller.
    """

    def cut(index: np.int64, top: np.int64, left: np.int64) -> Pair:
        image, mask = reader.read(int(index))
        return _window(image, mask, int(top), int(left), size)

    def load(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, mask = tf.numpy_function(cut, [row[0], row[1], row[2]], [tf.uint8, tf.uint8], stateful=False)
        image.set_shape((size, size, 3))
        mask.set_shape((size, size))
        return tf.cast(image, tf.float32), tf.cast(mask, tf.int32)

    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(cells, np.int64))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(batch).prefetch(tf.data.AUTOTUNE)
