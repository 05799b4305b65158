"""Publishing an index into Qdrant, and asking with what it proposes: in the client's local mode, which compares all
vectors, and against the server that RSIR_TF_TEST_QDRANT names (HOST:PORT)."""

from __future__ import annotations

import dataclasses
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from index_samples import entry, random_entry, settings

from rsir_tf.databases import Point, VectorKind, open_collection
from rsir_tf.databases.qdrant import KEY, QdrantCollection
from rsir_tf.errors import DatabaseError, InputError, MismatchError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import Candidates, Index, make_scheme, open_index, search
from rsir_tf.ranking.images import image_at
from rsir_tf.workflows import Proposals, publish_index
from rsir_tf.workflows.published import Published

qdrant_client = pytest.importorskip("qdrant_client", reason="qdrant-client is not installed (the extra `qdrant`)")

SERVER = os.environ.get("RSIR_TF_TEST_QDRANT")
SCHEMES = [("recnn+", {}), ("recnn+", {"metric": "cosine"}), ("recnn", {}), ("recnn", {"vectors": "unit"})]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return made(tmp_path / "index", range(120))


def made(path: Path, numbers, **other) -> Index:
    """Images of 1 to 4 regions with vectors of whole numbers, in several segments, and one without regions."""
    with IndexWriter.open(path, settings(channels=8, **other), images_per_segment=50) as writer:
        for at in numbers:
            writer.add(random_entry(f"{at:03}", at, regions=1 + at % 4, channels=8, high=100))
        writer.add(random_entry("none", 0, regions=0, channels=8))
    return open_index(path)


@pytest.fixture(params=["local", "server"] if SERVER else ["local"])
def collection(request: pytest.FixtureRequest) -> Iterator[Callable[[], QdrantCollection]]:
    """Return a function that opens one collection, which does not exist yet."""
    name = f"rsir-tf-test-{uuid.uuid4().hex}"
    if request.param == "local":
        client = qdrant_client.QdrantClient(":memory:")
        yield lambda: QdrantCollection(f"qdrant://localhost/{name}", client)
        return
    yield lambda: QdrantCollection(f"qdrant://{SERVER}/{name}")
    qdrant_client.QdrantClient(url=f"http://{SERVER}", api_key=os.environ.get(KEY)).delete_collection(name)


@pytest.mark.parametrize(("name", "options"), SCHEMES)
def test_what_is_proposed_is_ranked_exactly(index: Index, collection, name: str, options: dict) -> None:
    scheme = make_scheme(name, **options)
    summary = publish_index(index, collection(), scheme=scheme, queries=30)
    assert (summary.images, summary.sent, summary.removed, summary.queries) == (121, 121, 0, 30)
    # Local mode compares every vector, and of 120 images 100 are proposed: the first ten are among them.
    assert summary.recall[100] >= 0.99
    assert summary.recall[1000] == 1.0  # more than there are
    proposals = Proposals(collection(), index, scheme, top=40)
    features = image_at(index.vectors, index.position_of(7))
    proposed = proposals.candidates(features, None)
    assert len(proposed.rows) == 40
    assert not proposed.complete
    answer = search(index, features, scheme, top=5, among=proposed)
    everywhere = search(index, features, scheme, top=5)
    assert answer.hits == everywhere.hits  # The same images at the same distances.
    assert (answer.exact, everywhere.exact) == (False, True)


def test_what_recall_is_said_to_be(index: Index, collection) -> None:
    publish_index(index, collection(), queries=10)
    scheme = make_scheme("recnn+")
    known = Proposals(collection(), index, scheme, top=500).about(measured=True)
    assert (known.top, known.recall, known.recall_top, known.queries) == (500, 1.0, 100, 10)
    assert Proposals(collection(), index, scheme, top=99).about(measured=True).recall is None
    assert Proposals(collection(), index, scheme, top=500).about(measured=False).recall is None


def test_recall_is_what_is_counted_by_hand(index: Index, collection, monkeypatch: pytest.MonkeyPatch) -> None:
    # A database that proposes the farthest images in place of the second half of the nearest: 5 of 10 are found.
    def nearest(self, vectors, top, among=None):
        every = honest(self, vectors, 200, among)
        return every[:6] + every[-(top - 6) :]  # The image that asks, five more, and those at the end.

    honest = QdrantCollection.nearest
    monkeypatch.setattr(QdrantCollection, "nearest", nearest)
    monkeypatch.setattr("rsir_tf.workflows.publishing.TOPS", (50,))
    assert publish_index(index, collection(), queries=20).recall == {50: 0.5}


def test_limits_and_proposals_together(index: Index, collection) -> None:
    publish_index(index, collection(), queries=5)
    scheme = make_scheme("recnn+")
    proposals = Proposals(collection(), index, scheme, top=20)
    features = image_at(index.vectors, index.position_of(3))
    few = Candidates(np.arange(60, 80), complete=True)
    assert proposals.candidates(features, few) is few  # All of them can be ranked: the answer is exact.
    many = Candidates(np.arange(60, 100), complete=True)
    within = proposals.candidates(features, many)
    assert len(within.rows) == 20
    assert set(within.rows) <= set(range(60, 100))
    wanted = search(index, features, scheme, top=10, among=many).hits
    assert search(index, features, scheme, top=10, among=within).hits == wanted


def test_all_images_proposed_is_exact(index: Index, collection) -> None:
    publish_index(index, collection(), queries=5)
    everything = Proposals(collection(), index, make_scheme("recnn+"), top=1000)
    assert everything.candidates(image_at(index.vectors, 0), None).complete


def test_only_what_is_missing_is_sent(index: Index, collection, tmp_path: Path) -> None:
    publish_index(index, collection(), queries=5)
    assert publish_index(index, collection(), queries=5).sent == 0
    with IndexWriter.open(index.path, index.settings) as writer:
        writer.remove(["003", "004"])
        writer.add(random_entry("new", 500, regions=2, channels=8, high=100))
        writer.remove(["005"])
        writer.add(random_entry("005", 900, regions=2, channels=8, high=100))  # other vectors
    changed = open_index(index.path)
    with pytest.raises(MismatchError, match=r"121 images of another state.*120 images"):
        Proposals(collection(), changed, make_scheme("recnn+"))
    summary = publish_index(changed, collection(), queries=5)
    assert (summary.images, summary.sent, summary.removed) == (120, 2, 2)
    Proposals(collection(), changed, make_scheme("recnn+"))
    assert sorted(image for image, _ in collection().stored()) == sorted(changed.images.ids)


def test_a_stopped_publication_is_told_and_continued(index: Index, collection, monkeypatch) -> None:
    monkeypatch.setattr("rsir_tf.workflows.publishing.NUMBERS_AT_ONCE", 40)  # five images
    put, batches = QdrantCollection.put, []

    def stop(self, points):
        batches.append(points)
        if len(batches) == 4:
            raise KeyboardInterrupt
        put(self, points)

    with monkeypatch.context() as patched:
        patched.setattr(QdrantCollection, "put", stop)
        with pytest.raises(KeyboardInterrupt):
            publish_index(index, collection())
    assert [len(each) for each in batches] == [5] * 4
    with pytest.raises(DatabaseError, match="was not published to its end; run rsir-tf publish"):
        Proposals(collection(), index, make_scheme("recnn+"))
    assert publish_index(index, collection(), queries=5).sent == 121 - 15
    Proposals(collection(), index, make_scheme("recnn+"))


def test_two_publications_at_once_are_told(index: Index, collection, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_begins(self, progress):
        facts = Published.from_json(self.facts(), self.address)
        self.note(dataclasses.replace(facts, writer="another").to_json())

    monkeypatch.setattr(QdrantCollection, "settle", other_begins)
    with pytest.raises(DatabaseError, match="another process published into it meanwhile"):
        publish_index(index, collection(), queries=5)


def test_another_model_scheme_or_program(index: Index, collection, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no such collection"):
        Proposals(collection(), index, make_scheme("recnn+"))
    publish_index(index, collection(), queries=5)
    other = made(tmp_path / "other", range(5), convention="aligned_corners")
    for call in (publish_index, lambda *given: Proposals(*reversed(given), make_scheme("recnn+"))):
        with pytest.raises(MismatchError, match=r"half_pixel.*aligned_corners.*into another collection"):
            call(other, collection())
    with pytest.raises(MismatchError, match=r"proposes images for recnn\+ \(metric l1\); wanted one for recnn"):
        publish_index(index, collection(), scheme="recnn")
    with pytest.raises(MismatchError, match=r"metric l1\).*metric l2\)"):
        Proposals(collection(), index, make_scheme("recnn+", metric="l2"))
    gone = collection()
    gone._client.delete_collection(gone._name)
    with pytest.raises(DatabaseError, match="there is no such collection"):
        list(gone.stored())
    models = qdrant_client.models
    size = models.VectorParams(size=8, distance=models.Distance.MANHATTAN)
    gone._client.create_collection(gone._name, vectors_config=size)
    with pytest.raises(DatabaseError, match="was not made by rsir-tf publish"):
        publish_index(index, collection())


def test_other_vectors_than_the_facts_say(index: Index, collection) -> None:
    facts = Published(index.settings, "recnn+", {"metric": "l1"}, 121, "", "me")
    collection().create(VectorKind(16, "l1", False), facts.to_json())
    with pytest.raises(DatabaseError, match=r"vectors of 16 numbers, compared by Manhattan; wanted vectors of 8"):
        publish_index(index, collection())
    newer = {**facts.to_json(), "format": 2}
    collection().note(newer)
    with pytest.raises(DatabaseError, match="format 2; wanted format 1"):
        publish_index(index, collection())


def test_too_many_regions_for_a_point(tmp_path: Path, collection, monkeypatch: pytest.MonkeyPatch) -> None:
    # Qdrant takes fewer than 1,048,576 numbers: of 512 channels, 2,047 regions.
    assert QdrantCollection.most_numbers // 512 == 2047
    monkeypatch.setattr(QdrantCollection, "most_numbers", 31)
    with IndexWriter.open(tmp_path / "index", settings(channels=8)) as writer:
        writer.add(entry("many", np.ones((4, 8))))
    with pytest.raises(InputError, match=r"many: has 4 regions of 8 numbers.*at most 3 regions"):
        publish_index(open_index(tmp_path / "index"), collection(), scheme="recnn")


def test_a_point_alone_may_be_larger_than_a_batch(collection, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsir_tf.workflows.publishing.NUMBERS_AT_ONCE", 1)
    assert publish_index(index, collection(), scheme="recnn", queries=2).sent == 121


@pytest.mark.parametrize(
    "address",
    [
        "qdrant:/x",
        "milvus://host/x",
        "qdrant://host",
        "qdrant://host/a/b",
        "qdrant://host:99999/x",
        "qdrant://k@host/x",
    ],
)
def test_no_address(address: str) -> None:
    with pytest.raises(InputError, match="is no address of a collection; wanted qdrant://HOST:PORT/COLLECTION"):
        open_collection(address)


def test_no_proposals_for_other_schemes(index: Index, collection) -> None:
    with pytest.raises(InputError, match=r"cannot propose images for irm; wanted recnn\+ or recnn"):
        publish_index(index, collection(), scheme="irm")


class Answers(BaseHTTPRequestHandler):
    """Answers every request with the server's `status` and `text`, and keeps the API key that came."""

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("api-key"))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("key", "status", "text", "words"),
    [
        (None, 401, b"Must provide an API key", "the server wants an API key; wanted its key in the environment"),
        ("wrong", 403, b"Forbidden", "the server refuses the API key; wanted its key"),
        (None, 404, b"<html>no such page</html>", "the server answers with status 404: <html>no such page"),
        (None, 200, b"hello", "no Qdrant server answers there"),
        (None, 500, b'{"status":{"error":"disk full"}}', "status 500: .*disk full"),
    ],
)
def test_what_a_server_says(monkeypatch: pytest.MonkeyPatch, key, status: int, text: bytes, words: str) -> None:
    monkeypatch.setenv(KEY, key or "")
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.status, server.text, server.keys = status, text, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.raises(DatabaseError, match=words):
            open_collection(f"qdrant://127.0.0.1:{server.server_port}/x").facts()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert server.keys == [key]


def test_no_server() -> None:
    with pytest.raises(DatabaseError, match=r"qdrant://127.0.0.1:1/x: no Qdrant server answers there \(.*refused"):
        open_collection("qdrant://127.0.0.1:1/x").facts()


def test_points_without_vectors_are_never_proposed(collection) -> None:
    facts = Published(settings(channels=2), "recnn", {}, 2, "", "me")
    opened = collection()
    opened.create(VectorKind(2, "l2", True), facts.to_json())
    opened.put([Point("none", "a", np.zeros((0, 2), np.float32)), Point("one", "b", np.float32([[1, 2], [3, 4]]))])
    assert opened.nearest(np.float32([[0, 0]]), 10) == ["one"]
    assert sorted(opened.stored()) == [("none", "a"), ("one", "b")]
