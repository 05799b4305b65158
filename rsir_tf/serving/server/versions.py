"""The versions of a served model: finding, loading and replacing them, and their states."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from rsir_tf.serving.exports import list_versions, version_folder
from rsir_tf.serving.messages import ModelVersionStatus
from rsir_tf.serving.server.servable import Servable, invalid, not_found


@dataclass(frozen=True, slots=True)
class VersionState:
    """What a server says about one version.

    Attributes:
        state: A value of `ModelVersionStatus.State`.
        code: 0, or the gRPC code of the error.
        message: What failed.
    """

    state: int
    code: int = 0
    message: str = ""


class Versions:
    """Keeps the newest versions of one model loaded. A request keeps the version with which it began.

    Args:
        base: The folder of numbered versions.
        name: The name of the model.
        keep: How many of the newest versions are served.
        labels: Label → version.
    """

    def __init__(
        self,
        base: Path,
        name: str,
        *,
        keep: int = 1,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self._base = base
        self._name = name
        self._keep = keep
        self._labels = dict(labels or {})
        self._loaded: dict[int, Servable] = {}
        self._failed: dict[int, tuple[tuple[str, int, int], ...]] = {}
        self._states: dict[int, VersionState] = {}
        self._lock = threading.Lock()  # held during a poll; readers see dictionaries that are replaced as a whole

    def states(self, name: str | None = None) -> dict[int, VersionState]:
        """Number → state of every version that was seen; empty for a model with another name."""
        return dict(sorted(self._states.items())) if name in (None, self._name) else {}

    def any_available(self) -> bool:
        """Whether a version is loaded and can answer."""
        return bool(self._loaded)

    def find(self, spec: Any) -> tuple[int, Servable]:
        """Choose the version for a request.

        Args:
            spec: ModelSpec with a version, a label, or neither for the newest version.

        Returns:
            Its number and the servable.

        Raises:
            RefusedError: There is no such version, or the model has another name.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        loaded = self._loaded if spec.name == self._name else {}
        version = spec.version.value if spec.HasField("version") else None
        if label := spec.version_label:
            if spec.name != self._name or label not in self._labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            version = self._labels[label]
        chosen = max(loaded, default=None) if version is None else version
        if chosen is None or chosen not in loaded:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        return chosen, loaded[chosen]

    def poll(self) -> None:
        """Read the folder: load new versions, then drop those that they replace."""
        if not self._base.is_dir():
            return  # the folder was moved away for a moment: keep what is served
        with self._lock:
            there = list_versions(self._base)
            self._forget_all_but(there)
            wanted = there[-self._keep :]
            for version in wanted:
                if version not in self._loaded:
                    self._bring_up(version)
            # A version is dropped only when a wanted one is loaded, or when none is wanted any more.
            if not wanted or any(version in self._loaded for version in wanted):
                unwanted = [version for version in self._loaded if version not in wanted]
                self._loaded = {number: held for number, held in self._loaded.items() if number in wanted}
                for version in unwanted:
                    self._set(version, VersionState(ModelVersionStatus.END))
                if unwanted:
                    gc.collect()  # a loaded SavedModel refers to itself: only this frees its weights soon

    def _forget_all_but(self, there: list[int]) -> None:
        """Drop the states of versions that are neither on disk nor loaded."""
        kept = {*there, *self._loaded}
        self._failed = {version: content for version, content in self._failed.items() if version in kept}
        self._states = {version: state for version, state in self._states.items() if version in kept}

    def _bring_up(self, version: int) -> None:
        folder = version_folder(self._base, version)
        content = _fingerprint(folder)
        if self._failed.get(version) == content:
            return  # unchanged since it failed; a folder that is still being copied changes, and is tried again
        self._set(version, VersionState(ModelVersionStatus.LOADING))
        try:
            servable = Servable(folder)
        except Exception as error:  # noqa: BLE001 - TensorFlow raises many types; the other versions go on
            self._failed[version] = content
            code = int(getattr(error, "error_code", grpc.StatusCode.INTERNAL.value[0]))
            self._set(version, VersionState(ModelVersionStatus.END, code, " ".join(str(error).split())))
            return
        self._failed.pop(version, None)
        self._loaded = {**self._loaded, version: servable}
        self._set(version, VersionState(ModelVersionStatus.AVAILABLE))

    def _set(self, version: int, state: VersionState) -> None:
        self._states = {**self._states, version: state}


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a folder's files; they change while it is being copied."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
