"""Whether a raster is still the same: the fingerprint and the digest of a file with all that belongs to it."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import is_url, open_dataset
from rsir_tf.rasters.remote import ask
from rsir_tf.rasters.source import MISSING, Fingerprint


def raster_fingerprint(path: str) -> Fingerprint:
    """Of a file, its size and time of change; where others belong to it (side-cars, what a VRT names), theirs as well.

    Of a URL, its size and what its server says of its version. `MISSING` where there is nothing; a server that does
    not answer gives another fingerprint, since the file may be there.
    """
    if is_url(path):
        return ask(path).fingerprint
    main = _status(path)
    if main is None:
        return MISSING
    others = _others(path, main)
    if not others:
        return Fingerprint(*main)
    told = repr([main, *map(_status, others)]).encode()
    return Fingerprint(main[0], int.from_bytes(hashlib.blake2b(told, digest_size=7).digest(), "big"))


def raster_digest(path: str) -> str | None:
    """First 16 hexadecimal digits of the SHA-256 of a file and of those that belong to it; None where it is not there.

    Of a URL, of its size and version. A file's contents are read once, and again when it has changed.
    """
    if is_url(path):
        answer = ask(path)
        return None if answer.failure else hashlib.sha256(repr(answer).encode()).hexdigest()[:16]
    main = _status(path)
    if main is None:
        return None
    digests = [_content(path, main)]
    for other in _others(path, main):
        status = _status(other)
        digests.append(None if status is None else _content(other, status))
    return digests[0] if len(digests) == 1 else hashlib.sha256(repr(digests).encode()).hexdigest()[:16]


def _status(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4096)
def _others(path: str, main: tuple[int, int]) -> tuple[str, ...]:
    try:
        with open_dataset(path) as dataset:
            files = [os.path.abspath(file) for file in dataset.files]
    except InputError:
        return ()
    own = os.path.abspath(path)
    return tuple(sorted(file for file in files if file != own and os.path.isfile(file)))


@lru_cache(maxsize=4096)
def _content(path: str, status: tuple[int, int]) -> str | None:
    try:
        return file_hash(Path(path))[:16]
    except OSError:
        return None
