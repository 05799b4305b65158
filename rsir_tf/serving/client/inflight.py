"""Tasks that run at the same time: sharing a bounded budget, one begun after another, or all for a limited time."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Budget:
    """A number of units that tasks share: each waits for its part and holds it while it runs.

    Args:
        most: The number of units.
    """

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, part: int) -> Iterator[None]:
        """Hold a part within the block; a part larger than the budget takes all of it, so that the task runs alone."""
        part = min(part, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= part)
            self._left -= part
        try:
            yield
        finally:
            with self._changed:
                self._left += part
                self._changed.notify_all()


def one_by_one(items: Iterable[Item]) -> Iterator[tuple[Item, threading.Event]]:
    """Give each item an event, and read the next one only when somebody has set it.

    Requests for large images come so: until one is sent, its images are in memory twice.
    """
    for item in items:
        sent = threading.Event()
        yield item, sent
        sent.wait()


def telling(request: bytes, sent: threading.Event) -> Iterator[bytes]:
    """A request as a stream of one message, which is the same on the wire: gRPC asks for the next when it is sent."""
    yield request
    sent.set()


def side_by_side(tasks: Sequence[Callable[[], object]], head_start: float, grace: float) -> dict[int, Exception | None]:
    """Run each task in a new thread, until all have ended, or until one has succeeded and the others take too long.

    Args:
        tasks: At least one; each must end by itself.
        head_start: Seconds between the start of the first task and that of the others, unless it ends sooner.
        grace: Seconds for the others after one has succeeded.

    Returns:
        Place of each task that has ended → its error, or None. The other tasks go on, but their results are ignored.
    """
    ended: queue.SimpleQueue[tuple[int, Exception | None]] = queue.SimpleQueue()
    found: dict[int, Exception | None] = {}

    def run(place: int) -> None:
        try:
            tasks[place]()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            ended.put((place, error))
        else:
            ended.put((place, None))

    def begin(places: range) -> None:
        for place in places:
            threading.Thread(target=run, args=(place,), name="rsir_tf_question", daemon=True).start()

    def hear(patience: float | None) -> bool:
        try:
            place, error = ended.get(timeout=patience)
        except queue.Empty:
            return False
        found[place] = error
        return True

    begin(range(1))
    if len(tasks) > 1:
        hear(head_start)
        begin(range(1, len(tasks)))
    end: float | None = None
    while len(found) < len(tasks):
        if end is None and None in found.values():
            end = time.monotonic() + grace
        if not hear(None if end is None else max(0.0, end - time.monotonic())):
            break
    return found
