"""The report on an archive: what it holds, what training would fail at, what is worth knowing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from rsir_tf.errors import InputError
from rsir_tf.wording import counted

DARK, BRIGHT = 16, 239
"""Of 255: a scene with a lower or a higher mean is nearly black or white. Its stretch is more likely wrong than it."""

SCENE_SIDE = 4096
"""Pixels: a file with a longer side is more likely a scene than one image."""

MEANT_TO_DIFFER = 2
"""Classes of a label set that is there to tell one class from the rest. A larger one may well show one class so far."""


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How much of the masks one class covers.

    Attributes:
        name: The class.
        pixels: Over all masks that could be read.
        share: Of all their pixels, void ones included; 0..1.
        images: In how many images it occurs.
    """

    name: str
    pixels: int
    share: float
    images: int


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """One scene of an archive, and how its windows are.

    Attributes:
        id: As the ids of its windows begin.
        size: "WIDTHxHEIGHT" of the file, in pixels.
        bands: How many the file has.
        dtype: Their number type, as NumPy names it.
        crs: The coordinate reference system: "EPSG:32632", or its name where it has no such code; None without a place.
        metres_a_pixel: On the ground, in the middle of the file; None without a place.
        windows: How many it is cut into, those included that are left out.
        windows_left_out: How many of them have too few valid pixels.
        valid_share: Valid pixels of all windows, of all their pixels; 0..1.
        mean: Of red, green and blue of the valid pixels, as they are read; 0..255. None where none was read.
        notes: What is worth knowing of the file, each in words that follow its name.
    """

    id: str
    size: str
    bands: int
    dtype: str
    crs: str | None
    metres_a_pixel: float | None
    windows: int
    windows_left_out: int
    valid_share: float
    mean: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class ArchiveReport:
    """What `check_archive` found. Images are named by id, other files by path.

    Attributes:
        root: The archive's folder.
        format: As in `Archive`.
        images: How many there are; windows that are left out are not counted.
        supervision: What its images are annotated with: "masks", "tags", both or nothing.
        sizes: "WIDTHxHEIGHT" → images of that size, the most frequent first.
        scenes: Scene → images, by name.
        groups: Group → images, by name.
        tags: Tag → images, by name; tags that never occur have 0.
        tags_per_image: Mean over the images that have tags.
        label_set: Name of the masks' label set.
        classes: Pixels of each class, in order of class index.
        void_pixels: Pixels that the label set ignores.
        void_share: Of all pixels of the masks; 0..1.
        images_without_mask: In an archive with masks.
        masks_without_image: Mask files.
        images_without_tags: In an archive with tags; with the row of the tags file that may be meant.
        tags_without_image: Names in the tags file.
        unreadable: Images → why.
        unreadable_masks: Images → why their mask cannot be read.
        masks_of_other_size: Images → both sizes.
        masks_of_other_orientation: Images → both orientation tags.
        masks_with_unknown_values: Images → the id or colour that the label set lacks.
        understood: How the folder was understood, in words.
        pairing: How images and masks were told apart and brought together; None where there are no masks.
        label_proof: Why the masks are taken to mean what the label set says; None where there is none.
        left_out: Files and folders that are no part of the archive → why.
        reading: How files become images, as `Reading.to_json` gives it; {} where each is an ordinary picture.
        reading_in_words: The same in words.
        scene_files: The scenes that are cut into windows.
        windows_left_out: Windows with too few valid pixels → how few.
        large: Images that are as large as scenes are, where files are not cut → their size.
        notes: What is worth knowing of image files that are read → the images.
        masks_read: How many masks could be read.
        masks_void: Images whose mask has no pixel of a class.
        problems: What training would fail at, one line each.
        remarks: What is worth knowing and stops nothing, one line each.
    """

    root: str
    format: str
    images: int
    supervision: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    scenes: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    tags_per_image: float | None = None
    label_set: str | None = None
    classes: list[ClassShare] = field(default_factory=list)
    void_pixels: int = 0
    void_share: float = 0.0
    images_without_mask: list[str] = field(default_factory=list)
    masks_without_image: list[str] = field(default_factory=list)
    images_without_tags: dict[str, str | None] = field(default_factory=dict)
    tags_without_image: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    unreadable_masks: dict[str, str] = field(default_factory=dict)
    masks_of_other_size: dict[str, str] = field(default_factory=dict)
    masks_of_other_orientation: dict[str, str] = field(default_factory=dict)
    masks_with_unknown_values: dict[str, str] = field(default_factory=dict)
    understood: str = ""
    pairing: str | None = None
    label_proof: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    reading_in_words: str = ""
    scene_files: list[SceneFacts] = field(default_factory=list)
    windows_left_out: dict[str, str] = field(default_factory=dict)
    large: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    masks_read: int = 0
    masks_void: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def trainable(self) -> bool:
        """Whether training, which needs masks or tags, would go through."""
        return bool(self.supervision) and not self.problems

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON types."""
        return {**dataclasses.asdict(self), "trainable": self.trainable}

    def judge(self) -> None:
        """Fill `problems` and `remarks` from the other fields."""
        masks, tags = "masks" in self.supervision, "tags" in self.supervision
        bare = [image for image in self.images_without_mask if not tags or image in self.images_without_tags]
        untagged = " and no tags" if tags else ""
        self.problems = _lines(
            (self.unreadable, "image cannot be read", "images cannot be read"),
            (bare, f"image has no mask{untagged}", f"images have no mask{untagged}"),
            (self.unreadable_masks, "mask cannot be read", "masks cannot be read"),
            (self.masks_of_other_size, "mask is not as large as its image", "masks are not as large as their image"),
            (
                self.masks_of_other_orientation,
                "mask has another orientation tag than its image",
                "masks have another orientation tag than their image",
            ),
            (
                self.masks_with_unknown_values,
                "mask holds values that the label set does not have",
                "masks hold values that the label set does not have",
            ),
        )
        if self.masks_read and len(self.masks_void) == self.masks_read:
            self.problems.append(all_void(self.masks_read, f"that of {self.masks_void[0]}").found)
        shown = [entry.name for entry in self.classes if entry.pixels]
        if len(shown) == 1 and len(self.classes) <= MEANT_TO_DIFFER:
            only = one_class(shown[0])
            self.problems.append(f"{only.found}; {only.cure}")
        if not self.images:
            self.problems.append("all windows are left out")
        if self.images == 1 and self.supervision:
            self.problems.append("one image alone cannot be divided into a part to train on and a part to test on")
        untitled = _lines(
            (
                self.images_without_tags,
                "image has no line in the tags file",
                "images have no line in the tags file",
            )
        )
        kind = "scene" if self.scene_files else "image"
        self.remarks = _lines(
            (self.left_out, "file or folder is left out", "files or folders are left out"),
            (self.windows_left_out, "window is left out", "windows are left out"),
            (
                self._ill_stretched(),
                "scene is nearly black or white as it is read",
                "scenes are nearly black or white as they are read",
            ),
            (
                self._magnified(),
                "scene is magnified more than twice by --resolution",
                "scenes are magnified more than twice by --resolution",
            ),
            (
                self.large,
                "image is as large as scenes are: --tile 256 would cut it into windows",
                "images are as large as scenes are: --tile 256 would cut them into windows",
            ),
            *((named, f"{kind}: the file {note}", f"{kind}s: the file {note}") for note, named in self.notes.items()),
            (
                self.masks_void if len(self.masks_void) < self.masks_read else [],
                "mask is void all over",
                "masks are void all over",
            ),
            (self.masks_without_image, "mask belongs to no image", "masks belong to no image"),
            (
                self.tags_without_image,
                "line of the tags file names no image",
                "lines of the tags file name no image",
            ),
            (
                [entry.name for entry in self.classes if not entry.pixels],
                "class occurs in no mask",
                "classes occur in no mask",
            ),
            (
                [name for name, count in self.tags.items() if not count],
                "tag occurs at no image",
                "tags occur at no image",
            ),
        )
        types = sorted({scene.dtype for scene in self.scene_files})
        if len(types) > 1 and "stretch" in self.reading.get("recipe", {}):
            self.remarks.append(f"scenes hold values of several types ({', '.join(types)}), and have one stretch")
        if len(bare) < len(self.images_without_mask):
            some = _lines((self.images_without_mask, "image has no mask", "images have no mask"))
            self.remarks.insert(0, f"{some[0]}: training takes `--supervision mixed`, or tags alone")
        if masks:
            self.remarks = untitled + self.remarks
        else:
            self.problems += untitled
        if self.supervision == ["tags"]:
            self.remarks.insert(0, "there are tags and no masks: training takes tags")
        if not self.supervision:
            self.remarks.insert(
                0, "there are neither masks nor tags: it can be indexed and searched; training needs one of them"
            )

    def _magnified(self) -> dict[str, str]:
        wanted = self.reading.get("recipe", {}).get("resolution")
        return {
            scene.id: f"it has {scene.metres_a_pixel:.4g} m a pixel"
            for scene in self.scene_files
            if wanted is not None and scene.metres_a_pixel is not None and scene.metres_a_pixel > 2 * wanted
        }

    def _ill_stretched(self) -> dict[str, str]:
        return {
            scene.id: f"the mean of its colours is {scene.mean:.0f} of 255; check --stretch"
            for scene in self.scene_files
            if scene.mean is not None and not DARK <= scene.mean <= BRIGHT
        }


def all_void(masks: int, first: object, part: str = "") -> InputError:
    """Compose the error for masks from which nothing can be learned: `check` and `train` say the same."""
    return InputError(
        f"the only {part}mask is void all over: {first}"
        if masks == 1
        else f"all {masks:,} {part}masks are void all over, the first is {first}",
        wanted="at least one pixel of a class",
        cure="check the label set's ids, colours and what it ignores (--labels)",
    )


def one_class(name: str, part: str = "") -> InputError:
    """Compose the error for masks that show one class alone: `check` and `train` say the same."""
    return InputError(
        f"every labelled pixel of the {part}masks is of class {name}: there is nothing to tell it from",
        wanted="a second class",
        cure="let what is not of the class be another one: take it out of the label set's ignore_ids and "
        "ignore_colours, or list it as a class; with --label-polygons, say --outside CLASS",
    )


def _lines(*findings: tuple[Collection[str], str, str]) -> list[str]:
    """Say how many there are and name the first, with its reason where there is one."""
    lines = []
    for found, one, several in findings:
        if not found:
            continue
        first = next(iter(found))
        reason = found[first] if isinstance(found, dict) else None
        named = f"{first}: {reason}" if reason else first
        lines.append(f"{counted(len(found), one, several)} ({'first ' if len(found) > 1 else ''}{named})")
    return lines
