"""Scenes on another grid than their own, by GDAL's warper: at metres a pixel, north up."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal, is_url, open_dataset
from rsir_tf.rasters.layouts import Layout
from rsir_tf.rasters.places import crs_text, ground_resolution, lonlat_to_pixel, moved, pixel_to_lonlat
from rsir_tf.rasters.source import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DISTORTED = 0.02
_SAME = 1e-6  # of a pixel's side
_LONGEST = 2**31 - 1  # pixels a side that GDAL counts
_FINEST = 32  # times: pixels that are made smaller than that show nothing that could be found, and take hours
_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    **{f"{kind.lower()}{bits}": f"{kind}{bits}" for kind in ("UInt", "Int") for bits in (16, 32, 64)},
    "float32": "Float32",
    "float64": "Float64",
}


def scene_grid(
    path: str, layout: Layout, resolution: float, *, common: bool = False
) -> tuple[Place, int, int, int, int]:
    """Choose the grid of a scene that is resampled to metres a pixel.

    North is up. The reference system is the scene's own where it counts lengths on the ground; for longitude and
    latitude, for Mercator projections (Web Mercator's metres are longer than ground metres by 1 / cos(latitude)), and
    where a metre in the scene's middle is off by more than 2%, it is the UTM zone of the scene's middle (WGS 84; the
    polar systems UPS beyond 84° north and 80° south). Pixels' corners lie at multiples of the resolution, so that
    scenes of one reference system share one lattice.

    odc-geo has such grids (`GridSpec`); it is not used, because it brings pyproj and xarray's world along for what is
    one multiplication here.

    Args:
        path: A raster file or URL.
        layout: Its layout.
        resolution: Metres a pixel.
        common: Whether pixels are counted from the origin of the reference system, which gives equal ground equal
            numbers in every scene, and not from the scene's corner.

    Returns:
        The grid's place, and the scene's box in it: first column and row, width and height in pixels. The place is the
        file's own where that is such a grid already.

    Raises:
        InputError: It is not known where the file lies, or its own pixels are more than 32 times as large.
    """
    with _prepared(path, layout) as source:
        crs, unit = _ground_crs(path, source, layout)
        side = resolution / unit
        from rasterio.vrt import WarpedVRT

        with WarpedVRT(source, crs=crs, **_height(source)) as warped:
            bounds = tuple(warped.bounds)
    if not common and layout.place is not None and layout.place.crs == crs_text(crs):
        a, b, _, d, e, _ = layout.place.transform
        if b == d == 0 and abs(a - side) <= _SAME * side and abs(e + side) <= _SAME * side:
            return layout.place, 0, 0, layout.shape[1], layout.shape[0]
    left, bottom, right, top = (edge / side for edge in bounds)
    # An edge that is a multiple but for rounding does not open another row of pixels.
    column, row = math.floor(left + _SAME), math.floor(-top + _SAME)
    width, height = max(1, math.ceil(right - _SAME) - column), max(1, math.ceil(-bottom - _SAME) - row)
    if max(width, height) > _LONGEST:
        raise InputError(f"{path}: would have {width}×{height} pixels of {resolution:g} m", cure="say a coarser one")
    finer = math.sqrt(width * height / math.prod(layout.shape))
    if finer > _FINEST:
        raise InputError(
            f"{path}: its pixels are about {finer * resolution:,.1f} m, {finer:.0f} times as large as {resolution:g} m",
            wanted=f"a resolution that is at most {_FINEST} times as fine as the file's own",
        )
    place = Place(crs_text(crs), (side, 0.0, 0.0, 0.0, -side, 0.0))
    return (place, column, row, width, height) if common else (moved(place, column, row), 0, 0, width, height)


def read_warped(
    path: str, layout: Layout, grid: Place, shape: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Resample a scene's bands to a grid: raw values [bands, H, W] and a mask [H, W] that is 0 where nothing is known.

    Bilinear between valid pixels, and over all pixels that a coarser one covers; palettes by the nearest pixel.
    """
    from affine import Affine
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    # Of several bands, one without a value makes a colour unknown, but for 8-bit files; see `valid_pixels`.
    extras = {"UNIFIED_SRC_NODATA": "YES" if layout.dtype == "uint8" else "PARTIAL"}
    kernel = Resampling.nearest if layout.palette is not None else Resampling.bilinear
    with _prepared(path, layout, grid) as source:
        if layout.place is None:
            values = _from_points(source, layout, grid, shape, kernel, extras)
        else:
            with WarpedVRT(
                source,
                crs=grid.crs,
                transform=Affine(*grid.transform),
                width=shape[1],
                height=shape[0],
                resampling=kernel,
                add_alpha=True,
                warp_extras=extras,
            ) as warped:
                values = warped.read()
    # A band of alpha that is all or nothing, but between masked pixels and others: half of one is enough.
    full = np.iinfo(values.dtype).max if values.dtype in (np.uint8, np.uint16, np.int16) else 255
    return values[:-1], (values[-1] >= full // 2).astype(np.uint8)


def inside(grid: Place, shape: tuple[int, int], layout: Layout) -> bool:
    """Whether an image on a grid lies within a scene, a pixel from its border at least; False where none can say."""
    if layout.place is None:
        return False
    steps = np.linspace(0, 1, 9)
    along, ends = np.meshgrid(steps, [0.0, 1.0])
    columns = np.concatenate([along.ravel(), ends.ravel()]) * shape[1]
    rows = np.concatenate([ends.ravel(), along.ravel()]) * shape[0]
    x, y = lonlat_to_pixel(layout.place, *pixel_to_lonlat(grid, columns, rows), layout.shape)
    return bool(((x >= 1) & (x <= layout.shape[1] - 1) & (y >= 1) & (y <= layout.shape[0] - 1)).all())


def _from_points(
    source: Any, layout: Layout, grid: Place, shape: tuple[int, int], kernel: Any, extras: dict[str, str]
) -> NDArray[Any]:
    """Warp by ground control points or RPCs, which `WarpedVRT` leaves aside where it is given a grid."""
    from affine import Affine
    from rasterio.warp import reproject

    bands = len(set(layout.bands))
    values = np.zeros((bands + 1, *shape), layout.dtype)
    points, crs = source.gcps
    reproject(
        gdal().band(source, list(range(1, bands + 1))),
        values,
        **({"gcps": points, "src_crs": crs} if points else {"rpcs": source.rpcs, "src_crs": "EPSG:4326"}),
        **_height(source),
        src_nodata=source.nodata,
        src_alpha=bands + 1 if layout.masked else 0,
        dst_transform=Affine(*grid.transform),
        dst_crs=grid.crs,
        dst_alpha=bands + 1,
        resampling=kernel,
        **extras,
    )
    return values


def _height(source: Any) -> dict[str, float]:
    """GDAL's option for the height at which RPCs place a scene: that of their middle, since no terrain is known."""
    return {} if source.gcps[0] or not source.rpcs else {"RPC_HEIGHT": source.rpcs.height_off}


@contextlib.contextmanager
def _prepared(path: str, layout: Layout, grid: Place | None = None) -> Iterator[Any]:
    """Open a scene's bands, with the mask, nodata and place of its layout, as one virtual dataset.

    For a coarser grid it is made of the file's overview that is the next finer one, if there is any.
    """
    with open_dataset(path) as dataset:
        level = None
        factors = dataset.overviews(layout.bands[0])
        if grid is not None and layout.place is not None and factors:
            ratio = _coarser(layout.place, layout.shape, grid.crs, grid.transform[:2] + grid.transform[3:5])
            fine = [number for number, factor in enumerate(factors) if factor <= ratio * (1 + _SAME)]
            level = fine[-1] if fine else None
        document = _document(dataset, path, layout, level)
    with open_dataset(path, document) as prepared:
        yield prepared


def _document(dataset: Any, path: str, layout: Layout, level: int | None) -> str:
    """Write a GDAL virtual raster: https://gdal.org/en/stable/drivers/raster/vrt.html."""
    parts = []
    height, width = layout.shape
    if level is not None:
        with gdal().open(path, overview_level=level) as overview:
            height, width = overview.shape
    if layout.place is not None:
        across, down = layout.shape[1] / width, layout.shape[0] / height
        a, b, c, d, e, f = layout.place.transform
        wkt = gdal().crs.CRS.from_user_input(layout.place.crs).to_wkt()
        # GDAL takes longitude for x and latitude for y here, whatever the authority says.
        parts.append(f"<SRS>{escape(wkt)}</SRS>")
        parts.append(
            f"<GeoTransform>{c!r}, {a * across!r}, {b * down!r}, {f!r}, {d * across!r}, {e * down!r}</GeoTransform>"
        )
    elif dataset.gcps[0]:
        points, crs = dataset.gcps
        wkt = quoteattr("" if crs is None else crs.to_wkt())
        parts.append(f"<GCPList Projection={wkt}>")
        parts += [
            f'<GCP Pixel="{p.col!r}" Line="{p.row!r}" X="{p.x!r}" Y="{p.y!r}" Z="{p.z or 0.0!r}"/>' for p in points
        ]
        parts.append("</GCPList>")
    elif dataset.rpcs:
        tags = dataset.tags(ns="RPC").items()
        parts.append('<Metadata domain="RPC">')
        parts += [f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in tags]
        parts.append("</Metadata>")
    name = f'<SourceFilename relativeToVRT="0">{escape(_gdal_name(path))}</SourceFilename>'
    if level is not None:
        name += f'<OpenOptions><OOI key="OVERVIEW_LEVEL">{level}</OOI></OpenOptions>'
    nodata = layout.nodata
    if nodata is None and layout.dtype.startswith("float"):
        nodata = math.nan
    for number, band in enumerate(sorted(set(layout.bands)), 1):
        parts.append(f'<VRTRasterBand dataType="{_TYPES[layout.dtype]}" band="{number}">')
        if nodata is not None:
            parts.append(f"<NoDataValue>{nodata!r}</NoDataValue>")
        parts.append(f"<SimpleSource>{name}<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>")
    if layout.masked and layout.place is None:
        parts.append(f'<VRTRasterBand dataType="Byte" band="{len(set(layout.bands)) + 1}"><ColorInterp>Alpha')
        parts.append(f"</ColorInterp><SimpleSource>{name}<SourceBand>mask,{layout.bands[0]}</SourceBand>")
        parts.append("</SimpleSource></VRTRasterBand>")
    elif layout.masked:
        parts.append('<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>')
        parts.append(f"{name}<SourceBand>mask,{layout.bands[0]}</SourceBand></SimpleSource></VRTRasterBand></MaskBand>")
    return f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{"".join(parts)}</VRTDataset>'


@lru_cache(maxsize=256)
def _coarser(place: Place, shape: tuple[int, int], crs: str, steps: tuple[float, ...]) -> float:
    """How many times a grid's pixels are longer than a scene's, in the scene's middle; 1 where that is not on Earth."""
    lon, lat = pixel_to_lonlat(place, shape[1] / 2, shape[0] / 2)
    a, b, d, e = steps
    x, y = lonlat_to_pixel(Place(crs, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)), lon, lat)
    if not np.isfinite([x, y]).all():
        return 1.0
    return ground_resolution(Place(crs, (a, b, float(x), d, e, float(y))), (0, 0)) / ground_resolution(place, shape)


def _gdal_name(path: str) -> str:
    if is_url(path):
        return f"/vsis3/{path[5:]}" if path.startswith("s3://") else f"/vsicurl/{path}"
    return os.path.abspath(path)


def _ground_crs(path: str, source: Any, layout: Layout) -> tuple[Any, float]:
    """A reference system that counts lengths on the ground, and metres in its unit."""
    from rasterio.crs import CRS

    crs = source.crs or source.gcps[1]
    if layout.place is not None and crs.is_projected and 'PROJECTION["Mercator' not in crs.to_wkt():
        unit = float(crs.linear_units_factor[1])
        a, b, _, d, e, _ = layout.place.transform
        nominal = math.sqrt(abs(a * e - b * d)) * unit
        if abs(ground_resolution(layout.place, layout.shape) / nominal - 1) <= _DISTORTED:
            return crs, unit
    lon, lat = _middle(path, source, layout)
    if lat > 84 or lat < -80:
        return CRS.from_epsg(32661 if lat > 0 else 32761), 1.0
    zone = min(60, int((lon + 180) % 360 // 6) + 1)
    return CRS.from_epsg((32600 if lat >= 0 else 32700) + zone), 1.0


def _middle(path: str, source: Any, layout: Layout) -> tuple[float, float]:
    from rasterio.transform import GCPTransformer, RPCTransformer

    column, row = layout.shape[1] / 2, layout.shape[0] / 2
    if layout.place is not None:
        lon, lat = (float(angle) for angle in pixel_to_lonlat(layout.place, column, row))
    elif source.gcps[0]:
        with GCPTransformer(source.gcps[0]) as transformer:
            x, y = transformer.xy(row, column)
        place = Place(crs_text(source.gcps[1]), (1.0, 0.0, float(x), 0.0, 1.0, float(y)))
        lon, lat = (float(angle) for angle in pixel_to_lonlat(place, 0, 0))
    elif source.rpcs:
        with RPCTransformer(source.rpcs, **_height(source)) as transformer:
            lon, lat = (float(angle) for angle in transformer.xy(row, column))
    else:
        raise InputError(
            f"{path}: does not say where it lies, so that it cannot be resampled to metres a pixel (--resolution, "
            "or that of the index)",
            wanted="a raster with a reference system",
            cure="say --tile-names where its name says its place, or read it without a resolution",
        )
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise InputError(f"{path}: its middle is not on Earth", wanted="a place on Earth")
    return lon, lat


def pixel_offset(place: Place, grid: Place) -> tuple[int, int] | None:
    """(column, row) of a grid's first pixel in a raster with the same pixels; None where they are other pixels."""
    if place.crs != grid.crs:
        return None
    a, b, c, d, e, f = place.transform
    if not np.allclose(
        (a, b, d, e), np.array(grid.transform)[[0, 1, 3, 4]], rtol=_SAME, atol=_SAME * max(abs(a), abs(b))
    ):
        return None
    x, y = grid.transform[2] - c, grid.transform[5] - f
    area = a * e - b * d
    column, row = (e * x - b * y) / area, (a * y - d * x) / area
    if abs(column - round(column)) > 0.01 or abs(row - round(row)) > 0.01:
        return None
    return round(column), round(row)
