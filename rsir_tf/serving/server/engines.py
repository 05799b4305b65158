"""The servers for an export, their command lines, and checks before they are started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Literal, get_args

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.serving.exports import (
    EXPORT_CURE,
    check_signatures,
    list_versions,
    read_signatures,
    readable,
    version_folder,
)
from rsir_tf.serving.tls import TLS

Engine = Literal["tensorflow_model_server", "docker", "embedded"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

DOCKER_IMAGE = "tensorflow/serving"

_LISTENS_EVERYWHERE = frozenset({"tensorflow_model_server"})
"""Engines without an option for the address: they listen on all addresses of the machine."""


def choose_engine() -> Engine:
    """Choose `tensorflow_model_server` if it is on PATH, Docker if its engine runs, otherwise the embedded server."""
    if shutil.which("tensorflow_model_server"):
        return "tensorflow_model_server"
    return "docker" if _docker_runs() else "embedded"


def listening_host(engine: Engine, host: str) -> str:
    """Return the address on which an engine listens if it is started with `host`."""
    if engine in _LISTENS_EVERYWHERE:
        return "0.0.0.0"
    return _numeric(host) if engine == "docker" else host  # Docker publishes on addresses, not on names


def exposure(engine: Engine, port: int, tls: TLS | None) -> str | None:
    """One line that warns if an engine listens on all addresses; None if no warning is needed."""
    if engine not in _LISTENS_EVERYWHERE or (tls is not None and tls.ca is not None):
        return None
    how = "without a password" if tls is not None else "unencrypted and without a password"
    return (
        f"{engine} listens on all addresses of this machine, whatever --host says: port {port} is open to the "
        f"network, {how}; --tls-certificate, --tls-key and --tls-ca close it"
    )


def engine_command(
    engine: Engine,
    base: str | os.PathLike[str],
    *,
    name: str,
    host: str,
    port: int,
    tls: TLS | None = None,
    ssl_config: Path = Path("ssl.config"),
    container: str | None = None,
) -> list[str]:
    """Return the command line that serves an export.

    Args:
        engine: Which server.
        base: `saved_models/NAME`.
        name: The model's name for clients.
        host: The address to listen on, if the engine can choose it (see `listening_host`).
        port: The gRPC port. 0 takes a free one, only for an engine that can report it (the embedded server).
        tls: PEM files for an encrypted connection; None for plain text.
        ssl_config: With `tls`, the file for TensorFlow Serving with the text from `tls.ssl_config`.
        container: Docker's name for the container; with None, Docker chooses one.

    Returns:
        The program and its arguments.

    Raises:
        InputError: The engine cannot listen there.
    """
    check_choice(engine, port)
    folder, encryption = str(Path(base).resolve()), str(ssl_config.resolve())
    # Without this, a damaged version is tried for five minutes, and no other change happens meanwhile.
    no_retries = "--max_num_load_retries=0"
    if engine == "tensorflow_model_server":
        arguments = [f"--port={port}", f"--model_name={name}", f"--model_base_path={folder}", no_retries]
        return [engine, *arguments, *([f"--ssl_config_file={encryption}"] if tls else [])]
    if engine == "docker":
        address = listening_host(engine, host)
        published = f"[{address}]:{port}:8500" if ":" in address else f"{address}:{port}:8500"
        mount = f"type=bind,source={folder},target=/models/{name},readonly"
        arguments = ["--publish", published, "--mount", mount]
        flags = ["--port=8500", f"--model_name={name}", f"--model_base_path=/models/{name}", no_retries]
        if tls:
            arguments += ["--mount", f"type=bind,source={encryption},target=/config/ssl.config,readonly"]
            flags += ["--ssl_config_file=/config/ssl.config"]
        # The server itself instead of the image's shell, which would not pass Ctrl-C on; and --init, because a first
        # process gets no signal that it does not ask for.
        named = ["--name", container] if container else []
        process = ["--rm", "--init", *named, "--entrypoint", "tensorflow_model_server"]
        return ["docker", "run", *process, *arguments, DOCKER_IMAGE, *flags]
    options = ["--engine", "embedded", "--model", name, "--host", host, "--port", str(port)]
    if tls:
        files = {"--tls-certificate": tls.certificate, "--tls-key": tls.key, "--tls-ca": tls.ca}
        options += [part for option, path in files.items() if path is not None for part in (option, str(path))]
    return ["rsir-tf", "serve", str(base), *options]


def check_servable(base: str | os.PathLike[str]) -> int:
    """Check, without TensorFlow, that a folder's newest version can be served.

    Args:
        base: `saved_models/NAME`.

    Returns:
        The newest version's number.

    Raises:
        ArtifactError: There is no folder or no numbered version, or the version is incomplete.
        ModelError: It lacks a signature that `rsir-tf export` writes.
    """
    folder = Path(base)
    with readable(folder):
        if not folder.is_dir():
            raise ArtifactError(f"{folder}: no such folder", wanted="saved_models/NAME", cure=EXPORT_CURE)
        if (folder / "saved_model.pb").is_file():
            raise ArtifactError(
                f"{folder}: is one version of a model", wanted="the folder above it", cure=f"serve {folder.parent}"
            )
        versions = list_versions(folder)
        if not versions:
            raise ArtifactError(f"{folder}: holds no numbered version", wanted="1/saved_model.pb", cure=EXPORT_CURE)
        newest = version_folder(folder, versions[-1])
        check_signatures(read_signatures(newest), str(newest))
        if not (newest / "variables" / "variables.index").is_file():
            raise ArtifactError(f"{newest}: holds no weights (variables/variables.index)", cure=EXPORT_CURE)
    return versions[-1]


def check_choice(engine: Engine, port: int) -> None:
    """Refuse port 0 for an engine that cannot report which port it took.

    Raises:
        InputError: The port is 0 and the engine cannot report it.
    """
    if port == 0 and engine != "embedded":
        raise InputError(
            f"port 0: {engine} does not report which free port it took",
            wanted="1 to 65535",
            cure="choose one with --port, or --engine embedded",
        )


def check_port(host: str, port: int) -> None:
    """Check that a port can be listened on.

    Raises:
        InputError: The port is taken or not allowed, or this machine does not have the host's address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Like servers do it: a port counts as free while its last connections are closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{host}:{port}: cannot be listened on ({getattr(error, 'strerror', None) or error})",
                wanted="a free port of this machine",
                cure="choose another with --port",
            ) from error


def _numeric(host: str) -> str:
    """Return the address of a host; if a name has both kinds, an IPv4 address, on which servers here listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return str(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{host}: is not an address of this machine", wanted="a name or an IP address", cure="choose with --host"
        ) from error


def has_docker_image() -> bool:
    """Whether Docker already has the official image."""
    try:
        done = subprocess.run(
            ["docker", "image", "inspect", DOCKER_IMAGE], capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _docker_runs() -> bool:
    """Whether a Docker engine answers: the client is often installed without one."""
    program = shutil.which("docker")
    if program is None:
        return False
    try:
        done = subprocess.run([program, "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
