"""Which archive lies at a path."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from rsir_tf.archives.folder import read_folder, read_single
from rsir_tf.archives.label_files import as_label_set
from rsir_tf.archives.label_polygons import LabelPolygons, with_label_polygons
from rsir_tf.archives.label_proof import with_label_set
from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.listing import SCENE_SUFFIXES, LeftOut, Listing, list_images, refuse_empty
from rsir_tf.archives.mlrsnet import find_mlrsnet, read_mlrsnet_labels, with_mlrsnet_labels
from rsir_tf.archives.pairing import find_pairs, match_glob, pair_by_globs
from rsir_tf.archives.pairs import read_pairs
from rsir_tf.archives.polygon_files import PolygonOptions
from rsir_tf.archives.records import Archive
from rsir_tf.archives.scene_lists import as_named, read_list, read_url
from rsir_tf.archives.scenes import read_by
from rsir_tf.archives.tags import find_tags, read_tags, with_tags
from rsir_tf.errors import InputError
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import IMAGE_SUFFIXES, Reading, is_url, path_of


def open_archive(
    path: str | os.PathLike[str],
    *,
    labels: LabelSet | str | os.PathLike[str] | None = None,
    tags: str | os.PathLike[str] | None = None,
    repair: bool = True,
    images: str | None = None,
    masks: str | None = None,
    need_labels: bool = True,
    reading: Reading | None = None,
    strict: bool = False,
    polygons: PolygonOptions | None = None,
    progress: Progress = silent,
) -> Archive:
    """List an archive's images and what is known about them; nothing is decoded but what an error tells of masks.

    What lies at the path decides; `README.md` beside this file lists all that is understood:

    - Images and masks, told apart by the names of their folders or by their own (`find_pairs`), or by `images` and
      `masks`.
    - Any other folder: its images, the scene being the folder that an image lies in. With MLRSNet's CSVs in a folder
      `Labels` in it, or beside it where it is called `Images`, those give tags and scenes.
    - An image file, or the URL of one (`https://`, `http://`, `s3://`): an archive of one, without tags.
    - `@FILE`: the scenes that a text file lists, a path or URL in each line.

    UC Merced's `LandUse_Multilabeled.txt` in a folder, or beside it where that is called `Images`, gives the tags.

    With a `reading` that has a tiling, each file is a scene: its windows are the images, and it is their group. With a
    recipe alone, each file is one image that the recipe reads.

    Args:
        path: A folder, an image file, a URL, or `@FILE`.
        labels: What the masks' values mean: a label set, the name of a shipped one, or a label set file. DLRSD is known
            where its palette or its 17 names prove it.
        tags: A tags file to use instead of the one that would be found.
        repair: Mend the damage in MLRSNet's published CSVs; the archive's `repairs` say what was changed.
        images: Pattern of the images' paths below the folder, as `*/rgb/*.tif`; without `masks`, all are images.
        masks: Pattern of the masks' paths; needs `images`.
        polygons: Files of polygons that give the masks. Without `labels`, their classes make the label set.
        need_labels: Whether masks whose meaning nothing tells are refused. Search needs no masks.
        reading: How files become images; None takes each for an ordinary picture.
        strict: With a `reading`: whether a file that cannot be read like this is refused. Otherwise it is left out.
        progress: With a `reading`: called after the header of each file is read.

    Returns:
        The archive, in order of id, the same on every machine. It tells how the folder was understood, and what was
        left out.

    Raises:
        InputError: There is nothing at the path, no image, no file that can be read by `reading`, masks without a label
            set or a label set without masks, no single way to tell images and masks apart, or a label set, a tags file
            or MLRSNet's CSVs that are wrong.
    """
    label_set = None if labels is None else as_label_set(labels)
    if masks is not None and images is None:
        raise InputError(f"--masks {masks}: is given without --images", wanted="both, or --images alone")
    reading = reading or Reading()
    if reading.tiling is not None and tags is not None:
        raise InputError(
            f"--tags {tags}: tells of whole images", wanted="images that are not cut", cure="leave --tile out"
        )
    archive = _whole_files(as_named(path), images, masks, scenes=reading != Reading())
    if reading.tiling is None and Path(path).is_dir():
        archive = _with_names(archive, tags, repair)
    if polygons is None:
        archive = with_label_set(archive, label_set, required=need_labels)
    if reading != Reading():
        archive = read_by(archive, reading, strict=strict, progress=progress)
    return archive if polygons is None else with_label_polygons(archive, LabelPolygons.read(polygons, label_set))


def files_of(path: str | os.PathLike[str], *, images: str | None = None, masks: str | None = None) -> list[str]:
    """List the files and URLs that `open_archive` makes images of where a reading is given; masks are none of them.

    Args:
        path: As for `open_archive`.
        images: As for `open_archive`.
        masks: As for `open_archive`.

    Raises:
        InputError: As `open_archive`, so far as names show it.
    """
    records = _whole_files(as_named(path), images, masks, scenes=True).records
    return [path_of(record.source.address) or "" for record in records]


def _whole_files(path: str, images: str | None, masks: str | None, *, scenes: bool) -> Archive:
    """What lies at a path, by names alone: a record for each file."""
    if is_url(path):
        return read_url(path)
    if path.startswith("@") and not Path(path).exists():
        return read_list(Path(path[1:]))
    root = Path(path)
    if root.is_file():
        return read_single(root, any_ending=scenes)
    if not root.is_dir():
        raise InputError(f"{root}: no such archive", wanted="a folder of images", cure="check the path")
    suffixes = SCENE_SUFFIXES if scenes else IMAGE_SUFFIXES
    listing = list_images(root, suffixes)
    if not listing.files:
        raise refuse_empty(root, listing, suffixes)
    return _read(root, listing, images, masks)


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
