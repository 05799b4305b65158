"""The only place where rooms meet; each stage takes paths and options and gives a path or plain data.

describing   one image: model's answer → regions → ReCNN and ReCNN+
indexing     an archive → an index on disk
querying     an image, or several → ranked hits, and a contact sheet of them
evaluating   an index → retrieval figures
comparing    an archive → the figures of every descriptor         comparison_report   … → a folder to look at
watching     descriptors of held-out images → retrieval figures, while a network is trained
"""

from rsir_tf.workflows.comparing import Comparison, compare_descriptors
from rsir_tf.workflows.comparison_report import is_uc_merced, write_comparison
from rsir_tf.workflows.describing import Described, describe_prediction
from rsir_tf.workflows.evaluating import evaluate_index
from rsir_tf.workflows.indexing import IndexSummary, index_archive
from rsir_tf.workflows.querying import QueryResult, draw_query, query_image, query_images
from rsir_tf.workflows.watching import watch_retrieval

__all__ = [
    "Comparison",
    "Described",
    "IndexSummary",
    "QueryResult",
    "compare_descriptors",
    "describe_prediction",
    "draw_query",
    "evaluate_index",
    "index_archive",
    "is_uc_merced",
    "query_image",
    "query_images",
    "watch_retrieval",
    "write_comparison",
]
