"""Pictures in files that a user names: the ending decides the format, and a file of another's is never replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation.picture_files import check_picture_target, is_own_picture, save_picture

SMOOTH = np.broadcast_to(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (64, 48, 3)).copy()


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP")]
)
def test_the_ending_decides_the_format(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    check_picture_target(path)
    save_picture(path, SMOOTH)
    with Image.open(path) as picture:
        assert (picture.format, picture.size, picture.mode) == (kind, (48, 64), "RGB")
        # Lossless, or nearly so for a smooth picture.
        assert np.abs(np.asarray(picture).astype(int) - SMOOTH).max() <= (0 if kind == "PNG" else 8)
    assert is_own_picture(path)
    check_picture_target(path)  # It may be replaced by its like.


def test_what_another_program_made_is_not_replaced(tmp_path: Path) -> None:
    files = {ending: tmp_path / f"photograph{ending}" for ending in (".png", ".jpg", ".webp")}
    for path in files.values():
        Image.fromarray(SMOOTH).save(path)
    files["empty"], files["text"] = tmp_path / "empty.png", tmp_path / "text.jpg"
    files["empty"].touch()
    files["text"].write_text("rsir_tf contact sheet")
    cut = tmp_path / "cut.png"
    save_picture(cut, SMOOTH)
    cut.write_bytes(cut.read_bytes()[:20])
    for path in (*files.values(), cut):
        assert not is_own_picture(path)
        with pytest.raises(ArtifactError, match=r"is not a picture that this program made; choose .* --force"):
            check_picture_target(path)
        check_picture_target(path, force=True)


def test_places_where_no_picture_can_be(tmp_path: Path) -> None:
    for name in ("a.gif", "a.tif", "a", ".png"):
        with pytest.raises(InputError, match=r"the ending is .*; wanted .png, .jpg, .jpeg, .webp"):
            check_picture_target(tmp_path / name)
    with pytest.raises(ArtifactError, match=r"there is no folder .*pictures; make the folder first"):
        check_picture_target(tmp_path / "pictures" / "a.png", force=True)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ArtifactError, match="is a folder"):
        check_picture_target(tmp_path / "folder.png", force=True)
    with pytest.raises(InputError, match=r"is 16384×1 pixels; wanted at most 16,383 pixels a side in WEBP"):
        save_picture(tmp_path / "wide.webp", np.zeros((1, 16_384, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
