"""The page: one for each visitor, which shows what the address bar asks."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from rsir_tf import __version__
from rsir_tf.errors import InputError, RsirError
from rsir_tf.web import fragments
from rsir_tf.web.api import public_words
from rsir_tf.web.limits import QUESTION, Limits, visitor
from rsir_tf.web.map_panel import MapPanel
from rsir_tf.web.question import PAGE, Question
from rsir_tf.web.side import side
from rsir_tf.web.work import BusyError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rsir_tf.web.house import Found, House
    from rsir_tf.workflows.browsing import Browsed

_log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds in which the first answer comes, on a busy machine too."""

HEAD = f"""<link rel="stylesheet" href="/static/page.css?v={__version__}">
<script defer src="/static/page.js?v={__version__}"></script>"""

TOP = """<header class="top"><a href="/">rsir-tf</a><span>{images:,} images of {name}</span>
<a href="/api">For programs</a>
<button type="button" data-theme aria-label="Switch between dark and light" title="Dark or light"></button></header>"""


def add_page(api: FastAPI, house: House, limits: Limits, basemap: str | None) -> None:
    """Put the page below the routes for programs; once in a process.

    Args:
        api: The application.
        house: That answers.
        limits: How much one visitor may ask.
        basemap: Address of a base map's pictures; None shows none.
    """
    api.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))

    @ui.page("/", title="rsir-tf", response_timeout=PATIENCE)
    async def show(request: Request) -> None:
        await Page(house, limits, visitor(request.scope), basemap).build(request.url.query)

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
        limits: How much one visitor may ask.
        who: The visitor, by `rsir_tf.web.limits.visitor`.
        basemap: Address of a base map's pictures; None shows none.
    """

    def __init__(self, house: House, limits: Limits, who: str, basemap: str | None) -> None:
        self._house, self._limits, self._who, self._basemap = house, limits, who, basemap
        self._turn, self._answers = 0, itertools.count()
        self._client = ui.context.client

    async def build(self, query: str) -> None:
        """Make the page, and show what its address asks."""
        browsed, form = await self._house.pictures.run(self._begin)
        ui.add_head_html(HEAD)
        with ui.element("div").classes("page w-full"):
            name = browsed.index.path.resolve().name
            ui.html(fragments.plain(TOP, images=len(browsed.index), name=name), sanitize=False)
            with ui.element("div").classes("columns"):
                self._side = ui.html("", sanitize=False).classes("side")
                with ui.element("div").classes("main"):  # Quasar brings the landmark.
                    self._map = self._make_map(browsed)
                    self._main = ui.html("", sanitize=False)
        ui.on("go", lambda event: self.show(str(event.args), counted=True))
        try:
            asks = Question.parse(query).asks
        except InputError:
            asks = False
        if asks:  # The model may take seconds: the page is there meanwhile.
            self._side.set_content(form)
            self._main.set_content('<div class="head"><h1 tabindex="-1">Searching …</h1></div>')
            await self._client.connected()
            if self._client.is_deleted:  # It never came back for the answer.
                return
        await self.show(query)

    def _begin(self) -> tuple[Browsed, str]:
        """In a thread: the index, with everything about it counted that a page needs, and the search form."""
        browsed = self._house.index.current()
        if browsed.placed:
            browsed.footprints  # noqa: B018 - decoded once, and not while others wait
        return browsed, side(Question(), browsed)

    def _make_map(self, browsed: Browsed) -> MapPanel | None:
        return MapPanel(self._house, self._basemap, browsed.windows, self._go) if browsed.placed else None

    async def show(self, query: str, *, counted: bool = False) -> None:
        """Show what an address asks; an answer that comes after a newer question is dropped.

        Args:
            query: Of the address.
            counted: Whether it counts as a question of this visitor; loading the page has been counted.
        """
        self._turn += 1
        turn, question = self._turn, Question()
        shown: _Shown
        try:
            question = Question.parse(query)
            if counted:
                self._count()
            shown = await self._house.asking.run(self._answer, question)
        except RsirError as error:
            shown = await self._house.pictures.run(self._problem, public_words(error, self._house), question)
        except Exception:  # noqa: BLE001
            # A visitor must not wait for ever; whoever runs the server reads why.
            _log.exception("a question failed: %s", question)
            words = {"error": "the server met an error of its own"}
            shown = await self._house.pictures.run(self._problem, words, question)
        if turn == self._turn and not self._client.is_deleted:
            self._display(shown, question)

    def _display(self, shown: _Shown, question: Question) -> None:
        # The number makes every answer another text: one that is the same again would not be sent.
        self._side.set_content(shown.side)
        self._main.set_content(f"{shown.main}<!-- {next(self._answers)} -->")
        if self._map is not None and shown.browsed is not None:
            self._map.show(shown.browsed, shown.rows, question)

    def _count(self) -> None:
        wait = self._limits.take(self._who, QUESTION)
        if wait:
            raise BusyError("you ask more quickly than this server allows", cure=f"wait {ceil(wait)} seconds")

    def _answer(self, question: Question) -> _Shown:
        """In a thread: search or browse, and make HTML of it."""
        if question.asks:
            found: Found = self._house.ask(question)
            rows = [hit.row for hit in found.result.hits]
            return _Shown(side(question, found.browsed, found), fragments.hits(found), found.browsed, rows)
        browsed, rows, total = self._house.page(question)
        if not rows and total:
            question = replace(question, page=-(-total // PAGE))
            browsed, rows, total = self._house.page(question)
        main = fragments.archive(question, browsed, rows, total, PAGE)
        return _Shown(side(question, browsed), main, browsed, rows)

    def _problem(self, words: Mapping[str, str | None], question: Question) -> _Shown:
        form = side(question if question.asks else Question(), self._house.index.last)
        return _Shown(form, fragments.problem(words, question), None, [])

    def _go(self, question: Question) -> None:
        """Show another question, as if a link to it had been followed."""
        ui.run_javascript(f"window.rsirGo({fragments.script_text(question.url())})")


class _Shown:
    """What a page shows: its two parts as HTML, and images for the map."""

    def __init__(self, side: str, main: str, browsed: Browsed | None, rows: list[int]) -> None:
        self.side, self.main, self.browsed, self.rows = side, main, browsed, rows
