"""Mask files to class indices, and back."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import MAX_ID, VOID, Colour, LabelSet, spell_colour
from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import InputError
from rsir_tf.rasters import decode, open_picture, stored_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


class MaskSizeError(InputError):
    """A mask that is not as large as its image."""


class MaskValueError(InputError):
    """A mask that holds an id or a colour that is not in the label set."""


def read_mask(
    path: str | os.PathLike[str], label_set: LabelSet, shape: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Read a mask as class indices.

    A palette mask is read by its indices where the label set has ids, otherwise by its palette's colours; a grey mask
    by its values as ids, otherwise as grey colours; an RGB mask, or an RGBA mask that is nowhere transparent, by
    colour. Nothing is guessed from what a mask happens to hold.

    Args:
        path: A PNG, TIFF or BMP file.
        label_set: What its values mean.
        shape: (height, width) that it must have: its image's.

    Returns:
        uint8 [H, W]: 0..K-1, or `VOID` (255) where the label set says to ignore.

    Raises:
        MaskSizeError: It has another size than `shape`; both are named.
        MaskValueError: A value or colour is not in the label set; the first, its place and how often it occurs are
            named.
        InputError: The file cannot be read, or its kind (float, CMYK, transparent, …) is none of the above.
    """
    with open_picture(path) as picture:
        if shape is not None and (picture.height, picture.width) != tuple(shape):
            raise MaskSizeError(
                f"{os.fspath(path)}: the mask is {picture.width}×{picture.height} pixels",
                wanted=f"{shape[1]}×{shape[0]}, as its image",
                cure="scale it with nearest neighbour, or remove the pair",
            )
        by_colour = picture.mode in {"RGB", "RGBA"} or label_set.ids is None
        if by_colour and picture.mode == "P":
            return _from_palette(picture, path, label_set)
        if by_colour:
            return _from_colours(picture, path, label_set)
        return _from_ids(picture, path, label_set)


def write_mask(path: str | os.PathLike[str], classes: NDArray[np.uint8], label_set: LabelSet) -> None:
    """Write class indices as a palette PNG with the label set's ids (or class indices, if it has none) and colours.

    `read_mask` gives the same array back. The file is written in place: whoever writes a whole archive puts it aside
    and renames it once.

    Args:
        path: The file, replaced if it exists; its folder must exist.
        classes: uint8 [H, W]: 0..K-1 or `VOID`.
        label_set: What they mean.

    Raises:
        InputError: The array is of another kind, holds an index that the label set lacks, or needs an id over 255.
        ArtifactError: The disk is full or read-only.
    """
    from PIL import Image

    if classes.dtype != np.uint8 or classes.ndim != 2:
        raise InputError(f"mask: is {classes.dtype} {list(classes.shape)}", wanted="uint8 [H, W]")
    ids = label_set.ids if label_set.ids is not None else tuple(range(len(label_set.names)))
    void_id = label_set.ignore_ids[0] if label_set.ids is not None and label_set.ignore_ids else VOID
    if max(*ids, void_id) > 255:
        raise InputError(
            f"label set {label_set.name}: has the id {max(*ids, void_id)}", wanted="at most 255 in a palette"
        )
    writable = np.zeros(256, dtype=bool)
    writable[: len(ids)] = True
    writable[VOID] |= bool(label_set.ignore_colours if label_set.ids is None else label_set.ignore_ids)
    counts = np.bincount(classes.ravel(), minlength=256)
    refused = np.flatnonzero((counts > 0) & ~writable)
    if refused.size:
        raise InputError(
            f"mask: holds the class index {refused[0]} ({counts[refused[0]]} pixels)",
            wanted=f"0 to {len(ids) - 1}"
            + (f", or {VOID} for void" if writable[VOID] else "; void has no id to be written as"),
        )
    values = np.zeros(256, dtype=np.uint8)
    palette = np.zeros((256, 3), dtype=np.uint8)
    values[VOID] = void_id
    palette[void_id] = label_set.ignore_colours[0] if label_set.ignore_colours else (0, 0, 0)
    values[: len(ids)] = ids
    palette[list(ids)] = label_set.colours
    picture = Image.fromarray(values[classes])
    picture.putpalette(palette.tobytes())
    with disk_errors(Path(path)):
        picture.save(path, format="PNG")


def _from_ids(picture: Image.Image, path: str | os.PathLike[str], label_set: LabelSet) -> NDArray[np.uint8]:
    values = _grey_values(picture, path)
    # Signed and 32-bit files may hold values beyond the table; 65,536 is one that no label set has.
    if values.dtype.itemsize > 2 or values.dtype.kind == "i":
        values = np.where((values < 0) | (values > MAX_ID), MAX_ID + 1, values)
    classes: NDArray[np.uint8] = _id_table(label_set)[values]
    _refuse_unknown(path, label_set, values, classes, label_set.ignore_ids, lambda code: f"id {code}")
    return classes


def _from_palette(picture: Image.Image, path: str | os.PathLike[str], label_set: LabelSet) -> NDArray[np.uint8]:
    indices = decode(picture, path)
    entries = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    # An index beyond the palette has no colour: 1 << 24 stands for it.
    codes = np.full(256, 1 << 24, dtype=np.intp)
    codes[: len(entries)] = _packed(entries)
    classes = np.take(_colour_table(label_set), codes, mode="clip")
    classes[len(entries) :] = VOID
    ignored = [_packed_colour(colour) for colour in label_set.ignore_colours]
    result: NDArray[np.uint8] = classes[indices]
    unknown = (classes == VOID) & ~np.isin(codes, ignored)
    if unknown[indices].any():
        _refuse_unknown(path, label_set, codes[indices], result, ignored, _spell_code)
    return result


def _from_colours(picture: Image.Image, path: str | os.PathLike[str], label_set: LabelSet) -> NDArray[np.uint8]:
    if picture.mode in {"RGB", "RGBA"} and stored_bits(picture) == 8:
        pixels: NDArray[Any] = decode(picture, path)
        if picture.mode == "RGBA" and (pixels[..., 3] != 255).any():
            raise InputError(
                f"{os.fspath(path)}: the mask is transparent in {np.count_nonzero(pixels[..., 3] != 255)} pixels",
                wanted="a class for every pixel",
                cure="give them a colour that the label set has or ignores",
            )
        codes = _packed(pixels)
    else:
        grey = _grey_values(picture, path, stretch=True)
        if grey.dtype != np.uint8:
            raise _wrong_kind(picture, path)
        codes = grey.astype(np.intp) * 0x010101
    classes: NDArray[np.uint8] = np.take(_colour_table(label_set), codes, mode="clip")
    ignored = [_packed_colour(colour) for colour in label_set.ignore_colours]
    _refuse_unknown(path, label_set, codes, classes, ignored, _spell_code)
    return classes


def _grey_values(
    picture: Image.Image, path: str | os.PathLike[str], *, stretch: bool = False
) -> NDArray[np.integer[Any]]:
    """Decode one band of whole numbers as the file stores them; with `stretch`, 1 to 4 bits as grey levels 0..255."""
    if picture.mode not in {"P", "L", "1", "I", "I;16", "I;16B", "I;16L"}:
        raise _wrong_kind(picture, path)
    bits = stored_bits(picture)
    values: NDArray[Any] = decode(picture, path)
    if picture.mode == "1":
        values = values.astype(np.uint8) * np.uint8(255 if stretch else 1)
    elif picture.mode == "L" and bits in {2, 4} and not stretch:
        # Pillow stretches grey of 2 and 4 bits to 0..255, which turns id 1 into 85 or 17.
        values = values // np.uint8(255 // (2**bits - 1))
    return values


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Pack RGB into one number: [..., 3 or 4] to [...], 0xRRGGBB."""
    codes = colours[..., 0].astype(np.intp)
    for band in (1, 2):
        codes <<= 8
        codes |= colours[..., band]
    return codes


def _packed_colour(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _spell_code(code: int) -> str:
    if code >= 1 << 24:
        return "colour beyond its palette"
    return "colour " + spell_colour((code >> 16, code >> 8 & 255, code & 255))


@functools.lru_cache(maxsize=4)
def _id_table(label_set: LabelSet) -> NDArray[np.uint8]:
    table = np.full(MAX_ID + 2, VOID, dtype=np.uint8)
    table[list(label_set.ids or ())] = np.arange(len(label_set.names))
    return table


@functools.lru_cache(maxsize=2)
def _colour_table(label_set: LabelSet) -> NDArray[np.uint8]:
    """Class index of every 24-bit colour: 16 MB, of which a mask touches a few bytes."""
    table = np.full(1 << 24, VOID, dtype=np.uint8)
    for index, colour in enumerate(label_set.colours):
        table[_packed_colour(colour)] = index
    return table


def _refuse_unknown(
    path: str | os.PathLike[str],
    label_set: LabelSet,
    codes: NDArray[np.integer[Any]],
    classes: NDArray[np.uint8],
    ignored: list[int] | tuple[int, ...],
    spell: Callable[[int], str],
) -> None:
    """Raise where a pixel became void without the label set saying so."""
    void = np.flatnonzero(classes == VOID)
    unknown = void[~np.isin(codes.ravel()[void], ignored)]
    if unknown.size == 0:
        return
    found = codes.ravel()[unknown]
    count = int(np.count_nonzero(found == found[0]))
    others = len(np.unique(found)) - 1
    row, column = divmod(int(unknown[0]), classes.shape[1])
    more = f", and {others} more that are unknown" if others else ""
    kind = "JPEG changes colours: save masks as PNG" if Path(path).suffix.lower() in {".jpg", ".jpeg"} else None
    raise MaskValueError(
        f"{os.fspath(path)}: has the {spell(int(found[0]))} in {count} pixels, "
        f"first at row {row}, column {column}{more}",
        wanted=f"what label set {label_set.name} names",
        cure=kind or "correct the mask, or add the value to the label set, as a class or to be ignored",
    )


def _wrong_kind(picture: Image.Image, path: str | os.PathLike[str]) -> InputError:
    return InputError(
        f"{os.fspath(path)}: the mask has mode {picture.mode} and {stored_bits(picture)} bits a sample",
        wanted="palette or grey, or RGB or opaque RGBA of 8 bits",
    )
