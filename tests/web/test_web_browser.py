"""The page in a real browser: asking, clicking, going back, marking, uploading, and what visitors must not notice."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_samples import BLUE, HOSTILE, PICTURES, RED, TOKEN, add_to_index, make_archive, make_scenes, picture, png

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = os.environ.get("RSIR_TF_BROWSER") or shutil.which("chromium") or shutil.which("chromium-browser")
if BROWSER is None:
    pytest.skip("no chromium on PATH, and RSIR_TF_BROWSER names no browser", allow_module_level=True)

HERE = Path(__file__).parent
PATIENCE = 20_000  # Milliseconds: other work may hold both cores.


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, scheme: str = "http") -> Iterator[str]:
    port = free_port()
    unchecked = ssl._create_unverified_context()  # Whether it answers at all; a test checks the certificate.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])}
    line = [sys.executable, str(HERE / "serve_samples.py"), str(folder), str(port)]
    with (folder / "log").open("w") as log, subprocess.Popen(line, env=environment, stdout=log, stderr=log) as running:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{scheme}://localhost:{port}/api", timeout=5, context=unchecked).close()
                    break
                except urllib.error.HTTPError:  # It wants the token.
                    break
                except OSError:
                    assert running.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
            yield f"{scheme}://localhost:{port}"
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("web") / "archive")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    yield from start(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser) -> Iterator[object]:
    """Open an address as a new visitor; at the end, nothing strange may have happened to any of them."""
    contexts, strange = [], []

    def heard(message) -> None:
        # A refused upload is an answer with its status, which browsers tell as an error.
        if message.type == "error" and "status of 4" not in message.text and "status of 503" not in message.text:
            strange.append(message.text)

    def opened(url: str, width: int = 1200):
        context = browser.new_context(viewport={"width": width, "height": 900}, ignore_https_errors=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", heard)
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.on("dialog", lambda dialog: (strange.append(dialog.message), dialog.dismiss()))
        own = ("/".join(url.split("/")[:3]), "blob:", "data:")
        page.on("request", lambda each: None if each.url.startswith(own) else strange.append(each.url))
        page.goto(url)
        page.wait_for_selector(".main li, .main .problem, .main .none")
        page.wait_for_function("() => window.socket?.connected")  # Before, a link loads the page anew.
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strange == []


def ids(page) -> list[str]:
    return [each.get_attribute("title") for each in page.query_selector_all(".hits .name")]


def wait_for_hits(page, first: str) -> None:
    page.wait_for_function("first => document.querySelector('.hits .name')?.title === first", arg=first)


def test_asking_clicking_a_region_and_going_back(server: str, visit) -> None:
    page = visit(server)
    assert page.locator(".archive li").count() == len(PICTURES)
    page.click("a[title='shore/1.png']")
    wait_for_hits(page, "shore/1.png")
    page.select_option("select[name=scheme]", "recnn")
    page.wait_for_selector("h1:has-text('recnn'):not(:has-text('+'))")
    assert {image.split("/")[0] for image in ids(page)[:4]} == {"shore"}
    page.wait_for_selector("svg[data-drawn] path.match")  # The outlines of the hits have come.
    box = page.locator(".query .picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
    assert page.locator(".hits .match.lit").count() > 0  # Pointing lights up what matched.
    assert page.locator(".pointed").inner_text().endswith(", 50% of the area")
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 20)
    page.wait_for_url(re.compile("region="))
    page.wait_for_selector("h2:has-text('One region asks')")
    assert {image.split("/")[0] for image in ids(page)[:5]} == {"shore", "odd"}  # Those with something green.
    page.reload()
    page.wait_for_selector("h2:has-text('One region asks')")
    page.go_back()
    page.wait_for_selector("h2:has-text('This image asks')")
    page.go_back()
    page.go_back()
    page.wait_for_selector(".archive li")
    assert page.url.rstrip("/") == server


def test_the_search_begins_at_the_top_and_back_where_it_was(server: str, visit) -> None:
    page = visit(f"{server}/?id=shore/0.png&metric=cosine", width=500)
    page.locator(".hits a.picture").last.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    page.locator(".hits a.picture").last.click()
    page.wait_for_function("() => scrollY === 0 && document.querySelectorAll('.hits li').length > 0")
    page.go_back()
    page.wait_for_function("before => Math.abs(scrollY - before) < 2", arg=before)
    # A region asks under another scheme, and an option of the scheme before does not go along.
    page.locator(".regions a").first.click()
    page.wait_for_url(re.compile(r"\?id=shore%2F0.png&region=\d$"))


def test_conditions_by_form_and_keyboard(server: str, visit) -> None:
    page = visit(server)
    page.select_option("select[name=scene]", "lake")
    page.wait_for_selector("h1:has-text('4 images')")
    assert page.evaluate("document.activeElement.name") == "scene"  # Arrow keys go on to the next one.
    page.focus("input[name=text]")
    page.keyboard.type("2.png")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('1 image')")
    page.focus(".archive a")
    page.keyboard.press("Enter")
    wait_for_hits(page, "lake/2.png")
    assert "scene=lake" in page.url


def test_marking_and_refining(server: str, visit) -> None:
    page = visit(f"{server}/?id=shore/0.png")
    before = ids(page)
    hit = page.locator(".hits li").filter(has=page.locator("[title='fire/0.png']"))
    hit.locator("input[name=like]").check()
    page.locator(".hits li").nth(1).locator("input[name=unlike]").check()
    page.click("text=Refine with what is marked")
    page.wait_for_url(re.compile("like="))
    page.wait_for_selector("h3:has-text('Wrong')")
    after = ids(page)
    assert before[1] not in after
    assert after.index("fire/1.png") < before.index("fire/1.png")
    page.locator(".hits li").last.locator("input[name=unlike]").check()
    page.click("text=Refine with what is marked")
    page.wait_for_selector(".main .none:has-text('1 right and 2 wrong')")  # The first wrong one is no hit, and holds.
    page.click("text=Back to the archive")
    page.wait_for_selector(".archive li")
    for image in ("fire/0.png", "fire/1.png"):
        page.check(f"input[value='{image}']")
    page.click("text=Search with the chosen images together")
    page.wait_for_selector("h3:has-text('Together with')")
    assert {image.split("/")[0] for image in ids(page)[:4]} == {"fire"}


def test_uploads_good_huge_broken_and_hostile(server: str, visit) -> None:
    page = visit(server)

    def bring(name: str, content: bytes) -> None:
        page.set_input_files("[data-upload]", {"name": name, "mimeType": "image/png", "buffer": content})

    bring("broken.png", png(picture(RED, RED, 1))[:500])
    page.wait_for_selector(".side .problem:has-text('broken.png')")
    bring("wide.png", png(picture(RED, RED, 1, width=300)))
    page.wait_for_selector(".side .problem:has-text('at most 16,384 pixels')")
    bring("huge.png", bytes(500_000))
    page.wait_for_selector(".side .problem:has-text('larger than')")
    bring(HOSTILE, png(picture(BLUE, BLUE, 5)))
    page.wait_for_selector(f".side .name:has-text('{HOSTILE}')")
    assert {image.split("/")[0] for image in ids(page)[:4]} == {"lake"}
    assert page.locator(".side img").count() == 1  # Of the name nothing became an element.
    page.reload()
    page.wait_for_selector(".hits li")  # The upload is still there.


DROP = """([name, bytes]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name));
    for (const type of ["dragover", "drop"]) {
        const options = { dataTransfer: files, bubbles: true, cancelable: true };
        document.querySelector("[data-drop]").dispatchEvent(new DragEvent(type, options));
    }
}"""


def test_an_image_is_dropped_on_a_narrow_page(server: str, visit) -> None:
    page = visit(server, width=400)
    page.evaluate(DROP, ["drawing.svg", list(b"<svg/>")])
    page.wait_for_selector(".side .problem:has-text('SVG')")  # The folded form is opened, so that it can be read.
    page.evaluate(DROP, ["dropped.png", list(png(picture(RED, RED, 3)))])
    page.wait_for_selector(".asked .name:has-text('dropped.png')")
    assert {image.split("/")[0] for image in ids(page)[:4]} == {"fire"}


def test_two_visitors_do_not_meet(server: str, visit) -> None:
    one, other = visit(f"{server}/?id=fire/0.png"), visit(f"{server}/?id=lake/0.png", width=400)
    one.click("a[aria-label='Search with fire/1.png']")
    other.click("a[aria-label='Search with lake/3.png']")
    wait_for_hits(one, "fire/1.png")
    wait_for_hits(other, "lake/3.png")
    assert other.evaluate("document.documentElement.scrollWidth") <= 400  # Nothing is wider than a narrow screen.
    other.click("text=How to search, and other images")  # The form is folded there.
    other.select_option("select[name=top]", "12")
    other.wait_for_url(re.compile("top=12"))


def test_the_model_goes_and_comes_back(server: str, folder: Path, visit) -> None:
    page = visit(server)
    (folder / "down").touch()
    new = {"name": "new.png", "mimeType": "image/png", "buffer": png(picture(RED, RED, 1234))}  # No answer is kept.
    page.set_input_files("[data-upload]", new)
    page.wait_for_selector("[role=alert]:has-text('start the server')")
    (folder / "down").unlink()
    page.click("text=Try again")
    page.wait_for_selector(".hits .scene:has-text('fire')")


def test_the_index_changes_meanwhile(server: str, folder: Path, visit) -> None:
    page = visit(f"{server}/?id=lake/0.png")
    (folder / "images/lake/9.png").write_bytes(png(picture(BLUE, BLUE, 90)))
    add_to_index(folder, ["lake/9.png"])
    (folder / "images/lake/3.png").write_bytes(png(picture(RED, BLUE, 91)))
    time.sleep(1.1)  # How late a change is seen at most.
    page.click("a[aria-label='Search with lake/0.png']")
    page.wait_for_selector(".hits .name[title='lake/9.png']")
    page.wait_for_selector(".hits .gone:has-text('has changed since it was indexed')")


def test_the_map_shows_limits_and_asks(tmp_path: Path, visit) -> None:
    for server in start(make_scenes(tmp_path)):
        page = visit(server)
        page.wait_for_selector(".map path.leaflet-interactive")
        time.sleep(0.7)  # The map moves to the footprints.
        box = page.locator(".map").bounding_box()
        page.click(".leaflet-draw-draw-rectangle")
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] - 40, steps=4)
        page.mouse.up()
        page.wait_for_url(re.compile("area="))
        page.wait_for_selector(".chips:has-text('in the drawn area')")
        limited = page.locator(".archive li").count()
        assert 0 < limited < 12
        assert "id=" not in page.url  # Letting go of the rectangle is no click.
        box_typed = page.input_value("input[name=area]")
        assert len(box_typed.split(",")) == 4
        page.click(".chips a")
        page.wait_for_function("() => document.querySelectorAll('.archive li').length === 12")
        time.sleep(0.7)
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".hits li")
        assert "id=" in page.url
        page.check("[data-around]")
        time.sleep(0.7)
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile(r"\?path=[^/]*&lonlat="))  # The window of the scene around the click.
        page.wait_for_selector(".hits li")
        page.fill("input[name=area]", box_typed)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("area="))
        page.wait_for_selector(".hits li")
        page.close()  # Before its server ends.


def test_visitors_in_a_hurry_are_told_to_wait(folder: Path, tmp_path: Path, visit) -> None:
    shutil.copytree(folder, tmp_path / "archive")
    (tmp_path / "archive/slowly").touch()
    for server in start(tmp_path / "archive"):
        page = visit(server)
        for _ in range(60):
            page.evaluate("window.emitEvent('go', 'scene=fire')")
        page.wait_for_selector(".problem:has-text('more quickly than this server allows')")
        page.close()


def test_over_https_with_a_token(folder: Path, tmp_path: Path, visit) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    shutil.copytree(folder, tmp_path / "archive")
    certificates = tmp_path / "archive/certificates"
    script = HERE.parents[1] / "serving" / "make_test_certificates.sh"
    subprocess.run(["sh", str(script), str(certificates)], check=True, timeout=30)
    trusted = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    for server in start(tmp_path / "archive", "https"):
        asked = urllib.request.Request(f"{server}/api/query?id=fire/0.png")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=20, context=trusted)
        asked.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(asked, timeout=20, context=trusted) as answer:
            assert json.load(answer)["hits"][0]["id"] == "fire/0.png"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(asked, timeout=20)
        with pytest.raises(OSError):  # noqa: PT011 - however the server hangs up: it does not speak plain HTTP
            urllib.request.urlopen(server.replace("https", "http"), timeout=5)
        page = visit(f"{server}/?token={TOKEN.replace(' ', '+')}")
        assert page.url == f"{server}/"  # The token does not stay in the address.
        (cookie,) = page.context.cookies()
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        page.click("a[title='shore/1.png']")  # Over a WebSocket, which is encrypted too.
        wait_for_hits(page, "shore/1.png")
        page.close()
