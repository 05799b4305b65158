"""Where the paper's figures may stand beside measured ones: what is UC Merced, and what differs from the paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_archive import FAST, coloured_scenes
from PIL import Image

from rsir_tf.archives import Archive, Record
from rsir_tf.archives.synthetic import SCENES, render_archive
from rsir_tf.baselines import ColourHistogram, Statistics
from rsir_tf.evaluation import Evaluation
from rsir_tf.rasters import FileSource, read_image
from rsir_tf.workflows import (
    Comparison,
    compare_descriptors,
    is_uc_merced,
    published_remarks,
    unlike_published,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return coloured_scenes(tmp_path / "archive")


def test_published_rows_are_shown_where_asked_for(command: Callable, archive: Path, tmp_path: Path) -> None:
    ended = command("compare", archive, "--to", tmp_path / "out", *FAST, "--published")
    assert ended.code == 0, ended.err
    text = (tmp_path / "out" / "report" / "report.md").read_text("utf-8")
    assert "Color (published) | 0.705 | 0.255" in text
    assert (
        "- Published rows are shown because they were asked for, though the archive is not UC Merced; 3 images are "
        "compared, not 420, 20 of each scene class."
    ) in text
    assert "- 3 of 3 images are no TIFF files, as the originals are that the published rows are of (" in text
    assert "no TIFF files" in ended.err


def uc_merced(root: Path, numbers: range = range(100)) -> Archive:
    names = [f"{scene}/{scene}{number:02}.tif" for scene in SCENES for number in numbers]
    return Archive(
        root, "folder", tuple(Record(name, FileSource(root / name), scene=name.split("/")[0]) for name in names)
    )


def test_which_archive_is_uc_merced(tmp_path: Path) -> None:
    assert is_uc_merced(uc_merced(tmp_path))
    assert not is_uc_merced(uc_merced(tmp_path, range(99)))
    rendered = render_archive(tmp_path / "rendered", images_per_scene=1, size=64, scenes=["beach"])
    for root in (rendered, rendered / "Images"):  # Whatever its images are called.
        assert not is_uc_merced(uc_merced(root))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"relevance": "tags"}, ["an image is relevant where it shares a tag, not a scene class"]),
        ({"query_counts": False}, ["the query is not ranked"]),
        ({"anmrr_variant": "4ng"}, ['ANMRR is of variant "4ng", not "2ng"']),
        ({"queries": 441}, ["441 images are compared, not 420, 20 of each scene class"]),
    ],
)
def test_where_published_rows_may_stand(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    ranked = uc_merced(tmp_path, range(20 if "queries" not in change else 21)).records
    settings = {"queries": 420, "archive": 420, "relevance": "scene", "anmrr_variant": "2ng", "query_counts": True}
    found = Comparison(Evaluation(**{**settings, **change}, schemes={}), ranked, lambda _: np.ones(1, dtype=bool))
    assert unlike_published(uc_merced(tmp_path), found) == words
    assert unlike_published(uc_merced(tmp_path, range(50)), found) == ["the archive is not UC Merced", *words]
    (tmp_path / "rendered.json").touch()
    assert unlike_published(uc_merced(tmp_path), found) == ["the images are rendered", *words]


def test_published_rows_beside_copies_get_a_remark(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    image.save(tmp_path / "a.tif")
    image.save(tmp_path / "b.tif", "JPEG")  # Whatever its name says.
    records = tuple(Record(name, FileSource(tmp_path / name), scene="x") for name in ("a.tif", "b.tif"))
    evaluation = Evaluation(2, 2, "scene", "2ng", True, {})
    (remark,) = published_remarks(Comparison(evaluation, records, lambda _: np.ones(2, dtype=bool)))
    assert remark.startswith("1 of 2 images are no TIFF files, as the originals are")
    assert "(b.tif)" in remark
    assert published_remarks(Comparison(evaluation, records[:1], lambda _: np.ones(1, dtype=bool))) == []


def test_real_rows_are_near_the_published(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """The two that are quick, on five images of each scene: far fewer than the paper's, so only their order is told."""
    images = sorted(real_data("data/ucmerced/Images").rglob("*0[0-4].jpg"))
    records = tuple(Record(path.name, FileSource(path), scene=path.parent.name) for path in images)
    found = compare_descriptors(
        Archive(images[0].parent, "folder", records), tmp_path, descriptors=[Statistics(), ColourHistogram()]
    )
    schemes = found.evaluation.schemes
    assert found.evaluation.queries == 105
    assert schemes["color"].map > schemes["statistics"].map > 0.25  # Each query finds itself: at least 1/5.
    assert read_image(images[0]).shape == (256, 256, 3)
