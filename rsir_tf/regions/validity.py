"""Pooling where some pixels of an image show nothing: nodata around a scene, clouds that were masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.errors import InputError
from rsir_tf.regions.pooling import pool_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.regions.sampling import Convention


def without_void_cells(
    conv5_3: NDArray[np.floating[Any]], valid: NDArray[np.bool_], *, stride: int = STRIDE
) -> NDArray[np.floating[Any]]:
    """Set cells to 0 in whose `stride` × `stride` pixels no pixel is valid.

    0 is the least value after ReLU. Such a cell shows nothing, but the network gives it a value, and bilinear sampling
    would mix that value into valid pixels beside it. With 0 it can only lower what they have: it never wins a maximum.

    Args:
        conv5_3: floating [h, w, C], the features.
        valid: bool [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉.
        stride: Image pixels per cell of the map.

    Returns:
        The same type and shape; the array itself where no cell is void.

    Raises:
        InputError: The shapes do not fit each other.
    """
    shown = _shown_cells(conv5_3, valid, stride)
    return conv5_3 if shown.all() else np.where(shown[..., None], conv5_3, conv5_3.dtype.type(0))


def continued_over_void(
    features: NDArray[np.floating[Any]], valid: NDArray[np.bool_], *, stride: int = STRIDE
) -> NDArray[np.floating[Any]]:
    """Give cells in whose `stride` × `stride` pixels no pixel is valid the value of the nearest cell that has one.

    Args:
        features: floating [h, w, C].
        valid: bool [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉.
        stride: Image pixels per cell of the map.

    Returns:
        The same type and shape; the array itself where no cell is void, or all are.

    Raises:
        InputError: The shapes do not fit each other.
    """
    shown = _shown_cells(features, valid, stride)
    if shown.all() or not shown.any():
        return features
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~shown, return_distances=False, return_indices=True)
    return np.asarray(features[rows, columns])


def _shown_cells(features: NDArray[np.floating[Any]], valid: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """Which cells have a valid pixel: bool [h, w]."""
    height, width = valid.shape
    cells = (-(-height // stride), -(-width // stride))
    if features.shape[:2] != cells:
        raise InputError(
            f"a map of {features.shape[0]} × {features.shape[1]} cells for {height} × {width} pixels",
            wanted=f"{cells[0]} × {cells[1]} cells (stride {stride})",
            cure="give features and validity of the same image",
        )
    padded = np.zeros((cells[0] * stride, cells[1] * stride), np.bool_)
    padded[:height, :width] = valid
    return np.asarray(padded.reshape(cells[0], stride, cells[1], stride).any(axis=(1, 3)))


def pool_valid(
    conv5_3: NDArray[np.floating[Any]],
    valid: NDArray[np.bool_],
    convention: Convention = "half_pixel",
    *,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Describe an image by the element-wise maximum of its valid pixels' features (ReCNN+).

    The same as `pool_regions` for one region of all valid pixels, which need not hang together.

    Args:
        conv5_3: floating [h, w, C], the features, usually from `without_void_cells`.
        valid: bool [H, W].
        convention: As for `pool_regions`.
        stride: Image pixels per cell of the map.

    Returns:
        float32 [C]; zeros where no pixel is valid.

    Raises:
        InputError: As for `pool_regions`.
    """
    pooled = pool_regions(conv5_3, valid.astype(np.int32), convention, stride=stride)
    return pooled[0] if len(pooled) else np.zeros(conv5_3.shape[2], np.float32)
