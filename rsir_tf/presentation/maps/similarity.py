"""How near each place of a scene is to a query, as a georeferenced raster and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation.drawing import blend, scaled_size
from rsir_tf.presentation.scale_bars import Ground, draw_ground
from rsir_tf.presentation.sheets import INK, PAPER, Tile, sheet
from rsir_tf.presentation.tables import short_number
from rsir_tf.presentation.targets import check_target
from rsir_tf.presentation.text import font, line_height

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters import Place

SOFTWARE = "rsir_tf similarity map"
"""What stands as the software in a raster that this program wrote (TIFF's tag Software)."""

_COLOURS = "inferno"
"""A colour map of matplotlib whose lightness rises evenly, so that brighter means nearer for colour-blind readers too.
"""

_FARTHEST = 98
"""The percentile of the distances that has the darkest colour: a few far places must not take all the colours."""

_SIDE = 1024
_LEGEND = 16


def check_raster_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where a raster must not be written; call it before the work.

    Args:
        path: The file that the raster will have.
        force: Whether any existing file may be replaced.

    Raises:
        InputError: The ending is not that of a TIFF file.
        ArtifactError: Its folder does not exist, it is a folder, or it is a file that this program did not make.
    """
    check_target(path, (".tif", ".tiff"), _is_own, what="a similarity map", force=force)


def write_similarity(
    path: Path, distances: NDArray[np.float32], place: Place | None, *, unit: str, facts: Mapping[str, str]
) -> None:
    """Write distances as a Cloud Optimized GeoTIFF: one float32 band, tiled, compressed, with overviews.

    Args:
        path: The file; an existing one is replaced, whole or not at all. See `check_raster_target`.
        distances: float32 [H, W], ≥ 0; NaN where nothing is known, which the file names as its nodata value.
        place: Of the raster; None writes one without a coordinate system.
        unit: What a distance is measured in; the band's unit.
        facts: Further tags of the file: name → text.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    height, width = distances.shape
    grid = {} if place is None else {"crs": place.crs, "transform": rasterio.Affine(*place.transform)}
    with written_aside(path, replace=True) as aside, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # Said in words by who has no place to give.
        try:
            with rasterio.open(
                aside, "w", driver="COG", width=width, height=height, count=1, dtype="float32", nodata=float("nan"),
                compress="deflate", predictor="3", blocksize=256, overview_resampling="average", **grid,
            ) as raster:  # fmt: skip
                raster.write(np.asarray(distances, dtype=np.float32), 1)
                raster.set_band_description(1, "distance to the query")
                raster.set_band_unit(1, unit)
                raster.update_tags(TIFFTAG_SOFTWARE=SOFTWARE, UNIT=unit, **facts)
        except RasterioError as error:
            raise ArtifactError(f"{path}: cannot be written: {error}", cure="choose another place") from error


def similarity_picture(
    distances: NDArray[np.float32],
    backdrop: NDArray[np.uint8],
    *,
    title: str,
    unit: str,
    extent: tuple[float, float, float, float] | None = None,
    remarks: tuple[str, ...] = (),
    ground: Ground | None = None,
) -> NDArray[np.uint8]:
    """Draw distances in colours over a grey picture of the scene: the nearest place is the brightest.

    Colours go from the smallest distance to the one below which 98 of 100 places lie; what is farther has the darkest.

    Args:
        distances: float32 [h, w]; NaN where nothing is known, which stays grey.
        backdrop: uint8 [H, W, 3], the scene, of any size.
        title: Of the picture.
        unit: What a distance is measured in.
        extent: (left, top, right, bottom) of the scene in pixels of the raster of distances, which may begin before the
            scene and end beyond it; None where both cover the same ground.
        remarks: Lines of text below the legend.
        ground: Of the backdrop, where its place is known: a scale bar and an arrow to the north are drawn.

    Returns:
        uint8 [H', W', 3], RGB, about 1,024 pixels a side.

    Raises:
        InputError: No distance is known.
    """
    import cv2
    from matplotlib import colormaps

    known = np.isfinite(distances)
    if not known.any():
        raise InputError("no place of the scene has a distance", wanted="one at least")
    low, high = float(distances[known].min()), float(np.percentile(distances[known], _FARTHEST))
    table = (np.asarray(colormaps[_COLOURS](np.arange(256)))[:, :3] * 255).round().astype(np.uint8)
    height, width = scaled_size(backdrop.shape, _SIDE)
    left, top, right, bottom = extent or (0, 0, *distances.shape[::-1])
    rows, columns = _nearest(top, bottom, height), _nearest(left, right, width)
    nearness = (high - np.clip(np.where(known, distances, high), low, high)) / max(high - low, 1e-12)
    colours = table[(nearness * 255).round().astype(np.uint8)][np.ix_(rows, columns)]
    grey = cv2.cvtColor(cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    under = np.repeat(grey[..., None], 3, axis=2)
    # The scene shows through as light and shade: it is dimmed, so that brightness still says near or far.
    picture = np.where(known[np.ix_(rows, columns)][..., None], blend(under // 2, colours, 0.75), under)
    if ground is not None:
        picture = draw_ground(picture, ground.scaled(width / backdrop.shape[1]))
    side = max(height, width)
    tiles = [[Tile(picture)], [Tile(_legend(table, low, high, unit, side))]]
    return sheet(tiles, title=title, footer=remarks, side=side)


def _nearest(first: float, last: float, count: int) -> NDArray[np.int64]:
    """Numbers of the raster's pixels at the middles of `count` pixels that share a stretch of it."""
    return np.floor(first + (np.arange(count) + 0.5) / count * (last - first)).astype(np.int64)


def _legend(table: NDArray[np.uint8], low: float, high: float, unit: str, width: int) -> NDArray[np.uint8]:
    """The colours from near to far with the distances that they stand for: uint8 [h, width, 3]."""
    from PIL import Image, ImageDraw

    face, line = font(13), line_height(13)
    page = Image.new("RGB", (width, _LEGEND + 4 + line), PAPER)
    colours = table[np.linspace(255, 0, width).round().astype(int)]
    page.paste(Image.fromarray(np.repeat(colours[None], _LEGEND, axis=0)), (0, 0))
    draw = ImageDraw.Draw(page)
    texts = [
        f"{short_number(low)} (nearest)",
        f"{short_number((low + high) / 2)}  {unit}",
        f"{short_number(high)} and farther",
    ]
    for text, share in zip(texts, (0.0, 0.5, 1.0), strict=True):
        face.draw(draw, (round(share * (width - face.getlength(text))), _LEGEND + 4), text, INK)
    return np.asarray(page)


def _is_own(path: Path) -> bool:
    """Whether a file is a raster that `write_similarity` wrote."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as raster:
            return bool(raster.tags().get("TIFFTAG_SOFTWARE") == SOFTWARE)
    except RasterioError:
        return False
