"""Looking through an index that others may change meanwhile: what it holds, which images one wants to see."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import MANIFEST
from rsir_tf.errors import InputError, RsirError
from rsir_tf.ranking import Index, open_index, showing_classes
from rsir_tf.rasters import path_of
from rsir_tf.workflows.footprints import Footprints

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOK_AGAIN = 1.0
"""Seconds between two looks at the manifest: a writer's new images appear this late at most."""

KEPT_BYTES = 32_000_000
"""Bytes of the last selections that are kept: 36 of all images of an index of 109,161."""

KEPT_SELECTIONS = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images of an index are wanted; all conditions hold together, and none wants all.

    Attributes:
        scene: Their scene class.
        tags: Tags that each of them has, all of these.
        shows: Names of classes, each with the least share of an image's area that its regions of this class cover, 0
            to 1: 0 wants one region of it.
        text: A part of their ids, whatever its case.
    """

    scene: str | None = None
    tags: tuple[str, ...] = ()
    shows: tuple[tuple[str, float], ...] = ()
    text: str = ""

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        return self != Wanted()


class Browsed:
    """One opened state of an index, with what is worth knowing of it as a whole; counted at the first use.

    Args:
        index: From `rsir_tf.open_index`.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._selected: OrderedDict[Wanted, NDArray[np.int64]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @cached_property
    def scenes(self) -> dict[str, int]:
        """Number of images of each scene class, by name."""
        return dict(sorted(Counter(scene for scene in self.index.images.scenes if scene is not None).items()))

    @cached_property
    def tags(self) -> dict[str, int]:
        """Number of images with each tag, by name."""
        return dict(sorted(Counter(tag for tags in self.index.images.tags for tag in tags or ()).items()))

    @cached_property
    def classes(self) -> dict[str, int]:
        """Number of images with a region of each class, in the order of the classes."""
        counts = self.index.shown_classes.sum(axis=0).tolist()
        return dict(zip(self.index.settings.class_names, counts, strict=True))

    @cached_property
    def placed(self) -> bool:
        """Whether any image has a footprint on Earth."""
        return any(footprint is not None for footprint in self.index.images.footprints)

    @cached_property
    def footprints(self) -> Footprints:
        """The ground of the images."""
        return Footprints(self.index.images.footprints)

    @cached_property
    def files(self) -> dict[str, int]:
        """The file of each image, or of the scene that it is a window of, and the row of the first image of it."""
        found: dict[str, int] = {}
        for row, address in enumerate(self.index.images.paths):
            found.setdefault(path_of(address) or address, row)
        return found

    @cached_property
    def windows(self) -> bool:
        """Whether any image is a window of a scene."""
        return any(path_of(address) != address for address in self.index.images.paths)

    def file_of(self, row: int) -> str:
        """The file of an image, or of its scene, as people may type it: relative to its archive's folder."""
        address = self.index.images.paths[row]
        file = path_of(address) or address
        folders = [f"{root}{os.sep}" for root in self.index.roots.values()]
        return next((file[len(folder) :] for folder in folders if file.startswith(folder)), file)

    def within(self, outline: Sequence[tuple[float, float]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of some images, those whose ground overlaps a polygon.

        Args:
            outline: (longitude, latitude) of its corners, degrees.
            rows: int64 [k], of the images.

        Raises:
            InputError: The polygon has no area.
        """
        import shapely

        area = shapely.make_valid(shapely.Polygon(outline))
        if not area.area > 0:
            raise InputError("the polygon has no area", wanted="three corners or more that do not lie on one line")
        return rows[self.footprints.within(np.array([area], dtype=object))[rows]]

    def select(self, wanted: Wanted) -> NDArray[np.int64]:
        """Find the images that are wanted; the last answers are kept.

        Args:
            wanted: See `Wanted`.

        Returns:
            int64 [k], rows of the index, ascending, so by id.

        Raises:
            InputError: The index has no such class, or a share is not between 0 and 1.
        """
        with self._lock:
            if wanted in self._selected:
                self._selected.move_to_end(wanted)
                return self._selected[wanted]
        found = self._find(wanted)
        with self._lock:
            if wanted not in self._selected:
                self._selected[wanted] = found
                self._held += found.nbytes
            while self._held > KEPT_BYTES or len(self._selected) > KEPT_SELECTIONS:
                self._held -= self._selected.popitem(last=False)[1].nbytes
        return found

    def _find(self, wanted: Wanted) -> NDArray[np.int64]:
        images = self.index.images
        left = np.ones(len(self.index), dtype=bool)
        if wanted.scene is not None:
            left &= np.fromiter((scene == wanted.scene for scene in images.scenes), bool, len(left))
        if wanted.tags:
            asked = set(wanted.tags)
            left &= np.fromiter((asked <= set(tags or ()) for tags in images.tags), bool, len(left))
        if wanted.text:
            part = wanted.text.casefold()
            left &= np.fromiter((part in image.casefold() for image in images.ids), bool, len(left))
        if wanted.shows:
            shown = np.zeros(len(left), dtype=bool)
            shown[showing_classes(self.index, dict(wanted.shows)).rows] = True
            left &= shown
        return np.flatnonzero(left)


class WatchedIndex:
    """An index that is opened once, and again when it has changed on disk; a writer may go on meanwhile.

    Args:
        path: The index's folder.
        roots: Where archives lie by now, as for `rsir_tf.open_index`.
        opener: Opens it, called as that is.

    Raises:
        ArtifactError: There is no index, or it is damaged.
        InputError: The index has no archive of such a name.
    """

    def __init__(
        self, path: Path, roots: Mapping[str, Path] | None = None, *, opener: Callable[..., Index] = open_index
    ) -> None:
        self.path = path
        self._open = partial(opener, path, roots=roots)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._signature = self._look()
        self._browsed = Browsed(self._open())

    def current(self) -> Browsed:
        """The index as it is on disk now, at most a second ago.

        While one thread opens a newer state, the others go on with the older one. An index that cannot be opened any
        more stays as it was.
        """
        if time.monotonic() - self._looked >= LOOK_AGAIN and self._lock.acquire(blocking=False):
            try:
                signature = self._look()
                if signature is not None and signature != self._signature:
                    self._browsed = Browsed(self._open())
                    self._signature = signature
            except RsirError:  # It is being replaced, or was damaged: what is open is whole.
                pass
            finally:
                self._looked = time.monotonic()
                self._lock.release()
        return self._browsed

    @property
    def last(self) -> Browsed:
        """The index as it was opened last, without a look at the disk."""
        return self._browsed

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = (self.path / MANIFEST).stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
