"""Supervision by tags, alone or together with masks: the score maps learn from the tags of whole images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.archives.labels import VOID
from rsir_tf.archives.tag_labels import tag_table
from rsir_tf.errors import InputError
from rsir_tf.segmentation.data import PairReader, failures_of, plan_epoch, sample_images, training_dataset
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.losses import pixel_loss, weigh_pixels
from rsir_tf.segmentation.mask_supervision import SHOWN, MaskSupervision
from rsir_tf.segmentation.multiple_instance import (
    DESCRIPTOR_TAGS,
    LOGITS,
    PLACES,
    TAGS,
    AmongTags,
    supervised_model,
    tagging_model,
)
from rsir_tf.segmentation.supervision import HeldOutScores
from rsir_tf.segmentation.tag_scoring import read_tags_of, tag_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Record
    from rsir_tf.segmentation.network import Architecture
    from rsir_tf.segmentation.settings import TrainingSettings

Watched = Callable[["NDArray[np.float32]", Sequence["Record"]], dict[str, float | None]]
"""Gives figures of the held-out images' descriptors, float32 [N, 512], for example how well they retrieve."""


class TagSupervision:
    """See `Supervision`. An image with a mask is supervised by it, and its tags are the classes in the crop's mask.

    Args:
        label_set: One class per tag.
        fitted: Images to train on, with tags; with "mixed", some may have a mask instead.
        held: Held-out images, which choose the best epoch; may be empty.
        settings: The settings of the run; `supervision` is "tags" or "mixed".
        record: From the manifest of a run that is resumed.
        watch: Gives further figures after each epoch.

    Raises:
        InputError: An image has neither tags nor mask, a tag is not a class, or an image cannot be used.
    """

    def __init__(
        self,
        label_set: LabelSet,
        fitted: Sequence[Record],
        held: Sequence[Record],
        settings: TrainingSettings,
        record: dict[str, Any] | None = None,
        watch: Watched | None = None,
    ) -> None:
        self.settings, self.label_set, self.watch = settings, label_set, watch
        self.figure = settings.figure
        if self.figure == "map" and watch is None:
            raise InputError(
                "the best epoch is to be chosen by map, but nothing ranks the images", wanted="a function `watch`"
            )
        if self.figure == "map" and any(record.scene is None for record in held):
            raise InputError(
                "the best epoch is to be chosen by map, but held-out images have no scene class",
                wanted="images in one folder per scene",
                cure="choose another figure with --best-by",
            )
        mixed = settings.supervision == "mixed"
        fitted, held = [[r if mixed else _without_mask(r) for r in records] for records in (fitted, held)]
        _require_labels([*fitted, *held])
        self.reader, self.validation = (
            PairReader(records, label_set, keep=settings.keep_in_memory, without_masks=True)
            for records in (fitted, held)
        )
        self.tags, self.held_tags = tag_table(fitted, label_set), tag_table(held, label_set)
        # For an image with a mask, the tags are those in the crop, not those of the whole image.
        self.tags[[record.mask is not None for record in fitted]] = -1
        for number, image in enumerate(held):
            mask = self.validation.read(number)[1] if image.mask is not None else np.array(VOID)
            if (mask != VOID).any():
                self.held_tags[number] = np.isin(range(len(label_set.names)), mask)
        masked, masked_held = ([r for r in records if r.mask is not None] for records in (fitted, held))
        known = record["masks"] if record else None
        self.masks = MaskSupervision(label_set, masked, masked_held, settings, known) if masked else None
        if self.figure == MaskSupervision.figure and not masked:
            raise InputError(f"the best epoch is to be chosen by {self.figure}, but no image to train on has a mask")
        self.steps = len(self._plan(0)) // settings.crops.batch
        self.record = record or {
            "kind": settings.supervision,
            "figure": self.figure,
            "masks": self.masks.record if self.masks else None,
        }

    def _plan(self, epoch: int) -> NDArray[np.int64]:
        crops = self.settings.crops
        return plan_epoch(self.reader.crops(crops.size), crops, self.settings.seed, epoch)

    def sample(self) -> NDArray[np.float32]:
        return sample_images(self.reader, self.settings.crops, self.settings.seed)

    def model(self, network: keras.Model, architecture: Architecture) -> keras.Model:
        scale, dropout = architecture.scales.descriptor, self.settings.dropout
        masks, pooling = self.masks is not None, self.settings.tag_pooling
        return supervised_model(network, scale, dropout=dropout, masks=masks, pooling=pooling)

    def loss(self) -> dict[str, keras.losses.Loss]:
        losses = {name: keras.losses.BinaryCrossentropy(from_logits=True) for name in (TAGS, DESCRIPTOR_TAGS)}
        if self.settings.tag_pooling == "softmax":
            losses[PLACES] = AmongTags()
        return {**losses, LOGITS: pixel_loss()} if self.masks else losses

    def _of_tags(self, tags: tf.Tensor, known: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Targets and weights of the outputs that learn from tags."""
        names = [TAGS, DESCRIPTOR_TAGS, *([PLACES] if self.settings.tag_pooling == "softmax" else [])]
        return dict.fromkeys(names, tags), dict.fromkeys(names, known)

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """Batches of images float32 [B, S, S, 3], and of targets and weights by the model's outputs."""
        crops = self.settings.crops
        pairs = training_dataset(self.reader, crops, seed=self.settings.seed, epoch=epoch)
        tags = tf.data.Dataset.from_tensor_slices(self.tags[self._plan(epoch)[:, 0]])
        together = tf.data.Dataset.zip((pairs, tags.batch(crops.batch, drop_remainder=True)))
        return together.map(self._targets, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def _targets(
        self, pairs: tuple[tf.Tensor, tf.Tensor], tags: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        images, masks = pairs
        if self.masks is None:
            return images, *self._of_tags(tags, tf.ones(tf.shape(tags)[:1]))
        classes = range(len(self.label_set.names))
        shown = tf.stack([tf.reduce_any(masks == i, axis=(1, 2)) for i in classes], axis=1)
        masked = tf.reduce_any(masks != VOID, axis=(1, 2))
        tags = tf.where(masked[:, None], tf.cast(shown, tf.float32), tags)
        # If a crop is all void and its image has no tags, nothing is known about it.
        known = tf.cast(tags[:, 0] >= 0, tf.float32)
        labels, weights = weigh_pixels(masks, self.masks.class_weights)
        targets, weighed = self._of_tags(tf.maximum(tags, 0.0), known)
        return images, {**targets, LOGITS: labels}, {**weighed, LOGITS: weights}

    def evaluate(self, network: keras.Model) -> HeldOutScores:
        """F1 and mAP of the tags of whole images, the figures of `watch`, and those of masks, if any."""
        figures: dict[str, float | None] = dict.fromkeys(("micro_f1", "macro_f1", "tag_map"))
        if not len(self.validation):
            return HeldOutScores(figures)
        logits, descriptors = read_tags_of(
            tagging_model(network, self.settings.tag_pooling),
            lambda index: self.validation.read(index)[0],
            len(self.validation),
            batch=self.settings.crops.batch,
        )
        known = self.held_tags[:, 0] >= 0
        scores = tag_scores(self.held_tags[known] > 0, logits[known]).to_json(self.label_set.names)
        figures = {name: scores[name] for name in figures}
        if self.watch:
            figures |= self.watch(descriptors, self.validation.records)
        if self.masks:
            figures |= self.masks.evaluate(network).figures
        return HeldOutScores(figures, self._examples(network))

    def _examples(self, network: keras.Model) -> list[list[NDArray[np.uint8]]]:
        """Some images, each with its segmentation."""
        numbers = np.unique(np.linspace(0, len(self.validation) - 1, SHOWN).round().astype(int))
        images = [self.validation.read(int(number))[0] for number in numbers]
        return [[image, segment(network, image)] for image in images]

    def failures(self) -> contextlib.AbstractContextManager[None]:
        return failures_of(self.reader, self.validation)


def _without_mask(record: Record) -> Record:
    return replace(record, mask=None)


def _require_labels(records: Sequence[Record]) -> None:
    bare = [record.id for record in records if record.tags is None and record.mask is None]
    if bare:
        raise InputError(
            f"{len(bare)} of {len(records)} images have neither tags nor a mask that is used, the first is {bare[0]}",
            wanted="a line in the tags file for each image",
            cure="run `rsir-tf check` to see all of them",
        )
