"""The rendered archive on disk: DLRSD's format, complete or not there at all."""

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import load_label_set, open_archive, read_mask
from rsir_tf.archives.synthetic import SCENES, render_archive, render_scene
from rsir_tf.archives.synthetic.archive import image_seed
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.rasters import read_image

LABELS = load_label_set("dlrsd")
CHOSEN = ("beach", "harbor")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return render_archive(tmp_path_factory.mktemp("synthetic") / "archive", images_per_scene=2, size=64, scenes=CHOSEN)


def test_files_lie_where_dlrsd_has_them(archive):
    files = sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())
    pairs = [f"{scene}/{scene}{number}" for scene in CHOSEN for number in ("00", "01")]
    expected = [f"Images/{name}.tif" for name in pairs] + [f"Labels/{name}.png" for name in pairs]
    assert files == [*expected, "LandUse_Multilabeled.txt", "rendered.json"]


def test_masks_are_palette_pictures_with_ids_from_1_and_dlrsds_colours(archive):
    for path in archive.glob("Labels/*/*.png"):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            ids = np.unique(np.asarray(picture))
            assert set(ids.tolist()) <= set(range(1, 18))
            palette = np.array(picture.getpalette()).reshape(-1, 3)
        # Sea is id 13 and blue, ship 14 and pink, water 17 and cyan in DLRSD.
        assert palette[[13, 14, 17]].tolist() == [[0, 0, 255], [255, 0, 192], [0, 255, 255]]


def test_files_hold_what_render_scene_gives(archive):
    for scene in CHOSEN:
        for number in (0, 1):
            image, mask = render_scene(scene, 64, image_seed(0, number))
            name = f"{scene}/{scene}{number:02d}"
            np.testing.assert_array_equal(read_image(archive / "Images" / f"{name}.tif"), image)
            np.testing.assert_array_equal(read_mask(archive / "Labels" / f"{name}.png", LABELS), mask)


def test_it_opens_as_dlrsd_with_scenes_and_tags(archive):
    opened = open_archive(archive)
    assert opened.format == "dlrsd"
    assert [record.id for record in opened] == [
        f"{scene}/{scene}0{number}.tif" for scene in CHOSEN for number in (0, 1)
    ]
    for record in opened:
        assert record.scene == record.id.split("/")[0]
        assert record.mask is not None
        present = np.unique(read_mask(record.mask, LABELS))
        assert record.tags == tuple(sorted(LABELS.names[index] for index in present))


def test_an_image_does_not_depend_on_the_others(archive, tmp_path):
    alone = render_archive(tmp_path / "alone", images_per_scene=1, size=64, scenes=["harbor"])
    name = "Images/harbor/harbor00.tif"
    assert (alone / name).read_bytes() == (archive / name).read_bytes()


def test_another_seed_gives_other_images(archive, tmp_path):
    other = render_archive(tmp_path / "other", images_per_scene=2, size=64, seed=1, scenes=["harbor"])
    # Not even shifted by one: image 1 of seed 0 is not image 0 of seed 1.
    ours = {path.read_bytes() for path in archive.glob("Images/harbor/*")}
    assert len(ours | {path.read_bytes() for path in other.glob("Images/harbor/*")}) == 4


def test_progress_counts_every_image(tmp_path):
    told = []
    render_archive(
        tmp_path / "archive", images_per_scene=1, size=64, scenes=CHOSEN, progress=lambda *done: told.append(done)
    )
    assert told == [(1, 2, "beach/beach00"), (2, 2, "harbor/harbor00")]


def test_what_exists_is_not_touched(tmp_path):
    target = tmp_path / "archive"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="exists already"):
        render_archive(target, images_per_scene=1, size=64, scenes=["beach"])
    assert [path.name for path in tmp_path.rglob("*")] == ["archive", "notes.txt"]


def test_an_interrupted_run_leaves_nothing(tmp_path):
    def stop(done, total, words):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_archive(tmp_path / "archive", images_per_scene=2, size=64, scenes=CHOSEN, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"scenes": ["airport"]}, "'airport'"),
        ({"scenes": ["beach", "beach"]}, "named twice"),
        ({"scenes": []}, "no scenes"),
        ({"images_per_scene": 0}, "0 images per scene"),
        ({"size": 32}, "size 32"),
        ({"seed": -3}, "seed -3"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(tmp_path, options, found):
    with pytest.raises(InputError, match=found):
        render_archive(tmp_path / "archive", **options)
    assert list(tmp_path.iterdir()) == []


def test_all_scenes_are_rendered_where_none_are_named(tmp_path):
    archive = render_archive(tmp_path / "archive", images_per_scene=1, size=64)
    assert sorted(path.name for path in (archive / "Images").iterdir()) == list(SCENES)
