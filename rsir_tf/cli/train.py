"""`rsir-tf train`: fit an FCN to an archive's masks or tags."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsir_tf.artifacts import MANIFEST
from rsir_tf.cli import config, console, options, polygon_options
from rsir_tf.cli import split as split_command
from rsir_tf.cli.option_groups import OptionGroup
from rsir_tf.cli.scene_options import SceneOptions
from rsir_tf.errors import MismatchError

if TYPE_CHECKING:
    from rsir_tf.segmentation import Crops

NAME = "train"

CONFIG = "train.toml"
"""In the run's folder: the options of the call, for --config."""

_NETWORK, _DATA, _FITTING = "Network", "What it sees", "How it is fitted"


class Schedule(str, Enum):
    """How the learning rate goes."""

    cosine = "cosine"
    constant = "constant"


class Supervision(str, Enum):
    """What the network learns from."""

    masks = "masks"
    tags = "tags"
    mixed = "mixed"


class ClassWeights(str, Enum):
    """How much a class counts in the loss."""

    none = "none"
    balanced = "balanced"
    root = "root"


class TagPooling(str, Enum):
    """How tags are pooled from score maps."""

    scores = "scores"
    softmax = "softmax"


class Precision(str, Enum):
    """In what layers compute."""

    float32 = "float32"
    mixed_float16 = "mixed_float16"
    mixed_bfloat16 = "mixed_bfloat16"


@dataclass(frozen=True)
class Settings(OptionGroup):
    """The fields of `TrainingSettings` that are an option each, under the same names and with the same defaults."""

    epochs: Annotated[
        int, typer.Option(help="How many times the network sees the archive.", rich_help_panel=_FITTING)
    ] = 50
    weights: Annotated[
        str,
        typer.Option(
            help="The weights to start from: 'imagenet' (VGG-16, downloaded by Keras), a VGG-16 weights file (.h5), "
            "another run's folder, or 'none' (random).",
            rich_help_panel=_NETWORK,
        ),
    ] = "imagenet"
    stride: Annotated[
        int, typer.Option(help="The network: 8 for FCN-8s, 16 for FCN-16s, 32 for FCN-32s.", rich_help_panel=_NETWORK)
    ] = 8
    head_width: Annotated[
        int,
        typer.Option(
            help="The number of channels of fc6 and fc7. Small machines need fewer.", rich_help_panel=_NETWORK
        ),
    ] = 4096
    freeze: Annotated[
        int, typer.Option(help="How many of VGG-16's five blocks keep their weights, 0 to 5.", rich_help_panel=_NETWORK)
    ] = 0
    cached_views: Annotated[
        int,
        typer.Option(
            help="Compute the outputs of the frozen blocks once, for this number of crops of each image, and keep them "
            "on disk. 0 computes them for each new crop.",
            rich_help_panel=_FITTING,
        ),
    ] = 0
    validation: Annotated[
        float,
        typer.Option(
            help="The fraction of the training images that is held out to choose the best epoch.", rich_help_panel=_DATA
        ),
    ] = 0.1
    validation_windows: Annotated[
        int,
        typer.Option(
            help="How many windows of the held-out images are scored after each epoch. 0 scores all.",
            rich_help_panel=_DATA,
        ),
    ] = 64
    keep_in_memory: Annotated[
        bool, typer.Option(help="Keep decoded images in memory, 4 bytes a pixel.", rich_help_panel=_DATA)
    ] = False
    learning_rate: Annotated[
        float, typer.Option(help="The highest learning rate of AdamW.", rich_help_panel=_FITTING)
    ] = 1e-4
    schedule: Annotated[
        Schedule, typer.Option(help="How the learning rate changes after the warm-up.", rich_help_panel=_FITTING)
    ] = Schedule.cosine
    warm_up: Annotated[
        float,
        typer.Option(
            help="The fraction of all steps in which the learning rate rises from 0 to its highest value.",
            rich_help_panel=_FITTING,
        ),
    ] = 0.05
    trunk_rate: Annotated[
        float, typer.Option(help="A factor on the learning rate of VGG-16's layers.", rich_help_panel=_FITTING)
    ] = 1.0
    weight_decay: Annotated[
        float,
        typer.Option(
            help="The weight decay of AdamW: in each step a weight shrinks by this value times the learning rate.",
            rich_help_panel=_FITTING,
        ),
    ] = 0.0
    decay_to_start: Annotated[
        float,
        typer.Option(
            help="Let VGG-16's weights decay towards those that training starts from, not towards zero: in each step "
            "their distance shrinks by this value times the learning rate.",
            rich_help_panel=_FITTING,
        ),
    ] = 0.0
    average_weights: Annotated[
        float,
        typer.Option(
            help="Score, choose and export a moving average of the weights. Each step keeps this share of it, for "
            "example 0.99. 0 takes the weights themselves.",
            rich_help_panel=_FITTING,
        ),
    ] = 0.0
    class_weights: Annotated[
        ClassWeights,
        typer.Option(
            help="How much a class counts in the loss. balanced: the more, the rarer it is. root: the square root of "
            "that, which is less.",
            rich_help_panel=_FITTING,
        ),
    ] = ClassWeights.none
    tag_pooling: Annotated[
        TagPooling,
        typer.Option(
            help="How a tag is read from the map of its class. scores: from the scores of each class on its own. "
            "softmax: from the probabilities, so that classes compete for each place; the segmentation is better.",
            rich_help_panel=_FITTING,
        ),
    ] = TagPooling.scores
    clip_norm: Annotated[
        float,
        typer.Option(help="The largest norm of all gradients together. 0 sets no limit.", rich_help_panel=_FITTING),
    ] = 1.0
    dropout: Annotated[
        float,
        typer.Option(
            help="The dropout rate after fc6 and fc7 and, when learning from tags, on the image's descriptor.",
            rich_help_panel=_FITTING,
        ),
    ] = 0.5
    best_by: Annotated[
        str,
        typer.Option(
            help="The figure that chooses the best epoch: mean_iu when learning from masks; micro_f1 (the default), "
            "macro_f1, tag_map (mean average precision of the tags) or map (of the images as queries) when learning "
            "from tags; any of them with mixed supervision.",
            rich_help_panel=_FITTING,
        ),
    ] = ""
    patience: Annotated[
        int,
        typer.Option(
            help="Stop when this number of epochs in a row has brought no better figure. 0 never stops early.",
            rich_help_panel=_FITTING,
        ),
    ] = 0
    precision: Annotated[
        Precision,
        typer.Option(
            help="The number type that layers compute in. The mixed ones are for GPUs.", rich_help_panel=_FITTING
        ),
    ] = Precision.float32
    xla: Annotated[bool, typer.Option(help="Compile the training step with XLA.", rich_help_panel=_FITTING)] = False

    @property
    def values(self) -> dict[str, Any]:
        """As `TrainingSettings` takes them."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.value if isinstance(value, Enum) else value for name, value in found.items()}


@dataclass(frozen=True)
class CropOptions(OptionGroup):
    """What the network sees of an image in one step."""

    crop: Annotated[
        int,
        typer.Option(help="The width and height of a crop in pixels, a multiple of 32.", rich_help_panel=_DATA),
    ] = 256
    batch: Annotated[int, typer.Option(help="How many crops are in one step.", rich_help_panel=_DATA)] = 8
    crops_per_epoch: Annotated[
        int,
        typer.Option(
            help="How many crops are in one epoch. 0 takes as many as cover the archive once.", rich_help_panel=_DATA
        ),
    ] = 0
    scale: Annotated[
        tuple[float, float],
        typer.Option(help="The smallest and the largest magnification of a crop.", rich_help_panel=_DATA),
    ] = (0.9, 1.1)
    augment: Annotated[
        bool, typer.Option(help="Vary crops by flips, quarter turns and colour.", rich_help_panel=_DATA)
    ] = True

    @property
    def crops(self) -> Crops:
        """As `TrainingSettings` takes them."""
        from rsir_tf.segmentation import Augmentation, Crops

        varied = Augmentation(scale=self.scale)
        if not self.augment:
            varied = Augmentation(self.scale, flips=False, turns=False, brightness=0.0, contrast=0.0, saturation=0.0)
        return Crops(self.crop, self.batch, self.crops_per_epoch, varied)


def command(
    context: typer.Context,
    archive: options.Archive,
    run: Annotated[
        Path, typer.Option(help="The run's folder. It is made, or continued if it holds a run of the same settings.")
    ],
    *,
    settings: Settings,
    supervision: Annotated[
        Supervision | None,
        typer.Option(
            help="What the network learns from. mixed: from masks, and from tags where an image has no mask. The "
            "default is masks, or tags if the archive has no masks.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    annotations: options.Annotations,
    scenes: SceneOptions,
    polygons: polygon_options.LabelPolygonOptions,
    split: Annotated[
        Path | None, typer.Option(help="A split file from `rsir-tf split`.", rich_help_panel=_DATA)
    ] = None,
    test: Annotated[
        float,
        typer.Option(
            help="The fraction of images to test on: of each scene class, or of the groups if all images have one. 0 "
            "trains on all images."
        ),
    ] = 0.2,
    test_group: split_command.TestGroup = None,
    crops: CropOptions,
    score_flips: Annotated[
        bool,
        typer.Option(
            "--score-flips",
            help="Score test images with the average of the network's answers to the image and its three "
            "mirror images. It takes four times as long, and changes neither the network nor its export. A complete "
            "run can be scored with and without it.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    seed: options.Seed = 0,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="N|all|NAMES",
            help="Train on several GPUs of this machine: a number of them, all, or names such as GPU:0,GPU:2. Each "
            "takes an equal part of a batch. The result is that of one GPU, to rounding.",
        ),
    ] = None,
    config_file: config.Option = None,
    json: options.Json = False,
) -> None:
    """Train a network on an archive with masks or tags, score it on the test part, and write pictures of the result.

    If the run was stopped, the same command continues it after its last complete epoch. If the run is complete, it is
    scored again but not trained further. --test 0 trains on all images. The run's folder keeps the options in
    train.toml, which --config takes.
    """
    from rsir_tf.archives import draw_split, everything_trains, read_split
    from rsir_tf.segmentation import TrainingSettings
    from rsir_tf.segmentation.resuming import known_reading, require_same_settings
    from rsir_tf.workflows import usual_supervision

    if split and (test_group or config.given_beside(context, "test", "split")):
        raise typer.BadParameter("--split says which images to test on: give no --test and no --test-group")
    cropped = crops.crops  # What is wrong with it is said before the archive is read.
    opened = annotations.open(
        archive,
        scenes,
        known=known_reading(run),
        need_labels=supervision is not Supervision.tags,
        polygons=polygons.chosen(),
    )
    if split:
        drawn = read_split(split)
    elif test == 0 and not test_group:
        drawn = everything_trains(opened)
    else:
        drawn = draw_split(opened, test, test_group, seed=seed)
    chosen = TrainingSettings(
        supervision=supervision.value if supervision else usual_supervision(opened),
        crops=cropped,
        seed=seed,
        **settings.values,
    )
    require_same_settings(run, chosen)
    with console.quiet_tensorflow(small_maps=settings.cached_views > 0):
        from rsir_tf.segmentation.software import software
        from rsir_tf.workflows import train_archive
    # TensorFlow's own complaint about a GPU that it cannot use was kept quiet: --debug shows it.
    console.say(f"training on {software()['device']}")
    leave_out = ("run", "json", "devices", *(("test", "test_group") if split else ()))
    with _options_kept(run, context, leave_out=leave_out), console.progress("training") as tell:
        summary = train_archive(opened, drawn, run, chosen, score_flips=score_flips, devices=devices, progress=tell)
    console.say(f"{run}: {summary.ended}")
    if json:
        console.put_json(summary.to_json())
        return
    for line in _scores(summary.scores or {}):
        console.say(f"{line}; see {run / 'report' / 'report.md'}")
    console.put(str(run))


@contextlib.contextmanager
def _options_kept(run: Path, context: typer.Context, *, leave_out: Collection[str]) -> Iterator[None]:
    """Write the options of this call into the run's folder, also where it was stopped, but not where it was refused."""
    refused = False
    try:
        yield
    except MismatchError:
        refused = True
        raise
    finally:
        if not refused and (run / MANIFEST).exists():
            config.write(run / CONFIG, context, leave_out=leave_out)


def _scores(scores: dict[str, Any]) -> list[str]:
    from rsir_tf.presentation.tables import number

    lines = []
    if "mean_iu" in scores:
        figures = ", ".join(f"{name.replace('_', ' ')} {{{name}:.4f}}" for name in ("pixel_accuracy", "mean_accuracy"))
        lines.append(f"{figures}, mean IU {{mean_iu:.4f}} on {{images}} test images".format(**scores))
    if "tags" in scores:
        titles = {"micro F1": "micro_f1", "macro F1": "macro_f1", "mAP": "tag_map"}
        figures = ", ".join(f"{title} {number(scores['tags'][name], 4)}" for title, name in titles.items())
        lines.append(f"tags: {figures} on {scores['tags']['images']} test images")
    return lines
