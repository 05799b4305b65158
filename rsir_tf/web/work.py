"""Work in threads, so that the event loop never waits, with a bound on how much of it waits."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rsir_tf.errors import RsirError

T = TypeVar("T")


class BusyError(RsirError):
    """Too many requests wait already; the same request may succeed later."""


class Work:
    """Threads for one kind of work.

    Args:
        name: Of the work, in words.
        threads: How many run at once.
        waiting: How many may wait besides; more are refused.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name, self._most = name, threads + waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._begun = 0

    async def run(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a function in one of the threads; called from the event loop alone.

        Raises:
            BusyError: Too many wait already.
        """
        if self._begun >= self._most:
            raise BusyError(f"{self._name}: {self._begun} requests wait already", cure="try again in a while")
        call = functools.partial(contextvars.copy_context().run, function, *arguments, **options)
        self._begun += 1
        future = self._pool.submit(call)
        # Whoever asked may go away meanwhile; the place is free only when the work has ended.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._ended))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin nothing any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self) -> None:
        self._begun -= 1
