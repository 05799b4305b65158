"""Workers on a Ray cluster."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from rsir_tf.artifacts import disk_errors
from rsir_tf.errors import ClusterError, InputError

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 3
"""How often a job is tried, on any worker, before it is given up."""

SECONDS_TO_CONNECT = 10.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that was given up.

    Attributes:
        reason: Why it failed the last time, one line.
    """

    reason: str


class WorkerPool(Generic[State]):
    """Workers of a running Ray cluster; use it in a `with` block, at whose end they are stopped.

    A worker that dies is started again by Ray, and its job is tried again.

    Args:
        address: Of the cluster's head, HOST:PORT; "auto" for the cluster that this machine belongs to.
        open_state: Called once in each worker: what it returns (a model, say) is there for every job. Ray brings it to
            the workers. They work in the folder in which this process works.
        workers: How many; None for one on each GPU, or on each machine where there are none.

    Raises:
        ClusterError: Ray is not installed, or no cluster of the same versions is reached.
        InputError: There is no such number of workers.
    """

    def __init__(self, address: str, open_state: Callable[[], State], *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"{workers} workers", wanted="at least 1")
        self._ray = _connected(address)
        self._open = open_state
        resources = self._ray.cluster_resources()
        machines = sum(node["Alive"] for node in self._ray.nodes())
        self._gpus = min(1.0, resources.get("GPU", 0.0))
        self.workers = workers or int(resources.get("GPU", 0)) or machines
        self._actors: list[Any] = []

    def __enter__(self) -> WorkerPool[State]:
        options = {"num_cpus": 1, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD", "max_restarts": -1}
        worker = self._ray.remote(**options)(_Worker)
        self._actors = [worker.remote(self._open, os.getcwd()) for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()

    def ask_each(self, function: Callable[[State], Result]) -> list[tuple[str, Result]]:
        """Call a function once in each worker.

        Returns:
            The name of the worker's machine, and what the function returned there.

        Raises:
            ClusterError: A worker cannot be started, or the function fails there.
        """
        asked = [actor.ask.remote(function) for actor in self._actors]
        try:
            return list(self._ray.get(asked))
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"a worker cannot begin: {_reason(error)}") from error

    def require_folder(self, folder: Path) -> None:
        """Make sure that each worker sees what this process writes into a folder.

        Raises:
            ClusterError: One does not; its machine is named.
            ArtifactError: The folder cannot be written.
        """
        probe = folder / f".probe.{secrets.token_hex(8)}"
        with disk_errors(probe):
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
        try:
            blind = sorted({machine for machine, sees in self.ask_each(_Sees(probe.resolve())) if not sees})
        finally:
            probe.unlink(missing_ok=True)
        if blind:
            raise ClusterError(
                f"{folder}: is not what {', '.join(blind)} {'see' if len(blind) > 1 else 'sees'} there",
                wanted="a folder on storage that all machines share",
            )

    def run(
        self, function: Callable[[State, Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[int, Result | Failed]]:
        """Do jobs, each in one worker, and give the results as they come.

        Jobs are taken from `jobs` only when there is a worker for them.

        Args:
            function: Called in a worker with what that has opened, and a job.
            jobs: Any number.

        Yields:
            The job's number, from 0, and its result; `Failed` after `TRIES` failures.
        """
        waiting, again = enumerate(jobs), deque[tuple[int, Job]]()
        free, running, failures = deque(self._actors), dict[Any, tuple[Any, int, Job]](), dict[int, int]()
        while True:
            while free and (job := again.popleft() if again else next(waiting, None)) is not None:
                actor = free.popleft()
                running[actor.do.remote(function, job[1])] = (actor, *job)
            if not running:
                return
            (done, *_), _ = self._ray.wait(list(running), num_returns=1)
            actor, number, given = running.pop(done)
            free.append(actor)
            try:
                result = self._ray.get(done)
            except self._ray.exceptions.RayError as error:
                failures[number] = failures.get(number, 0) + 1
                if failures[number] < TRIES:
                    again.append((number, given))
                    continue
                yield number, Failed(_reason(error))
            else:
                yield number, result


@dataclass(frozen=True, slots=True)
class _Sees:
    """Whether a worker sees a file."""

    file: Path

    def __call__(self, state: object) -> bool:
        return self.file.exists()


class _Worker:
    """What runs on the cluster."""

    def __init__(self, open_state: Callable[[], Any], folder: str) -> None:
        os.chdir(folder)
        self._state = open_state()

    def ask(self, function: Callable[[Any], Any]) -> tuple[str, Any]:
        return socket.gethostname(), function(self._state)

    def do(self, function: Callable[[Any, Any], Any], job: Any) -> Any:
        return function(self._state, job)


def _connected(address: str) -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("Ray is not installed", cure="pip install 'rsir_tf[cluster]'") from error
    try:
        _require_listener(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except Exception as error:
        raise ClusterError(
            f"{address}: no Ray cluster that this program can join ({_one_line(error)})",
            wanted="the address of a running cluster with the same versions of Ray and Python",
            cure="`ray start --head` makes a machine the head of a cluster",
        ) from error
    return ray


def _require_listener(address: str) -> None:
    """Ray itself waits without an end for a head that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()


def _reason(error: Exception) -> str:
    """What went wrong in a worker, without Ray's account of where."""
    cause = getattr(error, "cause", None) or error.__cause__
    return _one_line(cause if isinstance(cause, Exception) else error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
