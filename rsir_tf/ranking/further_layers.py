"""Vectors of layers beside conv5_3, which an index keeps only if it was made so: which schemes need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.contract import FURTHER_LAYERS
from rsir_tf.distances import to_float64, unit_vectors
from rsir_tf.errors import InputError
from rsir_tf.index.settings import vector_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.index.store import StoredIndex
    from rsir_tf.ranking.scheme import Scheme


CONV4_3_WEIGHT = 0.7
"""What conv4_3 counts beside conv5_3, whose weight is 1."""


def side_by_side(
    conv5_3: NDArray[np.floating], conv4_3: NDArray[np.floating] | None, weight: float, vectors: str = "unit"
) -> NDArray[np.float64]:
    """Put the vectors of two layers side by side, as one vector each.

    With vectors of length 1, the squared L2 distance of two such vectors is the weighted mean of the squared distances
    in each layer, with weights 1 and weight².

    Args:
        conv5_3: float [n, C].
        conv4_3: float [n, C]; None where the index does not keep them.
        weight: What conv4_3 counts.
        vectors: "unit" scales the vectors of each layer to length 1 first; "raw" takes them as they are.

    Returns:
        float64 [n, 2 C]; with "unit", of length 1.

    Raises:
        InputError: There are no vectors of conv4_3.
    """
    if conv4_3 is None:
        raise InputError(
            "there are no vectors of conv4_3", wanted="an image or index with them", cure="use --layers conv4_3"
        )
    layers = [to_float64(conv5_3), to_float64(conv4_3)]
    if vectors == "unit":
        layers = [unit_vectors(layer) for layer in layers]
    return np.asarray(np.concatenate([layers[0], weight * layers[1]], axis=1) / np.sqrt(1 + weight**2))


def layers_read(scheme: Scheme) -> tuple[str, ...]:
    """The layers beside conv5_3 of which a scheme reads vectors."""
    return tuple(layer for layer in FURTHER_LAYERS if set(vector_names(layer)) & {*scheme.reads})


def require_layers(index: StoredIndex, scheme: Scheme) -> None:
    """Refuse a scheme that reads vectors which an index does not keep.

    Raises:
        InputError: The text names the option that makes them.
    """
    for layer in layers_read(scheme):
        if layer not in index.settings.layers:
            raise InputError(
                f"{index.path}: keeps no vectors of {layer}, which scheme {scheme.name} compares",
                wanted=f"an index that was made with --layers {layer}",
                cure="make one in another folder: rsir-tf index … --layers "
                f"{layer}, with a model that was exported with --conv4",
            )
