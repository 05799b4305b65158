"""Actors on a Ray cluster that each hold something of their own, such as a part of an index, and answer about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from rsir_tf.cluster.connection import connected, reason, use_all_cores
from rsir_tf.cluster.pool import TRIES
from rsir_tf.errors import ClusterError, RsirError
from rsir_tf.processors import share_cores
from rsir_tf.progress import Progress, silent

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")

SECONDS_TO_BEGIN = 120.0
"""After this time without a sign of life, a worker that was to start is given up."""

AT_ONCE = 4
"""Questions that one actor answers at the same time."""


class Holders(Generic[State]):
    """Actors that each hold one thing. They end when this object is no longer used, or with this process.

    An actor that dies is started again by Ray, where there still is a machine for it; it opens the same thing again,
    and is asked again. They take no processor from others on the cluster's books, so that searches do not wait for the
    end of other work.

    Args:
        address: Of the cluster's head, HOST:PORT; "auto" for the cluster that this machine belongs to.
        openers: One for each actor: opens what it is to hold. They are spread over the machines in turn, those on one
            machine share its cores, and they work in the folder in which this process works.
        progress: Called after each actor that is ready.

    Raises:
        ClusterError: Ray is not installed, no cluster of the same versions is reached, or an actor does not start.
        RsirError: An actor cannot open what it is to hold; its machine is named.
    """

    def __init__(self, address: str, openers: Sequence[Callable[[], State]], *, progress: Progress = silent) -> None:
        self._ray, _ = connected(address)
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        own = [nodes[number % len(nodes)] for number in range(len(openers))]
        machines = [node["NodeManagerHostname"] for node in own]  # A machine may be several nodes.
        holder = self._ray.remote(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
            max_concurrency=AT_ONCE,
            enable_task_events=False,  # They are for the dashboard, and cost each question half a millisecond.
        )(_Holder)
        self._openers = openers
        self._actors = [
            holder.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)).remote(
                os.getcwd(), machines.count(machine)
            )
            for node, machine in zip(own, machines, strict=True)
        ]
        self._begin(progress)

    def ask(self, function: Callable[[State, Job], Result], jobs: Mapping[int, Job]) -> dict[int, Result]:
        """Ask some actors, all at the same time, and wait for all of them.

        Args:
            function: Called in an actor with what that holds, and its job.
            jobs: Number of an actor → its job.

        Returns:
            Number of an actor → what the function returned.

        Raises:
            ClusterError: An actor died `TRIES` times, or cannot be reached.
            RsirError: What the function raised.
        """
        # In one piece: Ray sends each array of a question on its own, which takes a millisecond more for four actors.
        each_once = {id(job): job for job in jobs.values()}
        packed = {known: _pack((function, job)) for known, job in each_once.items()}
        asked = {number: self._actors[number].do.remote(packed[id(job)]) for number, job in jobs.items()}
        return {number: self._answer_again(number, packed[id(jobs[number])], each) for number, each in asked.items()}

    def _answer_again(self, number: int, packed: bytes, asked: Any) -> Any:
        """Wait for an actor's answer; one that was started again opens its state first, and is asked again."""
        for _ in range(TRIES):
            answer = self._answer(number, asked)
            if answer is not None:
                return _unpack(answer)
            self._answer(number, self._actors[number].open.remote(self._openers[number]))
            asked = self._actors[number].do.remote(packed)
        raise self._lost(number, f"it died {TRIES} times at one question")

    def _begin(self, progress: Progress) -> None:
        asked = zip(self._actors, self._openers, strict=True)
        late = {actor.open.remote(opener): number for number, (actor, opener) in enumerate(asked)}
        while late:
            ready, _ = self._ray.wait(list(late), timeout=SECONDS_TO_BEGIN)
            for each in ready:
                self._answer(late.pop(each), each)
            if not ready:
                raise ClusterError(
                    f"{len(late)} of {len(self._actors)} workers have not begun within {SECONDS_TO_BEGIN:g} seconds",
                    wanted="a cluster with room for them",
                    cure="`ray status` shows what it has",
                )
            progress(len(self._actors) - len(late), len(self._actors), "")

    def _answer(self, number: int, asked: Any) -> Any:
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RsirError):
                raise error.cause from error
            raise ClusterError(f"worker {number + 1} of {len(self._actors)} failed: {reason(error)}") from error
        except self._ray.exceptions.RayError as error:
            raise self._lost(number, reason(error)) from error

    def _lost(self, number: int, why: str) -> ClusterError:
        return ClusterError(
            f"worker {number + 1} of {len(self._actors)} was lost: {why}",
            cure="`ray status` shows which machines are left; then run the command again",
        )


_NOTHING = object()
"""What an actor holds that was started again: Ray would keep what opens its state in its object store alone."""


class _Holder:
    """What runs on the cluster."""

    def __init__(self, folder: str, beside: int) -> None:
        os.chdir(folder)
        share_cores(beside)
        use_all_cores()
        self._state: Any = _NOTHING

    def open(self, opener: Callable[[], Any]) -> None:
        try:
            self._state = opener()
        except RsirError as error:
            where = f"{socket.gethostname()}: {error.found}"
            raise type(error)(where, wanted=error.wanted, cure=error.cure) from error

    def do(self, packed: bytes) -> bytes | None:
        """The packed answer to a packed question; None where nothing is held."""
        if self._state is _NOTHING:
            return None
        function, job = _unpack(packed)
        return _pack(function(self._state, job))


def _pack(thing: Any) -> bytes:
    """As Ray packs what it sends."""
    from ray import cloudpickle

    packed: bytes = cloudpickle.dumps(thing)  # type: ignore[no-untyped-call]
    return packed


def _unpack(packed: bytes) -> Any:
    from ray import cloudpickle

    return cloudpickle.loads(packed)
