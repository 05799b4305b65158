"""Addresses, TLS and channel options: how client and embedded server come together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsir_tf.errors import InputError

MAX_MESSAGE = (1 << 31) - 1
"""Bytes: gRPC's and protobuf's own limit. Python's client refuses replies over 4 MiB unless told otherwise."""

_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:")


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files of an encrypted connection.

    Attributes:
        ca: Whom to trust. Client: who signed the server's certificate (None: the system's authorities). Server: who
            signs clients' certificates; given, every client must show one.
        certificate: One's own certificate. A server needs it; a client where the server asks for one.
        key: The certificate's private key.
        server_name: Client: the name in the server's certificate, where it is not the address's.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


def parse_address(address: str) -> str:
    """Check a server's address.

    Args:
        address: `HOST:PORT`, `[IPV6]:PORT`, or a gRPC target (`dns:///HOST:PORT`, `unix:/PATH`).

    Returns:
        The same without spaces around it.

    Raises:
        InputError: It has no port, or is a web address.
    """
    text = address.strip()
    if text.startswith(_SCHEMES):
        return text
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InputError(
            f"server address {address!r}", wanted="HOST:PORT", cure="TensorFlow Serving's gRPC port is usually 8500"
        )
    return text


def open_channel(address: str, tls: TLS | None) -> Any:
    """Open a gRPC channel; nothing is sent yet.

    Args:
        address: From `parse_address`.
        tls: None for plain text.

    Returns:
        grpc.Channel.

    Raises:
        InputError: A PEM file cannot be read.
    """
    import grpc

    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_send_message_length", MAX_MESSAGE),
        # A restarted server is found again within two seconds; gRPC's own delays grow to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.min_reconnect_backoff_ms", 5000),  # despite its name: how long one attempt to connect may take
        # Where a name stands for several addresses, all of them are used.
        ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
        ("grpc.enable_retries", 0),
        # Channels to one address otherwise share a connection, and with it its state after a failure.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if tls is None:
        return grpc.insecure_channel(address, options)
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.certificate))
    return grpc.secure_channel(address, credentials, options)


def server_credentials(tls: TLS) -> Any:
    """Give a server's credentials.

    Args:
        tls: With certificate and key; with `ca`, clients must show a certificate too.

    Returns:
        grpc.ServerCredentials.

    Raises:
        InputError: A PEM file is missing or cannot be read.
    """
    import grpc

    certificate, key, ca = _read(tls.certificate), _read(tls.key), _read(tls.ca)
    if certificate is None or key is None:
        raise InputError("TLS: no certificate or no key", wanted="both", cure="give --tls-certificate and --tls-key")
    return grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=ca is not None)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", wanted="a PEM file") from error
    if b"-----BEGIN" not in content:
        raise InputError(f"{path}: is not a PEM file", wanted="a text file with '-----BEGIN …'")
    return content
