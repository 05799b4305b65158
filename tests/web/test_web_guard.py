"""Who gets in, what is refused before it is looked at, and the headers of every answer."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from web_samples import HOSTILE, RED, TOKEN, picture, png

from rsir_tf.errors import InputError
from rsir_tf.web.access import COOKIE, Access
from rsir_tf.web.serving import check_basemap, make_app

TILES = "https://tiles.example:8443/{z}/{x}/{y}.png?k=1"
OPEN = Access(None, loopback=True)
CLOSED = Access(TOKEN, loopback=False)


def test_every_answer_has_the_headers(client) -> None:
    for path in ("/api/index", "/api/thumbnail?id=lake/0.png", "/nothing", "/api/query"):
        headers = client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


def test_another_name_of_this_machine_is_refused_on_loopback(client) -> None:
    for host in ("attacker.example", "attacker.example:8080", "127.0.0.1.attacker.example"):
        assert client(OPEN, host=host).get("/api/index").status_code == 421
    for host in ("localhost", "127.0.0.1:9", "[::1]:8080"):
        assert client(OPEN, host=host).get("/api/index").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:8080"}, 200),
        ({"Origin": "http://localhost:9090"}, 403),
        ({"Origin": "https://localhost:8080"}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_posts_of_other_sites_are_refused(client, headers: dict[str, str], status: int) -> None:
    answer = client().post("/api/query", content=png(picture(RED, RED, 1)), headers=headers)
    assert answer.status_code == status


def test_links_from_other_sites_lead_to_the_page(client) -> None:
    assert client().get("/api/index", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_websocket_of_another_site_is_refused(client) -> None:
    from starlette.websockets import WebSocketDisconnect

    for headers in ({"origin": "http://attacker.example"}, {"origin": "http://localhost:8080", "host": "x.example"}):
        with pytest.raises(WebSocketDisconnect) as refused, client().websocket_connect("/ws", headers=headers):
            pass
        assert refused.value.code == 1008
    with pytest.raises(WebSocketDisconnect), client(CLOSED, host="archive.example").websocket_connect("/ws"):
        pass


def test_without_the_token_nothing_is_answered(client) -> None:
    page = client(CLOSED, host="archive.example", follow_redirects=False)
    for path in ("/", "/api/index", "/api/openapi.json", "/api/thumbnail?id=lake/0.png"):
        assert page.get(path).status_code == 401
        assert page.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert page.get(path, headers={"Cookie": f"{COOKIE}={TOKEN}"}).status_code == 401  # The cookie is another.
    assert page.get("/?token=wrong").status_code == 401
    assert page.post("/login", content="token=wrong").status_code == 401
    assert page.get("/api/index", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    form = page.get("/", headers={"Accept": "text/html"})
    assert "<form" in form.text
    assert "'unsafe-inline'" not in form.headers["content-security-policy"].split("script-src")[1].split(";")[0]


def test_the_token_gives_a_cookie_and_leaves_the_address(client) -> None:
    page = client(CLOSED, host="archive.example", follow_redirects=False)
    way = page.get("/api/images", params={"token": TOKEN, "scene": "fire"})
    assert (way.status_code, way.headers["location"]) == (303, "/api/images?scene=fire")
    cookie = way.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    assert page.get("/api/images?scene=fire").json()["total"] == 4  # The client keeps cookies.
    by_form = client(CLOSED, host="archive.example", follow_redirects=False)
    assert by_form.post("/login", data={"token": TOKEN}).headers["location"] == "/"
    assert by_form.get("/api/index").status_code == 200


def test_the_way_back_stays_on_this_server(client) -> None:
    page = client(CLOSED, host="archive.example", follow_redirects=False)
    for path in ("//attacker.example/x", "/\\attacker.example/x"):
        location = page.get(f"{path}?token={TOKEN.replace(' ', '+')}").headers["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))


def test_who_gets_in_is_decided_by_the_address() -> None:
    def decide(host: str, token: str | None = None, no_token: bool = False) -> Access:
        return Access.decide(host, token=token, no_token=no_token, encrypted=False)

    assert decide("127.0.0.1").token is None
    assert decide("::1").token is None
    assert decide("localhost").loopback
    assert decide("127.0.0.1", TOKEN).token == TOKEN
    made = [decide("0.0.0.0").token, decide("0.0.0.0").token]
    assert all(token is not None and len(token) >= 32 for token in made)
    assert made[0] != made[1]
    assert decide("0.0.0.0", no_token=True).token is None
    with pytest.raises(InputError, match="has 5 characters"):
        decide("0.0.0.0", "short")
    with pytest.raises(InputError, match="both"):
        decide("0.0.0.0", TOKEN, no_token=True)


def test_a_body_that_is_too_large_is_refused(client) -> None:
    assert client().post("/api/query", content=b"x" * 200_001).status_code == 413
    sent = []

    def endless():
        for _ in range(1000):
            sent.append(10_000)
            yield b"x" * 10_000

    # Without a Content-Length: it is counted as it comes.
    assert client().post("/api/query", content=endless()).status_code == 413


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose header says how much it would unpack to."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 + 3 * width) * 8)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    return buffer.getvalue()


VRT = b"""<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb(50_000, 50_000), "pixels"),
        (bomb(129, 128), "at most 16,384 pixels"),
        (b"", "empty"),
        (b"<script>alert(1)</script>" * 4, "is not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG"),
        (VRT, "VRT"),
        (b"GIF89a" + bytes(100), "GIF"),
        (png(picture(RED, RED, 1))[:-60], "cut off"),
        (tiff(picture(RED, RED, 1))[:200], "upload"),
        (tiff(picture(RED, RED, 1)[..., 0]), "grey"),
    ],
)
def test_uploads_that_are_no_pictures_are_refused(client, content: bytes, words: str) -> None:
    answer = client().post("/api/query", content=content, headers={"X-File-Name": "..%2F..%2Fupload.png"})
    assert answer.status_code == 400
    told = answer.json()
    assert words in f"{told['error']} {told['wanted']}"
    assert "/tmp" not in answer.text


def test_a_hostile_name_stays_text(client) -> None:
    told = client().post(
        "/api/query", content=png(picture(RED, RED, 1)), headers={"X-File-Name": "%3Cimg onerror=x%3E.png"}
    )
    assert told.json()["query"] == "<img onerror=x>.png"
    assert told.headers["content-type"] == "application/json"
    assert HOSTILE in client().get("/api/images?text=onerror").json()["images"][0]["id"]


def test_only_a_base_map_that_was_named_may_be_loaded_from_elsewhere(house) -> None:
    from fastapi.testclient import TestClient

    for basemap, source in ((None, "img-src 'self' data: blob:;"), (TILES, "blob: https://tiles.example:8443;")):
        app = make_app(house, OPEN, page=False, basemap=basemap)
        policy = TestClient(app, base_url="http://localhost:8080").get("/api").headers["content-security-policy"]
        assert source in policy
        assert policy.count("https:") == policy.count("tiles.example")


def test_a_base_map_is_an_address_of_the_web() -> None:
    assert check_basemap(TILES) == "https://tiles.example:8443"
    for wrong in (
        "https://tiles.example/",
        "file:///{z}/{x}/{y}",
        "https://a b/{z}/{x}/{y}",
        "https://{s}.x/{z}{x}{y}",
    ):
        with pytest.raises(InputError, match="--basemap"):
            check_basemap(wrong)
