"""Images and the way to their pixels: every other room asks a source, and none opens an image file itself.

source         Source, the protocol of all kinds; Fingerprint and Place
kinds          open_source: from an address to a source, through the registry of kinds
files          FileSource: one image file; read_image
stored         open_stored: a picture file as it is stored, which masks are read with too
tiff_files     TIFF through GDAL            picture_files  JPEG, PNG, BMP and WebP through Pillow
foreign_files  the names of formats that are not read
pixels         an image's content hash, another size, and the check that an array is one
"""

from rsir_tf.rasters.files import Examined, FileSource, is_tiff, read_image
from rsir_tf.rasters.kinds import SOURCE_KINDS, open_source
from rsir_tf.rasters.pixels import check_image, pixel_hash, resize_image
from rsir_tf.rasters.source import MISSING, Fingerprint, Place, Source
from rsir_tf.rasters.stored import IMAGE_SUFFIXES, MAX_PIXELS, MIN_SIDE, ORIENTATIONS, Stored, open_stored

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "MISSING",
    "ORIENTATIONS",
    "SOURCE_KINDS",
    "Examined",
    "FileSource",
    "Fingerprint",
    "Place",
    "Source",
    "Stored",
    "check_image",
    "is_tiff",
    "open_source",
    "open_stored",
    "pixel_hash",
    "read_image",
    "resize_image",
]
