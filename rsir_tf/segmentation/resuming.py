"""Whether a run that was begun may go on under the settings and on the archive of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import MANIFEST, RUN_VERSION, read_json, read_manifest
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.rasters import Reading
from rsir_tf.segmentation.origin import Digests, first_changed

if TYPE_CHECKING:
    from rsir_tf.segmentation.settings import TrainingSettings

HISTORY = "history.json"
CHECKPOINTS = "checkpoints"
VIEWS = "views"
FILES = "files.json"
"""What each image and mask held when the run was begun."""

_SPOKEN = ("reading.", "label_polygons.")
"""Entries of an archive's description that are plain words, not hashes."""

_CURE = "use the same values to resume, or another --run folder"


def require_same_settings(path: Path, settings: TrainingSettings) -> None:
    """Refuse other settings than those that a run was begun with. Reads its manifest alone, so it answers at once.

    A folder without a run passes, and so does a run in which nothing has been computed that could be lost.

    Args:
        path: The run's folder.
        settings: Of this call.

    Raises:
        MismatchError: Names every setting that differs, with both values.
        ArtifactError: The folder holds something else, or the run was made by a newer program.
    """
    if not (path / MANIFEST).exists():
        return
    begun = read_manifest(path, "run", RUN_VERSION)
    history = path / HISTORY
    computed = (history.exists() and read_json(history).get("last") is not None) or (path / VIEWS).exists()
    if computed:
        _require_same_settings(path, begun, settings.to_json())


def known_reading(path: Path) -> Reading | None:
    """How the archive's files were read when a run was begun; None where none was begun.

    Args:
        path: The run's folder.

    Raises:
        ArtifactError: The folder holds something else, or the run was made by a newer program.
    """
    if not (path / MANIFEST).exists():
        return None
    return Reading.from_json(read_manifest(path, "run", RUN_VERSION)["archive"].get("reading", {}))


def best_weights(path: Path) -> Path | None:
    """The best checkpoint of the run that a path names, by its folder or by that file; None where it names no run.

    Reads manifest and history alone, as `require_same_settings` does.

    Raises:
        ArtifactError: A folder is no run, or one without a checkpoint, or it was made by a newer program.
        InputError: The path is that of another checkpoint.
    """
    folder = path if path.is_dir() else path.parent.parent
    inside = path.is_file() and path.parent.name == CHECKPOINTS and (folder / MANIFEST).exists()
    if not path.is_dir() and not inside:
        return None
    read_manifest(folder, "run", RUN_VERSION)
    name = read_json(folder / HISTORY)["best"] if (folder / HISTORY).exists() else None
    if name is None:
        raise ArtifactError(f"{folder}: has no checkpoint yet", cure="let `rsir-tf train` end at least one epoch")
    best: Path = folder / CHECKPOINTS / name
    if inside and not path.samefile(best):
        raise InputError(f"{path}: is not the best checkpoint of its run", wanted=f"{best}, or {folder}")
    return best


def require_same(
    path: Path, begun: Mapping[str, Any], settings: dict[str, Any], archive: dict[str, Any], digests: Digests
) -> None:
    """Refuse to go on with a run under other settings or on another archive.

    What only decides when a run ends may change: its patience, and its epochs where the learning rate does not depend
    on how many are to come.

    Args:
        path: The run's folder.
        begun: Its manifest.
        settings: Of this call, JSON types.
        archive: From `describe_origin`.
        digests: From `digest_files`.

    Raises:
        MismatchError: Names every setting that differs, with both values, or what is another of the archive, or the
            first image that has changed.
    """
    _require_same_settings(path, begun, settings)
    here, there = dict(_leaves(archive)), dict(_leaves(begun["archive"]))
    keys = sorted(key for key in here.keys() | there.keys() if key not in ("path", "format"))
    differing = [key for key in keys if here.get(key) != there.get(key)]
    if differing == ["files"] and (changed := first_changed(read_json(path / FILES), digests)):
        raise MismatchError(
            f"{path}: {changed} or its mask is not what it was when the run was begun",
            cure="train on the archive as it was, or into another --run folder",
        )
    if differing:
        # How scenes are read and what labels them says more to a reader than hashes, of which the first names what is
        # another. Files come last: where ids differ, all do.
        key = min(differing, key=lambda name: (not name.startswith(_SPOKEN), name == "files"))
        raise MismatchError(
            f"{path}: was begun with archive's {key} = {there.get(key)!r}, this call has {here.get(key)!r}",
            cure=_CURE,
        )


def _require_same_settings(path: Path, begun: Mapping[str, Any], settings: dict[str, Any]) -> None:
    version = begun["format_version"]
    if version < RUN_VERSION:
        raise MismatchError(
            f"{path}: was begun in format {version}, this program continues runs of format {RUN_VERSION}",
            cure="it can still be exported; train into another --run folder",
        )
    here, there = dict(_leaves(settings)), dict(_leaves(begun["settings"]))
    free = {"patience"} | ({"epochs"} if settings["schedule"] == "constant" else set())
    differing = sorted(key for key in here.keys() | there.keys() if key not in free and here.get(key) != there.get(key))
    if differing:
        values = [f"{key} = {there.get(key)!r}, this call has {here.get(key)!r}" for key in differing]
        raise MismatchError(f"{path}: was begun with {'; with '.join(values)}", cure=_CURE)


def _leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested settings, under names such as crops.size."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value
