"""train and export: what they refuse before and after TensorFlow is loaded, and what stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from narrow_trunk import narrow_trunk
from PIL import Image

from rsir_tf.archives import read_split
from rsir_tf.cli import config

TRAIN = (
    "--weights", "none", "--head-width", 8, "--crop", 64, "--batch", 2, "--crops-per-epoch", 2, "--freeze", 5,
)  # fmt: skip


@pytest.fixture
def few_channels() -> Iterator[None]:
    """In the trunk, where a test neither reads nor goes on with the tiny run."""
    with narrow_trunk():
        yield


@pytest.fixture
def run(tiny_export, tmp_path: Path) -> Path:
    """A copy of the tiny run."""
    return Path(shutil.copytree(tiny_export.run, tmp_path / "copied_run"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def error_line(ended) -> str:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("rsir-tf: ")
    assert "Traceback" not in ended.err
    return ended.err.splitlines()[-1]


def test_what_training_leaves(tiny_export) -> None:
    run = tiny_export.run
    assert {path.name for path in run.iterdir()} >= {"manifest.json", "history.json", "split.json", "checkpoints"}
    assert {path.name for path in (run / "report").iterdir()} == {
        "scores.json", "report.md", "curves.png", "examples.png",
    }  # fmt: skip
    assert read_split(run / "split.json") == read_split(tiny_export.split)
    scores = json.loads((run / "report" / "scores.json").read_text())
    assert scores["images"] == 2
    assert scores["pixels"] == 2 * 64 * 64


def test_a_finished_run_is_not_trained_again(tiny_export, command) -> None:
    before = files(tiny_export.run / "checkpoints")
    line = ("train", tiny_export.archive, "--run", tiny_export.run, "--split", tiny_export.split, "--epochs", 1)
    options = ("--weights", "none", "--head-width", 8, "--crop", 64, "--batch", 2, "--freeze", 5)
    ended = command(*line, *options, "--json")
    assert ended.code == 0
    assert f"{tiny_export.run}: complete, 1 of 1 epochs" in ended.err
    found = json.loads(ended.out)
    assert (found["run"], found["epochs"]) == (str(tiny_export.run), 1)
    assert found["scores"] == json.loads((tiny_export.run / "report" / "scores.json").read_text())
    assert files(tiny_export.run / "checkpoints") == before


def test_a_run_of_other_settings_is_not_gone_on_with(tiny_export, run: Path, command) -> None:
    before = files(run)
    ended = command("train", tiny_export.archive, "--run", run, "--split", tiny_export.split, "--epochs", 1, *TRAIN)
    line = error_line(ended)
    # The first run covered the archive and kept its trunk, this one would take two crops and freeze nothing: only what
    # differs is named.
    assert "was begun with crops.per_epoch = 0, this call has 2" in line
    assert "augmentation" not in line
    assert "another --run folder" in line
    assert files(run) == before


def test_a_folder_that_is_no_run_is_left_alone(tiny_export, tmp_path: Path, command) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    line = error_line(command("train", tiny_export.archive, "--run", tmp_path / "mine", "--epochs", 1, *TRAIN))
    assert line == f"rsir-tf: {tmp_path / 'mine'}: exists and is not a run; choose another --run folder or remove it"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--crop", 100), "crop size 100; wanted a multiple of 32"),
        (("--epochs", 0), "epochs is 0; wanted at least 1"),
        (("--learning-rate", 0), "learning_rate is 0.0; wanted a positive number"),
        (("--trunk-rate", 0), "trunk_rate is 0.0; wanted a positive number; freeze keeps layers as they are"),
        (("--patience", 3, "--validation", 0), "patience is 3 and no image is held out; wanted held-out images"),
        (("--weights", "missing.h5"), "missing.h5"),
        (("--labels", "missing.toml"), "missing.toml"),
        (("--split", "missing.json"), "missing.json: no split here"),
    ],
)
def test_options_that_cannot_be(option: tuple[str, object], words: str, tiny_export, tmp_path: Path, command) -> None:
    ended = command("train", tiny_export.archive, "--run", tmp_path / "run", "--epochs", 1, *TRAIN, *option)
    assert words in error_line(ended)
    assert not (tmp_path / "run").exists()


def test_images_without_masks_are_named(tiny_export, tmp_path: Path, command) -> None:
    archive = Path(shutil.copytree(tiny_export.archive, tmp_path / "archive"))
    (archive / "Labels" / "beach" / "beach01.png").unlink()
    line = error_line(command("train", archive, "--run", tmp_path / "run", "--epochs", 1, *TRAIN))
    assert "1 of" in line
    assert "images have no mask, the first is beach/beach01.tif; wanted a mask for each image" in line
    plain = tmp_path / "plain"
    shutil.copytree(tiny_export.archive / "Images", plain)
    line = error_line(command("train", plain, "--run", tmp_path / "run", "--epochs", 1, *TRAIN))
    assert line.startswith(f"rsir-tf: {plain}: has no masks to train on")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("few_channels")
def test_options_come_from_a_file_and_go_into_one(tiny_export, tmp_path: Path, command) -> None:
    given = tmp_path / "mine.toml"
    given.write_text(
        f'archive = "{tiny_export.archive}"\nepochs = 1\nweights = "none"\nhead_width = 8\ncrop = 64\nbatch = 2\n'
        "crops-per-epoch = 2\nscale = [1.0, 1.25]\ntest = 0\nlearning-rate = 0.5\nvalidation = 0\n"
    )
    run = tmp_path / "run"
    ended = command("train", "--config", given, "--run", run, "--learning-rate", 0.001, "--json")
    assert ended.code == 0, ended.err
    # All images train, so that there is nothing to score.
    assert json.loads(ended.out) == {"run": str(run), "epochs": 1, "scores": None}
    assert len(json.loads((run / "split.json").read_text())["train"]) == len(list(tiny_export.archive.rglob("*.tif")))
    settings = json.loads((run / "manifest.json").read_text())["settings"]
    assert settings["learning_rate"] == 0.001  # The command line wins.
    assert settings["head_width"] == 8
    assert settings["crops"]["augmentation"]["scale"] == [1.0, 1.25]
    # What the run wrote goes on with it.
    before = files(run / "checkpoints")
    again = command("train", "--config", run / "train.toml", "--run", run)
    assert again.code == 0, again.err
    assert "complete, 1 of 1 epochs" in again.err
    assert files(run / "checkpoints") == before
    line = error_line(command("train", "--config", run / "train.toml", "--run", run, "--batch", 1, "--crop", 32))
    assert "was begun with crops.batch = 2, this call has 1; with crops.size = 64, this call has 32" in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("crops = 64", "has the entry 'crops', which is no option of rsir-tf train; wanted crop"),
        ("scale = 1.0", "scale is 1.0; wanted a list"),
        ("batch = [2]", "batch is [2]; wanted one value"),
        ("batch = ", "is not valid TOML"),
        (None, "cannot be read: no such file or directory"),
    ],
)
def test_files_of_options_that_cannot_be(content: str | None, words: str, tmp_path: Path, command) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_text(content)
    assert words in error_line(command("train", tmp_path, "--config", file, "--run", tmp_path / "run"))


@pytest.mark.usefixtures("few_channels")
@pytest.mark.parametrize("damage", ["image", "mask"])
def test_a_bad_pair_ends_training_with_its_name(damage: str, tiny_export, tmp_path: Path, command) -> None:
    archive = Path(shutil.copytree(tiny_export.archive, tmp_path / "archive"))
    image, mask = archive / "Images/beach/beach01.tif", archive / "Labels/beach/beach01.png"
    if damage == "image":
        image.write_bytes(image.read_bytes()[:3000])
    else:
        Image.fromarray(np.full((64, 64), 77, np.uint8)).save(mask)
    # Enough crops to take every image once.
    options = (*TRAIN, "--crops-per-epoch", 6, "--test", 0.34)
    line = error_line(command("train", archive, "--run", tmp_path / "run", "--epochs", 1, *options))
    if damage == "image":
        assert line.startswith(f"rsir-tf: {image}: is damaged or cut off")
    else:
        assert line.startswith(f"rsir-tf: {mask}: has the id 77 in 4096 pixels, first at row 0, column 0; wanted what")


def test_a_target_that_is_a_file_is_left_alone(tiny_export, tmp_path: Path, command) -> None:
    to = tmp_path / "file"
    to.write_text("keep")
    line = error_line(command("export", tiny_export.run, "--to", to))
    assert line == f"rsir-tf: {to}: is a file; wanted --to saved_models/NAME, a folder of numbered versions"
    assert to.read_text() == "keep"


def test_info_of_a_run_a_model_and_a_split(tiny_export, command) -> None:
    run = json.loads(command("info", tiny_export.run, "--json").out)
    assert (run["kind"], run["settings"]["head_width"]) == ("rsir_tf.run", 8)
    split = json.loads(command("info", tiny_export.split, "--json").out)
    assert (split["kind"], len(split["test"])) == ("rsir_tf.split", 2)
    model = json.loads(command("info", tiny_export.model, "--json").out)
    assert (model["kind"], model["versions"]) == ("model", [1])
    assert model["newest"]["run"]["settings"] == run["settings"]
    assert len(model["newest"]["class_names"]) == 17
    version = json.loads(command("info", tiny_export.model / "1", "--json").out)
    assert version["model_id"] == model["newest"]["model_id"]


def test_a_run_without_a_checkpoint_is_not_exported(run: Path, tmp_path: Path, command) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "history.json").unlink()
    line = error_line(command("export", run, "--to", tmp_path / "x"))
    assert line == f"rsir-tf: {run}: has no checkpoint yet; let `rsir-tf train` end at least one epoch"
    assert not (tmp_path / "x").exists()


def test_a_full_disk_leaves_the_run_and_the_versions_as_they_were(
    tiny_export, run: Path, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.export.ExportArchive, "write_out", full)
    monkeypatch.setattr(os, "replace", full)
    to = Path(shutil.copytree(tiny_export.model, tmp_path / "saved_models" / "fcn8s"))
    before, exported = files(run), files(to)
    assert "no space left on device" in error_line(command("export", run, "--to", to))
    assert files(to) == exported
    assert [path.name for path in to.iterdir()] == ["1"]
    with narrow_trunk():
        ended = command("train", tiny_export.archive, "--run", tmp_path / "new", "--split", tiny_export.split, *TRAIN)
    assert "no space left on device" in error_line(ended)
    assert files(run) == before


def test_every_option_reaches_the_settings(tiny_export, tmp_path: Path, command, monkeypatch) -> None:
    from rsir_tf import segmentation
    from rsir_tf.errors import InputError
    from rsir_tf.segmentation import Augmentation, Crops, TrainingSettings

    seen = []

    def train(archive, split, path, settings, **_):
        seen.append((path, settings))
        raise InputError("seen")

    monkeypatch.setattr(segmentation, "train", train)
    options = {
        "--supervision": "mixed", "--epochs": 7, "--weights": "imagenet", "--stride": 16, "--head-width": 24,
        "--crop": 96, "--batch": 3, "--crops-per-epoch": 12, "--learning-rate": 0.002, "--schedule": "constant",
        "--warm-up": 0.1, "--weight-decay": 0.01, "--trunk-rate": 0.3, "--freeze": 2, "--cached-views": 5,
        "--dropout": 0.2, "--clip-norm": 2.0, "--class-weights": "balanced", "--precision": "mixed_bfloat16",
        "--best-by": "macro_f1", "--patience": 4, "--validation": 0.3, "--validation-windows": 9, "--seed": 11,
        "--decay-to-start": 0.5, "--average-weights": 0.9, "--tag-pooling": "softmax",
    }  # fmt: skip
    flags = ("--scale", 0.5, 1.5, "--no-augment", "--keep-in-memory")
    line = [part for pair in options.items() for part in pair]
    assert "seen" in error_line(command("train", tiny_export.archive, "--run", tmp_path / "run", *line, *flags))
    still = Augmentation((0.5, 1.5), flips=False, turns=False, brightness=0.0, contrast=0.0, saturation=0.0)
    wanted = TrainingSettings(
        supervision="mixed", epochs=7, weights="imagenet", stride=16, head_width=24, crops=Crops(96, 3, 12, still),
        learning_rate=0.002, schedule="constant", warm_up=0.1, weight_decay=0.01, trunk_rate=0.3, freeze=2,
        cached_views=5, dropout=0.2, clip_norm=2.0, class_weights="balanced", precision="mixed_bfloat16",
        best_by="macro_f1", patience=4, validation=0.3, validation_windows=9, keep_in_memory=True, seed=11,
        decay_to_start=0.5, average_weights=0.9, tag_pooling="softmax",
    )  # fmt: skip
    assert seen.pop() == (tmp_path / "run", wanted)
    command("train", tiny_export.archive, "--run", tmp_path / "run")
    assert seen.pop() == (tmp_path / "run", TrainingSettings()), "the same defaults as in Python"


@pytest.mark.parametrize("options", [("--test", 0.5), ("--test-group", "beach")])
def test_a_split_says_what_is_tested(options: tuple[str, object], tiny_export, tmp_path: Path, command) -> None:
    ended = command("train", tiny_export.archive, "--run", tmp_path / "run", "--split", tiny_export.split, *options)
    assert ended.code == 2
    assert "--split says which images to test on" in ended.err


@pytest.mark.usefixtures("few_channels")
@pytest.mark.parametrize("supervision", ["tags", "mixed"])
def test_a_network_of_tags_is_exported_and_indexed(supervision: str, tiny_export, tmp_path: Path, command) -> None:
    run, model, index = tmp_path / "run", tmp_path / "saved_models" / "tags", tmp_path / "index"
    options = (*TRAIN, "--epochs", 1, "--validation", 0, "--supervision", supervision, "--split", tiny_export.split)
    ended = command("train", tiny_export.archive, "--run", run, *options, "--json")
    assert ended.code == 0, ended.err
    scores = json.loads(ended.out)["scores"]
    assert 0 <= scores["tags"]["micro_f1"] <= 1
    assert ("mean_iu" in scores) == (supervision == "mixed")
    assert command("export", run, "--to", model).code == 0
    ended = command("index", tiny_export.archive, "--to", index, "--saved-model", model)
    assert ended.code == 0, ended.err
    image = tiny_export.archive / "Images" / "beach" / "beach01.tif"
    ended = command("query", image, "--index", index, "--saved-model", model, "--json", "--top", 1)
    assert [hit["id"] for hit in json.loads(ended.out)["hits"]] == ["beach/beach01.tif"]


def test_paths_in_the_options_of_a_run_hold_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenes").mkdir()
    for name in ("labels.toml", "list.txt", "dlrsd"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    written = {}
    for archive in ("scenes", "@list.txt", "https://a.org/b.tif", "https://a.org/b.tif?sig=abc"):
        values = {"archive": archive, "labels": "labels.toml", "weights": "dlrsd", "run": Path("run")}
        params = [SimpleNamespace(name=name, opts=[f"--{name}"]) for name in values]
        context = SimpleNamespace(command=SimpleNamespace(name="train", params=params), params=values)
        config.write(tmp_path / "train.toml", context, leave_out=["run"])
        written[archive] = (tmp_path / "train.toml").read_text().splitlines()[1:]
    # A name without an ending stays a name, even where a file is called so.
    rest = [f'labels = "{tmp_path / "labels.toml"}"', 'weights = "dlrsd"']
    assert written == {
        "scenes": [f'archive = "{tmp_path / "scenes"}"', *rest],
        "@list.txt": [f'archive = "@{tmp_path / "list.txt"}"', *rest],
        "https://a.org/b.tif": ['archive = "https://a.org/b.tif"', *rest],
        "https://a.org/b.tif?sig=abc": ["# archive holds a key, which is not kept: give it on the command line", *rest],
    }
