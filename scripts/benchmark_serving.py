"""Measure the client alone, from JPEG files to decoded predictions, with a server that answers at once.

The server is a process of its own and sends prepared tensors: what is left is the work of the client and the transfer.
The script prints images per second with several requests in flight and with one at a time, and how long each step takes
when the steps run one after the other. It also prints processor time, which depends less on other programs.

    python scripts/benchmark_serving.py [--images 400] [--in-flight 4] [--batch-size 4] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from canned_model import CannedModel, answer, canned_model
from PIL import Image

from rsir_tf.rasters import read_image
from rsir_tf.serving import connect
from rsir_tf.serving.messages import PredictRequest, RawReply
from rsir_tf.serving.tensors import decode, encode_images

SIDE = 256


def milliseconds(step: Callable[[], Any], times: int = 50) -> float:
    """The median time of a step; a few interruptions do not change it."""
    step()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def throughput(server: CannedModel, file: Path, options: argparse.Namespace, in_flight: int) -> dict[str, float]:
    """Images per second and processor time per image, of the best of three runs."""
    best: dict[str, float] = {"images_per_second": 0.0}
    with connect(server.address, in_flight=in_flight, batch_size=options.batch_size) as model:
        model.describe()
        for _ in range(3):
            before, client, start = server.processor_seconds, time.process_time(), time.perf_counter()
            count = sum(1 for _ in model.predict_stream(read_image(file) for _ in range(options.images)))
            seconds = time.perf_counter() - start
            client = time.process_time() - client
            spent = server.processor_seconds - before
            if count / seconds > best["images_per_second"]:
                best = {
                    "images_per_second": count / seconds,
                    "client_processor_ms": client / count * 1000,
                    "server_processor_ms": spent / count * 1000,
                }
    return best


def split(address: str, file: Path) -> dict[str, float]:
    """Milliseconds of each step for one image, one step after the other."""
    image, reply = read_image(file), answer(1, SIDE, SIDE, [])
    response = RawReply.FromString(reply)

    def encode() -> None:
        b"".join([PredictRequest().SerializeToString(), *encode_images("images", [image])])

    found = {
        "read": milliseconds(file.read_bytes),
        "decode_jpeg": milliseconds(lambda: read_image(file)),
        "encode": milliseconds(encode),
    }
    with connect(address, batch_size=1) as model:
        whole = milliseconds(lambda: model.predict([image]))
    parse = milliseconds(lambda: RawReply.FromString(reply))
    arrays = ("segmentation", "conv5_3")
    decoded = milliseconds(lambda: [decode(response.outputs[name], name) for name in arrays])
    found["decode_jpeg"] -= found["read"]
    found["wire"] = whole - found["encode"] - parse - decoded
    found["parse_reply"], found["to_arrays"] = parse, decoded
    found["all"] = whole + found["read"] + found["decode_jpeg"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with canned_model() as server, tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(1)
        # Blocks of colour with noise compress about as well as aerial images.
        blocks = random.integers(0, 256, (16, 16, 3)).repeat(16, 0).repeat(16, 1)
        pixels = np.clip(blocks + random.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        file = Path(folder, "image.jpg")
        Image.fromarray(pixels).save(file, quality=90)
        together = throughput(server, file, options, options.in_flight)
        alone = throughput(server, file, options, 1)
        steps = split(server.address, file)
    ratio = together["images_per_second"] / alone["images_per_second"]
    if options.json:
        print(json.dumps({"in_flight": together, "one_at_a_time": alone, "ratio": ratio, "split_ms": steps}, indent=2))
        return
    for name, figures in ((f"{options.in_flight} in flight", together), ("one at a time", alone)):
        print(
            f"{name:14}{figures['images_per_second']:6.0f} images/s; processor time per image: client "
            f"{figures['client_processor_ms']:.2f} ms, server {figures['server_processor_ms']:.2f} ms"
        )
    print(f"ratio         {ratio:6.2f}")
    print("one image, ms: " + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in steps.items()))


if __name__ == "__main__":
    main()
