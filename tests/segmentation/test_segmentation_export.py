"""Exports of a tiny run of VGG-16: the same answers as the live network, whole versions or none."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from narrow_trunk import narrow_trunk
from training_samples import SETTINGS, KilledError

from rsir_tf.archives import Archive
from rsir_tf.archives.splits import Split
from rsir_tf.errors import ArtifactError
from rsir_tf.segmentation import export
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.export import export_run, identity, loaded_as_server
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.runs import Run, open_run
from rsir_tf.segmentation.training import train

pytestmark = pytest.mark.full_width


@pytest.fixture(scope="module")
def run(tiny_export: Any) -> Run:
    return open_run(tiny_export.run)


@pytest.fixture(scope="module")
def network(run: Run) -> keras.Model:
    return load_best(run)


@pytest.fixture(scope="module")
def version(tiny_export: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run's export."""
    return Path(shutil.copytree(tiny_export.model, tmp_path_factory.mktemp("saved_models") / "tiny")) / "1"


Answer = Callable[[str, "np.ndarray | None"], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def served(version: Path) -> Iterator[Answer]:
    """The export as TensorFlow Serving loads it."""
    with loaded_as_server(version) as answer:
        yield answer


@pytest.fixture(scope="module")
def loaded(version: Path) -> Callable[..., dict[str, tf.Tensor]]:
    """The signature `features` as TensorFlow itself loads it."""
    model = tf.saved_model.load(str(version))
    return lambda images: model.signatures["features"](images=tf.constant(images))


@pytest.mark.parametrize("size", [(256, 256), (75, 41), (17, 33), (1000, 40)])
def test_the_export_answers_as_the_live_network_in_both_loaders(
    network: keras.Model, loaded: Callable[..., dict[str, tf.Tensor]], served: Answer, size: tuple[int, int]
) -> None:
    height, width = size
    image = np.random.default_rng(height).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    features = keras.Model(network.inputs, network.get_layer("block5_conv3").output)
    restored = served("features", image)
    for answer in ({name: value.numpy() for name, value in loaded(image).items()}, restored):
        assert answer["segmentation"].dtype == np.uint8
        # Equal logits may round either way; on random weights that is a handful of pixels at most.
        assert (answer["segmentation"][0] == segment(network, image[0])).mean() > 0.999
        padded = np.pad(image, ((0, 0), (0, -height % 32), (0, -width % 32), (0, 0)), mode="symmetric")
        conv5_3 = features.predict_on_batch(padded.astype(np.float32))[:, : -(-height // 16), : -(-width // 16)]
        assert answer["conv5_3"].shape == conv5_3.shape
        np.testing.assert_allclose(answer["conv5_3"], conv5_3, rtol=1e-3, atol=1e-4 * float(conv5_3.max()))
        assert answer["conv5_3"].min() >= 0
    np.testing.assert_array_equal(served("serving_default", image)["segmentation"], restored["segmentation"])


def test_each_answer_says_who_gave_it(loaded: Callable[..., dict[str, tf.Tensor]], served: Answer) -> None:
    model_id = served("describe", None)["model_id"]
    for count in (1, 3):
        images = np.zeros((count, 16, 16, 3), np.uint8)
        assert served("features", images)["model_id"].tolist() == [model_id] * count
    assert loaded(images)["model_id"].numpy().tolist() == [model_id] * count


def test_an_export_holds_each_weight_once(run: Run, version: Path) -> None:
    weights = sum(weight.nbytes for weight in load_best(run).get_weights())
    written = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    assert weights < written < weights + 2_000_000


def test_a_model_keeps_its_id() -> None:
    """Indexes hold it: what is the same model today must be so to every later version of this package."""
    image = keras.Input((None, None, 3), name="images")
    network = keras.Model(image, keras.layers.Conv2D(2, 1, name="score")(image))
    network.set_weights([np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2), np.array([0.5, -1], np.float32)])
    assert identity(network, ("land", "water")) == "7219f5c423e9b1b1ff5df6d906e35571"


def test_the_export_says_which_model_it_is(run: Run, network: keras.Model, version: Path, served: Answer) -> None:
    answer = served("describe", None)
    assert [name.decode() for name in answer["class_names"]] == list(run.label_set.names)
    model_id = answer["model_id"].decode()
    assert model_id == identity(network, run.label_set.names)
    assert model_id != identity(network, run.label_set.names[::-1])
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["model_id"] == model_id
    assert card["run"]["settings"] == run.settings


def test_a_batching_server_can_ask_which_model_it_is_with_images(served: Answer) -> None:
    described = served("describe", None)
    for count in (1, 3):
        answer = served("identify", np.zeros((count, 16, 16, 3), np.uint8))
        assert answer["model_id"].tolist() == [described["model_id"]] * count
        assert answer["class_names"].tolist() == [described["class_names"].tolist()] * count


def test_warm_up_requests_are_answered(version: Path, served: Answer) -> None:
    from tensorflow_serving.apis import prediction_log_pb2

    records = list(tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(records) == 2
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        images = tf.make_ndarray(request.inputs["images"])
        answer = served(request.model_spec.signature_name, images)
        assert answer["segmentation"].shape == images.shape[:3]


def test_versions_count_up_and_conv4_3_is_given_where_it_is_wanted(
    run: Run, network: keras.Model, version: Path, served: Answer
) -> None:
    second = export_run(run, version.parent, conv4=True)
    assert (version.name, second.name) == ("1", "2")
    assert sorted(entry.name for entry in version.parent.iterdir()) == ["1", "2"]  # Nothing half done stays.
    image = np.random.default_rng(0).integers(0, 256, (1, 75, 41, 3), dtype=np.uint8)
    before = served("features", image)
    assert "conv4_3" not in before
    with loaded_as_server(second) as answer:
        found = answer("features", image)
    for name, values in before.items():  # The same model otherwise, with the same id.
        np.testing.assert_array_equal(found[name], values)
    padded = np.pad(image, ((0, 0), (0, 21), (0, 23), (0, 0)), mode="symmetric").astype(np.float32)
    cells = keras.Model(network.inputs, network.get_layer("block4_conv3").output).predict_on_batch(padded)
    assert found["conv4_3"].shape == (1, 10, 6, 512)  # ⌈75/8⌉ and ⌈41/8⌉
    np.testing.assert_allclose(found["conv4_3"], cells[:, :10, :6], rtol=1e-3, atol=1e-4 * float(cells.max()))
    card = json.loads((second / "assets.extra" / "model_card.json").read_text())
    assert "conv4_3 float32 [N,⌈H/8⌉,⌈W/8⌉,512]" in card["signatures"]["features"]["out"]


def test_a_version_or_a_run_is_no_place_for_versions(run: Run, version: Path) -> None:
    for wrong in (version, run.path):
        with pytest.raises(ArtifactError, match="a folder of numbered versions"):
            export_run(run, wrong)


def loading(answer: Answer) -> Callable[[Path], contextlib.AbstractContextManager[Answer]]:
    return lambda path: contextlib.nullcontext(answer)


def test_an_export_that_answers_as_it_should_is_published(
    run: Run, network: keras.Model, version: Path, served: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "loaded_as_server", loading(served))
    export.verify_export(version, network, run.label_set.names)


@pytest.mark.parametrize(
    ("output", "spoiled", "complaint"),
    [
        ("segmentation", None, "segments differently"),
        ("conv5_3", None, "other features"),
        ("model_id", "features", "'features' does not return the identity"),
        ("model_id", "describe", "'describe' does not return the identity"),
        ("model_id", "identify", "'identify' does not return the identity"),
    ],
)
def test_an_export_that_answers_otherwise_is_not_published(
    run: Run,
    network: keras.Model,
    version: Path,
    served: Answer,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    spoiled: str | None,
    complaint: str,
) -> None:
    def wrong(signature: str, images: np.ndarray | None) -> dict[str, np.ndarray]:
        found = served(signature, images)
        if spoiled not in (None, signature):
            return found
        change = {
            "segmentation": lambda value: (value + 1) % run.architecture.classes,
            "conv5_3": lambda value: value[..., ::-1],
            "model_id": lambda value: b"another",
        }[output]
        return {name: change(value) if name == output else value for name, value in found.items()}

    monkeypatch.setattr(export, "loaded_as_server", loading(wrong))
    with pytest.raises(ArtifactError, match=complaint):
        export.verify_export(version, network, run.label_set.names)


def test_a_full_disk_while_exporting_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, path: str, *_: object, **__: object) -> None:
        Path(path).mkdir()
        raise tf.errors.ResourceExhaustedError(None, None, f"{path}/variables; No space left on device")

    monkeypatch.setattr(type(keras.export.ExportArchive()), "write_out", full)
    with pytest.raises(ArtifactError, match="No space left on device; free space"):
        export_run(run, tmp_path / "tiny")
    assert not list((tmp_path / "tiny").iterdir())


def test_another_backend_is_told_to_leave_the_export_to_tensorflow(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ArtifactError, match="Keras uses jax here; export with KERAS_BACKEND=tensorflow"):
        export_run(run, tmp_path / "model")


def test_a_run_without_a_checkpoint_cannot_be_exported(archive: Archive, split: Split, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KilledError

    with narrow_trunk(), pytest.raises(KilledError):
        train(archive, split, tmp_path / "run", SETTINGS, progress=stop)
    with pytest.raises(ArtifactError, match="no checkpoint yet"):
        export_run(open_run(tmp_path / "run"), tmp_path / "model")
    assert not (tmp_path / "model").exists()
