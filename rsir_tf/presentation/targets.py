"""Which files may be written over: those that this program made, and no other without being told to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from rsir_tf.errors import ArtifactError, InputError


def check_target(
    path: Path, endings: Collection[str], is_own: Callable[[Path], bool], *, what: str, force: bool = False
) -> None:
    """Refuse a place where a file must not be written; call it before the work.

    Args:
        path: The file that is to be written.
        endings: Those that it may have, in small letters.
        is_own: Whether an existing file is one that this program made: such a one may be replaced.
        what: The kind of file in the error text, for example "a picture".
        force: Whether any existing file may be replaced.

    Raises:
        InputError: It has another ending.
        ArtifactError: Its folder does not exist, it is a folder, or it is a file that this program did not make.
    """
    if path.suffix.lower() not in endings:
        raise InputError(f"{path}: the ending is {path.suffix or 'missing'}", wanted=", ".join(endings))
    if not path.parent.is_dir():
        raise ArtifactError(f"{path}: there is no folder {path.parent}", cure="make the folder first")
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder", wanted="the name of a file")
    if path.exists() and not force and not is_own(path):
        raise ArtifactError(
            f"{path}: exists already, and is not {what} that this program made",
            cure="choose another name, or give --force to replace it",
        )
