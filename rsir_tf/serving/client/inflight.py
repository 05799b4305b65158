"""Tasks at work together: sharing a bounded number of something, or all of them while there is time."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence


class Budget:
    """A number of something that tasks share: each has a part of it while it is at work, and waits until there is one.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, part: int) -> Iterator[None]:
        """Have a part within the block; what is larger than the whole takes all of it, and so is at work alone."""
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


def side_by_side(tasks: Sequence[Callable[[], object]], head_start: float, grace: float) -> dict[int, Exception | None]:
    """Run tasks in threads of their own, until all have ended or one has succeeded and the others took too long.

    Args:
        tasks: At least one; each must end by itself.
        head_start: Seconds that the first one has before the others are started, unless it ends sooner.
        grace: Seconds that the others have once one has succeeded.

    Returns:
        By place, of each task that has ended: what it raised, or None. The others go on, and nobody hears of them.
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
