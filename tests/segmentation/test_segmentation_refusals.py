"""What training refuses: other settings, foreign folders, damaged checkpoints, impossible values."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from training_samples import SETTINGS, KilledError

from rsir_tf.archives import Archive, stratified_split
from rsir_tf.archives.splits import Split
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.rasters import FileSource
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.monitoring import TrainingError
from rsir_tf.segmentation.runs import Run, open_run
from rsir_tf.segmentation.training import train

pytestmark = pytest.mark.usefixtures("eager")


def test_other_settings_are_refused_with_both_values(run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match=r"learning_rate = 0\.001, this call has 0\.5"):
        train(archive, split, run.path, replace(SETTINGS, learning_rate=0.5))
    with pytest.raises(MismatchError, match="split"):
        train(archive, stratified_split(archive, test=0.25, seed=9), run.path, SETTINGS)
    names = archive.label_set.names[::-1]
    other = replace(archive, label_set=replace(archive.label_set, names=names))
    with pytest.raises(MismatchError, match="label_set"):
        train(other, split, run.path, SETTINGS)
    renamed = [replace(record, id=f"x{record.id}") for record in archive]
    moved = replace(archive, records=tuple(renamed))
    with pytest.raises(MismatchError, match="archive's records"):
        train(moved, stratified_split(moved, test=0.25), run.path, SETTINGS)
    old = Path(shutil.copytree(run.path, tmp_path / "old"))
    content = json.loads((old / "manifest.json").read_text())
    (old / "manifest.json").write_text(json.dumps({**content, "format_version": 1}))
    with pytest.raises(MismatchError, match="was begun in format 1, this program continues runs of format 4"):
        train(archive, split, old, SETTINGS)
    begun = {**content, "settings": {**content["settings"], "schedule": "cosine", "epochs": 1}}
    (old / "manifest.json").write_text(json.dumps(begun))
    with pytest.raises(MismatchError, match="epochs = 1, this call has 2"):
        train(archive, split, old, replace(SETTINGS, schedule="cosine", epochs=2))


@pytest.mark.parametrize("what", ["image", "mask"])
def test_a_changed_file_is_another_archive(what: str, run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    record = archive.records[3]
    file = Path(record.source.address) if what == "image" else record.mask
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed").write_bytes(content)  # as long as it was
    records = list(archive.records)
    changed = {"source": FileSource(tmp_path / "changed")} if what == "image" else {"mask": tmp_path / "changed"}
    records[3] = replace(record, **changed)
    with pytest.raises(MismatchError, match=f"{record.id} or its mask is not what it was when the run was begun"):
        train(replace(archive, records=tuple(records)), split, run.path, SETTINGS)


def test_a_lost_history_is_no_run_that_may_begin_anew(run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.path, tmp_path / "run"))
    (copy / "history.json").unlink()
    before = sorted(file.name for file in (copy / "checkpoints").iterdir())
    with pytest.raises(ArtifactError, match=r"history\.json: is missing, beside .*-0002\."):
        train(archive, split, copy, SETTINGS)
    assert sorted(file.name for file in (copy / "checkpoints").iterdir()) == before


def test_one_process_at_a_time_trains_in_a_folder(archive: Archive, split: Split, tmp_path: Path) -> None:
    def begun(*_: object) -> None:
        with pytest.raises(ArtifactError, match=f"another writer \\(process {os.getpid()}\\) is at work here"):
            train(archive, split, tmp_path / "run", SETTINGS)
        raise KilledError

    with pytest.raises(KilledError):
        train(archive, split, tmp_path / "run", SETTINGS, progress=begun)
    train(archive, split, tmp_path / "run", replace(SETTINGS, epochs=1))


def test_a_run_in_which_nothing_was_learned_may_begin_otherwise(
    archive: Archive, split: Split, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*_: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        train(archive, split, tmp_path / "run", SETTINGS, progress=stop)
    other = replace(SETTINGS, epochs=1, learning_rate=5e-4)
    assert train(archive, split, tmp_path / "run", other).settings["learning_rate"] == 5e-4
    assert "learning_rate = 0.001, this call has 0.0005" in caplog.text
    assert "no epoch had ended in it: it begins anew" in caplog.text
    with pytest.raises(MismatchError, match="learning_rate"):
        train(archive, split, tmp_path / "run", SETTINGS)


def test_views_that_took_their_time_are_not_thrown_away(archive: Archive, split: Split, tmp_path: Path) -> None:
    settings = replace(SETTINGS, freeze=4, cached_views=1)

    def stop(done: int, total: int, words: str) -> None:
        if words.startswith("epoch"):
            raise KilledError

    with pytest.raises(KilledError):
        train(archive, split, tmp_path / "run", settings, progress=stop)
    (view,) = (tmp_path / "run" / "views").iterdir()
    with pytest.raises(MismatchError, match=r"learning_rate = 0\.001, this call has 0\.5"):
        train(archive, split, tmp_path / "run", replace(settings, learning_rate=0.5))
    assert list((tmp_path / "run" / "views").iterdir()) == [view]


class OutOfMemoryError(Exception):
    """Torch's, by name."""


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nwith much beside it"),
        OutOfMemoryError("OOM when allocating tensor"),
    ],
)
def test_too_little_memory_is_one_line(
    error: Exception, archive: Archive, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(keras.Model, "fit", full)
    with pytest.raises(TrainingError, match=r"batches of 2 crops of 64 pixels: OOM when allocating tensor; lower --b"):
        train(archive, split, tmp_path / "run", SETTINGS)


def test_a_foreign_folder_is_refused(archive: Archive, split: Split, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ArtifactError, match="exists and is not a run"):
        train(archive, split, tmp_path, SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_checkpoint_is_named(run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    damaged = open_run(copy)
    for file in (damaged.last, damaged.best):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=r"last-0002\.keras: cannot be read"):
        train(archive, split, copy, replace(SETTINGS, epochs=3))
    with pytest.raises(ArtifactError, match=r"best-000\d\.weights\.h5: cannot be read"):
        load_best(damaged)


def test_masks_that_are_void_all_over_are_named(archive: Archive, split: Split, tmp_path: Path) -> None:
    void = replace(archive.label_set, ignore_ids=archive.label_set.ids, ids=tuple(range(101, 118)), colours=())
    with pytest.raises(InputError, match="all 4 training masks are void all over"):
        train(replace(archive, label_set=void), split, tmp_path / "run", SETTINGS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"freeze": 6},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"seed": -1},
        {"dropout": 1.5},
        {"head_width": 0},
        {"clip_norm": -1.0},
        {"validation": 1.0},
        {"validation_windows": -1},
        {"warm_up": 1.0},
        {"weight_decay": -0.1},
        {"trunk_rate": 0.0},
        {"class_weights": "some"},
        {"precision": "float16"},
        {"patience": -1},
        {"schedule": "linear"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        replace(SETTINGS, **wrong)


def test_xla_under_keras_2_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsir_tf.segmentation.settings.version", lambda _: "2.15.0")
    with pytest.raises(InputError, match=r"XLA under Keras 2\.15\.0; wanted Keras 3; leave --xla out"):
        replace(SETTINGS, xla=True)
