"""Compare the embedded server with calling the SavedModel in process, on the same images in the same batches.

It compares images per second. The two take turns, so that a busy machine slows both. It also says how
much their answers differ.

    python scripts/benchmark_embedded.py saved_models/fcn8s [--images 32] [--batch-size 4] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rsir_tf.errors import ModelError
from rsir_tf.serving import Model, connect, load


@contextlib.contextmanager
def served(saved_model: Path) -> Iterator[str]:
    """Serve a model in a process of its own; the address comes when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).parent / "rsir-tf"
    line = [program, "serve", saved_model, "--engine", "embedded", "--model", "fcn8s", "--port", str(port)]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL) as process:
        try:
            address, end = f"127.0.0.1:{port}", time.monotonic() + 120
            with connect(address) as model:
                while True:
                    try:
                        model.describe()
                        break
                    except ModelError:  # It is still loading.
                        if time.monotonic() > end or process.poll() is not None:
                            raise
            yield address
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model", type=Path, help="saved_models/NAME, as `rsir-tf export` writes it")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    random = np.random.default_rng(0)
    images = list(random.integers(0, 256, (options.images, options.side, options.side, 3), dtype=np.uint8))

    def rate(model: Model) -> float:
        start = time.perf_counter()
        model.predict(images)
        return len(images) / (time.perf_counter() - start)

    with (
        served(options.saved_model) as address,
        load(options.saved_model, batch_size=options.batch_size) as local,
        connect(address, batch_size=options.batch_size) as remote,
    ):
        near, far = local.predict(images[: options.batch_size]), remote.predict(images[: options.batch_size])
        labels = sum(int((one.segmentation != other.segmentation).sum()) for one, other in zip(near, far, strict=True))
        apart = max(
            float(np.abs(one.conv5_3 - other.conv5_3).max() / np.abs(one.conv5_3).max())
            for one, other in zip(near, far, strict=True)
        )
        rates: dict[str, list[float]] = {"in_process": [], "embedded": []}
        for _ in range(options.rounds):
            rates["in_process"].append(rate(local))
            rates["embedded"].append(rate(remote))
    ratio = statistics.median(there / here for here, there in zip(rates["in_process"], rates["embedded"], strict=True))
    if options.json:
        result = {**rates, "ratio": ratio, "different_pixels": labels, "conv5_3_relative_difference": apart}
        print(json.dumps(result, indent=2))
        return
    for name, found in rates.items():
        print(f"{name.replace('_', ' '):12}{statistics.median(found):6.2f} images/s")
    print(f"ratio       {ratio:6.2f} (median of {options.rounds} rounds)")
    print(f"answers: {labels} pixels of the segmentation differ, conv5_3 by {apart:.1e} of its maximum")


if __name__ == "__main__":
    main()
