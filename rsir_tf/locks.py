"""One writer at a time: a lock that the system releases when its process ends, even if it is killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import ArtifactError, LockedError


class WriterLock:
    """Locks a folder for writing, from construction to `release`.

    The lock file is never removed: otherwise two processes could lock two files of the same name.

    Args:
        file: The lock file; it is made if it is missing.

    Raises:
        LockedError: Another writer has the lock.
        ArtifactError: The folder is read-only, or the system has no file locks.
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
            raise LockedError(
                f"{file.parent}: another writer (process {holder}) is at work here",
                cure="wait for it to end, or stop it",
            )
        except ArtifactError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Release the lock for the next writer."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
