"""Checks of what is sent to a model and what it answers: a server does not check shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.contract import (
    CONV4_3,
    CONV5_3,
    FURTHER_LAYERS,
    MODEL_ID,
    SEGMENTATION,
    STRIDE,
    ModelDescription,
    Prediction,
)
from rsir_tf.errors import InputError, MismatchError, ModelError, RsirError
from rsir_tf.rasters import MIN_SIDE

Refused = TypeVar("Refused", bound=RsirError)

BATCH_PIXELS = 1 << 19
"""Pixels in one request with several images (8 of 256×256): larger requests are not more efficient, and may exceed
deadlines."""


def check_image(image: Any, position: int) -> None:
    """Refuse images that are not uint8 [H, W, 3] with sides of at least 16 pixels.

    Args:
        image: The image from the caller.
        position: Its place in the call, from 0, for the error.

    Raises:
        InputError: It is something else.
    """
    wanted = f"uint8 [H, W, 3] with sides of at least {MIN_SIDE} pixels"
    if not isinstance(image, np.ndarray):
        raise InputError(f"image {position} is a {type(image).__name__}", wanted=wanted, cure="use rsir_tf.read_image")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < MIN_SIDE:
        raise InputError(f"image {position} is {image.dtype} {list(image.shape)}", wanted=wanted)


def grouped(images: Iterable[NDArray[np.uint8]], largest: Callable[[], int]) -> Iterator[list[NDArray[np.uint8]]]:
    """Put consecutive images of one size together.

    Args:
        images: uint8 [H, W, 3]; pulled as needed.
        largest: Gives the largest number of images in a group; it is called for each image.

    Yields:
        Groups in order, of at least one image each; a group of several has at most half a million pixels. Only the
        lists refer to the images, so that one is freed when nobody keeps it.

    Raises:
        InputError: A model does not take an image. The images before it are yielded first, as before errors that
            `images` raises.
    """
    group: list[NDArray[np.uint8]] = []
    failure: Exception | None = None
    source = iter(images)
    position = 0
    while True:
        try:
            image = next(source)
            check_image(image, position)
        except StopIteration:
            break
        except Exception as error:  # noqa: BLE001 - raised again below, once the images before it are on their way
            failure = error
            break
        if group and group[0].shape != image.shape:
            yield group
            group = []
        group.append(image)
        position += 1
        # A full group does not wait for another image, which may be large.
        if len(group) >= min(largest(), BATCH_PIXELS // (image.shape[0] * image.shape[1])):
            del image
            yield group
            group = []
    if group:
        yield group
    if failure is not None:
        raise failure


def check_layers(layers: Sequence[str], description: ModelDescription) -> None:
    """Refuse to ask for layers that a model does not give.

    Raises:
        ModelError: It lacks one.
    """
    for layer in layers:
        if layer not in description.layers:
            raise ModelError(
                f"model {description.model_id} gives no features of {layer}",
                wanted=" or ".join(("conv5_3", *description.layers)),
                cure="export it again with `rsir-tf export --conv4`" if layer in FURTHER_LAYERS else None,
            )


def split_answer(
    segmentation: NDArray[Any],
    maps: Mapping[str, NDArray[Any]],
    model_ids: Sequence[str],
    shape: tuple[int, ...],
    description: ModelDescription,
) -> list[Prediction]:
    """Check a model's answer for one group of images and divide it.

    Args:
        segmentation: Should be uint8 [N, H, W], indices of the model's classes.
        maps: Features by layer, as far as they were asked for: conv5_3 should be float32 [N, ⌈H/16⌉, ⌈W/16⌉,
            channels], conv4_3 float32 [N, ⌈H/8⌉, ⌈W/8⌉, channels], all finite.
        model_ids: The id of the model that answered, once per image.
        shape: Of the request's images, (N, H, W, 3).
        description: The model that should have answered.

    Returns:
        One prediction per image; without features, its conv5_3 is empty.

    Raises:
        MismatchError: Another model gave the answer.
        ModelError: The answer has other shapes, types or values.
    """
    count, height, width, _ = shape
    for model_id in model_ids:
        check_model(model_id, description.model_id)
    if len(model_ids) != count:
        raise ModelError(f"output {MODEL_ID!r} holds {len(model_ids)} values", wanted=f"{count}, one per image")
    if segmentation.dtype != np.uint8 or segmentation.shape != (count, height, width):
        raise _unlike(SEGMENTATION, segmentation, f"uint8 {[count, height, width]}")
    for name, cells in maps.items():
        stride = FURTHER_LAYERS.get(name, STRIDE)
        wanted = (count, -(-height // stride), -(-width // stride), description.channels)
        if cells.dtype != np.float32 or cells.shape != wanted:
            raise _unlike(name, cells, f"float32 {list(wanted)}")
        if not np.isfinite(cells).all():
            raise ModelError(
                f"output {name!r} holds NaN or infinity",
                cure="the model is damaged, or its training diverged; export another one",
            )
    classes = len(description.class_names)
    if segmentation.max() >= classes:
        raise ModelError(
            f"output {SEGMENTATION!r} holds class {segmentation.max()}",
            wanted=f"0 to {classes - 1}, because the model has {classes} classes",
        )
    conv5_3 = maps.get(CONV5_3, np.empty((count, 0, 0, description.channels), np.float32))
    conv4_3 = maps.get(CONV4_3, [None] * count)
    return [Prediction(segmentation[at], conv5_3[at], conv4_3[at]) for at in range(count)]


def check_model(found: str, wanted: str) -> None:
    """Refuse answers of another model: answers of two models must not be mixed.

    Args:
        found: The id of the model that answered.
        wanted: The id of the model that answered before.

    Raises:
        MismatchError: The ids differ.
    """
    if found != wanted:
        raise MismatchError(
            f"holds model {found}",
            wanted=f"model {wanted}, as answered before",
            cure="let all servers serve one model, or connect to a version by its number",
        )


def at(where: str, error: Refused) -> Refused:
    """Return the same error with the model at the beginning of its text."""
    return type(error)(f"{where}: {error.found}", wanted=error.wanted, cure=error.cure)


def _unlike(name: str, array: NDArray[Any], wanted: str) -> ModelError:
    return ModelError(f"output {name!r} is {array.dtype} {list(array.shape)}", wanted=wanted)
