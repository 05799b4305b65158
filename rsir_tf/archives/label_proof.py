"""What an archive's masks mean: what was said, or what the data proves; nothing is guessed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rsir_tf.archives.label_files import SHIPPED, load_label_set
from rsir_tf.archives.labels import LabelSet, plain_name
from rsir_tf.archives.mask_values import describe_values, palette_of
from rsir_tf.archives.records import Archive
from rsir_tf.errors import InputError

LOOKED_AT = 20
"""Masks, evenly spread, whose palette is looked at, or that are read to say which values they hold."""


def with_label_set(archive: Archive, given: LabelSet | None, *, required: bool) -> Archive:
    """Give an archive with masks its label set.

    A label set is assumed for DLRSD alone, and only where the palette of most masks that are looked at holds its 17
    colours at its ids, or the archive's tags are its 17 names.

    Args:
        archive: From a reader, with tags where there are any.
        given: What the user named.
        required: Whether the masks must mean something: for training and checking, not for search.

    Raises:
        InputError: A label set was given and no image has a mask; or none was given and none is proven. The ids that
            some masks hold are named.
    """
    masks = [record.mask for record in archive if isinstance(record.mask, Path)] + list(archive.orphan_masks)
    if not masks:
        if given is not None:
            raise InputError(
                f"{archive.root}: a label set is given ({given.name}), but none of the image files ({len(archive)}) "
                "was recognised as a mask",
                wanted="masks",
                cure="say which files are masks with --images GLOB --masks GLOB, or leave --labels out",
            )
        return archive
    if given is not None:
        rest = f"; every value that it does not list counts as {given.names[-1]}" if given.rest else ""
        return _named(archive, given, f"it was given{rest}")
    dlrsd = load_label_set("dlrsd")
    palettes = [palette_of(mask) for mask in _some(masks)]
    proven = sum(palette is not None and _by_id(dlrsd).items() <= palette.items() for palette in palettes)
    if 2 * proven > len(palettes):
        return _named(archive, dlrsd, "the masks' palette has DLRSD's 17 colours at its ids")
    if {plain_name(name) for name in archive.tag_names} == {plain_name(name) for name in dlrsd.names}:
        return _named(archive, dlrsd, "the tags are DLRSD's 17 names")
    if not required:
        return archive
    raise InputError(
        f"{archive.root}: has masks ({masks[0].parent.relative_to(archive.root).as_posix()}), and nothing says what "
        f"their values mean; {_found(masks)}",
        wanted="a label set",
        cure=f"pass --labels FILE or the name of one that is shipped ({', '.join(SHIPPED)})",
    )


def _named(archive: Archive, label_set: LabelSet, proof: str) -> Archive:
    dlrsd = label_set.content_hash() == load_label_set("dlrsd").content_hash()
    return dataclasses.replace(
        archive, label_set=label_set, label_proof=proof, format="dlrsd" if dlrsd else archive.format
    )


def _by_id(label_set: LabelSet) -> dict[int, tuple[int, int, int]]:
    return dict(zip(label_set.ids or (), label_set.colours, strict=False))


def _some(masks: Sequence[Path]) -> Sequence[Path]:
    return masks[:: -(-len(masks) // LOOKED_AT)]


def _found(masks: Sequence[Path]) -> str:
    """The values that masks hold, read in some that lie evenly among all."""
    some = _some(masks)
    found = describe_values(some)
    return f"in {len(some)} of {len(masks)} masks there are {found}" if found else "none of them can be read"
