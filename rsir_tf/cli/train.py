"""`rsir-tf train`: fit an FCN to an archive's masks or tags."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli import split as split_command

NAME = "train"

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


class Precision(str, Enum):
    """In what layers compute."""

    float32 = "float32"
    mixed_float16 = "mixed_float16"
    mixed_bfloat16 = "mixed_bfloat16"


def command(
    context: typer.Context,
    archive: options.Archive,
    run: Annotated[Path, typer.Option(help="The run's folder: made, or resumed where it holds the same run.")],
    epochs: Annotated[int, typer.Option(help="Passes over the archive.", rich_help_panel=_FITTING)] = 50,
    weights: Annotated[
        str, typer.Option(help="'imagenet', 'none', or a VGG-16 .h5 file.", rich_help_panel=_NETWORK)
    ] = "imagenet",
    stride: Annotated[int, typer.Option(help="8, 16 or 32: FCN-8s, FCN-16s, FCN-32s.", rich_help_panel=_NETWORK)] = 8,
    head_width: Annotated[
        int, typer.Option(help="Channels of fc6 and fc7; fewer for small machines.", rich_help_panel=_NETWORK)
    ] = 4096,
    freeze: Annotated[
        int, typer.Option(help="Blocks of VGG-16 that stay as they are, 0 to 5.", rich_help_panel=_NETWORK)
    ] = 0,
    cached_views: Annotated[
        int,
        typer.Option(
            help="Compute the frozen blocks once for so many crops of each image; 0: anew for each crop.",
            rich_help_panel=_FITTING,
        ),
    ] = 0,
    supervision: Annotated[
        Supervision | None,
        typer.Option(
            help="'masks', 'tags', or 'mixed' (masks where they are, tags elsewhere). Default: masks, if any.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    labels: options.Labels = None,
    tags: options.Tags = None,
    labels_as_published: options.AsPublished = False,
    split: Annotated[
        Path | None, typer.Option(help="A split file from `rsir-tf split`.", rich_help_panel=_DATA)
    ] = None,
    test: split_command.Test = 0.2,
    test_group: split_command.TestGroup = None,
    crop: Annotated[int, typer.Option(help="Pixels a side of a crop, a multiple of 32.", rich_help_panel=_DATA)] = 256,
    batch: Annotated[int, typer.Option(help="Crops a step.", rich_help_panel=_DATA)] = 8,
    crops_per_epoch: Annotated[
        int, typer.Option(help="0: as many as cover the archive once.", rich_help_panel=_DATA)
    ] = 0,
    scale: Annotated[
        tuple[float, float], typer.Option(help="Smallest and largest magnification.", rich_help_panel=_DATA)
    ] = (0.9, 1.1),
    augment: Annotated[bool, typer.Option(help="Flips, quarter turns and colour.", rich_help_panel=_DATA)] = True,
    keep_in_memory: Annotated[
        bool, typer.Option(help="Keep decoded images (4 bytes a pixel).", rich_help_panel=_DATA)
    ] = False,
    validation: Annotated[
        float,
        typer.Option(help="Of the training images, held out to choose the best epoch.", rich_help_panel=_DATA),
    ] = 0.1,
    validation_windows: Annotated[
        int, typer.Option(help="Windows scored after each epoch; 0: all.", rich_help_panel=_DATA)
    ] = 64,
    learning_rate: Annotated[float, typer.Option(help="Adam's, at its highest.", rich_help_panel=_FITTING)] = 1e-4,
    schedule: Annotated[
        Schedule, typer.Option(help="Of the learning rate.", rich_help_panel=_FITTING)
    ] = Schedule.cosine,
    warm_up: Annotated[
        float, typer.Option(help="Fraction of the steps in which the rate rises from 0.", rich_help_panel=_FITTING)
    ] = 0.05,
    trunk_rate: Annotated[
        float, typer.Option(help="Factor on the learning rate of VGG-16's layers.", rich_help_panel=_FITTING)
    ] = 1.0,
    weight_decay: Annotated[
        float, typer.Option(help="AdamW's: a weight shrinks by rate × this a step.", rich_help_panel=_FITTING)
    ] = 0.0,
    class_weights: Annotated[
        ClassWeights, typer.Option(help="'balanced' lets rare classes count more.", rich_help_panel=_FITTING)
    ] = ClassWeights.none,
    clip_norm: Annotated[
        float, typer.Option(help="Largest norm of the gradients; 0: no limit.", rich_help_panel=_FITTING)
    ] = 1.0,
    dropout: Annotated[float, typer.Option(help="After fc6 and fc7; on descriptors.", rich_help_panel=_FITTING)] = 0.5,
    best_by: Annotated[
        str,
        typer.Option(
            help="Chooses the best epoch: mean_iu with masks; micro_f1 (default), macro_f1, map with tags; mixed: any.",
            rich_help_panel=_FITTING,
        ),
    ] = "",
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs that are not better; 0: never.", rich_help_panel=_FITTING)
    ] = 0,
    precision: Annotated[
        Precision, typer.Option(help="What layers compute in; half precision for GPUs.", rich_help_panel=_FITTING)
    ] = Precision.float32,
    xla: Annotated[bool, typer.Option(help="Compile the step with XLA.", rich_help_panel=_FITTING)] = False,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Train a network on an archive with pixel labels or tags, score it on the test part, and write pictures.

    A run that was stopped goes on after its last whole epoch when the same command is given again; one that is complete
    is scored again and not trained further.
    """
    from rsir_tf.archives import open_archive, read_split, select

    source = context.get_parameter_source("test")
    if split and (test_group or (source and source.name == "COMMANDLINE")):
        raise typer.BadParameter("--split says which images to test on: give no --test and no --test-group")
    opened = open_archive(archive, labels=labels, tags=tags, repair=not labels_as_published)
    kind = supervision or (Supervision.tags if opened.label_set is None and opened.tag_names else Supervision.masks)
    drawn = read_split(split) if split else split_command.draw(opened, test, test_group, seed)
    with console.quiet_tensorflow(small_maps=cached_views > 0):
        from rsir_tf import segmentation
        from rsir_tf.segmentation.network import Stride
        from rsir_tf.segmentation.software import software
        from rsir_tf.workflows import watch_retrieval
    varied = segmentation.Augmentation(scale=scale)
    if not augment:
        varied = segmentation.Augmentation(
            scale, flips=False, turns=False, brightness=0.0, contrast=0.0, saturation=0.0
        )
    settings = segmentation.TrainingSettings(
        supervision=kind.value,
        epochs=epochs,
        weights=weights,
        stride=cast(Stride, stride),
        head_width=head_width,
        crops=segmentation.Crops(crop, batch, crops_per_epoch, varied),
        learning_rate=learning_rate,
        schedule=schedule.value,
        warm_up=warm_up,
        weight_decay=weight_decay,
        trunk_rate=trunk_rate,
        freeze=freeze,
        cached_views=cached_views,
        dropout=dropout,
        clip_norm=clip_norm,
        class_weights=class_weights.value,
        precision=precision.value,
        best_by=best_by,
        patience=patience,
        validation=validation,
        validation_windows=validation_windows,
        keep_in_memory=keep_in_memory,
        xla=xla,
        seed=seed,
    )
    # TensorFlow's own complaint about a GPU that it cannot use was kept quiet: --debug shows it.
    console.say(f"training on {software()['device']}")
    with console.progress("training") as tell:
        trained = segmentation.train(opened, drawn, run, settings, progress=tell, watch=watch_retrieval)
    console.say(f"{run}: {segmentation.why_complete(trained, epochs, patience)}")
    with console.progress("scoring") as tell:
        scores = segmentation.write_run_report(trained, select(opened, drawn, "test"), progress=tell)
    if json:
        console.put_json({"run": str(run), "epochs": len(trained.history()), "scores": scores})
        return
    for line in _told(scores or {}):
        console.say(f"{line}; see {run / 'report' / 'report.md'}")
    console.put(str(run))


def _told(scores: dict[str, Any]) -> list[str]:
    lines = []
    if "mean_iu" in scores:
        figures = ", ".join(f"{name.replace('_', ' ')} {{{name}:.4f}}" for name in ("pixel_accuracy", "mean_accuracy"))
        lines.append(f"{figures}, mean IU {{mean_iu:.4f}} on {{images}} test images".format(**scores))
    if "tags" in scores:
        lines.append(
            "tags: micro F1 {micro_f1:.4f}, macro F1 {macro_f1:.4f} on {images} test images".format(**scores["tags"])
        )
    return lines
