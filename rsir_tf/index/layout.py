"""The layout of an index's folder, and its manifest: the one file that says what belongs to the index.

    manifest.json                    settings, counts, the segments with sizes and hashes of their files, removed rows
    skipped.json                     images that could not be indexed, and why
    left_out.json                    windows of scenes with too few valid pixels, and the scene's fingerprint then
    staged.npz                       images that fill no segment yet: a writer is at work, or was killed; see `staging`
    writer.lock                      held by the process that writes
    segments/000001/images.parquet   one row an image
    segments/000001/regions.parquet  one row a region, grouped by image
    segments/000001/recnn.npy        [regions, C], row by row as in regions.parquet
    segments/000001/recnn_plus.npy   [images, C], row by row as in images.parquet
    segments/000001/*.npz            derived from these by who ranks, where merging found it worth it: see `derived`

A segment never changes once it has its name; what the manifest does not list does not belong to the index.

Format 2 adds the regions' centroids to regions.parquet; the archive that an image belongs to, to images.parquet, whose
paths are now relative to the folder of that archive; and to the manifest the folders of the archives, and whether a
segment is a large one that merging made. Format 3 adds the place of an image on Earth and its footprint in longitude
and latitude to images.parquet, and to the manifest how the images of an archive are read: bands, windows of scenes.
Format 4 adds to regions.parquet which regions touch, along how much border, and how much of each lies at the end of the
picture; and it may have vectors of further layers beside those of conv5_3, which the settings in the manifest name.

A program that knows older formats alone could not merge segments of both, so the manifest's version keeps it away.
Indexes of older formats open as they are; the first change that is written makes them format 4, segment by segment.
What was written in format 1 has no centroids, no archive, and absolute paths; what was written in formats 1 and 2 has
no places until `rsir-tf index` meets its images again. What was written before format 4 does not know which regions
touch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rsir_tf import artifacts
from rsir_tf.contract import FURTHER_LAYERS
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index.settings import IndexSettings, vector_names
from rsir_tf.rasters import Reading

FORMAT_VERSION = 4
SEGMENTS = "segments"
SKIPPED = "skipped.json"
LEFT_OUT = "left_out.json"
STAGED = "staged.npz"
CATALOGUE = "catalogue.sqlite"
LOCK = "writer.lock"
IMAGES = "images.parquet"
REGIONS = "regions.parquet"
RECNN = "recnn.npy"
RECNN_PLUS = "recnn_plus.npy"
SEGMENT_FILES = (IMAGES, RECNN, RECNN_PLUS, REGIONS)
LAYER_FILES = tuple(f"{name}.npy" for layer in FURTHER_LAYERS for name in vector_names(layer))
"""Vectors of further layers; a segment has them if its index's settings name their layer."""

REBUILD = "restore it from a copy, or run rsir-tf index again with another folder"
REPAIR = "restore it from a copy, or run rsir-tf index with --repair"


@dataclass(frozen=True)
class SegmentRecord:
    """The entry of one segment in the manifest.

    Attributes:
        name: Its folder's name, a number of at least six digits.
        images: Rows of images.parquet.
        regions: Rows of regions.parquet.
        sizes: Bytes of each of `SEGMENT_FILES`, and of the vectors of further layers and the derived files that are
            there.
        hashes: SHA-256 of the same files, hexadecimal.
        removed: Rows of images.parquet that no longer belong to the index, ascending.
        merged: Whether it is a large one that merging made.
    """

    name: str
    images: int
    regions: int
    sizes: dict[str, int]
    hashes: dict[str, str]
    removed: tuple[int, ...] = ()
    merged: bool = False

    @property
    def live(self) -> int:
        """Number of images that still belong to the index."""
        return self.images - len(self.removed)

    def without_derived_files(self) -> SegmentRecord:
        """The same segment with the files alone that are not derived; it is merged once more, which makes others."""
        kept = [name for name in self.sizes if name in SEGMENT_FILES or name in LAYER_FILES]
        return replace(
            self,
            sizes={name: self.sizes[name] for name in kept},
            hashes={name: self.hashes[name] for name in kept},
            merged=False,
        )


@dataclass(frozen=True)
class Layout:
    """The content of one manifest.

    Attributes:
        settings: What the descriptors were made with.
        created: When the index was first made, ISO 8601.
        segments: In order of their numbers.
        next_segment: The next segment's number: one more than any had so far, so that no name is ever used twice.
        roots: Name of each archive whose images are in the index, "" for the first → its folder, an absolute path; of
            scenes behind a URL, that URL.
        readings: Name of each archive that is not read as ordinary pictures are → how it is read.
    """

    settings: IndexSettings
    created: str
    segments: tuple[SegmentRecord, ...] = ()
    next_segment: int = 1
    roots: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of images that belong to the index."""
        return sum(segment.live for segment in self.segments)


def read_layout(path: Path) -> Layout:
    """Read an index's manifest and check that it is whole.

    Args:
        path: The index's folder.

    Raises:
        ArtifactError: There is no index, its format is newer, or its manifest was damaged.
    """
    content = artifacts.read_manifest(path, "index", FORMAT_VERSION)
    where = str(path / artifacts.MANIFEST)
    settings = IndexSettings.from_json(content.get("settings"), where)
    try:
        segments = tuple(_segment_from_json(segment) for segment in content["segments"])
        archives = content.get("archives", [])
        roots = {str(archive["name"]): str(archive["root"]) for archive in archives}
        readings = {each["name"]: Reading.from_json(each["reading"]) for each in archives if "reading" in each}
        layout = Layout(settings, str(content["created"]), segments, _count(content["next_segment"]), roots, readings)
        numbers = [int(segment.name) for segment in segments]
        whole = (
            numbers == sorted(set(numbers))
            and max(numbers, default=0) < layout.next_segment
            and content["images"] == layout.images
            and content["regions"] == sum(segment.regions for segment in segments)
        )
    except InputError as error:
        raise ArtifactError(f"{where}: says that an archive is read by {error}", cure=REBUILD) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{where}: its list of segments is damaged ({error})", cure=REBUILD) from error
    if not whole:
        raise ArtifactError(f"{where}: its counts disagree with its list of segments", cure=REBUILD)
    return layout


def write_layout(path: Path, layout: Layout) -> None:
    """Replace an index's manifest in one step.

    Args:
        path: The index's folder.
        layout: The new content.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    content = artifacts.manifest(
        "index",
        FORMAT_VERSION,
        images=layout.images,
        regions=sum(segment.regions for segment in layout.segments),
        settings=layout.settings.to_json(),
        archives=[_archive_to_json(layout, name) for name in sorted(layout.roots)],
        next_segment=layout.next_segment,
        segments=[_segment_to_json(segment) for segment in layout.segments],
    )
    if layout.created:
        content["created"] = layout.created
    artifacts.write_json(path / artifacts.MANIFEST, content)


def require_archive(path: Path, layout: Layout, name: str) -> None:
    """Refuse the name of an archive whose images the index does not hold, or whose folder it does not know.

    Raises:
        InputError: The names that there are, are in the error.
    """
    if name in layout.roots:
        return
    if not layout.roots:
        raise InputError(
            f"{path}: keeps absolute paths, as indexes did before they knew the folder of their archive",
            cure="run rsir-tf index with the archive where it is now: equal images are not sent to the model again",
        )
    what = f"has no archive named {name!r}" if name else "has no archive without a name"
    raise InputError(f"{path}: {what}", wanted=" or ".join(repr(known) for known in sorted(layout.roots)))


def segment_folder(path: Path, name: str) -> Path:
    """Where a segment of the index at `path` lies."""
    return path / SEGMENTS / name


def _archive_to_json(layout: Layout, name: str) -> dict[str, Any]:
    reading = layout.readings.get(name, Reading()).to_json()
    return {"name": name, "root": layout.roots[name], **({"reading": reading} if reading else {})}


def _segment_to_json(segment: SegmentRecord) -> dict[str, Any]:
    return {
        "name": segment.name,
        "images": segment.images,
        "regions": segment.regions,
        "removed": list(segment.removed),
        "merged": segment.merged,
        "files": {name: {"bytes": segment.sizes[name], "sha256": segment.hashes[name]} for name in segment.sizes},
    }


def _segment_from_json(content: Any) -> SegmentRecord:
    """Build a record; whatever is wrong raises one of the types that `read_layout` turns into its error."""
    files = content["files"]
    names = [*SEGMENT_FILES, *sorted(set(files) - set(SEGMENT_FILES))]
    # In format 1 a segment that merging had made large was told by this file, which all of them had.
    merged = content.get("merged", "levels.npz" in files)
    segment = SegmentRecord(
        name=content["name"],
        images=_count(content["images"]),
        regions=_count(content["regions"]),
        sizes={name: _count(files[name]["bytes"]) for name in names},
        hashes={name: str(files[name]["sha256"]) for name in names},
        removed=tuple(_count(row) for row in content["removed"]),
        merged=merged is True,
    )
    if not re.fullmatch(r"\d{6,}", segment.name):
        raise ValueError(f"a segment is named {segment.name!r}")
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"a file of segment {segment.name} is named {name!r}")
    rows = segment.removed
    if list(rows) != sorted(set(rows)) or any(row >= segment.images for row in rows):
        raise ValueError(f"rows {list(rows)} are removed from segment {segment.name}, which has {segment.images}")
    return segment


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
