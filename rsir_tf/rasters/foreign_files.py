"""What a file is by its first bytes: the formats that are read, and the names of those that are not."""

from __future__ import annotations

FIRST_BYTES = 64
"""Enough to tell any of them."""

_READ = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"BM": "BMP",
}

_CONVERT = "convert it to PNG or TIFF"
_UNPACK = "unpack it"
_SCENE = "read it as a scene, with --tile 256 or with --bands 1 2 3, or convert it, for example with gdal_translate"

_FOREIGN = {
    b"GIF87a": ("a GIF", _CONVERT),
    b"GIF89a": ("a GIF", _CONVERT),
    b"\0\0\0\x0cjP  ": ("a JPEG 2000 file", _SCENE),
    b"\xff\x4f\xff\x51": ("a JPEG 2000 codestream", _SCENE),
    b"\0\0\0\x0cJXL ": ("a JPEG XL file", _CONVERT),
    b"8BPS": ("a Photoshop file", _CONVERT),
    b"%PDF": ("a PDF", "export its picture"),
    b"%!PS": ("a PostScript file", _CONVERT),
    b"P5": ("a PGM file", _CONVERT),
    b"P6": ("a PPM file", _CONVERT),
    b"\x93NUMPY": ("a NumPy array", "save it as PNG or TIFF"),
    b"\x89HDF": ("an HDF5 or NetCDF file", _CONVERT),
    b"CDF": ("a NetCDF file", _CONVERT),
    b"EHFA_HEADER_TAG": ("an ERDAS Imagine file", _SCENE),
    b"PK\x03\x04": ("a ZIP archive", _UNPACK),
    b"\x1f\x8b": ("a gzip file", _UNPACK),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "run `git lfs pull` where it was cloned"),
    b"<VRTDataset": ("a GDAL virtual raster (VRT)", _SCENE),
    b"<!DOCTYPE": ("a web page", "download the picture itself"),
    b"<!doctype": ("a web page", "download the picture itself"),
    b"<html": ("a web page", "download the picture itself"),
    b"<svg": ("an SVG drawing", _CONVERT),
}


def name_format(first: bytes) -> str | tuple[str, str] | None:
    """Name a file's format by its first bytes.

    Args:
        first: At least 64 of them, fewer where the file is shorter.

    Returns:
        "TIFF", "JPEG", "PNG", "BMP" or "WebP"; for others the words for it and what to do; None where it is not known.
    """
    for signature, read in _READ.items():
        if first.startswith(signature):
            return read
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "WebP"
    if first[4:8] == b"ftyp":
        return ("an AVIF picture", _CONVERT) if b"avif" in first[8:32] else ("a HEIC picture or a film", _CONVERT)
    for signature, foreign in _FOREIGN.items():
        if first.startswith(signature):
            return foreign
    return None
