"""`index --shard` and `join`: one archive, indexed in parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SERVING = Path(__file__).parents[2] / "serving"


def test_parts_are_indexed_and_joined(tmp_path: Path, archive: Path, server: str, command) -> None:
    for part in (1, 2):
        ended = command("index", archive, "--to", tmp_path / f"part-{part}", "--shard", f"{part}/2", "--server", server)
        assert ended.code == 0, ended.err
        assert "3 images in the index: 3 added" in ended.err
    ended = command("join", tmp_path / "part-2", "--to", tmp_path / "index")
    assert (ended.code, "of 2 parts, 1 is missing: 1" in ended.err) == (1, True)
    ended = command("join", tmp_path / "part-2", tmp_path / "part-1", "--to", tmp_path / "index", "--merge")
    assert ended.code == 0, ended.err
    assert ended.out == f"{tmp_path / 'index'}\n"
    assert (
        "6 images in the index: 6 added, 0 with known content, 0 unchanged, 0 refreshed, 0 removed, 0 skipped"
        in ended.err
    )
    again = command("join", tmp_path / "part-2", tmp_path / "part-1", "--to", tmp_path / "index", "--json")
    assert '"unchanged": 6' in again.out
    # The joined index is an index like others: the archive can be indexed into it directly, and nothing is new.
    direct = command("index", archive, "--to", tmp_path / "index", "--server", server)
    assert "0 added, 0 with known content, 6 unchanged" in direct.err


@pytest.mark.parametrize("shard", ["3", "3/2", "0/2", "one/2"])
def test_a_part_that_there_is_not_is_bad_usage(tmp_path: Path, archive: Path, server: str, command, shard: str) -> None:
    ended = command("index", archive, "--to", tmp_path / "part", "--shard", shard, "--server", server)
    assert (ended.code, (tmp_path / "part").exists()) == (2, False)
    assert "--shard" in ended.err


@pytest.mark.parametrize("option", [("--workers", 2), ("--staging", "parts")])
def test_options_of_a_cluster_want_one(tmp_path: Path, archive: Path, server: str, command, option: tuple) -> None:
    ended = command("index", archive, "--to", tmp_path / "index", "--server", server, *option)
    assert (ended.code, (tmp_path / "index").exists()) == (2, False)
    assert "--ray" in ended.err


def test_the_array_script_makes_parts_and_joins_them(tmp_path: Path, archive: Path, server: str) -> None:
    script, index = SERVING / "index_in_parts.slurm", tmp_path / "index"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PARTS": "2"}
    for part in ("1", "2"):
        line = [script, archive, index, "--server", server]
        subprocess.run(line, check=True, env={**environment, "SLURM_ARRAY_TASK_ID": part}, capture_output=True)
    done = subprocess.run([script, "--join", index], check=True, env=environment, capture_output=True, text=True)
    assert "6 images in the index: 6 added" in done.stderr


def test_the_job_has_as_many_pods_as_parts() -> None:
    job = yaml.safe_load((SERVING / "kubernetes/indexing/job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {"PARTS": str(job["spec"]["completions"])}
    assert job["spec"]["completionMode"] == "Indexed"
