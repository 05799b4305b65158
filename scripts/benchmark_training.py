"""Measure whether reading keeps up with training, and what the training loop costs beside a bare step.

Renders a small archive, as TIFF, JPEG and PNG, and measures images a second of the input pipeline alone, of the step on
cached input, and of both together (wanted: at least 0.95 of the step alone); then of `train`'s own loop and optimizer
against `train_on_batch` of the same network under Keras' own Adam (wanted: at least 0.95). The exit code is 1 where
less is reached.

    python scripts/benchmark_training.py [--head-width 512] [--batch 8] [--crop 256] [--steps 10] [--rounds 3]
        [--freeze 0] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from rsir_tf.archives import Archive, open_archive
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.segmentation import Architecture, Crops, TrainingSettings, build_fcn, build_trunk
from rsir_tf.segmentation.mask_supervision import MaskSupervision
from rsir_tf.segmentation.monitoring import Watch
from rsir_tf.segmentation.optimizers import build_optimizer
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.weights import initialise

WANTED = 0.95
"""Of the step alone, and of the bare step."""

FORMATS = {"TIFF": ".tif", "JPEG": ".jpg", "PNG": ".png"}


def convert(archive: Archive, ending: str, folder: Path) -> Archive:
    """The archive with its images in another file format, its masks as they are."""
    records = []
    for record in archive:
        file = (folder / record.id).with_suffix(ending)
        file.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(record.image) as image:
            image.save(file, **({"quality": 90} if ending == ".jpg" else {}))
        records.append(replace(record, image=file))
    return replace(archive, records=tuple(records))


def compiled(settings: TrainingSettings, supervision: MaskSupervision) -> keras.Model:
    with computing_in(settings.precision):
        trunk = build_trunk()
        initialise(trunk, "none")
        architecture = Architecture(len(supervision.label_set.names), head_width=settings.head_width)
        network = build_fcn(trunk, architecture)
    for layer in network.layers:
        if any(layer.name.startswith(f"block{block}_") for block in range(1, settings.freeze + 1)):
            layer.trainable = False
    optimizer = build_optimizer(settings, supervision.steps)
    model = supervision.model(network, architecture)
    model.compile(optimizer=optimizer, loss=supervision.loss(), jit_compile=settings.xla)
    return model


def per_second(images: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return images / (time.perf_counter() - started)


def drain(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def in_turn(images: int, rounds: int, *works: Callable[[], object]) -> NDArray[np.float64]:
    """Images a second, [rounds, works]; each round does all works, so that a busy machine slows all of them."""
    return np.array([[per_second(images, work) for work in works] for _ in range(rounds)])


def fit(model: keras.Model, dataset: tf.data.Dataset, steps: int) -> None:
    """As `train` does, with its callback."""
    watch = Watch(lambda *_: None, 0, 1, steps, Path())
    model.fit(dataset, epochs=1, verbose=0, shuffle=False, callbacks=[watch])


def measure(archive: Archive, settings: TrainingSettings, model: keras.Model, rounds: int) -> dict[str, float]:
    """Images a second of reading alone, the step alone, and both; medians of the rounds, and of their ratios."""
    supervision = MaskSupervision(archive.label_set, archive.records, [], settings)
    steps = supervision.steps
    first = supervision.dataset(0).take(1).cache()
    fit(model, first, steps)  # Traces the step and fills the cache.
    drain(supervision.dataset(0))  # The files are in the system's memory from here on, in each format.
    speeds = in_turn(
        steps * settings.crops.batch,
        rounds,
        lambda: drain(supervision.dataset(1)),
        lambda: fit(model, first.repeat(steps), steps),
        lambda: fit(model, supervision.dataset(1), steps),
    )
    reading, step, both = np.median(speeds, axis=0).tolist()
    ratio = float(np.median(speeds[:, 2] / speeds[:, 1]))
    return {"reading": reading, "step": step, "both": both, "both / step": ratio}


def against_bare(archive: Archive, settings: TrainingSettings, model: keras.Model, rounds: int) -> dict[str, float]:
    """The loop on cached input beside `train_on_batch` of the same layers and one batch under Keras' Adam."""
    supervision = MaskSupervision(archive.label_set, archive.records, [], settings)
    steps = supervision.steps
    first = supervision.dataset(0).take(1).cache()
    pixels, classes, weights = (np.asarray(part) for part in next(iter(first)))

    plain = keras.Model(model.inputs, model.outputs[0])
    plain.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=supervision.loss())

    def bare() -> None:
        for _ in range(steps):
            plain.train_on_batch(pixels, classes, sample_weight=weights)

    plain.train_on_batch(pixels, classes, sample_weight=weights)
    images = steps * settings.crops.batch
    speeds = in_turn(images, rounds, bare, lambda: fit(model, first.repeat(steps), steps))
    alone, loop = np.median(speeds, axis=0).tolist()
    ratio = float(np.median(speeds[:, 1] / speeds[:, 0]))
    return {"train_on_batch": alone, "loop": loop, "loop / train_on_batch": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--head-width", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--freeze", type=int, default=0)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = TrainingSettings(
        weights="none",
        head_width=options.head_width,
        crops=Crops(options.crop, options.batch, options.batch * options.steps),
        freeze=options.freeze,
        precision=options.precision,
        validation=0.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        rendered = render_archive(Path(folder) / "archive", images_per_scene=1, size=max(256, options.crop))
        archive = open_archive(rendered)
        supervision = MaskSupervision(archive.label_set, archive.records, [], settings)
        model = compiled(settings, supervision)
        results: dict[str, dict[str, float]] = {}
        for name, ending in FORMATS.items():
            print(f"measuring {name} …", file=sys.stderr)
            results[name] = measure(convert(archive, ending, Path(folder) / name), settings, model, options.rounds)
        results["loop"] = against_bare(archive, settings, model, options.rounds)
    device = ", ".join(device.name for device in tf.config.list_physical_devices("GPU")) or "CPU"
    reached = min(results["loop"]["loop / train_on_batch"], *(results[name]["both / step"] for name in FORMATS))
    if options.json:
        print(json.dumps({"device": device, "images a second": results}, indent=2))
        raise SystemExit(reached < WANTED)
    print(
        f"images/s on {device}, crops of {options.crop}, batch {options.batch}, fc6 and fc7 {options.head_width} wide"
    )
    print(f"{'':6}{'reading':>10}{'step':>10}{'both':>10}{'both / step':>14}")
    for name in FORMATS:
        row = results[name]
        print(f"{name:6}{row['reading']:10.1f}{row['step']:10.2f}{row['both']:10.2f}{row['both / step']:14.3f}")
    row = results["loop"]
    print(
        f"loop {row['loop']:.2f}, train_on_batch {row['train_on_batch']:.2f}, ratio {row['loop / train_on_batch']:.3f}"
    )
    raise SystemExit(reached < WANTED)


if __name__ == "__main__":
    main()
