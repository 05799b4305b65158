"""FCN-32s, FCN-16s and FCN-8s on VGG-16, from Keras layers alone, so that any Keras backend trains them.

The geometry follows MatConvNet's FCN: there is no pad of 100; pools, fc6 (7×7, padded by 3) and transposed convolutions
keep sizes aligned, so that an input whose sides are multiples of 32 gives logits of the same size without an offset.

Scales: with ImageNet weights and caffe preprocessing, pool3 reaches thousands where pool5 reaches hundreds, so that
unscaled skips dominate the sum. Each branch is therefore divided by the root mean square of its own input, measured
once on training images (`measure_scales`), as FCN-8s "at once" does with fixed numbers (0.01, 0.0001) for the two
skips.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stride = Literal[8, 16, 32]

IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
"""The mean that VGG-16 was trained with; `keras.applications.vgg16.preprocess_input` subtracts the same."""

VGG_LAYERS = tuple(
    f"block{block}_conv{i}"
    for block, count in zip(range(1, 6), (2, 2, 3, 3, 3), strict=True)
    for i in range(1, count + 1)
)


@dataclass(frozen=True, slots=True)
class Scales:
    """Factors on the inputs of the three branches, and on the descriptor of the image from which tags are learned.

    1 does not change a branch.
    """

    pool3: float = 1.0
    pool4: float = 1.0
    pool5: float = 1.0
    descriptor: float = 1.0


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything that is needed to build the network again.

    Attributes:
        classes: Number of classes K.
        stride: 8, 16 or 32: where the finest prediction is taken (FCN-8s, FCN-16s, FCN-32s).
        head_width: Channels of fc6 and fc7; VGG-16's own is 4096.
        scales: See the docstring of this module.
    """

    classes: int
    stride: Stride = 8
    head_width: int = 4096
    scales: Scales = Scales()

    def to_json(self) -> dict[str, Any]:
        """As JSON types, for manifests."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Architecture:
        """The inverse of `to_json`."""
        return cls(**{**content, "scales": Scales(**content["scales"])})


def build_trunk() -> keras.Model:
    """Preprocessing and the convolutions of VGG-16.

    Returns:
        A model from `images` float32 [B, H, W, 3] (RGB, 0..255, sides multiples of 32) to a list:
        pool3 [B, H/8, W/8, 256], pool4 [B, H/16, W/16, 512], conv5_3 after ReLU [B, H/16, W/16, 512],
        pool5 [B, H/32, W/32, 512].
    """
    images = keras.Input((None, None, 3), name="images")
    # RGB to BGR minus the mean as a fixed 1×1 convolution: preprocessing is then saved with the weights. It is float32
    # in mixed precision too, because half precision would round the mean.
    preprocess = keras.layers.Conv2D(3, 1, trainable=False, dtype="float32", name="preprocess")
    vgg = convolutions(preprocess(images))
    preprocess.set_weights(
        [np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), -np.array(IMAGENET_MEAN_BGR, np.float32)]
    )
    outputs = [vgg.get_layer(name).output for name in ("block3_pool", "block4_pool", "block5_conv3", "block5_pool")]
    return keras.Model(images, outputs, name="trunk")


def convolutions(images: Any) -> keras.Model:
    """VGG-16's convolutions and pools as Keras defines them, without weights, on symbolic images [B, H, W, 3]."""
    return keras.applications.VGG16(include_top=False, weights=None, input_tensor=images)


def build_fcn(trunk: keras.Model, architecture: Architecture, *, dropout: float = 0.5) -> keras.Model:
    """Put the fully convolutional head and the skips on a trunk.

    Args:
        trunk: From `build_trunk`; its layers are shared, not copied.
        architecture: Classes, stride, widths and scales.
        dropout: Dropout rate after fc6 and fc7.

    Returns:
        A model from `images` to `logits` float32 [B, H, W, K]. Score layers start at zero, so
        that logits start uniform.

    Raises:
        InputError: The stride is not 8, 16 or 32, or there are no classes.
    """
    if architecture.stride not in (8, 16, 32):
        raise InputError(f"stride {architecture.stride}", wanted="8, 16 or 32")
    if not 1 <= architecture.classes <= 255:
        raise InputError(f"{architecture.classes} classes", wanted="1 to 255")
    layers, classes, width = keras.layers, architecture.classes, architecture.head_width
    pool3, pool4, _, pool5 = trunk.outputs

    def score(name: str, x: Any) -> Any:
        return layers.Conv2D(classes, 1, kernel_initializer="zeros", name=name)(x)

    x = layers.Rescaling(architecture.scales.pool5, name="scale_pool5")(pool5)
    x = layers.Conv2D(width, 7, padding="same", activation="relu", kernel_initializer="he_normal", name="fc6")(x)
    x = layers.Dropout(dropout, name="dropout6")(x)
    x = layers.Conv2D(width, 1, activation="relu", kernel_initializer="he_normal", name="fc7")(x)
    x = layers.Dropout(dropout, name="dropout7")(x)
    x = score("score_fc7", x)
    factor = 32
    if architecture.stride <= 16:
        skip = layers.Rescaling(architecture.scales.pool4, name="scale_pool4")(pool4)
        x = layers.Add(name="fuse_pool4")([_upsample(x, 2, classes, "upscore2"), score("score_pool4", skip)])
        factor = 16
    if architecture.stride == 8:
        skip = layers.Rescaling(architecture.scales.pool3, name="scale_pool3")(pool3)
        x = layers.Add(name="fuse_pool3")([_upsample(x, 2, classes, "upscore4"), score("score_pool3", skip)])
        factor = 8
    logits = _upsample(x, factor, classes, f"upscore{factor}_to_image")
    logits = layers.Activation("linear", dtype="float32", name="logits")(logits)
    model = keras.Model(trunk.inputs[0], logits, name=f"fcn{architecture.stride}s")
    for layer in model.layers:
        if layer.name.startswith("upscore"):
            layer.set_weights([bilinear_kernel(layer.strides[0], classes)])
    return model


def _upsample(x: Any, factor: int, classes: int, name: str) -> Any:
    return keras.layers.Conv2DTranspose(
        classes, 2 * factor, strides=factor, padding="same", use_bias=False, trainable=False, name=name
    )(x)


def bilinear_kernel(factor: int, channels: int) -> NDArray[np.float32]:
    """Weights of a transposed convolution that upsamples bilinearly (paper, III.D: "fixed to bilinear interpolation").

    Args:
        factor: The stride, an even number. The kernel is twice as wide.
        channels: Number of channels; each is interpolated separately.

    Returns:
        float32 [2·factor, 2·factor, channels, channels]. With "same" padding the result equals half-pixel bilinear
        interpolation, except that within factor/2 pixels of the border it fades towards zero.
    """
    ramp = 1 - np.abs((np.arange(2 * factor) + 0.5) / factor - 1)
    kernel = np.outer(ramp, ramp)[:, :, None, None] * np.eye(channels)
    return kernel.astype(np.float32)


def measure_scales(trunk: keras.Model, images: NDArray[np.float32]) -> Scales:
    """Reciprocal root mean square of pool3, pool4, pool5 and conv5_3's maxima on some images.

    Args:
        trunk: From `build_trunk`, with the weights that training starts from.
        images: float32 [B, H, W, 3], RGB, 0..255.

    Returns:
        Factors, rounded to three significant digits so that a manifest is easy to read.

    Raises:
        InputError: A branch is zero everywhere or not finite, so that nothing can be learned from it.
    """
    pool3, pool4, conv5_3, pool5 = (np.asarray(output, np.float64) for output in trunk.predict_on_batch(images))
    branches = {"pool3": pool3, "pool4": pool4, "pool5": pool5, "descriptor": conv5_3.max(axis=(1, 2))}
    factors = {}
    for name, values in branches.items():
        size = float(np.sqrt(np.mean(np.square(values))))
        if not np.isfinite(size) or size == 0:
            raise InputError(
                f"the starting weights give {name} a root mean square of {size}", wanted="a positive number"
            )
        factors[name] = float(f"{1 / size:.3g}")
    return Scales(**factors)
