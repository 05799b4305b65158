"""Relevance, ranking and multi-label figures, bootstrap intervals and paired tests: pure functions of rankings.

relevance          which images are relevant to a query
precision, rank_error   figures of rankings: AP, P@k, curves; ANMRR
streaming, graded  figures collected one query at a time: the same ones; and ACG, NDCG, WAP
multilabel         predicted tags against true ones
significance       intervals and tests
diagnosis          confused scene classes, best and worst queries
figures, published results of an evaluation as plain data; and the results of the paper

Nothing here draws, writes files or needs TensorFlow: `rsir_tf.presentation` shows the results. Figures of segmentations
are in `rsir_tf.segmentation`.
"""

from __future__ import annotations

from rsir_tf.evaluation.diagnosis import SceneConfusion, extreme_queries
from rsir_tf.evaluation.figures import CUTOFFS, Evaluation, SceneFigures, SchemeFigures
from rsir_tf.evaluation.graded import GradedMetrics
from rsir_tf.evaluation.multilabel import Averages, MultiLabelFigures, multilabel_figures
from rsir_tf.evaluation.precision import (
    average_precision,
    interpolated_precision,
    mean_average_precision,
    precision_at,
)
from rsir_tf.evaluation.published import PUBLISHED_UC_MERCED, PublishedRow
from rsir_tf.evaluation.rank_error import ANMRR_VARIANTS, anmrr, nmrr
from rsir_tf.evaluation.relevance import (
    TagSets,
    relevance_by_scene,
    tag_matrix,
)
from rsir_tf.evaluation.significance import PairedTests, bootstrap_interval, paired_test, paired_tests
from rsir_tf.evaluation.streaming import RankingMetrics
from rsir_tf.lazy_attributes import attributes
from rsir_tf.vector_rankings import nearest_first, rankings

__all__ = [
    "ANMRR_VARIANTS",
    "CUTOFFS",
    "PUBLISHED_UC_MERCED",
    "Averages",
    "Evaluation",
    "GradedMetrics",
    "MultiLabelFigures",
    "PairedTests",
    "PublishedRow",
    "RankingMetrics",
    "SceneConfusion",
    "SceneFigures",
    "SchemeFigures",
    "TagSets",
    "anmrr",
    "average_precision",
    "bootstrap_interval",
    "extreme_queries",
    "interpolated_precision",
    "mean_average_precision",
    "multilabel_figures",
    "nearest_first",
    "nmrr",
    "paired_test",
    "paired_tests",
    "precision_at",
    "rankings",
    "relevance_by_scene",
    "tag_matrix",
]

_MOVED = (
    "MOST_CELLS", "Output", "Picture", "Section", "SheetItem", "ShownImage", "Table", "check_report_target",
    "contact_sheet", "extremes_sheet", "heat_map", "write_page", "write_report",
)  # fmt: skip

__getattr__ = attributes(__name__, {}, moved=dict.fromkeys(_MOVED, "rsir_tf.presentation"))
