"""Which archive lies at a path."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from rsir_tf.archives.folder import read_folder, read_single
from rsir_tf.archives.label_files import as_label_set
from rsir_tf.archives.label_proof import with_label_set
from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.listing import LeftOut, Listing, list_images, refuse_empty
from rsir_tf.archives.mlrsnet import find_mlrsnet, read_mlrsnet_labels, with_mlrsnet_labels
from rsir_tf.archives.pairing import find_pairs, match_glob, pair_by_globs
from rsir_tf.archives.pairs import read_pairs
from rsir_tf.archives.records import Archive
from rsir_tf.archives.tags import find_tags, read_tags, with_tags
from rsir_tf.errors import InputError


def open_archive(
    path: str | os.PathLike[str],
    *,
    labels: LabelSet | str | os.PathLike[str] | None = None,
    tags: str | os.PathLike[str] | None = None,
    repair: bool = True,
    images: str | None = None,
    masks: str | None = None,
    need_labels: bool = True,
) -> Archive:
    """List an archive's images and what is known about them; nothing is decoded but what an error tells of masks.

    What lies at the path decides; `README.md` beside this file lists all that is understood:

    - Images and masks, told apart by the names of their folders or by their own (`find_pairs`), or by `images` and
      `masks`.
    - Any other folder: its images, the scene being the folder that an image lies in. With MLRSNet's CSVs in a folder
      `Labels` in it, or beside it where it is called `Images`, those give tags and scenes.
    - An image file: an archive of one, without tags.

    UC Merced's `LandUse_Multilabeled.txt` in a folder, or beside it where that is called `Images`, gives the tags.

    Args:
        path: A folder, or an image file.
        labels: What the masks' values mean: a label set, the name of a shipped one, or a label set file. DLRSD is known
            where its palette or its 17 names prove it.
        tags: A tags file to use instead of the one that would be found.
        repair: Mend the damage in MLRSNet's published CSVs; the archive's `repairs` say what was changed.
        images: Pattern of the images' paths below the folder, as `*/rgb/*.tif`; without `masks`, all are images.
        masks: Pattern of the masks' paths; needs `images`.
        need_labels: Whether masks whose meaning nothing tells are refused. Search needs no masks.

    Returns:
        The archive, in order of id, the same on every machine. It tells how the folder was understood, and what was
        left out.

    Raises:
        InputError: There is nothing at the path, no image, masks without a label set or a label set without masks, no
            single way to tell images and masks apart, or a label set, a tags file or MLRSNet's CSVs that are wrong.
    """
    root = Path(path)
    label_set = None if labels is None else as_label_set(labels)
    if masks is not None and images is None:
        raise InputError(f"--masks {masks}: is given without --images", wanted="both, or --images alone")
    if root.is_file():
        return with_label_set(read_single(root), label_set, required=False)
    if not root.is_dir():
        raise InputError(f"{root}: no such archive", wanted="a folder of images", cure="check the path")
    listing = list_images(root)
    if not listing.files:
        raise refuse_empty(root, listing)
    archive = _with_names(_read(root, listing, images, masks), tags, repair)
    return with_label_set(archive, label_set, required=need_labels)


def _read(root: Path, listing: Listing, images: str | None, masks: str | None) -> Archive:
    """The records of a folder, with masks where there are any."""
    pairing = find_pairs(listing.files) if images is None else pair_by_globs(listing.files, images, masks)
    if pairing is not None:
        archive = read_pairs(root, pairing)
    elif images is None:
        archive = read_folder(root, listing.files)
    else:
        chosen = match_glob(listing.files, images)
        others = (
            LeftOut(str(file), f"--images {images} does not match it") for file in listing.files if file not in chosen
        )
        archive = dataclasses.replace(read_folder(root, list(chosen)), left_out=tuple(others))
    return dataclasses.replace(archive, left_out=(*listing.left_out, *archive.left_out))


def _with_names(archive: Archive, tags: str | os.PathLike[str] | None, repair: bool) -> Archive:
    """Add tags and scenes from UC Merced's file or MLRSNet's."""
    tags_file = find_tags(archive.root) if tags is None else Path(tags)
    if tags_file is not None:
        return with_tags(archive, read_tags(tags_file))
    mlrsnet = find_mlrsnet(archive.root)
    return archive if mlrsnet is None else with_mlrsnet_labels(archive, read_mlrsnet_labels(mlrsnet, repair=repair))
