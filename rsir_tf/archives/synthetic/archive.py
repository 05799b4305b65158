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
"""The file that says that an archive is rendered, and how: its images have the names and the size of UC Merced's."""

MIN_SIZE = 64
"""The smallest number of pixels on a side: with fewer, a car is smaller than two pixels."""

MAX_SIZE = 4096
"""Pixels a side."""


def render_scene(scene: str, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render one tile of about 77 m × 77 m (0.3 m per pixel with 256 pixels on a side), as seen from an airplane.

    Equal arguments always give equal pixels. With another size, the same ground is shown at another scale.

    Args:
        scene: One of `SCENES`.
        size: Pixels on each side, 64 to 4096.
        seed: The random seed, 0 or more; it chooses one of the many tiles of a scene.

    Returns:
        The image, uint8 [size, size, 3], RGB, and its mask, uint8 [size, size], class indices 0..16 of the label set
        `dlrsd`. A pixel in shadow has the class of the shadowed surface.

    Raises:
        InputError: There is no such scene, or the size or seed is out of range.
    """
    if scene not in SCENES:
        raise InputError(f"scene {scene!r}: is not known", wanted=f"one of {', '.join(SCENES)}")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"size {size}: cannot be rendered", wanted=f"{MIN_SIZE} to {MAX_SIZE} pixels")
    if seed < 0:
        raise InputError(f"seed {seed}: is negative", wanted="0 or more")
    # Only drawing needs OpenCV; names and options do not.
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

    It also writes `LandUse_Multilabeled.txt`, a tags file like that of UC Merced with the classes of each mask, and
    `rendered.json`, which says that these images are not photographs, and how they were made.

    An image only depends on its scene, its number, the size and the seed: an archive with more images or other scenes
    contains the same images.

    Args:
        to: The folder to make; it must not exist.
        images_per_scene: Images of each scene, 1 or more.
        size: Pixels on each side, 64 to 4096.
        seed: The random seed; different seeds give different archives.
        scenes: Names from `SCENES`; all of them by default.
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
    """Whether `render_archive` made the archive in this folder, or the archive whose folder `Images` this is."""
    folder = root.resolve()
    return any((place / MARKER).is_file() for place in (folder, folder.parent))


def image_seed(seed: int, number: int) -> int:
    """Return the `render_scene` seed of an image: a hash, so that archives with different seeds share no image."""
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


@functools.cache
def _classes() -> NDArray[np.uint8]:
    """Return uint8 [materials], the class index of each material."""
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
