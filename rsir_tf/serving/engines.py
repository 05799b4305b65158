"""Which server an export can be given to, with which command line, and whether it can be served at all."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Literal, get_args

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.serving.exports import EXPORT_CURE, check_signatures, list_versions, read_signatures, version_folder
from rsir_tf.serving.tls import TLS

Engine = Literal["tensorflow_model_server", "docker", "embedded"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

DOCKER_IMAGE = "tensorflow/serving"

LISTENS_EVERYWHERE = frozenset({"tensorflow_model_server"})
"""Engines without an option for the address: they listen on all of the machine's."""


def choose_engine() -> Engine:
    """Take `tensorflow_model_server` where it is on PATH, Docker where an engine runs, else the embedded server."""
    if shutil.which("tensorflow_model_server"):
        return "tensorflow_model_server"
    return "docker" if _docker_runs() else "embedded"


def engine_command(
    engine: Engine,
    base: str | os.PathLike[str],
    *,
    name: str,
    host: str,
    port: int,
    tls: TLS | None = None,
    ssl_config: Path = Path("ssl.config"),
) -> list[str]:
    """Give the command line that serves an export.

    Args:
        engine: Which server.
        base: `saved_models/NAME`.
        name: What clients call the model.
        host: The address to listen on, where the engine can choose (see `LISTENS_EVERYWHERE`).
        port: The gRPC port.
        tls: PEM files for an encrypted connection; None for plain text.
        ssl_config: Where TensorFlow Serving finds what `tls.ssl_config` gives, with `tls`.

    Returns:
        The program and its arguments.
    """
    folder, encryption = str(Path(base).resolve()), str(ssl_config.resolve())
    # A damaged version otherwise holds up every other change for five minutes before it is given up.
    no_retries = "--max_num_load_retries=0"
    if engine == "tensorflow_model_server":
        arguments = [f"--port={port}", f"--model_name={name}", f"--model_base_path={folder}", no_retries]
        return [engine, *arguments, *([f"--ssl_config_file={encryption}"] if tls else [])]
    if engine == "docker":
        published = f"[{host}]:{port}:8500" if ":" in host else f"{host}:{port}:8500"
        mount = f"type=bind,source={folder},target=/models/{name},readonly"
        arguments = ["--publish", published, "--mount", mount, "--env", f"MODEL_NAME={name}"]
        flags = [no_retries]
        if tls:
            arguments += ["--mount", f"type=bind,source={encryption},target=/config/ssl.config,readonly"]
            flags += ["--ssl_config_file=/config/ssl.config"]
        return ["docker", "run", "--rm", "--init", *arguments, DOCKER_IMAGE, *flags]
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
        ArtifactError: No folder, no numbered version, or a version that is not whole.
        ModelError: It lacks a signature that `rsir-tf export` writes.
    """
    folder = Path(base)
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


def check_port(host: str, port: int) -> None:
    """Check that a port can be listened on.

    Raises:
        InputError: It is taken, not allowed, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are dying away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{host}:{port}: cannot be listened on ({getattr(error, 'strerror', None) or error})",
                wanted="a free port of this machine",
                cure="choose another with --port",
            ) from error


def has_docker_image() -> bool:
    """Tell whether Docker already holds the official image."""
    try:
        done = subprocess.run(
            ["docker", "image", "inspect", DOCKER_IMAGE], capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _docker_runs() -> bool:
    """Tell whether a Docker engine answers: the client alone is often installed without one."""
    program = shutil.which("docker")
    if program is None:
        return False
    try:
        done = subprocess.run([program, "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
