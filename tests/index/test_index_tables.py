import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_samples import random_entry, settings

from rsir_tf.errors import ArtifactError
from rsir_tf.index import IndexWriter, merging, segment_files
from rsir_tf.index.tables import Table, write_table
from rsir_tf.ranking import open_index

ROWS = 10


def numbers(first, last, *, name="number"):
    return pa.table({name: pa.array(range(first, last), pa.int64())})


def table_of(file, **options):
    return Table(pa.py_buffer(file.read_bytes()), ROWS, ArtifactError, **{"frugal": False, **options})


@pytest.fixture
def file(tmp_path):
    write_table([numbers(0, ROWS)], numbers(0, 0).schema, tmp_path / "table", 4)  # rows 0 to 3, 4 to 7, 8 and 9
    return tmp_path / "table"


@pytest.mark.parametrize(("first", "last"), [*itertools.combinations_with_replacement(range(ROWS + 1), 2)])
def test_any_rows_are_read(file, first, last):
    assert table_of(file).rows(first, last).column("number").to_pylist() == list(range(first, last))


def test_only_groups_that_are_needed_are_decoded_and_a_frugal_table_keeps_those_it_needed_last(file, monkeypatch):
    decoded = []
    group = Table._group
    monkeypatch.setattr(Table, "_group", lambda self, number: decoded.append(number) or group(self, number))
    for frugal, wanted in ((False, [1, 0, 2]), (True, [1, 0, 1, 2])):
        table = table_of(file, frugal=frugal)
        for first, last in ((4, 6), (7, 8), (3, 3), (2, 4), (7, 9)):
            table.rows(first, last)
        assert decoded == wanted
        decoded.clear()


@given(st.lists(st.integers(0, ROWS)), st.integers(1, ROWS + 1))
def test_the_bytes_do_not_depend_on_the_parts(tmp_path_factory, cuts, rows):
    folder = tmp_path_factory.mktemp("tables")
    ends = [0, *sorted(cuts), ROWS]
    parts = [numbers(first, last) for first, last in itertools.pairwise(ends)]
    write_table(parts, numbers(0, 0).schema, folder / "parts", rows)
    write_table([numbers(0, ROWS)], numbers(0, 0).schema, folder / "whole", rows)
    assert (folder / "parts").read_bytes() == (folder / "whole").read_bytes()


def test_columns_that_a_part_lacks_are_null(tmp_path):
    schema = pa.schema({"number": pa.int64(), "later": pa.string()})
    later = pa.table({"number": pa.array([5]), "later": ["x"]})
    write_table([numbers(0, 2), later], schema, tmp_path / "table", 4)
    table = Table(pa.py_buffer((tmp_path / "table").read_bytes()), 3, ArtifactError, frugal=False)
    assert table.read(["later", "unknown"]).to_pydict() == {"later": [None, None, "x"]}


def test_rows_that_are_kept_come_group_by_group(file):
    kept = np.isin(np.arange(ROWS), [1, 2, 9])
    assert [part.column("number").to_pylist() for part in table_of(file).parts(kept)] == [[1, 2], [], [9]]


def test_damage_is_told(file):
    with pytest.raises(ArtifactError, match="has 10 rows, the manifest says 9"):
        Table(pa.py_buffer(file.read_bytes()), 9, ArtifactError, frugal=False).read(["number"])
    content = bytearray(file.read_bytes())
    for at in range(4, len(content) // 2):  # in the pages, which have checksums
        content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not a readable table"):
        table_of(file).rows(0, 1)


def test_images_are_read_back_across_groups(tmp_path, monkeypatch):
    for module in (segment_files, merging):
        monkeypatch.setattr(module, "IMAGE_ROWS", 4)
        monkeypatch.setattr(module, "REGION_ROWS", 5)
    entries = [random_entry(f"{at:02d}", at) for at in range(30)]
    with IndexWriter.open(tmp_path, settings(), images_per_segment=11) as writer:
        for each in entries:
            writer.add(each)
        writer.remove(["03", "17"])
        writer.merge()
        read_by_writer = [writer.find_content(each.content_hash) for each in entries]
    index = open_index(tmp_path)
    assert [each.record.images for each in index.vectors.segments] == [28]
    for each, found in zip(entries, read_by_writer, strict=True):
        if each.id in ("03", "17"):
            assert found is None
            continue
        for copy in (found, index.entry(index.row_of(each.id))):
            for name in ("classes", "areas", "boxes", "centroids", "borders", "edge", "recnn", "recnn_plus", "tags"):
                np.testing.assert_array_equal(getattr(copy, name), getattr(each, name))
