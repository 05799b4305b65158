"""An index whose parts are held and searched by workers of a Ray cluster: for all who search, an index as any other."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rsir_tf.cluster import Holders, machines, require_workers
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import Index, open_index
from rsir_tf.ranking.divided import DividedVectors, divide


def open_index_on_cluster(
    path: str | os.PathLike[str],
    address: str,
    *,
    workers: int | None = None,
    roots: Mapping[str, str | os.PathLike[str]] | None = None,
    progress: Progress = silent,
) -> Index:
    """Open an index like `rsir_tf.open_index`, and spread its segments over workers, which then search for it.

    The workers hold parts of about equally many bytes, memory-mapped; a machine with fewer cores than workers lets
    several of them share a process. Hits and distances are those of one machine, to the last bit, under every scheme. A
    process that dies is started again and asked again; there is no answer without all parts. The workers end when the
    index is no longer used, or with this process.

    Args:
        path: The index's folder, on storage that all machines see at the same path.
        address: Of the cluster's head, HOST:PORT; "auto" for the cluster that this machine belongs to.
        workers: How many; None for one on each node. There are no more than segments.
        roots: As for `rsir_tf.open_index`.
        progress: Called after each process that is ready.

    Raises:
        InputError: There is no such number of workers, or the index has no archive of such a name.
        ArtifactError: There is no index, it is damaged, or a machine does not see it.
        MismatchError: A machine sees another index at this path, or it has changed meanwhile.
        ClusterError: Ray is not installed, no cluster of the same versions is reached, or workers do not start.
    """
    require_workers(workers)
    index = open_index(path, roots=roots)
    count = workers or machines(address)
    numbers, parts = divide(index.path, index.settings, index.vectors, count)
    holders: Holders[StoredVectors] = Holders(address, parts, progress=progress)
    index.vectors = DividedVectors(index.vectors, numbers, holders.ask)
    return index
