"""The files that an operator deploys parse, with TensorFlow Serving's own messages where its package ships them."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from PIL import Image
from serving_toy import random_image
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

FOLDER = Path(__file__).parents[2] / "serving"
CONFIG = FOLDER / "config"
KUBERNETES = sorted((FOLDER / "kubernetes").rglob("*.yaml"))

FLAGS = {
    # Of tensorflow_model_server, as far as these files use them.
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "max_num_load_retries",
    "enable_grpc_healthcheck_service",
    "monitoring_config_file",
}
KUBERNETES_FLAGS = {"port", "rest_api_port", "grpc_channel_arguments"}
"""Beyond those, there: what the image's own entry gives, and that clients connect anew."""

INT64, STRING, BOOL, MESSAGE = (
    getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind}") for kind in ("INT64", "STRING", "BOOL", "MESSAGE")
)
WRAPPED = ".google.protobuf.Int64Value"


def message(name: str, fields: dict) -> type:
    """A message class of TensorFlow Serving that its Python package does not ship: field name to type(s)."""
    file = descriptor_pb2.FileDescriptorProto(name=f"test/{name}.proto", package="test", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)

    def add(name: str, fields: dict) -> None:
        entry = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            label = 3 if field.endswith("*") else 1
            made = entry.field.add(name=field.rstrip("*"), number=number, label=label)
            made.type = kind if isinstance(kind, int) else MESSAGE
            if isinstance(kind, str):
                made.type_name = kind
            elif isinstance(kind, dict):
                add(f"{name}_{field}", kind)
                made.type_name = f".test.{name}_{field}"

    add(name, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


def check_models(text: str) -> ModelServerConfig:
    (config,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == ("fcn8s", "/models/fcn8s", "tensorflow")
    labels = dict(config.version_labels)
    assert labels == {"stable": 1, "canary": 1}
    # A label does not keep its version loaded: the policy must, whatever is exported next.
    assert set(labels.values()) <= set(config.model_version_policy.specific.versions)
    return config


def check_monitoring(text: str) -> None:
    monitoring = message("MonitoringConfig", {"prometheus_config": {"enable": BOOL, "path": STRING}})
    parsed = text_format.Parse(text, monitoring()).prometheus_config
    assert parsed.enable
    assert parsed.path == "/monitoring/prometheus/metrics"


def check_flags(arguments: list[str], names: set[str]) -> None:
    assert {argument.removeprefix("--").partition("=")[0] for argument in arguments} == names


def check_batching(text: str) -> None:
    wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    batching = message("BatchingParameters", {**dict.fromkeys(wrapped, WRAPPED), "allowed_batch_sizes*": INT64})
    parsed = text_format.Parse(text, batching())
    sizes = list(parsed.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parsed.max_batch_size.value
    assert parsed.num_batch_threads.value > 0


def test_models_config() -> None:
    check_models((CONFIG / "models.config").read_text())


def test_monitoring_config() -> None:
    check_monitoring((CONFIG / "monitoring.config").read_text())


def test_batching_parameters() -> None:
    check_batching((CONFIG / "batching_parameters.txt").read_text())


def test_ssl_config(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    subprocess.run(["sh", str(FOLDER / "make_test_certificates.sh"), str(tmp_path)], check=True, timeout=60)
    ssl = message(
        "SSLConfig", {"server_key": STRING, "server_cert": STRING, "custom_ca": STRING, "client_verify": BOOL}
    )
    parsed = text_format.Parse((tmp_path / "ssl.config").read_text(), ssl())
    assert parsed.server_key == (tmp_path / "server.key").read_text()
    assert parsed.server_cert == (tmp_path / "server.pem").read_text()
    assert parsed.custom_ca == (tmp_path / "ca.pem").read_text()
    assert parsed.client_verify
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0


def test_what_openssl_says_is_shown_where_it_fails(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    line = ["sh", str(FOLDER / "make_test_certificates.sh"), str(tmp_path / "out"), "localhost", "many"]
    done = subprocess.run(line, check=False, timeout=30, capture_output=True, text=True)
    assert done.returncode == 1
    assert "many" in done.stderr.partition("make_test_certificates.sh: this has failed: openssl req")[0]


@pytest.mark.parametrize(("host", "named"), [("192.0.2.7", "IP:192.0.2.7"), ("::1", "IP:::1"), ("h1.2", "DNS:h1.2")])
def test_certificates_for_names_and_addresses(tmp_path: Path, host: str, named: str) -> None:
    """A program in place of openssl keeps what it is asked to certify."""
    program = tmp_path / "openssl"
    program.write_text(
        '#!/bin/sh\nfor last in "$@"; do if [ "$before" = -extfile ]; then cat "$last" >> asked; fi\n'
        'case $before in -keyout | -out) : > "$last" ;; esac; before=$last; done\n'
    )
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = ["sh", str(FOLDER / "make_test_certificates.sh"), str(tmp_path / "out"), host]
    subprocess.run(line, check=True, timeout=30, env=environment)
    asked = (tmp_path / "out" / "asked").read_text().splitlines()
    assert f"subjectAltName={named},DNS:localhost,IP:127.0.0.1" in asked


def test_compose() -> None:
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    check_flags(service["command"], FLAGS)
    assert service["init"]
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in service["volumes"])
    # Folders: a file that is mounted alone stays the old one when an editor replaces it.
    assert mounts == {"../saved_models": "/models", "./config": "/config"}
    check_config_files(service["command"])
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service["ports"])


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_kubernetes_manifests_parse(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["apiVersion"]
    assert content["kind"]
    for resource in content.get("resources", []) + [patch["path"] for patch in content.get("patches", [])]:
        assert (path.parent / resource).exists(), resource


def check_config_files(arguments: list[str]) -> None:
    files = [Path(argument.partition("=")[2]) for argument in arguments if "config_file=" in argument]
    assert len(files) == 2
    for file in files:
        assert file.parent == Path("/config")
        assert (CONFIG / file.name).is_file()


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_kustomizations_resolve(overlay: str) -> None:
    """What `kubectl apply -k` refuses: a resource that is not there, or a folder that holds the one that names it."""

    def resolve(folder: Path, above: tuple[Path, ...]) -> None:
        content = yaml.safe_load((folder / "kustomization.yaml").read_text())
        for resource in content["resources"]:
            path = (folder / resource).resolve()
            assert path.exists(), path
            if path.is_dir():
                for inner in (*above, folder):
                    assert path not in (inner, *inner.parents), f"{inner}: cycle through {resource}"
                resolve(path, (*above, folder))

    resolve((FOLDER / "kubernetes" / overlay).resolve(), ())


@pytest.mark.parametrize(("overlay", "scales"), [("base", True), ("gpu", False)])
def test_kustomizations_build(overlay: str, scales: bool) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH")
    line = ["kubectl", "kustomize", str(FOLDER / "kubernetes" / overlay)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    parts = {part["kind"]: part for part in yaml.safe_load_all(done.stdout)}
    assert ("HorizontalPodAutoscaler" in parts) is scales
    (container,) = parts["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) is not scales
    assert "replicas" not in parts["Deployment"]["spec"]  # each `apply` would set it back
    check_flags(container["args"], FLAGS | KUBERNETES_FLAGS)


def test_kubernetes_manifests_fit_together() -> None:
    parts = {path.stem: yaml.safe_load(path.read_text()) for path in (FOLDER / "kubernetes" / "base").glob("*.yaml")}
    config = check_models(parts["config"]["data"]["models.config"])
    assert config == check_models((CONFIG / "models.config").read_text())
    check_monitoring(parts["config"]["data"]["monitoring.config"])
    batching = parts["config"]["data"]["batching_parameters.txt"]
    check_batching(batching)
    assert batching.splitlines() == [
        line for line in (CONFIG / "batching_parameters.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert set(parts["config"]["data"]) == {path.name for path in CONFIG.iterdir()}
    pod = parts["deployment"]["spec"]["template"]
    assert parts["deployment"]["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert parts["service"]["spec"]["selector"] == pod["metadata"]["labels"]
    (container,) = pod["spec"]["containers"]
    check_flags(container["args"], FLAGS | KUBERNETES_FLAGS)
    check_config_files(container["args"])
    assert container["command"] == ["tensorflow_model_server"]  # and not a shell, which keeps SIGTERM to itself
    assert "replicas" not in parts["deployment"]["spec"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"] for port in parts["service"]["spec"]["ports"]} == set(ports)
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["spec"]["volumes"]
    }
    assert pod["spec"]["volumes"][1]["configMap"]["name"] == parts["config"]["metadata"]["name"]
    assert parts["autoscaler"]["spec"]["scaleTargetRef"]["name"] == parts["deployment"]["metadata"]["name"]
    gpu = yaml.safe_load((FOLDER / "kubernetes" / "gpu" / "deployment.yaml").read_text())
    assert gpu["metadata"]["name"] == parts["deployment"]["metadata"]["name"]
    assert gpu["spec"]["template"]["spec"]["containers"][0]["name"] == container["name"]


def test_readme_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text()
    for path in itertools.chain(FOLDER.iterdir(), CONFIG.iterdir()):
        if path.name != "README.md":
            assert path.name in text, path.name


def test_readme_mounts_the_certificates_that_it_makes() -> None:
    """Made from the project's folder, mounted from compose.yaml's."""
    text = (FOLDER / "README.md").read_text()
    (made,) = set(re.findall(r"make_test_certificates\.sh (\S+) myhost", text))
    (mounted,) = re.findall(r"`(\S+):/tls:ro`", text)
    assert (FOLDER / mounted).resolve() == (FOLDER.parent / made).resolve()


def test_readme_tells_what_is_served_and_what_the_claim_must_be() -> None:
    text = (FOLDER / "README.md").read_text()
    (config,) = text_format.Parse((CONFIG / "models.config").read_text(), ModelServerConfig()).model_config_list.config
    versions = " and ".join(map(str, config.model_version_policy.specific.versions))
    assert f"**`{config.name}`, version {versions}, and nothing else**" in text
    volumes = yaml.safe_load((FOLDER / "kubernetes" / "base" / "deployment.yaml").read_text())
    claims = [volume.get("persistentVolumeClaim") for volume in volumes["spec"]["template"]["spec"]["volumes"]]
    assert {"claimName": "saved-models", "readOnly": True} in claims
    assert "several nodes can read: `ReadOnlyMany` or `ReadWriteMany`" in text


def test_a_picture_over_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on PATH")
    asked = []

    class Rest(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"outputs": [[[0]]]}')

        def log_message(self, *_: object) -> None:
            pass

    image = random_image(16, 24)
    Image.fromarray(image).save(tmp_path / "image.png")
    with HTTPServer(("127.0.0.1", 0), Rest) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        script, picture = FOLDER / "segment_over_rest.sh", tmp_path / "image.png"
        done = subprocess.run(
            ["sh", str(script), str(picture), f"127.0.0.1:{server.server_port}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
        )
    ((path, body),) = asked
    assert path == "/v1/models/fcn8s:predict"
    assert body == {"signature_name": "serving_default", "inputs": {"images": [image.tolist()]}}
    assert json.loads(done.stdout) == {"outputs": [[[0]]]}


def test_a_picture_that_is_not_there_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "curl").write_text(f"#!/bin/sh\ntouch {tmp_path}/sent\n")
    (tmp_path / "curl").chmod(0o755)
    done = subprocess.run(
        ["sh", str(FOLDER / "segment_over_rest.sh"), str(tmp_path / "nothing.png")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": f"{tmp_path}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"segment_over_rest.sh: {tmp_path}/nothing.png: cannot be read (")
    assert not (tmp_path / "sent").exists()
