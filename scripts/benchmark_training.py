"""Measure whether reading keeps up with training, and what the training loop costs beside a bare step.

The script renders a small archive as TIFF, JPEG and PNG. It measures images per second of the input pipeline alone, of
the training step on cached input, and of both together (wanted: at least 0.95 of the step alone). Then it compares the
loop and the optimizer of `train` with `train_on_batch` of the same network with Keras' own Adam (wanted: at least
0.95). The first two steps of an epoch are not counted, and the start of an epoch is printed separately, because it
takes the same time for an epoch of any length. What is compared takes turns every few steps, so that a busy machine
slows all of it. The exit code is 1 if less is reached.

    python scripts/benchmark_training.py [--head-width 512] [--batch 8] [--crop 256] [--steps 10] [--rounds 3]
        [--freeze 0] [--format PNG] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from rsir_tf.archives import Archive, open_archive
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.rasters import FileSource
from rsir_tf.segmentation import Architecture, Crops, TrainingSettings, build_fcn, build_trunk
from rsir_tf.segmentation.mask_supervision import MaskSupervision
from rsir_tf.segmentation.monitoring import Watch
from rsir_tf.segmentation.optimizers import build_optimizer
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.weights import initialise

WANTED = 0.95
"""Of the step alone, and of the bare step."""

FORMATS = {"TIFF": ".tif", "JPEG": ".jpg", "PNG": ".png"}

BEGUN = 2
"""Steps until an epoch is under way: reading has begun, and its buffers are filled."""


def convert(archive: Archive, ending: str, folder: Path) -> Archive:
    """Copy the archive with its images in another file format; the masks stay as they are."""
    records = []
    for record in archive:
        file = (folder / record.id).with_suffix(ending)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(record.source.read()).save(file, **({"quality": 90} if ending == ".jpg" else {}))
        records.append(replace(record, source=FileSource(file)))
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


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Records when each step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.ends.append(time.perf_counter())


def drain(batches: Iterable[object]) -> float:
    """Take all batches; return the seconds that it took."""
    started = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - started


def fit(model: keras.Model, dataset: tf.data.Dataset, steps: int) -> tuple[float, float]:
    """Train for an epoch as `train` does; return seconds per step after the start, and the seconds of the start."""
    clock, watch = Clock(), Watch(lambda *_: None, 0, 1, steps, Path())
    started = time.perf_counter()
    model.fit(dataset, epochs=1, verbose=0, shuffle=False, callbacks=[watch, clock])
    step = (clock.ends[-1] - clock.ends[BEGUN - 1]) / (steps - BEGUN)
    return step, clock.ends[BEGUN - 1] - started - BEGUN * step


COLUMNS = ("reading", "step", "both", "both_per_step", "epoch_start_seconds")


def measure(archive: Archive, settings: TrainingSettings, model: keras.Model, rounds: int) -> dict[str, float]:
    """Images per second of reading, of the step, and of both, and their ratio: medians over the rounds."""
    supervision = MaskSupervision(archive.label_set, archive.records, [], settings)
    steps = supervision.steps
    first = supervision.dataset(0).take(1).cache()
    fit(model, first.repeat(BEGUN + 1), BEGUN + 1)  # Traces the step and fills the cache.
    drain(supervision.dataset(0))  # From here on the system has cached the files, for each format.
    images, measured = settings.crops.batch, []
    for _ in range(rounds):
        reading = drain(supervision.dataset(1)) / steps
        step, _start = fit(model, first.repeat(steps), steps)
        both, start = fit(model, supervision.dataset(1), steps)
        measured.append((images / reading, images / step, images / both, step / both, start))
    return dict(zip(COLUMNS, np.median(measured, axis=0).tolist(), strict=True))


def against_bare(archive: Archive, settings: TrainingSettings, model: keras.Model, rounds: int) -> dict[str, float]:
    """Compare the loop on cached input with `train_on_batch` of the same layers and batch with Keras' Adam."""
    supervision = MaskSupervision(archive.label_set, archive.records, [], settings)
    steps = supervision.steps
    first = supervision.dataset(0).take(1).cache()
    pixels, classes, weights = (np.asarray(part) for part in next(iter(first)))

    plain = keras.Model(model.inputs, model.outputs[0])
    plain.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=supervision.loss())

    plain.train_on_batch(pixels, classes, sample_weight=weights)
    images, measured = settings.crops.batch, []
    for _ in range(rounds):
        started = time.perf_counter()
        for _step in range(steps):
            plain.train_on_batch(pixels, classes, sample_weight=weights)
        bare = (time.perf_counter() - started) / steps
        loop, _start = fit(model, first.repeat(steps), steps)
        measured.append((images / bare, images / loop, bare / loop))
    names = ("train_on_batch", "loop", "loop_per_train_on_batch")
    return dict(zip(names, np.median(measured, axis=0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--head-width", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--freeze", type=int, default=0)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--format", action="append", choices=sorted(FORMATS), help="repeat for several; default: all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.steps <= BEGUN:
        parser.error(f"--steps: wanted more than {BEGUN}, because the first {BEGUN} are not measured")
    formats = options.format or list(FORMATS)
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
        for name in formats:
            print(f"measuring {name} …", file=sys.stderr)
            converted = convert(archive, FORMATS[name], Path(folder) / name)
            results[name] = measure(converted, settings, model, options.rounds)
        results["loop"] = against_bare(archive, settings, model, options.rounds)
    device = ", ".join(device.name for device in tf.config.list_physical_devices("GPU")) or "CPU"
    reached = min(results["loop"]["loop_per_train_on_batch"], *(results[name]["both_per_step"] for name in formats))
    if options.json:
        print(json.dumps({"device": device, "images_per_second": results}, indent=2))
        raise SystemExit(reached < WANTED)
    print(
        f"images/s on {device}, crops of {options.crop}, batch {options.batch}, fc6 and fc7 {options.head_width} wide"
    )
    print(" " * 6 + "".join(f"{column.replace('_', ' '):>{len(column) + 4}}" for column in COLUMNS))
    for name in formats:
        print(f"{name:6}" + "".join(f"{results[name][column]:{len(column) + 4}.3f}" for column in COLUMNS))
    row = results["loop"]
    print(
        f"loop {row['loop']:.2f}, train_on_batch {row['train_on_batch']:.2f}, "
        f"ratio {row['loop_per_train_on_batch']:.3f}"
    )
    raise SystemExit(reached < WANTED)


if __name__ == "__main__":
    main()
