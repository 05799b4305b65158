"""Files and folders on disk: written to a temporary name and renamed, with a manifest that is checked when opened."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rsir_tf.errors import ArtifactError

MANIFEST = "manifest.json"
REPORT = "report.json"

RUN_VERSION = 4
"""Format version of a run; defined here, so that it can be read without TensorFlow."""


@contextlib.contextmanager
def written_aside(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `target`; it is renamed to `target` only if the block ends without an error.

    Args:
        target: The final path of a file or a folder. Its parent folder is made if it is missing.
        replace: Whether an existing *file* may be replaced (atomically). Folders are never replaced.

    Yields:
        A path that does not exist yet, in the same folder; its name starts with a dot.

    Raises:
        ArtifactError: The target exists and must not be replaced, or the disk is full or read-only.
    """
    if not replace and target.exists():
        raise ArtifactError(f"{target}: exists already", cure="choose another name or remove it")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    aside = holder / target.name
    try:
        with disk_errors(target):
            yield aside
            _sync(aside)
            if not replace and target.exists():
                raise ArtifactError(f"{target}: appeared while it was being written", cure="run again")
            os.replace(aside, target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn system errors while writing to `path` into one clear line.

    Raises:
        ArtifactError: For any OSError inside the block (disk full, read-only, no permission, …).
    """
    try:
        yield
    except OSError as error:
        # h5py puts the system's error number into a long text and leaves `strerror` empty.
        number = error.errno or next(map(int, re.findall(r"errno = (\d+)", str(error))), None)
        if re.fullmatch(r"\d+ requested and \d+ written", str(error)):  # NumPy, whose C code drops the number.
            number = errno.ENOSPC
        reason = os.strerror(number).lower() if number else str(error)
        raise ArtifactError(
            f"{path}: cannot be written: {reason}", cure="free space or choose another place"
        ) from error


def is_leftover(entry: Path) -> bool:
    """Whether this is a temporary file or folder that `written_aside` leaves when the process is killed."""
    return entry.name.startswith(".") and entry.is_dir() and re.fullmatch(r"\..+\.[a-z0-9_]{8}", entry.name) is not None


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Remove what killed processes left in a folder and its subfolders.

    Args:
        folder: The folder to search.
        older_than: Seconds; younger files may still be in use by another process.
    """
    if not folder.is_dir():
        return
    for place in (folder, *(entry for entry in folder.iterdir() if entry.is_dir() and not is_leftover(entry))):
        for entry in place.iterdir():
            if is_leftover(entry) and time.time() - entry.stat().st_mtime >= older_than:
                shutil.rmtree(entry, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the new one, never a part of it.

    Args:
        path: The file; replaced if it exists.
        content: Any value that `json` can write, except NaN.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with written_aside(path, replace=True) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ArtifactError: It is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(
            f"{path}: is not valid JSON ({error})", cure="restore it from a copy or make it again"
        ) from error


def manifest(kind: str, version: int, **content: Any) -> dict[str, Any]:
    """Compose a manifest: kind, format version, time, the program that made it, and `content`.

    Args:
        kind: "run", "split", "export" or "index".
        version: The format version; increase it when an older program could misread the format.
        **content: Further entries, JSON types.
    """
    from rsir_tf import __version__

    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {
        "kind": f"rsir_tf.{kind}",
        "format_version": version,
        "created": now,
        "made_by": f"rsir_tf {__version__}",
        **content,
    }


def read_manifest(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a manifest and check that it has this kind and a version that this program knows.

    Args:
        path: The manifest's file, or the folder that holds `manifest.json`.
        kind: The kind that it must have.
        version: The newest version that this program knows; the caller must handle older ones.

    Raises:
        ArtifactError: It is missing, not JSON, of another kind, or newer; the text names both values.
    """
    file = path / MANIFEST if path.is_dir() else path
    if not file.exists():
        raise ArtifactError(f"{path}: no {kind} here ({file.name} is missing)", cure="check the path")
    content: dict[str, Any] = read_json(file)
    found = content.get("kind") if isinstance(content, dict) else None
    if found != f"rsir_tf.{kind}":
        raise ArtifactError(f"{file}: is of kind {found!r}", wanted=f"'rsir_tf.{kind}'")
    number = content.get("format_version")
    if not isinstance(number, int) or number < 1:
        raise ArtifactError(f"{file}: has format version {number!r}", wanted=f"a number from 1 to {version}")
    if number > version:
        raise ArtifactError(
            f"{file}: has format version {number}", wanted=f"at most {version}", cure="use a newer rsir_tf to read it"
        )
    return content


def kind_written_here(folder: Path, names: Collection[str]) -> str | None:
    """What this program wrote into a folder: "run", "index", "report", say; None where it wrote nothing.

    Args:
        folder: The folder.
        names: What lies in it.
    """
    for name in (MANIFEST, REPORT):
        if name in names:
            with contextlib.suppress(ArtifactError, OSError):
                content = read_json(folder / name)
                kind = str(content.get("kind")) if isinstance(content, dict) else ""
                if kind.startswith("rsir_tf."):
                    return kind.removeprefix("rsir_tf.")
    return None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def content_hash(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces), 64 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Write a file's or a folder's bytes to disk before it is renamed: a crash must not leave an empty file."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
