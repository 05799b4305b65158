"""Images that are brought to one size before the model sees them: `index`, `query` and `compare` with --resize."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_fake import FakeService, running
from serving_toy import random_image

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import open_index
from rsir_tf.rasters import resize_image
from rsir_tf.serving.tensors import decode

SIZES = [(64, 64), (48, 80), (32, 48), (100, 70)]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def asked(service: FakeService) -> Iterator[tuple[str, str]]:
    with running(service) as address:
        yield "--server", address


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Four images of four sizes."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number, size in enumerate(SIZES):
        Image.fromarray(random_image(*size)).save(folder / f"{number}.png")
    return folder


def shapes(service: FakeService) -> list[tuple[int, ...]]:
    return [decode(request.inputs["images"], "").shape for request in service.features()]


def test_images_of_all_sizes_fit_one_batch(mixed: Path, tmp_path: Path, service: FakeService, asked, command) -> None:
    to = tmp_path / "index"
    ended = command("index", mixed, "--to", to, *asked, "--resize", 32, 48)
    assert ended.code == 0, ended.err
    assert shapes(service) == [(4, 32, 48, 3)]
    sent = decode(service.features()[0].inputs["images"], "")
    for number, size in enumerate(SIZES):
        np.testing.assert_array_equal(sent[number], resize_image(random_image(*size), (32, 48)))
    index = open_index(to)
    assert index.settings.resize == (32, 48)
    assert list(index.images.heights) == [32] * 4  # what its regions' boxes are counted in
    found = json.loads(command("info", to, "--json").out)
    assert found["settings"]["resize"] == [32, 48]
    service.requests.clear()
    assert command("index", mixed, "--to", tmp_path / "plain", *asked).code == 0
    assert sorted(shapes(service)) == sorted((1, *size, 3) for size in SIZES)
    assert "resize" not in json.loads(command("info", tmp_path / "plain", "--json").out)["settings"]


def test_a_query_is_treated_as_the_index_was(mixed: Path, tmp_path: Path, service: FakeService, asked, command) -> None:
    to = tmp_path / "index"
    assert command("index", mixed, "--to", to, *asked, "--resize", 32, 48).code == 0
    service.requests.clear()
    line = ("query", mixed / "3.png", "--index", to, *asked, "--json")
    for end in ((), ("--resize", 32, 48)):
        found = json.loads(command(*line, *end).out)
        assert (found["hits"][0]["id"], found["hits"][0]["distance"]) == ("3.png", 0)
    assert shapes(service) == [(1, 32, 48, 3)] * 2
    montage = tmp_path / "montage.png"
    assert command(*line, "--scheme", "recnn", "--montage", montage).code == 0
    assert montage.exists()
    for other, size in ((("query", mixed / "3.png", "--index", to), "(16, 32)"), (("index", mixed, "--to", to), None)):
        ended = command(*other, *asked, *(("--resize", 16, 32) if size else ()))
        assert ended.code == 1
        assert f"has resize {size}; wanted (32, 48), with which the index was made" in ended.err


def test_a_point_is_one_of_the_file(tmp_path: Path, service: FakeService, asked, command) -> None:
    """Red above blue: pixel 63 of 64 rows is blue, though the model saw 16 rows."""
    pixels = np.zeros((64, 32, 3), np.uint8)
    pixels[:32, :, 0] = pixels[32:, :, 2] = 200
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    to = tmp_path / "index"
    assert command("index", tmp_path / "images", "--to", to, *asked, "--resize", 16, 16).code == 0
    line = ("query", tmp_path / "images" / "a.png", "--index", to, *asked, "--json", "--at")
    for point, name in (((31, 0), "red"), ((0, 63), "blue")):
        (region,) = json.loads(command(*line, *point).out)["regions"]
        assert region["class"] == name
        assert region["area"] == 128  # of 16 by 16
    ended = command(*line, 32, 0)
    assert "has no point (32, 0); wanted x below 32 and y below 64" in ended.err


def test_compare_takes_it_too(archive: Path, tmp_path: Path, service: FakeService, asked, command) -> None:
    line = ("compare", archive, "--to", tmp_path / "to", "--all", "--descriptor", "statistics", "--resize", 32, 32)
    assert command(*line).code == 2  # nobody to ask
    ended = command(*line, *asked, "--processes", 1)
    assert ended.code == 0, ended.err
    assert {shape[1:3] for shape in shapes(service)} == {(32, 32)}
    assert open_index(tmp_path / "to" / "index").settings.resize == (32, 32)


def test_sizes_that_are_none(mixed: Path, tmp_path: Path, asked, command) -> None:
    for size, said in (((15, 48), "a side of resize is 15"), ((20_000, 20_000), "at most 100,000,000 pixels")):
        ended = command("index", mixed, "--to", tmp_path / "index", *asked, "--resize", *size)
        assert ended.code == 1
        assert said in ended.err
    for wrong in ("32x32", (32,), (32, True), (32.0, 32)):
        with pytest.raises(InputError):
            IndexSettings("model", ("class",), resize=wrong)


def test_settings_travel_and_old_ones_have_none() -> None:
    plain = IndexSettings("model", ("class",))
    assert "resize" not in plain.to_json()
    assert IndexSettings.from_json(plain.to_json(), "here") == plain
    resized = IndexSettings("model", ("class",), resize=(32, 48))
    assert IndexSettings.from_json(json.loads(json.dumps(resized.to_json())), "here") == resized
    with pytest.raises(ArtifactError, match="a side of resize is 8"):
        IndexSettings.from_json({**plain.to_json(), "resize": [8, 8]}, "here")


def test_pixels_are_averaged() -> None:
    """Columns of 0 and 200 in turn, at half the width: 100, but for the borders, where one side is missing."""
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 1::2] = 200
    half = resize_image(image, (32, 32))
    assert (half.shape, half.dtype) == ((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(half[:, 1:-1], 100)
    assert resize_image(image, None) is image
    assert resize_image(image, (32, 64)) is image
