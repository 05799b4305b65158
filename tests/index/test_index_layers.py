"""Vectors of conv4_3 beside those of conv5_3: through staging, segments, merging, removal and damage."""

from __future__ import annotations

import json

import numpy as np
import pytest
from index_samples import entry, random_entry, settings

from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexSettings, IndexWriter, repair_index, verify_index
from rsir_tf.index.staging import read_staged, write_staged
from rsir_tf.ranking import open_index

BOTH = ("conv5_3", "conv4_3")


def further(seed, regions, channels=4):
    rng = np.random.default_rng(1000 + seed)
    return {
        "recnn_conv4_3": rng.random((regions, channels), dtype=np.float32),
        "recnn_plus_conv4_3": rng.random(channels, dtype=np.float32),
    }


def entries(count):
    plain = [random_entry(f"image {seed:02d}", seed) for seed in range(count)]
    return [entry(each.id, each.recnn, **further(at, len(each.recnn))) for at, each in enumerate(plain)]


def same(found, wanted):
    for name in ("recnn", "recnn_plus", "recnn_conv4_3", "recnn_plus_conv4_3"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_vectors_come_back_from_small_and_merged_segments(tmp_path):
    kept = entries(20)
    with IndexWriter.open(tmp_path / "index", settings(layers=BOTH), images_per_segment=3) as writer:
        for each in kept:
            writer.add(each)
        same(writer.find_content(kept[4].content_hash), kept[4])
        writer.remove([kept[7].id])
    for merge in (False, True):
        with IndexWriter.open(tmp_path / "index", settings(layers=BOTH)) as writer:
            if merge:
                writer.merge()
        index = open_index(tmp_path / "index")
        assert index.settings.layers == BOTH
        for each in (one for one in kept if one is not kept[7]):
            same(index.entry(index.row_of(each.id)), each)
        assert verify_index(tmp_path / "index") == []
    (segment,) = index.vectors.segments
    assert {"recnn_conv4_3.npy", "recnn_plus_conv4_3.npy"} <= {*segment.record.sizes}


def test_staged_images_keep_them(tmp_path):
    kept = entries(5)
    write_staged(tmp_path / "staged.npz", kept, 1)
    for found, wanted in zip(read_staged(tmp_path / "staged.npz", 1, settings(layers=BOTH)), kept, strict=True):
        same(found, wanted)


def test_half_precision_and_images_without_regions(tmp_path):
    empty = entry("empty", np.empty((0, 4)), **further(1, 0))
    third = entry("third", [[1, 2, 3, 4]], recnn_conv4_3=np.full((1, 4), 1 / 3), recnn_plus_conv4_3=np.full(4, 1 / 3))
    with IndexWriter.open(tmp_path / "index", settings(layers=BOTH, dtype="float16")) as writer:
        writer.add(empty)
        writer.add(third)
    index = open_index(tmp_path / "index")
    assert index.entry(0).recnn_conv4_3.shape == (0, 4)
    assert index.entry(1).recnn_conv4_3.tolist() == [[float(np.float16(1 / 3))] * 4]


def test_entries_have_the_vectors_that_the_index_keeps(tmp_path):
    with (
        IndexWriter.open(tmp_path / "plain", settings()) as writer,
        pytest.raises(InputError, match="has a recnn_conv4_3; wanted vectors of conv5_3, which the index keeps"),
    ):
        writer.add(entries(1)[0])
    with IndexWriter.open(tmp_path / "both", settings(layers=BOTH)) as writer:
        with pytest.raises(InputError, match="has no recnn_conv4_3; wanted vectors of conv5_3 and conv4_3"):
            writer.add(entry("a", [[1, 2, 3, 4]]))
        wrong = entry("a", [[1, 2, 3, 4]], **further(0, 2))
        with pytest.raises(InputError, match=r"a: recnn_conv4_3 is float32 \[2, 4\]; wanted float32 \[1, 4\]"):
            writer.add(wrong)
        nan = entry("a", [[1, 2, 3, 4]], **{**further(0, 1), "recnn_plus_conv4_3": np.full(4, np.nan)})
        with pytest.raises(InputError, match="a: recnn_plus_conv4_3 holds NaN or infinity"):
            writer.add(nan)


def test_settings_name_layers_and_old_ones_have_none():
    assert "layers" not in settings().to_json()
    both = settings(layers=BOTH)
    assert IndexSettings.from_json(json.loads(json.dumps(both.to_json())), "here") == both
    with pytest.raises(MismatchError, match="has vectors of conv5_3 and conv4_3; wanted conv5_3, with which the index"):
        settings().require_equal(both, whose="what is to be added")
    for wrong in ((), ("conv4_3",), ("conv5_3", "fc7"), ("conv5_3", "conv4_3", "conv4_3")):
        with pytest.raises(InputError, match="wanted conv5_3, and after it any of conv4_3"):
            settings(layers=wrong)


def test_damage_is_found_and_repaired(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings(layers=BOTH), images_per_segment=4) as writer:
        for each in entries(8):
            writer.add(each)
    file = tmp_path / "index" / "segments" / "000001" / "recnn_conv4_3.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (problem,) = verify_index(tmp_path / "index")
    assert (problem.segment, problem.file) == ("000001", "recnn_conv4_3.npy")
    (dropped,) = repair_index(tmp_path / "index")
    assert dropped.ids == tuple(f"image {at:02d}" for at in range(4))
    file = tmp_path / "index" / "segments" / "000002" / "recnn_plus_conv4_3.npy"
    file.unlink()
    with pytest.raises(ArtifactError, match=r"recnn_plus_conv4_3.npy: is missing"):
        open_index(tmp_path / "index")
