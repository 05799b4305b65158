"""One image in the index, and the checks before it is stored."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.contract import FURTHER_LAYERS
from rsir_tf.errors import InputError
from rsir_tf.index.borders import UNKNOWN, checked_borders
from rsir_tf.index.facts import ImageFacts
from rsir_tf.index.settings import IndexSettings, vector_names
from rsir_tf.rasters import Place, footprint


@dataclass(frozen=True, slots=True, eq=False)
class ImageEntry:
    """An image's place, facts, regions and descriptors; m regions, C channels.

    Attributes:
        id: Unique in the index.
        path: For a file, its path relative to the folder of its archive; for other sources, their address.
        height: Pixels.
        width: Pixels.
        scene: The scene class, where there is one.
        tags: The tags of the image; None where they are not known, () where it is known to have none.
        content_hash: Identity of the pixels.
        file_size: First number of the source's fingerprint: for a file, its size in bytes; −1 where that is not known.
        modified_ns: Second number of the fingerprint: for a file, its time of change in nanoseconds since 1970.
        classes: int32 [m], class index of each region.
        areas: int64 [m], pixels of each region, at least 1.
        boxes: int32 [m, 4], (top, left, bottom, right) of each region in pixels, half-open.
        recnn: float32 [m, C], finite.
        recnn_plus: float32 [C], finite.
        centroids: float32 [m, 2], (y, x) of each region in the pixels of `boxes`, as `connected_regions` defines them;
            NaN where they are not known, as in segments of format 1. An entry that is made with None knows none.
        borders: int32 [e, 3], rows of (region, another region that it touches, pixel edges between them), as
            `region_adjacency` gives them. An entry that is made with None does not know which regions touch.
        edge: int32 [m], pixel edges of each region at which the picture ends; −1 for all of them where it is not known
            which regions touch, as in segments before format 4.
        recnn_conv4_3: float32 [m, C], finite, of conv4_3; None where the index keeps conv5_3 alone.
        recnn_plus_conv4_3: float32 [C], finite; None likewise.
        archive: The name of its archive in the index, "" for the first; None where it is not known, as in segments of
            format 1: `path` is then an address.
        place: Where the image lies on Earth, for its `height` × `width` pixels; None where that is not known.
        placed: Whether the place has been looked for, so that None means that there is none. It has not in segments of
            formats 1 and 2. An entry with a place always says so.
        footprint: The outline of the place in longitude and latitude (RFC 7946), as WKB. It is derived from the place
            when an entry is added without. None where there is no place, no way from its reference system to degrees,
            or a part of the image is not on Earth.
    """

    id: str
    path: str
    height: int
    width: int
    scene: str | None
    tags: tuple[str, ...] | None
    content_hash: str
    file_size: int
    modified_ns: int
    classes: NDArray[np.int32]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int32]
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]
    centroids: NDArray[np.float32] = None  # type: ignore[assignment]
    borders: NDArray[np.int32] = None  # type: ignore[assignment]
    edge: NDArray[np.int32] = None  # type: ignore[assignment]
    recnn_conv4_3: NDArray[np.float32] | None = None
    recnn_plus_conv4_3: NDArray[np.float32] | None = None
    archive: str | None = None
    place: Place | None = None
    placed: bool = False
    footprint: bytes | None = None

    def __post_init__(self) -> None:
        if self.centroids is None:
            object.__setattr__(self, "centroids", np.full((np.size(self.classes), 2), np.nan, "f4"))
        if self.edge is None:
            object.__setattr__(self, "borders", np.empty((0, 3), np.int32))
            object.__setattr__(self, "edge", np.full(np.size(self.classes), UNKNOWN, np.int32))
        object.__setattr__(self, "placed", self.placed or self.place is not None)

    @property
    def facts(self) -> ImageFacts:
        """What is known about the image besides its descriptors."""
        return ImageFacts(**{field.name: getattr(self, field.name) for field in fields(ImageFacts)})


def checked(entry: ImageEntry, settings: IndexSettings) -> ImageEntry:
    """Check an entry before it is stored, and convert its arrays to their types.

    An image without regions (all void, or all below the minimum area) may be stored: its ReCNN distance is infinite.

    Args:
        entry: The entry from the caller.
        settings: The settings of the index.

    Returns:
        The entry with new contiguous arrays of the types in `ImageEntry`; vectors are rounded to `settings.dtype`.

    Raises:
        InputError: A text is not valid Unicode, a number is impossible, a shape is wrong, the index does not have a
            class, a box is outside the image, a centroid is outside its box, borders are impossible, or a vector holds
            NaN, infinity or a value that is too large for `settings.dtype`.
    """
    _check_facts(entry)
    m = np.shape(entry.classes)[0] if np.ndim(entry.classes) == 1 else -1
    classes = _whole(entry, "classes", entry.classes, (m,) if m >= 0 else None, np.int32)
    areas = _whole(entry, "areas", entry.areas, (m,), np.int64)
    boxes = _whole(entry, "boxes", entry.boxes, (m, 4), np.int32)
    if m and not (classes.min() >= 0 and classes.max() < len(settings.class_names)):
        raise InputError(
            f"{entry.id}: region classes go from {classes.min()} to {classes.max()}",
            wanted=f"0 to {len(settings.class_names) - 1}, the classes of the index",
        )
    if m and areas.min() < 1:
        raise InputError(f"{entry.id}: a region has an area of {areas.min()} pixels", wanted="at least 1")
    top, left, bottom, right = boxes.T
    if m and not (
        min(top.min(), left.min()) >= 0
        and (top <= bottom).all()
        and (left <= right).all()
        and bottom.max() <= entry.height
        and right.max() <= entry.width
    ):
        raise InputError(
            f"{entry.id}: a region's box lies outside the image's {entry.height}×{entry.width} pixels",
            wanted="(top, left, bottom, right) within it",
        )
    borders, edge = checked_borders(entry)
    return replace(
        entry,
        classes=classes,
        areas=areas,
        boxes=boxes,
        centroids=_centroids(entry, boxes),
        borders=borders,
        edge=edge,
        recnn=finite_vectors(entry.recnn, (m, settings.channels), settings.dtype, f"{entry.id}: recnn"),
        recnn_plus=finite_vectors(entry.recnn_plus, (settings.channels,), settings.dtype, f"{entry.id}: recnn_plus"),
        footprint=entry.footprint or _footprint(entry),
        **_further(entry, m, settings),
    )


def _further(entry: ImageEntry, m: int, settings: IndexSettings) -> dict[str, Any]:
    """The vectors of further layers, checked: those of the index's layers, and no others."""
    found = {}
    for layer in FURTHER_LAYERS:
        for name, shape in zip(vector_names(layer), ((m, settings.channels), (settings.channels,)), strict=True):
            values = getattr(entry, name)
            if (values is not None) != (layer in settings.layers):
                raise InputError(
                    f"{entry.id}: has {'no' if values is None else 'a'} {name}",
                    wanted=f"vectors of {' and '.join(settings.layers)}, which the index keeps",
                )
            if values is not None:
                found[name] = finite_vectors(values, shape, settings.dtype, f"{entry.id}: {name}")
    return found


def finite_vectors(
    values: NDArray[np.floating], shape: tuple[int | None, ...], dtype: str, what: str
) -> NDArray[np.float32]:
    """Check vectors and round them to the index's number type.

    Args:
        values: Floating-point numbers of this shape.
        shape: The wanted shape; None accepts any length.
        dtype: "float32" or "float16": the values are rounded to it, and returned as float32.
        what: Name of the vectors in the error text.

    Returns:
        float32, a contiguous copy.

    Raises:
        InputError: They have another shape or number type, or hold NaN, infinity, or values that are too large for
            `dtype`.
    """
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits or not np.issubdtype(array.dtype, np.floating):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"{what} is {array.dtype} {list(array.shape)}", wanted=f"float32 [{wanted}]")
    with np.errstate(over="ignore"):
        rounded = np.array(array, dtype=dtype, order="C")
    if not np.isfinite(rounded).all():
        if np.isfinite(array).all():
            raise InputError(f"{what} reaches {np.abs(array).max():g}", wanted=f"values that {dtype} can hold")
        raise InputError(f"{what} holds NaN or infinity", wanted="finite numbers", cure="check the model's weights")
    return rounded.astype(np.float32, copy=False)


def _check_facts(entry: ImageEntry) -> None:
    if not isinstance(entry.id, str) or not entry.id:
        raise InputError(f"image id is {entry.id!r}", wanted="a non-empty text")
    for name, text in (
        ("id", entry.id),
        ("path", entry.path),
        ("scene", entry.scene or ""),
        ("archive", entry.archive or ""),
    ):
        _check_text(entry.id, name, text)
    for tag in entry.tags or ():
        _check_text(entry.id, "tag", tag)
    _check_text(entry.id, "content_hash", entry.content_hash)
    _check_place(entry)
    for name, number, smallest in (
        ("height", entry.height, 1),
        ("width", entry.width, 1),
        ("file_size", entry.file_size, -1),
        ("modified_ns", entry.modified_ns, -(2**63)),
    ):
        largest = 2**31 - 1 if name in ("height", "width") else 2**63 - 1
        if not smallest <= int(number) <= largest:
            raise InputError(f"{entry.id!a}: {name} is {number}", wanted=f"a whole number from {smallest} to {largest}")


def _check_place(entry: ImageEntry) -> None:
    if entry.place is None:
        if entry.footprint is not None:
            raise InputError(f"{entry.id!a}: has a footprint and no place", wanted="both or neither")
        return
    _check_text(entry.id, "crs", entry.place.crs)
    transform = np.asarray(entry.place.transform)
    whole = transform.shape == (6,) and np.issubdtype(transform.dtype, np.number) and np.isfinite(transform).all()
    if not whole or not entry.place.crs:
        raise InputError(f"{entry.id!a}: its place is {entry.place}", wanted="a reference system and six numbers")


def _footprint(entry: ImageEntry) -> bytes | None:
    """The outline of an image; None where its reference system has no relation to the Earth that is known."""
    if entry.place is None:
        return None
    import shapely

    try:
        outline = footprint(entry.place, (entry.height, entry.width))
    except InputError:
        return None
    return None if outline.is_empty else bytes(shapely.to_wkb(outline))


def _check_text(image: str, name: str, text: object) -> None:
    """Refuse lone surrogates, which no table can hold: Python makes them from file names that are not UTF-8."""
    try:
        if not isinstance(text, str):
            raise InputError(f"{image!a}: {name} is {text!r}", wanted="a text")
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{image!a}: its {name} is not valid Unicode", wanted="a name in UTF-8", cure="rename the file"
        ) from error


def _centroids(entry: ImageEntry, boxes: NDArray[np.signedinteger]) -> NDArray[np.float32]:
    array = np.asarray(entry.centroids)
    if array.shape != (len(boxes), 2) or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{entry.id}: centroids is {array.dtype} {list(array.shape)}", wanted=f"float32 [{len(boxes)}, 2]"
        )
    centroids = np.array(array, dtype=np.float32, order="C")
    known = ~np.isnan(centroids).all(axis=1)
    # Edges count as inside, because the box of an entry that was made by hand may be empty.
    if not ((boxes[known, :2] <= centroids[known]) & (centroids[known] <= boxes[known, 2:])).all():
        raise InputError(f"{entry.id}: a region's centroid lies outside its box", wanted="(y, x) within it, or NaN")
    return centroids


def _whole(
    entry: ImageEntry, name: str, values: object, shape: tuple[int, ...] | None, dtype: type[np.signedinteger]
) -> NDArray[np.signedinteger]:
    array = np.asarray(values)
    if shape is None or array.shape != shape or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        wanted = "[m]" if shape is None else list(shape)
        raise InputError(
            f"{entry.id}: {name} is {array.dtype} {list(array.shape)}", wanted=f"{np.dtype(dtype).name} {wanted}"
        )
    return np.array(array, dtype=dtype, order="C")
