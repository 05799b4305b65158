"""query from a place in a scene and its files for maps, and share: two dates of one place, and a served toy model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import shapely
from placed_scenes import AS_IT_IS, TILE, ground, index_sources, windows, write_scene, write_scenes
from pyarrow import parquet
from rasterio.transform import Affine

from rsir_tf.ranking import open_index
from rsir_tf.rasters import path_of

# The server with ranges belongs to the tests of rasters.
sys.path.insert(0, str(Path(__file__).parent.parent / "rasters"))
from range_server import serving

ASK = ("--window", 64, 32, 32, 32)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_scenes(tmp_path_factory.mktemp("maps") / "scenes")


@pytest.fixture(scope="module")
def placed(scenes: tuple[Path, Path]) -> Path:
    """An index of both scenes; not to be changed."""
    return index_sources(windows(*scenes), scenes[0].parents[1] / "index", AS_IT_IS)


@pytest.fixture
def options(placed: Path, server: str) -> tuple[object, ...]:
    return ("--index", placed, "--server", server)


def test_a_window_a_point_and_a_box_ask(scenes: tuple[Path, Path], options: tuple, command) -> None:
    window = json.loads(command("query", scenes[0], *ASK, *options, "--json").out)
    assert window["query"] == f"{scenes[0]}, window 64 32 32 32"
    assert (window["hits"][0]["id"], window["hits"][0]["distance"]) == ("2010.tif/64_32", 0)
    west, south, east, north = window["hits"][0]["place"]
    middle = ((west + east) / 2, (south + north) / 2)
    # The tile is that of the index; the window's middle is between four pixels, and one may be named.
    ended = command("query", scenes[0], "--lonlat", *middle, *options, "--json")
    point = json.loads(ended.out)
    assert ended.err == f"searching with {point['query']}\n"
    x, y, *size = map(int, point["query"].rsplit("window ", 1)[1].split())
    assert (abs(x - 64) <= 1, abs(y - 32) <= 1, size) == (True, True, [32, 32])
    # The meridians are turned against the grid, so that the box of a window is a little larger than it.
    box = json.loads(command("query", scenes[0], "--bbox", west, south, east, north, *options, "--json").out)
    x, _, width, _ = map(int, box["query"].rsplit("window ", 1)[1].split())
    assert 60 <= x <= 64
    assert 60 < x + width <= 96
    # Without an image, the index's own at that place asks.
    ended = command("query", "--lonlat", *middle, *options, "--json")
    assert ended.err == "searching with 2010.tif/64_32\n"
    assert json.loads(ended.out)["hits"][0]["distance"] == 0
    picked = json.loads(command("query", scenes[0], *ASK, "--at", 10, 10, *options, "--json").out)
    assert [region["class"] for region in picked["regions"]] == ["blue"]


def test_a_scene_at_a_url_asks(scenes: tuple[Path, Path], options: tuple, command) -> None:
    with serving(scenes[0].parent) as server:
        found = json.loads(command("query", server.url("2010.tif"), *ASK, *options, "--json", "--top", 1).out)
    assert found["query"] == f"{server.url('2010.tif')}, window 64 32 32 32"
    assert (found["hits"][0]["id"], found["hits"][0]["distance"]) == ("2010.tif/64_32", 0)


def test_the_key_in_a_url_is_kept_from_others(scenes: tuple[Path, Path], server: str, tmp_path: Path, command) -> None:
    index, tables = tmp_path / "index", (tmp_path / "hits.geojson", tmp_path / "vectors.parquet")
    with serving(scenes[0].parent) as web:
        url = web.url("2010.tif?sig=s3cret")
        made = command("index", url, "--tile", TILE, "--to", index, "--server", server)
        assert made.code == 0, made.err
        asked = command("query", url, *ASK, "--index", index, "--server", server, "--paths", "--geojson", tables[0])
        assert asked.code == 0, asked.err
        refused = command("query", web.url("lost.tif?sig=s3cret"), *ASK, "--index", index, "--server", server)
        # A new key, for the same file: nothing is described again.
        again = command("index", web.url("2010.tif?sig=n3w"), "--tile", TILE, "--to", index, "--server", server)
        assert "0 added, 0 with known content" in again.err
    assert command("share", index, "--to", tables[1]).code == 0
    assert "lost.tif?sig=***: " in refused.err
    written = [table.read_bytes() for table in tables]
    said = "".join(ended.out + ended.err for ended in (made, asked, refused, again)).encode()
    assert not any(key in text for text in (*written, said) for key in (b"s3cret", b"n3w"))
    # The index itself has the key, of which it reads pictures of hits: the last one.
    assert {path_of(address) for address in open_index(index).images.paths} == {web.url("2010.tif?sig=n3w")}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{scene}", "--window", 70, 32, 32, 32), 1, "has no window 70 32 32 32; wanted within 96×64 pixels"),
        (("{scene}", "--lonlat", 0, 0), 1, "does not show longitude 0.0, latitude 0.0; wanted a place in its extent"),
        (("{scene}", "--lonlat", 0, 100), 2, "the longitude first"),
        (("{plain}", "--lonlat", 9, 49), 1, "plain.tif: nothing in the file says where on Earth each pixel lies"),
        (("{scene}", "--tile", 64), 2, "--lonlat with --tile"),
        ((), 2, "name an image to search with, a place by --lonlat,"),
        (("--lonlat", 0, 0), 1, "none of its images shows longitude 0.0, latitude 0.0"),
        (("{scene}", "--within", "none.gpkg"), 2, "wanted a distance, or a file of areas that exists"),
        (("{scene}", "--within", 1, "--within", 2), 2, "--within 1 and 2: wanted one distance"),
        (("{scene}", "--matched-regions"), 2, "needs a file for them, --geojson or --geoparquet"),
        (("{scene}", "--geojson", "{folder}/map.shp"), 2, "wanted .geojson, .json"),
        (("{scene}", "--same-place", "--elsewhere"), 2, "wanted one of them"),
        (("{plain}", "--same-place"), 1, "plain.tif, window 0 0 32 32: nothing in the file says where on Earth it"),
        (("{scene}", "--stretch", "2%"), 2, "is computed over an archive; give the numbers here"),
    ],
)
def test_places_that_cannot_be_asked_for(
    scenes: tuple[Path, Path], options: tuple, tmp_path: Path, command, arguments: tuple, code: int, words: str
) -> None:
    plain = write_scene(tmp_path / "plain.tif", ground(64, 96, later=False), Affine.identity(), crs=None)
    texts = {"scene": scenes[0], "plain": plain, "folder": tmp_path}
    line = [str(argument).format(**texts) for argument in arguments]
    ended = command("query", *line, *options)
    assert (ended.code, ended.out) == (code, "")
    assert words in " ".join(ended.err.replace("│", " ").split())


def test_hits_are_limited_to_areas_and_distances(
    scenes: tuple[Path, Path], options: tuple, tmp_path: Path, command
) -> None:
    area = geopandas.GeoSeries([shapely.box(500_010, 5_499_900, 500_020, 5_499_950)], crs="EPSG:32632").to_crs(4326)
    area.to_file(tmp_path / "area.geojson")
    line = ("query", scenes[0], *ASK, *options, "--json", "--top", 20)
    inside = json.loads(command(*line, "--within", tmp_path / "area.geojson").out)
    assert [hit["id"] for hit in inside["hits"]] == ["2010.tif/0_0"]
    farther = inside["hits"][0]["distance"]
    both = json.loads(command(*line, "--within", tmp_path / "area.geojson", "--within", farther / 2).out)
    assert both["hits"] == []
    lon, lat = area.union_all().centroid.coords[0]
    near = json.loads(command(*line, "--near", lon, lat, 0.03).out)
    assert {hit["id"] for hit in near["hits"]} == {"2010.tif/0_0", "2020.tif/0_0"}
    elsewhere = json.loads(command(*line, "--elsewhere").out)
    # The later scene begins 3 columns and 2 rows farther: 32_0, 64_0, 32_32 and 64_32 show some of 64..95 × 32..63.
    shown = {"2010.tif/64_32", "2020.tif/32_0", "2020.tif/64_0", "2020.tif/32_32", "2020.tif/64_32"}
    everything = json.loads(command(*line).out)
    assert {hit["id"] for hit in everything["hits"]} - {hit["id"] for hit in elsewhere["hits"]} == shown


def test_the_other_dates_of_a_place(scenes: tuple[Path, Path], options: tuple, command) -> None:
    ended = command("query", scenes[0], "--window", 0, 0, 32, 32, *options, "--same-place")
    assert ended.code == 0, ended.err
    hits, changes = ended.out.split("\n\n")
    assert [line.split()[2] for line in hits.splitlines()[1:]] == ["2020.tif/0_0"]
    assert changes.splitlines()[0].split() == ["change", "region", "class", "pixels", "nearest", "there", "id"]
    change, region, *rest = changes.splitlines()[1].split()
    assert (region, rest) == ("0", ["green", "1024", "blue", "2020.tif/0_0"])
    assert float(change) == pytest.approx(float(hits.splitlines()[1].split()[1]))
    # Whole images have no regions to tell of.
    whole = command("query", scenes[0], "--window", 0, 0, 32, 32, *options, "--same-place", "--scheme", "recnn+")
    assert len(whole.out.splitlines()) == 2


def test_what_has_changed_most_in_a_whole_scene(
    scenes: tuple[Path, Path], options: tuple, tmp_path: Path, command
) -> None:
    line = ("query", scenes[0], *options, "--same-place")
    ended = command(*line, "--top", 2, "--geojson", tmp_path / "all.geojson")
    assert ended.code == 0, ended.err
    header, first, second = (row.split() for row in ended.out.splitlines())
    assert header == ["distance", "lon", "lat", "id", "most", "changed", "class", "nearest", "there"]
    # Green became blue in rows and columns up to 34: all of the first window, and two pixels of its neighbours.
    distance, lon, lat, image, changed, *classes = first
    assert (image, classes) == ("2020.tif/0_0", ["green", "blue"])
    assert (float(distance), float(distance)) == (pytest.approx(float(changed)), max(float(distance), float(second[0])))
    # The place is the middle of the window, which --lonlat takes, and where a region of it is told of.
    alone = command(*line, "--window", 0, 0, 32, 32).out
    assert (distance in alone, "change" in alone) == (True, True)
    point = geopandas.GeoSeries([shapely.Point(float(lon), float(lat))], crs=4326).to_crs("EPSG:32632")[0]
    np.testing.assert_allclose((point.x, point.y), (500_160, 5_499_840), atol=0.1)
    # The scene has six windows, each of which has its neighbour 3 columns and 2 rows away as its pair.
    assert ended.err.startswith("these are the 2 of 6 pairs of windows that differ most; --top prints more")
    everything = json.loads(command(*line, "--json").out)
    pairs = {(found["query"].rpartition(", window ")[2], hit["id"]) for found in everything for hit in found["hits"]}
    assert pairs == {(f"{x} {y} 32 32", f"2020.tif/{x}_{y}") for x in (0, 32, 64) for y in (0, 32)}
    assert len(geopandas.read_file(tmp_path / "all.geojson")) == 6
    # Whole images have no regions to tell of, and a place without another date is told.
    plain = command(*line, "--scheme", "recnn+").out.splitlines()
    assert (plain[0].split(), len(plain)) == (["distance", "lon", "lat", "id"], 7)
    lonely = command(*line, "--within", 0)
    assert (lonely.out, lonely.err.partition(":")[0]) == ("", "6 of 6 windows")


def test_scenes_that_were_indexed_from_the_command_line(
    scenes: tuple[Path, Path], placed: Path, server: str, tmp_path: Path, command
) -> None:
    to = tmp_path / "index"
    ended = command("index", scenes[0].parent, "--to", to, "--tile", TILE, "--server", server)
    assert ended.code == 0, ended.err
    line = ("--window", 0, 0, 32, 32, "--index", to, "--server", server, "--same-place")
    both = command("query", *scenes, *line)
    assert both.code == 0, both.err
    for scene, other in zip(scenes, reversed(scenes), strict=True):
        alone = command("query", scene, *line)
        assert f"{scene}, window 0 0 32 32\n{alone.out}\n" in both.out
        assert alone.out.split("\n\n")[1].splitlines()[1].split()[-1] == f"{other.name}/0_0"
    assert open_index(to).images.footprints == open_index(placed).images.footprints


def test_files_for_maps(scenes: tuple[Path, Path], options: tuple, tmp_path: Path, command) -> None:
    files = ("--geojson", tmp_path / "map.geojson", "--geoparquet", tmp_path / "map.parquet")
    line = ("query", scenes[0], *ASK, *options, "--top", 3, *files)
    ended = command(*line)
    assert (ended.code, ended.err) == (0, f"wrote {files[1]}\nwrote {files[3]}\n")
    read = geopandas.read_file(files[1])
    table = geopandas.read_parquet(files[3])
    assert read["id"].tolist() == table["id"].tolist() == [row.split()[2] for row in ended.out.splitlines()[1:]]
    assert read["rank"].tolist() == [1, 2, 3]
    assert shapely.equals_exact(read.geometry.values, table.geometry.values, 1e-9).all()
    assert json.loads(files[1].read_text())["rsir_tf"]["model_id"] == "toy-1"
    # Several queries fill one file, which is this program's own and is replaced; the regions that matched.
    several = command("query", *scenes, *ASK, *options, "--top", 2, "--matched-regions", *files)
    assert several.code == 0, several.err
    regions = geopandas.read_parquet(files[3])
    assert regions["query"].unique().tolist() == [f"{scene}, window 64 32 32 32" for scene in scenes]
    assert set(regions["class"]) == {"red", "blue"}
    assert regions["scheme"].unique().tolist() == ["recnn"]
    # 32×32 pixels of 10 m are the red and the blue region of the query's own window together.
    own = regions[(regions["query"] == f"{scenes[0]}, window 64 32 32 32") & (regions["rank"] == 1)]
    assert own.to_crs("EPSG:32632").area.sum() == pytest.approx(320**2, rel=1e-6)
    refused = command(*line[:-4], "--scheme", "recnn+", "--matched-regions", *files)
    assert (refused.code, "scheme recnn+ matches no regions; wanted scheme recnn" in refused.err) == (1, True)


def test_hits_without_a_place_are_not_on_the_map(
    archive: Path, index: Path, server: str, tmp_path: Path, command
) -> None:
    image = archive / "Images/harbor/harbor01.tif"
    ended = command("query", image, "--index", index, "--server", server, "--geojson", tmp_path / "map.geojson")
    assert ended.code == 1
    assert "none of the 6 hits can be put on a map; index georeferenced images" in ended.err
    assert len(ended.out.splitlines()) == 7  # What was found is told all the same.
    assert not (tmp_path / "map.geojson").exists()
    near = command("query", image, "--index", index, "--server", server, "--near", 9, 49, 1000)
    assert (near.code, len(near.out.splitlines())) == (0, 1)
    assert near.err.splitlines() == [
        "left out 6 images of the index, of which nothing says where on Earth they lie",
        "no image of the index is within the limits of this query",
    ]


def test_share_gives_vectors_and_footprints(
    placed: Path, index: Path, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsir_tf.workflows import sharing

    monkeypatch.setattr(sharing, "ROWS", 5)
    to = tmp_path / "vectors.parquet"
    ended = command("share", placed, "--to", to, "--json")
    assert json.loads(ended.out) == {"path": str(to), "images": 12, "with_place": 12, "model_id": "toy-1"}
    assert parquet.ParquetFile(to).num_row_groups == 3
    opened = open_index(placed)
    read = geopandas.read_parquet(to)
    assert read.crs.to_authority() == ("OGC", "CRS84")
    assert read["id"].tolist() == list(opened.images.ids)
    assert read["address"].tolist() == list(opened.images.paths)
    assert read["path"].tolist() == [path_of(address) for address in opened.images.paths]
    assert np.array_equal(np.stack(read["recnn_plus"]), opened.recnn_plus)
    assert shapely.to_wkb(read.geometry.values).tolist() == list(opened.images.footprints)
    about = json.loads(parquet.read_metadata(to).metadata[b"rsir_tf"])
    assert (about["kind"], about["model_id"], about["archives"][0]["reading"]) == (
        "rsir_tf.vectors", "toy-1", {"tiling": {"tile": TILE}},
    )  # fmt: skip
    # Its own file it may replace, another one not; without places it is plain Parquet.
    assert command("share", index, "--to", to).code == 0
    table = parquet.read_table(to)
    assert "geometry" not in table.column_names
    assert b"geo" not in table.schema.metadata
    assert table.column("tags").to_pylist() == [list(tags) for tags in open_index(index).images.tags]
    parquet.write_table(pa.table({"id": [1]}), to)
    refused = command("share", index, "--to", to)
    assert (refused.code, "exists already" in refused.err) == (1, True)
    assert command("share", index, "--to", to, "--force").code == 0
