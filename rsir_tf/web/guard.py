"""The outermost layer: what is refused before anything else sees it, and the headers of every answer."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from math import ceil
from typing import Any
from urllib.parse import parse_qsl, urlencode

from rsir_tf.web.access import LOGIN, Access
from rsir_tf.web.limits import WRONG_TOKEN, Limits, cost, visitor

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

SAFE = ("GET", "HEAD", "OPTIONS")

OWN_SCRIPT = re.compile(rb"(?m)^(\s*)<script")
"""A script of the page's template: there they begin their lines, and what the page shows never holds a line break."""


class TooLargeError(Exception):
    """A request's body is larger than is allowed."""


class Guard:
    """Refuses strange hosts, other sites' requests, visitors without the token or in a hurry, and too large bodies.

    Args:
        app: The application within.
        access: Who gets in.
        limits: How much one visitor may ask.
        most_bytes: Of a request's body.
        tiles: Where pictures of a base map come from, such as "https://tiles.example"; None allows no other place.
    """

    def __init__(self, app: App, access: Access, limits: Limits, *, most_bytes: int, tiles: str | None = None) -> None:
        self.app, self._access, self._limits, self._most = app, access, limits, most_bytes
        self._pictures = f"'self' data: blob: {tiles}" if tiles else "'self' data: blob:"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or let it through; see the ASGI specification."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            await self._open_socket(refusal is not None, headers, scope, receive, send)
            return
        send = _Answering(send, self._pictures)
        if refusal:
            await _answer(send, *refusal)
            return
        wait = self._limits.take(visitor(scope), cost(scope["path"]))
        if wait:
            await _answer(send, 429, "too many requests: try again later", [(b"retry-after", b"%d" % ceil(wait))])
            return
        if not await self._let_in(scope, headers, receive, send):
            return
        try:
            await self.app(scope, self._counting(receive), send)
        except TooLargeError:
            if not send.begun:
                await _answer(send, 413, f"the body is larger than {self._most:,} bytes")

    async def _open_socket(
        self, refused: bool, headers: dict[str, str], scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Let a page's connection through; what comes over it too quickly waits."""
        who = visitor(scope)
        admitted = self._access.admits(headers.get("cookie", ""), headers.get("authorization", ""))
        if refused or not admitted or not self._limits.open_socket(who):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def slowed() -> Message:
            message = await receive()
            while wait := self._limits.take(who, 1):
                await asyncio.sleep(wait)
            return message

        try:
            await self.app(scope, slowed, send)
        finally:
            self._limits.close_socket(who)

    def _refusal(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._access.knows_host(host):
            return 421, "this server answers to this machine's own names only"
        if origin is not None and not self._access.own_origin(origin, host):
            return 403, "requests from other sites are refused"
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        if unsafe and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "requests from other sites are refused"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return 413, f"the body is larger than {self._most:,} bytes"
        return None

    async def _let_in(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive, send: Send
    ) -> bool:
        """Whether the visitor has shown the token; if not, a form is shown, or the way back with a cookie."""
        access, query = self._access, scope.get("query_string", b"").decode("latin-1")
        if access.token is None:
            return True
        given, target = access.token_in(query), scope["path"]
        if given is not None and scope["method"] in SAFE:
            rest = urlencode([(name, value) for name, value in parse_qsl(query) if name != "token"])
            target += f"?{rest}" if rest else ""
        elif scope["path"] == "/login" and scope["method"] == "POST":
            given, target = access.token_in((await _body(receive, 10_000)).decode("latin-1")), "/"
        elif access.admits(headers.get("cookie", ""), headers.get("authorization", "")):
            return True
        if given is not None and access.is_token(given):
            # One slash: two would begin the name of another server.
            where = "/" + target.lstrip("/\\")
            await _answer(send, 303, "", [(b"location", where.encode()), (b"set-cookie", access.cookie().encode())])
            return False
        if given is not None or headers.get("authorization"):
            self._limits.charge(visitor(scope), WRONG_TOKEN)
        if "text/html" in headers.get("accept", ""):
            await _answer(send, 401, LOGIN, [(b"content-type", b"text/html; charset=utf-8")])
        else:
            await _answer(send, 401, "no valid token: send it as Authorization: Bearer TOKEN")
        return False

    def _counting(self, receive: Receive) -> Receive:
        had = 0

        async def counted() -> Message:
            nonlocal had
            message = await receive()
            had += len(message.get("body", b""))
            if had > self._most:
                raise TooLargeError
            return message

        return counted


class _Answering:
    """Sends an answer with the headers that all have; scripts of an HTML page get a nonce, and no others run."""

    def __init__(self, send: Send, pictures: str) -> None:
        self._send, self._pictures = send, pictures
        self._start: Message | None = None
        self._held = b""
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            kept = [(name.lower(), value) for name, value in message["headers"]]
            html = any(name == b"content-type" and value.startswith(b"text/html") for name, value in kept)
            nonce = secrets.token_urlsafe(16)
            message = {**message, "headers": [*kept, *self._headers(nonce, kept, html)]}
            if html:
                self._start, self._nonce = message, nonce
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._held += message.get("body", b"")
            if message.get("more_body"):
                return
            body = OWN_SCRIPT.sub(rb'\1<script nonce="' + self._nonce.encode() + b'"', self._held)
            others = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
            length = (b"content-length", str(len(body)).encode())
            await self._send({**self._start, "headers": [*others, length]})
            message, self._start = {"type": "http.response.body", "body": body}, None
        await self._send(message)

    def _headers(self, nonce: str, given: list[tuple[bytes, bytes]], html: bool) -> list[tuple[bytes, bytes]]:
        # NiceGUI makes functions of text in the browser (unsafe-eval), and its elements carry styles of their own.
        policy = (
            f"default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
            f"img-src {self._pictures}; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
            if html
            else "default-src 'none'; frame-ancestors 'none'"
        )
        always = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        if not any(name == b"cache-control" for name, _ in given):
            always.append((b"cache-control", b"no-store"))
        return always


async def _body(receive: Receive, most: int) -> bytes:
    body, more = b"", True
    while more and len(body) <= most:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body[:most]


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    given = headers or []
    if not any(name == b"content-type" for name, _ in given):
        given = [*given, (b"content-type", b"text/plain; charset=utf-8")]
    body = text.encode()
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": [*given, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
