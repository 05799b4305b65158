"""Archives on disk: records and label sets, one reader a layout, masks, tags, splits, and the check of all of it.

records      Record and Archive
detect       open_archive: which archive lies at a path
listing      the image files below a folder, and what is left out and why
folder_names what names say: image, mask, part of a split, scene
pairing      images and masks told apart, by rules (pairing_rules) or by patterns
folder       images in folders             pairs        images with masks: DLRSD, Dubai, one's own
scenes       files that are cut into windows, or that a recipe reads         scene_facts  what check tells of them
scene_lists  a URL, and files that list scenes
tags         UC Merced's tags file         mlrsnet      MLRSNet's CSVs and their repair
labels       LabelSet                      label_files  label set files, and those that are shipped
label_polygons  polygons as masks          polygon_files  the files that they come from
label_proof  what masks mean: given or proven, never guessed
masks        mask files to class indices, and back      mask_values  what they hold before that
record_masks what a record's mask may be
annotated    an image with its mask, as training and checking read them
splits       seeded train, validation and test parts, written with a hash
checking     reads all of an archive       report       what it holds and what is wrong with it
synthetic/   an archive that is drawn
"""

from rsir_tf.archives.checking import check_archive
from rsir_tf.archives.detect import files_of, open_archive
from rsir_tf.archives.label_files import class_colours, load_label_set
from rsir_tf.archives.label_polygons import LabelPolygons
from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.masks import MaskOrientationError, MaskSizeError, MaskValueError, read_mask, write_mask
from rsir_tf.archives.mlrsnet import MlrsnetLabels, read_mlrsnet_labels
from rsir_tf.archives.polygon_files import PolygonOptions
from rsir_tf.archives.record_masks import Mask
from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.report import ArchiveReport, SceneFacts
from rsir_tf.archives.scenes import leave_out_void, why_left_out
from rsir_tf.archives.splits import (
    Split,
    archive_hash,
    draw_split,
    everything_trains,
    group_split,
    read_split,
    select,
    stratified_split,
    without,
    write_split,
)

__all__ = [
    "VOID",
    "Archive",
    "ArchiveReport",
    "LabelPolygons",
    "LabelSet",
    "Mask",
    "MaskOrientationError",
    "MaskSizeError",
    "MaskValueError",
    "MlrsnetLabels",
    "PolygonOptions",
    "Record",
    "SceneFacts",
    "Split",
    "archive_hash",
    "check_archive",
    "class_colours",
    "draw_split",
    "everything_trains",
    "files_of",
    "group_split",
    "leave_out_void",
    "load_label_set",
    "open_archive",
    "read_mask",
    "read_mlrsnet_labels",
    "read_split",
    "select",
    "stratified_split",
    "why_left_out",
    "without",
    "write_mask",
    "write_split",
]
