"""The page: one for each visitor, which shows what the address bar asks."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from rsir_tf import __version__
from rsir_tf.errors import InputError, RsirError
from rsir_tf.web import fragments
from rsir_tf.web.api import public_words
from rsir_tf.web.map_panel import MapPanel
from rsir_tf.web.question import PAGE, Question

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rsir_tf.web.house import Found, House
    from rsir_tf.workflows.browsing import Browsed

_log = logging.getLogger(__name__)

HEAD = f"""<link rel="stylesheet" href="/static/page.css?v={__version__}">
<script defer src="/static/page.js?v={__version__}"></script>"""

TOP = """<header class="top"><a href="/">rsir-tf</a><span>{images:,} images of {name}</span>
<a href="/api">for programs</a>
<button type="button" data-theme>dark or light</button></header>"""


def add_page(api: FastAPI, house: House, basemap: str | None) -> None:
    """Put the page below the routes for programs; once in a process.

    Args:
        api: The application.
        house: That answers.
        basemap: Address of a base map's pictures; None shows none.
    """
    api.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))

    @ui.page("/", title="rsir-tf")
    async def show(request: Request) -> None:
        await Page(house, basemap).build(request.url.query)

    ui.run_with(
        api,
        title="rsir-tf",
        dark=None,
        language="en-US",
        binding_refresh_interval=None,
        reconnect_timeout=30.0,
        message_history_length=50,
        gzip_middleware_factory=None,
        tailwind=False,
        show_welcome_message=False,
    )


class Page:
    """What one visitor sees.

    Args:
        house: That answers.
        basemap: Address of a base map's pictures; None shows none.
    """

    def __init__(self, house: House, basemap: str | None) -> None:
        self._house, self._basemap = house, basemap
        self._turn = 0

    async def build(self, query: str) -> None:
        """Make the page, and show what its address asks."""
        browsed = self._house.index.current()
        ui.add_head_html(HEAD)
        with ui.element("div").classes("page w-full"):
            name = browsed.index.path.resolve().name
            ui.html(fragments.plain(TOP, images=len(browsed.index), name=name), sanitize=False)
            with ui.element("div").classes("columns"):
                self._side = ui.html("", sanitize=False).classes("side")
                with ui.element("main").classes("main"):
                    self._map = MapPanel(self._house, self._basemap, self._go) if browsed.placed else None
                    self._main = ui.html("", sanitize=False)
        ui.on("go", lambda event: self.show(str(event.args)))
        try:
            asks = Question.parse(query).asks
        except InputError:
            asks = False
        if asks:  # The model may take seconds: the page is there meanwhile.
            self._side.set_content(fragments.side(Question(), browsed))
            self._main.set_content('<div class="head"><h1 tabindex="-1">Searching …</h1></div>')
            await ui.context.client.connected()
        await self.show(query)

    async def show(self, query: str) -> None:
        """Show what an address asks; an answer that comes after a newer question is dropped.

        Args:
            query: Of the address.
        """
        self._turn += 1
        turn, question = self._turn, Question()
        shown: _Shown
        try:
            question = Question.parse(query)
            shown = await self._house.asking.run(self._answer, question)
        except RsirError as error:
            shown = self._problem(public_words(error, self._house), question)
        except Exception:  # noqa: BLE001
            # A visitor must not wait for ever; whoever runs the server reads why.
            _log.exception("a question failed: %s", question)
            shown = self._problem({"error": "the server met an error of its own"}, question)
        if turn != self._turn:
            return
        # The number makes every answer another text: one that is the same again would not be sent.
        self._side.set_content(shown.side)
        self._main.set_content(f"{shown.main}<!-- {turn} -->")
        if self._map is not None and shown.browsed is not None:
            self._map.show(shown.browsed, shown.rows, question)

    def _answer(self, question: Question) -> _Shown:
        """In a thread: search or browse, and make HTML of it."""
        if question.asks:
            found: Found = self._house.ask(question)
            rows = [hit.row for hit in found.result.hits]
            side = fragments.side(question, found.browsed, found)
            return _Shown(side, fragments.hits(found), found.browsed, rows)
        browsed, rows, total = self._house.page(question)
        if not rows and total:
            question = replace(question, page=-(-total // PAGE))
            browsed, rows, total = self._house.page(question)
        main = fragments.archive(question, browsed, rows, total, PAGE)
        return _Shown(fragments.side(question, browsed), main, browsed, rows)

    def _problem(self, words: dict[str, str | None], question: Question) -> _Shown:
        side = fragments.side(question if question.asks else Question(), self._house.index.current())
        return _Shown(side, fragments.problem(words, question), None, [])

    def _go(self, question: Question) -> None:
        """Show another question, as if a link to it had been followed."""
        ui.run_javascript(f"window.rsirGo({fragments.script_text(question.url())})")


class _Shown:
    """What a page shows: its two parts as HTML, and images for the map."""

    def __init__(self, side: str, main: str, browsed: Browsed | None, rows: list[int]) -> None:
        self.side, self.main, self.browsed, self.rows = side, main, browsed, rows
