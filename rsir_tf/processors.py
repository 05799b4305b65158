"""How many processor cores there are to work on."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may use, at least 1: a container or `taskset` may allow fewer than the machine has.

    Where the system does not say which are allowed (macOS, Windows), all of the machine's.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
