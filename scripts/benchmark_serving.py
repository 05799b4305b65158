"""Measure the client alone, from JPEG files to decoded predictions, with a server that answers at once.

The server is a process of its own and sends prepared tensors: what is left is the work of the client and the transfer.
The script prints images per second with several requests in flight and with one at a time, and how long each step takes
when the steps run one after the other. It also prints processor time, which depends less on other programs.

    python scripts/benchmark_serving.py [--images 400] [--in-flight 4] [--batch-size 4] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from PIL import Image

from rsir_tf.rasters import read_image
from rsir_tf.serving import connect
from rsir_tf.serving.exports import SIGNATURES
from rsir_tf.serving.messages import (
    MAX_MESSAGE,
    GetModelMetadataResponse,
    PredictRequest,
    PredictResponse,
    RawReply,
    SignatureDefMap,
)
from rsir_tf.serving.tensors import decode, encode_images, encode_reply

SIDE, CLASSES = 256, 17


def canned(count: int) -> bytes:
    """A reply for `count` images, as bytes."""
    random = np.random.default_rng(0)
    response = PredictResponse()
    response.model_spec.version.value = 1
    segmentation = random.integers(0, CLASSES, (count, SIDE, SIDE), dtype=np.uint8)
    conv5_3 = random.random((count, SIDE // 16, SIDE // 16, 512), dtype=np.float32)
    response.outputs["segmentation"].CopyFrom(encode_reply(segmentation))
    response.outputs["conv5_3"].CopyFrom(encode_reply(conv5_3))
    response.outputs["model_id"].CopyFrom(encode_reply(np.array([b"canned"] * count, dtype=object)))
    return bytes(response.SerializeToString())


def description() -> bytes:
    response = PredictResponse()
    response.model_spec.version.value = 1
    names = np.array([b"class"] * CLASSES, dtype=object)
    response.outputs["class_names"].CopyFrom(encode_reply(names))
    response.outputs["model_id"].CopyFrom(encode_reply(np.array(b"canned", dtype=object)))
    return bytes(response.SerializeToString())


def metadata() -> bytes:
    response = GetModelMetadataResponse()
    signatures = SignatureDefMap()
    for name in SIGNATURES:
        signatures.signature_def[name].method_name = "tensorflow/serving/predict"
    outputs = signatures.signature_def["features"].outputs
    for name in ("segmentation", "model_id"):
        outputs[name].name = name
    shape = outputs["conv5_3"].tensor_shape
    for side in (-1, -1, -1, 512):
        shape.dim.add(size=side)
    response.metadata["signature_def"].Pack(signatures)
    return bytes(response.SerializeToString())


def serve(pipe: Any, batch_size: int) -> None:
    """Answer by the size of the request alone: parsing it would take time that is not to be measured."""
    replies = {count: canned(count) for count in range(1, batch_size + 1)}
    described, signatures = description(), metadata()

    def predict(request: bytes, context: Any) -> bytes:
        return replies.get(len(request) // (SIDE * SIDE * 3), described)

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
    while pipe.recv() == "time":
        pipe.send(time.process_time())
    server.stop(None).wait()


def milliseconds(step: Callable[[], Any], times: int = 50) -> float:
    """The median time of a step; a few interruptions do not change it."""
    step()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def throughput(address: str, file: Path, options: argparse.Namespace, in_flight: int, pipe: Any) -> dict[str, float]:
    """Images per second and processor time per image, of the best of three runs."""
    best: dict[str, float] = {"images_per_second": 0.0}
    with connect(address, in_flight=in_flight, batch_size=options.batch_size) as model:
        model.describe()
        for _ in range(3):
            pipe.send("time")
            server, client, start = pipe.recv(), time.process_time(), time.perf_counter()
            count = sum(1 for _ in model.predict_stream(read_image(file) for _ in range(options.images)))
            seconds = time.perf_counter() - start
            client = time.process_time() - client
            pipe.send("time")
            server = pipe.recv() - server
            if count / seconds > best["images_per_second"]:
                best = {
                    "images_per_second": count / seconds,
                    "client_processor_ms": client / count * 1000,
                    "server_processor_ms": server / count * 1000,
                }
    return best


def split(address: str, file: Path) -> dict[str, float]:
    """Milliseconds of each step for one image, one step after the other."""
    image, reply = read_image(file), canned(1)
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
    decoded = milliseconds(lambda: [decode(response.outputs[name], name) for name in response.outputs])
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
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=serve, args=(there, options.batch_size), daemon=True)
    server.start()
    address = f"127.0.0.1:{here.recv()}"
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(1)
        # Blocks of colour with noise compress about as well as aerial images.
        blocks = random.integers(0, 256, (16, 16, 3)).repeat(16, 0).repeat(16, 1)
        pixels = np.clip(blocks + random.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        file = Path(folder, "image.jpg")
        Image.fromarray(pixels).save(file, quality=90)
        together = throughput(address, file, options, options.in_flight, here)
        alone = throughput(address, file, options, 1, here)
        steps = split(address, file)
    here.send("end")
    server.join()
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
