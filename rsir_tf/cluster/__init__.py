"""The adapter to Ray: workers that do jobs of one kind, and actors that hold things which can be asked about.

The first are a `WorkerPool`, and any of them can do any job. The others are `Holders`.

Ray schedules, starts and restarts the workers. Jobs and their results are small: what is large lies on storage that all
machines see, so that Ray's object store holds next to nothing.
"""

from __future__ import annotations

from rsir_tf.cluster.connection import machines, require_workers, use_all_cores
from rsir_tf.cluster.holders import Holders
from rsir_tf.cluster.pool import Failed, WorkerPool

__all__ = ["Failed", "Holders", "WorkerPool", "machines", "require_workers", "use_all_cores"]
