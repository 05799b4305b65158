"""Export a run as a SavedModel for TensorFlow Serving: signatures, a model card and warm-up requests."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.artifacts import content_hash, disk_errors, manifest, remove_leftovers, write_json, written_aside
from rsir_tf.contract import (
    CLASS_NAMES,
    CONV4_3,
    CONV5_3,
    DESCRIBE,
    FEATURES,
    FURTHER_LAYERS,
    IDENTIFY,
    IMAGES,
    MODEL_ID,
    SEGMENTATION,
    SERVING_DEFAULT,
    STRIDE,
)
from rsir_tf.errors import ArtifactError
from rsir_tf.segmentation.blending import AS_TRAINED, Blend, blended, describing_layer, starting_trunk
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.inference import PAD_MODE, margins, padded, tie_breaks
from rsir_tf.segmentation.runs import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPORT_VERSION = 1
MODEL_CARD = "assets.extra/model_card.json"
LEFTOVER_AGE = 3600.0
"""Seconds after which an unfinished version is removed: no export takes an hour."""

BLEND = Blend(0.5, 0.2)
"""Shares of the trained weights in descriptors, if none is chosen, tags supervised and training began with VGG-16's.

Of the shares tried, with --decay-to-start 25, the best for an archive that the network has not seen (README).
"""

WARM_UP = "assets.extra/tf_serving_warmup_requests"


def export_run(
    run: Run, to: Path, *, conv4: bool = False, blend: Blend | None = None, weights: Path | None = None
) -> Path:
    """Export a run's best checkpoint as the next version of a served model.

    The finished version appears by rename: a server that polls the folder never sees a part of it. Before that, it is
    loaded as TensorFlow Serving does, and its answers are compared with those of the trained network.

    Args:
        run: A run with at least one complete epoch.
        to: The model's folder, `saved_models/NAME`; versions are its numbered subfolders.
        conv4: Whether `features` shall give conv4_3 too.
        blend: Shares of the trained weights in those that descriptors are computed with; None for `usual_blend`. The
            segmentation is always that of the trained network.
        weights: The weights file that the run started from, if it is no longer where it was.

    Returns:
        The new version's folder.

    Raises:
        InputError: The weights to blend with are not there.
        MismatchError: The weights file is not that which the run started from.
        ArtifactError: The run has no checkpoint, the folder cannot be written, the answers of the export differ from
            those of the trained network, or the backend of Keras is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ArtifactError(
            f"{run.path}: only TensorFlow can write a SavedModel, but Keras uses {keras.backend.backend()} here",
            cure="export with KERAS_BACKEND=tensorflow: the weights of a run work with every backend",
        )
    blend = usual_blend(run) if blend is None else blend
    start = None if blend.as_trained else starting_trunk(run, weights)
    network = load_best(run)
    if start is not None:
        network = blended(network, start, blend)
    for entry in (to, to / "saved_model.pb", to / "manifest.json"):
        if entry.is_file():
            raise ArtifactError(f"{entry}: is a file", wanted="--to saved_models/NAME, a folder of numbered versions")
    remove_leftovers(to, older_than=LEFTOVER_AGE)
    target = to / str(_next_version(to))
    with written_aside(target) as aside:
        export_network(network, run.label_set.names, aside, card=_card(run, blend), conv4=conv4)
        verify_export(aside, network, run.label_set.names)
    return target


def export_network(
    network: keras.Model, class_names: tuple[str, ...], to: Path, *, card: dict[str, Any], conv4: bool = False
) -> str:
    """Write one version: signatures, model card, warm-up request.

    Args:
        network: From `build_fcn`, or `blended`.
        class_names: One per class.
        to: A folder that does not exist yet.
        card: Further entries of the model card.
        conv4: Whether `features` gives conv4_3 too. The model's id is the same.

    Returns:
        The model's id.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    model_id = identity(network, class_names)
    answering = _answering(network, conv4=conv4)
    # The archive finds the variables that its endpoints use. With `track(network)` too, it would save each twice.
    archive = keras.export.ExportArchive()
    signature = [tf.TensorSpec((None, None, None, 3), tf.uint8, name=IMAGES)]

    def segmented(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {SEGMENTATION: _apply(answering, images)[SEGMENTATION]}

    def featured(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {**_apply(answering, images), MODEL_ID: tf.fill(tf.shape(images)[:1], tf.constant(model_id))}

    @tf.function(input_signature=[])  # type: ignore[untyped-decorator]
    def described() -> dict[str, tf.Tensor]:
        return {CLASS_NAMES: tf.constant(list(class_names)), MODEL_ID: tf.constant(model_id)}

    def identified(images: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.shape(images)[0]
        names = tf.tile(tf.constant([list(class_names)]), [count, 1])
        return {CLASS_NAMES: names, MODEL_ID: tf.fill([count], tf.constant(model_id))}

    described()  # Keras 2.15 accepts a function without inputs only after it was traced.
    archive.add_endpoint(SERVING_DEFAULT, segmented, input_signature=signature)
    archive.add_endpoint(FEATURES, featured, input_signature=signature)
    archive.add_endpoint(DESCRIBE, described)
    archive.add_endpoint(IDENTIFY, identified, input_signature=signature)
    with disk_errors(to):
        try:
            archive.write_out(str(to))
            (to / "assets.extra").mkdir()
            _write_warm_up(to / WARM_UP)
        except tf.errors.OpError as error:  # TensorFlow's error for a full or read-only disk
            reason = error.message.partition("\n")[0]
            raise ArtifactError(
                f"{to}: cannot be written: {reason}", cure="free space or choose another place"
            ) from error
    signatures = {
        SERVING_DEFAULT: {"in": "images uint8 [N,H,W,3] RGB", "out": "segmentation uint8 [N,H,W]"},
        FEATURES: {
            "in": "as above",
            "out": "segmentation as above, conv5_3 float32 [N,⌈H/16⌉,⌈W/16⌉,512], "
            + ("conv4_3 float32 [N,⌈H/8⌉,⌈W/8⌉,512], " if conv4 else "")
            + "model_id string [N]",
        },
        DESCRIBE: {"in": "nothing", "out": "class_names string [K], model_id string"},
        IDENTIFY: {"in": "images as above", "out": "class_names string [N,K], model_id string [N]"},
    }
    content = manifest(
        "export", EXPORT_VERSION, model_id=model_id, class_names=list(class_names), signatures=signatures
    )
    write_json(to / MODEL_CARD, {**content, **card})
    return model_id


def identity(network: keras.Model, class_names: tuple[str, ...]) -> str:
    """Hash of a network's weights, scales, class names and tie-breaking: models with equal ids give equal answers.

    Args:
        network: From `build_fcn`, or `blended`.
        class_names: One per class.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.sha256(content_hash(list(class_names)).encode())
    digest.update(tie_breaks(len(class_names)).data)
    for layer in network.layers:
        digest.update(f"{layer.name} {getattr(layer, 'scale', '')}".encode())
        for weight in layer.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()[:32]


def verify_export(path: Path, network: keras.Model, class_names: tuple[str, ...]) -> None:
    """Load an export as TensorFlow Serving does and compare its answers with those of the trained network.

    `tf.saved_model.load` restores from the object graph, but the server runs the restore operation of the graph. An
    export can pass the first and fail the second, so the second is tested, with every signature.

    Raises:
        ArtifactError: The export does not load, or its answers differ.
    """
    image = np.random.default_rng(0).integers(0, 256, (1, 80, 112, 3), dtype=np.uint8)
    try:
        with loaded_as_server(path) as answer:
            default, features = answer(SERVING_DEFAULT, image), answer(FEATURES, image)
            described, identified = answer(DESCRIBE, None), answer(IDENTIFY, image.repeat(2, axis=0))
    except (tf.errors.OpError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path.name}: the export cannot be loaded as a server does it ({error})") from error
    found_layers = [CONV5_3, *(layer for layer in FURTHER_LAYERS if layer in features)]
    answering = _answering(network, conv4=CONV4_3 in found_layers)
    logits, *maps = answering.predict_on_batch(padded(image))
    logits = np.asarray(logits, np.float64)[0, :80, :112] + tie_breaks(len(class_names))
    for name, found in ((SERVING_DEFAULT, default), (FEATURES, features)):
        chosen = np.take_along_axis(logits, found[SEGMENTATION][0, ..., None].astype(np.int64), axis=-1)[..., 0]
        # Where two classes are equally likely, rounding decides: the logit of the served class must be close to the
        # best.
        if not np.allclose(chosen, logits.max(axis=-1), rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(logits).max()))):
            raise ArtifactError(f"{path.name}: signature {name!r} segments differently from the trained network")
    for layer, cells in zip(found_layers, maps, strict=True):
        stride = FURTHER_LAYERS.get(layer, STRIDE)
        wanted = np.asarray(cells)[:, : 80 // stride, : 112 // stride]
        if not np.allclose(features[layer], wanted, rtol=1e-3, atol=1e-3 * float(wanted.max())):
            raise ArtifactError(f"{path.name}: signature {FEATURES!r} returns other features than the trained network")
    model_id, names = identity(network, class_names).encode(), [name.encode() for name in class_names]
    for name, output, found, said in (
        (FEATURES, MODEL_ID, features, [model_id]),
        (DESCRIBE, MODEL_ID, described, model_id),
        (DESCRIBE, CLASS_NAMES, described, names),
        (IDENTIFY, MODEL_ID, identified, [model_id] * 2),
        (IDENTIFY, CLASS_NAMES, identified, [names] * 2),
    ):
        if np.asarray(found[output], object).tolist() != said:
            raise ArtifactError(f"{path.name}: signature {name!r} does not return the identity of the trained network")


@contextlib.contextmanager
def loaded_as_server(path: Path) -> Iterator[Callable[[str, NDArray[np.uint8] | None], dict[str, NDArray[Any]]]]:
    """Load an export with the session loader, which restores variables as TensorFlow Serving does.

    Args:
        path: A version's folder.

    Yields:
        A function that answers a request: it takes the name of a signature, and uint8 [N, H, W, 3], or None for a
        signature without inputs; it returns output arrays by name.
    """
    # Not `with Session(…)`: its graph would become the default graph, and eager tensors would have no value.
    with contextlib.closing(tf.compat.v1.Session(graph=tf.Graph())) as session:
        with session.graph.as_default():
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(path))

        def answer(signature: str, images: NDArray[np.uint8] | None) -> dict[str, NDArray[Any]]:
            definition = meta.signature_def[signature]
            feed = {definition.inputs[IMAGES].name: images} if images is not None else {}
            return dict(session.run({name: info.name for name, info in definition.outputs.items()}, feed))

        yield answer


def _answering(network: keras.Model, *, conv4: bool) -> keras.Model:
    """The network with all outputs that are asked for: logits, conv5_3, and conv4_3 if wanted."""
    names = ["block5_conv3", *(["block4_conv3"] if conv4 else [])]
    return keras.Model(
        network.inputs, [network.outputs[0], *(describing_layer(network, name).output for name in names)]
    )


def _apply(answering: keras.Model, images: tf.Tensor) -> dict[str, tf.Tensor]:
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    mirrored = tf.pad(images, [[0, 0], *margins(height, width)], mode=PAD_MODE)
    logits, *maps = answering(tf.cast(mirrored, tf.float32), training=False)
    classes = tf.cast(tf.argmax(logits + tie_breaks(logits.shape[-1]), axis=-1), tf.uint8)
    answer = {SEGMENTATION: classes[:, :height, :width]}
    for cells, (layer, stride) in zip(maps, {CONV5_3: STRIDE, **FURTHER_LAYERS}.items(), strict=False):
        answer[layer] = tf.cast(cells, tf.float32)[:, : -(-height // stride), : -(-width // stride)]
    return answer


def _write_warm_up(path: Path) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    image = tf.zeros((1, 256, 256, 3), tf.uint8)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in (SERVING_DEFAULT, FEATURES):
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            request.inputs[IMAGES].CopyFrom(tf.make_tensor_proto(image))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def _next_version(to: Path) -> int:
    numbers = (
        [int(entry.name) for entry in to.iterdir() if entry.name.isascii() and entry.name.isdigit()]
        if to.exists()
        else []
    )
    return max(numbers, default=0) + 1


def usual_blend(run: Run) -> Blend:
    """The shares of the trained weights in descriptors if none is chosen: measured with tags and VGG-16 alone."""
    from_vgg16 = run.settings["weights"] != "none" and "run" not in run.manifest.get("starting_weights", {})
    return BLEND if from_vgg16 and run.settings.get("supervision") == "tags" else AS_TRAINED


def _card(run: Run, blend: Blend) -> dict[str, Any]:
    """Where the model comes from, and how the files that it was trained on were read, where that was chosen."""
    reading = run.manifest["archive"].get("reading")
    return {"run": _origin(run), "blend": blend.to_json(), **({"reading": reading} if reading else {})}


def _origin(run: Run) -> dict[str, Any]:
    history = run.history()
    return {
        "name": run.path.name,
        "epochs": len(history),
        "architecture": run.architecture.to_json(),
        "label_set": run.label_set.to_json(),
        "settings": run.settings,
        "archive": {key: value for key, value in run.manifest["archive"].items() if key != "path"},
        "software": run.manifest["software"],
        "scores": run.scores(),
    }
