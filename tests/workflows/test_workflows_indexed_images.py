"""An index beside an archive whose files have changed: refused where pixels differ, taken where they do not."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import Archive, open_archive
from rsir_tf.baselines import ColourHistogram
from rsir_tf.errors import MismatchError
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.presentation import save_png
from rsir_tf.ranking import Index, open_index
from rsir_tf.rasters import pixel_hash
from rsir_tf.workflows import compare_descriptors, write_comparison


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two scenes of two images, each of one grey."""
    for number in range(4):
        save_png(tmp_path / f"archive/{'ab'[number % 2]}/{number}.png", np.full((16, 16, 3), 40 * number, np.uint8))
    return open_archive(tmp_path / "archive")


def indexed(archive: Archive, to: Path) -> Index:
    """With the image's grey as its one number."""
    with IndexWriter.open(to, IndexSettings("made", ("grey",), channels=1)) as writer:
        for record in archive:
            image = record.source.read()
            size, modified = record.source.fingerprint
            vector = image[0, 0, :1].astype(np.float32)
            writer.add(
                ImageEntry(
                    record.id, path=record.source.address, height=16, width=16, scene=record.scene, tags=None,
                    content_hash=pixel_hash(image), file_size=size, modified_ns=modified, classes=np.zeros(1, np.int32),
                    areas=np.full(1, 256), boxes=np.array([[0, 0, 16, 16]]), recnn=vector[None], recnn_plus=vector,
                )
            )  # fmt: skip
    return open_index(to)


def test_an_image_that_has_changed_is_named(archive: Archive, tmp_path: Path) -> None:
    index = indexed(archive, tmp_path / "index")
    save_png(archive.records[2].source.path, np.full((16, 16, 3), 7, np.uint8))
    with pytest.raises(MismatchError, match=r"b/1\.png .* has changed since it was indexed.*rsir-tf index --rehash"):
        compare_descriptors(archive, tmp_path / "cache", descriptors=[ColourHistogram()], index=index)
    assert not (tmp_path / "cache").exists()  # Told before hours of work.


def test_the_command_says_so_in_one_line(archive: Archive, tmp_path: Path, command: Callable) -> None:
    indexed(archive, tmp_path / "index")
    line = ("compare", archive.root, "--all", "--descriptor", "color", "--processes", 1, "--to", tmp_path / "out")
    line = (*line, "--index", tmp_path / "index")
    assert command(*line).code == 0
    save_png(archive.records[0].source.path, np.full((16, 16, 3), 7, np.uint8))
    ended = command(*line)
    assert (ended.code, ended.out) == (1, "")
    assert "a/0.png" in ended.err.splitlines()[-1]


def test_a_copy_with_the_same_pixels_has_not_changed(archive: Archive, tmp_path: Path) -> None:
    index = indexed(archive, tmp_path / "index")
    shutil.move(archive.root, tmp_path / "moved")
    copied = open_archive(tmp_path / "moved")
    for record in copied:
        os.utime(record.source.path, ns=(1, 1))
    found = compare_descriptors(copied, tmp_path / "cache", descriptors=[], index=index)
    assert {"recnn", "recnn+"} <= set(found.evaluation.schemes)
    # Greys: a0 0, a2 80, b1 40, b3 120; a0: a0 b1 a2 b3, a2: a2 b1 b3 a0, b1: b1 a0 a2 b3, b3: b3 a2 b1 a0.
    assert found.evaluation.schemes["recnn+"].map == pytest.approx((5 / 6 + 3 / 4 + 3 / 4 + 5 / 6) / 4)


def test_other_pixels_under_the_same_size_and_time_are_refused(archive: Archive, tmp_path: Path) -> None:
    index = indexed(archive, tmp_path / "index")
    one, other = (archive.records[number].source.path for number in (1, 2))
    contents, times = [one.read_bytes(), other.read_bytes()], [one.stat().st_mtime_ns, other.stat().st_mtime_ns]
    assert len(contents[0]) == len(contents[1])
    for file, content, time in zip((other, one), contents, reversed(times), strict=True):
        file.write_bytes(content)
        os.utime(file, ns=(time, time))
    with pytest.raises(MismatchError, match=r"a/2\.png .* has changed"):
        compare_descriptors(archive, tmp_path / "cache", descriptors=[], index=index)


def test_images_without_a_region_ask_in_no_figure_by_regions(archive: Archive, tmp_path: Path) -> None:
    index = indexed(archive, tmp_path / "index")
    none = {"classes": np.zeros(0, np.int32), "areas": np.zeros(0, np.int64), "boxes": np.zeros((0, 4), np.int32)}
    none |= {"recnn": np.zeros((0, 1), np.float32), "centroids": np.zeros((0, 2), np.float32)}
    none |= {"borders": np.zeros((0, 3), np.int32), "edge": np.zeros(0, np.int32)}
    entries = [index.entry(row) for row in range(4)]
    for rows, words in (([0], "1 of 4"), ([0, 1], "2 of 4"), ([0, 1, 2, 3], "4 of 4")):
        with IndexWriter.open(tmp_path / "index", index.settings) as writer:
            for row in rows:
                writer.add(dataclasses.replace(entries[row], **none))
        found = compare_descriptors(
            archive, tmp_path / "cache", descriptors=[], index=open_index(tmp_path / "index"), intervals=True
        )
        assert f"{words} queries are in no figure of ReCNN: they have no region." in found.remarks
        alone = found.average_precision["recnn"]
        assert np.flatnonzero(np.isnan(alone)).tolist() == rows
        assert not np.isnan(found.average_precision["recnn+"]).any()
        write_comparison(tmp_path / f"report {len(rows)}", found, title="Made", published=False)


def test_an_image_that_can_no_longer_be_read_is_left_out(archive: Archive, tmp_path: Path) -> None:
    index = indexed(archive, tmp_path / "index")
    archive.records[3].source.path.write_bytes(b"no picture")
    found = compare_descriptors(archive, tmp_path / "cache", descriptors=[ColourHistogram()], index=index)
    assert (found.evaluation.queries, list(found.skipped)) == (3, ["b/3.png"])
