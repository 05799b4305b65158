"""Folders as people really have them: what is passed over is told, and nothing stops the rest."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from rsir_tf.archives import check_archive, open_archive, read_split, select, stratified_split, write_split
from rsir_tf.archives.listing import list_images
from rsir_tf.errors import InputError

Draw = Callable[..., Path]

any_name = pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no names that are not Unicode")


@pytest.mark.parametrize("name", ["@eaDir", "$RECYCLE.BIN", ".ipynb_checkpoints", "__MACOSX", "#recycle", "lost+found"])
def test_folders_of_systems_are_no_folders_of_images(tmp_path: Path, draw_image: Draw, name: str) -> None:
    draw_image("beach/a.png")
    draw_image(f"beach/{name}/a.png/SYNOPHOTO_THUMB_M.jpg")
    archive = open_archive(tmp_path)
    assert [record.id for record in archive] == ["beach/a.png"]
    assert archive.left_out == ((f"beach/{name}", "a folder that a system or a program keeps for itself"),)


@pytest.mark.parametrize(
    ("file", "kind", "written"),
    [("manifest.json", "rsir_tf.run", True), ("report.json", "rsir_tf.report", True), ("manifest.json", "web", False)],
)
def test_pictures_of_a_run_or_a_report_are_no_images_of_the_archive(
    tmp_path: Path, draw_image: Draw, file: str, kind: str, written: bool
) -> None:
    draw_image("beach/a.png")
    draw_image("out/plots/curves.png")
    (tmp_path / "out" / file).write_text(json.dumps({"kind": kind}))
    archive = open_archive(tmp_path)
    others = [] if written else ["out/plots/curves.png"]
    assert [record.id for record in archive] == ["beach/a.png", *others]
    told = ("out", f"a folder that rsir-tf wrote ({kind.removeprefix('rsir_tf.')})")
    assert archive.left_out == ((told,) if written else ())


@any_name
def test_names_that_are_not_utf8_are_left_out_and_told(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("beach/a.png")
    draw_image("beach/b.png")
    image = (tmp_path / "beach/a.png").read_bytes()
    root = os.fsencode(tmp_path)
    Path(os.fsdecode(root + b"/beach/caf\xe9.png")).write_bytes(image)
    os.mkdir(root + b"/r\xedo")
    Path(os.fsdecode(root + b"/r\xedo/c.png")).write_bytes(image)
    archive = open_archive(tmp_path)
    assert [record.id for record in archive] == ["beach/a.png", "beach/b.png"]
    assert archive.left_out == (
        ("beach/caf\\xe9.png", "its name is not UTF-8: rename it"),
        ("r\\xedo", "the folder's name is not UTF-8: rename it"),
    )
    report = check_archive(archive)
    assert json.loads(json.dumps(report.to_json()))["left_out"]["beach/caf\\xe9.png"].startswith(
        "its name is not UTF-8"
    )
    assert (
        "2 files or folders are left out (first beach/caf\\xe9.png: its name is not UTF-8: rename it)" in report.remarks
    )
    write_split(stratified_split(archive, 0.5), tmp_path / "split.json")
    assert len(read_split(tmp_path / "split.json").train) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may enter any folder")
def test_a_folder_that_cannot_be_entered(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("beach/a.png")
    draw_image("closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        archive = open_archive(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert [record.id for record in archive] == ["beach/a.png"]
    assert archive.left_out == (("closed", "the folder cannot be listed: permission denied"),)


def test_a_folder_that_cannot_be_listed(tmp_path: Path, draw_image: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the test before, where it may run as root: the system's refusal is played.
    draw_image("beach/a.png")
    draw_image("closed/b.png")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path) in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    refused = {str(tmp_path / "closed")}
    assert list_images(tmp_path).left_out == (("closed", "the folder cannot be listed: permission denied"),)
    refused = {str(tmp_path)}
    with pytest.raises(InputError, match="cannot be listed: permission denied; check its permissions"):
        list_images(tmp_path)


def test_a_broken_link_is_told_as_one(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("a.png")
    (tmp_path / "b.png").symlink_to("gone.png")
    report = check_archive(open_archive(tmp_path))
    assert report.unreadable == {
        "b.png": f"{tmp_path / 'b.png'}: is a link to gone.png, which is not there; restore what it links to"
    }


def test_files_beside_pairs_are_counted_and_named(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for name in ("images/a.png", "images/b.png", "b.png", "old/c.png", "d.png", "e.png", "f.png"):
        draw_image(name)
    draw_mask("masks/a.png")
    draw_mask("masks/b.png")
    archive = open_archive(tmp_path, labels="dlrsd")
    assert len(archive) == 2
    assert [path for path, _ in archive.left_out] == ["b.png", "d.png", "e.png", "f.png", "old/c.png"]
    assert (
        "5 files or folders are left out (first b.png: an image that lies beside the pairs)"
        in check_archive(archive).remarks
    )


def test_names_in_another_spelling_belong_together(tmp_path: Path, draw_image: Draw) -> None:
    word = "r\u00edo"
    apart = unicodedata.normalize("NFD", word)
    for number in range(2):
        draw_image(f"river/{apart}{number}.png")
    (tmp_path / "tags.csv").write_text(f"image,water\n{word}0,1\n{word}1,0\n", encoding="utf-8")
    archive = open_archive(tmp_path, tags=tmp_path / "tags.csv")
    assert [record.tags for record in archive] == [("water",), ()]
    split = stratified_split(archive, 0.5)
    (tmp_path / f"river/{apart}0.png").rename(tmp_path / f"river/{word}0.png")
    (tmp_path / f"river/{apart}1.png").rename(tmp_path / f"river/{word}1.png")
    assert len(select(open_archive(tmp_path), split, "train")) == 1


def test_masks_whose_names_look_equal(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("images/r\u00edo.png")
    draw_mask("masks/r\u00edo.png")
    draw_mask("masks/ri\u0301o.png")
    if len(list((tmp_path / "masks").iterdir())) < 2:
        pytest.skip("this file system takes the two spellings for one name")
    with pytest.raises(InputError, match=r"are masks of one image \(their names look equal"):
        open_archive(tmp_path, labels="dlrsd")
