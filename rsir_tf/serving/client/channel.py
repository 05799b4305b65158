"""Addresses and channel options for the connection between client and server."""

from __future__ import annotations

import re
import socket
from typing import Any

from rsir_tf.errors import InputError
from rsir_tf.serving.messages import MAX_MESSAGE
from rsir_tf.serving.tls import TLS, client_credentials

_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:")


def parse_address(address: str) -> str:
    """Check a server's address.

    Args:
        address: `HOST:PORT`, `[IPV6]:PORT`, or a gRPC target (`dns:///HOST:PORT`, `unix:/PATH`).

    Returns:
        The address without spaces around it.

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


def resolve(address: str) -> tuple[str | None, list[str]]:
    """Find the addresses that a name stands for.

    Args:
        address: From `parse_address`.

    Returns:
        The name, or None where the address has none; and one gRPC target per address. There are no targets where the
        name is unknown, or the address is of another kind (a Unix socket).
    """
    scheme, _, addresses = address.partition(":")
    if scheme in ("ipv4", "ipv6"):
        return None, [f"{scheme}:{one}" for one in addresses.split(",")]
    match = re.fullmatch(r"(?:dns:(?://[^/]*/)?)?(\[[^\]]+\]|[^:/]+):([0-9]+)", address)
    if match is None:
        return None, []
    host = match[1].strip("[]")
    try:
        found = socket.getaddrinfo(host, int(match[2]), type=socket.SOCK_STREAM)
    except OSError:
        return host, []
    targets = []
    for family, *_, place in found:
        numeric = str(place[0])
        targets.append(f"ipv6:[{numeric}]:{match[2]}" if family is socket.AF_INET6 else f"ipv4:{numeric}:{match[2]}")
    return host, list(dict.fromkeys(targets))


def open_channel(address: str, tls: TLS | None) -> Any:
    """Open a gRPC channel; nothing is sent yet.

    Args:
        address: From `parse_address`.
        tls: None for plain text.

    Returns:
        grpc.Channel.

    Raises:
        InputError: A PEM file cannot be used.
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
    return grpc.secure_channel(address, client_credentials(tls), options)
