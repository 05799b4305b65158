"""Render scenes, one by one or as a whole archive in DLRSD's format."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.label_files import load_label_set
from rsir_tf.archives.masks import write_mask
from rsir_tf.archives.tags import UCMERCED_TAGS
from rsir_tf.artifacts import manifest, write_json, written_aside
from rsir_tf.errors import InputError
from rsir_tf.progress import Progress, silent

SCENES: tuple[str, ...] = (
    "agricultural",
    "airplane",
    "baseballdiamond",
    "beach",
    "buildings",
    "chaparral",
    "denseresidential",
    "forest",
    "freeway",
    "golfcourse",
    "harbor",
    "intersection",
    "mediumresidential",
    "mobilehomepark",
    "overpass",
    "parkinglot",
    "river",
    "runway",
    "sparseresidential",
    "storagetanks",
    "tenniscourt",
)
"""UC Merced's scene classes, which are the folders of an archive."""

MARKER = "rendered.json"
"""In a rendered archive's folder: what it was rendered with. By name and size its images are UC Merced's."""

MIN_SIZE = 64
"""Pixels a side: below, a car is less than two pixels."""

MAX_SIZE = 4096
"""Pixels a side."""


def render_scene(scene: str, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render one tile of about 77 m a side (0.3 m to the pixel at 256), as seen from an airplane.

    Equal arguments give equal pixels, whatever was rendered before; another size shows the same ground at another
    scale.

    Args:
        scene: One of `SCENES`.
        size: Pixels a side, 64 to 4096.
        seed: Which of the scene's many tiles; 0 or more.

    Returns:
        The image, uint8 [size, size, 3], RGB, and its mask, uint8 [size, size], class indices 0..16 of the label set
        `dlrsd`. A pixel in shadow has the class of what it lies on.

    Raises:
        InputError: There is no such scene, or the size or seed is out of range.
    """
    if scene not in SCENES:
        raise InputError(f"scene {scene!r}: is not known", wanted=f"one of {', '.join(SCENES)}")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"size {size}: cannot be rendered", wanted=f"{MIN_SIZE} to {MAX_SIZE} pixels")
    if seed < 0:
        raise InputError(f"seed {seed}: is negative", wanted="0 or more")
    # Drawing needs OpenCV, which names and options do not.
    from rsir_tf.archives.synthetic.canvas import Canvas
    from rsir_tf.archives.synthetic.photograph import surface_map, take_photograph
    from rsir_tf.archives.synthetic.scenes import DRAWERS

    layout, grain, light = (_generator(scene, seed, part) for part in ("layout", "grain", "light"))
    canvas = Canvas(size, layout, grain)
    DRAWERS[scene](canvas, layout)
    image = take_photograph(canvas, light)
    return image, _classes()[surface_map(canvas)]


def render_archive(
    to: Path,
    *,
    images_per_scene: int = 10,
    size: int = 256,
    seed: int = 0,
    scenes: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Path:
    """Render an archive in DLRSD's format: `Images/SCENE/SCENENN.tif` and `Labels/SCENE/SCENENN.png`.

    Beside them lie a tags file as UC Merced has one, `LandUse_Multilabeled.txt`: the classes that each mask holds; and
    `rendered.json`, which says that these are no photographs, and how they were made.

    An image depends on its scene, its number, the size and the seed alone: an archive with more images or other scenes
    holds the same ones.

    Args:
        to: The folder to make; it must not exist.
        images_per_scene: Images of each scene, 1 or more.
        size: Pixels a side, 64 to 4096.
        seed: Another seed gives another archive.
        scenes: Which of `SCENES`; all where left out.
        progress: Called after each image.

    Returns:
        `to`.

    Raises:
        InputError: An argument is out of range, or a scene is unknown or named twice.
        ArtifactError: `to` exists, or the disk is full or read-only. Nothing is left behind.
    """
    from PIL import Image

    chosen = tuple(SCENES if scenes is None else scenes)
    _check(chosen, images_per_scene, size, seed)
    labels = load_label_set("dlrsd")
    tags = [["IMAGE\\LABEL", *labels.names]]
    total = len(chosen) * images_per_scene
    with written_aside(to) as aside:
        for folder in ("Images", "Labels"):
            for scene in chosen:
                (aside / folder / scene).mkdir(parents=True)
        for done in range(total):
            scene, number = chosen[done // images_per_scene], done % images_per_scene
            image, mask = render_scene(scene, size, image_seed(seed, number))
            name = f"{scene}/{scene}{number:02d}"
            Image.fromarray(image).save(aside / "Images" / f"{name}.tif")
            write_mask(aside / "Labels" / f"{name}.png", mask, labels)
            present = np.bincount(mask.ravel(), minlength=len(labels.names)) > 0
            tags.append([f"{scene}{number:02d}", *(str(int(there)) for there in present)])
            progress(done + 1, total, name)
        lines = ["\t".join(row) for row in tags]
        (aside / UCMERCED_TAGS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        facts = {"images_per_scene": images_per_scene, "size": size, "seed": seed, "scenes": list(chosen)}
        write_json(aside / MARKER, manifest("rendered_archive", 1, **facts))
    return to


def is_rendered(root: Path) -> bool:
    """Whether `render_archive` made the archive at a folder, or the one whose folder `Images` it is."""
    folder = root.resolve()
    return any((place / MARKER).is_file() for place in (folder, folder.parent))


def image_seed(seed: int, number: int) -> int:
    """Return the `render_scene` seed of an archive's image: a hash, so that neighbouring seeds share no images."""
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


@functools.cache
def _classes() -> NDArray[np.uint8]:
    """Return uint8 [materials]: the class index of each."""
    from rsir_tf.archives.synthetic.materials import SURFACES, Material

    names = load_label_set("dlrsd").names
    return np.array([names.index(SURFACES[material].label) for material in Material], dtype=np.uint8)


def _generator(scene: str, seed: int, part: str) -> np.random.Generator:
    digest = hashlib.blake2b(f"{scene}/{seed}/{part}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def _check(scenes: Sequence[str], images_per_scene: int, size: int, seed: int) -> None:
    if not scenes:
        raise InputError("no scenes are named", wanted=f"some of {', '.join(SCENES)}")
    for scene in scenes:
        if scene not in SCENES:
            raise InputError(f"scene {scene!r}: is not known", wanted=f"one of {', '.join(SCENES)}")
        if scenes.count(scene) > 1:
            raise InputError(f"scene {scene!r}: is named twice", wanted="each scene once")
    if images_per_scene < 1:
        raise InputError(f"{images_per_scene} images per scene", wanted="1 or more")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"size {size}: cannot be rendered", wanted=f"{MIN_SIZE} to {MAX_SIZE} pixels")
    if seed < 0:
        raise InputError(f"seed {seed}: is negative", wanted="0 or more")
