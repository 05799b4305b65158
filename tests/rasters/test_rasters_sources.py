"""Sources: files, the registry of kinds, and a kind that is no file and does whatever a file does."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rsir_tf
from rsir_tf.archives import Archive, Record, check_archive
from rsir_tf.baselines import ColourHistogram, describe_images, extraction
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.errors import InputError
from rsir_tf.presentation import save_png
from rsir_tf.rasters import MISSING, SOURCE_KINDS, FileSource, Fingerprint, Source, open_source, pixel_hash
from rsir_tf.workflows import compare_descriptors, draw_query, evaluate_index, index_archive, query_image
from rsir_tf.workflows.comparison_report import write_comparison

# The toy model belongs to the serving tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "serving"))
from serving_toy import CLASSES, toy_conv5_3, toy_segmentation


@dataclass(frozen=True)
class Rendered:
    """A source that draws its pixels: a square of one colour on a ground of another."""

    seed: int

    @property
    def address(self) -> str:
        return f"rendered:{self.seed}"

    @property
    def shape(self) -> tuple[int, int]:
        return 48, 64

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(size=0, modified_ns=self.seed)

    @property
    def place(self) -> None:
        return None

    def read(self) -> np.ndarray:
        if self.seed < 0:
            raise InputError(f"{self}: cannot be drawn", wanted="a seed of 0 or more")
        image = np.full((*self.shape, 3), 30, np.uint8)
        image[..., self.seed % 2] = 120
        image[8:32, 8 + self.seed : 40 + self.seed, 2] = 200
        return image

    def digest(self) -> str:
        return pixel_hash(self.read())

    def __str__(self) -> str:
        return f"drawing {self.seed}"


class Toy:
    """The toy model of the serving tests, without a server; counts the images that it is asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def describe(self) -> ModelDescription:
        return ModelDescription("toy-1", CLASSES)

    def predict(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        return list(self.predict_stream(images))

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for image in images:
            self.asked += 1
            yield Prediction(toy_segmentation(image), toy_conv5_3(image))

    def close(self) -> None: ...

    def __enter__(self) -> Toy:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Six drawings of two scenes; their kind is known to the registry while the test runs."""
    monkeypatch.setitem(SOURCE_KINDS, "rendered", lambda seed: Rendered(int(seed)))
    records = (Record(f"{'ab'[seed % 2]}/{seed}", Rendered(seed), scene="ab"[seed % 2]) for seed in range(6))
    return Archive(Path("drawings"), "folder", tuple(sorted(records, key=lambda record: record.id)))


def test_an_image_that_is_no_file_is_checked_indexed_queried_drawn_and_evaluated(
    drawings: Archive, tmp_path: Path
) -> None:
    report = check_archive(drawings)
    assert report.sizes == {"64x48": 6}
    assert report.unreadable == {}
    model = Toy()
    summary = index_archive(drawings, model, tmp_path / "index")
    assert (summary.added, summary.skipped) == (6, {})
    index = rsir_tf.open_index(tmp_path / "index")
    assert index.images.paths == tuple(record.source.address for record in drawings)
    assert index.images.modified_ns == (0, 2, 4, 1, 3, 5)
    for scheme in ("recnn", "recnn+"):
        model.asked = 0
        result = query_image("rendered:3", index, model, scheme=scheme, top=4)
        assert (result.query, result.hits[0].id, result.hits[0].distance) == ("drawing 3", "b/3", 0)
        assert result.to_json() == query_image(Rendered(3), index, model, scheme=scheme, top=4).to_json()
        picture = draw_query(result, index, model, colours=[(255, 0, 0), (0, 255, 0), (0, 0, 255)])
        assert picture.dtype == np.uint8
        assert model.asked == 1 + 1 + 4  # Each query, and each hit that is drawn.
    figures = evaluate_index(index).schemes["recnn+"]
    assert figures.map > 0.6  # Each query finds itself first, and two of five others show its scene.


def test_an_index_of_sources_goes_on_and_asks_for_what_has_changed(drawings: Archive, tmp_path: Path) -> None:
    index_archive(drawings, Toy(), tmp_path / "index")
    model = Toy()
    assert index_archive(drawings, model, tmp_path / "index").unchanged == 6
    assert model.asked == 0
    changed = replace(drawings.records[0], source=Rendered(8))
    unread = replace(drawings.records[1], source=Rendered(-1))
    summary = index_archive(
        replace(drawings, records=(changed, unread, *drawings.records[2:])), model, tmp_path / "index"
    )
    assert (summary.added, summary.unchanged, model.asked) == (1, 4, 1)
    assert summary.skipped == {unread.id: "drawing -1: cannot be drawn; wanted a seed of 0 or more"}


def test_descriptors_of_sources_are_compared(drawings: Archive, tmp_path: Path) -> None:
    index_archive(drawings, Toy(), tmp_path / "index")
    index = rsir_tf.open_index(tmp_path / "index")
    found = compare_descriptors(drawings, tmp_path / "cache", descriptors=[ColourHistogram()], index=index)
    assert set(found.evaluation.schemes) >= {"color", "recnn", "recnn+"}
    page = write_comparison(tmp_path / "report", found, title="Drawings", published=False)
    assert "drawings" in page.read_text("utf-8").lower()


def test_sources_travel_to_worker_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "ALONE_SECONDS", 0.0)  # So that the processes get all of it.
    sources: dict[str, Source] = {str(seed): Rendered(seed) for seed in range(-1, 9)}
    found = describe_images(sources, ColourHistogram(), tmp_path, processes=2)
    assert found.ids == tuple(str(seed) for seed in range(9))
    assert list(found.skipped) == ["-1"]
    np.testing.assert_array_equal(found.vectors[4], ColourHistogram().describe(Rendered(4).read()))


def test_an_address_names_its_kind_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCE_KINDS, "rendered", lambda seed: Rendered(int(seed)))
    assert rsir_tf.open_source("rendered:7") == Rendered(7)
    assert open_source(Rendered(7)) == Rendered(7)
    assert open_source(Rendered(7).address) == Rendered(7)
    for path in ("a.tif", "b/rendered:7", "./rendered:7", "other:7", "C:\\a.tif", "rendered"):
        assert open_source(path) == FileSource(Path(path))
    assert open_source(tmp_path / "a.tif") == FileSource(tmp_path / "a.tif")


def test_a_file_tells_all_that_a_source_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = tmp_path / "a.png"
    save_png(file, pixels)
    os.utime(file, ns=(5, 7))
    monkeypatch.chdir(tmp_path)
    source: Source = FileSource(Path("a.png"))
    np.testing.assert_array_equal(source.read(), pixels)
    assert source.shape == (20, 30)
    assert source.fingerprint == (file.stat().st_size, 7)
    assert source.place is None
    assert source.digest() == hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    assert str(source) == "a.png"
    assert source.address == str(file)
    assert open_source(source.address).digest() == source.digest()
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_file_that_is_gone_says_so_when_it_is_read(tmp_path: Path) -> None:
    source = open_source(tmp_path / "gone.png")
    assert source.fingerprint == MISSING
    assert source.digest() is None
    asked: list[Any] = [source.read, lambda: source.shape]
    for ask in asked:
        with pytest.raises(InputError, match=r"gone\.png: no such file"):
            ask()


def test_a_records_image_is_its_sources_file_for_one_version_more() -> None:
    with pytest.warns(DeprecationWarning, match=r"use Record\.source"):
        assert Record("a", FileSource(Path("a.png"))).image == Path("a.png")
    with pytest.warns(DeprecationWarning, match="source"), pytest.raises(InputError, match="no file but drawing 3"):
        _ = Record("a", Rendered(3)).image
