"""`rsir-tf serve`: start a server for an exported model."""

from __future__ import annotations

import shlex
import signal
import threading
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console

NAME = "serve"


class EngineName(str, Enum):
    """Which server."""

    auto = "auto"
    tensorflow_model_server = "tensorflow_model_server"
    docker = "docker"
    embedded = "embedded"


def command(
    saved_model: Annotated[Path, typer.Argument(help="The model's folder of numbered versions, saved_models/NAME.")],
    port: Annotated[int, typer.Option(help="The port to listen on for gRPC.")] = 8500,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    engine: Annotated[
        EngineName,
        typer.Option(
            help="The server to start. auto: TensorFlow Serving if it is installed, its Docker image if Docker runs, "
            "and otherwise the embedded server."
        ),
    ] = EngineName.auto,
    model: Annotated[
        str | None, typer.Option(help="The name that clients use. The default is the folder's name.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="A PEM file with the server's certificate. Turns encryption on.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="A PEM file with the private key of the server's certificate.")
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            help="A PEM file with the certificate authority that signs clients' certificates. Clients must show one."
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=0.0, help="How many seconds to wait for the model to be available before giving up."),
    ] = 180.0,
    print_only: Annotated[bool, typer.Option("--print", help="Only print the command line that would be run.")] = False,
) -> None:
    """Serve a model over gRPC until Ctrl-C or SIGTERM. New versions are picked up as they appear."""
    from rsir_tf.serving import TLS, tls
    from rsir_tf.serving.server import engines, launching, processes

    files = TLS(ca=tls_ca, certificate=tls_certificate, key=tls_key) if tls_ca or tls_certificate or tls_key else None
    chosen = engines.choose_engine() if engine is EngineName.auto else engine.value
    name = model or saved_model.resolve().name
    engines.check_servable(saved_model)
    if files is not None:
        tls.server_credentials(files)
    if print_only:
        if files is not None and chosen != "embedded":
            console.put(tls.ssl_config_command(files, Path("ssl.config")))
        line = engines.engine_command(chosen, saved_model, name=name, host=host, port=port, tls=files)
        console.put(shlex.join(line))
        return
    engines.check_choice(chosen, port)
    engines.check_port(engines.listening_host(chosen, host), port)
    # A flag, not an exception: one that is raised in a callback of gRPC's would be lost.
    told = threading.Event()
    hung_up = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has none.
    for number in (signal.SIGTERM, signal.SIGINT, *hung_up):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, lambda *_: told.set())
    console.say(f"starting {chosen} for {saved_model} …")
    if warning := engines.exposure(chosen, port, files):
        console.say(warning)
    if chosen == "embedded":
        with console.quiet_tensorflow():
            import tensorflow  # noqa: F401
    try:
        running = launching.start_server(
            saved_model, name=name, engine=chosen, host=host, port=port, timeout=timeout, tls=files, stopping=told
        )
    except processes.StoppedError:
        console.say("stopping")
        return
    try:
        console.say(f"model {name!r} is AVAILABLE at {running.address} ({chosen}); Ctrl-C ends")
        launching.wait_until_told(running, told)
        console.say("stopping")
    finally:
        running.stop()
