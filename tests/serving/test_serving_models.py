"""One contract, two ways to a model: in this process, and behind a server with either encoding of replies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serving_live import embedded
from serving_toy import CHANNELS, CLASSES, export_toy, random_image, toy_conv4_3, toy_conv5_3, toy_segmentation

from rsir_tf.errors import InputError, ModelError
from rsir_tf.serving import Model, ModelDescription, connect, load


def check(prediction, image: np.ndarray) -> None:
    """Compare with the model's definition in numpy; sums of 256 values differ in the last bits."""
    np.testing.assert_array_equal(prediction.segmentation, toy_segmentation(image))
    assert prediction.segmentation.dtype == np.uint8
    np.testing.assert_allclose(prediction.conv5_3, toy_conv5_3(image), atol=1e-5)
    assert prediction.conv5_3.dtype == np.float32


class ModelContract:
    """What every model must do. Subclasses give `model`."""

    def test_describes_itself(self, model: Model) -> None:
        assert model.describe() == ModelDescription(model_id="toy-1", class_names=CLASSES)

    @pytest.mark.parametrize(("height", "width"), [(64, 64), (16, 16), (33, 17), (100, 250), (513, 31)])
    def test_answers_any_size(self, model: Model, height: int, width: int) -> None:
        image = random_image(height, width)
        (prediction,) = model.predict([image])
        assert prediction.conv5_3.shape == (-(-height // 16), -(-width // 16), CHANNELS)
        check(prediction, image)

    def test_keeps_order_over_mixed_sizes(self, model: Model) -> None:
        # 9 of one size overflow two batches of 4; the rest changes size back and forth.
        sizes = [(32, 32)] * 9 + [(16, 48), (48, 16), (48, 16), (32, 32)]
        images = [random_image(*size, seed=place) for place, size in enumerate(sizes)]
        predictions = model.predict(images)
        assert len(predictions) == len(images)
        for prediction, image in zip(predictions, images, strict=True):
            check(prediction, image)

    def test_segments_without_features(self, model: Model) -> None:
        sizes = [(32, 32)] * 5 + [(16, 48), (100, 250)]
        images = [random_image(*size, seed=place) for place, size in enumerate(sizes)]
        for found, image in zip(model.segment_stream(iter(images)), images, strict=True):
            np.testing.assert_array_equal(found, toy_segmentation(image))
            assert found.dtype == np.uint8

    def test_takes_no_images(self, model: Model) -> None:
        assert model.predict([]) == []
        assert list(model.predict_stream(iter([]))) == []
        assert list(model.segment_stream(iter([]))) == []

    def test_takes_views(self, model: Model) -> None:
        image = random_image(64, 48)[::-2, :, ::-1]
        assert not image.flags.c_contiguous
        check(model.predict([image])[0], image)

    def test_streams_in_order_without_reading_all(self, model: Model) -> None:
        pulled = []

        def images() -> Iterator[np.ndarray]:
            for place in range(300):
                pulled.append(place)
                yield random_image(16, 16, seed=place)

        stream = model.predict_stream(images())
        for place in range(20):
            check(next(stream), random_image(16, 16, seed=place))
        # At most 4 groups of 4 in flight, one being put together, and the 20 already given.
        assert len(pulled) <= 20 + 5 * 4 + 1
        stream.close()

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((32, 32, 3), np.float32),
            np.zeros((32, 32), np.uint8),
            np.zeros((32, 32, 4), np.uint8),
            np.zeros((1, 32, 32, 3), np.uint8),
            np.zeros((15, 32, 3), np.uint8),
            np.zeros((0, 32, 3), np.uint8),
            [[1, 2, 3]],
        ],
        ids=["float", "grey", "rgba", "batch", "small", "empty", "list"],
    )
    def test_refuses_what_is_no_image(self, model: Model, wrong) -> None:
        with pytest.raises(InputError, match=r"image 1 is .*wanted uint8 \[H, W, 3\]"):
            model.predict([random_image(32, 32), wrong])

    def test_gives_what_came_before_a_bad_image(self, model: Model) -> None:
        good = [random_image(32, 32, seed=place) for place in range(3)]
        stream = model.predict_stream([*good, np.zeros((4, 4, 3), np.uint8), *good])
        for image in good:
            check(next(stream), image)
        with pytest.raises(InputError, match="image 3 is"):
            next(stream)

    def test_passes_on_the_source_s_own_error(self, model: Model) -> None:
        def images() -> Iterator[np.ndarray]:
            yield random_image(32, 32)
            raise OSError("disk gone")

        stream = model.predict_stream(images())
        check(next(stream), random_image(32, 32))
        with pytest.raises(OSError, match="disk gone"):
            next(stream)

    def test_fails_after_close(self, closable: Model) -> None:
        closable.predict([random_image(16, 16)])
        closable.close()
        closable.close()
        for use in (closable.describe, lambda: closable.predict([random_image(16, 16)]), lambda: closable.predict([])):
            with pytest.raises(ModelError, match="closed"):
                use()


class TestLoadedModel(ModelContract):
    @pytest.fixture
    def model(self, loaded: Model) -> Model:
        return loaded

    @pytest.fixture
    def closable(self, toy_base: Path) -> Model:
        return load(toy_base / "1")


class TestServedModel(ModelContract):
    @pytest.fixture
    def model(self, served: Model) -> Model:
        return served

    @pytest.fixture
    def closable(self, server_address: str) -> Model:
        return connect(server_address, model_name="toy", version=1, timeout=20)


class TestServedModelWithTensorContent(ModelContract):
    @pytest.fixture
    def model(self, served_as_content: Model) -> Model:
        return served_as_content

    @pytest.fixture
    def closable(self, content_address: str) -> Model:
        return connect(content_address, model_name="toy")


class TestLoadedOlderExport(ModelContract):
    @pytest.fixture
    def model(self, loaded_older: Model) -> Model:
        return loaded_older

    @pytest.fixture
    def closable(self, older_base: Path) -> Model:
        return load(older_base)


class TestServedOlderExport(ModelContract):
    """One whose answers do not say which model gave them."""

    @pytest.fixture
    def model(self, served_older: Model) -> Model:
        return served_older

    @pytest.fixture
    def closable(self, older_address: str) -> Model:
        return connect(older_address, model_name="older")


@pytest.fixture(scope="module")
def older_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("saved_models") / "older"
    base.mkdir()
    export_toy(base, features="older")
    return base


@pytest.fixture(scope="module")
def older_address(older_base: Path) -> Iterator[str]:
    with embedded(older_base) as server:
        yield server.address


@pytest.fixture(scope="module")
def loaded_older(older_base: Path) -> Iterator[Model]:
    with load(older_base) as model:
        yield model


@pytest.fixture(scope="module")
def served_older(older_address: str) -> Iterator[Model]:
    with connect(older_address, model_name="older", timeout=20) as model:
        yield model


@pytest.fixture(scope="module")
def loaded(toy_base: Path) -> Iterator[Model]:
    with load(toy_base) as model:
        yield model


@pytest.fixture(scope="module")
def served(server_address: str) -> Iterator[Model]:
    with connect(server_address, model_name="toy", timeout=20) as model:
        yield model


@pytest.fixture(scope="module")
def content_address(toy_base: Path, external_server: str | None) -> Iterator[str]:
    if external_server is not None:
        pytest.skip("the external server's encoding is its own flag")
    with embedded(toy_base, tensor_content=True) as server:
        yield server.address


@pytest.fixture(scope="module")
def served_as_content(content_address: str) -> Iterator[Model]:
    with connect(content_address, model_name="toy", timeout=20) as model:
        yield model


@pytest.mark.parametrize("served", [False, True])
def test_gives_a_further_layer_where_it_is_asked_for(tmp_path: Path, served: bool) -> None:
    base = tmp_path / "toy"
    base.mkdir()
    export_toy(base, features="conv4")
    images = [random_image(*size) for size in ((33, 17), (64, 48), (64, 48))]
    with contextlib.ExitStack() as stack:
        if served:
            model: Model = connect(stack.enter_context(embedded(base)).address, model_name="toy", timeout=20)
        else:
            model = load(base)
        stack.enter_context(model)
        assert model.describe().layers == ("conv4_3",)
        for prediction, image in zip(model.predict(images, ["conv4_3"]), images, strict=True):
            check(prediction, image)
            assert prediction.conv4_3 is not None
            assert prediction.conv4_3.shape == (-(-image.shape[0] // 8), -(-image.shape[1] // 8), CHANNELS)
            np.testing.assert_allclose(prediction.conv4_3, toy_conv4_3(image), atol=1e-5)
        for prediction, image in zip(model.predict(images), images, strict=True):
            check(prediction, image)
            assert prediction.conv4_3 is None


def test_a_layer_that_a_model_lacks_is_refused(loaded: Model, served: Model) -> None:
    for model in (loaded, served):
        with pytest.raises(ModelError, match=r"gives no features of conv4_3; .*`rsir-tf export --conv4`"):
            model.predict([random_image(32, 32)], ["conv4_3"])
        with pytest.raises(ModelError, match=r"gives no features of fc7; wanted conv5_3$"):
            model.predict([random_image(32, 32)], ["fc7"])


def test_both_ways_agree(toy_base: Path, server_address: str) -> None:
    images = [random_image(70, 90, seed=seed) for seed in range(5)]
    with load(toy_base) as local, connect(server_address, model_name="toy") as served:
        assert local.describe() == served.describe()
        for near, far in zip(local.predict(images), served.predict(images), strict=True):
            np.testing.assert_array_equal(near.segmentation, far.segmentation)
            np.testing.assert_allclose(near.conv5_3, far.conv5_3, atol=1e-5)
