"""Versions of the libraries that vectors depend on: another version may decode, filter or cluster differently."""

from __future__ import annotations

from importlib.metadata import version

READING = ("numpy", "pillow", "rasterio")
"""The libraries that every descriptor depends on: Pillow decodes its images, and rasterio those that are TIFF."""


def library_versions(*names: str) -> dict[str, str]:
    """Versions of libraries, sorted by name.

    Args:
        names: Package names; "opencv" stands for the OpenCV package that is installed. `READING` is always included.
    """
    return {name: _version(name) for name in sorted({*READING, *names})}


def _version(name: str) -> str:
    if name == "opencv":
        import cv2

        return str(cv2.__version__)
    return version(name)
