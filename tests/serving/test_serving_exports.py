"""Exports that are missing, damaged, not this package's, or not to be read."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from serving_toy import export_toy, random_image

from rsir_tf.errors import ArtifactError, MismatchError, ModelError, RsirError
from rsir_tf.serving import connect, load
from rsir_tf.serving.exports import find_export, list_versions
from rsir_tf.serving.server.embedded import EmbeddedServer
from rsir_tf.serving.server.engines import check_servable


def test_versions_are_numbers_in_order(tmp_path: Path) -> None:
    for name in ["2", "10", "9", "x", "1.5", "-3", ".10.part", "٣", str(1 << 63), "9" * 20]:
        (tmp_path / name).mkdir()
    (tmp_path / "11").touch()
    assert list_versions(tmp_path) == [2, 9, 10]
    (tmp_path / str((1 << 63) - 1)).mkdir()  # the largest that a server's int64 holds
    assert list_versions(tmp_path) == [2, 9, 10, (1 << 63) - 1]
    assert list_versions(tmp_path / "nothing") == []


def test_find_export(toy_base: Path, tmp_path: Path) -> None:
    assert find_export(toy_base) == toy_base / "1"
    assert find_export(toy_base / "1") == toy_base / "1"
    with pytest.raises(ArtifactError, match=r"no such folder.*rsir-tf export"):
        find_export(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="holds no numbered version"):
        find_export(tmp_path)
    (tmp_path / "1").mkdir()
    with pytest.raises(ArtifactError, match=r"holds no saved_model\.pb"):
        find_export(tmp_path)


def test_damaged_export(toy_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(toy_base, tmp_path / "toy"))
    assert check_servable(base) == 1
    (base / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(ArtifactError, match="holds no weights"):
        check_servable(base)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(base)
    (base / "1" / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ArtifactError, match="damaged or cut off"):
        check_servable(base)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(base)
    with pytest.raises(ArtifactError, match="is one version of a model"):
        check_servable(toy_base / "1")


def test_a_folder_that_may_not_be_read(toy_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))

    monkeypatch.setattr(os, "scandir", refuse)
    for use in (check_servable, find_export):
        with pytest.raises(
            ArtifactError, match=f"{toy_base}: cannot be read: Permission denied; check its permissions"
        ):
            use(toy_base)


@pytest.mark.parametrize("missing", ["features", "describe"])
def test_missing_signature(tmp_path: Path, missing: str) -> None:
    base = tmp_path / "toy"
    base.mkdir()
    kept = tuple(name for name in ("serving_default", "features", "describe") if name != missing)
    export_toy(base, signatures=kept)
    for use in (check_servable, load):
        with pytest.raises(ModelError, match=rf"lacks the signature '{missing}'.*rsir-tf export"):
            use(base)
    with (
        EmbeddedServer(base, port=0) as server,
        connect(server.address, model_name="toy") as model,
        pytest.raises(ModelError, match=rf"signature '{missing}': .*lacks th.*signature.*rsir-tf export"),
    ):
        model.describe()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nan", "holds NaN or infinity"),
        ("half", r"'conv5_3' is (float16|half)"),
        ("small", r"'conv5_3' is float32 \[2, 1, 2, 512\]; wanted float32 \[2, 2, 2, 512\]"),
        ("class", "holds class 9; wanted 0 to 2"),
        ("another", "signature 'features': holds model toy-9; wanted model toy-1"),
    ],
)
def test_both_ways_refuse_a_wrong_model(tmp_path: Path, wrong: str, said: str) -> None:
    base = tmp_path / "toy"
    base.mkdir()
    export_toy(base, features=wrong)
    images = [random_image(32, 32)] * 2
    with load(base) as model, pytest.raises(RsirError, match=said):
        model.predict(images)
    with (
        EmbeddedServer(base, port=0) as server,
        connect(server.address, model_name="toy") as model,
        pytest.raises(RsirError, match=said) as caught,
    ):
        model.predict(images)
    assert isinstance(caught.value, MismatchError if wrong == "another" else ModelError)
