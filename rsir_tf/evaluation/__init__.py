"""Relevance, ranking and multi-label figures, bootstrap intervals, reports, plots, contact sheets and pages.

Nothing here needs TensorFlow. Segmentation figures live in `rsir_tf.segmentation`.
"""

from __future__ import annotations

from rsir_tf.evaluation.bootstrap import bootstrap_interval, paired_test
from rsir_tf.evaluation.confusion import SceneConfusion
from rsir_tf.evaluation.contact_sheet import SheetItem, contact_sheet
from rsir_tf.evaluation.extremes import ShownImage, extreme_queries, extremes_sheet
from rsir_tf.evaluation.figures import CUTOFFS, Evaluation, SceneFigures, SchemeFigures
from rsir_tf.evaluation.graded import acg_at, ndcg_at, wap_at
from rsir_tf.evaluation.graded_streaming import GradedMetrics
from rsir_tf.evaluation.heat_maps import heat_map
from rsir_tf.evaluation.multilabel import Averages, MultiLabelFigures, multilabel_figures
from rsir_tf.evaluation.page import Output, Picture, Section, Table, write_page
from rsir_tf.evaluation.plots import MOST_CELLS
from rsir_tf.evaluation.precision import (
    average_precision,
    interpolated_precision,
    mean_average_precision,
    precision_at,
    recall_at,
)
from rsir_tf.evaluation.published import PUBLISHED_UC_MERCED, PublishedRow
from rsir_tf.evaluation.rank_error import ANMRR_VARIANTS, anmrr, nmrr
from rsir_tf.evaluation.relevance import (
    TagSets,
    jaccard,
    relevance_by_scene,
    relevance_by_tags,
    shared_tags,
    tag_matrix,
)
from rsir_tf.evaluation.report import check_report_target, write_report
from rsir_tf.evaluation.streaming import RankingMetrics
from rsir_tf.vector_rankings import nearest_first, rankings

__all__ = [
    "ANMRR_VARIANTS",
    "CUTOFFS",
    "MOST_CELLS",
    "PUBLISHED_UC_MERCED",
    "Averages",
    "Evaluation",
    "GradedMetrics",
    "MultiLabelFigures",
    "Output",
    "Picture",
    "PublishedRow",
    "RankingMetrics",
    "SceneConfusion",
    "SceneFigures",
    "SchemeFigures",
    "Section",
    "SheetItem",
    "ShownImage",
    "Table",
    "TagSets",
    "acg_at",
    "anmrr",
    "average_precision",
    "bootstrap_interval",
    "check_report_target",
    "contact_sheet",
    "extreme_queries",
    "extremes_sheet",
    "heat_map",
    "interpolated_precision",
    "jaccard",
    "mean_average_precision",
    "multilabel_figures",
    "ndcg_at",
    "nearest_first",
    "nmrr",
    "paired_test",
    "precision_at",
    "rankings",
    "recall_at",
    "relevance_by_scene",
    "relevance_by_tags",
    "shared_tags",
    "tag_matrix",
    "wap_at",
    "write_page",
    "write_report",
]
