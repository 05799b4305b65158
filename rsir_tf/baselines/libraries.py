"""Versions of the libraries that vectors come from: another version may decode, filter or cluster otherwise."""

from __future__ import annotations

from importlib.metadata import version

READING = ("numpy", "pillow", "rasterio")
"""What every descriptor comes from: Pillow decodes its images, and rasterio those that are TIFF."""


def library_versions(*names: str) -> dict[str, str]:
    """Versions of libraries, by name and in its order.

    Args:
        names: As packages are named, "opencv" for whichever of its packages is installed; `READING` is always there.
    """
    return {name: _version(name) for name in sorted({*READING, *names})}


def _version(name: str) -> str:
    if name == "opencv":
        import cv2

        return str(cv2.__version__)
    return version(name)
