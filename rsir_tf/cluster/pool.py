"""Workers on a Ray cluster."""

from __future__ import annotations

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
from rsir_tf.cluster.connection import connected, machines, reason, require_workers
from rsir_tf.errors import ClusterError

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 3
"""How often a job is tried, on any worker, before it is given up."""


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
        gpus: Whether a worker takes a GPU where there are some.

    Raises:
        ClusterError: Ray is not installed, or no cluster of the same versions is reached.
        InputError: There is no such number of workers.
    """

    def __init__(
        self, address: str, open_state: Callable[[], State], *, workers: int | None = None, gpus: bool = True
    ) -> None:
        require_workers(workers)
        self._ray, self._connected_here = connected(address)
        self._open = open_state
        found = self._ray.cluster_resources().get("GPU", 0.0) if gpus else 0.0
        self._gpus = min(1.0, found)
        self.workers = workers or int(found) or machines(address)
        self._actors: list[Any] = []

    def __enter__(self) -> WorkerPool[State]:
        # With tries left, a job waits for a worker that is started again; without, Ray fails it at once.
        again = {"max_restarts": -1, "max_task_retries": TRIES - 1}
        options = {"num_cpus": 1, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD", **again}
        worker = self._ray.remote(**options)(_Worker)
        self._actors = [worker.remote(self._open, os.getcwd()) for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._connected_here:
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
            raise ClusterError(f"a worker cannot begin: {reason(error)}") from error

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
        self, function: Callable[[State, Job], Result], jobs: Iterable[Job], *, ahead: int | None = None
    ) -> Iterator[tuple[int, Result | Failed]]:
        """Do jobs, each in one worker, and give the results as they come.

        Jobs are taken from `jobs` only when there is a worker for them.

        Args:
            function: Called in a worker with what that has opened, and a job.
            jobs: Any number.
            ahead: No job is begun that comes so many after the first one that is not done; None for no limit.

        Yields:
            The job's number, from 0, and its result; `Failed` after `TRIES` failures.
        """
        waiting, again, taken = enumerate(jobs), deque[tuple[int, Job]](), 0
        free, running, failures = deque(self._actors), dict[Any, tuple[Any, int, Job]](), dict[int, int]()
        while True:
            while free:
                begun = [number for _, number, _ in running.values()]
                if not again and ahead is not None and begun and taken - min(begun) >= ahead:
                    break
                job = again.popleft() if again else next(waiting, None)
                if job is None:
                    break
                taken = max(taken, job[0] + 1)
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
                # The worker itself was lost as often as a job is tried, unless it was the job that failed.
                once = isinstance(error, self._ray.exceptions.RayTaskError)
                failures[number] = failures.get(number, 0) + 1 if once else TRIES
                if failures[number] < TRIES:
                    again.append((number, given))
                    continue
                yield number, Failed(reason(error))
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
