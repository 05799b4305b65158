"""Measure the client alone: JPEG files to decoded predictions, against a server that answers at once.

The server, a process of its own, sends tensors that were prepared before: what is left is the client's work and the
wire. Prints images a second, and where the time goes when the steps run one after the other.

    python scripts/benchmark_serving.py [--images 400] [--in-flight 4] [--batch-size 4]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from PIL import Image

from rsir_tf.imagery import read_image
from rsir_tf.serving import connect
from rsir_tf.serving.channel import MAX_MESSAGE
from rsir_tf.serving.messages import PredictRequest, PredictResponse
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
    return bytes(response.SerializeToString())


def description() -> bytes:
    response = PredictResponse()
    response.model_spec.version.value = 1
    names = np.array([b"class"] * CLASSES, dtype=object)
    response.outputs["class_names"].CopyFrom(encode_reply(names))
    response.outputs["model_id"].CopyFrom(encode_reply(np.array(b"canned", dtype=object)))
    return bytes(response.SerializeToString())


def serve(pipe: Any, batch_size: int) -> None:
    """Answer by the request's size alone: parsing it would cost what is not measured here."""
    replies = {count: canned(count) for count in range(1, batch_size + 1)}
    described = description()

    def predict(request: bytes, context: Any) -> bytes:
        return replies.get(len(request) // (SIDE * SIDE * 3), described)

    handler = grpc.unary_unary_rpc_method_handler(predict)
    options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": handler})
    server.add_generic_rpc_handlers((service,))
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    pipe.recv()
    server.stop(None).wait()


def milliseconds(step: Callable[[], Any], times: int = 50) -> float:
    step()
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=4)
    options = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=serve, args=(there, options.batch_size), daemon=True)
    server.start()
    address = f"127.0.0.1:{here.recv()}"
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(1)
        # Blocks of colour with noise compress about as aerial images do.
        blocks = random.integers(0, 256, (16, 16, 3)).repeat(16, 0).repeat(16, 1)
        pixels = np.clip(blocks + random.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        file = Path(folder, "image.jpg")
        Image.fromarray(pixels).save(file, quality=90)
        with connect(address, in_flight=options.in_flight, batch_size=options.batch_size) as model:
            model.describe()
            for _ in range(3):
                start = time.perf_counter()
                count = sum(1 for _ in model.predict_stream(read_image(file) for _ in range(options.images)))
                print(f"{count / (time.perf_counter() - start):6.0f} images/s from file to decoded prediction")
            image = read_image(file)
            request = PredictRequest()
            response = PredictResponse.FromString(canned(1))
            print(f"one image, ms: read and decode the JPEG {milliseconds(lambda: read_image(file)):.2f}", end=", ")
            encode = milliseconds(
                lambda: (request.inputs["images"].CopyFrom(encode_images([image])), request.SerializeToString())
            )
            print(f"encode {encode:.2f}", end=", ")
            parse = milliseconds(lambda: PredictResponse.FromString(canned_one), 50) if (canned_one := canned(1)) else 0
            arrays = milliseconds(lambda: [decode(response.outputs[name], name) for name in response.outputs])
            print(f"parse the reply {parse:.2f}, to arrays {arrays:.2f}", end=", ")
            print(f"all of a request with the wire {milliseconds(lambda: model.predict([image])):.2f}")
    here.send("end")
    server.join()


if __name__ == "__main__":
    main()
