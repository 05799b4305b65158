"""From a scene of any size to a map of its classes, window by window."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.presentation.maps.class_raster import UNKNOWN, Classes, class_raster
from rsir_tf.presentation.maps.vector_files import check_areas, write_areas
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import MIN_SIDE, RasterSource, read_pixels
from rsir_tf.rasters.places import moved, pixel_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.rasters import Place

WINDOW = 2624
"""Pixels a side that the model sees at most at a time: see `MARGIN`. An FCN-8s takes about 1 GB for each million."""

MARGIN = 160
"""Pixels at each cut side of a window whose classes are not kept, because the network sees too little around them.

Measured in presentation/maps/README.md: with this margin, fewer than 0.1% of the pixels get another class than in one
large window, where windows have 1024 pixels a side or more. A window of `WINDOW` keeps 2304 of 2624 pixels a side, so
that a scene costs at most (2624 / 2304)² = 1.3 times what it would without a margin.
"""

_BLOCK, _SMALLEST = 256, 16  # pixels a side of blocks in which the size of a pixel on the ground is measured
_DOWN, _ACROSS = np.array([(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75), (0.5, 0.5)]).T  # where in a block
_ALIKE = 1.01  # the largest ratio of pixels in a block that are taken to be equally large

STRIDE = 32
"""Pixels: an FCN-8s halves an image five times, so that only windows that begin at multiples of it see the same."""


@dataclass(frozen=True, slots=True)
class ClassArea:
    """How much of a scene one class covers.

    Attributes:
        index: Of the class: its value in the raster.
        name: Of the class.
        colour: "#RRGGBB", as the raster shows it.
        pixels: How many have this class.
        share: Of the pixels whose class is known, 0 to 1.
        square_metres: On the ground; None where the scene has no place.
    """

    index: int
    name: str
    colour: str
    pixels: int
    share: float
    square_metres: float | None


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """What `segment_scene` did.

    Attributes:
        source: What was segmented, in words.
        to: The class raster.
        width: Of the raster in pixels.
        height: Of the raster in pixels.
        crs: Its coordinate reference system; None where the scene has no place.
        transform: As in `Place`; None where the scene has no place.
        model_id: Of the model.
        recipe: How the source was read; {} where as it is.
        window: Largest side of a window in pixels.
        margin: Pixels at each cut side that were not kept.
        windows: How many the model saw; windows without a valid pixel are not asked about.
        classes: All of the model, in its order.
        unknown: Pixels that show nothing (nodata, masked, transparent): their class is not known.
        polygons: The file of polygons; None where none was asked for.
        areas: How many polygons it holds.
        areas_left_out: How many have no outline in longitude and latitude, because they reach beyond the Earth as the
            scene's projection shows it, or around both poles.
        notes: What is worth telling of the source.
    """

    source: str
    to: str
    width: int
    height: int
    crs: str | None
    transform: tuple[float, ...] | None
    model_id: str
    recipe: dict[str, Any]
    window: int
    margin: int
    windows: int
    classes: tuple[ClassArea, ...]
    unknown: int
    polygons: str | None = None
    areas: int | None = None
    areas_left_out: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Part:
    """A window of a scene and the part of it that is kept.

    Attributes:
        x: First column of the window.
        y: First row.
        width: Of the window.
        height: Of the window.
        kept: (left, top, right, bottom) in the scene's pixels, half-open. All kept parts together are the scene.
    """

    x: int
    y: int
    width: int
    height: int
    kept: tuple[int, int, int, int]


def plan_windows(shape: tuple[int, int], window: int = WINDOW, margin: int = MARGIN) -> list[Part]:
    """Divide a scene into windows that overlap by twice the margin, row by row.

    Windows are as large as they may be, so that memory does not depend on the scene's size; but the last two of a row
    and of a column are as equal as starts at multiples of 32 allow, so that none is a mere strip. There is no margin at
    the scene's own border, since one large window would see no more there.

    Args:
        shape: (height, width) of the scene.
        window: Largest side of a window in pixels.
        margin: Pixels at each cut side that are not kept.

    Raises:
        InputError: The margin is negative or no multiple of 16, or the window is not larger than it takes to keep 32
            pixels.
    """
    if margin < 0 or margin % 16:
        raise InputError(f"a margin of {margin} pixels", wanted="a multiple of 16, at least 0")
    if window < 2 * margin + STRIDE:
        raise InputError(f"a window of {window} pixels", wanted=f"at least {2 * margin + STRIDE}: 32 and two margins")
    rows, columns = (_divide(length, window, margin) for length in shape)
    return [
        Part(x, y, right - x, bottom - y, (first, top, last, low))
        for y, bottom, top, low in rows
        for x, right, first, last in columns
    ]


def _divide(length: int, window: int, margin: int) -> list[tuple[int, int, int, int]]:
    """Windows along one axis: begin, end, and begin and end of what is kept."""
    if length <= window:
        return [(0, length, 0, length)]
    most = (window - 2 * margin) // STRIDE * STRIDE
    starts = list(range(0, length - 2 * margin, most))
    left = length - 2 * margin - starts[-2]  # for the last two
    starts[-1] = starts[-2] + -(-left // (2 * STRIDE)) * STRIDE
    ends = [start + 2 * margin for start in starts[1:]]
    kept = [0, *(end - margin for end in ends), length]
    return list(zip(starts, [*ends, length], kept[:-1], kept[1:], strict=True))


def segment_scene(
    source: RasterSource,
    model: Model,
    to: Path,
    *,
    window: int = WINDOW,
    margin: int = MARGIN,
    polygons: Path | None = None,
    progress: Progress = silent,
) -> SegmentSummary:
    """Ask a model for the class of each pixel of a scene and write the classes as a raster.

    Memory does not grow with the scene's size but for one bit a pixel where polygons are asked for, and for those. The
    files appear when they are complete, and replace older ones.

    Args:
        source: A whole scene, or an ordinary picture.
        model: From `rsir_tf.connect` or `rsir_tf.load`.
        to: The class raster, on the source's own grid: .tif for a GeoTIFF, .png for a picture with a palette; see
            `class_raster`.
        window: Largest side of what the model sees at a time, in pixels.
        margin: Pixels at each cut side of a window that are not kept.
        polygons: A file for the areas as polygons too; see `write_areas`.
        progress: Called after each window.

    Raises:
        InputError: The source cannot be read, the windows are impossible, or a format cannot hold the result.
        ModelError: The model does not answer.
        MismatchError: A server holds another model than before.
        ArtifactError: A file cannot be written.
    """
    from rsir_tf.archives import class_colours

    shape, place = source.shape, source.place
    parts = plan_windows(shape, window, margin)
    if polygons is not None:
        check_areas(polygons, place)
    description = model.describe()
    classes = Classes(description.class_names, class_colours(description.class_names))
    about = {
        "MODEL_ID": description.model_id,
        "SOURCE": Path(str(source)).name,
        "READING": source.recipe.describe() or "as it is",
        "WINDOWS": f"{window} pixels a side at most, of which a margin of {margin} is not kept",
    }
    square_metres = np.zeros(256)
    windows, areas, left_out = 0, None, 0
    with class_raster(to, shape, place, classes, about) as raster:
        if polygons is not None:

            def follow(complete: Path) -> None:
                nonlocal areas, left_out
                progress(len(parts), len(parts), "following borders")
                areas, left_out = write_areas(polygons, complete, place, classes.names, nothing=UNKNOWN, about=about)

            raster.then(follow)
        progress(0, len(parts), str(source))
        done = itertools.count(1)  # enumerate would keep a window's classes until it has those of the next.
        for part, known in _predicted(source, model, parts):
            left, top, right, bottom = part.kept
            kept = np.full((bottom - top, right - left), UNKNOWN, np.uint8)
            if known is not None:
                windows += 1
                kept = known[top - part.y : bottom - part.y, left - part.x : right - part.x]
            raster.put(left, top, kept)
            if place is not None:
                square_metres += _square_metres(kept, moved(place, left, top))
            del known, kept
            progress(next(done), len(parts), str(source))
    counts = raster.counts
    total = max(1, int(counts[:UNKNOWN].sum()))
    return SegmentSummary(
        source=str(source),
        to=str(to),
        width=shape[1],
        height=shape[0],
        crs=None if place is None else place.crs,
        transform=None if place is None else place.transform,
        model_id=description.model_id,
        recipe=source.recipe.to_json(),
        window=window,
        margin=margin,
        windows=windows,
        classes=tuple(
            ClassArea(
                index=index,
                name=name,
                colour="#" + "".join(f"{band:02X}" for band in classes.colours[index]),
                pixels=int(counts[index]),
                share=int(counts[index]) / total,
                square_metres=None if place is None else float(square_metres[index]),
            )
            for index, name in enumerate(classes.names)
        ),
        unknown=int(counts[UNKNOWN]),
        polygons=None if polygons is None else str(polygons),
        areas=areas,
        areas_left_out=left_out,
        notes=source.notes,
    )


def _predicted(
    source: RasterSource, model: Model, parts: list[Part]
) -> Iterator[tuple[Part, NDArray[np.uint8] | None]]:
    """The classes of each window, in order; None of a window without a valid pixel."""
    waiting: deque[tuple[Part, NDArray[np.bool_] | None]] = deque()
    empty: deque[Part] = deque()
    onto = source.place if source.recipe.resolution is not None else None

    def images() -> Iterator[NDArray[np.uint8]]:
        for part in parts:
            pixels = read_pixels(replace(source, window=(part.x, part.y, part.width, part.height), onto=onto))
            if pixels.valid is not None and not pixels.valid.any():
                empty.append(part)
                continue
            waiting.append((part, pixels.valid))
            read = [pixels.values]  # Popped, it is not kept until the next is read, as a variable would be.
            del pixels
            lacking = [(0, max(0, MIN_SIDE - side)) for side in read[0].shape[:2]]
            yield np.pad(read.pop(), [*lacking, (0, 0)], mode="symmetric") if np.any(lacking) else read.pop()

    for segmentation in model.segment_stream(images()):
        part, valid = waiting.popleft()
        while empty:
            yield empty.popleft(), None
        known = segmentation[: part.height, : part.width]
        if valid is not None:
            known = np.where(valid, known, np.uint8(UNKNOWN))
        del segmentation
        yield part, known
        del known
    while empty:
        yield empty.popleft(), None


def _square_metres(classes: NDArray[np.uint8], place: Place) -> NDArray[np.float64]:
    """Square metres on the ground of each value, float64 [256].

    Blocks whose pixels differ in size are divided, and at last each pixel is measured. One that is partly not on Earth
    counts 0.
    """
    found = np.zeros(256)
    uneven: list[_Block] = []
    blocks = _cut((0, 0, *classes.shape), _BLOCK)
    while blocks := [block for block in blocks if (classes[_within(block)] != UNKNOWN).any()]:
        top, left, bottom, right = np.array(blocks).T[..., None]
        sizes = pixel_areas(place, left + _ACROSS * (right - left), top + _DOWN * (bottom - top))
        alike = sizes.max(axis=1) <= _ALIKE * sizes.min(axis=1)  # NaN is not.
        for block, size in zip(itertools.compress(blocks, alike), sizes[alike].mean(axis=1), strict=True):
            found += np.bincount(classes[_within(block)].ravel(), minlength=256) * size
        others = list(itertools.compress(blocks, ~alike))
        small = [max(low - y, last - x) <= _SMALLEST for y, x, low, last in others]
        uneven += itertools.compress(others, small)
        large = itertools.compress(others, np.logical_not(small))
        blocks = [part for block in large for part in _cut(block, max(block[2] - block[0], block[3] - block[1]) // 2)]
    for block in uneven:
        rows, columns = np.mgrid[_within(block)]
        areas = pixel_areas(place, columns + 0.5, rows + 0.5)
        found += np.bincount(classes[_within(block)].ravel(), np.nan_to_num(areas).ravel(), minlength=256)
    return found


_Block = tuple[int, int, int, int]
"""(top, left, bottom, right), half-open."""


def _cut(block: _Block, side: int) -> list[_Block]:
    """Divide a block into blocks of at most a side."""
    top, left, bottom, right = block
    return [
        (y, x, min(y + side, bottom), min(x + side, right))
        for y in range(top, bottom, side)
        for x in range(left, right, side)
    ]


def _within(block: _Block) -> tuple[slice, slice]:
    top, left, bottom, right = block
    return slice(top, bottom), slice(left, right)
