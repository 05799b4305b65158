#!/usr/bin/env python
"""Measure what scenes cost: reading, memory, overlap, bytes over HTTP; and that pixels and polygons agree.

    python scripts/benchmark_scenes.py [--part reading memory overlap http round_trip] [--size 20000]
        [--command index segment] [--imagery FILE] [--saved-model DIR] [--work DIR] [--json]

reading     windows of a tiled GeoTIFF, read by a source, beside rasterio reading the same blocks in the order of the
            file; two threads each, in turn
memory      the largest memory of `rsir-tf index` and `rsir-tf segment` (--command names one) for scenes of a quarter,
            half and all of the size a side: the whole resident memory, and its anonymous part. The rest are pages of
            files (libraries, and files of the index), which the system may take away at any time.
overlap     the time of `rsir-tf segment` at its default overlap, beside that of the same scene without overlap
http        bytes that a server sends for one window of a COG, beside those of the blocks that the window touches
round_trip  a class raster's pixels beside the polygons at their places; corners of footprints beside rasterio's

Scenes are made of FILE, which is repeated with turns and flips; without it, of coloured noise. The model is a process
that answers any image at once with the same classes and features. For `overlap` it waits as long as a network would
compute, in proportion to the pixels; --saved-model takes a real one for that part.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

CLASSES = 17
PIECE = 1024
BLOCK = 256
MEASURED = ("index", "segment")
SECONDS_PER_PIXEL = 4e-6
"""Of a network on two cores: 0.26 s for 256×256 pixels."""


class Imagery:
    """Pieces of real imagery, endlessly repeated: turned, and a little brighter or darker, so that few are equal."""

    def __init__(self, file: Path | None) -> None:
        random = np.random.default_rng(0)
        if file is None:
            coarse = random.integers(0, 256, (3, PIECE // 16, PIECE // 16)).repeat(16, 1).repeat(16, 2)
            noisy = [np.clip(np.roll(coarse, turn, 1) + random.normal(0, 12, coarse.shape), 0, 255) for turn in (0, 99)]
            self.pieces = [each.astype(np.uint8) for each in noisy]
        else:
            with rasterio.open(file) as dataset:
                corners = [
                    (x, y)
                    for y in range(0, dataset.height - PIECE + 1, PIECE)
                    for x in range(0, dataset.width - PIECE + 1, PIECE)
                ]
                if not corners or dataset.count < 3 or dataset.dtypes[0] != "uint8":
                    raise SystemExit(f"{file}: wanted 8-bit RGB of at least {PIECE} pixels a side")
                self.pieces = [dataset.read([1, 2, 3], window=Window(x, y, PIECE, PIECE)) for x, y in corners]

    def piece(self, row: int, column: int) -> np.ndarray:
        number = row * 7 + column * 3
        turned = np.rot90(self.pieces[number % len(self.pieces)], number % 4, (1, 2))
        return np.clip(turned.astype(np.int16) + (row * 11 + column) % 61 - 30, 0, 255).astype(np.uint8)


def make_scene(imagery: Imagery, file: Path, side: int, **options: Any) -> Path:
    """A square tiled GeoTIFF with a place, JPEG inside unless told otherwise."""
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True,
        "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "jpeg", "photometric": "ycbcr", "crs": "EPSG:32645",
        "transform": rasterio.Affine(0.3, 0, 360_000, 0, -0.3, 3_060_000), **options,
    }  # fmt: skip
    if file.exists():
        return file
    with rasterio.Env(GDAL_CACHEMAX=256 << 20), rasterio.open(file, "w", **profile) as dataset:
        for y in range(0, side, PIECE):
            for x in range(0, side, PIECE):
                width, height = min(PIECE, side - x), min(PIECE, side - y)
                piece = imagery.piece(y // PIECE, x // PIECE)[:, :height, :width]
                dataset.write(piece, window=Window(x, y, width, height))
    return file


# Reading


def reading(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Ratio of the two rates. Both read every pixel once, in the order of the file, with two threads.

    They take turns, stripe by stripe, so that a busy machine slows both; ratios are medians over the stripes.
    """
    from rsir_tf.rasters import Reading, Tiling, read_pixels, windows_of

    # MiB of decoded blocks that GDAL keeps: so few that every round decodes all of them.
    os.environ["GDAL_CACHEMAX"] = "64"
    found = {}
    for compress in ("jpeg", "deflate"):
        # A deflated scene of full size would be larger than a gigabyte.
        side = options.size if compress == "jpeg" else options.size // 2
        more = {} if compress == "jpeg" else {"photometric": "rgb"}
        file = make_scene(imagery, work / f"{compress}_{side}.tif", side, compress=compress, **more)
        stripes: dict[int, tuple[list[Any], list[Any]]] = {}
        with rasterio.open(file) as dataset:
            for _, block in dataset.block_windows(1):
                stripes.setdefault(block.row_off // PIECE, ([], []))[0].append(block)
        for window in windows_of(str(file), Reading(tiling=Tiling(BLOCK))):
            assert window.window is not None
            stripes[window.window[1] // PIECE][1].append(window)
        own = threading.local()

        def plain(window: Window, file: Path = file, own: threading.local = own) -> int:
            if not hasattr(own, "dataset"):
                own.dataset = rasterio.open(file)
            return int(own.dataset.read(window=window).size)

        def ours(window: Any) -> int:
            return int(read_pixels(window).values.size)

        taken: dict[str, list[tuple[float, float]]] = {"rasterio": [], "source": []}
        with ThreadPoolExecutor(2) as pool:  # Threads that stay: each opens the file once.
            for turn in range(options.rounds * len(stripes)):
                blocks, windows = stripes[turn % len(stripes)]
                works = [("rasterio", plain, blocks), ("source", ours, windows)]
                for name, read, items in works[:: 1 if turn % 2 else -1]:
                    wall, processor = time.perf_counter(), time.process_time()
                    pixels = sum(pool.map(read, items, chunksize=1)) / 3e6
                    spent = time.perf_counter() - wall, time.process_time() - processor
                    taken[name].append((pixels / spent[0], pixels / spent[1]))
        rates = {name: np.array(values) for name, values in taken.items()}
        wall_ratio, processor_ratio = np.median(rates["source"] / rates["rasterio"], axis=0).tolist()
        found[compress] = {
            "side": side,
            "source_megapixels_per_second": float(np.median(rates["source"][:, 0])),
            "rasterio_megapixels_per_second": float(np.median(rates["rasterio"][:, 0])),
            "ratio": wall_ratio,
            "processor_ratio": processor_ratio,
        }
    return {**found, "ratio": min(each["ratio"] for each in found.values()), "wanted": "ratio >= 0.9"}


# A model that answers at once


def answers(rows: int, height: int, width: int, wanted: list[str]) -> bytes:
    """A reply for images of one size: a patchwork of classes, and features that differ from cell to cell.

    As of TensorFlow Serving, it holds the outputs that are wanted, or all where none is named.
    """
    from rsir_tf.serving.messages import PredictResponse
    from rsir_tf.serving.tensors import encode_reply

    random = np.random.default_rng(0)
    patches = random.integers(0, CLASSES, (rows, -(-height // 64), -(-width // 64)), dtype=np.uint8)
    segmentation = patches.repeat(64, 1).repeat(64, 2)[:, :height, :width]
    response = PredictResponse()
    response.model_spec.version.value = 1
    response.outputs["segmentation"].CopyFrom(encode_reply(np.ascontiguousarray(segmentation)))
    response.outputs["model_id"].CopyFrom(encode_reply(np.array([b"canned"] * rows, dtype=object)))
    if "conv5_3" in (wanted or ["conv5_3"]):
        features = random.random((rows, -(-height // 16), -(-width // 16), 512), dtype=np.float32)
        response.outputs["conv5_3"].CopyFrom(encode_reply(features))
    return bytes(response.SerializeToString())


def serve(pipe: Any) -> None:
    """Answer requests until told to end; "seconds" for each pixel can be changed in between."""
    import grpc
    from benchmark_serving import description, metadata

    from rsir_tf.serving.messages import MAX_MESSAGE, PredictRequest

    replies: dict[tuple[Any, ...], bytes] = {}
    described, signatures = description(), metadata()
    wait = [0.0]
    computing = threading.Lock()

    def predict(request: bytes, context: Any) -> bytes:
        asked = PredictRequest.FromString(request)
        inputs, wanted = asked.inputs, list(asked.output_filter)
        if "images" not in inputs:
            return described
        shape = tuple(side.size for side in inputs["images"].tensor_shape.dim)[:3]
        if (shape, *wanted) not in replies:
            replies[(shape, *wanted)] = answers(*shape, wanted)
        if wait[0]:
            with computing:  # One network computes one request at a time.
                time.sleep(wait[0] * float(np.prod(shape)))
        return replies[(shape, *wanted)]

    handlers = {
        "Predict": grpc.unary_unary_rpc_method_handler(predict),
        "GetModelMetadata": grpc.unary_unary_rpc_method_handler(lambda request, context: signatures),
    }
    options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    while (told := pipe.recv()) is not None:
        wait[0] = told
    server.stop(None).wait()


@contextmanager
def canned_model(seconds_per_pixel: float = 0.0) -> Iterator[str]:
    """HOST:PORT of a server in a process of its own."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        address = f"127.0.0.1:{here.recv()}"
        here.send(seconds_per_pixel)
        yield address
        here.send(None)
    finally:
        server.join(5)
        server.terminate()


def run(*line: object) -> dict[str, float]:
    """Run `rsir-tf` to its end: its seconds, and in MiB the largest resident memory and anonymous memory that it had.

    Linux keeps the maximum of resident memory. Anonymous memory is looked at every 5 ms; it is 0 on other systems.
    """
    program = [sys.executable, "-c", "from rsir_tf.cli import main; main()"]
    start = time.perf_counter()
    process = subprocess.Popen([*program, *map(str, line)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    ended, anonymous = threading.Event(), [0.0]
    looking = threading.Thread(target=watch, args=(process.pid, ended, anonymous))
    looking.start()
    errors = process.stderr.read().decode()
    ended.set()
    looking.join()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"rsir-tf {' '.join(map(str, line))} has failed:\n{errors}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mebibytes": usage.ru_maxrss / 1024, "anonymous_mebibytes": anonymous[0]}


def watch(process: int, ended: threading.Event, largest: list[float]) -> None:
    """Keep the largest anonymous memory of a process in `largest`, until it has ended."""
    file = Path(f"/proc/{process}/status")
    while file.exists() and not ended.wait(0.005):
        found = [int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("RssAnon:")]
        largest[0] = max(largest[0], *(kibibytes / 1024 for kibibytes in found), 0.0)


def memory(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """The largest memory of commands for scenes of three sizes, and how far these are apart."""
    found: dict[str, Any] = {}
    sides = [options.size // 4, options.size // 2, options.size]
    with canned_model() as server:
        for side in sides:
            scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
            with tempfile.TemporaryDirectory(dir=work) as folder:
                index = ("index", scene, "--to", Path(folder, "index"), "--tile", BLOCK, "--server", server)
                segment = ("segment", scene, "--to", Path(folder, "classes.tif"), "--server", server)
                for name, line in (("index", index), ("segment", segment)):
                    if name in options.command:
                        found.setdefault(name, {})[str(side)] = run(*line)
    for name in options.command:
        for ratio, figure in (("ratio", "mebibytes"), ("anonymous_ratio", "anonymous_mebibytes")):
            taken = [found[name][str(side)][figure] for side in sides]
            found[name][ratio] = max(taken) / min(taken) if min(taken) else 0.0
    return {**found, "ratio": max(found[name]["ratio"] for name in options.command), "wanted": "ratio <= 1.1"}


def overlap(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Seconds of `segment` with its default overlap and without any, on the same scene."""
    side = options.size // 4
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    found: dict[str, Any] = {"side": side}
    with canned_model(SECONDS_PER_PIXEL) as server, tempfile.TemporaryDirectory(dir=work) as folder:
        model = ("--saved-model", options.saved_model) if options.saved_model else ("--server", server)
        for name, more in (("default", ()), ("none", ("--margin", 0))):
            target = Path(folder, f"{name}.tif")
            found[name] = run("segment", scene, "--to", target, *more, *model)
    found["ratio"] = found["default"]["seconds"] / found["none"]["seconds"]
    return {**found, "wanted": "ratio <= 1.3"}


# Over HTTP


@contextmanager
def ranges_of(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """A server of a folder's files that answers requests for ranges, and counts what it sends by file and requests."""
    sent: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            file = folder / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            size = file.stat().st_size
            first, last, code = 0, size - 1, 200
            if asked := self.headers.get("Range"):
                begin, _, end = asked.removeprefix("bytes=").partition("-")
                first, last, code = int(begin), min(int(end or last), last), 206
            self.send_response(code)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            if code == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if body:
                sent["requests"] += 1
                sent["bytes"] += last - first + 1
                with file.open("rb") as stream:
                    stream.seek(first)
                    self.wfile.write(stream.read(last - first + 1))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()


def http(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Bytes for windows of a COG, each read by itself, the header included, beside those of the blocks they touch."""
    from rasterio.shutil import copy

    from rsir_tf.rasters import RasterSource, read_pixels

    side = min(options.size, 4096)
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    cog = work / f"cog_{side}.tif"
    if not cog.exists():
        copy(scene, cog, driver="COG", compress="jpeg", blocksize=512, quality=85)
    found = {}
    windows = {
        "one_block": (1024, 512, 256, 256),
        "four_blocks": (900, 1400, 256, 256),
        "aligned": (512, 512, 512, 512),
    }
    with ranges_of(work) as (address, sent):
        for name, (x, y, width, height) in windows.items():
            with rasterio.open(cog) as dataset:
                blocks = [(row, column) for row in range(y // 512, -(-(y + height) // 512))
                          for column in range(x // 512, -(-(x + width) // 512))]  # fmt: skip
                sizes = [int(dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1)) for row, column in blocks]
            sent.clear()
            # A copy of another name each time: nothing is remembered of it.
            alias = work / f"cog_{side}_{name}.tif"
            alias.unlink(missing_ok=True)
            os.link(cog, alias)
            pixels = read_pixels(RasterSource(f"{address}/{alias.name}", window=(x, y, width, height)))
            alias.unlink()
            with rasterio.open(cog) as dataset:
                assert (pixels.values == np.moveaxis(dataset.read(window=Window(x, y, width, height)), 0, 2)).all()
            found[name] = {
                "blocks": len(blocks), "block_bytes": sum(sizes), "bytes": sent["bytes"], "requests": sent["requests"],
                "ratio": sent["bytes"] / sum(sizes),
            }  # fmt: skip
    return {**found, "ratio": max(each["ratio"] for each in found.values()), "wanted": "ratio <= 2"}


# Round trip


def round_trip(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Pixels of a class raster beside the polygons at their places, and corners of footprints beside rasterio's."""
    import pyogrio
    import shapely
    from rasterio.warp import transform

    from rsir_tf.rasters import footprint, open_source

    side = min(options.size, 3000)
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    with canned_model() as server, tempfile.TemporaryDirectory(dir=work) as folder:
        classes, areas = Path(folder, "classes.tif"), Path(folder, "areas.gpkg")
        run("segment", scene, "--to", classes, "--polygons", areas, "--server", server)
        with rasterio.open(classes) as dataset:
            values, grid = dataset.read(1), dataset.transform
        _, _, outlines, (numbers,) = pyogrio.raw.read(areas, columns=["index"])
        shapes = shapely.from_wkb(outlines)
        rows, columns = np.random.default_rng(0).integers(0, side, (2, 20_000))
        x, y = grid * (columns + 0.5, rows + 0.5)
        points, found = shapely.STRtree(shapes).query(shapely.points(x, y), predicate="within")
    once = len(points) == len(rows) and (points == np.arange(len(rows))).all()
    agree = bool(once and (numbers[found] == values[rows[points], columns[points]]).all())
    source = open_source(scene)
    assert source.place is not None
    corners = np.array([(0, 0), (side, 0), (0, side), (side, side)])
    x, y = rasterio.Affine(*source.place.transform) * corners.T
    wanted = np.array(transform(source.place.crs, "EPSG:4326", x, y)).T
    outline = shapely.get_coordinates(footprint(source.place, source.shape))
    apart = np.abs(outline[:, None] - wanted[None]).max(axis=2).min(axis=0).max()
    return {
        "pixels": len(rows), "polygons": len(shapes), "agree": agree, "corner_degrees": float(apart),
        "wanted": "agree, corner_degrees <= 1e-9",
    }  # fmt: skip


PARTS: dict[str, Callable[[argparse.Namespace, Path, Imagery], dict[str, Any]]] = {
    "reading": reading,
    "memory": memory,
    "overlap": overlap,
    "http": http,
    "round_trip": round_trip,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", type=int, default=20_000, help="side of the largest scene in pixels")
    parser.add_argument("--command", nargs="+", choices=MEASURED, default=MEASURED, help="of the part memory")
    parser.add_argument("--rounds", type=int, default=3, help="of reading")
    parser.add_argument("--imagery", type=Path, help="8-bit RGB that scenes are made of")
    parser.add_argument("--saved-model", type=Path, help="a real model for the part overlap")
    parser.add_argument("--work", type=Path, help="keeps the scenes that were made; about 200 MB")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    imagery = Imagery(options.imagery)
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found = {}
        for part in options.part:
            found[part] = PARTS[part](options, work, imagery)
            if not options.json:
                print(f"{part}: {json.dumps(found[part], indent=2)}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
