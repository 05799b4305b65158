"""A bounded number of tasks at work, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(tasks: Iterable[Task], submit: Callable[[Task], Future[Sequence[Result]]], limit: int) -> Iterator[Result]:
    """Run tasks and yield what they give, in the tasks' order.

    Args:
        tasks: Pulled as needed, never more than `limit` ahead of what has been yielded.
        submit: Starts one.
        limit: The most that are started and not yet yielded.

    Yields:
        The items of each task's result.

    Raises:
        Exception: What `tasks` or a task raised, after the results of all tasks before it.
    """
    source = iter(tasks)
    pending: deque[Future[Sequence[Result]]] = deque()
    failure: Exception | None = None
    ended = False
    try:
        while True:
            while not ended and len(pending) < limit:
                try:
                    pending.append(submit(next(source)))
                except StopIteration:  # noqa: PERF203 - each task may fail
                    ended = True
                except Exception as error:  # noqa: BLE001 - raised below, after what was begun before it
                    failure, ended = error, True
            if not pending:
                break
            yield from pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
    if failure is not None:
        raise failure
