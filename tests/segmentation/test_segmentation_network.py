"""Geometry and start of the network: derived, or against an independent implementation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.applications.vgg16 import preprocess_input

from rsir_tf.errors import InputError
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.network import (
    Architecture,
    Scales,
    build_fcn,
    build_trunk,
    measure_scales,
)
from rsir_tf.segmentation.weights import Head, _as_convolutions, apply_head, initialise

pytestmark = pytest.mark.full_width


@pytest.fixture(scope="module")
def trunk() -> keras.Model:
    model = build_trunk()
    initialise(model, "none", seed=1)
    return model


def test_preprocessing_is_that_of_keras(trunk: keras.Model) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    ours = keras.Model(trunk.input, trunk.get_layer("preprocess").output).predict_on_batch(image)
    np.testing.assert_allclose(ours, preprocess_input(image.copy()), atol=1e-4)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_logits_start_uniform_and_have_the_images_size(trunk: keras.Model, stride: int) -> None:
    model = build_fcn(trunk, Architecture(classes=5, stride=stride, head_width=8))
    logits = model.predict_on_batch(np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32))
    assert logits.shape == (2, 64, 96, 5)
    # Score layers are zero, so every class has the same logit everywhere.
    np.testing.assert_array_equal(logits, 0)


@pytest.mark.parametrize(
    ("stride", "name", "factor"),
    [
        (32, "upscore32_to_image", 32),
        (16, "upscore2", 2),
        (16, "upscore16_to_image", 16),
        (8, "upscore4", 2),
        (8, "upscore8_to_image", 8),
    ],
)
def test_the_networks_upsampling_is_bilinear_resizing_inside(
    trunk: keras.Model, stride: int, name: str, factor: int
) -> None:
    scipy_ndimage = pytest.importorskip("scipy.ndimage")
    coarse = np.random.default_rng(2).normal(size=(1, 6, 7, 3)).astype(np.float32)
    layer = build_fcn(trunk, Architecture(classes=3, stride=stride, head_width=4)).get_layer(name)
    fine = np.asarray(layer(coarse))[0]
    # Half-pixel bilinear: pixel y of the fine grid lies at (y + .5) / factor − .5 of the coarse one.
    rows = (np.arange(6 * factor) + 0.5) / factor - 0.5
    columns = (np.arange(7 * factor) + 0.5) / factor - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    wanted = np.stack(
        [scipy_ndimage.map_coordinates(coarse[0, ..., c], grid, order=1, mode="nearest") for c in range(3)], axis=-1
    )
    inside = slice(factor // 2, -(factor // 2))
    np.testing.assert_allclose(fine[inside, inside], wanted[inside, inside], atol=1e-5)
    # At the border the kernel reaches over the edge, where there is nothing: a corner keeps (1 − (factor−1)/2factor)².
    corner = ((factor + 1) / (2 * factor)) ** 2
    np.testing.assert_allclose(fine[0, 0], coarse[0, 0, 0] * corner, rtol=1e-5)


BRANCHES = {32: 1, 16: 2, 8: 3}


def on_branches(trunk: keras.Model, stride: int) -> keras.Model:
    """A head with random scores, from pool5 to logits, and from those of pool4 and pool3 that it skips from."""
    model = build_fcn(trunk, Architecture(classes=2, stride=stride, head_width=4, scales=Scales(0.01, 0.01, 0.01)))
    for layer in model.layers:
        if layer.name.startswith("score"):
            kernel = np.random.default_rng(3).normal(size=layer.kernel.shape).astype(np.float32)
            layer.set_weights([kernel, np.zeros(2, np.float32)])
    pool3, pool4, _, pool5 = trunk.outputs
    return keras.Model([pool5, pool4, pool3][: BRANCHES[stride]], model.outputs[0])


def test_a_shift_of_the_input_by_whole_cells_shifts_the_logits(trunk: keras.Model) -> None:
    # A blob on the mean colour (zero after preprocessing), far enough from the border that padding is never seen:
    # VGG's own receptive field at pool5 is 212 pixels, fc6 adds six cells of 32.
    canvas = np.tile(np.array([123.68, 116.779, 103.939], np.float32), (2, 640, 640, 1))
    blob = np.random.default_rng(4).uniform(0, 255, (24, 24, 3)).astype(np.float32)
    canvas[0, 288:312, 288:312] = blob
    canvas[1, 320:344, 352:376] = blob
    pool3, pool4, _, pool5 = trunk.predict_on_batch(canvas)
    for stride in (8, 16, 32):
        a, b = on_branches(trunk, stride).predict_on_batch([pool5, pool4, pool3][: BRANCHES[stride]])
        assert np.ptp(a[250:350, 250:350]) > 1e-3
        np.testing.assert_allclose(a[200:400, 200:400], b[232:432, 264:464], atol=1e-3 * float(np.abs(a).max()))
        # It is the shift that makes them equal.
        assert np.abs(a[200:400, 200:400] - b[200:400, 200:400]).max() > 0.1 * np.ptp(a)


@pytest.mark.parametrize(("stride", "millions"), [(8, 134_343_283), (16, 134_338_914), (32, 134_330_193)])
def test_the_papers_network_has_134_million_parameters(stride: int, millions: int) -> None:
    # VGG-16's convolutions 14,714,688; fc6 7·7·512 weights a channel; fc7; scores of fc7, pool4 (512), pool3 (256).
    def parameters(width: int) -> int:
        inputs = width + (512 if stride <= 16 else 0) + (256 if stride == 8 else 0)
        scores = inputs * 17 + BRANCHES[stride] * 17
        return 14_714_688 + (7 * 7 * 512 * width + width) + (width * width + width) + scores

    assert parameters(4096) == millions
    # The same sum at a width that a test can afford:
    model = build_fcn(build_trunk(), Architecture(classes=17, stride=stride, head_width=16))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters(16)
    # Preprocessing 3·3 + 3, and a kernel of (2·factor)²·17² for each upsampling.
    factors = {8: (2, 2, 8), 16: (2, 16), 32: (32,)}[stride]
    fixed = 12 + sum((2 * factor) ** 2 * 17**2 for factor in factors)
    assert sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights) == fixed


def test_dense_layers_as_convolutions_give_the_dense_networks_answer(trunk: keras.Model) -> None:
    # VGG-16's own top, with a width of 8 to be quick. A 224×224 image gives pool5 of 7×7, on which fc6 has one position
    # that sees all of it: the centre.
    random = np.random.default_rng(5)
    pool5 = keras.Input((7, 7, 512))
    x = keras.layers.Flatten()(pool5)
    x = keras.layers.Dense(8, activation="relu", name="fc1")(x)
    dense = keras.Model(pool5, keras.layers.Dense(8, activation="relu", name="fc2")(x))
    for layer in dense.layers:
        layer.set_weights([random.normal(size=weight.shape) * 0.1 for weight in layer.get_weights()])
    model = build_fcn(trunk, Architecture(classes=2, head_width=8))
    apply_head(model, Head(_as_convolutions(dense)))
    image = random.uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    seen = keras.Model(model.inputs, [trunk.outputs[3], model.get_layer("fc7").output])
    features, found = seen.predict_on_batch(image)
    wanted = dense.predict_on_batch(features)[0]
    assert features.shape == (1, 7, 7, 512)
    assert wanted.max() > 0.1
    np.testing.assert_allclose(found[0, 3, 3], wanted, rtol=1e-4, atol=1e-3)


def test_a_head_of_another_width_starts_anew(trunk: keras.Model) -> None:
    random = np.random.default_rng(6)
    pairs = {
        "fc6": (random.normal(size=(7, 7, 512, 8)).astype(np.float32), np.ones(8, np.float32)),
        "fc7": (random.normal(size=(1, 1, 8, 8)).astype(np.float32), np.ones(8, np.float32)),
    }
    head = Head(pairs)
    assert head.fits(8)
    assert not head.fits(4)
    assert not Head().fits(8)
    same, other = (build_fcn(trunk, Architecture(classes=2, head_width=width)) for width in (8, 4))
    apply_head(same, head)
    apply_head(other, head)
    np.testing.assert_array_equal(same.get_layer("fc6").get_weights()[0], pairs["fc6"][0])
    np.testing.assert_array_equal(other.get_layer("fc6").get_weights()[1], 0)


def test_scales_are_reciprocal_root_mean_squares(trunk: keras.Model) -> None:
    images = np.random.default_rng(7).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    scales = measure_scales(trunk, images)
    pool4 = np.asarray(trunk.predict_on_batch(images)[1], np.float64)
    # Rounded to three digits, so within half a per cent.
    assert scales.pool4 * np.sqrt((pool4**2).mean()) == pytest.approx(1, rel=5e-3)


def test_a_dead_trunk_is_refused() -> None:
    trunk = build_trunk()
    layer = trunk.get_layer("block1_conv1")
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    with pytest.raises(InputError, match="root mean square of 0"):
        measure_scales(trunk, np.full((1, 32, 32, 3), 99, np.float32))


@pytest.mark.parametrize(("stride", "classes"), [(4, 5), (8, 0), (8, 256)])
def test_impossible_architectures_are_refused(trunk: keras.Model, stride: int, classes: int) -> None:
    with pytest.raises(InputError):
        build_fcn(trunk, Architecture(classes=classes, stride=stride, head_width=4))


def test_seeds_decide_the_starting_weights() -> None:
    first, again, other = build_trunk(), build_trunk(), build_trunk()
    initialise(first, "none", seed=1)
    initialise(again, "none", seed=1)
    initialise(other, "none", seed=2)
    kernels = [model.get_layer("block3_conv2").get_weights()[0] for model in (first, again, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01
    # He: variance 2 / fan-in, fan-in 3·3·256.
    assert kernels[0].std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.02)


def test_a_file_that_is_no_vgg16_is_refused(tmp_path, trunk: keras.Model) -> None:
    wrong = tmp_path / "weights.h5"
    wrong.write_bytes(b"not hdf5")
    with pytest.raises(InputError, match="is not a VGG-16 weights file"):
        initialise(trunk, str(wrong))
    with pytest.raises(InputError, match=r"no such file or run; wanted .* or a trained run"):
        initialise(trunk, str(tmp_path / "absent.h5"))


def test_imagenet_weights_load_from_a_file(real_data) -> None:
    trunk = build_trunk()
    path = real_data("weights/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
    assert initialise(trunk, str(path)) == Head()
    reference = keras.applications.VGG16(include_top=False, weights=str(path))
    image = np.random.default_rng(8).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    wanted = reference.predict_on_batch(preprocess_input(image.copy()))
    np.testing.assert_allclose(trunk.predict_on_batch(image)[3], wanted, rtol=1e-4, atol=1e-3)


def test_segment_gives_the_images_size_at_any_size(trunk: keras.Model) -> None:
    model = build_fcn(trunk, Architecture(classes=3, head_width=4))
    layer = model.get_layer("score_pool3")
    layer.set_weights(
        [np.random.default_rng(9).normal(size=layer.kernel.shape).astype(np.float32), np.zeros(3, np.float32)]
    )
    image = np.random.default_rng(10).integers(0, 256, (75, 41, 3), dtype=np.uint8)
    found = segment(model, image)
    assert found.dtype == np.uint8
    # Padded by hand to 96 × 64, mirrored: the same answer where the image is.
    padded = np.pad(image, ((0, 21), (0, 23), (0, 0)), mode="symmetric")
    logits = model.predict_on_batch(padded[None].astype(np.float32))[0]
    np.testing.assert_array_equal(found, logits.argmax(-1)[:75, :41])
