"""Check this package on a machine with a GPU, in ten minutes. `scripts/check_gpu` installs what is needed and runs it.

    scripts/check_gpu [--device gpu|cpu] [--ucmerced DIR] [--dubai DIR] [--weights FILE] [--steps 100] [--minutes 10]
        [--small] [--json]

1. Speed of a training step of both recipes (tags: UC Merced; masks: the Dubai tiles), float32, mixed precision and XLA,
   crops of 224 and 512 pixels: images a second on a batch that stays in memory, beside what the input pipeline gives
   alone, both together, and the most that the device could do: the rate of a large product of matrices, divided by the
   operations of a step. The pipeline is to keep up: both together reach 90% of the step alone.
2. `rsir-tf train` is killed after its first epoch and called again; it has to go on where it was.
3. The run is exported, and 1,000 images are described in this process and over gRPC.
4. The answers are compared with those of the processor (see `Tolerances`).

Steps that the time no longer allows are left out and named. Without folders, made images stand for the archives. The
exit code is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.contract import Prediction
    from rsir_tf.segmentation import TrainingSettings

    Recipes = dict[str, tuple[Archive, TrainingSettings]]

SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class Tolerances:
    """How far answers of a GPU may be from those of the processor.

    GPUs since Ampere multiply float32 as TF32: inputs are rounded to 10 bits of mantissa, by up to 2⁻¹¹ = 5e-4 of
    themselves. Over thirteen convolutions these independent errors add up as their root, to about 2e-3.

    Attributes:
        features: Largest ‖difference‖ / ‖CPU's‖ of conv5_3, and of ReCNN+, of an image: 2e-3, and as much again.
        pixels: Smallest share of pixels with the same class: only those between two classes with nearly equal scores
            may change, borders of regions.
        regions: Smallest share of images in which the number of regions differs by no more than 2 or a tenth.
    """

    features: float = 5e-3
    pixels: float = 0.995
    regions: float = 0.95


@dataclass
class Report:
    """What was found: one row a step, and checks that failed."""

    started: float
    limit: float
    device: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, step: str, **figures: Any) -> None:
        self.rows.append({"step": step, **figures})
        print(f"{time.monotonic() - self.started:4.0f} s  {self.line(self.rows[-1])}", file=sys.stderr, flush=True)

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            self.failures.append(what)

    @contextlib.contextmanager
    def trying(self, step: str, seconds: float) -> Iterator[bool]:
        """A step that is skipped where less time than `seconds` is left; what it raises is a failed check."""
        if time.monotonic() - self.started + seconds > self.limit:
            self.left_out.append(step)
            yield False
            return
        try:
            yield True
        except Exception as error:  # noqa: BLE001 – the other steps are to be seen too
            text = " ".join(str(error).split())[:300]
            self.failures.append(f"{step}: {type(error).__name__}: {text}")
            self.add(step, failed=text)

    @staticmethod
    def line(row: dict[str, Any]) -> str:
        return "  ".join(f"{name} {_shown(value)}" if name != "step" else f"{value:44}" for name, value in row.items())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def recipes(options: argparse.Namespace, folder: Path) -> Recipes:
    """The two recipes of rsir_tf/segmentation/README.md, without cached views, which are for machines without a GPU."""
    from rsir_tf.archives import open_archive
    from rsir_tf.archives.synthetic import render_archive
    from rsir_tf.segmentation import Augmentation, TrainingSettings

    per_scene, size, scenes = (2, 64, ["beach", "forest"]) if options.small else (2, 512, None)
    made = open_archive(render_archive(folder / "made", images_per_scene=per_scene, size=size, scenes=scenes))
    tagged = open_archive(options.ucmerced) if options.ucmerced else made
    masked = open_archive(options.dubai, labels="dubai") if options.dubai else made
    width = 16 if options.small else 512
    common = {"weights": options.weights or "none", "head_width": width, "validation": 0.0, "keep_in_memory": True}
    tags = TrainingSettings(supervision="tags", freeze=4, learning_rate=3e-4, trunk_rate=0.8, dropout=0.3, **common)
    masks = TrainingSettings(freeze=3, learning_rate=1e-4, **common)
    crops = {"tags": Augmentation(scale=(1.15, 1.45)), "masks": Augmentation(scale=(0.7, 2.0))}
    return {
        name: (archive, replace(settings, crops=replace(settings.crops, augmentation=crops[name])))
        for name, archive, settings in (("tags", tagged, tags), ("masks", masked, masks))
    }


def kill_and_resume(report: Report, options: argparse.Namespace, folder: Path) -> Path:
    """Train by the command, kill it after its first epoch, and train on; returns the run."""
    from rsir_tf.segmentation import open_run

    archive, run = options.ucmerced or folder / "made", folder / "run"
    crop, batch, epoch = (64, 2, 4) if options.small else (224, 32, 32 * 20)
    line = [*_program(), "train", archive, "--run", run, "--supervision", "tags", "--epochs", 3]
    line += ["--validation", 0, "--test", 0]
    line += ["--crop", crop, "--batch", batch, "--crops-per-epoch", epoch, "--head-width", 16 if options.small else 512]
    line += ["--weights", options.weights or "none", "--freeze", 4, "--schedule", "constant"]
    if options.device == "gpu":
        line += ["--precision", "mixed_float16"]
    line = [str(each) for each in line]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "history.json").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise RuntimeError(f"train ended with exit code {process.returncode}: {process.stderr.read()[-500:]}")  # type: ignore[union-attr]
    before = open_run(run).history()
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"train ended with exit code {ended.returncode}: {ended.stderr[-500:]}")
    history = open_run(run).history()
    report.add("killed after an epoch and resumed", epochs_before=len(before), epochs=len(history))
    report.require(history[: len(before)] == before and len(history) == 3, "resume: the epochs before the kill changed")
    report.require(all(np.isfinite(epoch["loss"]) for epoch in history), "resume: the loss is not finite")
    return run


def describe(report: Report, options: argparse.Namespace, archives: Recipes, run: Path, folder: Path) -> None:
    """Export, describe images in the process and over gRPC, and compare with the processor."""
    from rsir_tf.segmentation import export_run, open_run
    from rsir_tf.segmentation.blending import AS_TRAINED
    from rsir_tf.serving import connect, load

    saved = folder / "saved_models" / "fcn8s"
    started = time.perf_counter()
    export_run(open_run(run), saved, blend=AS_TRAINED)
    report.add("export", seconds=time.perf_counter() - started)
    count, side, few = (6, 64, 6) if options.small else (1000, 256, 32)
    rng = np.random.default_rng(0)
    photographs = [record.source.read() for record in archives["tags"][0].records[:32]]
    images = [_crop(photographs[at % len(photographs)], side, rng) for at in range(count)]
    answers: list[Prediction] = []
    with load(saved, batch_size=16) as model:
        model.predict(images[:16])  # Kernels are chosen and compiled.
        started = time.perf_counter()
        answers = model.predict(images)
        report.add("described in the process", images_per_second=count / (time.perf_counter() - started))
    with _served(saved, cpu=False) as address, connect(address) as model:
        model.predict(images[:16])
        started = time.perf_counter()
        served = model.predict(images)
        report.add("described over gRPC", images_per_second=count / (time.perf_counter() - started))
        compare(report, "gRPC against the process", served[:few], answers[:few], model.describe().class_names)
    if options.device == "gpu":
        with _served(saved, cpu=True) as address, connect(address) as model:
            compare(report, "GPU against CPU", answers[:few], model.predict(images[:few]), model.describe().class_names)


def compare(
    report: Report, step: str, found: list[Prediction], wanted: list[Prediction], names: tuple[str, ...]
) -> None:
    """Compare segmentations, features, regions and descriptors, image by image."""
    from rsir_tf.index import IndexSettings
    from rsir_tf.workflows import describe_prediction

    settings, limits = IndexSettings("compared", names), Tolerances()
    pixels, features, descriptors, regions = [], [], [], []
    for here, there in zip(found, wanted, strict=True):
        one, other = describe_prediction(here, settings), describe_prediction(there, settings)
        pixels.append(float((here.segmentation == there.segmentation).mean()))
        features.append(_apart(here.conv5_3, there.conv5_3))
        descriptors.append(_apart(one.recnn_plus, other.recnn_plus))
        counts = len(one.recnn), len(other.recnn)
        regions.append(abs(counts[0] - counts[1]) <= max(2, counts[1] // 10))
    report.add(
        step,
        equal_pixels=min(pixels),
        conv5_3_apart=max(features),
        recnn_plus_apart=max(descriptors),
        images_with_the_same_regions=float(np.mean(regions)),
    )
    report.require(np.mean(pixels) >= limits.pixels, f"{step}: {np.mean(pixels):.4f} of the pixels have the same class")
    report.require(max(features) <= limits.features, f"{step}: conv5_3 is {max(features):.2g} apart")
    report.require(max(descriptors) <= limits.features, f"{step}: ReCNN+ is {max(descriptors):.2g} apart")
    report.require(np.mean(regions) >= limits.regions, f"{step}: the regions differ")


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / max(np.linalg.norm(other), 1e-12))


def _crop(image: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square of an image, made larger by mirroring where the image is smaller."""
    below, right = (max(0, side - length) for length in image.shape[:2])
    image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _program() -> list[str]:
    return [sys.executable, "-c", "from rsir_tf.cli import main; main()"]


@contextlib.contextmanager
def _served(saved: Path, *, cpu: bool) -> Iterator[str]:
    from benchmark_embedded import served

    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    if cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    try:
        with served(saved) as address:
            yield address
    finally:
        if cpu and before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        elif cpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--ucmerced", type=Path, help="UC Merced with its tags; made images stand for it otherwise")
    parser.add_argument("--dubai", type=Path, help="the folder of the Dubai tiles; made images otherwise")
    parser.add_argument("--weights", help="VGG-16's weights, an .h5 file; random ones otherwise")
    parser.add_argument("--steps", type=int, default=100, help="steps of an epoch")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--small", action="store_true", help="tiny sizes, for a test of this script")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(SCRIPTS))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # A server and a training run stand beside this process.
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    report = Report(time.monotonic(), options.minutes * 60)
    import keras
    import tensorflow as tf
    from gpu_speed import measure_speed

    from rsir_tf.segmentation.software import software

    keras.utils.disable_interactive_logging()
    if options.device == "gpu" and not tf.config.list_physical_devices("GPU"):
        sys.exit("TensorFlow sees no GPU: nvidia-smi says whether there is one; --device cpu checks without")
    report.device = "cpu" if options.device == "cpu" else software()["device"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archives, run = recipes(options, folder), None
        with report.trying("killed after an epoch and resumed", 120 if options.device == "gpu" else 0) as there:
            if there:
                run = kill_and_resume(report, options, folder)
        with report.trying("export and describe", 60 if options.device == "gpu" else 0) as there:
            if there and run is not None:
                describe(report, options, archives, run, folder)
        with report.trying("speed", 30 if options.device == "gpu" else 0) as there:
            if there:
                measure_speed(report, options, archives)
    result = {
        "software": software(),
        "seconds": round(time.monotonic() - report.started, 1),
        "rows": report.rows,
        "left_out": report.left_out,
        "failures": report.failures,
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{report.device}, TensorFlow {tf.__version__}, {result['seconds']:.0f} s")
        print("\n".join(report.line(row) for row in report.rows))
        for title, lines in (("no time for", report.left_out), ("FAILED", report.failures)):
            print("".join(f"{title}: {line}\n" for line in lines), end="")
    raise SystemExit(bool(report.failures))


if __name__ == "__main__":
    main()
