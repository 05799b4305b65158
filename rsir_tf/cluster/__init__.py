"""The adapter to Ray: jobs of one kind on the workers of a cluster, each of which opens something once.

Ray schedules, starts and restarts the workers. Jobs and their results are small: what is large lies on storage that all
machines see, so that Ray's object store holds next to nothing.
"""

from __future__ import annotations

from rsir_tf.cluster.pool import Failed, WorkerPool

__all__ = ["Failed", "WorkerPool"]
