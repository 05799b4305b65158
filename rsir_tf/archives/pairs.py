"""Records of images with masks: DLRSD's layout, Dubai's tiles, one's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from rsir_tf.archives.folder_names import scenes_of
from rsir_tf.archives.listing import LeftOut
from rsir_tf.archives.pairing_rules import Pairing
from rsir_tf.archives.records import Archive, Record
from rsir_tf.rasters import FileSource


def read_pairs(root: Path, pairing: Pairing) -> Archive:
    """Make records of images and their masks; the label set is still open.

    Ids leave out a folder of images, so `Tile 1/images/a.jpg` is `Tile 1/a.jpg`; the folder above a pair of folders is
    the group, a folder inside it the scene.

    Args:
        root: The archive's folder.
        pairing: From `find_pairs` or `pair_by_globs`.
    """
    named = [
        PurePosixPath(*image.above, *image.below) if pairing.by_folders else image.file for image in pairing.images
    ]
    names = Counter(named)
    scenes = scenes_of([image.below for image in pairing.images])
    records = [
        Record(
            id=str(name if names[name] == 1 else image.file),
            source=FileSource(root / image.file),
            mask=None if image.mask is None else root / image.mask,
            scene=scene,
            group="/".join(image.above) or None,
        )
        for image, name, scene in zip(pairing.images, named, scenes, strict=True)
    ]
    understood = "images and masks"
    if any(scenes):
        understood += "; the scene is the folder that an image lies in"
    if any(record.group for record in records):
        understood += "; the group is the folder above the pair of folders"
    return Archive(
        root=root,
        format="masks",
        records=tuple(sorted(records, key=lambda record: record.id)),
        orphan_masks=tuple(root / mask for mask in pairing.orphans),
        understood=understood,
        pairing=pairing.rule,
        left_out=tuple(LeftOut(str(file), "an image that lies beside the pairs") for file in pairing.others),
    )
