"""Images that visitors brought: in memory, for a while, under names that nobody can guess."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError
from rsir_tf.web.work import BusyError

if TYPE_CHECKING:
    from fastapi import Request

    from rsir_tf.workflows.given_images import HeldImage

KEPT_SECONDS = 1800.0
"""How long an upload lives after its last use."""

KEPT_BYTES = 256_000_000
"""Bytes of pixels of all uploads together: about 20 of the largest, or 1,300 of 256 pixels a side."""


BODIES = 8
"""Bodies of requests in memory at a time, each as large as is allowed."""

BODY_SECONDS = 120.0
"""How long one may take to come."""


class Receiving:
    """Bodies of requests, a few at a time. Used from the event loop alone."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a request's body, and count it for as long as it is worked with.

        Raises:
            BusyError: Too many are held already.
            InputError: It takes too long to come.
        """
        if self._held >= BODIES:
            raise BusyError(f"{self._held} uploads are being read already", cure="try again in a while")
        self._held += 1
        try:
            try:
                content = await asyncio.wait_for(request.body(), BODY_SECONDS)
            except asyncio.TimeoutError as error:
                raise InputError("the upload is too slow", wanted=f"all of it within {BODY_SECONDS:.0f} s") from error
            yield content
        finally:
            self._held -= 1


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
