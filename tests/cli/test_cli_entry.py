"""The program itself: its entry, help, exit codes, and how errors are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_pictures import picture

from rsir_tf import __version__
from rsir_tf.cli import check

COMMANDS = [
    "synth",
    "check",
    "split",
    "train",
    "export",
    "serve",
    "index",
    "join",
    "query",
    "evaluate",
    "compare",
    "info",
    "share",
]
PROGRAM = Path(sys.executable).parent / "rsir-tf"


def test_the_installed_program_runs() -> None:
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rsir-tf {__version__}\n", "")


def test_an_error_is_one_line_and_the_trace_on_demand(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    line = f"rsir-tf: {missing}: no such archive; wanted a folder of images; check the path\n"
    done = subprocess.run([PROGRAM, "check", missing], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)
    done = subprocess.run([PROGRAM, "check", missing, "--debug"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1] == "rsir_tf.errors.InputError: " + line.removeprefix("rsir-tf: ").strip()


def test_a_reader_that_goes_away_is_no_error_of_ours(archive: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # As `| head` does, at the worst moment: before the first byte.
    done = subprocess.run([PROGRAM, "check", archive], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_help_names_every_command(command) -> None:
    ended = command("--help")
    assert ended.code == 0
    assert ended.err == ""
    named = [line.split()[1] for line in ended.out.splitlines() if len(line.split()) > 2 and line.split()[0] == "│"]
    assert [name for name in named if name in COMMANDS] == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_options(name: str, command) -> None:
    ended = command(name, "--help")
    assert ended.code == 0
    assert "Usage: rsir-tf " + name in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["ckeck"],
        ["check"],
        ["check", "a", "b"],
        ["check", "a", "--jsn"],
        ["train", "a"],
        ["train", "a", "--run", "b", "--epochs", "many"],
        ["query", "a.png", "--index", "b", "--scheme", "recn"],
        ["query", "a.png", "--index", "b", "--connectivity", "6"],
        ["evaluate", "a", "--anmrr-variant", "3ng"],
        ["index", "a", "--to", "b", "--part", "all"],
    ],
)
def test_bad_usage(arguments: list[str], command) -> None:
    ended = command(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Usage: rsir-tf" in ended.err or "wanted" in ended.err


def test_nothing_at_all_shows_the_help(command) -> None:
    ended = command()
    assert ended.code == 2
    assert "Usage: rsir-tf" in ended.out + ended.err


def test_ctrl_c(archive: Path, command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "_text", interrupted)
    assert command("check", archive).code == 130


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without asking")
def test_a_process_that_is_asked_to_end_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from rsir_tf.artifacts import written_aside
from rsir_tf.cli.main import app, main

@app.command()
def write(path: Path) -> None:
    with written_aside(path) as aside:
        aside.touch()
        os.kill(os.getpid(), signal.SIGTERM)

main()
"""
    ended = subprocess.run([sys.executable, "-c", program, "write", str(tmp_path / "map.tif")], check=False)
    assert (ended.returncode, list(tmp_path.iterdir())) == (143, [])


def test_onednn_is_asked_for_where_maps_are_small_and_nobody_decided(monkeypatch):
    pytest.importorskip("tensorflow")
    from rsir_tf.cli.console import quiet_tensorflow

    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with quiet_tensorflow(small_maps=True):
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    with quiet_tensorflow():
        assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ
    with quiet_tensorflow(small_maps=True):
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_a_reader_that_takes_one_line(archive: Path) -> None:
    for line in ("check", str(archive)), ("--help",):
        head = f"{PROGRAM} {' '.join(line)} | head -1 > /dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", head], capture_output=True, text=True, check=False)
        assert done.stdout.strip() in ("0", "141")  # It may have written all before the reader goes.
        assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_one_line(archive: Path) -> None:
    for line in ("check", archive), ("check", archive, "--json"), ("--help",), ("--version",):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([PROGRAM, *line], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (
            1,
            "rsir-tf: the output cannot be written: no space left on device\n",
        )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_an_encoding_lacks(tmp_path: Path, encoding: str) -> None:
    for name in ("é", "湖", os.fsdecode(b"\xff")):
        (tmp_path / "archive" / name).mkdir(parents=True)
        picture(tmp_path / "archive" / name / "1.png", (200, 10, 10))
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for line in ("check", tmp_path / "archive"), ("--help",), ("query", "--help"):
        done = subprocess.run([PROGRAM, *line], capture_output=True, check=False, env=environment)
        assert (done.returncode, done.stderr) in ((0, b""), (1, b"")), done.stderr
        assert done.stdout
    line = [PROGRAM, "check", tmp_path / "archive", "--json"]
    done = subprocess.run(line, capture_output=True, check=False, env=environment)
    assert "湖" in str(json.loads(done.stdout.decode(encoding)))


def test_the_shell_completes_commands_and_options() -> None:
    environment = {**os.environ, "_RSIR_TF_COMPLETE": "complete_bash"}
    for words, wanted in (("rsir-tf ev", "evaluate"), ("rsir-tf query a.png --withi", "--within")):
        here = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        done = subprocess.run([PROGRAM], capture_output=True, text=True, check=False, env={**environment, **here})
        assert done.stdout.split() == [wanted], done.stderr
