"""Outputs of a frozen trunk, computed once and kept: on a machine without a GPU they take most of a step.

The crops of the first N epochs are the views. Their outputs of the frozen blocks are kept on disk in half precision,
and later epochs use them again in turn: each image then has N random variations instead of a new one in each epoch.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.artifacts import disk_errors, written_aside
from rsir_tf.progress import Progress
from rsir_tf.segmentation.multiple_instance import DESCRIPTOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.segmentation.supervision import Supervision

TOLD = "computing the frozen blocks' outputs"


class CachedViews:
    """The views of one run.

    Args:
        folder: The folder for them; it is made if it is missing.
        model: The model for whole crops, with the weights of the frozen blocks.
        freeze: Number of frozen blocks, 1 to 5.
        supervision: Gives the crops.
        count: N.
        progress: Called with the number of finished steps of a view.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        freeze: int,
        supervision: Supervision,
        count: int,
        progress: Progress,
    ) -> None:
        self.folder, self.supervision, self.count, self.progress = folder, supervision, count, progress
        self.names = boundary(model, freeze)
        kept = [model.get_layer(name).output for name in self.names]
        self.frozen = keras.Model(model.inputs[0], kept)
        self.rest = keras.Model(kept, model.output, name=model.name)
        """The part after the frozen blocks, which is fitted to the datasets; it shares the model's layers."""

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch, from 0, with the outputs of the frozen blocks instead of the images."""
        view = epoch % self.count
        folder = self.folder / f"view-{view + 1:03}"
        if not folder.exists():
            with written_aside(folder) as aside:
                self._compute(view, aside)
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in self.names]

        def read(step: np.int64) -> list[NDArray[np.float32]]:
            return [array[int(step)].astype(np.float32) for array in arrays]

        def load(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
            tensors = tf.numpy_function(read, [step], [tf.float32] * len(arrays), stateful=False)
            return tuple(
                tf.ensure_shape(tensor, array.shape[1:]) for tensor, array in zip(tensors, arrays, strict=True)
            )

        steps = tf.data.Dataset.range(self.supervision.steps)
        kept = steps.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        together = tf.data.Dataset.zip((kept, self.supervision.dataset(view)))
        return together.map(lambda features, batch: (features, *batch[1:])).prefetch(tf.data.AUTOTUNE)

    def _compute(self, view: int, folder: Path) -> None:
        steps = self.supervision.steps
        folder.mkdir(parents=True)
        with disk_errors(folder), contextlib.ExitStack() as opened:
            files = [opened.enter_context((folder / f"{name}.npy").open("wb")) for name in self.names]
            for step, batch in enumerate(self.supervision.dataset(view).as_numpy_iterator()):
                for file, values in zip(files, self._outputs(batch[0]), strict=True):
                    if not step:
                        header = {"descr": "<f2", "fortran_order": False, "shape": (steps, *values.shape)}
                        np.lib.format.write_array_header_1_0(file, header)
                    # Written, not memory-mapped: a full disk then raises an error instead of killing the process.
                    file.write(values.astype("<f2").tobytes())
                self.progress(step + 1, steps, f"{TOLD}, view {view + 1} of {self.count}")

    def _outputs(self, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        values = self.frozen.predict_on_batch(images)
        return [np.asarray(value) for value in (values if isinstance(values, list) else [values])]

    def remove(self) -> None:
        """Remove the views from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


def boundary(model: keras.Model, freeze: int) -> list[str]:
    """Frozen layers whose outputs the rest of a model reads.

    Args:
        model: A model of layers from `build_fcn`.
        freeze: Number of frozen blocks, 1 to 5.
    """
    layers = {layer.name for layer in model.layers}
    skips = [f"block{block}_pool" for block in (3, 4) if block < freeze and f"scale_pool{block}" in layers]
    described = ["block5_conv3"] if freeze == 5 and DESCRIPTOR in layers else []
    return [*skips, *described, f"block{freeze}_pool"]
