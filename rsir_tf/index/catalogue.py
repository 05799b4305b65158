"""What a writer knows about the committed images of its index without opening a segment."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import ArtifactError
from rsir_tf.index.facts import ImageFacts, place_from, transform_to_store
from rsir_tf.index.layout import CATALOGUE
from rsir_tf.index.segment import Segment
from rsir_tf.index.segment_files import CRS, TRANSFORM

_TABLE = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE images (
        number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, segment TEXT NOT NULL, row INTEGER NOT NULL,
        content TEXT NOT NULL, facts TEXT NOT NULL
    );
    CREATE INDEX by_content ON images (content);
"""

_FACTS = tuple(field.name for field in fields(ImageFacts) if field.name not in ("content_hash", "place", "placed"))


class Slot(NamedTuple):
    """Where in the index a committed image is kept."""

    segment: str
    row: int


class Catalogue:
    """The committed images by id and by content.

    They are in a database of which two megabytes are in memory, so that what a writer needs does not grow with its
    index, and the rest in a file of the index's folder that nobody else sees and that ends with the process.

    Args:
        index: The index's folder.

    Raises:
        ArtifactError: Here and from each method: the disk is full or read-only. Nothing can be asked afterwards.
    """

    def __init__(self, index: Path) -> None:
        self._file = index / CATALOGUE
        self._images = 0
        self._lost = ""
        with disk_errors(self._file):
            self._file.unlink(missing_ok=True)
        with self._errors():
            # Only this process has the file, so it needs no lock, which networks' disks often lack; and no journal,
            # since after a crash nobody reads it. Images may be read ahead, and asked about, in another thread.
            address = f"file:{quote(str(self._file.absolute()))}?nolock=1"
            self._database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            self._database.executescript(_TABLE)
        with contextlib.suppress(OSError):  # Where a disk keeps open files, the next writer removes it.
            self._file.unlink()

    def __len__(self) -> int:
        return self._images

    def __contains__(self, image: object) -> bool:
        return self._first("SELECT 1 FROM images WHERE id = ?", image) is not None

    @property
    def ids(self) -> list[str]:
        """The ids of all images, sorted."""
        with self._errors():
            return [image for (image,) in self._database.execute("SELECT id FROM images ORDER BY id")]

    def slot(self, image: str) -> Slot | None:
        """Where an image is kept; None where it is not known."""
        found = self._first("SELECT segment, row FROM images WHERE id = ?", image)
        return None if found is None else Slot(*found)

    def facts(self, image: str) -> ImageFacts | None:
        """What is known about an image besides its descriptors; None where it is not known itself."""
        found = self._first("SELECT content, facts FROM images WHERE id = ?", image)
        return None if found is None else _facts(*found)

    def with_content(self, content_hash: str) -> str | None:
        """The id of the image that came first with these pixels, or None."""
        found = self._first("SELECT id FROM images WHERE content = ? ORDER BY number", content_hash)
        return None if found is None else found[0]

    def register(self, segment: Segment, removed: set[int]) -> None:
        """Take in the images of a segment.

        Args:
            segment: Of the index.
            removed: Rows that do not belong to the index any more.
        """
        columns = (segment.column(name) for name in ("id", "content_hash", *_FACTS, CRS, TRANSFORM))
        rows = enumerate(zip(*columns, strict=True))
        with self.changing():
            self._add(
                (image, segment.record.name, row, content, json.dumps(facts))
                for row, (image, content, *facts) in rows
                if row not in removed
            )

    def add(self, segment: str, images: Iterable[tuple[str, ImageFacts]]) -> None:
        """Take in images by id, none of which is known: the rows of a new segment in order."""
        self._add(
            (image, segment, row, facts.content_hash, json.dumps(_to_store(facts)))
            for row, (image, facts) in enumerate(images)
        )

    def move(self, segment: str, images: Iterable[str]) -> None:
        """Note that images are now the rows of another segment, in this order."""
        rows = ((segment, row, image) for row, image in enumerate(images))
        with self._errors():
            self._database.executemany("UPDATE images SET segment = ?, row = ? WHERE id = ?", rows)

    def drop(self, image: str) -> Slot | None:
        """Forget an image; where it was kept, or None where it was not known."""
        slot = self.slot(image)
        if slot is not None:
            with self._errors():
                self._database.execute("DELETE FROM images WHERE id = ?", (image,))
            self._images -= 1
        return slot

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Changes in this block are brought to the database together: much quicker, and refused before they begin."""
        with self._errors():
            self._database.execute("BEGIN")
        try:
            yield
        finally:
            with self._errors():
                self._database.execute("COMMIT")

    def _add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._errors():
            added = self._database.executemany(
                "INSERT INTO images (id, segment, row, content, facts) VALUES (?, ?, ?, ?, ?)", rows
            )
        self._images += added.rowcount

    def _first(self, question: str, about: object) -> tuple[Any, ...] | None:
        with self._errors():
            found: tuple[Any, ...] | None = self._database.execute(f"{question} LIMIT 1", (about,)).fetchone()
            return found

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # An image that it has lost could be added a second time: nothing more is asked of it.
            self._database.close()
            self._lost = self._lost or str(error)
            raise ArtifactError(
                f"{self._file}: what the index holds cannot be noted: {self._lost}",
                cure="free space and run again; what was committed is safe",
            ) from error


def _to_store(facts: ImageFacts) -> list[Any]:
    crs = None if facts.place is None else facts.place.crs
    return [*(getattr(facts, name) for name in _FACTS), crs, transform_to_store(facts)]


def _facts(content_hash: str, stored: str) -> ImageFacts:
    *values, crs, transform = json.loads(stored)
    known = dict(zip(_FACTS, values, strict=True))
    known["tags"] = None if known["tags"] is None else tuple(known["tags"])
    place = place_from(crs, transform)
    return ImageFacts(**known, content_hash=content_hash, place=place, placed=transform is not None)
