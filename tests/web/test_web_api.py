"""The routes for programs: what they answer, and that it is what the library finds."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web_samples import BLUE, GREEN, HOSTILE, PICTURES, RED, Canned, add_to_index, picture, png

from rsir_tf.ranking import open_index
from rsir_tf.web.question import Question
from rsir_tf.workflows import browsing, query_image


def test_the_index_is_told_with_counts(client) -> None:
    told = client().get("/api/index").json()
    assert told["images"] == len(PICTURES)
    assert told["scenes"] == {"fire": 4, "lake": 4, "odd": 1, "shore": 4}
    assert told["tags"] == {"land": 4, "water": 8}
    # Red: fire and the odd one; green: shores and the odd one; blue: lakes and shores.
    assert sorted(told["classes"].values()) == [5, 5, 8]
    assert told["schemes"][:2] == ["recnn", "recnn+"]
    assert told["placed"] is False


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ("scene=fire", [f"fire/{number}.png" for number in range(4)]),
        ("tag=water&tag=land", [f"shore/{number}.png" for number in range(4)]),
        ("text=LAKE/1", ["lake/1.png"]),
        ("scene=lake&tag=land", []),
        ("text=%3Cimg", [f"odd/{HOSTILE}"]),
    ],
)
def test_images_are_chosen_by_conditions(client, conditions: str, ids: list[str]) -> None:
    told = client().get(f"/api/images?{conditions}").json()
    assert [image["id"] for image in told["images"]] == ids
    assert told["total"] == len(ids)


def test_images_are_chosen_by_what_they_show(client) -> None:
    classes = list(client().get("/api/index").json()["classes"])
    told = client().get("/api/images", params={"shows": classes[:2]}).json()
    shown = [image["id"] for image in told["images"]]
    assert all({RED, GREEN} <= set(PICTURES[image][:2]) for image in shown)
    assert client().get("/api/images?shows=nothing").status_code == 400


def test_an_image_of_the_archive_finds_what_the_library_finds(client, archive: Path, model: Canned) -> None:
    index = open_index(archive / "index", roots={"": archive / "images"})
    expected = query_image(archive / "images/shore/0.png", index, Canned(), scheme="recnn", top=5).to_json()
    told = client().get("/api/query?id=shore/0.png&scheme=recnn&top=5").json()
    assert told["query"] == "shore/0.png"
    assert told["regions"] == expected["regions"]
    for hit, wanted in zip(told["hits"], expected["hits"], strict=True):
        assert hit.pop("path") == hit.pop("address")
        assert hit == {name: value for name, value in wanted.items() if name not in ("path", "address")}
    assert str(archive) not in json.dumps(told)


def test_a_region_asks_alone_by_number_and_by_point_with_one_request_to_the_model(client, model: Canned) -> None:
    whole = client().get("/api/query?id=shore/0.png&scheme=recnn").json()
    assert len(whole["regions"]) == 2
    right = client().get("/api/query?id=shore/0.png&at=60,5").json()  # The green half.
    (region,) = right["regions"]
    assert region["box"][1] >= 30
    assert {hit["id"].split("/")[0] for hit in right["hits"][:5]} == {"shore", "odd"}
    assert client().get(f"/api/query?id=shore/0.png&region={region['region']}").json() == right
    assert model.requests == 1


def test_conditions_limit_what_is_found(client) -> None:
    told = client().get("/api/query?id=shore/0.png&scene=lake").json()
    assert {hit["scene"] for hit in told["hits"]} == {"lake"}
    assert told["exact"]
    told = client().get("/api/query?id=lake/0.png&overlap=1").json()
    assert {hit["scene"] for hit in told["hits"]} == {"lake", "shore"}


def test_an_image_in_the_body_asks(client) -> None:
    content = png(picture(RED, RED, 99))
    told = client().post("/api/query?top=4", content=content, headers={"X-File-Name": "my%20fire.png"}).json()
    assert told["query"] == "my fire.png"
    assert {hit["scene"] for hit in told["hits"]} == {"fire"}
    # The same pixels as an image of the archive: its own descriptors, distance 0.
    own = client().post("/api/query", content=png(picture(BLUE, GREEN, 20))).json()
    assert own["hits"][0] | {"distance": 0.0, "id": "shore/0.png"} == own["hits"][0]


def test_an_upload_asks_several_times_and_is_shown(client) -> None:
    page = client()
    name = page.post("/api/uploads", content=png(picture(BLUE, BLUE, 98))).json()["upload"]
    assert page.get(f"/api/query?upload={name}&top=4").json()["hits"][0]["scene"] == "lake"
    shown = Image.open(io.BytesIO(page.get(f"/api/picture?upload={name}").content))
    assert shown.size == (64, 64)
    assert page.get("/api/query?upload=guessed").status_code == 404


def test_pictures_are_those_of_the_images(client) -> None:
    small = client().get("/api/thumbnail?id=lake/0.png")
    assert small.headers["content-type"] == "image/jpeg"
    assert np.abs(np.asarray(Image.open(io.BytesIO(small.content)), int).mean((0, 1)) - (24, 24, 204)).max() < 4
    whole = client().get("/api/picture", params={"id": f"odd/{HOSTILE}"})
    assert Image.open(io.BytesIO(whole.content)).size == (64, 64)


def test_pictures_that_are_not_what_was_indexed_are_not_shown(client, archive: Path) -> None:
    page = client()
    assert page.get("/api/thumbnail?id=lake/0.png").status_code == 200
    (archive / "images/lake/0.png").write_bytes(png(picture(RED, GREEN, 5)))
    (archive / "images/lake/1.png").unlink()
    secret = archive / "secret.png"
    secret.write_bytes(png(picture(RED, RED, 6)))
    (archive / "images/lake/2.png").unlink()
    (archive / "images/lake/2.png").symlink_to(secret)
    for number, word in ((0, "changed"), (1, "no such file"), (2, "changed")):
        for route in ("thumbnail", "picture", "regions", "query"):
            answer = page.get(f"/api/{route}?id=lake/{number}.png")
            assert answer.status_code == 404, (route, number)
            assert word in answer.json()["error"]
            assert str(archive) not in answer.text


@pytest.mark.parametrize("path", ["/etc/passwd", "../index/manifest.json", "fire", "http://localhost/x.png", "a\0b"])
def test_a_typed_path_opens_nothing_but_the_index_s_own_files(client, path: str) -> None:
    answer = client().get("/api/query", params={"path": path})
    assert answer.status_code == 400
    assert "is no file of this index" in answer.json()["error"]


def test_a_typed_path_of_an_image_asks(client, archive: Path) -> None:
    for path in ("fire/0.png", "fire/../fire/0.png", str(archive / "images/fire/0.png")):
        assert client().get("/api/query", params={"path": path}).json()["hits"][0]["id"] == "fire/0.png"
    part = client().get("/api/query?path=shore/0.png&window=32,0,32,64&top=3").json()
    assert part["hits"][0]["scene"] in {"shore", "odd"}


def test_regions_cover_the_image(client) -> None:
    told = client().get("/api/regions?id=shore/0.png").json()
    assert (told["height"], told["width"]) == (64, 64)
    assert [region["share"] for region in told["regions"]] == [0.5, 0.5]
    halves = {"M0 0L32 0L32 64L0 64Z", "M32 0L64 0L64 64L32 64Z"}
    assert {region["outline"] for region in told["regions"]} == halves


def test_hits_are_taken_away(client) -> None:
    page = client()
    table = page.get("/api/query", params={"id": f"odd/{HOSTILE}", "format": "csv", "top": 3})
    assert table.headers["content-disposition"] == 'attachment; filename="hits.csv"'
    rows = list(csv.reader(io.StringIO(table.text)))
    assert rows[0][:3] == ["rank", "distance", "id"]
    assert rows[1][:3] == ["1", "0.0", f"odd/{HOSTILE}"]
    drawn = page.get("/api/query?id=shore/0.png&format=png&scheme=recnn&top=3")
    assert Image.open(io.BytesIO(drawn.content)).format == "PNG"
    assert page.get("/api/query?id=shore/0.png&format=geojson").json()["features"] == []  # Nothing has a place.
    assert page.get("/api/query?id=shore/0.png&format=exe").status_code == 400


def test_errors_are_told_with_their_cure(client, model: Canned) -> None:
    page = client()
    assert page.get("/api/query?id=nothing").status_code == 404
    for wrong in ("top=0", "top=many", "top=5&top=6", "scheme=none", "region=7", "at=900,1", "area=1,2", "window=1,2"):
        answer = page.get(f"/api/query?id=fire/0.png&{wrong}")
        assert answer.status_code == 400, wrong
    model.down = True
    down = page.get("/api/query?id=lake/3.png")
    assert (down.status_code, down.json()["cure"]) == (503, "start the server")
    model.down = False
    assert page.get("/api/query?id=lake/3.png").status_code == 200


def test_a_changed_index_is_seen(client, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "LOOK_AGAIN", 0.0)
    page = client()
    assert page.get("/api/query?id=fire/0.png").status_code == 200
    (archive / "images/fire/9.png").write_bytes(png(picture(RED, RED, 77)))
    add_to_index(archive, ["fire/9.png"])
    assert page.get("/api/images?scene=fire").json()["total"] == 5
    assert page.get("/api/query?id=fire/9.png&top=1").json()["hits"][0]["id"] == "fire/9.png"
    (archive / "index/manifest.json").write_text("damaged")
    time.sleep(0.01)
    assert page.get("/api/images").json()["total"] == len(PICTURES) + 1  # What is open is whole.


def test_questions_survive_the_address_bar() -> None:
    question = Question(
        id=("a b&c/ü.png",), region=3, scheme="recnn+", overlap=True, tag=("x", "y"), shows=(("a:b", 0.25),),
        area=((1.5, 2.0), (3.0, 4.0), (5.0, 6.25)), top=48,
    )  # fmt: skip
    assert Question.parse(question.query()) == question
    assert question.url(page=1).startswith("/?id=a+b%26c%2F%C3%BC.png&")
    assert Question().url() == "/"
    assert question.asking(id=("d",)) == Question(
        id=("d",), scheme="recnn+", overlap=True, tag=("x", "y"), shows=(("a:b", 0.25),), area=question.area
    )


def test_the_description_names_every_route_and_parameter(client) -> None:
    told = client().get("/api/openapi.json").json()
    assert {"/api/index", "/api/images", "/api/query", "/api/uploads", "/api/regions"} <= set(told["paths"])
    names = {parameter["name"] for parameter in told["paths"]["/api/query"]["get"]["parameters"]}
    assert {"id", "upload", "region", "at", "scheme", "top", "format"} <= names
    page = client().get("/api")
    assert page.headers["content-type"].startswith("text/html")
    assert "GET /api/thumbnail" in page.text
    assert "<script" not in page.text


def test_examples_refine(client, model: Canned) -> None:
    # The odd one is half green, half red; who also likes a lake and not a fire gets shores before fires.
    told = (
        client().get("/api/query", params={"id": f"odd/{HOSTILE}", "like": "lake/0.png", "unlike": "fire/0.png"}).json()
    )
    found = [hit["id"] for hit in told["hits"]]
    assert "fire/0.png" not in found
    assert found.index("shore/0.png") < found.index("fire/1.png")
    assert model.requests == 1
    alone = client().get("/api/query?like=lake/0.png&like=lake/1.png&top=4").json()
    assert {hit["scene"] for hit in alone["hits"]} == {"lake"}
    assert model.requests == 1  # Examples alone need no model.
    together = client().get("/api/query?id=lake/0.png&id=fire/0.png").json()
    assert {hit["scene"] for hit in together["hits"]} == {"fire", "lake", "odd", "shore"}
    assert together["query"] == "lake/0.png, fire/0.png"
    assert client().get("/api/query?like=lake/0.png&unlike=nothing").status_code == 404
    assert client().get("/api/query?unlike=lake/0.png").status_code == 400
