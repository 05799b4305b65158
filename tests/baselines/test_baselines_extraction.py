"""Many images: by several processes, kept, gone on with."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from rsir_tf.artifacts import read_json
from rsir_tf.baselines import (
    BASELINES,
    ColourHistogram,
    Descriptor,
    Statistics,
    describe_images,
    extraction,
    libraries,
    library_versions,
)
from rsir_tf.errors import ArtifactError
from rsir_tf.presentation import save_png
from rsir_tf.rasters import FileSource

SIDE = 24


@pytest.fixture
def images(tmp_path: Path) -> dict[str, FileSource]:
    generator = np.random.default_rng(0)
    found = {}
    for number in range(6):
        path = tmp_path / "images" / f"{number}.png"
        save_png(path, generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        found[f"scene/{number}"] = FileSource(path)
    return found


@dataclass(frozen=True)
class Counting:
    """Counts what it is asked for, and can be made to fail."""

    name: ClassVar[str] = "counting"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("scikit-image",)
    asked: ClassVar[list[int]] = []
    fails_at: ClassVar[list[int]] = []

    @property
    def dimensions(self) -> int:
        return 1

    def describe(self, image: np.ndarray) -> np.ndarray:
        if image.shape[0] != SIDE:  # What warms up is none of the images.
            return np.zeros(1, dtype=np.float32)
        self.asked.append(1)
        if len(self.asked) in self.fails_at:
            raise KeyboardInterrupt
        return np.array([image.mean()], dtype=np.float32)


@pytest.fixture
def counting() -> Counting:
    Counting.asked.clear()
    Counting.fails_at.clear()
    return Counting()


@pytest.mark.parametrize("processes", [1, 2])
def test_vectors_come_in_order(
    images: dict[str, FileSource], tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "ALONE_SECONDS", 0.0)  # So that the processes get all of it.
    descriptor = ColourHistogram(bins=4)
    found = describe_images(images, descriptor, tmp_path / "cache", processes=processes)
    assert found.ids == tuple(images)
    expected = [descriptor.describe(image.read()) for image in images.values()]
    np.testing.assert_array_equal(found.vectors, expected)
    assert (found.seconds > 0).all()
    assert found.skipped == {}


def test_a_second_run_asks_for_nothing(images: dict[str, FileSource], tmp_path: Path, counting: Counting) -> None:
    first = describe_images(images, counting, tmp_path)
    again = describe_images(images, counting, tmp_path)
    assert len(Counting.asked) == 6
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.seconds, again.seconds)


def test_a_stopped_run_goes_on(images: dict[str, FileSource], tmp_path: Path, counting: Counting) -> None:
    Counting.fails_at.append(4)
    with pytest.raises(KeyboardInterrupt):
        describe_images(images, counting, tmp_path)
    found = describe_images(images, counting, tmp_path)
    assert len(Counting.asked) == 4 + 3  # Three were kept; the fourth and the two after it are asked for.
    assert found.vectors.shape == (6, 1)


def test_a_killed_run_goes_on(images: dict[str, FileSource], tmp_path: Path, counting: Counting) -> None:
    """The process ends within the fourth image, without a chance to write: what was written before is kept."""
    killed = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from test_baselines_extraction import Counting, FileSource, describe_images, extraction\n"
        "describe, extraction.PART_SECONDS = Counting.describe, 0.0\n"
        "Counting.describe = lambda self, image: os._exit(9) if len(self.asked) == 3 else describe(self, image)\n"
        "folder = Path(sys.argv[2])\n"
        "images = {f'scene/{n}': FileSource(folder / 'images' / f'{n}.png') for n in range(6)}\n"
        "describe_images(images, Counting(), folder / 'kept')"
    )
    ended = subprocess.run([sys.executable, "-c", killed, str(Path(__file__).parent), str(tmp_path)], check=False)
    assert ended.returncode == 9
    found = describe_images(images, counting, tmp_path / "kept")
    assert len(Counting.asked) == 3  # The fourth image and the two after it.
    np.testing.assert_allclose(found.vectors[:, 0], [image.read().mean() for image in images.values()], rtol=1e-6)


def test_what_only_the_first_image_costs_is_not_counted(
    images: dict[str, FileSource], tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    plain = Counting.describe

    def describe(self: Counting, image: np.ndarray) -> np.ndarray:
        clock[0] += 1.0 if clock[0] else 100.0  # The first call imports libraries and makes filters.
        return plain(self, image)

    monkeypatch.setattr(Counting, "describe", describe)
    monkeypatch.setattr(extraction.time, "process_time", lambda: clock[0])
    assert describe_images(images, counting, tmp_path / "kept").seconds.tolist() == [1.0] * 6


def test_a_run_killed_before_its_first_file_is_gone_on_with(images: dict[str, FileSource], tmp_path: Path) -> None:
    (tmp_path / "cache" / extraction.folder_name(Statistics())).mkdir(parents=True)
    assert len(describe_images(images, Statistics(), tmp_path / "cache").ids) == 6


def test_a_changed_image_is_described_anew(images: dict[str, FileSource], tmp_path: Path, counting: Counting) -> None:
    describe_images(images, counting, tmp_path)
    changed = images["scene/2"].path
    save_png(changed, np.full((24, 24, 3), 7, np.uint8))
    os.utime(changed, ns=(1, 1))
    found = describe_images(images, counting, tmp_path)
    assert len(Counting.asked) == 7
    assert found.vectors[2, 0] == 7
    assert describe_images(images, counting, tmp_path).vectors[2, 0] == 7  # The newer part counts.


def test_bad_images_are_named_and_stop_nothing(images: dict[str, FileSource], tmp_path: Path) -> None:
    images["scene/1"].path.write_bytes(b"no picture")
    images["scene/4"].path.unlink()
    found = describe_images(images, Statistics(), tmp_path / "cache")
    assert found.ids == ("scene/0", "scene/2", "scene/3", "scene/5")
    assert found.vectors.shape == (4, 2)
    assert list(found.skipped) == ["scene/1", "scene/4"]
    assert "is not a picture" in found.skipped["scene/1"]
    assert "no such file" in found.skipped["scene/4"]


def test_other_parameters_have_a_folder_of_their_own(images: dict[str, FileSource], tmp_path: Path) -> None:
    describe_images(images, Statistics("grey"), tmp_path / "cache")
    describe_images(images, Statistics("rgb"), tmp_path / "cache")
    folders = sorted((tmp_path / "cache").iterdir())
    assert sorted(read_json(folder / "manifest.json")["parameters"]["channels"] for folder in folders) == [
        "grey",
        "rgb",
    ]


def test_another_version_of_a_library_describes_anew(
    images: dict[str, FileSource], tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_images(images, counting, tmp_path / "cache")
    (before,) = (tmp_path / "cache").iterdir()
    versions = read_json(before / "manifest.json")["libraries"]
    assert versions == {name: version(name) for name in ("numpy", "pillow", "rasterio", "scikit-image")}
    with monkeypatch.context() as newer:
        newer.setattr(libraries, "version", lambda name: "99.0" if name == "scikit-image" else version(name))
        describe_images(images, counting, tmp_path / "cache")
        assert len(Counting.asked) == 12
        (after,) = set((tmp_path / "cache").iterdir()) - {before}
        assert read_json(after / "manifest.json")["libraries"] == {**versions, "scikit-image": "99.0"}
        newer.setattr(libraries, "version", lambda name: "99.0" if name == "scikit-learn" else version(name))
        describe_images(images, counting, tmp_path / "cache")  # Not one of its libraries.
    describe_images(images, counting, tmp_path / "cache")
    assert len(Counting.asked) == 12


@pytest.mark.parametrize("kind", BASELINES.values())
def test_each_descriptor_names_the_libraries_that_its_file_imports(kind: type[Descriptor]) -> None:
    source = Path(inspect.getfile(kind)).read_text("utf-8")
    imported = {"cv2": "opencv", "skimage": "scikit-image", "scipy": "scipy"}
    named = {name for module, name in imported.items() if f"import {module}" in source or f"from {module}" in source}
    named |= {"opencv"} if "grey(" in source else set()
    assert named <= set(kind.libraries)
    assert list(library_versions(*kind.libraries)) == sorted({"numpy", "pillow", "rasterio", *kind.libraries})


def test_a_second_process_is_refused(images: dict[str, FileSource], tmp_path: Path, counting: Counting) -> None:
    class Nested(Counting):
        def describe(self, image: np.ndarray) -> np.ndarray:
            if image.shape[0] == SIDE:
                with pytest.raises(ArtifactError, match=rf"another writer \(process {os.getpid()}\)"):
                    describe_images(images, counting, tmp_path)
            return super().describe(image)

    assert len(describe_images(images, Nested(), tmp_path).ids) == 6
    assert len(describe_images(images, counting, tmp_path).ids) == 6  # Given back.
    assert len(Counting.asked) == 6


def test_a_damaged_part_is_named(images: dict[str, FileSource], tmp_path: Path) -> None:
    describe_images(images, Statistics(), tmp_path / "cache")
    (part,) = (tmp_path / "cache").glob("*/*.npz")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"000001\.npz: is damaged .*remove it"):
        describe_images(images, Statistics(), tmp_path / "cache")
    part.unlink()
    assert len(describe_images(images, Statistics(), tmp_path / "cache").ids) == 6
