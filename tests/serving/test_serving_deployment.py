"""The files that an operator deploys parse, with TensorFlow Serving's own messages where its package ships them."""

from __future__ import annotations

import json
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
    assert config.model_version_policy.latest.num_versions == 2
    assert dict(config.version_labels) == {"stable": 1, "canary": 1}
    return config


def check_monitoring(text: str) -> None:
    monitoring = message("MonitoringConfig", {"prometheus_config": {"enable": BOOL, "path": STRING}})
    parsed = text_format.Parse(text, monitoring()).prometheus_config
    assert parsed.enable
    assert parsed.path == "/monitoring/prometheus/metrics"


def check_flags(arguments: list[str]) -> None:
    names = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    assert names == FLAGS


def test_models_config() -> None:
    check_models((FOLDER / "models.config").read_text())


def test_monitoring_config() -> None:
    check_monitoring((FOLDER / "monitoring.config").read_text())


def test_batching_parameters() -> None:
    wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    batching = message("BatchingParameters", {**dict.fromkeys(wrapped, WRAPPED), "allowed_batch_sizes*": INT64})
    parsed = text_format.Parse((FOLDER / "batching_parameters.txt").read_text(), batching())
    sizes = list(parsed.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parsed.max_batch_size.value
    assert parsed.num_batch_threads.value > 0


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


def test_compose() -> None:
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    check_flags(service["command"])
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in service["volumes"])
    for source in mounts:
        assert (FOLDER / source).exists() or source == "../saved_models", source
    for argument in service["command"]:
        if "config_file=" in argument:
            assert argument.partition("=")[2] in mounts.values()
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service["ports"])


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_kubernetes_manifests_parse(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["apiVersion"]
    assert content["kind"]
    for resource in content.get("resources", []) + [patch["path"] for patch in content.get("patches", [])]:
        assert (path.parent / resource).exists(), resource


def test_kubernetes_manifests_fit_together() -> None:
    parts = {path.stem: yaml.safe_load(path.read_text()) for path in (FOLDER / "kubernetes").glob("*.yaml")}
    config = check_models(parts["config"]["data"]["models.config"])
    assert config == check_models((FOLDER / "models.config").read_text())
    check_monitoring(parts["config"]["data"]["monitoring.config"])
    pod = parts["deployment"]["spec"]["template"]
    assert parts["deployment"]["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert parts["service"]["spec"]["selector"] == pod["metadata"]["labels"]
    (container,) = pod["spec"]["containers"]
    check_flags(container["args"])
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
    for path in FOLDER.iterdir():
        if path.name != "README.md":
            assert path.name in text, path.name


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
