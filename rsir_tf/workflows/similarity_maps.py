"""How near each place of a scene is to a query: to the whole image, or to one of its regions."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.errors import InputError
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import HeldBlock, ImageFeatures, layers_read, options_of
from rsir_tf.ranking.candidates import wanted_positions
from rsir_tf.ranking.scheme import FIELDS
from rsir_tf.ranking.searching import checked_query
from rsir_tf.ranking.whole_archives import all_distances
from rsir_tf.rasters import (
    MISSING,
    Place,
    RasterSource,
    Reading,
    Window,
    content_hash,
    preview,
    read_pixels,
    resize_pixels,
    windows_of,
)
from rsir_tf.workflows.describing import Described, describe_prediction
from rsir_tf.workflows.query_windows import query_reading
from rsir_tf.workflows.sliding_region import cell_distances, pooled_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.index import ImageEntry
    from rsir_tf.ranking import Index, Scheme
    from rsir_tf.workflows.query_results import QueryResult

By = Literal["windows", "cells"]

PICTURE_SIDE = 1024
"""Pixels of the longer side of the scene in a map's picture."""


@dataclass(frozen=True, slots=True)
class SimilarityMap:
    """How near each place of a scene is to a query.

    Attributes:
        scene: The scene, whole.
        distances: float32 [h, w]; NaN where nothing is known.
        place: Of this raster on Earth; None where the scene's place is not known.
        step: Pixels of the scene to a pixel of this raster, along each axis.
        corner: (x, y), the pixel of the scene at which the raster begins; not (0, 0) for windows of a common grid.
        unit: What distances are measured in: "L1", "L2" or "cosine", or the scheme's name where it has no metric.
        facts: What was compared with what, and how: texts by name.
        held: Number of windows whose descriptors the index had.
        described: Number of windows that the model was asked for.
    """

    scene: RasterSource
    distances: NDArray[np.float32]
    place: Place | None
    step: int
    corner: tuple[int, int]
    unit: str
    facts: dict[str, str]
    held: int = 0
    described: int = 0


def similarity_map(
    result: QueryResult,
    scene: str | os.PathLike[str],
    index: Index,
    model: Model,
    *,
    by: By = "windows",
    reading: Reading | None = None,
    progress: Progress = silent,
) -> SimilarityMap:
    """Measure how near each place of a scene is to what a query asked with.

    By windows, each window of the scene is an image that the query's scheme measures. A pixel of the map is as large as
    the step from window to window, and has the mean distance of the windows that hold its middle: where windows
    overlap, a place is bright if all windows around it are near. Windows whose descriptors the index has are not
    described again.

    By cells, the vector of one region is measured against conv5_3 pooled over a square of cells, about as large as the
    region, around each cell: by L2, as Eq. 3 measures two regions. A pixel of the map is 16 pixels of the scene.

    Args:
        result: From `query_image`.
        scene: A file or URL that is read as a scene.
        index: The one that was asked.
        model: The same as for `query_image`.
        by: "windows", or "cells" where one region was asked with.
        reading: How the scene is read; None reads it as the index's images were. By windows it needs a tiling.
        progress: Called after each window.

    Raises:
        InputError: The scene cannot be read, is not cut into windows, or shows nothing; or cells are compared where no
            single region is asked with, or where the index resizes its images.
        MismatchError: A server holds another model than before.
        ModelError: The model does not answer.
    """
    reading = reading or query_reading(index)
    whole = RasterSource(os.fspath(scene), reading.recipe, tile_names=reading.tile_names)
    facts = {
        "QUERY": result.query,
        "QUERY_REGIONS": ", ".join(f"{at} ({result.class_names[result.regions.classes[at]]})" for at in result.asked),
        "SCHEME": result.scheme,
        "SCENE": str(whole),
        "READING": reading.describe(),
        "MODEL_ID": index.settings.model_id,
        "INDEX": str(index.path),
    }
    facts = {name: text for name, text in facts.items() if text}
    if by == "cells":
        return _by_cells(result, whole, index, model, facts, progress)
    return _by_windows(result, whole, reading, index, model, facts, progress)


def _by_cells(
    result: QueryResult, whole: RasterSource, index: Index, model: Model, facts: dict[str, str], progress: Progress
) -> SimilarityMap:
    if len(result.asked) != 1:
        raise InputError(
            f"{result.query}: "
            + (f"asks with {len(result.asked)} regions" if result.asked else "is compared as a whole, by no region"),
            wanted="one region to compare with cells",
            cure="pick one with --at or --region, or compare windows",
        )
    if index.settings.resize is not None:
        height, width = index.settings.resize
        raise InputError(
            f"{index.path}: its images were resized to {height}×{width} pixels",
            wanted="images of their own size where cells are compared",
            cure="compare windows, which are resized as the index's images were",
        )
    if index.settings.pooling == "rmac":
        raise InputError(
            f"{index.path}: pools by rmac, which needs windows of a whole image",
            wanted="another pooling where cells are compared",
            cure="compare windows, or make an index with --pooling max, gem or mean",
        )
    (region,) = result.features.recnn
    side = pooled_side(int(result.regions.areas[result.asked[0]]))
    pooling = index.settings.pooling
    distances = cell_distances(region, side, whole, model, pooling=pooling, progress=progress)
    if not np.isfinite(distances).any():
        raise InputError(f"{whole}: has no valid pixel", wanted="a scene that shows something")
    place = _scaled(whole.place, (0, 0), STRIDE)
    square = f"{side}×{side} cells of conv5_3" if side > 1 else "a cell of conv5_3"
    facts = {
        **facts,
        "COMPARED": f"the region with {square} at each place; a cell has {STRIDE} pixels of the scene a side",
    }
    return SimilarityMap(whole, distances, place, STRIDE, (0, 0), "L2", facts)


def _by_windows(
    result: QueryResult,
    whole: RasterSource,
    reading: Reading,
    index: Index,
    model: Model,
    facts: dict[str, str],
    progress: Progress,
) -> SimilarityMap:
    tiling = reading.tiling
    if tiling is None:
        sizes = {*zip(index.images.heights.tolist(), index.images.widths.tolist(), strict=True)}
        size = f" (the index's images are {min(sizes)[1]}×{min(sizes)[0]} pixels)" if len(sizes) == 1 else ""
        raise InputError(f"{whole}: is not cut into windows", cure=f"say how large they are with --tile{size}")
    windows = list(windows_of(whole.path, reading))
    if not windows:
        raise InputError(
            f"{whole}: no window has {tiling.min_valid:.0%} valid pixels", cure="lower --min-valid, or check the scene"
        )
    measuring = _Measuring(result.ranking, result.features, index, model)
    distances = measuring.distances(windows, progress)
    boxes = _boxes(windows, whole.place)
    start = boxes[0][:2] if tiling.grid else (0, 0)
    corner, values = spread(boxes, distances, whole.shape, tiling.step, start)
    facts = {**facts, "COMPARED": f"{tiling.describe()}, the mean where they overlap"}
    place = _scaled(whole.place, corner, tiling.step)
    held = len(windows) - measuring.described
    return SimilarityMap(
        whole, values, place, tiling.step, corner, _unit(result.ranking), facts, held, measuring.described
    )


def write_similarity_map(found: SimilarityMap, to: Path) -> Path:
    """Write a map as a GeoTIFF, and a picture of it over the scene beside it.

    Args:
        found: From `similarity_map`.
        to: The GeoTIFF, .tif; an existing one is replaced.

    Returns:
        The picture, which has the same name with the ending .png.

    Raises:
        InputError: The scene cannot be read any more.
        ArtifactError: A file cannot be written.
    """
    from rsir_tf.presentation.maps.similarity import similarity_picture, write_similarity
    from rsir_tf.presentation.picture_files import save_picture
    from rsir_tf.presentation.scale_bars import ground_of

    write_similarity(to, found.distances, found.place, unit=found.unit, facts=found.facts)
    height, width = found.scene.shape
    backdrop = preview(found.scene, PICTURE_SIDE).values
    place = found.scene.place
    ground = None if place is None else ground_of(place, (height, width))
    x, y = found.corner
    regions = found.facts.get("QUERY_REGIONS", "")
    asked = f"region {regions} of " if regions and ", " not in regions else ""
    picture = similarity_picture(
        found.distances,
        backdrop,
        title=f"{Path(str(found.scene)).name}: how near each place is to {asked}{Path(found.facts['QUERY']).name}",
        unit=f"{found.unit} distance, {found.facts['SCHEME']}",
        extent=(-x / found.step, -y / found.step, (width - x) / found.step, (height - y) / found.step),
        remarks=(f"Compared: {found.facts['COMPARED']}.",),
        ground=None if ground is None else ground.scaled(backdrop.shape[1] / width),
    )
    beside = to.with_suffix(".png")
    save_picture(beside, picture)
    return beside


class _Measuring:
    """Distances of windows by a scheme: from the index's descriptors where it has them, or else from the model's."""

    def __init__(self, scheme: Scheme, query: ImageFeatures, index: Index, model: Model) -> None:
        self.scheme, self.index, self.model = scheme, index, model
        self.query = checked_query(index, query, scheme)
        self.described = 0

    def distances(self, windows: Sequence[RasterSource], progress: Progress) -> NDArray[np.float64]:
        """float64 [k]; NaN where a window has no region to compare."""
        found = np.full(len(windows), np.nan)
        rows = self._rows(windows)
        held = rows >= 0
        if held.any():
            wanted, _ = wanted_positions(self.index, rows[held])
            (measured,) = all_distances(self.scheme, self.index.vectors, [self.query], wanted)
            found[held] = measured[self.index.vectors.positions[rows[held]]]
        waiting: deque[tuple[int, NDArray[np.bool_] | None]] = deque()

        def images() -> Iterator[NDArray[np.uint8]]:
            for at in np.flatnonzero(~held).tolist():
                pixels = read_pixels(windows[at])
                twin = self.index.find_content(content_hash(pixels))
                if twin is None:
                    seen = resize_pixels(pixels, self.index.settings.resize)
                    waiting.append((at, seen.valid))
                    yield seen.values
                else:
                    found[at] = self._distance(_features(twin))

        layers = layers_read(self.scheme)
        for prediction in self.model.predict_stream(images(), *([layers] if layers else [])):
            at, valid = waiting.popleft()
            described = describe_prediction(prediction, self.index.settings, valid)
            found[at] = self._distance(_features(described))
            self.described += 1
            progress(at + 1, len(windows), str(windows[at]))
        return np.where(np.isfinite(found), found, np.nan)

    def _rows(self, windows: Sequence[RasterSource]) -> NDArray[np.int64]:
        """Rows of the windows in the index, int64 [k]; −1 where it has none, or the scene has changed since then."""
        images, stamp = self.index.images, windows[0].fingerprint
        if stamp == MISSING:
            return np.full(len(windows), -1)
        known = zip(images.paths, images.file_sizes, images.modified_ns, strict=True)
        held = {address: row for row, (address, *found) in enumerate(known) if tuple(found) == stamp}
        return np.array([held.get(window.address, -1) for window in windows])

    def _distance(self, image: ImageFeatures) -> float:
        if self.scheme.asks_with == "regions" and not len(image):
            return np.nan
        # Rounded to the index's number type, as the windows that it holds are.
        rounded = checked_query(self.index, image, self.scheme)
        return float(self.scheme.distances(self.query, HeldBlock([rounded]))[0])


def _features(image: Described | ImageEntry) -> ImageFeatures:
    """What schemes read of an image that was described."""
    if isinstance(image, Described):
        return image.features()
    return ImageFeatures(**{name: getattr(image, name) for name in FIELDS})


def spread(
    windows: Sequence[Window],
    distances: NDArray[np.float64],
    shape: tuple[int, int],
    step: int,
    start: tuple[int, int] = (0, 0),
) -> tuple[tuple[int, int], NDArray[np.float32]]:
    """Spread the distances of windows over the scene: each place has the mean of the windows that hold its middle.

    Args:
        windows: (x, y, width, height) of each, in pixels of the scene.
        distances: float64 [k]; NaN where a window has none.
        shape: (height, width) of the scene.
        step: Pixels of the scene to a place, along each axis.
        start: (x, y), where a window begins that is not shifted inwards at the border.

    Returns:
        (x, y), the pixel of the scene at which the places begin, and float32 [⌈height / step⌉, ⌈width / step⌉] or one
        more along an axis whose windows begin before the scene; NaN where nothing is known.
    """
    corner = (start[0] % step - step if start[0] % step else 0, start[1] % step - step if start[1] % step else 0)
    middles = [
        np.clip(np.arange(begin, length, step) + step / 2, 0.5, length - 0.5)
        for begin, length in zip(corner, shape[::-1], strict=True)
    ]
    total, count = np.zeros((2, len(middles[1]), len(middles[0])))
    for (x, y, width, height), distance in zip(windows, distances.tolist(), strict=True):
        if np.isfinite(distance):
            columns = slice(*np.searchsorted(middles[0], (x, x + width)))
            rows = slice(*np.searchsorted(middles[1], (y, y + height)))
            total[rows, columns] += distance
            count[rows, columns] += 1
    values = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return corner, values.astype(np.float32)


def _boxes(windows: Sequence[RasterSource], scene: Place | None) -> list[Window]:
    """(x, y, width, height) of each window, counted from the scene's first pixel: a warped grid may begin elsewhere."""
    boxes = [window.window for window in windows if window.window is not None]
    first = windows[0].place
    if scene is None or first is None:
        return boxes
    a, b, c, d, e, f = scene.transform
    x, y = np.linalg.solve([[a, b], [d, e]], [first.transform[2] - c, first.transform[5] - f])
    across, down = round(x) - boxes[0][0], round(y) - boxes[0][1]
    return [(left + across, top + down, width, height) for left, top, width, height in boxes]


def _scaled(place: Place | None, corner: tuple[int, int], step: int) -> Place | None:
    """The place of a raster that begins at a pixel of an image and has one pixel for `step` × `step` of its pixels."""
    if place is None:
        return None
    a, b, c, d, e, f = place.transform
    x, y = corner
    return Place(place.crs, (a * step, b * step, a * x + b * y + c, d * step, e * step, d * x + e * y + f))


def _unit(scheme: Scheme) -> str:
    metric = str(options_of(scheme).get("metric") or (scheme.metrics[0] if len(scheme.metrics) == 1 else scheme.name))
    return metric.upper() if metric in {"l1", "l2"} else metric
