"""How long work reports its progress; the same type everywhere."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the number of finished steps, the total number, and a few words about the work."""


def silent(done: int, total: int, words: str) -> None:
    """Report nothing; the default."""
