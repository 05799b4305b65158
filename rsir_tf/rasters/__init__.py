"""Images and the way to their pixels: every other room asks a source, and none opens an image file itself.

source         Source, the protocol of all kinds; Fingerprint and Place
kinds          open_source: from an address to a source, through the registry of kinds
files          FileSource: one image file; read_image
picture_files  opening a picture file, its header's checks, decoding; masks are read with it too
pixels         an image's content hash, another size, and the check that an array is one
"""

from rsir_tf.rasters.files import FileSource, is_tiff, read_image
from rsir_tf.rasters.kinds import SOURCE_KINDS, open_source
from rsir_tf.rasters.picture_files import IMAGE_SUFFIXES, MAX_PIXELS, MIN_SIDE, decode, open_picture, stored_bits
from rsir_tf.rasters.pixels import check_image, pixel_hash, resize_image
from rsir_tf.rasters.source import MISSING, Fingerprint, Place, Source

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "MISSING",
    "SOURCE_KINDS",
    "FileSource",
    "Fingerprint",
    "Place",
    "Source",
    "check_image",
    "decode",
    "is_tiff",
    "open_picture",
    "open_source",
    "pixel_hash",
    "read_image",
    "resize_image",
    "stored_bits",
]
