"""Actors on a Ray cluster that hold things, such as parts of an index, and answer about them."""

from __future__ import annotations

import itertools
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from rsir_tf.cluster.connection import connected, reason, use_all_cores
from rsir_tf.cluster.pool import TRIES
from rsir_tf.errors import ClusterError, RsirError
from rsir_tf.processors import share_cores, usable_cores
from rsir_tf.progress import Progress, silent

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")

SECONDS_TO_BEGIN = 120.0
"""After this time without a sign of life, a worker that was to start is given up."""

AT_ONCE = 4
"""Questions that one actor answers at the same time."""


class Holders(Generic[State]):
    """Things that are held on a cluster, by as many actors on each machine as it has cores, or fewer.

    An actor without a core of its own would only cost its way: what is more than there are cores is held by the same
    actors. One that dies is started again by Ray, where there still is a machine for it; it opens the same things
    again, and is asked again. Actors take no processor from others on the cluster's books, so that searches do not wait
    for the end of other work. They end when this object is no longer used, or with this process.

    Args:
        address: Of the cluster's head, HOST:PORT; "auto" for the cluster that this machine belongs to.
        openers: One for each thing: opens it. Things are spread over the nodes in turn. The actors on one machine share
            its cores, and all work in the folder in which this process works.
        progress: Called after each actor that is ready.

    Raises:
        ClusterError: Ray is not installed, no cluster of the same versions is reached, or an actor does not start.
        RsirError: An actor cannot open what it is to hold; its machine is named.
    """

    def __init__(self, address: str, openers: Sequence[Callable[[], State]], *, progress: Progress = silent) -> None:
        self._ray, _ = connected(address)
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        places = _places([node for node in self._ray.nodes() if node["Alive"]], len(openers))
        self._machines = [node["NodeManagerHostname"] for node, _ in places]
        self._openers = [{number: openers[number] for number in own} for _, own in places]
        holder = self._ray.remote(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
            max_concurrency=AT_ONCE,
            enable_task_events=False,  # They are for the dashboard, and cost each question half a millisecond.
        )(_Holder)
        self._actors = [
            holder.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)).remote(
                os.getcwd(), self._machines.count(node["NodeManagerHostname"])
            )
            for node, _ in places
        ]
        self._begin(progress)

    def ask(self, function: Callable[[State, Job], Result], jobs: Mapping[int, Job]) -> dict[int, Result]:
        """Ask about some of the things, all at the same time, and wait for all answers.

        Args:
            function: Called in an actor with a thing, and its job.
            jobs: Number of a thing → its job.

        Returns:
            Number of a thing → what the function returned.

        Raises:
            ClusterError: An actor died `TRIES` times, or cannot be reached.
            RsirError: What the function raised.
        """
        asked = {}
        for actor, own in enumerate(self._openers):
            wanted = {number: jobs[number] for number in own if number in jobs}
            if wanted:
                # In one piece: Ray sends each array of a question on its own, which takes longer.
                packed = _pack((function, wanted))
                asked[actor] = packed, self._actors[actor].do.remote(packed)
        answers: dict[int, Result] = {}
        for actor, (packed, each) in asked.items():
            answers |= self._answer_again(actor, packed, each)
        return {number: answers[number] for number in jobs}

    def _answer_again(self, actor: int, packed: bytes, asked: Any) -> Any:
        """Wait for an actor's answer; one that was started again opens its things first, and is asked again."""
        for _ in range(TRIES):
            answer = self._answer(actor, asked)
            if answer is not None:
                return _unpack(answer)
            self._answer(actor, self._actors[actor].open.remote(self._openers[actor]))
            asked = self._actors[actor].do.remote(packed)
        raise self._lost(actor, f"they died {TRIES} times at one question")

    def _begin(self, progress: Progress) -> None:
        asked = zip(self._actors, self._openers, strict=True)
        late = {actor.open.remote(opener): number for number, (actor, opener) in enumerate(asked)}
        while late:
            ready, _ = self._ray.wait(list(late), timeout=SECONDS_TO_BEGIN)
            for each in ready:
                self._answer(late.pop(each), each)
            if not ready:
                missing = ", ".join(sorted({self._machines[actor] for actor in late.values()}))
                raise ClusterError(
                    f"the workers on {missing} have not begun within {SECONDS_TO_BEGIN:g} seconds",
                    wanted="a cluster with room for them",
                    cure="`ray status` shows what it has",
                )
            progress(len(self._actors) - len(late), len(self._actors), "")

    def _answer(self, actor: int, asked: Any) -> Any:
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RsirError):
                raise error.cause from error
            raise ClusterError(f"a worker on {self._machines[actor]} failed: {reason(error)}") from error
        except self._ray.exceptions.RayError as error:
            raise self._lost(actor, reason(error)) from error

    def _lost(self, actor: int, why: str) -> ClusterError:
        return ClusterError(
            f"the workers on {self._machines[actor]} were lost: {why}",
            cure="`ray status` shows which machines are left; then run the command again",
        )


def _places(nodes: Sequence[Mapping[str, Any]], things: int) -> list[tuple[Mapping[str, Any], list[int]]]:
    """The node of each actor, and the numbers of the things that it is to hold."""
    cores = Counter[str]()  # Of a machine, which may be several nodes.
    for node in nodes:
        cores[node["NodeManagerHostname"]] += int(node["Resources"].get("CPU", 0))
    own = socket.gethostname()
    cores[own] = min(cores[own], usable_cores())  # Each node of a machine may count all of its cores.
    places: list[tuple[Mapping[str, Any], list[int]]] = []
    for number, node in zip(range(things), itertools.cycle(nodes), strict=False):
        machine = node["NodeManagerHostname"]
        beside = [held for other, held in places if other["NodeManagerHostname"] == machine]
        if len(beside) < max(1, cores[machine]):
            places.append((node, [number]))
        else:
            min(beside, key=len).append(number)
    return places


class _Holder:
    """What runs on the cluster."""

    def __init__(self, folder: str, actors: int) -> None:
        """Begin to work in a folder, on a machine that has so many of these actors."""
        os.chdir(folder)
        share_cores(actors)
        use_all_cores()
        # Nothing in an actor that was started again: Ray would keep what opens its things in its object store alone.
        self._held: dict[int, Any] = {}

    def open(self, openers: dict[int, Callable[[], Any]]) -> None:
        try:
            self._held = {number: opener() for number, opener in openers.items()}
        except RsirError as error:
            where = f"{socket.gethostname()}: {error.found}"
            raise type(error)(where, wanted=error.wanted, cure=error.cure) from error

    def do(self, packed: bytes) -> bytes | None:
        """The packed answers to a packed question; None where nothing is held."""
        if not self._held:
            return None
        function, jobs = _unpack(packed)
        return _pack({number: function(self._held[number], job) for number, job in jobs.items()})


def _pack(thing: Any) -> bytes:
    """As Ray packs what it sends."""
    from ray import cloudpickle

    packed: bytes = cloudpickle.dumps(thing)  # type: ignore[no-untyped-call]
    return packed


def _unpack(packed: bytes) -> Any:
    from ray import cloudpickle

    return cloudpickle.loads(packed)
