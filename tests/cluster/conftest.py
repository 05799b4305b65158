"""One Ray cluster for all tests here, which skip where Ray is not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / "workflows"), str(TESTS)]


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """A cluster of two nodes with room for three workers; their processes find the modules of these tests."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)")
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(TESTS.parent), *sys.path])
    os.environ.update(PYTHONPATH=path, RAY_USAGE_STATS_ENABLED="0")
    node = {"object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **node})
    cluster.add_node(num_cpus=1, **node)
    # Not the name that the cluster gives itself, as users have it who are on the head's machine.
    yield cluster.address.replace(cluster.address.rpartition(":")[0], "127.0.0.1")
    ray.shutdown()
    cluster.shutdown()
