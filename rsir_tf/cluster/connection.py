"""The way to a running Ray cluster, and why something failed there."""

from __future__ import annotations

import importlib
import logging
import socket
from typing import Any

from rsir_tf.errors import ClusterError, InputError
from rsir_tf.processors import usable_cores

SECONDS_TO_CONNECT = 10.0

_own_addresses: dict[str, str] = {}
"""Address by which this process joined a cluster → the address that the cluster gives itself: "localhost" is no IP."""


def connected(address: str) -> tuple[Any, bool]:
    """Connect to a cluster; a connection that is there already is kept.

    Args:
        address: Of the cluster's head, HOST:PORT; "auto" for the cluster that this machine belongs to.

    Returns:
        The module `ray`, and whether the connection is new.

    Raises:
        ClusterError: Ray is not installed, or no cluster of the same versions is reached.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("Ray is not installed", cure="pip install 'rsir_tf[cluster]'") from error
    if ray.is_initialized():
        own = ray.get_runtime_context().gcs_address
        if address not in ("auto", own) and _own_addresses.get(address) != own:
            raise ClusterError(f"{address}: this process belongs to the cluster {own}", wanted="one cluster")
        return ray, False
    try:
        _require_listener(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except Exception as error:
        raise ClusterError(
            f"{address}: no Ray cluster that this program can join ({one_line(error)})",
            wanted="the address of a running cluster with the same versions of Ray and Python",
            cure="`ray start --head` makes a machine the head of a cluster",
        ) from error
    # Ray prints what befalls workers to stdout, which is for data. What goes wrong is raised here, too.
    printing: Any = importlib.import_module("ray._private.worker")
    printing._worker_logs_enabled = False
    _own_addresses[address] = ray.get_runtime_context().gcs_address
    return ray, True


def machines(address: str) -> int:
    """The number of machines of a cluster; address and errors as for `connected`."""
    ray, _ = connected(address)
    return sum(node["Alive"] for node in ray.nodes())


def use_all_cores() -> None:
    """Let numerical libraries of a worker use all cores that it may, and no more.

    Ray allows them those on its books alone; OpenCV, which it does not know, takes those of the whole machine, and its
    threads keep cores busy while they wait for each other.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(usable_cores())
    cv2.setNumThreads(usable_cores())


def _require_listener(address: str) -> None:
    """Ray itself waits without an end for a head that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()


def reason(error: Exception) -> str:
    """What went wrong in a worker, without Ray's account of where."""
    cause = getattr(error, "cause", None) or error.__cause__
    return one_line(cause if isinstance(cause, Exception) else error)


def one_line(error: Exception) -> str:
    """The text of an error, for another error's text."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def require_workers(workers: int | None) -> None:
    """Refuse a number of workers that cannot be.

    Raises:
        InputError: It is below 1.
    """
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers", wanted="at least 1")
