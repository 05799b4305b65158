import sqlite3

import pytest
from index_samples import entry, fill, random_entry, settings

from rsir_tf.errors import ArtifactError
from rsir_tf.index import IndexWriter
from rsir_tf.index import catalogue as catalogues
from rsir_tf.ranking import open_index
from rsir_tf.rasters import Place

PLACE = Place("EPSG:26911", (0.6, 0.0, 500_000.1, 0.0, -0.6, 4_100_000.7))
FACTS = [
    {},
    {"archive": "naïve, 2", "scene": "", "tags": ()},
    {"scene": "a 'scene' \0", "tags": ("sea", "bare, soil", "")},
    {"place": PLACE, "placed": True},
    {"placed": True},
    {"file_size": 2**62, "modified_ns": -1},
]


@pytest.fixture
def full(monkeypatch):
    """When this is called, the database of the writer that was opened last can hold no more than it does."""
    opened = []
    connect = sqlite3.connect

    def remembered(*arguments, **options):
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(catalogues.sqlite3, "connect", remembered)
    return lambda: opened[-1].execute("PRAGMA max_page_count = 1")


def test_a_writer_knows_of_every_image_what_was_added_whether_pending_committed_or_read_back(tmp_path):
    entries = [entry(f"{at} é", [[at, 1, 2, 3]], **facts) for at, facts in enumerate(FACTS)]
    wanted = {each.id: each.facts for each in entries}
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        for each in entries:
            writer.add(each)
        assert {image: writer.facts_of(image) for image in writer.ids} == wanted
        writer.commit()
        assert {image: writer.facts_of(image) for image in writer.ids} == wanted
        assert writer.facts_of("else") is None
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert {image: writer.facts_of(image) for image in writer.ids} == wanted
        writer.merge()
        assert [writer.find_content(facts.content_hash).id for facts in wanted.values()] == list(wanted)


def test_of_equal_pixels_the_first_image_is_found_as_long_as_it_is_there(tmp_path):
    fill(tmp_path / "index", [entry(image, [[1, 2, 3, 4]], content="x") for image in "bac"])
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        found = []
        while (twin := writer.find_content("x")) is not None:
            found.append(twin.id)
            writer.remove([twin.id])
    assert found == ["b", "a", "c"]


def test_nothing_of_the_catalogue_is_left_or_seen_in_the_folder(tmp_path):
    path = tmp_path / "a #folder? of %41"
    path.mkdir()
    (path / "catalogue.sqlite").write_text("what a killed first writer left")
    with IndexWriter.open(path, settings()) as writer:
        writer.add(random_entry("a", 1))
        writer.commit()
        assert sorted(item.name for item in path.iterdir()) == ["manifest.json", "segments", "writer.lock"]


def test_a_disk_that_is_full_for_the_catalogue_never_adds_twice(tmp_path, full):
    path = tmp_path / "index"
    fill(path, [random_entry("held", 1)])
    writer = IndexWriter.open(path, settings())
    added = [f"{at:03d}" for at in range(200)]
    for image in added:
        writer.add(random_entry(image, 1, regions=0))
    full()
    with pytest.raises(ArtifactError, match=r"catalogue.sqlite: what the index holds cannot be noted: .* full; free"):
        writer.commit()
    for again in (writer.commit, writer.close):
        with pytest.raises(ArtifactError, match="cannot be noted: database or disk is full"):
            again()
    with IndexWriter.open(path, settings()) as writer:
        assert writer.ids == (*added, "held")
    open_index(path).verify()
