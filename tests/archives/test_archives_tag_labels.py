"""Tags as classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import Archive, Record, load_label_set
from rsir_tf.archives.tag_labels import tag_label_set, tag_table
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource


def record(name: str, tags: tuple[str, ...] | None) -> Record:
    return Record(name, FileSource(Path(name)), tags=tags)


def test_classes_keep_the_order_and_spelling_of_the_tags_file() -> None:
    archive = Archive(Path("a"), "ucmerced", (record("x", ("cars",)),), tag_names=("trees", "bare-soil", "cars"))
    assert tag_label_set(archive).names == ("trees", "bare-soil", "cars")


def test_uc_merceds_tags_have_the_colours_of_dlrsds_classes() -> None:
    shipped = load_label_set("dlrsd")
    spelt = tuple(name.replace(" ", "-") for name in shipped.names)
    archive = Archive(Path("a"), "ucmerced", (record("x", ("cars",)),), tag_names=spelt)
    assert tag_label_set(archive).colours == shipped.colours


def test_without_a_tags_file_the_records_name_the_classes() -> None:
    records = (record("x", ("sea", "sand")), record("y", None), record("z", ("trees", "sea")))
    assert tag_label_set(Archive(Path("a"), "mlrsnet", records)).names == ("sand", "sea", "trees")


def test_an_archive_without_tags_is_refused() -> None:
    with pytest.raises(InputError, match="has no tags"):
        tag_label_set(Archive(Path("a"), "folder", (record("x", None),)))


def test_tags_name_classes_whatever_their_spelling() -> None:
    # DLRSD's classes in alphabetical order: 1 bare soil, 9 mobile home, 12 sea.
    table = tag_table(
        [record("x", ("bare-soil", "Mobile_Home")), record("y", None), record("z", ())], load_label_set("dlrsd")
    )
    assert np.flatnonzero(table[0]).tolist() == [1, 9]
    assert (table[1] == -1).all(), "nothing is known"
    assert (table[2] == 0).all(), "it is known that it shows nothing"


def test_a_tag_that_is_no_class_is_named_with_its_image() -> None:
    with pytest.raises(InputError, match=r"x\.tif: has the tag 'lava'"):
        tag_table([record("x.tif", ("lava",))], load_label_set("dlrsd"))
