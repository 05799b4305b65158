"""Indexing on a Ray cluster of two nodes, on this machine. The tests skip where Ray is not installed."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stand_in import Stand

from rsir_tf.archives import Archive, open_archive
from rsir_tf.cluster import Failed, WorkerPool
from rsir_tf.contract import ModelDescription
from rsir_tf.errors import ClusterError, InputError, LockedError, MismatchError, ModelError
from rsir_tf.index.layout import LOCK
from rsir_tf.locks import WriterLock
from rsir_tf.presentation import save_png
from rsir_tf.ranking import open_index
from rsir_tf.workflows import ModelOnWorkers, clustered_indexing, index_archive

IMAGES = 40


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    rng = np.random.default_rng(0)
    for number in range(IMAGES - 1):
        save_png(tmp_path / f"archive/{number:02}.png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    shutil.copy(tmp_path / "archive/00.png", tmp_path / f"archive/{IMAGES - 1:02}.png")
    return open_archive(tmp_path / "archive")


class Moody(Stand):
    """Cannot describe some images, and does what files of a folder tell it.

    As long as there is a file `life*`, it kills its worker at the second image, and removes one. Where there is `own`,
    it is another model in each worker.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def describe(self) -> ModelDescription:
        own = (self.folder / "own").exists()
        return dataclasses.replace(super().describe(), **({"model_id": str(os.getpid())} if own else {}))

    def predict_stream(self, images, layers=()):
        for number, image in enumerate(images):
            if number == 1 and (lives := sorted(self.folder.glob("life*"))):
                lives[0].unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            if image[0, 0].tolist() == [9, 9, 9]:
                raise ModelError("the server has no memory for this")
            yield from super().predict_stream([image])


@pytest.fixture(scope="module")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("moods")


@pytest.fixture(scope="module")
def pool(address: str, moods: Path) -> Iterator[WorkerPool]:
    """Two workers for all tests here: each needs seconds to start."""
    import ray

    with WorkerPool(address, functools.partial(Moody, moods), workers=2) as pool:
        yield pool
    assert not ray.is_initialized()


@pytest.fixture
def model(pool: WorkerPool) -> ModelOnWorkers:
    return ModelOnWorkers(pool)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustered_indexing, "IMAGES_PER_PART", 6)


def contents(index: Path) -> dict[str, bytes]:
    return {str(file.relative_to(index)): file.read_bytes() for file in sorted((index / "segments").rglob("*.*"))}


def test_the_index_is_that_of_one_machine_to_the_byte(tmp_path: Path, archive: Archive, model: ModelOnWorkers) -> None:
    (tmp_path / "archive/05.png").write_bytes(b"no picture")
    alone = index_archive(archive, Stand(), tmp_path / "alone")
    told = []
    both = index_archive(archive, model, tmp_path / "both", progress=lambda *call: told.append(call))
    again = index_archive(archive, model, tmp_path / "both")
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")
    assert (both.images, both.added, both.reused) == (alone.images, alone.added, alone.reused) == (39, 38, 1)
    assert both.skipped == alone.skipped
    assert list(both.skipped) == ["05.png"]
    assert [call[0] for call in told] == list(range(1, IMAGES + 1))
    assert (again.unchanged, again.added) == (39, 0)
    assert not (tmp_path / "both.parts").exists()


def test_only_what_is_new_is_described_and_names_are_kept(
    tmp_path: Path, archive: Archive, model: ModelOnWorkers
) -> None:
    index_archive(archive, model, tmp_path / "index", name="city")
    save_png(tmp_path / "archive/new.png", np.full((16, 16, 3), 7, np.uint8))
    (tmp_path / "archive/03.png").unlink()
    archive = open_archive(tmp_path / "archive")
    summary = index_archive(archive, model, tmp_path / "index", name="city", prune=True)
    assert (summary.added, summary.unchanged, summary.removed) == (1, IMAGES - 1, 1)
    index = open_index(tmp_path / "index")
    assert index.images.ids[-1] == "city/new.png"
    assert Path(index.images.paths[-1]) == tmp_path / "archive/new.png"


def test_what_else_is_in_the_staging_folder_stays(tmp_path: Path, archive: Archive, model: ModelOnWorkers) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging/thesis.txt").write_text("mine")
    index_archive(archive, model, tmp_path / "index", staging=tmp_path / "staging")
    assert [file.name for file in (tmp_path / "staging").iterdir()] == ["thesis.txt"]


def test_a_worker_that_is_killed_changes_nothing(
    tmp_path: Path, archive: Archive, model: ModelOnWorkers, moods: Path
) -> None:
    index_archive(archive, Stand(), tmp_path / "alone")
    for life in range(2):
        (moods / f"life{life}").touch()
    index_archive(archive, model, tmp_path / "both")
    assert not list(moods.iterdir())
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")


def test_a_worker_waits_for_one_that_is_still_at_work(tmp_path: Path, archive: Archive, monkeypatch) -> None:
    (tmp_path / "part").mkdir()
    lock = WriterLock(tmp_path / "part" / LOCK)
    part = clustered_indexing.Part(archive, tmp_path / "part", {})
    released = threading.Timer(0.3, lock.release)
    released.start()
    clustered_indexing.describe_part(Stand(), part)
    assert len(open_index(tmp_path / "part")) == IMAGES
    lock = WriterLock(tmp_path / "part" / LOCK)
    monkeypatch.setattr(clustered_indexing, "SECONDS_FOR_OTHERS", 0.2)
    with pytest.raises(LockedError, match="another writer"):
        clustered_indexing.describe_part(Stand(), part)
    lock.release()


def test_a_part_that_fails_three_times_is_listed(tmp_path: Path, archive: Archive, model: ModelOnWorkers) -> None:
    save_png(tmp_path / "archive/08.png", np.full((16, 16, 3), 9, np.uint8))
    summary = index_archive(archive, model, tmp_path / "index")
    with pytest.raises(ModelError, match=r"06\.png and the 5 images after it could not be described: .*no memory"):
        index_archive(archive, model, tmp_path / "strict", strict=True)
    assert list(summary.skipped) == [f"{number:02}.png" for number in range(6, 12)]
    assert "the part that it is in failed three times: the server has no memory for this" in summary.skipped["08.png"]
    assert summary.images == IMAGES - 6


def test_a_model_that_is_gone_ends_the_work(tmp_path: Path, archive: Archive, model: ModelOnWorkers) -> None:
    for number in range(IMAGES):
        save_png(tmp_path / f"archive/{number:02}.png", np.full((16, 16, 3), 9, np.uint8))
    with pytest.raises(ModelError, match="goes on where it stopped"):
        index_archive(archive, model, tmp_path / "index")


def test_workers_with_different_models_are_refused(pool: WorkerPool, moods: Path) -> None:
    (moods / "own").touch()
    with pytest.raises(MismatchError, match="same model"):
        ModelOnWorkers(pool)
    (moods / "own").unlink()


def test_a_worker_that_cannot_open_its_model_is_told(address: str) -> None:
    wrong = pytest.raises(ClusterError, match=r"a worker cannot begin: .*invalid literal")
    with WorkerPool(address, functools.partial(int, "x"), workers=1) as pool, wrong:
        ModelOnWorkers(pool)


def sees_nothing(state: object) -> bool:
    return False


def test_storage_that_a_worker_does_not_see_is_told_first(tmp_path: Path, pool: WorkerPool, monkeypatch) -> None:
    from rsir_tf.cluster import pool as module

    monkeypatch.setattr(module, "_Sees", lambda file: sees_nothing)
    with pytest.raises(ClusterError, match="storage that all machines"):
        pool.require_folder(tmp_path / "parts")
    assert not list((tmp_path / "parts").iterdir())


def double(state: Stand, job: int) -> int:
    if job == 3:
        raise ValueError("three is refused")
    return 2 * job


def test_jobs_come_back_with_their_numbers(pool: WorkerPool) -> None:
    results = dict(pool.run(double, iter(range(6))))
    assert list(pool.run(double, [])) == []
    # With nothing ahead of the first job that is not done, they come in order, whoever is free.
    assert [number for number, _ in pool.run(double, range(10, 16), ahead=1)] == list(range(6))
    assert results.pop(3) == Failed("three is refused")
    assert results == {0: 0, 1: 2, 2: 4, 4: 8, 5: 10}


def die_once(state: Stand, file: Path) -> str:
    if file.exists():
        file.unlink(missing_ok=True)  # Both workers may have seen it.
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def test_a_job_waits_for_a_worker_that_is_started_again(tmp_path: Path, pool: WorkerPool) -> None:
    (tmp_path / "file").touch()
    assert dict(pool.run(die_once, [tmp_path / "file"] * 4)) == dict.fromkeys(range(4), "alive")


def test_no_cluster_and_no_number_of_workers(address: str, monkeypatch) -> None:
    import ray

    with pytest.raises(InputError, match="0 workers"):
        WorkerPool(address, Stand, workers=0)
    # As in a process that belongs to no cluster yet.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1: no Ray cluster that this program can join"):
        WorkerPool("127.0.0.1:1", Stand)


def test_the_driver_can_be_killed(tmp_path: Path, archive: Archive, address: str, model: ModelOnWorkers) -> None:
    """What was finished for the killed driver is taken in by the next, without asking the model again."""
    index_archive(archive, Stand(), tmp_path / "alone")
    program = (
        "import functools, sys; sys.path[:0] = sys.argv[4:]\n"
        "from pathlib import Path\n"
        "from stand_in import Stand\n"
        "from rsir_tf.archives import open_archive\n"
        "from rsir_tf.cluster import WorkerPool\n"
        "from rsir_tf.workflows import ModelOnWorkers, clustered_indexing, index_archive\n"
        "clustered_indexing.IMAGES_PER_PART = 6\n"
        "with WorkerPool(sys.argv[1], functools.partial(Stand, seconds=0.05), workers=1) as pool:\n"
        "    index_archive(open_archive(Path(sys.argv[2])), ModelOnWorkers(pool), Path(sys.argv[3]))\n"
    )
    line = [sys.executable, "-c", program, address, str(tmp_path / "archive"), str(tmp_path / "both"), *sys.path]
    driver = subprocess.Popen(line, start_new_session=True)
    parts = tmp_path / "both.parts"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(parts.glob("*/segments/*"))) < 2 and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    assert len(list(parts.glob("*/segments/*"))) >= 2
    index_archive(archive, model, tmp_path / "both")
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")
