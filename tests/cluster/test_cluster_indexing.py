"""Indexing on a Ray cluster of two nodes, on this machine. The tests skip where Ray is not installed."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from stand_in import Stand

from rsir_tf.archives import Archive, open_archive
from rsir_tf.cluster import Failed, WorkerPool
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


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustered_indexing, "IMAGES_PER_PART", 6)


def contents(index: Path) -> dict[str, bytes]:
    return {str(file.relative_to(index)): file.read_bytes() for file in sorted((index / "segments").rglob("*.*"))}


def test_the_index_is_that_of_one_machine_to_the_byte(tmp_path: Path, archive: Archive, address: str) -> None:
    (tmp_path / "archive/05.png").write_bytes(b"no picture")
    alone = index_archive(archive, Stand(), tmp_path / "alone")
    told = []
    with WorkerPool(address, Stand, workers=2) as pool:
        model = ModelOnWorkers(pool)
        both = index_archive(archive, model, tmp_path / "both", progress=lambda *call: told.append(call))
        again = index_archive(archive, model, tmp_path / "both")
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")
    assert (both.images, both.added, both.reused) == (alone.images, alone.added, alone.reused) == (39, 38, 1)
    assert both.skipped == alone.skipped
    assert list(both.skipped) == ["05.png"]
    assert [call[0] for call in told] == list(range(1, IMAGES + 1))
    assert (again.unchanged, again.added) == (39, 0)
    assert not (tmp_path / "both.parts").exists()


def test_only_what_is_new_is_described_and_names_are_kept(tmp_path: Path, archive: Archive, address: str) -> None:
    with WorkerPool(address, Stand, workers=1) as pool:
        model = ModelOnWorkers(pool)
        index_archive(archive, model, tmp_path / "index", name="city")
        save_png(tmp_path / "archive/new.png", np.full((16, 16, 3), 7, np.uint8))
        (tmp_path / "archive/03.png").unlink()
        archive = open_archive(tmp_path / "archive")
        summary = index_archive(archive, model, tmp_path / "index", name="city", prune=True)
    assert (summary.added, summary.unchanged, summary.removed) == (1, IMAGES - 1, 1)
    index = open_index(tmp_path / "index")
    assert index.images.ids[-1] == "city/new.png"
    assert Path(index.images.paths[-1]) == tmp_path / "archive/new.png"


def test_what_else_is_in_the_staging_folder_stays(tmp_path: Path, archive: Archive, address: str) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging/thesis.txt").write_text("mine")
    with WorkerPool(address, Stand, workers=1) as pool:
        index_archive(archive, ModelOnWorkers(pool), tmp_path / "index", staging=tmp_path / "staging")
    assert [file.name for file in (tmp_path / "staging").iterdir()] == ["thesis.txt"]


class Dies(Stand):
    """Kills its worker at the second image, as often as files of a folder say."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def predict_stream(self, images, layers=()):
        for number, prediction in enumerate(super().predict_stream(images)):
            if number == 1 and (lives := sorted(self.folder.iterdir())):
                lives[0].unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            yield prediction


def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path, archive: Archive, address: str) -> None:
    index_archive(archive, Stand(), tmp_path / "alone")
    (tmp_path / "lives").mkdir()
    for life in range(2):
        (tmp_path / f"lives/{life}").touch()
    with WorkerPool(address, functools.partial(Dies, tmp_path / "lives"), workers=2) as pool:
        index_archive(archive, ModelOnWorkers(pool), tmp_path / "both")
    assert not list((tmp_path / "lives").iterdir())
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


class Refuses(Stand):
    """Cannot describe one of the images."""

    def predict_stream(self, images, layers=()):
        for image in images:
            if image[0, 0].tolist() == [9, 9, 9]:
                raise ModelError("the server has no memory for this")
            yield from super().predict_stream([image])


def test_a_part_that_fails_three_times_is_listed(tmp_path: Path, archive: Archive, address: str) -> None:
    save_png(tmp_path / "archive/08.png", np.full((16, 16, 3), 9, np.uint8))
    with WorkerPool(address, Refuses, workers=2) as pool:
        model = ModelOnWorkers(pool)
        summary = index_archive(archive, model, tmp_path / "index")
        with pytest.raises(ModelError, match=r"06\.png and the 5 images after it could not be described: .*no memory"):
            index_archive(archive, model, tmp_path / "strict", strict=True)
    assert list(summary.skipped) == [f"{number:02}.png" for number in range(6, 12)]
    assert "the part that it is in failed three times: the server has no memory for this" in summary.skipped["08.png"]
    assert summary.images == IMAGES - 6


class Always(Stand):
    def predict_stream(self, images, layers=()):
        raise ModelError("gone")


def test_a_model_that_is_gone_ends_the_work(tmp_path: Path, archive: Archive, address: str) -> None:
    with WorkerPool(address, Always, workers=2) as pool, pytest.raises(ModelError, match="goes on where it stopped"):
        index_archive(archive, ModelOnWorkers(pool), tmp_path / "index")


def model_of_process() -> Stand:
    return Stand(str(os.getpid()))


def test_workers_with_different_models_are_refused(address: str) -> None:
    with WorkerPool(address, model_of_process, workers=2) as pool, pytest.raises(MismatchError, match="same model"):
        ModelOnWorkers(pool)


def test_a_worker_that_cannot_open_its_model_is_told(address: str) -> None:
    wrong = pytest.raises(ClusterError, match=r"a worker cannot begin: .*invalid literal")
    with WorkerPool(address, functools.partial(int, "x"), workers=1) as pool, wrong:
        ModelOnWorkers(pool)


def sees_nothing(state: object) -> bool:
    return False


def test_storage_that_a_worker_does_not_see_is_told_first(tmp_path: Path, address: str, monkeypatch) -> None:
    from rsir_tf.cluster import pool as module

    monkeypatch.setattr(module, "_Sees", lambda file: sees_nothing)
    with WorkerPool(address, Stand, workers=1) as pool, pytest.raises(ClusterError, match="storage that all machines"):
        pool.require_folder(tmp_path / "parts")
    assert not list((tmp_path / "parts").iterdir())


def double(state: Stand, job: int) -> int:
    if job == 3:
        raise ValueError("three is refused")
    return 2 * job


def test_jobs_come_back_with_their_numbers(address: str) -> None:
    with WorkerPool(address, Stand, workers=2) as pool:
        results = dict(pool.run(double, iter(range(6))))
        assert list(pool.run(double, [])) == []
        # With nothing ahead of the first job that is not done, they come in order, whoever is free.
        assert [number for number, _ in pool.run(double, range(10, 16), ahead=1)] == list(range(6))
    assert results.pop(3) == Failed("three is refused")
    assert results == {0: 0, 1: 2, 2: 4, 4: 8, 5: 10}


def die_once(state: None, file: Path) -> str:
    if file.exists():
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def test_a_job_waits_for_a_worker_that_is_started_again(tmp_path: Path, address: str) -> None:
    (tmp_path / "file").touch()
    with WorkerPool(address, functools.partial(time.sleep, 1), workers=1) as pool:
        assert dict(pool.run(die_once, [tmp_path / "file"] * 2)) == {0: "alive", 1: "alive"}


def test_no_cluster_and_no_number_of_workers(address: str) -> None:
    with pytest.raises(InputError, match="0 workers"):
        WorkerPool(address, Stand, workers=0)
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1: no Ray cluster that this program can join"):
        WorkerPool("127.0.0.1:1", Stand)


def test_the_driver_can_be_killed(tmp_path: Path, archive: Archive, address: str) -> None:
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
        "with WorkerPool(sys.argv[1], functools.partial(Stand, seconds=0.05), workers=2) as pool:\n"
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
    with WorkerPool(address, Stand, workers=2) as pool:
        index_archive(archive, ModelOnWorkers(pool), tmp_path / "both")
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")
