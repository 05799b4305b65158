"""One writer at a time: a lock that the system drops when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import ArtifactError


class WriterLock:
    """Holds a folder for writing, from construction to `release`.

    The lock's file stays where it is: removing it would let two processes hold two files of the same name.

    Args:
        file: The lock's file; made where missing.

    Raises:
        ArtifactError: Another writer holds it, the folder is read-only, or the system has no such locks.
    """

    def __init__(self, file: Path) -> None:
        try:
            import fcntl
        except ImportError as error:
            raise ArtifactError(
                f"{file}: this system has no file locks", cure="write it on Linux or macOS; it can be read here"
            ) from error
        with disk_errors(file):
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with disk_errors(file), contextlib.suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
                return
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace") or "unknown"
            raise ArtifactError(
                f"{file.parent}: another writer (process {holder}) is at work here",
                cure="wait for it to end, or stop it",
            )
        except ArtifactError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let the next writer in."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
