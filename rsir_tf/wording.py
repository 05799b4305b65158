"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, one: str, several: str | None = None) -> str:
    """Say how many there are: "1 window is left out", "1,204 windows are left out".

    Args:
        count: How many.
        one: What follows 1.
        several: What follows any other number; None is `one` with an s.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
