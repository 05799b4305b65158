"""Which model a command asks, and how: the options that all commands share which reach a model."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsir_tf.cli.console import say
from rsir_tf.cli.option_groups import OptionGroup

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.serving import TLS
    from rsir_tf.serving.client.inspection import ServedModelReport

PANEL = "Which model to ask"

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # in malloc.h
_LARGE = 1 << 20  # bytes

SERVER_VARIABLE = "RSIR_TF_SERVER"
"""Environment variable with the servers to ask where none is named, separated by spaces."""


@dataclass(frozen=True)
class Connection(OptionGroup):
    """The options that name a model, on a server or in a folder; their help texts say what they mean."""

    server: Annotated[
        list[str] | None,
        typer.Option(
            envvar=SERVER_VARIABLE,
            help="The address of a gRPC server, HOST:PORT. Repeat the option for several servers of one model.",
            rich_help_panel=PANEL,
        ),
    ] = None
    saved_model: Annotated[
        Path | None,
        typer.Option(
            help="Load this export (saved_models/NAME or saved_models/NAME/VERSION) into this process instead of "
            "asking a server.",
            rich_help_panel=PANEL,
        ),
    ] = None
    model: Annotated[str, typer.Option(help="The model's name on the server.", rich_help_panel=PANEL)] = "fcn8s"
    version: Annotated[
        int | None,
        typer.Option(help="The model's version on the server. The default is the newest.", rich_help_panel=PANEL),
    ] = None
    version_label: Annotated[
        str | None, typer.Option(help="The label of the model's version on the server.", rich_help_panel=PANEL)
    ] = None
    timeout: Annotated[
        float,
        typer.Option(help="How many seconds to wait for the server's answer before giving up.", rich_help_panel=PANEL),
    ] = 300.0
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="The largest number of images in one request. A server that accepts fewer gets fewer.",
            rich_help_panel=PANEL,
        ),
    ] = 4
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Encrypt the connection. Without --tls-ca, public certificate authorities are trusted.",
            rich_help_panel=PANEL,
        ),
    ] = False
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with the certificate authority that signed the server's certificate. Turns encryption on.",
            rich_help_panel=PANEL,
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with this client's certificate, for servers that ask for one.", rich_help_panel=PANEL
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(help="A PEM file with the private key of this client's certificate.", rich_help_panel=PANEL),
    ] = None
    tls_server_name: Annotated[
        str | None,
        typer.Option(
            help="The name in the server's certificate, if it differs from the server's address.", rich_help_panel=PANEL
        ),
    ] = None

    @property
    def named(self) -> bool:
        """Whether a model is named, on the command line or by the environment."""
        return bool(self.server or self.saved_model)

    @property
    def server_on_line(self) -> bool:
        """Whether the command line names a server: one that the environment names is only a default."""
        return bool(self.server) and self.server != os.environ.get(SERVER_VARIABLE, "").split()

    @property
    def encryption(self) -> TLS | None:
        """How the connection is encrypted; None for plain text, where no option asks for encryption."""
        if not (self.tls or self.tls_ca or self.tls_certificate or self.tls_key or self.tls_server_name):
            return None
        from rsir_tf.serving import TLS

        return TLS(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key, server_name=self.tls_server_name)

    def require_one(self) -> None:
        """Make sure that one model is named.

        Raises:
            typer.BadParameter: Neither or both of server and saved model are.
        """
        if self.saved_model is not None and self.server_on_line:
            raise typer.BadParameter("both --server and --saved-model are given: name one model")
        if not self.named:
            raise typer.BadParameter("name a model: --server HOST:PORT, or --saved-model saved_models/NAME")

    def open(self) -> Model:
        """Open the model; a server is asked at once which model it holds.

        Raises:
            typer.BadParameter: Neither or both of server and saved model are named.
            RsirError: See `rsir_tf.connect` and `rsir_tf.load`.
        """
        self.require_one()
        if self.saved_model is not None:
            return self._load(self.saved_model)
        assert self.server  # `require_one` has seen it.
        _quiet_grpc()
        from rsir_tf.serving import connect

        model = connect(
            self.server,
            model_name=self.model,
            version=self.version,
            label=self.version_label,
            timeout=self.timeout,
            batch_size=self.batch_size,
            tls=self.encryption,
            tell=say,
        )
        model.ask_ahead()  # What the command imports and reads next takes as long.
        return model

    def _load(self, path: Path) -> Model:
        from rsir_tf.cli.console import quiet_tensorflow
        from rsir_tf.serving import load
        from rsir_tf.serving.exports import find_export

        find_export(path)  # Before TensorFlow's seconds: a wrong path is told at once.
        with quiet_tensorflow():
            return load(path, batch_size=self.batch_size)

    def inspect(self, address: str) -> ServedModelReport:
        """Say what a server holds.

        Args:
            address: HOST:PORT.

        Raises:
            RsirError: See `rsir_tf.serving.client.inspection.inspect_server`.
        """
        _quiet_grpc()
        from rsir_tf.serving.client.inspection import inspect_server

        return inspect_server(address, model_name=self.model, timeout=self.timeout, tls=self.encryption)


def return_memory() -> None:
    """Have memory of arrays and tables given back to the system as soon as they are freed; to be called first.

    The GNU C library keeps memory of arrays of up to 32 MiB for later, once one of that size has been freed, and keeps
    it for each thread: images, requests and answers are such arrays. Smaller things it keeps in areas of their own for
    up to eight threads a core, which are never full. Arrow's own allocator keeps three times as much as the tables of a
    merged segment take. This is for commands that make such things without end and ask a server; a model in this
    process would take longer. What the variables below say counts before this.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    named = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys()
    if not sys.platform.startswith("linux") or named:
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # Other C libraries do without this function.
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)


def _quiet_grpc() -> None:
    """Keep gRPC's own log off stderr unless --debug asks for it; to be called before gRPC is first imported."""
    if not os.environ.get("RSIR_TF_DEBUG"):
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
