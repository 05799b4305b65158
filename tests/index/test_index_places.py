"""Places of images in an index, and how the images of its archives are read."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely
from index_samples import random_entry, settings

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter, address_of, merging, path_to_store, pending
from rsir_tf.index.facts import ImageFacts
from rsir_tf.ranking import derived_files, open_index
from rsir_tf.rasters import Place, RasterSource, Reading, Recipe, Tiling

FROZEN = Path(__file__).parent / "frozen_format_2"
DEGREES = Place("EPSG:4326", (0.25, 0.0, 8.0, 0.0, -0.5, 50.0))
METRES = Place("EPSG:32632", (10.0, 0.0, 500000.0, 0.0, -10.0, 5500000.0))


def placed(image: str, seed: int, place: Place | None, **other: object):
    return dataclasses.replace(random_entry(image, seed), place=place, placed=True, **other)


def outline(footprint: bytes | None) -> set[tuple[float, float]]:
    assert footprint is not None
    return set(shapely.from_wkb(footprint).exterior.coords)


def test_places_and_footprints_come_back(tmp_path: Path) -> None:
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(placed("a", 1, DEGREES))
        writer.add(placed("b", 2, METRES))
        writer.add(placed("c", 3, None))
        writer.add(random_entry("d", 4))
        assert (writer.facts_of("a").place, writer.facts_of("c").placed) == (DEGREES, True)
    index = open_index(tmp_path / "index")
    index.verify()
    assert index.images.places == (DEGREES, METRES, None, None)
    # 64 rows of 0.5° below 50° N, 48 columns of 0.25° from 8° E.
    assert outline(index.images.footprints[0]) == {(8.0, 50.0), (8.0, 18.0), (20.0, 18.0), (20.0, 50.0)}
    # Easting 500,000 is the central meridian of zone 32: 9° E.
    west, _, _, north = shapely.from_wkb(index.images.footprints[1]).bounds
    assert west == pytest.approx(9, abs=1e-9)
    assert 49.6 < north < 49.7
    assert index.images.footprints[2:] == (None, None)
    assert [index.facts_of(row).placed for row in range(4)] == [True, True, True, False]
    assert (index.entry(0).place, index.entry(0).footprint) == (DEGREES, index.images.footprints[0])


def test_merging_staging_and_a_later_writer_keep_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "SECONDS_BETWEEN_STAGINGS", 0)
    monkeypatch.setattr(merging, "MERGED_IMAGES", 4)
    entries = [placed(f"{at}", at, (DEGREES, METRES, None)[at % 3]) for at in range(5)] + [random_entry("5", 5)]
    writer = IndexWriter.open(tmp_path / "alive", settings(), images_per_segment=2, derived=derived_files())
    for entry in entries[:5]:
        writer.add(entry)
    shutil.copytree(tmp_path / "alive", tmp_path / "killed")  # "4" is staged
    with IndexWriter.open(tmp_path / "killed", settings()) as later:
        assert [later.facts_of(f"{at}").place for at in range(5)] == [entry.place for entry in entries[:5]]
        later.add(entries[5])
        later.merge()
    index = open_index(tmp_path / "killed")
    index.verify()
    assert index.images.places == tuple(entry.place for entry in entries)
    assert [index.facts_of(row).placed for row in range(6)] == [True] * 5 + [False]
    assert [index.images.footprints[row] is None for row in range(6)] == [
        place is None for place in index.images.places
    ]
    writer.close()


def test_an_index_of_format_2_gets_places_by_refreshing(tmp_path: Path) -> None:
    shutil.copytree(FROZEN, tmp_path / "index")
    before = open_index(tmp_path / "index")
    with IndexWriter.open(tmp_path / "index", None, derived=derived_files()) as writer:
        facts = writer.facts_of("2")
        assert facts == ImageFacts(**{**dataclasses.asdict(facts), "place": None, "placed": False})
        writer.refresh("2", dataclasses.replace(facts, place=DEGREES, placed=True))
        writer.merge()
    index = open_index(tmp_path / "index")
    index.verify()
    assert json.loads((tmp_path / "index/manifest.json").read_text())["format_version"] == 4
    assert index.images.places == (None, None, DEGREES, None, None)
    assert [index.facts_of(row).placed for row in range(5)] == [False, False, True, False, False]
    for query in (np.float32([1, 2, 0, 8]), np.float32([[0, 3, 0, 0], [2, 3, 0, 0]])):
        scheme = "recnn" if query.ndim == 2 else "recnn+"
        hits = [[(hit.id, hit.distance) for hit in each.search(query, scheme=scheme)] for each in (before, index)]
        assert hits[0] == hits[1]


def test_a_place_that_changes_takes_its_footprint_along(tmp_path: Path) -> None:
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(placed("a", 1, DEGREES))
        east = Place("EPSG:4326", (0.25, 0.0, 28.0, 0.0, -0.5, 50.0))
        writer.refresh("a", dataclasses.replace(writer.facts_of("a"), place=east))
    footprint = open_index(tmp_path / "index").images.footprints[0]
    assert outline(footprint) == {(28.0, 50.0), (28.0, 18.0), (40.0, 18.0), (40.0, 50.0)}


@pytest.mark.parametrize("crs", ['LOCAL_CS["a building site",UNIT["metre",1]]', "no reference system"])
def test_a_reference_system_without_a_way_to_degrees_has_no_footprint(tmp_path: Path, crs: str) -> None:
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(placed("a", 1, Place(crs, METRES.transform)))
    index = open_index(tmp_path / "index")
    assert (index.images.places[0].crs, index.images.footprints[0]) == (crs, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"place": Place("EPSG:4326", (1.0, 0.0, np.nan, 0.0, 1.0, 0.0))}, "its place is .* six numbers"),
        ({"place": Place("", METRES.transform)}, "wanted a reference system"),
        ({"place": None, "footprint": b"x"}, "has a footprint and no place"),
    ],
)
def test_places_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with IndexWriter.open(tmp_path / "index", settings()) as writer, pytest.raises(InputError, match=words):
        writer.add(dataclasses.replace(placed("a", 1, DEGREES), **change))


def test_readings_are_kept_with_their_archives(tmp_path: Path) -> None:
    scenes = Reading(Recipe((4, 3, 2), ((0, 3000),), nodata=float("nan")), Tiling(256, 64))
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.record_root("", "/archive")
        writer.record_root("scenes", "/scenes")
        writer.record_reading("scenes", scenes)
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert writer.readings[""] == Reading()
        assert writer.readings["scenes"].to_json() == scenes.to_json()
        writer.record_root("scenes", "/moved")
        writer.add(random_entry("a", 1))
    index = open_index(tmp_path / "index")
    assert (index.roots["scenes"], index.readings["scenes"].to_json()) == ("/moved", scenes.to_json())
    archives = json.loads((tmp_path / "index/manifest.json").read_text())["archives"]
    assert archives[0] == {"name": "", "root": "/archive"}
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.record_reading("scenes", Reading())
    assert open_index(tmp_path / "index").readings["scenes"] == Reading()


def test_the_path_inside_an_address_is_relative_to_the_archive() -> None:
    window = RasterSource("/archive/a/scene.tif", Recipe((4, 3, 2)), (0, 256, 256, 256))
    stored = path_to_store(window.address, "/archive")
    assert RasterSource("a/scene.tif", window.recipe, window.window).window == window.window
    assert '"path":"a/scene.tif"' in stored
    assert address_of(stored, "", {"": "/archive"}) == window.address
    moved = dataclasses.replace(window, path="/new/place/a/scene.tif")
    assert address_of(stored, "", {"": "/new/place"}) == moved.address
    assert path_to_store(window.address, "/other") == window.address
    assert address_of(window.address, "", {"": "/other"}) == window.address
    colon = dataclasses.replace(window, path="/archive/we:ird.tif")
    assert address_of(path_to_store(colon.address, "/archive"), "", {"": "/new"}).count("/new/we:ird.tif") == 1


def test_the_address_of_a_url_needs_no_root() -> None:
    window = RasterSource("https://example.org/scene.tif", window=(0, 0, 256, 256))
    assert path_to_store(window.address, "https://example.org/scene.tif") == window.address
    assert address_of(window.address, "", {"": "https://example.org/scene.tif"}) == window.address
