"""`rsir-tf web`: an archive in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options
from rsir_tf.cli.cluster_options import ClusterOptions
from rsir_tf.cli.connection import Connection

NAME = "web"

_WHO = "Who gets in"


def command(
    index: Annotated[Path, typer.Argument(help="The index's folder.")],
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    host: Annotated[
        str,
        typer.Option(help="The address to listen on. The default is open to this machine alone; 0.0.0.0 to others."),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RSIR_TF_WEB_TOKEN",
            show_envvar=True,
            help="What visitors must know, 16 characters or more. On an address that other machines can reach, a token "
            "is made and printed if none is given.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Let everybody in who can reach the address.", rich_help_panel=_WHO),
    ] = False,
    web_certificate: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with this server's certificate. Turns encryption on: https.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    web_key: Annotated[
        Path | None,
        typer.Option(help="A PEM file with the private key of this server's certificate.", rich_help_panel=_WHO),
    ] = None,
    web_ca: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with the certificate authority that signs visitors' certificates. Visitors must show one.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    basemap: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Show this base map below the footprints: an address with {z}, {x} and {y}. Browsers load it from "
            "there; without this option they load nothing from elsewhere.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="The file in which thumbnails are kept. The default is in the user's cache folder."),
    ] = None,
    max_upload: Annotated[
        float, typer.Option(min=0.1, metavar="MB", help="The size of an uploaded file at most, in megabytes.")
    ] = 32.0,
    rate: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="How many questions a second a visitor from another machine may ask for long. 0 sets no limit.",
            rich_help_panel=_WHO,
        ),
    ] = 15.0,
    root: options.Roots = None,
    cluster: ClusterOptions,
    connection: Connection,
) -> None:
    """Show an archive as a page in a browser, and answer programs over HTTP, until Ctrl-C or SIGTERM.

    The page shows the images of an index and what each of them finds. Programs find the routes at /api/openapi.json.
    """
    try:
        import nicegui  # noqa: F401 - is the extra installed?
    except ImportError as error:
        from rsir_tf.errors import InputError

        raise InputError(
            f"the page needs a package that is not installed ({error.name})", cure="pip install 'rsir_tf[web]'"
        ) from error
    from rsir_tf.serving import TLS, tls
    from rsir_tf.serving.server.engines import check_port
    from rsir_tf.web.access import Access, is_loopback
    from rsir_tf.web.house import House
    from rsir_tf.web.limits import Limits
    from rsir_tf.web.serving import Encryption, check_basemap, make_app, run
    from rsir_tf.workflows.browsing import WatchedIndex
    from rsir_tf.workflows.thumbnails import ThumbnailCache, cache_folder

    named = web_certificate or web_key or web_ca
    files = TLS(ca=web_ca, certificate=web_certificate, key=web_key) if named else None
    if files is not None:
        tls.server_credentials(files)
        tls.check_dates(files)
    with options.usage_errors():
        access = Access.decide(host, token=token, no_token=no_token, encrypted=files is not None)
        if basemap is not None:
            check_basemap(basemap)
    check_port(host, port)
    watched = WatchedIndex(index, options.parse_roots(root), opener=cluster.open_index)
    with connection.open() as model:
        house = House(
            watched,
            model,
            ThumbnailCache(cache or cache_folder() / "thumbnails.sqlite"),
            upload_bytes=int(max_upload * 1e6),
        )
        try:
            app = make_app(house, access, Limits(rate), basemap=basemap)
            if not is_loopback(host) and files is None:
                console.say(f"{host}:{port} is unencrypted; --web-certificate and --web-key close it to listeners")
            name = f"[{host}]" if ":" in host else host
            entry = f"/?token={access.token}" if access.token is not None and token is None else "/"
            console.say(
                f"{len(watched.current().index):,} images at {'https' if files else 'http'}://{name}:{port}{entry}"
            )
            console.say("Ctrl-C ends")
            run(
                app,
                host,
                port,
                Encryption(files.certificate, files.key, files.ca)
                if files is not None and files.certificate is not None and files.key is not None
                else None,
            )
        finally:
            house.close()
