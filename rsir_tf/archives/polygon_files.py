"""Files of label polygons: which class each polygon has, and which polygons cannot be used as they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.errors import InputError
from rsir_tf.rasters.vectors import Vectors, read_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAYER = "|layername="
"""Between a file and the name of its layer, as QGIS writes it."""

_VOID_NAME = "void"

_NAMED = 5
"""Values that an error names."""


@dataclass(frozen=True, slots=True)
class PolygonOptions:
    """How files of polygons become classes of pixels.

    Attributes:
        files: GeoPackage, GeoJSON or shapefile; of several layers, one is named as "FILE|layername=LAYER".
        class_field: The attribute that holds the class of a polygon.
        class_name: The class of all polygons, instead of a field.
        outside: The class of a pixel that lies in no polygon, or "void" where that is not known.

    Raises:
        InputError: No file, not exactly one of field and class name, or nothing about what lies outside.
    """

    files: tuple[str, ...]
    class_field: str | None = None
    class_name: str | None = None
    outside: str | None = None

    def __post_init__(self) -> None:
        if not self.files:
            raise InputError("label polygons: no file is named", wanted="at least one (--label-polygons FILE)")
        first = self.files[0]
        if self.class_field is not None and self.class_name is not None:
            raise InputError(
                f"{first}: the class field {self.class_field} and the class name {self.class_name} are both given",
                wanted="one of them",
                cure="--class-field where the polygons have several classes, --class-name where all have one",
            )
        if self.outside is None:
            raise InputError(
                f"{first}: nothing says what lies outside the polygons",
                wanted="--outside CLASS where all that is of interest was drawn, or --outside void where it was not",
            )

    @property
    def parts(self) -> tuple[tuple[Path, str | None], ...]:
        """Each file, and the layer that is named with it."""
        split = (name.partition(_LAYER) for name in self.files)
        return tuple((Path(file), layer or None) for file, _, layer in split)


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """The polygons of one file that can be used, in its order.

    Attributes:
        geometries: Valid polygons and multipolygons of shapely [N], in the file's reference system.
        classes: uint8 [N]: the class index of each, or `VOID` for one whose class is not known.
        crs: The reference system.
        tree: Shapely's spatial index of the geometries.
    """

    geometries: NDArray[np.object_]
    classes: NDArray[np.uint8]
    crs: str
    tree: Any


def read_polygons(options: PolygonOptions, given: LabelSet | None) -> tuple[list[Polygons], LabelSet, list[str]]:
    """Read all files of polygons.

    Args:
        options: Which files, and what gives the classes.
        given: The classes, where they are known before; None takes those that the files name, in alphabetical order
            (numbers by their size), and after them the class that lies outside.

    Returns:
        The polygons of each file, the label set, and what is worth telling, one line each.

    Raises:
        InputError: A file cannot be read or has no usable polygon, no field or name gives the classes, the label set
            lacks a class, or there are more classes than a label set can hold.
    """
    read = [(str(file), _read(file, layer, options)) for file, layer in options.parts]
    names = [_names(vectors, options) for _, vectors in read]
    label_set = _made(options, names) if given is None else given
    if options.outside not in (_VOID_NAME, *label_set.names):
        raise InputError(
            f"--outside {options.outside}: is no class of label set {label_set.name}",
            wanted=f"void, or one of {', '.join(label_set.names)}",
        )
    found, remarks = [], []
    for (name, vectors), values in zip(read, names, strict=True):
        classes = _classes(name, values, label_set)
        nameless = [number for number, value in enumerate(values) if value is None]
        if nameless:
            remarks.append(
                f"{name}: {len(nameless)} of {len(values)} polygons have no class in the field {options.class_field} "
                f"(the first is feature {nameless[0] + 1}): what lies in them is void"
            )
        found.append(_usable(name, vectors, classes, remarks))
    return found, label_set, remarks


def outside_index(options: PolygonOptions, label_set: LabelSet) -> int:
    """Class index of what lies outside the polygons; `VOID` where that is not known."""
    return VOID if options.outside == _VOID_NAME else label_set.names.index(str(options.outside))


def _read(file: Path, layer: str | None, options: PolygonOptions) -> Vectors:
    if options.class_field is None and options.class_name is None:
        fields = ", ".join(read_vectors(file, layer).columns)
        raise InputError(
            f"{file}: nothing says which classes its polygons have",
            wanted=f"--class-field NAME ({f'its fields are: {fields}' if fields else 'but it has no fields'}), or "
            "--class-name NAME where all have one",
        )
    found = read_vectors(file, layer, columns=[] if options.class_field is None else [options.class_field])
    if not len(found.geometries):
        raise InputError(f"{file}: holds no feature", wanted="polygons")
    return found


def _names(vectors: Vectors, options: PolygonOptions) -> list[str | None]:
    if options.class_field is None:
        return [options.class_name] * len(vectors.geometries)
    return [_name(value) for value in vectors.columns[options.class_field]]


def _name(value: Any) -> str | None:
    """A field's value as the name of a class. Whole numbers come as floats where the column has gaps."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value).strip() or None


def _made(options: PolygonOptions, names: Sequence[Sequence[str | None]]) -> LabelSet:
    """The label set that the files' values make."""
    values = {value for one in names for value in one if value is not None}
    if not values:
        raise InputError(
            f"{options.files[0]}: no polygon has a class in the field {options.class_field}",
            cure="name a field that holds classes, or the class of all polygons with --class-name",
        )
    if _VOID_NAME in values and options.outside == _VOID_NAME:
        raise InputError(
            f"{options.files[0]}: polygons have the class {_VOID_NAME}, which is also what --outside calls unknown",
            cure="rename the class in the file",
        )
    numbers = all(re.fullmatch("[0-9]+", value) for value in values)
    ordered = sorted(values, key=int) if numbers else sorted(values)
    if options.outside not in (_VOID_NAME, *ordered):
        ordered.append(str(options.outside))
    if len(ordered) > VOID:
        raise InputError(
            f"{options.files[0]}: the field {options.class_field} holds {len(values):,} different values",
            wanted=f"at most {VOID} classes",
            cure="name a field that holds classes",
        )
    return LabelSet("polygons", tuple(ordered), tuple(range(len(ordered))))


def _classes(name: str, values: Sequence[str | None], label_set: LabelSet) -> NDArray[np.uint8]:
    """The class index of each polygon: by the name of the class, or by its id; what is neither may be the rest."""
    known: dict[str | None, int] = {None: VOID}
    known |= {str(number): VOID for number in label_set.ignore_ids}
    known |= {str(number): index for index, number in enumerate(label_set.ids or ())}
    known |= {entry: index for index, entry in enumerate(label_set.names)}
    unknown = Counter(value for value in values if value not in known)
    if unknown and not label_set.rest:
        named = ", ".join(f"{value} ({count} polygons)" for value, count in unknown.most_common(_NAMED))
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise InputError(
            f"{name}: polygons have classes that label set {label_set.name} does not have: {named}{more}",
            wanted=f"one of {', '.join(label_set.names)}",
            cure="add them to the label set, or give it a `rest`, a class for all others",
        )
    return np.array([known.get(value, label_set.otherwise) for value in values], np.uint8)


def _usable(name: str, vectors: Vectors, classes: NDArray[np.uint8], remarks: list[str]) -> Polygons:
    """The polygons with an area, repaired where they cross themselves; what was done is told."""
    import shapely

    geometries = vectors.geometries.copy()
    finite = np.isfinite(shapely.bounds(geometries)).all(axis=1)  # Not of None, of nothing, and of NaN.
    geometries[~finite] = None
    crossing = ~shapely.is_valid(geometries) & finite
    geometries[crossing] = shapely.make_valid(geometries[crossing])
    mixed = ~np.isin(shapely.get_type_id(geometries), _POLYGONAL) & finite
    geometries[mixed] = [_polygons_in(geometry) for geometry in geometries[mixed]]
    usable = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    _tell(remarks, name, crossing & usable, "cross themselves and are read as `make_valid` of GEOS repairs them")
    _tell(remarks, name, ~usable, "have no area (points, lines, or nothing at all) and are left out")
    if not usable.any():
        raise InputError(f"{name}: none of its {len(geometries)} features is a polygon", wanted="polygons")
    return Polygons(geometries[usable], classes[usable], vectors.crs, shapely.STRtree(geometries[usable]))


_POLYGONAL = (3, 6)
"""Shapely's numbers for polygons and multipolygons."""


def _polygons_in(geometry: Any) -> Any:
    """The polygons of a collection, as one geometry: rasterising would burn its lines and points too."""
    import shapely

    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == _POLYGONAL[0]])


def _tell(remarks: list[str], name: str, which: NDArray[np.bool_], words: str) -> None:
    numbers = np.flatnonzero(which)
    if len(numbers):
        remarks.append(
            f"{name}: {len(numbers)} of {len(which)} polygons {words} (the first is feature {numbers[0] + 1})"
        )
