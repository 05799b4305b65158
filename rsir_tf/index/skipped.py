"""The list of images that could not be indexed."""

from __future__ import annotations

from pathlib import Path

from rsir_tf.artifacts import read_json, write_json
from rsir_tf.errors import ArtifactError
from rsir_tf.index.layout import SKIPPED


def read_skipped(path: Path) -> dict[str, str]:
    """Read which images were skipped, and why.

    Args:
        path: The index's folder.

    Returns:
        Reason by id, sorted by id; empty where none was ever skipped.

    Raises:
        ArtifactError: The list was damaged.
    """
    file = path / SKIPPED
    if not file.exists():
        return {}
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(reason, str) for reason in content.values()):
        raise ArtifactError(f"{file}: is not a list of skipped images", cure="remove it; it is then written again")
    return dict(sorted(content.items()))


class SkippedList:
    """The list of a writer: read once, and written if it has changed.

    Args:
        path: The index's folder.

    Raises:
        ArtifactError: The list was damaged.
    """

    def __init__(self, path: Path) -> None:
        self._file = path / SKIPPED
        self._reasons = read_skipped(path)
        self._changed = False

    @property
    def reasons(self) -> dict[str, str]:
        """Reason by id, sorted by id."""
        return dict(sorted(self._reasons.items()))

    def note(self, image: str, reason: str) -> None:
        """Put an image on the list."""
        # A name that is not valid Unicode is a reason to skip an image, but the list must be written with it.
        image = image.encode("utf-8", "backslashreplace").decode()
        self._reasons[image] = reason.encode("utf-8", "backslashreplace").decode()
        self._changed = True

    def drop(self, image: str) -> None:
        """Take an image off the list, if it is on it."""
        self._changed |= self._reasons.pop(image, None) is not None

    def save(self) -> None:
        """Write the list, if it has changed.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        if self._changed:
            write_json(self._file, self.reasons)
            self._changed = False
