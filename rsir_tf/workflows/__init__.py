"""The only place where rooms meet; each stage takes paths and options and gives a path or plain data.

describing   one image: model's answer → regions → ReCNN and ReCNN+
indexing     an archive → an index on disk
querying     an image → ranked hits, and a contact sheet of them
evaluating   an index → retrieval figures
"""

from rsir_tf.workflows.describing import Described, describe_prediction
from rsir_tf.workflows.evaluating import evaluate_index
from rsir_tf.workflows.indexing import IndexSummary, index_archive
from rsir_tf.workflows.querying import QueryResult, draw_query, query_image

__all__ = [
    "Described",
    "IndexSummary",
    "QueryResult",
    "describe_prediction",
    "draw_query",
    "evaluate_index",
    "index_archive",
    "query_image",
]
