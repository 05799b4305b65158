"""Training, scoring and exporting the network; the only room that imports TensorFlow at its top.

network      FCN-32s, -16s, -8s on VGG-16    weights            where its weights come from
data         tf.data from records            augmentation       what training varies
supervision  what labels decide in training  mask_supervision   labels of pixels        losses      their loss
                                             tag_supervision    labels of whole images  multiple_instance  pooled
settings     what a run does                 training           its epochs              runs        it on disk
origin       what it is trained on           software           what computes it        checkpoints  its weights
optimizers   AdamW, layer-wise               precision          of computations         monitoring  what is told
views        a frozen trunk's outputs, kept  inference          whole images
scoring      confusion matrix, its figures   tag_scoring        F1 of tags
run_scores   what a run reached              export             SavedModel
"""

from rsir_tf.lazy_attributes import attributes
from rsir_tf.segmentation.augmentation import Augmentation
from rsir_tf.segmentation.data import Crops
from rsir_tf.segmentation.export import export_run
from rsir_tf.segmentation.monitoring import TrainingError
from rsir_tf.segmentation.network import Architecture, Scales, build_fcn, build_trunk, measure_scales
from rsir_tf.segmentation.run_scores import RunScores, score_run
from rsir_tf.segmentation.runs import Run, open_run, why_complete
from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores
from rsir_tf.segmentation.settings import TrainingSettings
from rsir_tf.segmentation.training import train

__all__ = [
    "Architecture",
    "Augmentation",
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
    "why_complete",
]

__getattr__ = attributes(__name__, {}, moved={"write_run_report": "rsir_tf.workflows"})
