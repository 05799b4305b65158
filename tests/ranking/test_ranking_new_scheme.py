"""A scheme that the package does not know, the README's example, used everywhere through the public API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_samples import CLASS_NAMES, random_entry, settings

import rsir_tf
import rsir_tf.ranking
from rsir_tf.archives import open_archive
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.errors import InputError
from rsir_tf.index import ImageEntry, IndexWriter
from rsir_tf.presentation import save_png
from rsir_tf.presentation.retrieval_tables import figures_table
from rsir_tf.ranking import Candidates, ImageFeatures, Index, archive_rankings, search, sharing_classes
from rsir_tf.rasters import pixel_hash
from rsir_tf.workflows import compare_descriptors, evaluate_index, query_image

README = Path(rsir_tf.ranking.__file__).with_name("README.md").read_text("utf-8")
DEFINED: dict[str, Any] = {"__name__": __name__}
exec(compile(README.split("```python\n")[1].split("```")[0], "README.md", "exec", dont_inherit=True), DEFINED)
ClassArea = DEFINED["ClassArea"]
"""Ranks by the difference of the pixels that show one class; explained by the hit's largest region of it."""


def literally(query: ImageEntry, other: ImageEntry, class_index: int) -> float:
    one, two = (sum(each.areas[each.classes == class_index].tolist()) for each in (query, other))
    return abs(one - two)


def features(each: ImageEntry) -> ImageFeatures:
    return ImageFeatures(each.classes, each.areas, each.boxes, each.centroids, each.recnn, each.recnn_plus)


@pytest.fixture(scope="module")
def entries() -> list[ImageEntry]:
    return [random_entry(f"{at:02}", at) for at in range(50)]


@pytest.fixture(scope="module")
def index(entries: list[ImageEntry], tmp_path_factory: pytest.TempPathFactory) -> Index:
    """50 images with few areas, so that many are equally far; in segments of 8, one image removed."""
    path = tmp_path_factory.mktemp("toy") / "index"
    with IndexWriter.open(path, settings(), images_per_segment=8) as writer:
        for each in (*entries, random_entry("99", 99)):
            writer.add(each)
        writer.remove(["99"])
    return rsir_tf.open_index(path)


def wanted(query: ImageEntry, entries: list[ImageEntry], class_index: int = 1) -> list[tuple[float, str]]:
    return sorted((literally(query, each, class_index), each.id) for each in entries)


def test_it_searches_and_explains(index: Index, entries: list[ImageEntry]) -> None:
    for query in entries[::7]:
        for class_index in (0, 1):
            answer = search(index, features(query), ClassArea(class_index), top=12)
            assert answer.exact
            assert [(hit.distance, hit.id) for hit in answer.hits] == wanted(query, entries, class_index)[:12]
            assert list(answer.hits) == index.search(features(query), scheme=ClassArea(class_index), top=12)
            for hit in answer.hits:
                found = index.entry(hit.row)
                own = np.flatnonzero(found.classes == class_index)
                assert len(hit.matches) == min(1, len(own))
                for match in hit.matches:
                    assert match.box == tuple(found.boxes[match.region].tolist())
                    assert found.areas[match.region] == found.areas[own].max()


def test_it_measures_and_ranks_all_images(index: Index, entries: list[ImageEntry]) -> None:
    rows = np.arange(50)
    for row, distances in index.all_distances(ClassArea()):
        np.testing.assert_array_equal(distances, [literally(entries[row], each, 1) for each in entries])
    some = np.array([2, 3, 5, 7, 30, 49])
    for chosen in (rows, some):
        for place, order in archive_rankings(index, ClassArea(), chosen, range(1, 5)):
            distances = [literally(entries[chosen[place]], entries[row], 1) for row in chosen]
            np.testing.assert_array_equal(order, np.argsort(distances, kind="stable"))


def test_it_is_evaluated(index: Index, entries: list[ImageEntry]) -> None:
    found = evaluate_index(index, schemes=("recnn+", ClassArea(2)))
    assert list(found.schemes) == ["recnn+", "class-area"]
    assert [row[0] for row in figures_table(found).rows] == ["ReCNN+", "Class area"]
    assert found.details["scheme_options"] == {"recnn+": {"metric": "l1"}, "class-area": {"class_index": 2}}
    precisions = []
    for query in entries:
        scenes = {each.id: each.scene for each in entries}
        relevant = [scenes[image] == query.scene for _, image in wanted(query, entries, 2)]
        ranks = np.flatnonzero(relevant) + 1
        precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    assert found.schemes["class-area"].map == pytest.approx(np.mean(precisions), rel=1e-12)


def test_it_is_compared(entries: list[ImageEntry], tmp_path: Path) -> None:
    for each in entries[:20]:
        picture = tmp_path / "archive" / str(each.scene) / f"{each.id}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        save_png(picture, np.full((64, 48, 3), int(each.id), np.uint8))
    archive = open_archive(tmp_path / "archive")
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        for record in archive:
            each, status = entries[int(record.id[-6:-4])], (tmp_path / "archive" / record.id).stat()
            stamp = {"file_size": status.st_size, "modified_ns": status.st_mtime_ns}
            stamp["content_hash"] = pixel_hash(record.source.read())
            writer.add(replace(each, id=record.id, scene=record.scene, **stamp))
    index = rsir_tf.open_index(tmp_path / "index")
    found = compare_descriptors(
        archive, tmp_path / "cache", descriptors=[], index=index, schemes=["recnn", ClassArea()]
    )
    assert list(found.evaluation.schemes) == ["recnn", "class-area"]
    alone = evaluate_index(index, schemes=[ClassArea()]).schemes["class-area"]
    assert found.evaluation.schemes["class-area"].map == alone.map


def test_it_may_be_limited_to_candidates(index: Index, entries: list[ImageEntry]) -> None:
    query, rows = entries[4], [40, 3, 17, 8]
    among = [entries[row] for row in rows]
    for proven in (False, True):
        answer = search(index, features(query), ClassArea(), among=Candidates(np.array(rows), complete=proven))
        assert [(hit.distance, hit.id) for hit in answer.hits] == wanted(query, among)
        assert answer.exact is proven
    assert not search(index, features(query), ClassArea(), among=rows).exact
    sharing = search(index, features(query), ClassArea(), top=50, among=sharing_classes(index, [2]))
    assert {hit.id for hit in sharing.hits} == {each.id for each in entries if 2 in each.classes}
    assert sharing.exact
    with pytest.raises(InputError, match="has no row 50; wanted 0 to 49"):
        search(index, features(query), ClassArea(), among=[3, 50])


def test_bare_vectors_are_refused_that_say_nothing_of_what_it_reads(index: Index) -> None:
    with pytest.raises(InputError, match=r"query's class-area is ndarray; wanted ImageFeatures .* classes, areas"):
        search(index, np.zeros(4, np.float32), ClassArea())


class Sees:
    """Stands in for a model that sees a square of class 1, as large as the image's first pixel is bright."""

    def describe(self) -> ModelDescription:
        return ModelDescription("model-1", CLASS_NAMES, channels=4)

    def predict(self, images: list[np.ndarray]) -> list[Prediction]:
        return [self._predict(image) for image in images]

    def _predict(self, image: np.ndarray) -> Prediction:
        segmentation = np.zeros(image.shape[:2], np.uint8)
        side = int(image[0, 0, 0])
        segmentation[:side, :side] = 1
        return Prediction(segmentation, np.ones((4, 3, 4), np.float32))


def test_an_image_is_the_query(index: Index, entries: list[ImageEntry], tmp_path: Path) -> None:
    save_png(tmp_path / "query.png", np.full((64, 48, 3), 2, np.uint8))
    result = query_image(tmp_path / "query.png", index, Sees(), scheme=ClassArea(), top=50)
    areas = {each.id: int(each.areas[each.classes == 1].sum()) for each in entries}
    assert [(hit.distance, hit.id) for hit in result.hits] == sorted(
        (abs(area - 4), name) for name, area in areas.items()
    )
    content = result.to_json()
    assert (content["scheme"], content["exact"]) == ("class-area", True)
    assert [match["class"] for match in content["hits"][0]["matches"]] == ["sea"]
