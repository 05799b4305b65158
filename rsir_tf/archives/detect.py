"""Which archive lies at a path."""

from __future__ import annotations

import os
from pathlib import Path

from rsir_tf.archives.folder import list_images, read_folder, read_single, refuse_empty
from rsir_tf.archives.label_files import as_label_set
from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.mlrsnet import find_mlrsnet, read_mlrsnet_labels, with_mlrsnet_labels
from rsir_tf.archives.pairs import find_pairs, read_pairs
from rsir_tf.archives.records import Archive
from rsir_tf.archives.tags import find_tags, read_tags, with_tags
from rsir_tf.errors import InputError


def open_archive(
    path: str | os.PathLike[str],
    *,
    labels: LabelSet | str | os.PathLike[str] | None = None,
    tags: str | os.PathLike[str] | None = None,
    repair: bool = True,
) -> Archive:
    """List an archive's images and what is known about them; no pixel is read.

    What lies at the path decides:

    - `Images/<class>/…` beside `Labels/<class>/…`: DLRSD.
    - A folder of images beside a folder of masks (`images`, `masks` or `labels`, in any case), at any depth: images and
      masks, the folder above being the group.
    - Any other folder: its images, the scene being the folder that an image lies in. With MLRSNet's CSVs in a folder
      `Labels` in it, or beside it where it is called `Images`, those give tags and scenes.
    - An image file: an archive of one, without tags.

    UC Merced's `LandUse_Multilabeled.txt` in a folder, or beside it where that is called `Images`, gives the tags.

    Args:
        path: A folder, or an image file.
        labels: What the masks' values mean: a label set, the name of a shipped one, or a label set file; DLRSD has its
            own.
        tags: A tags file to use instead of the one that would be found.
        repair: Mend the damage in MLRSNet's published CSVs; the archive's `repairs` say what was changed.

    Returns:
        The archive, in order of id, the same on every machine.

    Raises:
        InputError: There is nothing at the path, no image, masks without a label set, or a label set, a tags file or
            MLRSNet's CSVs that are wrong.
    """
    root = Path(path)
    label_set = None if labels is None else as_label_set(labels)
    if root.is_file():
        return read_single(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such archive", wanted="a folder of images", cure="check the path")
    files = list_images(root)
    if not files:
        raise refuse_empty(root)
    pairs = find_pairs(files)
    archive = read_pairs(root, files, pairs, label_set) if pairs else read_folder(root, files)
    tags_file = find_tags(root) if tags is None else Path(tags)
    if tags_file is not None:
        return with_tags(archive, read_tags(tags_file))
    mlrsnet = find_mlrsnet(root)
    return archive if mlrsnet is None else with_mlrsnet_labels(archive, read_mlrsnet_labels(mlrsnet, repair=repair))
