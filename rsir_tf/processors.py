"""How many processor cores can be used, and a pipeline that spreads work over them and gives answers in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Answer = TypeVar("Answer")


_sharing = 1
"""Processes that share the cores, this one among them."""


def usable_cores() -> int:
    """Cores that this process may use, at least 1: a container or `taskset` may allow fewer than the machine has.

    Where the system does not say which are allowed (macOS, Windows), these are all cores of the machine. A process that
    shares them (`share_cores`) uses its part.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // _sharing)


def share_cores(processes: int) -> None:
    """Let this process use its part of the cores.

    Args:
        processes: How many work on this machine at the same time, this one among them; at least 1.
    """
    global _sharing  # noqa: PLW0603 - it holds for all that this process does
    _sharing = processes


def in_order(submit: Callable[[Item], Future[Answer]], items: Iterable[Item], ahead: int) -> Iterator[Answer]:
    """Start work on items, a bounded number ahead of the consumer, and give the answers in order.

    Closing or dropping this iterator cancels the work that waits; work that already runs goes on to its end.

    Args:
        submit: Starts the work on one item, for example an executor's `submit` with a fixed function.
        items: Read in the caller's thread, as answers are consumed.
        ahead: The largest number of started items whose answers are not consumed yet; at least 1.

    Yields:
        The answers, in the order of the items.

    Raises:
        Exception: What `items`, `submit` or the work on an item raises, after the answers of all items before it.
    """
    waiting: deque[Future[Answer]] = deque()
    remaining = iter(items)
    failure: Exception | None = None
    ended = False
    try:
        while True:
            while not ended and len(waiting) < ahead:
                try:
                    waiting.append(submit(next(remaining)))
                except StopIteration:  # noqa: PERF203 - taking each item may fail
                    ended = True
                except Exception as error:  # noqa: BLE001 - raised below, after what was begun before it
                    failure, ended = error, True
            if not waiting:
                break
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
    if failure is not None:
        raise failure


def in_threads(
    work: Callable[[Item], Answer], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Answer]:
    """Work on items in new threads, like `in_order`, with two items per thread ahead.

    Args:
        work: Called with one item; several calls run at once.
        items: Any number.
        threads: Number of threads; None takes one per core.

    Yields:
        The answers, in the order of the items.
    """
    from concurrent.futures import ThreadPoolExecutor

    threads = usable_cores() if threads is None else threads
    with ThreadPoolExecutor(threads) as pool:
        yield from in_order(lambda item: pool.submit(work, item), items, 2 * threads)


_outside = threading.Lock()
_inside: list[Any] = []


@contextmanager
def products_in_own_thread() -> Iterator[None]:
    """Let matrix products run in the thread that asks for them, while several threads of ours share the work.

    OpenBLAS spreads large products over threads of its own, which keep processors busy while they wait for each other.
    The limit holds for the whole process, until the last of those who asked for it has left.
    """
    from threadpoolctl import threadpool_limits

    with _outside:
        _inside.append(_inside[0] if _inside else threadpool_limits(1, user_api="blas"))
    try:
        yield
    finally:
        with _outside:
            limits = _inside.pop()
            if not _inside:
                limits.restore_original_limits()
