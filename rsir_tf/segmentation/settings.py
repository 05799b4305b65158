"""What a training run does: everything that changes its result. Plain data: it is checked before TensorFlow loads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError
from rsir_tf.segmentation.crops import Crops
from rsir_tf.segmentation.precision import PRECISIONS, Precision
from rsir_tf.segmentation.resuming import best_weights

if TYPE_CHECKING:
    from rsir_tf.segmentation.multiple_instance import TagPooling
    from rsir_tf.segmentation.network import Stride

_OF_TAGS = ("micro_f1", "macro_f1", "tag_map", "map")
FIGURES = {"masks": ("mean_iu",), "tags": _OF_TAGS, "mixed": (*_OF_TAGS, "mean_iu")}
"""By which the best epoch can be chosen; the first is the default."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a run does; everything that changes its result is recorded in its manifest.

    Attributes:
        supervision: "masks", "tags", or "mixed": masks where they are, tags elsewhere.
        epochs: Passes over the archive. May be raised later to go on with a constant learning rate; its warm-up stays
            where it was.
        weights: "imagenet", "none", a VGG-16 weights file, or a run, whose best weights are meant.
        stride: 8, 16 or 32 (FCN-8s, -16s, -32s).
        head_width: Channels of fc6 and fc7; the paper's is 4096, small machines do with less.
        crops: Crop size, batch size, crops an epoch, augmentation.
        learning_rate: Adam's, at its highest.
        schedule: "cosine" (down to zero) or "constant".
        warm_up: Fraction of the steps in which the learning rate rises from zero to its highest.
        weight_decay: Decoupled (AdamW): times the learning rate, what a weight shrinks by a step; biases do not.
        decay_to_start: Decay of VGG-16's weights towards those that training starts from, instead of towards zero:
            times the learning rate, what their distance shrinks by a step.
        average_weights: 0, or how much of an averaged copy of the weights a step keeps (0.99 averages about the last
            hundred steps). The copy is what is scored, chosen and exported.
        trunk_rate: Factor on the learning rate of VGG-16's layers.
        freeze: Blocks of VGG-16 that stay as they are, counted from the image (0 to 5).
        cached_views: 0 computes the frozen blocks anew for each crop. N keeps their outputs of the crops of the first N
            epochs on disk (half precision), and goes round them: far fewer computations, less variety.
        dropout: After fc6 and fc7 and, where tags supervise, on the image's descriptor.
        tag_pooling: How the probability of a tag is pooled from the score maps, where tags supervise: "scores" (each
            class on its own) or "softmax" (classes compete for each place, which is better for the segmentation).
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        class_weights: "none", "balanced" by the median frequency of the training masks' classes, or "root" for the
            square roots of those, which favour rare classes less.
        precision: Of the layers' computations: "float32", "mixed_float16" or "mixed_bfloat16"; weights, logits and loss
            are float32 in all of them, and so is what is exported.
        best_by: Figure on the held-out images that chooses the best epoch, one of `FIGURES`: "mean_iu" with masks;
            with tags "micro_f1", "macro_f1" or "tag_map" (mean average precision) of the tags, or "map" of the images
            as queries; where both are mixed any of them. "" stands for the first.
        patience: Epochs without a better figure on the held-out images after which the run ends; 0 for never.
        validation: Fraction of the training images that is held out to choose the best epoch by; the test images
            have no say in it. 0 trains on all and takes the last epoch.
        validation_windows: Windows of the crop's size that are scored after each epoch; 0 for all.
        keep_in_memory: Whether decoded images stay in memory.
        xla: Whether the step is compiled with XLA.
        seed: Of crops, augmentation, initial weights and dropout. On one machine's processors and one stack the same
            seed gives the same run; a resumed one too, but under Keras 2 for dropout's draws and the loss scale of
            "mixed_float16", of which it keeps no state. Kernels of GPUs may add in any order.

    Raises:
        InputError: A value is out of its range, two exclude each other, or XLA is asked for under Keras 2.
    """

    supervision: Literal["masks", "tags", "mixed"] = "masks"
    epochs: int = 50
    weights: str = "imagenet"
    stride: Stride = 8
    head_width: int = 4096
    crops: Crops = field(default_factory=Crops)
    learning_rate: float = 1e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: float = 0.05
    weight_decay: float = 0.0
    decay_to_start: float = 0.0
    average_weights: float = 0.0
    trunk_rate: float = 1.0
    freeze: int = 0
    cached_views: int = 0
    dropout: float = 0.5
    clip_norm: float = 1.0
    class_weights: Literal["none", "balanced", "root"] = "none"
    tag_pooling: TagPooling = "scores"
    precision: Precision = "float32"
    best_by: str = ""
    patience: int = 0
    validation: float = 0.1
    validation_windows: int = 64
    keep_in_memory: bool = False
    xla: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "supervision": (self.supervision in ("masks", "tags", "mixed"), "'masks', 'tags' or 'mixed'"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "head_width": (self.head_width >= 1, "at least 1"),
            "freeze": (0 <= self.freeze <= 5, "0 to 5 blocks"),
            "cached_views": (
                self.cached_views == 0 or (self.cached_views > 0 and self.freeze > 0),
                "0, or 1 and more with frozen blocks (freeze)",
            ),
            "learning_rate": (0 < self.learning_rate < float("inf"), "a positive number"),
            "schedule": (self.schedule in ("cosine", "constant"), "'cosine' or 'constant'"),
            "warm_up": (0 <= self.warm_up < 1, "0 or more, below 1"),
            "weight_decay": (0 <= self.weight_decay < float("inf"), "0 or more"),
            "decay_to_start": (0 <= self.decay_to_start < float("inf"), "0 or more"),
            "average_weights": (0 <= self.average_weights < 1, "0 (none) or more, below 1"),
            "trunk_rate": (0 < self.trunk_rate < float("inf"), "a positive number; freeze keeps layers as they are"),
            "class_weights": (self.class_weights in ("none", "balanced", "root"), "'none', 'balanced' or 'root'"),
            "tag_pooling": (self.tag_pooling in ("scores", "softmax"), "'scores' or 'softmax'"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "patience": (self.patience >= 0, "0 (never stop early) or more"),
            "dropout": (0 <= self.dropout < 1, "0 or more, below 1"),
            "clip_norm": (0 <= self.clip_norm < float("inf"), "0 (no limit) or more"),
            "validation": (0 <= self.validation < 1, "0 or more, below 1"),
            "validation_windows": (self.validation_windows >= 0, "0 (all) or more"),
            "seed": (0 <= self.seed < 2**31, "0 to 2147483647"),
        }
        for name, (holds, wanted) in checks.items():
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)!r}", wanted=wanted)
        if self.best_by and self.best_by not in FIGURES[self.supervision]:
            raise InputError(
                f"best_by is {self.best_by!r} with supervision by {self.supervision}",
                wanted=f"one of {', '.join(FIGURES[self.supervision])}",
            )
        if self.supervision == "tags" and self.class_weights != "none":
            raise InputError(
                f"class_weights {self.class_weights!r} with supervision by tags",
                wanted="'none': they balance pixels of masks",
            )
        if self.supervision == "masks" and self.tag_pooling != "scores":
            raise InputError(f"tag_pooling {self.tag_pooling!r} with supervision by masks", wanted="tags to learn from")
        if self.decay_to_start and self.weights == "none":
            raise InputError(
                f"decay_to_start is {self.decay_to_start} and training starts from random weights",
                wanted="weights that are worth keeping",
                cure="use --weight-decay, or start from VGG-16's weights",
            )
        if self.xla and version("keras").startswith("2."):
            raise InputError(
                f"XLA under Keras {version('keras')}",
                wanted="Keras 3",
                cure="leave --xla out",
            )

    @property
    def figure(self) -> str:
        """The one that chooses the best epoch, the higher the better."""
        return self.best_by or FIGURES[self.supervision][0]

    def starting_weights(self) -> dict[str, str] | None:
        """Path and SHA-256 of the weights file, and the name of the run that it is of; None if there is no file.

        Raises:
            InputError: The file is missing.
            ArtifactError: It is a folder, and no run or one without a checkpoint.
        """
        if self.weights in ("imagenet", "none"):
            return None
        best = best_weights(Path(self.weights))
        file = best or Path(self.weights)
        if not file.is_file():
            raise InputError(
                f"{file}: no such file or run", wanted="'imagenet', 'none', a VGG-16 .h5 file or a trained run"
            )
        named = {} if best is None else {"run": best.parent.parent.resolve().name}
        return {"path": str(file.absolute()), "sha256": file_hash(file), **named}

    def to_json(self) -> dict[str, Any]:
        """As JSON types: what changes a run's result.

        Raises:
            InputError: The weights file is missing.
        """
        content = {**asdict(self), "best_by": self.figure}
        content["crops"] = {**asdict(self.crops), "augmentation": self.crops.augmentation.to_json()}
        if file := self.starting_weights():
            content["weights"] = f"{Path(file['path']).name} (SHA-256 {file['sha256'][:16]})"
        del content["keep_in_memory"]
        # Runs that were begun before there were these go on.
        for name, default in (("decay_to_start", 0.0), ("average_weights", 0.0), ("tag_pooling", "scores")):
            if content[name] == default:
                del content[name]
        return content
