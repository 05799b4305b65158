"""Encryption, with certificates that fit and that do not; and the health service."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_fake import FakeService, free_port, running
from serving_toy import random_image

from rsir_tf.errors import InputError, ModelError, ServerUnavailableError
from rsir_tf.serving import TLS, connect
from rsir_tf.serving.client import calls, servers
from rsir_tf.serving.client.channel import open_channel
from rsir_tf.serving.server.embedded import EmbeddedServer
from rsir_tf.serving.server.launching import start_server
from rsir_tf.serving.server.processes import EngineProcess
from rsir_tf.serving.tls import check_dates, server_credentials, shows_certificate, ssl_config, ssl_config_command

SCRIPT = Path(__file__).parents[2] / "serving" / "make_test_certificates.sh"
IMAGE = random_image(16, 16)


def certificates(folder: Path, *options: str) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    subprocess.run(["sh", str(SCRIPT), str(folder), *options], check=True, timeout=30)
    return folder


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def other_certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another authority, for another host."""
    return certificates(tmp_path_factory.mktemp("other"), "elsewhere.example")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_CONTACT", 0.5)


def server_tls(folder: Path, *, mutual: bool = False) -> TLS:
    return TLS(ca=folder / "ca.pem" if mutual else None, certificate=folder / "server.pem", key=folder / "server.key")


def test_encrypted(toy_base: Path, certs: Path, other_certs: Path) -> None:
    with EmbeddedServer(toy_base, port=0, tls=server_tls(certs)) as server:
        with connect(server.address, model_name="toy", tls=TLS(ca=certs / "ca.pem")) as model:
            assert len(model.predict([IMAGE])) == 1
        with (
            connect(server.address, model_name="toy", tls=TLS(ca=other_certs / "ca.pem")) as model,
            pytest.raises(ServerUnavailableError, match=r"CERTIFICATE_VERIFY_FAILED.*check the certificates"),
        ):
            model.describe()
        wrong_name = TLS(ca=certs / "ca.pem", server_name="elsewhere.example")
        with (
            connect(server.address, model_name="toy", tls=wrong_name) as model,
            pytest.raises(ServerUnavailableError, match="no server answers"),
        ):
            model.describe()
        with connect(server.address, model_name="toy") as plain, pytest.raises(ServerUnavailableError):
            plain.describe()
        with connect(server.address, model_name="toy", tls=TLS(ca=certs / "ca.pem")) as model:
            model.describe()  # the server lives on


def test_mutual(toy_base: Path, certs: Path, other_certs: Path, tmp_path: Path) -> None:
    old = expired(certs, tmp_path / "old", "client")
    with EmbeddedServer(toy_base, port=0, tls=server_tls(certs, mutual=True)) as server:
        shown = TLS(ca=certs / "ca.pem", certificate=certs / "client.pem", key=certs / "client.key")
        with connect(server.address, model_name="toy", tls=shown) as model:
            assert len(model.predict([IMAGE])) == 1
        # None, of another authority, and no longer good: the server closes the connection and says no more.
        own = TLS(ca=certs / "ca.pem")
        for folder in (None, other_certs, old):
            refused = replace(own, certificate=folder / "client.pem", key=folder / "client.key") if folder else own
            said = r"server encrypts: it may want .*--tls-certificate\) that it trusts and that has not expired"
            with (
                connect(server.address, model_name="toy", tls=refused) as model,
                pytest.raises(ServerUnavailableError, match=said),
            ):
                model.describe()


def expired(certs: Path, folder: Path, name: str) -> Path:
    """A copy in which a certificate is as the authority gave it out years ago, for a day."""
    old = Path(shutil.copytree(certs, folder))
    (old / "index").touch()
    (old / "ca.config").write_text(
        "[ca]\ndefault_ca=this\n[this]\ndatabase=index\nnew_certs_dir=.\nserial=ca.srl\ndefault_md=sha256\n"
        "policy=any\n[any]\ncommonName=supplied\n[names]\nsubjectAltName=IP:127.0.0.1\n"
    )
    ask = f"openssl req -new -key {name}.key -subj /CN=localhost -out {name}.csr"
    sign = (
        f"openssl ca -batch -config ca.config -cert ca.pem -keyfile ca.key -in {name}.csr -out {name}.pem -notext "
        "-extensions names -startdate 20200101000000Z -enddate 20200102000000Z"
    )
    for line in (ask, sign):
        subprocess.run(line.split(), check=True, timeout=30, cwd=old, capture_output=True)
    return old


def test_expired(toy_base: Path, certs: Path, tmp_path: Path) -> None:
    old = expired(certs, tmp_path / "old", "server")
    with (
        EmbeddedServer(toy_base, port=0, tls=server_tls(old)) as server,
        connect(server.address, model_name="toy", tls=TLS(ca=old / "ca.pem")) as model,
        pytest.raises(ServerUnavailableError, match=r"certificate has expired.*their dates"),
    ):
        model.describe()


def test_a_certificate_that_nobody_takes_is_not_served(toy_base: Path, certs: Path, tmp_path: Path) -> None:
    old = expired(certs, tmp_path / "old", "server")
    for engine in ("embedded", "tensorflow_model_server"):
        with pytest.raises(InputError, match=r"server\.pem: certificate has expired; wanted .* valid today"):
            start_server(toy_base, engine=engine, port=free_port(), tls=server_tls(old))
    check_dates(server_tls(certs))
    check_dates(server_tls(certs, mutual=True))


def test_a_certificate_that_cannot_be_trusted_any_more_is_told_at_once(certs: Path, other_certs: Path) -> None:
    """Of a server that has answered before: its connection broke, and it comes back with another certificate."""
    service = FakeService()
    with running(service, 0, server_credentials(server_tls(certs))) as address:
        model = connect(address, tls=TLS(ca=certs / "ca.pem"), timeout=60)
        model.predict([IMAGE])
    start = time.monotonic()
    port = int(address.rpartition(":")[2])
    with running(service, port, server_credentials(server_tls(other_certs))), model:
        with pytest.raises(ServerUnavailableError, match=r"CERTIFICATE_VERIFY_FAILED.*check the certificates"):
            model.predict([IMAGE])
        assert time.monotonic() - start < 20


def test_one_of_several_that_cannot_be_trusted(certs: Path, other_certs: Path) -> None:
    services = [FakeService(), FakeService()]
    good, bad = (server_credentials(server_tls(folder)) for folder in (certs, other_certs))
    with running(services[0], 0, bad) as first, running(services[1], 0, good) as second:
        with connect([first, second], tls=TLS(ca=certs / "ca.pem"), batch_size=1) as model:
            assert len(model.predict([IMAGE] * 6)) == 6
        assert [len(service.features()) for service in services] == [0, 6]


@pytest.mark.parametrize("encrypting_first", [False, True])
def test_a_name_of_which_one_address_encrypts(
    certs: Path, other_certs: Path, monkeypatch: pytest.MonkeyPatch, encrypting_first: bool
) -> None:
    """As localhost, where nothing listens at ::1 and a server with TLS at 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening
        nobody = "127.0.0.1:{1}".format(*probe.getsockname())
        with running(FakeService(), 0, server_credentials(server_tls(certs))) as encrypts:
            both = [encrypts, nobody] if encrypting_first else [nobody, encrypts]
            name = f"ipv4:{','.join(both)}"
            with connect(name) as plain, pytest.raises(ServerUnavailableError, match="whether the server encrypts"):
                plain.describe()
            monkeypatch.setattr(servers, "resolve", lambda address: ("localhost", [f"ipv4:{one}" for one in both]))
            with (
                connect(name, tls=TLS(ca=other_certs / "ca.pem")) as model,
                pytest.raises(ServerUnavailableError, match=r"CERTIFICATE_VERIFY_FAILED.*check the certificates"),
            ):
                model.describe()


def test_files_that_are_no_certificates(toy_base: Path, tmp_path: Path, certs: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        connect("localhost:8500", tls=TLS(ca=tmp_path / "nothing.pem"))
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(InputError, match="is not a PEM file"):
        connect("localhost:8500", tls=TLS(ca=tmp_path / "text.pem"))
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n")
    with pytest.raises(InputError, match=r"broken\.pem: holds no certificate that can be read"):
        connect("localhost:8500", tls=TLS(ca=tmp_path / "broken.pem"))
    for tls, said in [
        (TLS(certificate=certs / "server.pem"), "server.pem alone; wanted a certificate and its private key"),
        (TLS(ca=certs / "ca.pem"), "no certificate or no key"),
        (TLS(certificate=certs / "server.pem", key=certs / "client.key"), "client.key: is not the private key of"),
        (TLS(certificate=certs / "server.key", key=certs / "server.pem"), "server.pem: is not the private key of"),
    ]:
        with pytest.raises(InputError, match=said):
            EmbeddedServer(toy_base, port=0, tls=tls).start()
    locked = ["openssl", "pkey", "-in", certs / "server.key", "-aes256", "-passout", "pass:x", "-out", tmp_path / "key"]
    subprocess.run(locked, check=True, timeout=30)
    with pytest.raises(InputError, match="is encrypted; wanted a key without a password"):
        connect("localhost:8500", tls=TLS(certificate=certs / "server.pem", key=tmp_path / "key"))


@pytest.mark.parametrize("mutual", [False, True])
def test_config_for_tensorflow_serving(certs: Path, tmp_path: Path, mutual: bool) -> None:
    """Two ways to one text: by this package, and by the shell line that `serve --print` prints."""
    tls = server_tls(certs, mutual=mutual)
    file = tmp_path / "a folder" / "ssl.config"
    file.parent.mkdir()
    subprocess.run(["sh", "-c", ssl_config_command(tls, file)], check=True, timeout=30)
    assert file.read_text() == ssl_config(tls)
    assert file.stat().st_mode & 0o077 == 0
    if mutual:  # the third way: the script that makes the certificates
        assert file.read_text() == (certs / "ssl.config").read_text()


def test_a_process_that_encrypts(toy_base: Path, certs: Path) -> None:
    """Its certificate tells that it is up; whether clients must show one makes no difference."""
    for mutual in (False, True):
        tls = server_tls(certs, mutual=mutual)
        with EmbeddedServer(toy_base, port=0, tls=tls) as server:
            assert shows_certificate("127.0.0.1", server.port, certs / "server.pem")
            assert not shows_certificate("127.0.0.1", server.port, certs / "client.pem")
    assert not shows_certificate("127.0.0.1", server.port, certs / "server.pem")
    with EmbeddedServer(toy_base, port=0) as plain:
        assert not shows_certificate("127.0.0.1", plain.port, certs / "server.pem")
    ends = EngineProcess([sys.executable, "-c", ""], name="toy", host="127.0.0.1", port=server.port, tls=tls)
    with pytest.raises(ModelError, match="the server ended before it served model 'toy'"):
        ends.start(20, threading.Event())


STANDS_IN = """\
import shutil, socket, ssl, sys
flags = dict(argument.split("=", 1) for argument in sys.argv[1:])
shutil.copy2(flags["--ssl_config_file"], {seen!r})
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain({certificate!r}, {key!r})
listener = socket.create_server(("0.0.0.0", int(flags["--port"])))
while True:
    context.wrap_socket(listener.accept()[0], server_side=True).close()
"""


def test_start_tensorflow_serving(toy_base: Path, certs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name keeps a copy of the file that it was given, and shows the certificate."""
    tls = server_tls(certs, mutual=True)
    program, seen = tmp_path / "tensorflow_model_server", tmp_path / "seen"
    text = STANDS_IN.format(seen=str(seen), certificate=str(tls.certificate), key=str(tls.key))
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    # An address of nobody's (RFC 5737): this engine listens on all there are, and is waited for on loopback.
    server = start_server(toy_base, engine="tensorflow_model_server", host="192.0.2.1", port=port, tls=tls, timeout=60)
    assert server.address == f"127.0.0.1:{port}"
    assert not server.wait(0)
    server.stop()
    assert seen.read_text() == ssl_config(tls)
    assert list(temporary.iterdir()) == []  # the key's copy does not stay


def test_health(toy_base: Path) -> None:
    with EmbeddedServer(toy_base, port=0) as server, open_channel(server.address, None) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "PredictionService", "ModelService"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="nope"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
