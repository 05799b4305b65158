"""How long work tells how far it is, the same for all of it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is to do in all, and a few words that say what is being done."""


def silent(done: int, total: int, words: str) -> None:
    """Tell nobody: the default where a caller does not ask how far the work is."""
