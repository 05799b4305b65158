"""Lists of images that are not in an index: those that could not be indexed, and windows that were left out."""

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
    return read_notes(path / SKIPPED)


def read_notes(file: Path) -> dict[str, str]:
    """Read a list of images with a note on each, as `read_skipped` does."""
    if not file.exists():
        return {}
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(reason, str) for reason in content.values()):
        raise ArtifactError(
            f"{file}: is not a list of {file.stem.replace('_', ' ')} images", cure="remove it; it is then written again"
        )
    return dict(sorted(content.items()))


class NotedImages:
    """A list of a writer: read once, and written if it has changed.

    Args:
        file: Its path in the index's folder.

    Raises:
        ArtifactError: The list was damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._notes = read_notes(file)
        self._changed = False

    @property
    def notes(self) -> dict[str, str]:
        """Note by id, sorted by id."""
        return dict(sorted(self._notes.items()))

    def __contains__(self, image: object) -> bool:
        return image in self._notes

    def get(self, image: str) -> str | None:
        """The note on an image; None where it is not on the list."""
        return self._notes.get(image)

    def note(self, image: str, words: str) -> None:
        """Put an image on the list."""
        # A name that is not valid Unicode is a reason to skip an image, but the list must be written with it.
        image = image.encode("utf-8", "backslashreplace").decode()
        self._notes[image] = words.encode("utf-8", "backslashreplace").decode()
        self._changed = True

    def drop(self, image: str) -> None:
        """Take an image off the list, if it is on it."""
        self._changed |= self._notes.pop(image, None) is not None

    def save(self) -> None:
        """Write the list, if it has changed.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        if self._changed:
            write_json(self._file, self.notes)
            self._changed = False
