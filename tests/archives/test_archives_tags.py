from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rsir_tf.archives import open_archive
from rsir_tf.archives.tags import UCMERCED_TAGS, read_tags
from rsir_tf.errors import InputError

Draw = Callable[..., Path]
TABLE = "IMAGE\\LABEL\tbare-soil\tairplane\tsea\nairplane00\t1\t1\t0\nbeach00\t0\t0\t1\nbeach01\t0\t0\t0\n"


@pytest.fixture
def ucmerced(tmp_path: Path, draw_image: Draw) -> Path:
    root = tmp_path / "ucmerced"
    for name in ("airplane/airplane00", "beach/beach00", "beach/beach01"):
        draw_image(f"ucmerced/Images/{name}.tif")
    (root / UCMERCED_TAGS).write_text(TABLE)
    return root


def test_ucmerced_from_either_folder(ucmerced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_archive(ucmerced)
    assert first.format == "ucmerced"
    assert first.tag_names == ("bare-soil", "airplane", "sea")
    assert [(record.id, record.tags, record.scene) for record in first] == [
        ("airplane/airplane00.tif", ("airplane", "bare-soil"), "airplane"),  # sorted, not in column order
        ("beach/beach00.tif", ("sea",), "beach"),
        ("beach/beach01.tif", (), "beach"),  # the table says that it shows none of them
    ]
    assert open_archive(ucmerced / "Images").records == first.records
    monkeypatch.chdir(ucmerced / "Images")
    assert [record.tags for record in open_archive(".")] == [record.tags for record in first]


def test_a_folder_of_another_name_takes_no_tags_from_beside_it(ucmerced: Path) -> None:
    (ucmerced / "Images").rename(ucmerced / "other")
    assert [record.tags for record in open_archive(ucmerced / "other")] == [None, None, None]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        "\ufeff" + TABLE.replace("\n", "\r\n"),
        TABLE.replace("\t", ","),
        TABLE.replace("\t", ";"),
        TABLE + "\n\n",
        TABLE.replace("\n", "\t\n"),
        TABLE.replace("\t1", "\t 1 "),
        TABLE.replace("beach00", "beach00.tif"),
        TABLE.replace("beach00", "beach/beach00"),
        TABLE.replace("beach00", "beach\\beach00.TIF"),
        TABLE.removesuffix("\n"),
    ],
    ids=["bom", "crlf", "bom crlf", "comma", "semicolon", "blank", "ends", "space", "ending", "path", "windows", "cut"],
)
def test_spellings_of_one_table(ucmerced: Path, content: str) -> None:
    wanted = open_archive(ucmerced).records
    (ucmerced / UCMERCED_TAGS).write_bytes(content.encode())
    assert open_archive(ucmerced).records == wanted


def test_another_tags_file(ucmerced: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.csv"
    other.write_text("image,urban\nairplane00,1\nbeach00,0\nbeach01,1\n")
    archive = open_archive(ucmerced, tags=other)
    assert [record.tags for record in archive] == [("urban",), (), ("urban",)]
    with pytest.raises(InputError, match=r"none\.csv: cannot be read: no such file"):
        open_archive(ucmerced, tags=tmp_path / "none.csv")


def test_masks_may_have_tags_too(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("Images/beach/beach00.tif")
    draw_mask("Labels/beach/beach00.png", dlrsd=True)
    (tmp_path / "tags.csv").write_text("image,sea\nbeach00,1\n")
    archive = open_archive(tmp_path, tags=tmp_path / "tags.csv")
    assert (archive.format, archive.records[0].tags) == ("dlrsd", ("sea",))
    assert archive.records[0].mask is not None


def test_missing_extra_and_misspelt_rows(ucmerced: Path) -> None:
    (ucmerced / UCMERCED_TAGS).write_text(TABLE.replace("beach00", "baech00") + "river00\t0\t0\t1\n")
    archive = open_archive(ucmerced)
    assert [record.tags for record in archive] == [("airplane", "bare-soil"), None, ()]
    assert archive.orphan_tags == ("baech00", "river00")


def test_a_table_of_another_archive(ucmerced: Path) -> None:
    (ucmerced / UCMERCED_TAGS).write_text("image\tsea\nabbey_001\t1\n")
    with pytest.raises(InputError, match=r"no line names an image of .*'abbey_001'.*airplane/airplane00\.tif"):
        open_archive(ucmerced)


def test_a_row_that_names_two_images(ucmerced: Path, draw_image: Draw) -> None:
    draw_image("ucmerced/Images/harbor/beach00.tif")
    with pytest.raises(InputError, match=r"'beach00' is the name of beach/beach00.tif and of harbor/beach00.tif"):
        open_archive(ucmerced)


def test_two_rows_that_name_one_image(ucmerced: Path) -> None:
    (ucmerced / UCMERCED_TAGS).write_text(TABLE + "beach/beach00\t1\t1\t1\n")
    with pytest.raises(InputError, match=r"two lines name beach/beach00.tif, one as 'beach/beach00'"):
        open_archive(ucmerced)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no table"),
        (b"\n \n", "has no table"),
        (b"IMAGE\tsea\n", "has no table"),
        (b"beach00\t0\t1\nbeach01\t1\t1\n", "begins with 'beach00.*wanted a header"),
        (b"beach00\nbeach01\n", "begins with 'beach00'; wanted a header"),
        (b"IMAGE\tsea\tsea\nbeach00\t0\t1\n", "the header names the tag 'sea' twice"),
        (b"IMAGE\tsea\t\tsand\nbeach00\t0\t1\t1\n", "the header names the tag ''"),
        (b"IMAGE\tsea\tsand\nbeach00\t0\n", r"line 2 \(beach00\) has 1 values; wanted 2"),
        (b"IMAGE\tsea\tsand\nbeach00\t0\t1\t1\n", r"line 2 \(beach00\) has 3 values; wanted 2"),
        (b"IMAGE\tsea\tsand\n\nbeach00\t0\t2\n", r"line 3 \(beach00\) has '2' for sand; wanted 0 or 1"),
        (b"IMAGE\tsea\tsand\nbeach00\t\t1\n", r"line 2 \(beach00\) has '' for sea; wanted 0 or 1"),
        (b"IMAGE\tsea\nbeach00\t0\nbeach00\t1\n", r"line 3 \(beach00\) names an image that had a line before"),
        (b"\xff\xfeI\0M\0A\0G\0E\0", "is not UTF-8 text"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_tags(path)
    assert str(caught.value).startswith(f"{path}: ")
