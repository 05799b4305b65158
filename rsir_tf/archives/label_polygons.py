"""Labels as polygons: read once, and laid over the pixels of every image that has a place on Earth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.polygon_files import PolygonOptions, Polygons, outside_index, read_polygons
from rsir_tf.archives.records import Archive
from rsir_tf.artifacts import content_hash, file_hash
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.rasters.vectors import bounds_in, rasterise, transformed
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters import Place

OVERLAPS = "later on top"
"""Of two polygons at one place, that of the later file is seen, and in one file that which stands later in it."""

_SIDE_CARS = (".dbf", ".prj", ".shx", ".cpg")
"""What belongs to a shapefile besides its .shp."""

_MANY_VERTICES = 2000
"""A polygon of more is cut to the surroundings of an image before it is transformed: a coast may have millions."""


@dataclass(frozen=True, eq=False)
class LabelPolygons:
    """The polygons of all files, and what they mean.

    Attributes:
        options: Which files, and how they were read.
        label_set: The classes.
        files: The polygons of each file.
        remarks: What is worth telling of them, one line each.
    """

    options: PolygonOptions
    label_set: LabelSet
    files: tuple[Polygons, ...]
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, options: PolygonOptions, label_set: LabelSet | None = None) -> LabelPolygons:
        """Read the files; see `read_polygons` for what is refused."""
        files, classes, remarks = read_polygons(options, label_set)
        return cls(options, classes, tuple(files), tuple(remarks))

    def near(self, place: Place, shape: tuple[int, int]) -> list[NDArray[np.intp]]:
        """The polygons whose boxes touch an image: of each file their positions, in the order of the file."""
        return [np.sort(polygons.tree.query(_boxes(polygons.crs, place, shape))) for polygons in self.files]

    def classes_on(self, place: Place, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The classes of an image's pixels: that of the last polygon in which a pixel's centre lies.

        Args:
            place: Where the image lies.
            shape: Its (height, width) in pixels.

        Returns:
            uint8 [H, W]: 0..K-1, or `VOID` where nothing is known.

        Raises:
            InputError: Coordinates cannot be transformed.
        """
        geometries: list[Any] = []
        values: list[int] = []
        for polygons, chosen in zip(self.files, self.near(place, shape), strict=True):
            nearby = _cut(polygons.geometries[chosen], bounds_in(polygons.crs, place, shape))
            geometries += transformed(nearby, polygons.crs, place.crs).tolist()
            values += polygons.classes[chosen].tolist()
        return rasterise(geometries, values, place, shape, outside=outside_index(self.options, self.label_set))

    def to_json(self) -> dict[str, Any]:
        """What a run records, JSON types: each file's name with the SHA-256 of its content, and the options."""
        return {
            "files": self._hashes,
            "class_field": self.options.class_field,
            "class_name": self.options.class_name,
            "outside": self.options.outside,
            "overlaps": OVERLAPS,
        }

    @cached_property
    def digest(self) -> str:
        """Identity of everything that decides a class, 16 hexadecimal digits."""
        return content_hash([self.to_json(), self.label_set.content_hash()])[:16]

    @cached_property
    def _hashes(self) -> list[list[str]]:
        found = []
        for name, (file, _) in zip(self.options.files, self.options.parts, strict=True):
            beside = [file.with_suffix(suffix) for suffix in _SIDE_CARS] if file.suffix.lower() == ".shp" else []
            hashes = [file_hash(path) for path in (file, *beside) if path.exists()]
            found.append([Path(name).name, hashes[0] if len(hashes) == 1 else content_hash(hashes)])
        return found

    def __str__(self) -> str:
        return "the polygons of " + ", ".join(self.options.files)


@dataclass(frozen=True, slots=True)
class PolygonMask:
    """The part of the polygons that lies over one image; see `Mask`."""

    labels: LabelPolygons
    place: Place
    shape: tuple[int, int]

    def read(
        self, label_set: LabelSet, shape: tuple[int, int] | None = None, *, orientation: int | None = None
    ) -> NDArray[np.uint8]:
        if label_set.names != self.labels.label_set.names:
            raise MismatchError(
                f"{self}: have the classes {', '.join(self.labels.label_set.names)}",
                wanted=f"those of label set {label_set.name}: {', '.join(label_set.names)}",
            )
        return self.labels.classes_on(self.place, self.shape)

    def digest(self) -> str:
        return content_hash([self.labels.digest, self.place.crs, list(self.place.transform), self.shape])[:16]

    def __str__(self) -> str:
        return str(self.labels)


def with_label_polygons(archive: Archive, labels: LabelPolygons) -> Archive:
    """Give each image of an archive the polygons that lie over it as its mask.

    Args:
        archive: Without masks; each of its images has a place on Earth.
        labels: From `LabelPolygons.read`.

    Raises:
        InputError: It has masks, an image has no place, or no polygon lies over any image.
    """
    masked = [record.id for record in archive if record.mask is not None]
    if masked:
        have = counted(len(masked), "image has a mask", "images have masks")
        raise InputError(
            f"{archive.root}: {have} (the first is {masked[0]}), and label polygons are given",
            wanted="one of them",
            cure="leave --label-polygons out, or take all files for images with --images '**'",
        )
    records, bare, homeless = [], 0, []
    for record in archive:
        place = record.source.place
        if place is None:
            homeless.append(record.id)
            continue
        mask = PolygonMask(labels, place, record.source.shape)
        bare += not any(len(found) for found in labels.near(place, mask.shape))
        records.append(dataclasses.replace(record, mask=mask))
    if homeless:
        raise InputError(
            f"{archive.root}: {len(homeless)} of {len(archive)} images have no place on Earth, so no polygons can be "
            f"laid over them (the first is {homeless[0]})",
            wanted="a reference system (CRS) and a transform in each file, or a world file beside it",
            cure="say --tile-names PATTERN where the names are those of web tiles, or leave these files out",
        )
    if bare == len(records):
        raise InputError(
            f"{labels}: none of them lies over an image of {archive.root}{_apart(labels, records[0])}",
            wanted="polygons and images of one area",
            cure="check the reference system (CRS) of both",
        )
    remarks = [*labels.remarks]
    if bare:
        remarks.append(f"{bare} of {len(records)} images lie where no polygon is: {labels.options.outside} all over")
    return dataclasses.replace(
        archive,
        records=tuple(records),
        label_set=labels.label_set,
        label_proof=_words(labels),
        label_polygons=labels,
        remarks=(*archive.remarks, *remarks),
    )


def _words(labels: LabelPolygons) -> str:
    options, count = labels.options, sum(len(polygons.classes) for polygons in labels.files)
    if options.class_field is None:
        classes = f"the class of the {count:,} polygons of {', '.join(options.files)} was given"
    else:
        classes = f"the classes are the field {options.class_field} of {count:,} polygons of {', '.join(options.files)}"
    return f"{classes}; outside them all is {options.outside}; where polygons overlap, the later one is on top"


def _apart(labels: LabelPolygons, record: Any) -> str:
    """Where the polygons of the first file lie, and where an image lies, in the same coordinates."""
    import shapely

    polygons = labels.files[0]
    theirs = ", ".join(f"{value:.6g}" for value in shapely.total_bounds(polygons.geometries))
    own = ", ".join(f"{value:.6g}" for value in bounds_in(polygons.crs, record.source.place, record.source.shape))
    return f" (left, bottom, right, top: polygons {theirs}; {record.id} {own})"


def _boxes(crs: str, place: Place, shape: tuple[int, int]) -> Any:
    """The box around an image in a reference system of polygons, a little larger, as shapely geometry."""
    import shapely

    left, bottom, right, top = _wider(bounds_in(crs, place, shape))
    if left <= right:
        return shapely.box(left, bottom, right, top)
    return shapely.multipolygons([shapely.box(left, bottom, 180, top), shapely.box(-180, bottom, right, top)])


def _cut(geometries: NDArray[np.object_], bounds: tuple[float, float, float, float]) -> NDArray[np.object_]:
    """Cut what lies far away off polygons of many vertices."""
    import shapely

    large = shapely.get_num_coordinates(geometries) > _MANY_VERTICES
    if large.any() and bounds[0] <= bounds[2]:
        geometries = geometries.copy()
        geometries[large] = shapely.clip_by_rect(geometries[large], *_wider(bounds))
    return geometries


def _wider(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """A box with a margin: the edges of an image that bend between two reference systems may leave its own."""
    left, bottom, right, top = bounds
    across, along = abs(right - left) / 10, abs(top - bottom) / 10
    return left - across, bottom - along, right + across, top + along
