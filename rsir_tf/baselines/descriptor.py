"""The protocol of every baseline: parameters, a distance, and a function from an image to a vector."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Descriptor(Protocol):
    """A hand-crafted image descriptor. Implementations are frozen dataclasses, whose fields are the parameters.

    Attributes:
        name: Its name in options and reports.
        title: Its name in the paper and in tables.
        distance: The distance that the paper uses for it (III.D): "l1" for colour, "l2" for the others.
        libraries: The libraries that its vectors depend on besides NumPy and Pillow, named as in `library_versions`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    distance: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]]

    @property
    def dimensions(self) -> int:
        """Length of the vector."""

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe one image.

        Args:
            image: uint8 [H, W, 3], RGB, with sides of at least 16 pixels.

        Returns:
            float32 [dimensions], finite; equal images get equal vectors.

        Raises:
            InputError: The array is no such image.
        """


def parameters(descriptor: Descriptor) -> dict[str, Any]:
    """The parameters of a descriptor, as JSON types."""
    instance: DataclassInstance = descriptor  # type: ignore[assignment]
    fields = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance) if field.repr}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def require(holds: bool, found: str, wanted: str) -> None:
    """Check a condition on a parameter.

    Raises:
        InputError: The condition does not hold.
    """
    if not holds:
        raise InputError(found, wanted=wanted)


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of an RGB image (ITU-R BT.601), rounded.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        uint8 [H, W].

    Raises:
        InputError: The array is no such image.
    """
    import cv2

    from rsir_tf.rasters import check_image

    check_image(image, "image")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
