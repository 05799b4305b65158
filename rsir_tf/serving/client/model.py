"""A model behind servers: several requests at a time, in parts if a server needs it, with answers of one model."""

from __future__ import annotations

import functools
import itertools
import operator
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf import processors
from rsir_tf.contract import (
    CONV5_3,
    DESCRIBE,
    FEATURES,
    IMAGES,
    MODEL_ID,
    SEGMENTATION,
    ModelDescription,
    Prediction,
)
from rsir_tf.errors import InputError, MismatchError, ModelError, ServerUnavailableError
from rsir_tf.serving.checks import BATCH_PIXELS, at, check_image, check_layers, check_model, grouped, split_answer
from rsir_tf.serving.client.calls import Deadline, Pauses, call
from rsir_tf.serving.client.channel import parse_address
from rsir_tf.serving.client.identity import ask_description, model_spec, output, predict_request
from rsir_tf.serving.client.inflight import Budget, one_by_one, side_by_side, telling
from rsir_tf.serving.client.older_exports import ask_giver
from rsir_tf.serving.client.refusals import BatchTooLargeError, StaleVersionError, closed_error
from rsir_tf.serving.client.servers import Outage, Server
from rsir_tf.serving.messages import PREDICT, GetModelMetadataRequest, PredictionServiceStub, RawReply
from rsir_tf.serving.tensors import decode, decode_strings, encode_images, images_at_end
from rsir_tf.serving.tls import TLS

if TYPE_CHECKING:
    from types import TracebackType

LONGEST_DESCRIBE = 60.0
"""Seconds: telling its identity computes nothing, so that a server that takes longer hangs."""

PIXELS_IN_FLIGHT = 1 << 22
"""Pixels in all requests at a time: each million takes up to half a gigabyte of memory in the server of an FCN-8s."""

SEGMENTING = 2
"""Requests for segmentations alone under way at a time: one is computed while the next image is read. More would only
take memory, since such images are large."""

_Group = list[NDArray[np.uint8]]

HEAD_START, GRACE = 0.5, 1.0
"""Seconds for which only the first of several servers is asked, and for the others after one has answered."""


def connect(
    address: str | Sequence[str],
    *,
    model_name: str = "fcn8s",
    version: int | None = None,
    label: str | None = None,
    timeout: float = 300.0,
    batch_size: int = 4,
    in_flight: int = 4,
    tls: TLS | None = None,
    tell: Callable[[str], None] | None = None,
) -> ServedModel:
    """Connect to a model behind one or several servers; nothing is sent before the first call.

    Args:
        address: `HOST:PORT`, or several, which take turns.
        model_name: The model's name on the server: the name of the folder with the numbered versions.
        version: Its version; None for the newest.
        label: Its version label, for example "stable"; not together with `version`.
        timeout: Seconds for one request, including repetitions, its parts if the server needs it in parts, and asking
            which model answered.
        batch_size: The largest number of images in one request; fewer if the server says that it takes fewer.
        in_flight: The largest number of requests at a time; fewer for large images (four million pixels in all).
        tls: PEM files for an encrypted connection; None for plain text.
        tell: Takes a line for the user when the servers have not answered for five seconds, and one when they answer
            again.

    Returns:
        The model; close it, or use it in a `with` block.

    Raises:
        InputError: An address or option cannot be used.
    """
    return ServedModel(
        [address] if isinstance(address, str) else address,
        spec=model_spec(model_name, version, label),
        timeout=timeout,
        batch_size=batch_size,
        in_flight=in_flight,
        tls=tls,
        tell=tell,
    )


class ServedModel:
    """A model behind servers; `contract.Model` describes its methods. Threads may share it.

    It is one model only: if a server begins to serve another one (its `model_id` differs), calls raise MismatchError
    instead of mixing the answers of two models.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        spec: Any,
        timeout: float,
        batch_size: int,
        in_flight: int,
        tls: TLS | None,
        tell: Callable[[str], None] | None,
    ) -> None:
        if not addresses:
            raise InputError("no server address", wanted="HOST:PORT")
        if timeout <= 0 or batch_size < 1 or in_flight < 1:
            raise InputError(
                f"timeout {timeout:g}, batch size {batch_size}, {in_flight} in flight", wanted="numbers above 0"
            )
        parsed, outage = [parse_address(address) for address in addresses], Outage(tell)
        self._servers = [Server(address, tls, outage) for address in parsed]
        self._turn = itertools.count()
        self._spec = spec
        self._timeout = timeout
        self._largest = batch_size
        self._in_flight = in_flight
        self._pixels = Budget(PIXELS_IN_FLIGHT)
        self._workers = ThreadPoolExecutor(in_flight, thread_name_prefix="rsir_tf_request")
        self._closed = threading.Event()
        self._first = threading.Lock()
        self._description: ModelDescription | None = None
        self._says_model = True
        self._ahead: Future[ModelDescription] | None = None
        self._end = weakref.finalize(self, _close_all, self._servers)  # also for a model that nobody closed

    def ask_ahead(self) -> None:
        """Start asking for the model's identity in the background; `describe` then returns the answer."""
        self._ahead = self._workers.submit(self._ask_all)

    def describe(self) -> ModelDescription:
        ahead, self._ahead = self._ahead, None
        try:
            return self._ask_all() if ahead is None else ahead.result()
        except CancelledError as error:
            raise closed_error(self._where(self._servers[0], DESCRIBE)) from error

    def _ask_all(self) -> ModelDescription:
        deadline = Deadline.after(min(self._timeout, LONGEST_DESCRIBE))
        ended = side_by_side(
            [functools.partial(self._introduce, server, deadline) for server in self._servers], HEAD_START, GRACE
        )
        for place, server in enumerate(self._servers):
            if place not in ended:
                server.hung()
        errors = [error for _, error in sorted(ended.items()) if error is not None]
        for error in errors:
            if not isinstance(error, ServerUnavailableError):
                raise error
        if len(errors) == len(self._servers):
            raise errors[0]
        return self._known()

    def predict(self, images: Sequence[NDArray[np.uint8]], layers: Sequence[str] = ()) -> list[Prediction]:
        for position, image in enumerate(images):
            check_image(image, position)
        return list(self.predict_stream(images, layers))

    def predict_stream(self, images: Iterable[NDArray[np.uint8]], layers: Sequence[str] = ()) -> Iterator[Prediction]:
        return self._stream(images, self._in_flight, (CONV5_3, *layers))

    def segment_stream(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        stream = self._stream(images, min(SEGMENTING, self._in_flight), ())
        return map(operator.attrgetter("segmentation"), stream)

    def close(self) -> None:
        self._closed.set()
        self._end()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, images: Iterable[NDArray[np.uint8]], ahead: int, layers: Sequence[str]) -> Iterator[Prediction]:
        if self._closed.is_set():
            raise closed_error(self._where(self._servers[0], FEATURES))
        if self._description is None:
            self.describe()
        check_layers([layer for layer in layers if layer != CONV5_3], self._known())
        submit = functools.partial(self._submit, layers=layers)
        groups = grouped(images, lambda: self._largest)
        return self._in_order(submit, zip(groups, itertools.repeat(None)) if layers else one_by_one(groups), ahead)

    def _submit(
        self, item: tuple[_Group, threading.Event | None], *, layers: Sequence[str]
    ) -> Future[list[Prediction]]:
        group, sent = item
        try:
            future = self._workers.submit(self._predict_in_turn, group, layers, sent)
        except RuntimeError as error:
            if not self._closed.is_set():
                raise
            raise closed_error(self._where(self._servers[0], FEATURES)) from error
        if sent is not None:
            future.add_done_callback(lambda _: sent.set())
        return future

    def _in_order(
        self,
        submit: Callable[[tuple[_Group, threading.Event | None]], Future[list[Prediction]]],
        groups: Iterable[tuple[_Group, threading.Event | None]],
        ahead: int,
    ) -> Iterator[Prediction]:
        try:
            for predictions in processors.in_order(submit, groups, ahead):
                predictions.reverse()
                while predictions:  # None is kept until the next is there.
                    yield predictions.pop()
        except CancelledError as error:  # the group was still waiting when the model was closed
            raise closed_error(self._where(self._servers[0], FEATURES)) from error

    def _predict_in_turn(self, group: _Group, layers: Sequence[str], sent: threading.Event | None) -> list[Prediction]:
        with self._pixels.taken(_pixels(group)):
            # The time counts from sending, not from waiting.
            return self._predict_group(group, Deadline.after(self._timeout), layers, sent)

    def _predict_group(
        self, group: _Group, deadline: Deadline, layers: Sequence[str], sent: threading.Event | None
    ) -> list[Prediction]:
        if len(group) > self._largest:
            parts = [group[start : start + self._largest] for start in range(0, len(group), self._largest)]
            return [prediction for part in parts for prediction in self._predict_group(part, deadline, layers, sent)]
        request = predict_request(self._spec, FEATURES)
        # Without a filter, a server gives all outputs of the model. With one, TensorFlow Serving computes and sends the
        # named ones alone, and refuses a name that the signature lacks (`PreProcessPrediction` in its predict_util.cc).
        if len(layers) < 1 + len(self._known().layers):
            request.output_filter.extend([SEGMENTATION, *layers])
            if self._says_model:
                request.output_filter.append(MODEL_ID)
        packed = b"".join([request.SerializeToString(), *encode_images(IMAGES, group)])
        group[:] = images_at_end(packed, group)  # The images themselves can be freed while the server is at work.
        try:
            server, response, model_ids = self._answer(packed, group, deadline, sent)
        except BatchTooLargeError as error:
            largest = error.largest or len(group) // 2
            if largest == 0 or len(group) == 1:
                raise ModelError(
                    f"{error.where}: one image of {list(group[0].shape)} is too large for the server",
                    cure="cut it into tiles",
                ) from error
            self._largest = min(self._largest, largest, len(group) - 1)
            return self._predict_group(group, deadline, layers, sent)
        shape = (len(group), *group[0].shape)
        del packed
        group.clear()  # These are the request, which may take more memory than the answer.
        try:
            segmentation = decode(output(response, SEGMENTATION), SEGMENTATION)
            maps = {layer: decode(output(response, layer), layer) for layer in layers}
            return split_answer(segmentation, maps, model_ids, shape, self._known())
        except (ModelError, MismatchError) as error:
            raise at(self._where(server, FEATURES, response), error) from error

    def _answer(
        self, request: bytes, group: _Group, deadline: Deadline, sent: threading.Event | None
    ) -> tuple[Server, Any, list[str]]:
        """Send images; the answer comes with the id of the model that gave it, once per image."""
        pauses = Pauses()
        lost: StaleVersionError | ServerUnavailableError | None = None
        slow, divisible = _pixels(group) > BATCH_PIXELS, len(group) > 1
        while True:
            server, response = self._call(
                FEATURES, request, self._by_turns(), deadline, divisible=divisible, slow=slow, sent=sent
            )
            if MODEL_ID in response.outputs:
                try:
                    return server, response, decode_strings(response.outputs[MODEL_ID], MODEL_ID)
                except ModelError as error:
                    raise at(self._where(server, FEATURES, response), error) from error
            remaining = max(0.0, deadline.end - time.monotonic())
            brief = deadline.at_most(min(LONGEST_DESCRIBE, remaining / 2))
            ask = functools.partial(self._ask, server, brief, connected=True)
            try:
                giver = ask_giver(ask, self._spec, response, functools.partial(self._where, server))
            except (
                StaleVersionError,
                ServerUnavailableError,
            ) as error:  # The version was replaced or removed after it answered.
                lost = lost or error
                wait = pauses.next()
                if time.monotonic() + wait > deadline.end:
                    raise lost from lost.__cause__  # The last may say only that little time was left for it.
                if self._closed.wait(wait):
                    raise closed_error(self._where(server, FEATURES)) from error
            else:
                return server, response, [giver] * len(group)

    def _introduce(self, server: Server, deadline: Deadline) -> None:
        """Ask one server which model it holds, and compare it with the answers of others."""
        ask, where = functools.partial(self._ask, server, deadline), functools.partial(self._where, server)
        found, says_model = ask_description(ask, self._spec, where)
        with self._first:
            self._says_model = self._says_model and says_model
            known = self._description = self._description or found
        try:
            check_model(found.model_id, known.model_id)
        except MismatchError as error:
            raise at(where(DESCRIBE), error) from error

    def _ask(self, server: Server, deadline: Deadline, signature: str, request: Any, *, connected: bool = False) -> Any:
        return self._call(signature, request, [server], deadline, connected=connected)[1]

    def _call(
        self,
        signature: str,
        request: Any,
        servers: Sequence[Server],
        deadline: Deadline,
        *,
        divisible: bool = False,
        connected: bool = False,
        slow: bool = False,
        sent: threading.Event | None = None,
    ) -> tuple[Server, Any]:
        if self._closed.is_set():
            raise closed_error(self._where(servers[0], signature))
        if isinstance(request, GetModelMetadataRequest):

            def attempt(server: Server, seconds: float) -> Any:
                return PredictionServiceStub(server.channel).GetModelMetadata(request, timeout=seconds)
        else:
            packed = request if isinstance(request, bytes) else request.SerializeToString()

            def attempt(server: Server, seconds: float) -> Any:
                if sent is None:
                    predict = server.channel.unary_unary(PREDICT, response_deserializer=RawReply.FromString)
                    return predict(packed, timeout=seconds)
                stream = server.channel.stream_unary(PREDICT, response_deserializer=RawReply.FromString)
                return stream(telling(packed, sent), timeout=seconds)

        return call(
            attempt,
            servers,
            deadline=deadline,
            closed=self._closed,
            where=lambda server: self._where(server, signature),
            divisible=divisible,
            connected=connected,
            slow=slow,
        )

    def _by_turns(self) -> list[Server]:
        turn = next(self._turn) % len(self._servers)
        return sorted(self._servers[turn:] + self._servers[:turn], key=lambda server: server.asked_last)

    def _known(self) -> ModelDescription:
        if self._description is None:
            raise ModelError(f"{self._where(self._servers[0], DESCRIBE)}: gave no description")
        return self._description

    def _where(self, server: Server, signature: str, response: Any = None) -> str:
        if response is not None and response.model_spec.HasField("version"):
            version = f"version {response.model_spec.version.value}"
        elif self._spec.HasField("version"):
            version = f"version {self._spec.version.value}"
        else:
            version = f"version {self._spec.version_label!r}" if self._spec.version_label else "newest version"
        return f"{server.address}, model {self._spec.name!r} ({version}), signature {signature!r}"


def _pixels(group: Sequence[NDArray[np.uint8]]) -> int:
    height, width, _ = group[0].shape
    pixels: int = len(group) * height * width
    return pixels


def _close_all(servers: Sequence[Server]) -> None:
    """Close the servers' channels, which ends calls in flight."""
    for server in servers:
        server.channel.close()
