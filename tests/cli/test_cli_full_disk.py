"""A disk that is full or read-only: one line, and nothing already done is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
READ_ONLY = OSError(errno.EROFS, os.strerror(errno.EROFS))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(ended, words: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("rsir-tf: ")
    assert words in ended.err.splitlines()[-1]
    assert "free space or choose another place" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


@pytest.fixture
def fails_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, OSError], None]:
    """Let renaming, the last step of whatever is written, fail from its n-th call (from 0) on."""

    def arrange(first: int, error: OSError) -> None:
        calls = iter(range(10**6))
        rename = os.replace

        def replace(source: str, target: str) -> None:
            if next(calls) >= first:
                raise error
            rename(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return arrange


@pytest.mark.parametrize(("error", "reason"), [(FULL, "no space left on device"), (READ_ONLY, "read-only file system")])
def test_new_things_on_a_bad_disk(
    error: OSError, reason: str, archive: Path, tmp_path: Path, server: str, command, fails_from
) -> None:
    fails_from(0, error)
    one_line(command("synth", tmp_path / "a", "--images-per-scene", 1, "--size", 64, "--scene", "river"), reason)
    one_line(command("split", archive, "--to", tmp_path / "split.json", "--test", 0.5), reason)
    one_line(command("index", archive, "--to", tmp_path / "index", "--server", server), reason)
    assert files(tmp_path).keys() <= {"index/writer.lock"}


def test_a_folder_that_cannot_be_made(
    archive: Path, tmp_path: Path, server: str, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise READ_ONLY

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    one_line(command("synth", tmp_path / "a"), "read-only file system")
    one_line(command("index", archive, "--to", tmp_path / "index", "--server", server), "read-only file system")
    assert list(tmp_path.iterdir()) == []


def test_an_index_keeps_what_it_had(archive: Path, tmp_path: Path, server: str, command, fails_from) -> None:
    part = tmp_path / "part"
    shutil.copytree(archive / "Images" / "beach", part / "beach")
    to = tmp_path / "index"
    line = ("index", part, "--to", to, "--server", server)
    assert command(*line).code == 0
    before = files(to)
    shutil.copytree(archive / "Images" / "forest", part / "forest")
    # A segment is renamed into place, then the manifest: with the manifest failing the segment stays unlisted.
    fails_from(1, FULL)
    one_line(command(*line), "no space left on device")
    assert {name: content for name, content in files(to).items() if name in before} == before
    found = json.loads(command("info", to, "--json").out)
    assert found["images"] == 2
    image = part / "beach" / "beach00.tif"
    assert json.loads(command("query", image, "--index", to, "--server", server, "--json").out)["hits"][0]["rank"] == 1


def test_what_failed_goes_through_once_there_is_space(
    archive: Path, tmp_path: Path, server: str, command, fails_from, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("index", archive, "--to", tmp_path / "index", "--server", server, "--json")
    fails_from(1, FULL)
    assert command(*line).code == 1
    monkeypatch.undo()
    assert json.loads(command(*line).out)["images"] == 6


def test_a_report_that_cannot_be_written_does_not_cost_the_figures(
    index: Path, tmp_path: Path, command, fails_from
) -> None:
    fails_from(0, FULL)
    ended = command("evaluate", index, "--report", tmp_path / "report", "--json")
    assert ended.code == 1
    assert ended.err.endswith("no space left on device; free space or choose another place\n")
    assert json.loads(ended.out)["queries"] == 6
    assert list(tmp_path.iterdir()) == []
