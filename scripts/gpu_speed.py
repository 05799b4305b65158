"""Speed of training on a device, for `check_gpu.py`: the step, the input pipeline, both, and what the device allows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from check_gpu import Recipes, Report

    from rsir_tf.archives import Archive
    from rsir_tf.segmentation import TrainingSettings

KEEPS_UP = 0.9
"""Of the images a second of the step alone, with the pipeline beside it."""


def measure_speed(report: Report, options: argparse.Namespace, archives: Recipes) -> None:
    """Images a second of training, for each recipe, crop size and way to compute."""
    sizes = (64,) if options.small else (224, 512)
    batch, steps = (2, 4) if options.small else (32, options.steps)
    ways = [("float32", False), ("mixed_bfloat16", False)][options.small :]
    if options.device == "gpu":
        ways = [("float32", False), ("mixed_float16", False), ("mixed_float16", True)]
    limits = {way: product_rate(way, 256 if options.small else 8192) for way, _ in ways}
    for way, rate in limits.items():
        report.add(f"product of matrices, {way}", teraflops=rate / 1e12)
    for name, (archive, recipe) in archives.items():
        for size in sizes:
            for way, xla in ways:
                many = max(2, batch * 224**2 // size**2) if not options.small else batch
                crops = replace(recipe.crops, size=size, batch=many, per_epoch=many * steps)
                settings = replace(recipe, crops=crops, precision=way, xla=xla)
                step = f"train {name}, {size}², {way}{', XLA' if xla else ''}"
                with report.trying(step, 60 if options.device == "gpu" else 10) as there:
                    if there:
                        speed(report, step, archive, settings, limits[way])


def speed(report: Report, step: str, archive: Archive, settings: TrainingSettings, flops: float) -> None:
    """One row: `scripts/benchmark_training.py` has the loop, which is that of `train`."""
    from benchmark_training import BEGUN, compiled, drain, fit

    from rsir_tf.archives.tag_labels import tag_label_set
    from rsir_tf.segmentation.mask_supervision import MaskSupervision
    from rsir_tf.segmentation.tag_supervision import TagSupervision

    records = archive.records
    supervision: Any
    if settings.supervision == "masks":
        supervision = MaskSupervision(archive.label_set, records, [], settings)
    else:
        supervision = TagSupervision(tag_label_set(archive), records, [], settings)
    model, images, steps = compiled(settings, supervision), settings.crops.batch, supervision.steps
    first = supervision.dataset(0).take(1).cache()
    fit(model, first.repeat(BEGUN + 1), BEGUN + 1)  # Traces the step, and reads one batch.
    drain(supervision.dataset(0))  # Decoded images are in memory from here on.
    reading = images * steps / drain(supervision.dataset(1))
    alone, _ = fit(model, first.repeat(steps), steps)
    both, _ = fit(model, supervision.dataset(1), steps)
    operations = step_operations(model, settings)
    report.add(
        step,
        images_per_second=images / both,
        step_alone=images / alone,
        pipeline_alone=reading,
        device_limit=flops / operations,
        gigaflop=operations / 1e9,
        batch=images,
    )
    if report.device != "cpu":  # There, reading and computing share the cores.
        report.require(alone / both >= KEEPS_UP, f"{step}: the pipeline slows the step")


def step_operations(model: Any, settings: TrainingSettings) -> float:
    """Floating-point operations of a step for one image: forwards, and twice that backwards through what learns."""
    total = 0.0
    side = settings.crops.size
    sizes: dict[str, int] = {}
    for layer in _layers(model):
        kernel = getattr(layer, "kernel", None)
        if layer.name.startswith("block") and layer.name[5].isdigit():
            sizes[layer.name] = side >> (int(layer.name[5]) - 1)
        if kernel is None or len(kernel.shape) != 4:
            continue
        height, width, there, here = (int(each) for each in kernel.shape)
        cells = sizes.get(layer.name, side >> 5)  # fc6, fc7 and the score of pool5; the other scores are small
        total += 2.0 * height * width * there * here * cells**2 * (3 if layer.trainable else 1)
    return total


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [layer]


def product_rate(way: str, side: int) -> float:
    """Operations a second of a product of two square matrices, with the inputs of a way to compute."""
    import tensorflow as tf

    kind = {"float32": tf.float32, "mixed_float16": tf.float16, "mixed_bfloat16": tf.bfloat16}[way]
    one = tf.cast(tf.random.normal((side, side)), kind)

    @tf.function  # type: ignore[untyped-decorator]
    def product(times: tf.Tensor) -> tf.Tensor:
        found = one
        for _ in tf.range(times):
            found = tf.matmul(one, found) * tf.cast(side**-0.5, kind)  # Neither to infinity nor to denormal numbers.
        return tf.reduce_sum(tf.cast(found, tf.float32))

    float(product(2))
    times = 4
    while True:
        started = time.perf_counter()
        float(product(times))
        if (taken := time.perf_counter() - started) > 0.2:
            return float(2.0 * side**3 * times / taken)
        times *= 2
