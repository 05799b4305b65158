"""Options that several commands share, declared once."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rsir_tf.contract import Model
    from rsir_tf.serving import TLS


class Scheme(str, Enum):
    """How images are compared."""

    recnn = "recnn"
    recnn_plus = "recnn+"


class Metric(str, Enum):
    """Distance between two global descriptors."""

    l1 = "l1"
    l2 = "l2"
    cosine = "cosine"


class Direction(str, Enum):
    """Whose regions look for their nearest."""

    query = "query"
    both = "both"


class Connectivity(str, Enum):
    """Which neighbours of a pixel belong to its region."""

    four = "4"
    eight = "8"


class Convention(str, Enum):
    """How conv5_3 is laid over the image's pixels."""

    half_pixel = "half_pixel"
    aligned_corners = "aligned_corners"


_MODEL = "Which model to ask"

SERVER_VARIABLE = "RSIR_TF_SERVER"
"""Environment variable with servers to ask where none is named, separated by spaces."""

Archive = Annotated[Path, typer.Argument(help="A folder of images: UC Merced, DLRSD, images and masks, or any folder.")]
Labels = Annotated[
    str | None, typer.Option(help="What mask values mean: 'dlrsd', 'dubai', or a TOML, YAML or JSON label set file.")
]
AsPublished = Annotated[
    bool, typer.Option("--labels-as-published", help="Do not repair the damage in MLRSNet's published labels.")
]
Tags = Annotated[Path | None, typer.Option(help="A tags file in UC Merced's format.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        envvar=SERVER_VARIABLE,
        help="HOST:PORT of a gRPC server; repeat for several.",
        rich_help_panel=_MODEL,
    ),
]
SavedModel = Annotated[
    Path | None,
    typer.Option(help="Load saved_models/NAME (or NAME/VERSION) into this process instead.", rich_help_panel=_MODEL),
]
ModelName = Annotated[str, typer.Option("--model", help="The model's name on the server.", rich_help_panel=_MODEL)]
Version = Annotated[
    int | None, typer.Option(help="A version on the server; the newest where none is named.", rich_help_panel=_MODEL)
]
VersionLabel = Annotated[str | None, typer.Option(help="A version label on the server.", rich_help_panel=_MODEL)]
Timeout = Annotated[float, typer.Option(help="Seconds until a request is given up.", rich_help_panel=_MODEL)]
BatchSize = Annotated[
    int,
    typer.Option(min=1, help="Images in one request; a server that takes fewer gets fewer.", rich_help_panel=_MODEL),
]
Resize = Annotated[
    tuple[int, int] | None,
    typer.Option(
        metavar="HEIGHT WIDTH",
        help="Bring each image to this size before the model sees it, so that all fit one batch; as they are where not "
        "given. Distances mean something among images of one size and ground resolution.",
        rich_help_panel=_MODEL,
    ),
]
Encrypted = Annotated[
    bool,
    typer.Option(
        "--tls",
        help="Encrypt; without --tls-ca, certificates of public authorities are trusted.",
        rich_help_panel=_MODEL,
    ),
]
CertificateAuthority = Annotated[
    Path | None,
    typer.Option("--tls-ca", help="PEM file of whom to trust: turns encryption on.", rich_help_panel=_MODEL),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--tls-certificate", help="PEM file with one's own certificate.", rich_help_panel=_MODEL),
]
Key = Annotated[Path | None, typer.Option("--tls-key", help="PEM file with its private key.", rich_help_panel=_MODEL)]
ServerName = Annotated[
    str | None,
    typer.Option(
        "--tls-server-name",
        help="The name in the server's certificate, where a tunnel gives it another address.",
        rich_help_panel=_MODEL,
    ),
]
Seed = Annotated[int, typer.Option(help="Another seed gives another draw.")]


def open_model(
    servers: list[str] | None,
    saved_model: Path | None,
    *,
    model_name: str = "fcn8s",
    version: int | None = None,
    label: str | None = None,
    timeout: float = 300.0,
    batch_size: int = 4,
    encrypted: bool = False,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    server_name: str | None = None,
) -> Model:
    """Open the model that the shared options name; a server is asked at once which model it holds.

    Raises:
        typer.BadParameter: Neither or both of server and saved model are named.
        RsirError: See `rsir_tf.connect` and `rsir_tf.load`.
    """
    if saved_model is not None:
        # A server that the environment names is a default, one that the line names is a contradiction.
        if servers and servers != os.environ.get(SERVER_VARIABLE, "").split():
            raise typer.BadParameter("both --server and --saved-model are given: name one model")
        from rsir_tf.cli.console import quiet_tensorflow
        from rsir_tf.serving import load
        from rsir_tf.serving.exports import find_export

        find_export(saved_model)  # Before TensorFlow's two seconds: a wrong path is told at once.
        with quiet_tensorflow():
            return load(saved_model, batch_size=batch_size)
    if not servers:
        raise typer.BadParameter("name a model: --server HOST:PORT, or --saved-model saved_models/NAME")
    quiet_grpc()
    from rsir_tf.serving import connect

    model = connect(
        servers, model_name=model_name, version=version, label=label, timeout=timeout, batch_size=batch_size,
        tls=client_tls(encrypted, ca, certificate, key, server_name),
    )  # fmt: skip
    model.ask_ahead()  # what the command imports and reads next takes as long
    return model


def quiet_grpc() -> None:
    """Keep gRPC's own log off stderr unless --debug asks for it; to be called before gRPC is first imported."""
    if not os.environ.get("RSIR_TF_DEBUG"):
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def client_tls(
    encrypted: bool, ca: Path | None, certificate: Path | None, key: Path | None, server_name: str | None
) -> TLS | None:
    """Give the connection that the shared options describe; None for plain text, where none of them is given."""
    if not (encrypted or ca or certificate or key or server_name):
        return None
    from rsir_tf.serving import TLS

    return TLS(ca=ca, certificate=certificate, key=key, server_name=server_name)
