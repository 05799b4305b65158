"""How many processor cores there are to work on, and work that is spread over them."""

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


def in_threads(
    work: Callable[[Item], Answer], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Answer]:
    """Work on items in several threads, a few items ahead of what was taken.

    Args:
        work: Called with one item; several calls run at once.
        items: Any number.
        threads: None takes one a core.

    Yields:
        The answers, in the order of the items.
    """
    from concurrent.futures import ThreadPoolExecutor

    threads = usable_cores() if threads is None else threads
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
