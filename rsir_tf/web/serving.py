"""Starting the server: the page and the routes for programs, behind the guard."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rsir_tf.errors import InputError
from rsir_tf.web.access import Access
from rsir_tf.web.guard import Guard
from rsir_tf.web.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from rsir_tf.web.house import House

MOST_CONNECTIONS = 512
MESSAGE_BYTES = 1_000_000
"""Of a message that the page sends: addresses and points on a map."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """TLS of the server; the files are checked by the caller.

    Attributes:
        certificate: PEM file of the server's certificate.
        key: PEM file of its private key.
        ca: PEM file of the authority that signs visitors' certificates; None asks for none.
    """

    certificate: Path
    key: Path
    ca: Path | None = None


def check_basemap(template: str) -> str:
    """Check the address of a base map's pictures, and give the place that they come from.

    Args:
        template: Such as "https://tiles.example/{z}/{x}/{y}.png".

    Raises:
        InputError: It is no such address.
    """
    parts = urlsplit(template)
    simple = parts.scheme in ("http", "https") and parts.hostname and not set(parts.netloc) & set(" ;,'\"{}")
    if not simple or not all(name in template for name in ("{z}", "{x}", "{y}")):
        raise InputError(f"--basemap {template}", wanted="an address such as https://tiles.example/{z}/{x}/{y}.png")
    return f"{parts.scheme}://{parts.netloc}"


def make_app(
    house: House, access: Access, limits: Limits | None = None, *, page: bool = True, basemap: str | None = None
) -> Guard:
    """Put the application together.

    Args:
        house: That answers.
        access: Who gets in.
        limits: How much one visitor may ask; None takes the default.
        page: Whether there is a page, once in a process, or routes for programs alone.
        basemap: Address of a base map's pictures; None shows no base map.

    Raises:
        InputError: The address is none.
    """
    from rsir_tf.web.api import make_api

    tiles = None if basemap is None else check_basemap(basemap)
    limits = limits or Limits()
    api: FastAPI = make_api(house)
    if page:
        from rsir_tf.web.page import add_page

        add_page(api, house, limits, basemap)
    return Guard(api, access, limits, most_bytes=house.upload_bytes, tiles=tiles)


def run(app: Guard, host: str, port: int, encryption: Encryption | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: From `make_app`.
        host: The address to listen on.
        port: The port.
        encryption: TLS; None speaks plain HTTP.
    """
    import uvicorn

    tls: dict[str, Any] = {}
    if encryption is not None:
        tls = {"ssl_certfile": str(encryption.certificate), "ssl_keyfile": str(encryption.key)}
        if encryption.ca is not None:
            tls |= {"ssl_ca_certs": str(encryption.ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        ws_max_size=MESSAGE_BYTES,
        timeout_graceful_shutdown=2,
        **tls,
    )
    uvicorn.Server(config).run()
