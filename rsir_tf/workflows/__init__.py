"""The only place where rooms meet; each stage takes paths and options and gives a path or plain data.

training     an archive → a run: a network that was trained, watched, scored and drawn
describing   one image: model's answer → regions → ReCNN and ReCNN+
indexing     an archive → an index on disk (indexing_run)     archive_roots   which of the index's archives it is
clustered_indexing   the same on the workers of a Ray cluster     clustered_search   an index that they search
shards       an archive → parts of it, to be indexed on several machines     joining   their indexes → one index
index_places     where the images of an index lie
changing     an index → the same without some images, or with its archive named at another place
segmenting   a scene → a map of its classes
hit_pictures     are the pictures of hits still what was indexed?
querying     an image (asked_images), or several (asking), and search_options → ranked hits (query_results)
refining     images of an index (marked_examples), or classes → ranked hits, without a model
query_windows   the part of a scene that asks             geographic_limits   where hits may lie (footprints)
query_drawing, query_maps   … → a contact sheet of them; GeoJSON and GeoParquet (hit_regions: their outlines)
sharing      an index → a table of its vectors for other programs
publishing   an index → a collection in a vector database (published: what that says of itself)
proposing    a query → the images that such a collection proposes
similarity_maps   a query and a scene → how near each place of it is, by windows or by cells (sliding_region)
evaluating   an index, or parts of it (query_sets) → retrieval figures, and what each query found (ranking_records)
evaluation_report   … → a folder to look at
comparing    an archive → the figures of every descriptor         comparison_report   … → a folder to look at
archive_comparison   both, and the index that a model gives
shown_extremes   best and worst queries, for both pages
indexed_images   are the images of an index the archive's, unchanged?
omissions    what figures leave out, in words
visual_words, comparison_costs   what comparing learns beforehand, and what it measures beside

Attributes load their file when first used: a query does not pay for comparing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    "RankedHits": "rsir_tf.workflows.query_results",
    "show_classes": "rsir_tf.workflows.refining",
    "refine": "rsir_tf.workflows.refining",
    "query_together": "rsir_tf.workflows.querying",
    "Comparison": "rsir_tf.workflows.comparing",
    "Described": "rsir_tf.workflows.describing",
    "IndexSummary": "rsir_tf.workflows.indexing",
    "JoinSummary": "rsir_tf.workflows.joining",
    "ModelOnWorkers": "rsir_tf.workflows.clustered_indexing",
    "GeographicLimits": "rsir_tf.workflows.geographic_limits",
    "Proposals": "rsir_tf.workflows.proposing",
    "PublishSummary": "rsir_tf.workflows.publishing",
    "QueryResult": "rsir_tf.workflows.query_results",
    "QueryWindow": "rsir_tf.workflows.query_windows",
    "RankingRecord": "rsir_tf.workflows.ranking_records",
    "SearchOptions": "rsir_tf.workflows.search_options",
    "SegmentSummary": "rsir_tf.workflows.segmenting",
    "Shard": "rsir_tf.workflows.shards",
    "TrainingSummary": "rsir_tf.workflows.training",
    "change_index": "rsir_tf.workflows.changing",
    "compare_archive": "rsir_tf.workflows.archive_comparison",
    "compare_descriptors": "rsir_tf.workflows.comparing",
    "describe_into_index": "rsir_tf.workflows.comparison_costs",
    "describe_prediction": "rsir_tf.workflows.describing",
    "draw_query": "rsir_tf.workflows.query_drawing",
    "evaluate_index": "rsir_tf.workflows.evaluating",
    "index_archive": "rsir_tf.workflows.indexing",
    "is_uc_merced": "rsir_tf.workflows.comparison_report",
    "join_parts": "rsir_tf.workflows.joining",
    "open_index_on_cluster": "rsir_tf.workflows.clustered_search",
    "publish_index": "rsir_tf.workflows.publishing",
    "published_remarks": "rsir_tf.workflows.comparison_report",
    "query_image": "rsir_tf.workflows.querying",
    "query_images": "rsir_tf.workflows.querying",
    "query_scheme": "rsir_tf.workflows.scheme_choice",
    "recorded_reading": "rsir_tf.workflows.archive_roots",
    "segment_scene": "rsir_tf.workflows.segmenting",
    "sets_of_split": "rsir_tf.workflows.query_sets",
    "share_index": "rsir_tf.workflows.sharing",
    "similarity_map": "rsir_tf.workflows.similarity_maps",
    "train_archive": "rsir_tf.workflows.training",
    "unlike_published": "rsir_tf.workflows.comparison_report",
    "usual_supervision": "rsir_tf.workflows.training",
    "watch_retrieval": "rsir_tf.workflows.training",
    "write_comparison": "rsir_tf.workflows.comparison_report",
    "write_evaluation": "rsir_tf.workflows.evaluation_report",
    "write_run_report": "rsir_tf.workflows.training",
    "write_similarity_map": "rsir_tf.workflows.similarity_maps",
}

__all__ = [
    "Comparison",
    "Described",
    "GeographicLimits",
    "IndexSummary",
    "JoinSummary",
    "ModelOnWorkers",
    "Proposals",
    "PublishSummary",
    "QueryResult",
    "QueryWindow",
    "RankedHits",
    "RankingRecord",
    "SearchOptions",
    "SegmentSummary",
    "Shard",
    "TrainingSummary",
    "change_index",
    "compare_archive",
    "compare_descriptors",
    "describe_into_index",
    "describe_prediction",
    "draw_query",
    "evaluate_index",
    "index_archive",
    "is_uc_merced",
    "join_parts",
    "open_index_on_cluster",
    "publish_index",
    "published_remarks",
    "query_image",
    "query_images",
    "query_scheme",
    "query_together",
    "recorded_reading",
    "refine",
    "segment_scene",
    "sets_of_split",
    "share_index",
    "show_classes",
    "similarity_map",
    "train_archive",
    "unlike_published",
    "usual_supervision",
    "watch_retrieval",
    "write_comparison",
    "write_evaluation",
    "write_run_report",
    "write_similarity_map",
]

if TYPE_CHECKING:
    from rsir_tf.workflows.archive_comparison import compare_archive
    from rsir_tf.workflows.archive_roots import recorded_reading
    from rsir_tf.workflows.changing import change_index
    from rsir_tf.workflows.clustered_indexing import ModelOnWorkers
    from rsir_tf.workflows.clustered_search import open_index_on_cluster
    from rsir_tf.workflows.comparing import Comparison, compare_descriptors
    from rsir_tf.workflows.comparison_costs import describe_into_index
    from rsir_tf.workflows.comparison_report import (
        is_uc_merced,
        published_remarks,
        unlike_published,
        write_comparison,
    )
    from rsir_tf.workflows.describing import Described, describe_prediction
    from rsir_tf.workflows.evaluating import evaluate_index
    from rsir_tf.workflows.evaluation_report import write_evaluation
    from rsir_tf.workflows.geographic_limits import GeographicLimits
    from rsir_tf.workflows.indexing import IndexSummary, index_archive
    from rsir_tf.workflows.joining import JoinSummary, join_parts
    from rsir_tf.workflows.proposing import Proposals
    from rsir_tf.workflows.publishing import PublishSummary, publish_index
    from rsir_tf.workflows.query_drawing import draw_query
    from rsir_tf.workflows.query_results import QueryResult, RankedHits
    from rsir_tf.workflows.query_sets import sets_of_split
    from rsir_tf.workflows.query_windows import QueryWindow
    from rsir_tf.workflows.querying import query_image, query_images, query_together
    from rsir_tf.workflows.ranking_records import RankingRecord
    from rsir_tf.workflows.refining import refine, show_classes
    from rsir_tf.workflows.scheme_choice import query_scheme
    from rsir_tf.workflows.search_options import SearchOptions
    from rsir_tf.workflows.segmenting import SegmentSummary, segment_scene
    from rsir_tf.workflows.shards import Shard
    from rsir_tf.workflows.sharing import share_index
    from rsir_tf.workflows.similarity_maps import similarity_map, write_similarity_map
    from rsir_tf.workflows.training import (
        TrainingSummary,
        train_archive,
        usual_supervision,
        watch_retrieval,
        write_run_report,
    )

__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
