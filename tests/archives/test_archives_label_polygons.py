"""Labels as polygons: classes, overlaps, what lies outside, what cannot be used, and the way into an archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from rsir_tf.archives import VOID, Archive, LabelPolygons, LabelSet, PolygonOptions, Record
from rsir_tf.archives.annotated import read_annotated
from rsir_tf.archives.label_polygons import with_label_polygons
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.rasters import MISSING, Fingerprint, Pixels, Place, pixel_to_lonlat

geopandas = pytest.importorskip("geopandas")

# 32 × 32 pixels of 1 m; the upper left corner lies at (1000, 2032), so that pixel (column, row) has its centre at
# (1000.5 + column, 2031.5 - row).
PLACE = Place("EPSG:32633", (1.0, 0.0, 1000.0, 0.0, -1.0, 2032.0))
SHAPE = (32, 32)


@dataclass(frozen=True)
class Scene:
    """A grey image; its upper rows show nothing."""

    place: Place | None = PLACE
    rows_without: int = 0
    address: str = "scene"
    shape: tuple[int, int] = SHAPE
    fingerprint: Fingerprint = MISSING

    def read(self) -> np.ndarray:
        return np.full((*SHAPE, 3), 90, np.uint8)

    def read_pixels(self) -> Pixels:
        valid = np.ones(SHAPE, bool)
        valid[: self.rows_without] = False
        return Pixels(self.read(), valid if self.rows_without else None)

    def digest(self) -> str:
        return "0"


def pixels(left: int, top: int, right: int, bottom: int) -> shapely.Polygon:
    """The square that covers columns left to right − 1 and rows top to bottom − 1."""
    return shapely.box(1000 + left, 2032 - bottom, 1000 + right, 2032 - top)


Written = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(geometries: list[Any], name: str = "labels.gpkg", crs: str = "EPSG:32633", **columns: list[Any]) -> str:
        geopandas.GeoDataFrame(columns, geometry=geometries, crs=crs).to_file(tmp_path / name)
        return str(tmp_path / name)

    return write


def read(*files: str, labels: LabelSet | None = None, outside: str = "void", **how: str) -> LabelPolygons:
    return LabelPolygons.read(PolygonOptions(files, outside=outside, **(how or {"class_field": "kind"})), labels)


def archive(*sources: Scene) -> Archive:
    return Archive(Path("scenes"), "folder", tuple(Record(f"{i}.tif", source) for i, source in enumerate(sources)))


def test_classes_are_the_fields_values_and_what_lies_outside(written: Written) -> None:
    file = written([pixels(0, 0, 4, 8), pixels(8, 0, 12, 8)], kind=["water", "building"])
    labels = read(file, outside="other")
    assert labels.label_set.names == ("building", "water", "other")
    classes = labels.classes_on(PLACE, SHAPE)
    expected = np.full(SHAPE, 2)
    expected[:8, :4], expected[:8, 8:12] = 1, 0
    np.testing.assert_array_equal(classes, expected)
    # A class of polygons may be the one outside, and what is outside may be unknown.
    assert read(file, outside="water").label_set.names == ("building", "water")
    assert (read(file, outside="water").classes_on(PLACE, SHAPE) == np.where(expected == 2, 1, expected)).all()
    assert (read(file).classes_on(PLACE, SHAPE) == np.where(expected == 2, VOID, expected)).all()
    one = read(file, outside="other", class_name="anything")
    assert one.label_set.names == ("anything", "other")
    np.testing.assert_array_equal(one.classes_on(PLACE, SHAPE), expected == 2)


def test_numbers_are_classes_too(written: Written) -> None:
    # A gap makes GDAL's whole numbers floats.
    file = written([pixels(0, 0, 1, 1), pixels(1, 0, 2, 1), pixels(2, 0, 3, 1)], kind=[10, None, 2])
    labels = read(file)
    assert labels.label_set.names == ("2", "10")
    np.testing.assert_array_equal(labels.classes_on(PLACE, SHAPE)[0, :4], [1, VOID, 0, VOID])
    given = LabelSet("mine", ("pond", "roof"), (2, 10))
    np.testing.assert_array_equal(read(file, labels=given).classes_on(PLACE, SHAPE)[0, :4], [1, VOID, 0, VOID])


def test_later_polygons_and_later_files_are_on_top(written: Written) -> None:
    first = written([pixels(0, 0, 6, 1), pixels(2, 0, 4, 1)], "a.gpkg", kind=["land", "pond"])
    second = written([pixels(3, 0, 8, 1)], "b.geojson", kind=["building"])
    row = read(first, second).classes_on(PLACE, SHAPE)[0, :9]
    # building 0, land 1, pond 2
    np.testing.assert_array_equal(row, [1, 1, 2, 0, 0, 0, 0, 0, VOID])
    np.testing.assert_array_equal(read(second, first).classes_on(PLACE, SHAPE)[0, :9], [1, 1, 2, 2, 1, 1, 0, 0, VOID])


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035"])
def test_polygons_of_another_reference_system_lie_where_they_lie(written: Written, crs: str) -> None:
    # Polygons of whole pixels in the scene's own system, moved by a quarter pixel so that no centre is near an edge.
    boxes = [shapely.transform(pixels(4 * i, 3 * i, 4 * i + 7, 3 * i + 5), lambda xy: xy + 0.25) for i in range(6)]
    own = written(boxes, "own.gpkg", kind=[str(i) for i in range(6)])
    moved = str(Path(own).with_name("moved.gpkg"))
    geopandas.read_file(own).to_crs(crs).to_file(moved)
    wanted = read(own).classes_on(PLACE, SHAPE)
    assert len(np.unique(wanted)) == 7
    np.testing.assert_array_equal(read(moved).classes_on(PLACE, SHAPE), wanted)


def test_a_coast_of_many_vertices_is_cut_to_the_image(written: Written) -> None:
    # A circle of 40 km around the Earth's pole would not reach Web Mercator; its part near the image does.
    angles = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    wide = shapely.Polygon(np.stack([60 * np.cos(angles), 90 * np.sin(angles)], axis=1))
    labels = read(written([wide], "coast.gpkg", "EPSG:4326", kind=["land"]))
    web = Place("EPSG:3857", (1.0, 0, 1000.0, 0, -1.0, 2000.0))
    assert (labels.classes_on(web, SHAPE) == 0).all()


def test_a_scene_across_the_antimeridian_has_polygons_on_both_sides(written: Written) -> None:
    # Zone 1 begins at the antimeridian: its eastings of about 166,000 m at the equator lie on both sides of it.
    place = Place("EPSG:32601", (100.0, 0, 164_500.0, 0, -100.0, 20_000.0))
    sides = [shapely.box(179.9, 0, 180, 0.2), shapely.box(-180, 0, -179.9, 0.2)]
    labels = read(written(sides, "sides.geojson", "EPSG:4326", kind=["east", "west"]))
    rows, columns = np.mgrid[:32, :32] + 0.5
    lon, _ = pixel_to_lonlat(place, columns, rows)
    assert (lon > 0).any()
    assert (lon < 0).any()
    np.testing.assert_array_equal(labels.classes_on(place, SHAPE), np.where(lon > 0, 0, 1))


def test_a_polygon_without_a_class_is_void_and_told(written: Written) -> None:
    labels = read(written([pixels(0, 0, 2, 1), pixels(1, 0, 3, 1)], kind=["roof", None]), outside="other")
    np.testing.assert_array_equal(labels.classes_on(PLACE, SHAPE)[0, :4], [0, VOID, VOID, 1])
    assert "1 of 2 polygons have no class in the field kind (the first is feature 2)" in labels.remarks[0]


def test_a_class_that_the_label_set_lacks_is_refused_or_the_rest(written: Written) -> None:
    file = written([pixels(0, 0, 1, 1), pixels(1, 0, 2, 1), pixels(2, 0, 3, 1)], kind=["roof", "shed", "shed"])
    given = LabelSet("mine", ("roof", "water"), (1, 2))
    with pytest.raises(InputError, match=r"that label set mine does not have: shed \(2 polygons\); wanted one of roof"):
        read(file, labels=given)
    with_rest = LabelSet("mine", ("roof", "other"), (1,), rest=True)
    np.testing.assert_array_equal(read(file, labels=with_rest).classes_on(PLACE, SHAPE)[0, :4], [0, 1, 1, VOID])
    with pytest.raises(InputError, match="--outside land: is no class of label set mine; wanted void, or one of roof"):
        read(file, labels=with_rest, outside="land")


def test_broken_geometries_are_named_and_counted(written: Written) -> None:
    # The bow-tie crosses itself in the middle of 4 × 4 pixels: a triangle on the left and one on the right remain. They
    # begin 0.1 to the right of the first pixel, so that no centre lies on a diagonal.
    tie = shapely.Polygon([(1000.1, 2032), (1004.1, 2028), (1004.1, 2032), (1000.1, 2028)])
    collection = shapely.GeometryCollection([pixels(8, 0, 10, 2), shapely.LineString([(1000, 2001), (1030, 2001)])])
    file = written([shapely.Point(1, 1), tie, None, collection], "mixed.geojson", kind=["a", "b", "c", "d"])
    labels = read(file)
    assert [line.partition(": ")[2] for line in labels.remarks] == [
        "1 of 4 polygons cross themselves and are read as `make_valid` of GEOS repairs them (the first is feature 2)",
        "2 of 4 polygons have no area (points, lines, or nothing at all) and are left out (the first is feature 1)",
    ]
    classes = labels.classes_on(PLACE, SHAPE)
    np.testing.assert_array_equal(classes[:4, :4] == 1, [[1, 0, 0, 0], [1, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 0]])
    assert (classes[:2, 8:10] == 3).all()
    assert (classes[28:] == VOID).all()
    with pytest.raises(InputError, match="none of its 1 features is a polygon"):
        read(written([shapely.Point(1, 1)], "points.gpkg", kind=["a"]))
    with pytest.raises(InputError, match=r"empty\.gpkg: holds no feature; wanted polygons"):
        read(written([], "empty.gpkg", kind=[]))
    with pytest.raises(InputError, match=r"layer=roofs: no such file; .*; a layer is named as FILE\|layername=LAYER"):
        read("points.gpkg|layer=roofs")


def test_nothing_is_guessed_of_the_options(written: Written) -> None:
    file = written([pixels(0, 0, 1, 1)], kind=["roof"], year=[2020])
    with pytest.raises(InputError, match="nothing says what lies outside the polygons; wanted --outside CLASS"):
        PolygonOptions((file,), "kind")
    with pytest.raises(InputError, match="the class field kind and the class name roof are both given"):
        PolygonOptions((file,), "kind", "roof", "void")
    with pytest.raises(InputError, match=r"nothing says which classes .*its fields are: kind, year.*--class-name"):
        LabelPolygons.read(PolygonOptions((file,), outside="void"))
    with pytest.raises(InputError, match="no polygon has a class in the field kind"):
        read(written([pixels(0, 0, 1, 1)], "none.gpkg", kind=[""]))
    with pytest.raises(InputError, match="polygons have the class void, which is also what --outside calls unknown"):
        read(written([pixels(0, 0, 1, 1)], "void.gpkg", kind=["void"]))
    many = [pixels(i, 0, i + 1, 1) for i in range(300)]
    with pytest.raises(InputError, match="the field kind holds 300 different values; wanted at most 255 classes"):
        read(written(many, "many.gpkg", kind=list(map(str, range(300)))))


def test_images_get_the_polygons_above_them_as_masks(written: Written) -> None:
    labels = read(written([pixels(0, 0, 4, 8)], kind=["water"]), outside="other")
    elsewhere = Place("EPSG:32633", (1.0, 0.0, 9000.0, 0.0, -1.0, 9000.0))
    found = with_label_polygons(archive(Scene(), Scene(elsewhere), Scene(rows_without=3)), labels)
    assert (found.label_set, found.label_polygons) == (labels.label_set, labels)
    assert "field kind of 1 polygons" in str(found.label_proof)
    assert found.remarks == ("1 of 3 images lie where no polygon is: other all over",)
    classes = [read_annotated(record, labels.label_set)[1] for record in found]
    assert all(shown is not None for shown in classes)
    assert [np.bincount(shown.ravel(), minlength=256)[[0, 1, VOID]].tolist() for shown in classes] == [
        [32, 1024 - 32, 0],
        [0, 1024, 0],
        # Three rows show nothing, in the polygon and outside it.
        [32 - 3 * 4, 1024 - 32 - 3 * 28, 3 * 32],
    ]
    with pytest.raises(MismatchError, match="have the classes water, other; wanted those of label set x: a, b"):
        found.records[0].mask.read(LabelSet("x", ("a", "b"), (0, 1)), SHAPE)


def test_an_archive_that_polygons_cannot_label_is_refused(written: Written) -> None:
    labels = read(written([pixels(0, 0, 4, 8)], kind=["water"]))
    with pytest.raises(InputError, match=r"1 of 2 images have no place on Earth.*the first is 1\.tif.*--tile-names"):
        with_label_polygons(archive(Scene(), Scene(None)), labels)
    far = Place("EPSG:32633", (1.0, 0.0, 9000.0, 0.0, -1.0, 9000.0))
    with pytest.raises(
        InputError, match=r"none of them lies over an image.*polygons 1000, 2024, 1004, 2032; 0\.tif 9000"
    ):
        with_label_polygons(archive(Scene(far)), labels)
    masked = Archive(Path("scenes"), "masks", (Record("a.tif", Scene(), Path("a.png")),))
    with pytest.raises(InputError, match=r"1 image has a mask \(the first is a\.tif\), and label polygons are given"):
        with_label_polygons(masked, labels)


def test_the_digest_tells_other_polygons_and_other_options(written: Written) -> None:
    file = written([pixels(0, 0, 4, 8)], "a.geojson", kind=["water"])
    digests = [read(file).digest, read(file, outside="other").digest, read(file, class_name="water").digest]
    assert read(file).digest == digests[0]
    written([pixels(0, 0, 4, 9)], "a.geojson", kind=["water"])
    digests.append(read(file).digest)
    assert len(set(digests)) == 4
    shape = written([pixels(0, 0, 4, 8)], "a.shp", kind=["water"])
    before = read(shape).digest
    written([pixels(0, 0, 4, 8)], "a.shp", kind=["pond."])  # The class stands in the .dbf file beside it.
    assert read(shape).digest != before
    first, second = (with_label_polygons(archive(Scene(place)), read(file)).records[0].mask for place in (PLACE, PLACE))
    assert first.digest() == second.digest()
