"""The models of the tests that also run against a real server, and where it must find them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from serving_toy import export_toy

from rsir_tf.serving.server.embedded import EmbeddedServer

NAMES = ("toy", "swapped", "labelled")
LABELS = {"stable": 1, "canary": 2}


@dataclass(frozen=True)
class Live:
    """A served model: its server, its name there, and its folder of numbered versions."""

    address: str
    name: str
    base: Path


def embedded(base: Path, **settings: object) -> EmbeddedServer:
    """An embedded server at a free port, not started yet, told to behave as `settings` say."""
    server = EmbeddedServer(base, port=0)
    for name, value in settings.items():
        assert hasattr(server, name)
        setattr(server, name, value)
    return server


def publish(version: Path, base: Path, number: int) -> None:
    """Let a version appear by rename."""
    shutil.copytree(version, base / f"copying-{number}").rename(base / str(number))


def export_models(folder: Path) -> None:
    """Write all models, and `models.config`, which tells TensorFlow Serving of them."""
    entries = []
    for name in NAMES:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        export_toy(folder / name)
        policy = ""
        if name == "labelled":
            export_toy(folder / name, 2, model_id="toy-2", scale=2)
            labels = " ".join(
                f'version_labels {{ key: "{label}" value: {number} }}' for label, number in LABELS.items()
            )
            policy = f"model_version_policy {{ all {{}} }} {labels}"
        entries.append(
            f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" {policy} }}'
        )
    aside = folder / "models.config.part"
    aside.write_text("model_config_list {\n  " + "\n  ".join(entries) + "\n}\n")
    aside.rename(folder / "models.config")
