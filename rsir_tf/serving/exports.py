"""Find the versions of a SavedModel on disk, and read their signatures, without TensorFlow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsir_tf.artifacts import read_json
from rsir_tf.contract import CHANNELS, CONV5_3, DESCRIBE, FEATURES, FURTHER_LAYERS, SERVING_DEFAULT
from rsir_tf.errors import ArtifactError, InputError, ModelError
from rsir_tf.rasters import Reading

SIGNATURES = (SERVING_DEFAULT, FEATURES, DESCRIBE)
"""The signatures that the client needs. `identify` is newer, and only needed for servers that batch."""

EXPORT_CURE = "export the model with `rsir-tf export`"

MODEL_CARD = "assets.extra/model_card.json"
_GRAPH = "saved_model.pb"
_LARGEST_VERSION = (1 << 63) - 1


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn system errors for a folder that cannot be read into an error of this package.

    Raises:
        ArtifactError: Within the block, something could not be read.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise ArtifactError(f"{place}: cannot be read: {error.strerror}", cure="check its permissions") from error


def list_versions(base: Path) -> list[int]:
    """List the numbered versions in `base` in ascending order, also those without a graph file; may be empty.

    Numbers of more than 63 bits are not versions for a server either.
    """
    try:
        names = [entry.name for entry in os.scandir(base) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    return sorted(number for number in numbers if number <= _LARGEST_VERSION)


def version_folder(base: Path, version: int) -> Path:
    """Return the folder of a version; a server ignores leading zeros in its name."""
    plain = base / str(version)
    if plain.is_dir():
        return plain
    for entry in os.scandir(base):
        if entry.name.isascii() and entry.name.isdigit() and int(entry.name) == version:
            return Path(entry.path)
    return plain


def find_export(path: str | os.PathLike[str]) -> Path:
    """Find the SavedModel at `path`.

    Args:
        path: `saved_models/NAME`, where the newest numbered version is taken, or `saved_models/NAME/N` itself.

    Returns:
        The folder that holds `saved_model.pb`.

    Raises:
        ArtifactError: There is none.
    """
    base = Path(path)
    with readable(base):
        if (base / _GRAPH).is_file():
            return base
        if not base.is_dir():
            raise ArtifactError(f"{base}: no such folder", wanted="an exported model", cure=EXPORT_CURE)
        versions = list_versions(base)
        if not versions:
            raise ArtifactError(f"{base}: holds no numbered version", wanted="NAME/1/saved_model.pb", cure=EXPORT_CURE)
        newest = version_folder(base, versions[-1])
        if not (newest / _GRAPH).is_file():
            raise ArtifactError(f"{newest}: holds no {_GRAPH}", wanted="a complete SavedModel", cure=EXPORT_CURE)
        return newest


def read_signatures(folder: Path) -> dict[str, Any]:
    """Read the signatures of a SavedModel from its graph file.

    Args:
        folder: Holds `saved_model.pb`.

    Returns:
        SignatureDef by name, as a server publishes them.

    Raises:
        ArtifactError: The file is missing or damaged.
    """
    from google.protobuf.message import DecodeError

    from rsir_tf.serving.messages import SavedModel

    graph = folder / _GRAPH
    try:
        model = SavedModel.FromString(graph.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{graph}: cannot be read: {error.strerror}", cure=EXPORT_CURE) from error
    except DecodeError as error:
        raise ArtifactError(f"{graph}: is damaged or cut off", cure=EXPORT_CURE) from error
    for graph_definition in model.meta_graphs:
        if "serve" in graph_definition.meta_info_def.tags:
            return dict(graph_definition.signature_def)
    raise ArtifactError(f"{graph}: holds no graph tagged 'serve'", cure=EXPORT_CURE)


def unpack_signatures(response: Any, where: str) -> dict[str, Any]:
    """Read the signatures in a server's answer.

    Args:
        response: GetModelMetadataResponse to a request for "signature_def".
        where: The model, for the error.

    Returns:
        SignatureDef by name.

    Raises:
        ModelError: The answer holds none.
    """
    from google.protobuf.message import DecodeError

    from rsir_tf.serving.messages import SignatureDefMap

    found = SignatureDefMap()
    try:
        unpacked = response.metadata["signature_def"].Unpack(found)
    except DecodeError:
        unpacked = False
    if not unpacked:
        raise ModelError(f"{where}: its answer is not a TensorFlow Serving message", cure="check host and port")
    return dict(found.signature_def)


def conv5_3_channels(signatures: Mapping[str, Any], where: str) -> int:
    """Read from a model's signatures how many channels its conv5_3 has.

    Args:
        signatures: SignatureDef by name, from disk or from a server.
        where: The model, for the error.

    Raises:
        ModelError: A signature is missing, or does not have this number.
    """
    check_signatures(signatures, where)
    shape = signatures[FEATURES].outputs[CONV5_3].tensor_shape  # a missing output has no dimensions
    if len(shape.dim) != 4 or shape.dim[3].size < 1:
        raise ModelError(
            f"{where}: signature {FEATURES!r} does not say how many channels {CONV5_3} has",
            wanted=f"{CONV5_3} [N, h, w, {CHANNELS}]",
            cure=EXPORT_CURE,
        )
    return int(shape.dim[3].size)


def further_layers(signatures: Mapping[str, Any]) -> tuple[str, ...]:
    """Read from a model's signatures of which layers beside conv5_3 it gives features.

    Args:
        signatures: SignatureDef by name, from disk or from a server; `features` is among them.
    """
    return tuple(layer for layer in FURTHER_LAYERS if layer in signatures[FEATURES].outputs)


def check_signatures(names: object, where: str) -> None:
    """Refuse a model that lacks one of this package's signatures.

    Args:
        names: Container of signature names.
        where: The model, for the error.

    Raises:
        ModelError: One is missing.
    """
    missing = [name for name in SIGNATURES if name not in names]  # type: ignore[operator]
    if missing:
        raise ModelError(
            f"{where}: lacks the signature {missing[0]!r}", wanted=" and ".join(SIGNATURES), cure=EXPORT_CURE
        )


def trained_reading(base: Path) -> Reading | None:
    """Say how the images were read that an export was trained on, as its model card has it.

    Args:
        base: As for `find_export`.

    Returns:
        The reading; None where the export has no card, or one from before cards said so.

    Raises:
        ArtifactError: There is no export, or its card is damaged.
    """
    card = find_export(base) / MODEL_CARD
    if not card.is_file():
        return None
    content = read_json(card)
    if not isinstance(content, dict) or "reading" not in content:
        return None
    try:
        return Reading.from_json(content["reading"])
    except InputError as error:
        raise ArtifactError(f"{card}: {error.found}", wanted=error.wanted) from error
