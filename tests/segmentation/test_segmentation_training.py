"""Runs: training, resuming, reporting; one tiny run serves many tests of this file, others go on with copies of one."""

from __future__ import annotations

import itertools
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from training_samples import SETTINGS, KilledError

from rsir_tf.archives import Archive, read_mask, select, stratified_split
from rsir_tf.archives.records import Record
from rsir_tf.archives.splits import Split, archive_hash
from rsir_tf.errors import ArtifactError
from rsir_tf.presentation import colour_map, training_report
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.crops import Augmentation, Crops
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.monitoring import TrainingError
from rsir_tf.segmentation.resuming import HISTORY
from rsir_tf.segmentation.runs import Run, best_epoch, open_run, why_complete
from rsir_tf.segmentation.training import hold_out, train
from rsir_tf.workflows import write_run_report


def test_a_run_records_what_it_did(run: Run, archive: Archive) -> None:
    history = run.history()
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert history[1]["loss"] < history[0]["loss"]
    assert run.label_set == archive.label_set
    assert run.manifest["archive"]["images"] == 8
    assert run.manifest["supervision"] == {"kind": "masks", "figure": "mean_iu", "class_weights": None}
    assert [entry["learning_rate"] for entry in history] == [1e-3, 1e-3]
    assert all(entry["gradient_norm"] > 0 for entry in history)
    assert (run.path / "split.json").exists()
    events = list((run.path / "tensorboard").iterdir())
    values = {
        value.tag: value.tensor
        for event in tf.compat.v1.train.summary_iterator(str(events[0]))
        for value in event.summary.value
    }
    assert {"loss", "mean_iu", "learning_rate", "gradient_norm"} <= values.keys()
    width, height, *pictures = tf.make_ndarray(values["validation"])
    # Image, prediction and truth side by side, of both windows that are held out.
    assert (int(width), int(height), len(pictures)) == (3 * 64, 64, 2)
    side_by_side = tf.io.decode_png(pictures[0]).numpy()
    fitted, held = hold_out(select(archive, stratified_split(archive, test=0.25), "train").records, 1 / 3, 0)
    assert len(fitted) == 4
    np.testing.assert_array_equal(side_by_side[:, :64], held[0].source.read())
    truth = read_mask(held[0].mask, archive.label_set, (64, 64))
    np.testing.assert_array_equal(side_by_side[:, 128:], colour_map(truth, archive.label_set.colours))


@pytest.mark.full_width
def test_training_learns_two_scenes_apart(archive: Archive, split: Split, tmp_path: Path) -> None:
    # Sea and sand against tree crowns; a network that always says one class reaches about a third of the pixels.
    settings = replace(SETTINGS, epochs=4, learning_rate=1e-2, crops=Crops(64, 2, 20, Augmentation.none()))
    learned = train(archive, split, tmp_path / "run", settings)
    history = learned.history()
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert max(entry["pixel_accuracy"] for entry in history) > 0.6


def iterations(run: Run) -> int:
    """Steps that the optimizer of the last checkpoint has taken."""
    with zipfile.ZipFile(run.last) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as content:
        return int(content["optimizer/vars/0"][()])


def test_a_stopped_run_goes_on_as_if_undisturbed(archive: Archive, split: Split, tmp_path: Path) -> None:
    # Keras 2 keeps no state of dropout, so there the promise is made without it.
    dropout = 0.5 if keras.__version__.startswith("3") else 0.0
    settings = replace(
        SETTINGS,
        dropout=dropout,
        schedule="cosine",
        warm_up=0.25,
        freeze=4,
        trunk_rate=0.1,
        weight_decay=0.1,
        class_weights="balanced",
        validation=0.0,
    )
    undisturbed = train(archive, split, tmp_path / "undisturbed", settings)

    def stop(done: int, total: int, words: str) -> None:
        # Four crops in batches of two are two steps an epoch: in the middle of the second.
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(archive, split, tmp_path / "run", settings, progress=stop)
    assert len(open_run(tmp_path / "run").history()) == 1
    resumed = train(archive, split, tmp_path / "run", settings)
    for ours, theirs in zip(resumed.history(), undisturbed.history(), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    left, right = (keras.models.load_model(either.last, compile=False) for either in (resumed, undisturbed))
    for layer in ("score_pool3", "block5_conv3", "fc6"):
        kernels = [model.get_layer(layer).get_weights()[0] for model in (left, right)]
        np.testing.assert_allclose(*kernels, atol=1e-5)
    assert iterations(resumed) == iterations(undisturbed) == 4
    # Two of seventeen classes or so are in these scenes; the rest weigh nothing.
    weights = resumed.manifest["supervision"]["class_weights"]
    assert {name for name, weight in weights.items() if weight} >= {"sand", "sea", "trees"}
    assert weights["airplane"] == 0


@pytest.mark.usefixtures("eager")
def test_a_kill_between_checkpoint_and_history_repeats_the_epoch_and_both_softwares_are_told(
    run: Run, begun: Run, archive: Archive, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsir_tf.segmentation import checkpoints

    right = checkpoints.write_json

    def killed(path: Path, content: dict[str, object]) -> None:
        if path.name == HISTORY and len(content["epochs"]) == 2:
            raise KilledError
        right(path, content)

    monkeypatch.setattr(checkpoints, "write_json", killed)
    with pytest.raises(KilledError):
        train(archive, split, begun.path, SETTINGS)
    monkeypatch.undo()
    assert begun.last.name == "last-0001.keras"
    assert len(list((begun.path / "checkpoints").iterdir())) > 2, "the second epoch's are there, and nothing names them"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # It is part of what the record says of the software.
    resumed = train(archive, split, begun.path, SETTINGS)
    # Two epochs of two steps: none counted twice.
    assert iterations(resumed) == 4
    assert resumed.history()[1]["loss"] == pytest.approx(run.history()[1]["loss"], rel=1e-4)
    assert sorted(file.name for file in (resumed.path / "checkpoints").iterdir()) == sorted(
        {resumed.last.name, resumed.best.name}
    )
    first, second = resumed.record()["software"]
    assert (first.pop("from_epoch"), second.pop("from_epoch")) == (1, 2)
    assert first == resumed.manifest["software"]
    assert second == {**first, "onednn": "0"}
    assert first["numpy"] == np.__version__


def test_what_is_held_out_is_neither_all_nor_trained_on(archive: Archive) -> None:
    fitted, held = hold_out(archive.records, 0.25, seed=3)
    assert len(held) == 2
    assert sorted(record.id for record in (*fitted, *held)) == [record.id for record in archive]
    assert hold_out(archive.records, 0.25, seed=3) == (fitted, held)
    assert hold_out(archive.records, 0.25, seed=4)[1] != held
    # A whole group of the three, though a quarter of 8 would be 2.
    grouped = [replace(record, group="aaabbbcc"[i]) for i, record in enumerate(archive)]
    kept, apart = hold_out(grouped, 0.25, seed=3)
    assert {record.group for record in kept} | {record.group for record in apart} == set("abc")
    assert len({record.group for record in apart}) == 1
    assert not {record.group for record in kept} & {record.group for record in apart}
    assert hold_out(grouped, 0, seed=3) == (grouped, [])
    assert len({record.group for record in hold_out(grouped, 0.99, seed=3)[0]}) == 1
    assert hold_out(archive.records[:1], 0.9, seed=0) == ([archive.records[0]], [])
    assert hold_out(archive.records, 0, seed=0) == (list(archive.records), [])


@pytest.mark.usefixtures("eager")
def test_a_split_with_a_validation_part_says_what_is_held_out(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    three = stratified_split(archive, test=0.25, validation=0.25)
    held = select(archive, three, "validation").records
    assert len(held) == 2
    seen: list[list[str]] = []

    def watch(descriptors: np.ndarray, records: Sequence[Record]) -> dict[str, float | None]:
        assert len(descriptors) == len(records)
        seen.append([record.id for record in records])
        return {}

    # The fraction is not asked: the split has spoken.
    settings = replace(SETTINGS, supervision="tags", epochs=1, validation=0.0)
    misspelt = replace(archive, orphan_tags=("beech01", "beech02"))
    train(misspelt, three, tmp_path / "run", settings, watch=watch)
    assert seen == [[record.id for record in held]]
    assert "2 lines of the tags file name no image (the first: beech01)" in caplog.text


@pytest.mark.usefixtures("eager")
def test_a_kill_after_the_last_checkpoint_leaves_no_views(archive: Archive, split: Split, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=1, freeze=4, cached_views=1)
    ended = train(archive, split, tmp_path / "run", settings)
    (ended.path / "views").mkdir()
    assert not (ended.path / "report").exists(), "nothing was to draw it"
    train(archive, split, ended.path, settings, drawing=training_report)
    assert not (ended.path / "views").exists()
    assert (ended.path / "report" / "curves.png").stat().st_size > 1000


def test_a_finished_run_is_left_as_it_is(run: Run, archive: Archive, split: Split) -> None:
    before = {file: file.stat().st_mtime_ns for file in run.path.rglob("checkpoints/*")}
    # Patience decides when a run ends, not what it is.
    train(archive, split, run.path, replace(SETTINGS, patience=1))
    assert before == {file: file.stat().st_mtime_ns for file in run.path.rglob("checkpoints/*")}
    assert len(run.history()) == 2


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(
    begun: Run, archive: Archive, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = begun.last.read_bytes()
    from rsir_tf.segmentation import mask_supervision, training

    # In what pixels weigh: a fused convolution and ReLU may make 0 of pixels that are no numbers.
    right = mask_supervision.weigh_pixels
    monkeypatch.setattr(
        mask_supervision, "weigh_pixels", lambda *arguments: (right(*arguments)[0], right(*arguments)[1] * math.nan)
    )
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) at step 1 of epoch 2/2"):
        train(archive, split, begun.path, SETTINGS)
    # The last step's loss is that of the weights before it: what it did to them shows in the gradients.
    monkeypatch.undo()
    monkeypatch.setattr(training, "gradient_norm", lambda optimizer: float("nan"))
    with pytest.raises(TrainingError, match="the gradients' norm became nan at the end of epoch 2"):
        train(archive, split, begun.path, SETTINGS)
    assert begun.last.read_bytes() == before
    assert len(begun.history()) == 1


@pytest.mark.usefixtures("eager")
def test_a_full_disk_keeps_the_last_good_checkpoints(
    archive: Archive, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsir_tf.segmentation import training

    def full(error: Exception) -> Callable[..., None]:
        def save(self: keras.Model, path: str, *_: object, **__: object) -> None:
            Path(path).write_bytes(b"half of it")
            raise error

        return save

    # The latter is what h5py says when it closes the file.
    errors = (OSError(28, "No space left on device"), RuntimeError("Can't decrement id ref count (no space left)"))
    right, tried = training.save_epoch, []

    def save_epoch(run: Run, *rest: Any, **named: Any) -> None:
        for what, error in itertools.product(("save", "save_weights"), errors) if run.history() else ():
            before = [file.read_bytes() for file in (run.last, run.best)]
            with monkeypatch.context() as patch:
                patch.setattr(keras.Model, what, full(error))
                with pytest.raises(ArtifactError, match=r"cannot be written: .*no space left"):
                    right(run, *rest, **named)
            assert [file.read_bytes() for file in (run.last, run.best)] == before
            assert len(run.history()) == 1
            tried.append(what)
        right(run, *rest, **named)

    monkeypatch.setattr(training, "save_epoch", save_epoch)
    ended = train(archive, split, tmp_path / "run", replace(SETTINGS, validation=0.0))
    assert len(tried) == 4
    # Without windows the last epoch is the best.
    assert ended.best.name == "best-0002.weights.h5"
    assert [entry["mean_iu"] for entry in ended.history()] == [None, None]


@pytest.mark.usefixtures("eager")
def test_the_same_seed_gives_the_same_weights(archive: Archive, split: Split, tmp_path: Path) -> None:
    """With everything that is drawn: crops, their magnification and colours, initial weights, dropout."""
    settings = replace(SETTINGS, epochs=1, crops=Crops(32, 2, 4, Augmentation()), dropout=0.5, freeze=4, validation=0.0)
    runs = [train(archive, split, tmp_path / name, settings) for name in ("one", "again")]
    for ours, theirs in zip(*(load_best(run).get_weights() for run in runs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    losses, again = ([entry["loss"] for entry in run.history()] for run in runs)
    assert again == pytest.approx(losses, rel=1e-5)
    other = train(archive, split, tmp_path / "other", replace(settings, seed=1))
    assert [entry["loss"] for entry in other.history()] != pytest.approx(losses, rel=1e-3)


def test_half_precision_scales_the_loss_and_resumes(
    archive: Archive, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For tags behind cached views, whose models are not made while the policy is half precision."""
    from rsir_tf.segmentation import training

    crops = Crops(32, 2, 4, Augmentation.none())
    settings = replace(SETTINGS, precision="mixed_float16", supervision="tags", freeze=4, cached_views=1, crops=crops)
    right, scaled = training.save_epoch, []

    def save(run: Run, model: keras.Model, *rest: Any, **named: Any) -> None:
        scaled.append(hasattr(model.optimizer, "inner_optimizer"))
        right(run, model, *rest, **named)

    monkeypatch.setattr(training, "save_epoch", save)
    whole = train(archive, split, tmp_path / "whole", settings).history()
    train(archive, split, tmp_path / "halves", replace(settings, epochs=1))
    halves = train(archive, split, tmp_path / "halves", settings).history()
    assert scaled == [True] * 4
    assert all(math.isfinite(entry["loss"]) and entry["gradient_norm"] > 0 for entry in whole)
    assert [entry["loss"] for entry in halves] == pytest.approx([entry["loss"] for entry in whole], rel=2e-3)


def test_patience_ends_a_run_for_good(archive: Archive, split: Split, tmp_path: Path) -> None:
    # So slow that nothing changes: the first epoch stays the best. Half precision changes nothing about that.
    # The split itself says which images to judge by.
    settings = replace(SETTINGS, epochs=9, learning_rate=1e-12, patience=2, validation=0.0, precision="mixed_bfloat16")
    split = replace(split, train=split.train[:-1], validation=split.train[-1:])
    ended = train(archive, split, tmp_path / "run", settings)
    assert len(ended.history()) == 3
    reason = "stopped after epoch 3: no better mean_iu for 2 epochs, epoch 1 is the best"
    assert why_complete(ended, 9, 2) == reason
    assert why_complete(ended, 9, 0) is None
    before = ended.last.stat().st_mtime_ns
    assert len(train(archive, split, tmp_path / "run", settings).history()) == 3
    assert ended.last.stat().st_mtime_ns == before
    # What is exported computes in float32, with the weights that bfloat16 trained.
    network = load_best(ended)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert keras.mixed_precision.global_policy().name == "float32"


def test_the_best_epoch_is_the_first_of_equals() -> None:
    history = [{"f1": value} for value in (None, 0.2, 0.5, 0.5, 0.1)]
    assert best_epoch(history, "f1") == 2
    assert best_epoch(history[:1], "f1") == 0
    assert best_epoch([{"f1": None}] * 3, "f1") == 2, "where nothing counts the last one is taken"


@pytest.mark.usefixtures("eager")
def test_one_image_trains_with_a_batch_that_is_larger(archive: Archive, tmp_path: Path) -> None:
    alone = replace(archive, records=archive.records[:1])
    settings = replace(SETTINGS, epochs=1, crops=Crops(64, 4, 0, Augmentation.none()))
    only = Split((alone.records[0].id,), (), "image", None, None, (), archive_hash(alone))
    ended = train(alone, only, tmp_path / "run", settings)
    assert iterations(ended) == 1
    assert ended.history()[0]["mean_iu"] is None, "the one image is not held out"
    assert write_run_report(ended, replace(archive, records=())) is None
    assert (ended.path / "report" / "curves.png").exists()


@pytest.mark.parametrize("flips", [True, False])
def test_the_report_scores_whole_images(flips: bool, run: Run, archive: Archive, split: Split) -> None:
    test = select(archive, split, "test")
    scores = write_run_report(run, test, flips=flips)
    assert scores is not None
    network, right, pixels = load_best(run), 0, 0
    for record in test:
        truth = read_mask(record.mask, archive.label_set, (64, 64))
        right += int((segment(network, record.source.read(), flips=flips) == truth).sum())
        pixels += truth.size
    assert scores["pixels"] == pixels
    assert scores["pixel_accuracy"] == pytest.approx(right / pixels)
    assert json.loads((run.path / "report" / "scores.json").read_text()) == scores
    for name in ("report.md", "curves.png", "examples.png"):
        assert (run.path / "report" / name).stat().st_size > 100
    report = (run.path / "report" / "report.md").read_text()
    assert "| mean IU (held out) | learning rate |" in report
    assert ("three mirror images" in report) == scores["flips"] == flips
