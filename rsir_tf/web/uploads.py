"""Images that visitors brought: in memory, for a while, under names that nobody can guess."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsir_tf.workflows.given_images import HeldImage

KEPT_SECONDS = 1800.0
"""How long an upload lives after its last use."""

KEPT_BYTES = 256_000_000
"""Bytes of pixels of all uploads together: about 20 of the largest, or 1,300 of 256 pixels a side."""


class Uploads:
    """The last uploads; the oldest go first.

    Args:
        seconds: How long one is kept after its last use.
        limit: Bytes of pixels of all of them; the newest one stays in any case.
    """

    def __init__(self, seconds: float = KEPT_SECONDS, limit: int = KEPT_BYTES) -> None:
        self._seconds, self._limit = seconds, limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[HeldImage, float]] = OrderedDict()

    def add(self, image: HeldImage) -> str:
        """Keep an image; its name for the address bar is returned."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[name] = image, time.monotonic()
            self._forget()
        return name

    def get(self, name: str) -> HeldImage | None:
        """The image of this name; None where it is gone."""
        with self._lock:
            self._forget()
            if name not in self._kept:
                return None
            image = self._kept.pop(name)[0]
            self._kept[name] = image, time.monotonic()
            return image

    def _forget(self) -> None:
        oldest = time.monotonic() - self._seconds
        held = sum(image.pixels.values.nbytes for image, _ in self._kept.values())
        while self._kept:
            name, (image, used) = next(iter(self._kept.items()))
            if used >= oldest and (held <= self._limit or len(self._kept) == 1):
                return
            held -= image.pixels.values.nbytes
            del self._kept[name]
