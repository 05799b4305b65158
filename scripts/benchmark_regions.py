#!/usr/bin/env python
"""Time and memory of region pooling, compared with the plain way: upsample with TensorFlow, then mask each region.

    python scripts/benchmark_regions.py [--size 256] [--channels 512] [--repeats 15] [--convention half_pixel] [--json]

All ways take turns on the same input, so that a busy machine slows all of them; times are medians. Memory is the peak
of one call, with each way in a process of its own (Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.regions import CONVENTIONS, connected_regions, pool_image, pool_regions

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Way = Callable[[Floats, Labels], Floats]


def smooth_labels(size: int, classes: int = 8, seed: int = 0) -> Labels:
    """The regions of a segmentation with smooth outlines: each pixel has the class with the highest smoothed noise."""
    import cv2

    random = np.random.default_rng(seed)
    noise = [random.standard_normal((size, size)).astype(np.float32) for _ in range(classes)]
    return connected_regions(
        np.argmax([cv2.GaussianBlur(layer, (0, 0), 13) for layer in noise], 0).astype(np.uint8)
    ).labels


def ways(convention: str) -> dict[str, Way]:
    """The project's pooling, the plain way with masks, and the plain way with TensorFlow's segment maximum."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def upsampled(features: Floats, labels: Labels) -> tf.Tensor:
        if convention == "half_pixel":
            return tf.image.resize(features[None], labels.shape)[0]
        return tf.compat.v1.image.resize(features[None], labels.shape, align_corners=True)[0]

    def resize_and_masks(features: Floats, labels: Labels) -> Floats:
        values = upsampled(features, labels).numpy()
        return np.stack([values[labels == label].max(axis=0) for label in range(1, labels.max() + 1)])

    def resize_and_segments(features: Floats, labels: Labels) -> Floats:
        values = tf.reshape(upsampled(features, labels), (-1, features.shape[2]))
        return tf.math.unsorted_segment_max(values, labels.ravel(), labels.max() + 1).numpy()[1:]

    return {
        "pool_regions": lambda features, labels: pool_regions(features, labels, convention),
        "resize_and_masks": resize_and_masks,
        "resize_and_segment_maximum": resize_and_segments,
    }


def resident(field: str) -> int:
    """Bytes of this process's memory as Linux counts them: VmRSS is the present value, VmHWM the peak."""
    return 1024 * int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def peak_of_one_call(name: str, arguments: argparse.Namespace) -> int:
    """Peak of bytes during one call. A call on a tiny input before it loads what is loaded only once.

    TensorFlow's tensors are only seen in the resident set; arrays that reuse freed memory are only seen by tracemalloc.
    The larger of the two values counts.
    """
    way = ways(arguments.convention)[name]
    way(np.ones((2, 2, 8), np.float32), np.ones((32, 32), np.int32))
    features, labels = inputs(arguments)
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = resident("VmRSS")
    way(features, labels)
    rise = resident("VmHWM") - before
    tracemalloc.start()
    way(features, labels)
    return max(rise, tracemalloc.get_traced_memory()[1])


def inputs(arguments: argparse.Namespace) -> tuple[Floats, Labels]:
    cells = arguments.size // 16
    noise = np.random.default_rng(1).normal(0, 30, (cells, cells, arguments.channels))
    return np.maximum(noise, 0).astype(np.float32), smooth_labels(arguments.size)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    features, labels = inputs(arguments)
    compared = ways(arguments.convention)
    results = {name: way(features, labels) for name, way in compared.items()}
    seconds: dict[str, list[float]] = {name: [] for name in [*compared, "pool_image"]}
    compared["pool_image"] = lambda features, labels: pool_image(features, labels.shape, arguments.convention)
    for _ in range(arguments.repeats):
        for name, way in compared.items():
            start = time.perf_counter()
            way(features, labels)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    peak = dict.fromkeys(results)
    if Path("/proc/self/clear_refs").exists():
        for name in results:
            command = [sys.executable, __file__, *sys.argv[1:], "--peak-of", name]
            peak[name] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    plain, own = "resize_and_masks", "pool_regions"
    return {
        "size": arguments.size,
        "channels": arguments.channels,
        "convention": arguments.convention,
        "regions": int(labels.max()),
        "milliseconds": {name: round(1000 * value, 2) for name, value in median.items()},
        "megabytes": {name: value and round(value / 1e6, 1) for name, value in peak.items()},
        "times_faster": round(median[plain] / median[own], 1),
        "part_of_memory": peak[own] and peak[plain] and round(peak[own] / peak[plain], 3),
        "largest_difference": float(abs(results[plain] - results[own]).max()),
        "largest_value": float(features.max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels on each side, a multiple of 16")
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--convention", choices=CONVENTIONS, default="half_pixel")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.size < 16 or arguments.size % 16:
        parser.error("--size must be a multiple of 16: the plain way has no padding")
    if arguments.peak_of:
        print(peak_of_one_call(arguments.peak_of, arguments))
        return
    report = measure(arguments)
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{report['regions']} regions, {arguments.size}×{arguments.size} pixels, {arguments.channels} channels")
    for name, milliseconds in report["milliseconds"].items():
        print(f"{name.replace('_', ' '):28} {milliseconds:8.2f} ms {report['megabytes'].get(name) or '-':>8} MB")
    print(f"pool_regions: {report['times_faster']}× faster than resize and masks")
    print(f"pool_regions: {report['part_of_memory']} of the memory of resize and masks")
    print(f"largest difference {report['largest_difference']:.1e} of values up to {report['largest_value']:.0f}")


if __name__ == "__main__":
    main()
