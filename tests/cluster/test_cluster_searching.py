"""Searching on a Ray cluster of two nodes, on this machine. That parts give what the whole does: see tests/ranking."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import time
from pathlib import Path

import pytest
from index_samples import random_entry, settings

from rsir_tf.cluster import Holders, WorkerPool, holders
from rsir_tf.errors import ArtifactError, ClusterError, InputError, MismatchError
from rsir_tf.index import IndexWriter
from rsir_tf.processors import usable_cores
from rsir_tf.ranking import Expanded, Mixed, Reranked, make_scheme, open_index, search
from rsir_tf.ranking.divided import divide
from rsir_tf.ranking.images import image_at
from rsir_tf.workflows import evaluate_index, open_index_on_cluster, refine
from rsir_tf.workflows.browsing import WatchedIndex
from rsir_tf.workflows.clustered_evaluation import WholeIndex

IMAGES = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with IndexWriter.open(tmp_path / "index", settings(), images_per_segment=10) as writer:
        for at in range(IMAGES):
            writer.add(random_entry(f"{at:02}", at, regions=1 + at % 4, high=9))
    return tmp_path / "index"


def hits(index, scheme="recnn+", like="07"):
    return [(hit.id, hit.distance, hit.matches) for hit in refine(index, [like], scheme=scheme, top=IMAGES).hits]


def process(state: object, job: object) -> int:
    return os.getpid()


def cores(state: object, job: object) -> int:
    return usable_cores()


def processes(index, workers: int) -> list[int]:
    return list(index.vectors._ask(process, dict.fromkeys(range(workers))).values())


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


class Dying:
    """Kills its process at a question, as long as a file is there."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, state: object, job: int) -> int:
        try:
            often = self.file.read_text()
        except FileNotFoundError:
            return job
        if often == "once":
            self.file.unlink(missing_ok=True)  # Several workers may have read it.
        os.kill(os.getpid(), signal.SIGKILL)
        return job


def test_answers_are_those_of_one_machine_also_after_workers_were_killed(path: Path, address: str, capfd) -> None:
    alone = open_index(path)
    query = image_at(alone.vectors, 5)
    cosine, irm = make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    spread = open_index_on_cluster(path, address, workers=3)
    for scheme in (make_scheme("recnn"), Reranked(Mixed(Expanded(cosine, 3), irm, share=0.3), irm, top=20)):
        assert search(spread, query, scheme, top=20) == search(alone, query, scheme, top=20)
    first = processes(spread, 3)
    assert len(set(first)) == min(3, usable_cores())  # The nodes count three cores, on this machine both.
    os.kill(first[0], signal.SIGKILL)
    assert search(spread, query, irm, top=20) == search(alone, query, irm, top=20)
    second = processes(spread, 3)
    assert [before == after for before, after in zip(first, second, strict=True)] == [
        before != first[0] for before in first
    ]
    # One that dies at a question is asked again, and given up at last.
    ask, file = spread.vectors._ask, path / "file"
    file.write_text("once")
    assert ask(Dying(file), {0: 3, 1: 4}) == {0: 3, 1: 4}
    file.write_text("always")
    with pytest.raises(ClusterError, match=r"the workers on \S+ were lost: they died 3 times"):
        ask(Dying(file), {0: 3})
    file.unlink()
    assert capfd.readouterr().out == ""  # It is for data.
    last = processes(spread, 3)
    del spread, ask
    assert all(map(gone, last))


def test_an_index_that_changes_is_searched_as_it_was_or_refused(path: Path, address: str) -> None:
    watched = WatchedIndex(path, opener=functools.partial(open_index_on_cluster, address=address, workers=1))
    before = hits(watched.current().index)
    with IndexWriter.open(path, settings()) as writer:
        writer.add(random_entry("new", 7, regions=4, high=9))
        writer.merge()
    assert hits(watched._browsed.index) == before
    old = watched._browsed.index
    os.kill(processes(old, 1)[0], signal.SIGKILL)
    with pytest.raises(MismatchError, match="not what it was when the index was opened"):
        hits(old)
    watched._looked = 0.0
    assert hits(watched.current().index) == hits(open_index(path)) != before


def test_actors_of_all_nodes_of_a_machine_share_its_cores(address: str) -> None:
    # Both nodes are on this machine, and count three cores.
    found = Holders(address, [dict] * 3).ask(cores, dict.fromkeys(range(3)))
    assert found == dict.fromkeys(range(3), usable_cores() // min(3, usable_cores()))


@pytest.mark.parametrize(
    ("counted", "things", "places"),
    [
        ({"a": 8, "b": 8}, 4, [("a", [0]), ("b", [1]), ("a", [2]), ("b", [3])]),
        # "a" has two cores for its three things, and a machine whose head takes no work still holds its part.
        ({"a": 2, "b": 0}, 5, [("a", [0, 4]), ("b", [1, 3]), ("a", [2])]),
        ({"a": 4, "b": 4}, 1, [("a", [0])]),
        ({"a": 4}, 0, []),
        # Each node of this machine counts all of its two cores.
        ({"this 1": 2, "this 2": 2}, 4, [("this 1", [0, 2]), ("this 2", [1, 3])]),
    ],
)
def test_no_machine_has_more_actors_than_cores(
    monkeypatch: pytest.MonkeyPatch, counted: dict[str, int], things: int, places: list[tuple[str, list[int]]]
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "this")
    monkeypatch.setattr(holders, "usable_cores", lambda: 2)
    nodes = [
        {"NodeID": name, "NodeManagerHostname": name.split()[0], "Resources": {"CPU": cpu} if cpu else {}}
        for name, cpu in counted.items()
    ]
    assert [(node["NodeID"], held) for node, held in holders._places(nodes, things)] == places


def test_what_a_machine_does_not_see_is_told_with_its_name(path: Path, address: str, tmp_path: Path) -> None:
    index = open_index(path)
    _, parts = divide(path, index.settings, index.vectors, 2)
    with pytest.raises(ArtifactError, match=r"\w+: /.*elsewhere: is not there; wanted an index on storage"):
        Holders(address, [dataclasses.replace(parts[1], path=tmp_path / "elsewhere")])
    with pytest.raises(InputError, match="0 workers"):
        open_index_on_cluster(path, address, workers=0)
    with pytest.raises(ClusterError, match="wanted one cluster"):
        open_index_on_cluster(path, "127.0.0.1:1")


def test_figures_are_those_of_one_machine(path: Path, address: str) -> None:
    alone = open_index(path)
    schemes = ["recnn", Mixed(make_scheme("irm"), make_scheme("relations"))]
    with WorkerPool(address, WholeIndex.of(alone), workers=2, gpus=False) as pool:
        found = evaluate_index(alone, schemes=schemes, pool=pool, intervals=True).to_json()
    wanted = evaluate_index(alone, schemes=schemes, intervals=True).to_json()
    for each in (found, wanted):
        for figures in each["schemes"].values():
            assert figures["costs"].pop("seconds_per_query") > 0
    assert found == wanted
    whole = WholeIndex.of(alone)
    with IndexWriter.open(path, settings()) as writer:
        writer.remove(["03"])
    with pytest.raises(MismatchError, match="or has changed since then"):
        whole()


def test_commands_search_on_the_cluster(path: Path, address: str, command) -> None:
    def told(*line: object) -> object:
        ended = command(*line, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    query = ["query", "--index", path, "--like", "07", "--unlike", "12", "--scheme", "irm", "--shows", "sea"]
    assert told(*query, "--ray", address, "--workers", 1) == told(*query)
    one, other = told("evaluate", path, "--scheme", "irm"), told("evaluate", path, "--scheme", "irm", "--ray", address)
    for each in (one, other):
        each["schemes"]["irm"]["costs"].clear()
    assert one == other
    ended = command(*query, "--workers", 2)
    assert ended.code == 2
    assert "--workers is for the workers of --ray" in ended.err
