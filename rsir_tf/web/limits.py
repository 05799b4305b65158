"""How much one visitor may ask: a store that fills with time, and from which each request takes."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

PICTURE, REGIONS, QUESTION, WRONG_TOKEN = 1, 5, 20, 80
"""What a request takes: a picture or any small file; an image's regions, for which the model may be asked; a search, a
page or an upload; and a try with a wrong token."""

BURST = 60
"""Questions that a full store holds: enough for opening several pages at once with all their pictures."""

MOST_SOCKETS = 64
"""Open pages of one visitor at most."""

KEPT_VISITORS = 10_000


def cost(path: str) -> int:
    """What a request for a path takes."""
    if path == "/api/regions":
        return REGIONS
    # What there is not is answered with a page of its own.
    return PICTURE if path.startswith(("/api/thumbnail", "/api/picture", "/static/", "/_nicegui")) else QUESTION


def visitor(scope: Mapping[str, Any]) -> str:
    """Who sends a request: an address, or the network of 2^64 addresses that one visitor of IPv6 has.

    Args:
        scope: Of the request, as in the ASGI specification.
    """
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


class Limits:
    """What each visitor may still ask.

    Args:
        rate: Questions a second that one visitor may ask for long; 0 sets no limit.
        own_machine: Whether visitors from this machine are limited too. They all have one address.
        clock: Seconds, for tests.
    """

    def __init__(
        self, rate: float = 15.0, *, own_machine: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._own_machine, self._clock = rate * QUESTION, own_machine, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._sockets: dict[str, int] = {}

    def take(self, who: str, amount: int) -> float:
        """Take from a visitor's store.

        Args:
            who: From `visitor`.
            amount: What the request takes, see `cost`.

        Returns:
            0 if there was enough; otherwise the seconds after which there will be, and nothing is taken.
        """
        if self._is_free(who):
            return 0.0
        with self._lock:
            left = self._fill(who)
            if left < amount:
                return (amount - left) / self._rate
            self._left[who] = left - amount, self._clock()
            return 0.0

    def charge(self, who: str, amount: int) -> None:
        """Take from a visitor's store what may not be there: what comes next waits until there is enough again."""
        with self._lock:
            self._left[who] = self._fill(who) - amount, self._clock()

    def open_socket(self, who: str) -> bool:
        """Count a page that a visitor opens; False if there are too many, and then it is not counted."""
        with self._lock:
            if self._sockets.get(who, 0) >= MOST_SOCKETS and not self._is_free(who):
                return False
            self._sockets[who] = self._sockets.get(who, 0) + 1
            return True

    def close_socket(self, who: str) -> None:
        """A page that was counted is closed."""
        with self._lock:
            self._sockets[who] -= 1
            if not self._sockets[who]:
                del self._sockets[who]

    def _fill(self, who: str) -> float:
        """What a visitor's store holds by now; called under the lock."""
        now, full = self._clock(), float(BURST * QUESTION)
        left, before = self._left.pop(who, (full, now))
        left = min(left + (now - before) * self._rate, full)
        self._left[who] = left, now
        if len(self._left) > KEPT_VISITORS:
            self._left.popitem(last=False)
        return left

    def _is_free(self, who: str) -> bool:
        return not self._rate or (not self._own_machine and (who.startswith("127.") or who == "::/64"))
