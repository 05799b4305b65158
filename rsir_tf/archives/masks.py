"""Mask files to class indices, and back."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import MAX_ID, VOID, LabelSet
from rsir_tf.archives.mask_values import kind_of, pack, pack_colour, spell_code, stretched, whole_numbers
from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import InputError
from rsir_tf.rasters import Stored, open_stored

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MaskSizeError(InputError):
    """A mask that is not as large as its image."""


class MaskOrientationError(InputError):
    """A mask whose orientation tag is not its image's."""


class MaskValueError(InputError):
    """A mask that holds an id or a colour that is not in the label set."""


def read_mask(
    path: str | os.PathLike[str],
    label_set: LabelSet,
    shape: tuple[int, int] | None = None,
    *,
    orientation: int | None = None,
) -> NDArray[np.uint8]:
    """Read a mask as class indices. Nothing is guessed from what a mask happens to hold.

    - One band of numbers: ids where the label set has ids, otherwise grey colours.
    - A palette: ids where the label set has ids alone, colours where it has colours alone. Where it has both, they must
      agree, for programs that make files smaller put palettes in another order.
    - RGB, or RGBA that is nowhere transparent: colours; or ids, where the label set has ids alone and the three bands
      are equal.

    Args:
        path: A PNG, TIFF or BMP file. Its pixels are taken as they are stored.
        label_set: What its values mean.
        shape: (height, width) that it must have: its image's.
        orientation: The orientation tag that it must have: its image's, 1 where that has none. No tag is applied, so
            that an image and a mask of different tags may lie turned on each other.

    Returns:
        uint8 [H, W]: 0..K-1, or `VOID` (255) where the label set says to ignore.

    Raises:
        MaskSizeError: It has another size than `shape`; both are named.
        MaskOrientationError: It has another orientation tag.
        MaskValueError: A value or colour is not in the label set; the first, its place and how often it occurs are
            named. Or ids and palette contradict each other; both are named.
        InputError: The file cannot be read, or its kind (two bands, CMYK, fractions, …) is none of the above.
    """
    where = os.fspath(path)
    with open_stored(path) as stored:
        if shape is not None and stored.shape != tuple(shape):
            raise _other_size(where, stored.shape, shape)
        if orientation is not None and stored.orientation != orientation:
            raise MaskOrientationError(
                f"{where}: the mask has the orientation tag {stored.orientation}, its image has {orientation}",
                wanted="the same for both: pixels are taken as they are stored",
                cure="turn the pixels as the tag says, and save them without it",
            )
        return classes_of(where, stored, label_set)


def classes_of(where: str, stored: Stored, label_set: LabelSet) -> NDArray[np.uint8]:
    """Give the values of an opened mask, or of a part of one, as `read_mask` does.

    Args:
        where: Its name, for errors.
        stored: The mask, opened.
        label_set: What its values mean.

    Raises:
        InputError: As `read_mask`, but for its size and orientation.
    """
    if kind := kind_of(stored):
        raise InputError(
            f"{where}: the mask {kind}",
            wanted="one band of whole numbers, a palette, RGB or opaque RGBA of 8 bits",
            cure="save its classes as one band",
        )
    values = stored.decode()
    if stored.bands > 1:
        return _from_bands(where, values, label_set)
    if stored.palette is not None and (label_set.ids is None or label_set.has_own_colours):
        return _from_palette(where, values, stored.palette, label_set)
    if label_set.ids is None:
        return _from_grey(where, values, stored, label_set)
    return _from_ids(where, whole_numbers(values, where), label_set, stored.nodata)


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
    ids = label_set.ids if label_set.ids is not None else tuple(range(len(label_set.listed)))
    if label_set.rest:
        taken = {*ids, *label_set.ignore_ids, VOID}
        ids = (*ids, next(number for number in range(MAX_ID) if number not in taken))
    voids = [number for number in label_set.ignore_ids if label_set.ids is not None and 0 <= number <= VOID]
    void_id = voids[0] if voids else VOID
    if max(*ids, void_id) > 255:
        raise InputError(
            f"label set {label_set.name}: has the id {max(*ids, void_id)}", wanted="at most 255 in a palette"
        )
    writable = np.zeros(256, dtype=bool)
    writable[: len(ids)] = True
    writable[VOID] |= bool(label_set.ignore_colours if label_set.ids is None else voids)
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


def _other_size(where: str, found: tuple[int, int], wanted: tuple[int, int]) -> MaskSizeError:
    turned = found == (wanted[1], wanted[0])
    return MaskSizeError(
        f"{where}: the mask is {found[1]}×{found[0]} pixels",
        wanted=f"{wanted[1]}×{wanted[0]}, as its image",
        cure="turn one of them by a quarter: pixels are taken as they are stored, and an orientation tag turns nothing"
        if turned
        else "scale it with nearest neighbour, or remove the pair",
    )


def _from_ids(
    where: str, values: NDArray[np.integer[Any]], label_set: LabelSet, nodata: float | None = None
) -> NDArray[np.uint8]:
    if values.dtype.itemsize <= 2:
        classes: NDArray[np.uint8] = _id_table(label_set)[values]
    else:
        ids = np.array(label_set.ids, np.int64)
        order = np.argsort(ids)
        at = np.minimum(np.searchsorted(ids, values, sorter=order), len(ids) - 1)
        classes = np.where(ids[order][at] == values, order[at], label_set.otherwise).astype(np.uint8)
        classes[np.isin(values, label_set.ignore_ids)] = VOID
    if label_set.rest and nodata is not None and nodata not in (*(label_set.ids or ()), *label_set.ignore_ids):
        # Whether nothing is known there, or the class is known not to be there, the file does not say.
        classes[values == nodata] = VOID
    _refuse_unknown(where, label_set, values, classes, label_set.ignore_ids, lambda code: f"id {code}", nodata)
    return classes


def _from_bands(where: str, pixels: NDArray[Any], label_set: LabelSet) -> NDArray[np.uint8]:
    if pixels.shape[2] == 4 and (pixels[..., 3] != 255).any():
        raise InputError(
            f"{where}: the mask is transparent in {np.count_nonzero(pixels[..., 3] != 255)} pixels",
            wanted="a class for every pixel",
            cure="give them a colour that the label set has or ignores",
        )
    if label_set.rest and label_set.has_own_colours and Path(where).suffix.lower() in {".jpg", ".jpeg"}:
        raise MaskValueError(
            f"{where}: the mask is a JPEG file, which changes colours, and {label_set.names[-1]} would take those",
            wanted="PNG or TIFF",
            cure="save masks as PNG, from what they were before",
        )
    if not label_set.has_own_colours:
        if (pixels[..., :1] == pixels[..., 1:3]).all():
            return _from_ids(where, pixels[..., 0], label_set)
        raise MaskValueError(
            f"{where}: the mask is a picture of colours (RGB), and label set {label_set.name} has ids alone",
            wanted="one band of ids, or three equal ones",
            cure="add the classes' colours to the label set",
        )
    return _from_codes(where, pack(pixels), label_set)


def _from_grey(where: str, values: NDArray[Any], stored: Stored, label_set: LabelSet) -> NDArray[np.uint8]:
    if values.dtype != np.uint8:
        raise InputError(
            f"{where}: the mask has {stored.bits} bits a sample ({values.dtype}), and label set {label_set.name} has "
            "colours alone",
            wanted="grey of 8 bits, a palette or RGB",
            cure="add the classes' ids to the label set",
        )
    shown = stretched(values, stored.bits)
    return _from_codes(where, (255 - shown if stored.white_is_zero else shown).astype(np.intp) * 0x010101, label_set)


def _from_codes(where: str, codes: NDArray[np.intp], label_set: LabelSet) -> NDArray[np.uint8]:
    classes: NDArray[np.uint8] = np.take(_colour_table(label_set), codes, mode="clip")
    _refuse_unknown(where, label_set, codes, classes, _ignored_codes(label_set), _spell_found)
    return classes


def _from_palette(
    where: str, indices: NDArray[np.uint8], palette: NDArray[np.uint8], label_set: LabelSet
) -> NDArray[np.uint8]:
    # An index beyond the palette has no colour: 1 << 24 stands for it.
    codes = np.full(256, 1 << 24, dtype=np.intp)
    codes[: len(palette)] = pack(palette[:256])
    by_colour = np.take(_colour_table(label_set), codes, mode="clip")
    by_colour[codes == 1 << 24] = VOID
    colour_known = (by_colour != VOID) | np.isin(codes, _ignored_codes(label_set))
    if label_set.ids is not None:
        used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
        _refuse_contradiction(where, used, codes, by_colour, colour_known, label_set)
        return _from_ids(where, indices, label_set)
    classes: NDArray[np.uint8] = by_colour[indices]
    if not colour_known[indices].all():
        _refuse_unknown(where, label_set, codes[indices], classes, _ignored_codes(label_set), _spell_found)
    return classes


def _refuse_contradiction(
    where: str,
    used: NDArray[np.intp],
    codes: NDArray[np.intp],
    by_colour: NDArray[np.uint8],
    colour_known: NDArray[np.bool_],
    label_set: LabelSet,
) -> None:
    """Raise where a palette's colour says another class than its index. A palette of other colours says nothing."""
    if (codes[used] == used * 0x010101).all() or (len(used) > 1 and len(set(codes[used])) == 1):
        return  # A ramp of grey, or one colour for all: no colours of classes.
    by_id = _id_table(label_set)
    for index in used:
        listed = not label_set.rest or by_colour[index] != label_set.otherwise
        if listed and colour_known[index] and by_colour[index] != by_id[index]:
            known = by_id[index] != VOID or index in label_set.ignore_ids
            said = _class_name(label_set, by_id[index]) if known else "none of its ids"
            raise MaskValueError(
                f"{where}: ids and palette contradict each other: {index} is {said} in label set {label_set.name}, and "
                f"the palette gives it {spell_code(int(codes[index]))}, the colour of "
                f"{_class_name(label_set, by_colour[index])}",
                wanted="ids and palette that say the same",
                cure="take the `id` entries out of the label set if the colours are right, or its `colour` entries if "
                "the ids are",
            )


def _class_name(label_set: LabelSet, index: int) -> str:
    return "void" if index == VOID else label_set.names[index]


def _spell_found(code: int) -> str:
    return "colour beyond its palette" if code >= 1 << 24 else f"colour {spell_code(code)}"


def _ignored_codes(label_set: LabelSet) -> list[int]:
    return [pack_colour(colour) for colour in label_set.ignore_colours]


@functools.lru_cache(maxsize=4)
def _id_table(label_set: LabelSet) -> NDArray[np.uint8]:
    table = np.full(MAX_ID + 2, label_set.otherwise, dtype=np.uint8)
    table[list(label_set.ids or ())] = np.arange(len(label_set.listed))
    table[[number for number in label_set.ignore_ids if 0 <= number <= MAX_ID]] = VOID
    return table


@functools.lru_cache(maxsize=2)
def _colour_table(label_set: LabelSet) -> NDArray[np.uint8]:
    """Class index of every 24-bit colour: 16 MB, of which a mask touches a few bytes."""
    table = np.full(1 << 24, label_set.otherwise, dtype=np.uint8)
    for index, colour in enumerate(label_set.colours[: len(label_set.listed)]):
        table[pack_colour(colour)] = index
    table[_ignored_codes(label_set)] = VOID
    return table


def _refuse_unknown(
    where: str,
    label_set: LabelSet,
    codes: NDArray[np.integer[Any]],
    classes: NDArray[np.uint8],
    ignored: list[int] | tuple[int, ...],
    spell: Callable[[int], str],
    nodata: float | None = None,
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
    cure = "correct the mask, or add the value to the label set, as a class or to be ignored"
    if Path(where).suffix.lower() in {".jpg", ".jpeg"}:
        cure = "JPEG changes colours: save masks as PNG"
    elif nodata is not None and found[0] == nodata:
        cure = f"the file declares {nodata:g} to be no data: add it to the label set's ignore_ids, or as a class"
    raise MaskValueError(
        f"{where}: has the {spell(int(found[0]))} in {count} pixels, first at row {row}, column {column}{more}",
        wanted=f"what label set {label_set.name} names",
        cure=cure,
    )
