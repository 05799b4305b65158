"""How many processor cores there are to work on, and work that is spread over them, with its answers in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def usable_cores() -> int:
    """Cores that this process may use, at least 1: a container or `taskset` may allow fewer than the machine has.

    Where the system does not say which are allowed (macOS, Windows), all of the machine's.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(submit: Callable[[Item], Future[Answer]], items: Iterable[Item], ahead: int) -> Iterator[Answer]:
    """Start work on items, a bounded number of them ahead of what was taken, and give the answers in order.

    Whoever stops taking answers (and closes this iterator, or lets go of it) cancels what waits for its turn; what runs
    already ends by itself.

    Args:
        submit: Starts the work on one item, for example an executor's `submit` with the function filled in.
        items: Taken in the caller's thread, as answers are taken.
        ahead: How many items are begun at most whose answers have not been taken; at least 1.

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
    """Work on items in threads of its own, as `in_order`, two items a thread ahead.

    Args:
        work: Called with one item; several calls run at once.
        items: Any number.
        threads: None takes one a core.

    Yields:
        The answers, in the order of the items.
    """
    from concurrent.futures import ThreadPoolExecutor

    threads = usable_cores() if threads is None else threads
    with ThreadPoolExecutor(threads) as pool:
        yield from in_order(lambda item: pool.submit(work, item), items, 2 * threads)
