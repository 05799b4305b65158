"""publish, and query with candidates, with Qdrant's client in its local mode in a server's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

qdrant_client = pytest.importorskip("qdrant_client", reason="qdrant-client is not installed (the extra `qdrant`)")

TO = "qdrant://localhost:6333/archive"


@pytest.fixture
def local_qdrant(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    client = qdrant_client.QdrantClient(":memory:")
    monkeypatch.setattr(qdrant_client, "QdrantClient", lambda **_: client)
    return client


def test_publish_and_query(archive: Path, index: Path, server: str, command, local_qdrant) -> None:
    image = next(archive.rglob("*beach*.jpg"), None) or next(archive.rglob("*beach*.tif"))
    query = ("query", image, "--index", index, "--server", server)
    ended = command(*query, "--candidates", TO)
    assert (ended.code, ended.out) == (1, "")
    assert f"rsir-tf: {TO}: there is no such collection; run rsir-tf publish" in ended.err

    ended = command("publish", index, "--to", TO, "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert (summary["images"], summary["sent"], summary["recall"]) == (6, 6, {"100": 1.0, "1000": 1.0})
    assert "of the exact first 10, 100.00% are among the first 100 proposed (6 queries)" in ended.err

    plain = json.loads(command(*query, "--top", 3, "--json").out)
    ended = command(*query, "--top", 3, "--json", "--candidates", TO, "--candidates-top", 4)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found.pop("candidates") == {
        "collection": TO,
        "top": 4,
        "recall_of_first_10": None,  # It is measured for 100 and 1,000.
        "recall_measured_with_top": None,
        "recall_measured_with_queries": 6,
    }
    assert (plain.pop("exact"), found.pop("exact")) == (True, False)
    assert found == plain
    assert f"only images that {TO} proposed were searched; how many of the nearest are among them was not" in ended.err
    # Six images are all that there are.
    assert json.loads(command(*query, "--json", "--candidates", TO).out)["exact"]
    assert command("publish", index, "--to", TO).out == f"{TO}\n"


def test_options_that_do_not_go_together(archive: Path, index: Path, server: str, command, local_qdrant) -> None:
    image = next(archive.rglob("*beach*.jpg"), None) or next(archive.rglob("*beach*.tif"))
    query = ("query", image, "--index", index, "--server", server, "--candidates", TO)
    for more, words in (
        (("--expand", 2), "--candidates is for a query image alone"),
        (("--top", 20, "--candidates-top", 10), "--top 20 is more than the 10 images of --candidates-top"),
    ):
        ended = command(*query, *more)
        assert ended.code == 2
        assert words in " ".join(ended.err.replace("│", " ").split())
    ended = command("query", "--index", index, "--shows", "red:0.1", "--candidates", TO)
    assert (ended.code, "--candidates: there is no image" in ended.err) == (2, True)


def test_another_scheme_than_was_published(archive: Path, index: Path, server: str, command, local_qdrant) -> None:
    image = next(archive.rglob("*beach*.jpg"), None) or next(archive.rglob("*beach*.tif"))
    assert command("publish", index, "--to", TO, "--metric", "cosine").code == 0
    query = ("query", image, "--server", server, "--candidates", TO)
    ended = command(*query, "--index", index)
    assert (ended.code, ended.out) == (1, "")
    assert "proposes images for recnn+ (metric cosine); wanted one for recnn+ (metric l1)" in ended.err
    assert command(*query, "--index", index, "--metric", "cosine").code == 0
