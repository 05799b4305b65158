"""Who gets in: everybody on this machine, or whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from rsir_tf.errors import InputError

COOKIE = "rsir_tf"
SHORTEST_TOKEN = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """Who gets in.

    Attributes:
        token: What visitors must know; None lets everybody in.
        loopback: Whether the page is for this machine alone: it then answers to this machine's own names only, so that
            no page of the internet can reach it under a name of its own (DNS rebinding).
        encrypted: Whether it is served over TLS.
    """

    token: str | None
    loopback: bool
    encrypted: bool = False

    @classmethod
    def decide(cls, host: str, *, token: str | None, no_token: bool, encrypted: bool) -> Access:
        """Decide by the address to listen on and by what was asked for.

        Raises:
            InputError: The token is too short to be one, or both a token and none are asked for.
        """
        if token is not None and no_token:
            raise InputError("both --token and --no-token are given", wanted="one of them")
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise InputError(
                f"--token has {len(token)} characters",
                wanted=f"at least {SHORTEST_TOKEN}",
                cure="leave --token out: one is made then",
            )
        loopback = is_loopback(host)
        if token is None and not no_token and not loopback:
            token = secrets.token_urlsafe(24)
        return cls(token, loopback, encrypted)

    def knows_host(self, host: str) -> bool:
        """Whether a request's Host header names this server, as far as that can be told."""
        if not self.loopback:
            return True
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in LOOPBACK_NAMES or is_loopback(name)

    def own_origin(self, origin: str, host: str) -> bool:
        """Whether a request comes from a page of this server, by its Origin and Host headers."""
        return origin.lower() == f"{'https' if self.encrypted else 'http'}://{host}".lower()

    def admits(self, cookies: str, authorization: str) -> bool:
        """Whether a request may pass, by its Cookie and Authorization headers."""
        if self.token is None:
            return True
        kind, _, given = authorization.partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            cookie = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._cookie_value().encode())

    def is_token(self, given: str) -> bool:
        """Whether this is the token; how long it takes says nothing about it."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def token_in(self, query: str) -> str | None:
        """The token in the query of an address, or in a form."""
        return parse_qs(query).get("token", [None])[0]

    def cookie(self) -> str:
        """The Set-Cookie header for a visitor who has shown the token."""
        secure = "; Secure" if self.encrypted else ""
        return f"{COOKIE}={self._cookie_value()}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def _cookie_value(self) -> str:
        """It proves that the token was known, and does not tell it."""
        return hmac.new((self.token or "").encode(), b"rsir_tf web", hashlib.sha256).hexdigest()


LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>rsir-tf: token</title><style>
:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 4rem auto; padding: 0 1rem; }
input, button { font: inherit; padding: .4rem .6rem; width: 100%; box-sizing: border-box; margin: .4rem 0; }
</style></head><body><main><h1>Token</h1>
<p>This archive is open to those who know its token. The program printed it when it was started.</p>
<form method="post" action="/login"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Enter</button></form></main></body></html>
"""
