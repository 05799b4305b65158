"""Encrypted connections: PEM files, which are checked before a connection or server uses them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsir_tf.errors import InputError


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files of an encrypted connection.

    Attributes:
        ca: Certificates of trusted authorities. For a client: those that sign the server's certificate (None for the
            public authorities that gRPC knows). For a server: those that sign certificates of clients; every client
            must then have one.
        certificate: The own certificate. A server needs one; a client needs one if the server asks for it.
        key: The private key of the certificate.
        server_name: For a client: the name in the server's certificate, if it is not that of the address.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


def client_credentials(tls: TLS) -> Any:
    """Make the credentials of a client.

    Returns:
        grpc.ChannelCredentials.

    Raises:
        InputError: A PEM file is missing, cannot be read, or does not fit the other.
    """
    import grpc

    ca, certificate, key = _read_all(tls)
    return grpc.ssl_channel_credentials(ca, key, certificate)


def server_credentials(tls: TLS) -> Any:
    """Make the credentials of a server.

    Args:
        tls: With certificate and key; with `ca`, clients must show a certificate too.

    Returns:
        grpc.ServerCredentials.

    Raises:
        InputError: A PEM file is missing, cannot be read, or does not fit the other.
    """
    import grpc

    ca, certificate, key = _read_server(tls)
    return grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=ca is not None)


def ssl_config(tls: TLS) -> str:
    """Compose the configuration of TensorFlow Serving (--ssl_config_file) from the content of a server's files.

    Args:
        tls: As for `server_credentials`.

    Returns:
        An SSLConfig message in text format. It holds the private key.

    Raises:
        InputError: As `server_credentials`.
    """
    from google.protobuf.text_encoding import CEscape

    ca, certificate, key = _read_server(tls)
    lines = [f'server_key: "{CEscape(key, False)}"', f'server_cert: "{CEscape(certificate, False)}"']
    if ca is not None:
        lines += [f'custom_ca: "{CEscape(ca, False)}"', "client_verify: true"]
    return "\n".join(lines) + "\n"


def ssl_config_command(tls: TLS, file: Path) -> str:
    """Return a shell command that writes `ssl_config` to a file and does not show the key."""
    fields = [("server_key", tls.key), ("server_cert", tls.certificate), ("custom_ca", tls.ca)]
    given = [(name, path) for name, path in fields if path is not None]
    form = "".join(f'{name}: "%s"\\n' for name, _ in given) + ("client_verify: true\\n" if tls.ca else "")
    texts = [f'"$(awk \'{{ printf "%s\\\\n", $0 }}\' {shlex.quote(str(path))})"' for _, path in given]
    return f"(umask 077 && printf '{form}' {' '.join(texts)} > {shlex.quote(str(file))})"


def shows_certificate(host: str, port: int, certificate: Path, timeout: float = 2.0) -> bool:
    """Whether the server at a port shows this certificate: it is running, and it is the right one."""
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # compared below; nothing is sent
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((host, port), timeout) as plain, context.wrap_socket(plain) as connection:
            shown = connection.getpeercert(binary_form=True)
    except OSError:
        return False
    first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", certificate.read_text(), re.DOTALL)
    return first is not None and shown == ssl.PEM_cert_to_DER_cert(first[0])


def check_dates(tls: TLS) -> None:
    """Refuse a server's certificate that is not valid today: every client would refuse it.

    Args:
        tls: With certificate and key that fit each other, as `server_credentials` checks.

    Raises:
        InputError: It has expired, or is not valid yet.
    """
    import ssl

    if tls.certificate is None:
        return
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(tls.certificate, tls.key)
    # The client trusts this certificate itself, so that only its dates are checked.
    client.load_verify_locations(tls.certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.check_hostname = False
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    for end in ends * 3:  # a handshake in memory takes fewer rounds than that
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:  # noqa: PERF203 - it waits for the other end
            continue
        except ssl.SSLCertVerificationError as error:
            raise InputError(
                f"{tls.certificate}: {error.verify_message}",
                wanted="a certificate that is valid today",
                cure="check its dates (openssl x509 -noout -dates -in FILE) and this machine's clock",
            ) from error
        except ssl.SSLError:  # another problem than the dates: clients will check it
            return


def _read_server(tls: TLS) -> tuple[bytes | None, bytes, bytes]:
    ca, certificate, key = _read_all(tls)
    if certificate is None or key is None:
        raise InputError("TLS: no certificate or no key", wanted="both", cure="give --tls-certificate and --tls-key")
    return ca, certificate, key


def _read_all(tls: TLS) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Read the files and check them with OpenSSL: gRPC would only say that it failed."""
    import ssl

    ca, certificate, key = _read(tls.ca), _read(tls.certificate), _read(tls.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls.ca is not None:
        try:
            context.load_verify_locations(tls.ca)
        except ssl.SSLError as error:
            raise InputError(
                f"{tls.ca}: holds no certificate that can be read", wanted="that of an authority"
            ) from error
    if (certificate is None) != (key is None):
        raise InputError(
            f"TLS: {tls.certificate or tls.key} alone",
            wanted="a certificate and its private key",
            cure="give --tls-certificate and --tls-key",
        )
    if tls.certificate is not None:
        try:
            # For an encrypted key, OpenSSL would ask on the terminal; gRPC does not take one either.
            context.load_cert_chain(tls.certificate, tls.key, password=_refuse_encrypted(tls.key))
        except ssl.SSLError as error:
            raise InputError(
                f"{tls.key}: is not the private key of {tls.certificate} ({error.reason or 'not readable'})",
                wanted="a certificate and its private key",
            ) from error
    return ca, certificate, key


def _refuse_encrypted(key: Path | None) -> Any:
    def refuse() -> str:
        raise InputError(
            f"{key}: is encrypted", wanted="a key without a password", cure="openssl pkey -in KEY -out NEW"
        )

    return refuse


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
