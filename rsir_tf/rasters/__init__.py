"""Images and the way to their pixels: every other room asks a source, and none opens an image file itself.

source         Source, the protocol of all kinds; Fingerprint and Place
kinds          open_source: from an address to a source, through the registry of kinds
pixels         Pixels: colours and which are valid; an image's content hash, another size, the check that it is one
files          FileSource: one picture file as it is; read_image
stored         open_stored: a picture file as it is stored, which masks are read with too
tiff_files     TIFF through GDAL            picture_files  JPEG, PNG, BMP and WebP through Pillow
foreign_files  the names of formats that are not read as pictures
scenes         RasterSource: a scene, or a window of one; path_of and with_path for addresses
recipe         Recipe (bands, stretch, nodata, resolution), Tiling, and Reading: both together
layouts        what a raster file holds, and what a recipe makes of it or why it cannot
decoding       raw values to RGB and validity      blocks  raw values by whole blocks, which threads share
warping        scenes at metres a pixel
stored_parts   a part of a raster as it is stored, on any grid: masks of scenes, class rasters (read_band)
vectors        vector files: GeoPackage, GeoJSON, shapefile; polygons on a grid of pixels
stretching     the ranges that a percentage means
windows        windows_of: a scene cut into windows
identity       fingerprint and digest of a raster with the files that belong to it
remote         what a URL's server says of a file
datasets       open_dataset: the one place where GDAL opens rasters and URLs
places         footprints, longitude and latitude of pixels, metres a pixel
previews       a scene in few pixels
tile_names     where web map tiles lie, by their names
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    "Examined": "rsir_tf.rasters.files",
    "FILL": "rsir_tf.rasters.pixels",
    "FileSource": "rsir_tf.rasters.files",
    "Fingerprint": "rsir_tf.rasters.source",
    "IMAGE_SUFFIXES": "rsir_tf.rasters.stored",
    "MAX_PIXELS": "rsir_tf.rasters.stored",
    "MIN_SIDE": "rsir_tf.rasters.stored",
    "MISSING": "rsir_tf.rasters.source",
    "ORIENTATIONS": "rsir_tf.rasters.stored",
    "Pixels": "rsir_tf.rasters.pixels",
    "Place": "rsir_tf.rasters.source",
    "RasterSource": "rsir_tf.rasters.scenes",
    "Reading": "rsir_tf.rasters.recipe",
    "Recipe": "rsir_tf.rasters.recipe",
    "SOURCE_KINDS": "rsir_tf.rasters.kinds",
    "Source": "rsir_tf.rasters.source",
    "Stored": "rsir_tf.rasters.stored",
    "Tiling": "rsir_tf.rasters.recipe",
    "Window": "rsir_tf.rasters.decoding",
    "check_image": "rsir_tf.rasters.pixels",
    "content_hash": "rsir_tf.rasters.pixels",
    "footprint": "rsir_tf.rasters.places",
    "ground_resolution": "rsir_tf.rasters.places",
    "ground_steps": "rsir_tf.rasters.places",
    "is_tiff": "rsir_tf.rasters.files",
    "is_url": "rsir_tf.rasters.datasets",
    "lonlat_to_pixel": "rsir_tf.rasters.places",
    "open_dataset": "rsir_tf.rasters.datasets",
    "open_source": "rsir_tf.rasters.kinds",
    "open_stored": "rsir_tf.rasters.stored",
    "path_of": "rsir_tf.rasters.scenes",
    "percentile_stretch": "rsir_tf.rasters.stretching",
    "pixel_hash": "rsir_tf.rasters.pixels",
    "pixel_to_lonlat": "rsir_tf.rasters.places",
    "preview": "rsir_tf.rasters.previews",
    "read_band": "rsir_tf.rasters.stored_parts",
    "read_image": "rsir_tf.rasters.files",
    "read_pixels": "rsir_tf.rasters.pixels",
    "resize_image": "rsir_tf.rasters.pixels",
    "resize_pixels": "rsir_tf.rasters.pixels",
    "web_tile_place": "rsir_tf.rasters.tile_names",
    "window_id": "rsir_tf.rasters.windows",
    "windows_of": "rsir_tf.rasters.windows",
    "with_path": "rsir_tf.rasters.scenes",
}

__all__ = [
    "FILL",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "MISSING",
    "ORIENTATIONS",
    "SOURCE_KINDS",
    "Examined",
    "FileSource",
    "Fingerprint",
    "Pixels",
    "Place",
    "RasterSource",
    "Reading",
    "Recipe",
    "Source",
    "Stored",
    "Tiling",
    "Window",
    "check_image",
    "content_hash",
    "footprint",
    "ground_resolution",
    "ground_steps",
    "is_tiff",
    "is_url",
    "lonlat_to_pixel",
    "open_dataset",
    "open_source",
    "open_stored",
    "path_of",
    "percentile_stretch",
    "pixel_hash",
    "pixel_to_lonlat",
    "preview",
    "read_band",
    "read_image",
    "read_pixels",
    "resize_image",
    "resize_pixels",
    "web_tile_place",
    "window_id",
    "windows_of",
    "with_path",
]

if TYPE_CHECKING:
    from rsir_tf.rasters.datasets import is_url, open_dataset
    from rsir_tf.rasters.decoding import Window
    from rsir_tf.rasters.files import Examined, FileSource, is_tiff, read_image
    from rsir_tf.rasters.kinds import SOURCE_KINDS, open_source
    from rsir_tf.rasters.pixels import (
        FILL,
        Pixels,
        check_image,
        content_hash,
        pixel_hash,
        read_pixels,
        resize_image,
        resize_pixels,
    )
    from rsir_tf.rasters.places import footprint, ground_resolution, ground_steps, lonlat_to_pixel, pixel_to_lonlat
    from rsir_tf.rasters.previews import preview
    from rsir_tf.rasters.recipe import Reading, Recipe, Tiling
    from rsir_tf.rasters.scenes import RasterSource, path_of, with_path
    from rsir_tf.rasters.source import MISSING, Fingerprint, Place, Source
    from rsir_tf.rasters.stored import IMAGE_SUFFIXES, MAX_PIXELS, MIN_SIDE, ORIENTATIONS, Stored, open_stored
    from rsir_tf.rasters.stored_parts import read_band
    from rsir_tf.rasters.stretching import percentile_stretch
    from rsir_tf.rasters.tile_names import web_tile_place
    from rsir_tf.rasters.windows import window_id, windows_of

__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
