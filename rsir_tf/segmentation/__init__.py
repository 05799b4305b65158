"""Training, scoring and exporting the network; the only room that imports TensorFlow at its top.

network      FCN-32s, -16s, -8s on VGG-16    weights            where its weights come from
data         tf.data from records            augmentation       what training varies
supervision  what labels decide in training  mask_supervision   labels of pixels        losses      their loss
                                             tag_supervision    labels of whole images  multiple_instance  pooled
settings     what a run does                 training           its epochs              runs        it on disk
crops        what a step sees of an image    resuming           is a run still the same
                                             trained_windows    windows to learn from
origin       what it is trained on           software           what computes it        checkpoints  its weights
optimizers   AdamW, layer-wise               precision          of computations         monitoring  what is told
views        a frozen trunk's outputs, kept  inference          whole images
scoring      confusion matrix, its figures   tag_scoring        F1 of tags
run_scores   what a run reached              export             SavedModel
blending     what descriptors remember

Attributes load their file at their first use: settings are checked before TensorFlow is loaded, which takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    "Architecture": "rsir_tf.segmentation.network",
    "Augmentation": "rsir_tf.segmentation.crops",
    "Blend": "rsir_tf.segmentation.blending",
    "Crops": "rsir_tf.segmentation.crops",
    "Run": "rsir_tf.segmentation.runs",
    "RunScores": "rsir_tf.segmentation.run_scores",
    "Scales": "rsir_tf.segmentation.network",
    "SegmentationScores": "rsir_tf.segmentation.scoring",
    "TrainingError": "rsir_tf.segmentation.monitoring",
    "TrainingSettings": "rsir_tf.segmentation.settings",
    "build_fcn": "rsir_tf.segmentation.network",
    "build_trunk": "rsir_tf.segmentation.network",
    "confusion_matrix": "rsir_tf.segmentation.scoring",
    "export_run": "rsir_tf.segmentation.export",
    "measure_scales": "rsir_tf.segmentation.network",
    "open_run": "rsir_tf.segmentation.runs",
    "score_run": "rsir_tf.segmentation.run_scores",
    "segmentation_scores": "rsir_tf.segmentation.scoring",
    "train": "rsir_tf.segmentation.training",
    "usual_blend": "rsir_tf.segmentation.export",
    "why_complete": "rsir_tf.segmentation.runs",
}

__all__ = [
    "Architecture",
    "Augmentation",
    "Blend",
    "Crops",
    "Run",
    "RunScores",
    "Scales",
    "SegmentationScores",
    "TrainingError",
    "TrainingSettings",
    "build_fcn",
    "build_trunk",
    "confusion_matrix",
    "export_run",
    "measure_scales",
    "open_run",
    "score_run",
    "segmentation_scores",
    "train",
    "usual_blend",
    "why_complete",
]

if TYPE_CHECKING:
    from rsir_tf.segmentation.blending import Blend
    from rsir_tf.segmentation.crops import Augmentation, Crops
    from rsir_tf.segmentation.export import export_run, usual_blend
    from rsir_tf.segmentation.monitoring import TrainingError
    from rsir_tf.segmentation.network import Architecture, Scales, build_fcn, build_trunk, measure_scales
    from rsir_tf.segmentation.run_scores import RunScores, score_run
    from rsir_tf.segmentation.runs import Run, open_run, why_complete
    from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores
    from rsir_tf.segmentation.settings import TrainingSettings
    from rsir_tf.segmentation.training import train

__getattr__ = attributes(__name__, _HOMES, moved={"write_run_report": "rsir_tf.workflows"})


def __dir__() -> list[str]:
    return sorted(__all__)
