"""The rules by which names tell images from masks, and which mask belongs to which image.

- folders: a folder of images beside a folder of masks, at any depth, known by the words in their names;
- a folder of masks beside, or inside, a folder of images whose name says nothing;
- names: masks beside their images, with a word such as `_mask` at an end of their own name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rsir_tf.archives.folder_names import (
    IMAGE,
    IMAGE_WORDS,
    MASK,
    MASK_WORDS,
    SHORT_MASK_WORDS,
    Parts,
    plain_spelling,
    rest,
    role,
    split_affix,
    stem,
    words,
)
from rsir_tf.errors import InputError

NAME_THEM = "say which files are which with --images GLOB --masks GLOB"


@dataclass(frozen=True, slots=True)
class PairedImage:
    """An image of an archive with masks.

    Attributes:
        file: Its path below the archive's folder.
        mask: That of its mask; None where it has none.
        above: The folders above the pair of folders: the group.
        below: Its path below the folder of images.
    """

    file: PurePosixPath
    mask: PurePosixPath | None
    above: Parts
    below: Parts


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which files of an archive are images and which are masks.

    Attributes:
        rule: How they were told apart and brought together, in words.
        images: All images, with and without mask.
        orphans: Masks that belong to no image.
        others: Image files that are neither.
        by_folders: Whether the images lie in folders of images, whose names are no part of their ids.
    """

    rule: str
    images: tuple[PairedImage, ...]
    orphans: tuple[PurePosixPath, ...]
    others: tuple[PurePosixPath, ...] = ()
    by_folders: bool = False

    @property
    def masks(self) -> dict[PurePosixPath, PurePosixPath]:
        """Image → its mask, where it has one."""
        return {image.file: image.mask for image in self.images if image.mask is not None}


# Folders of images beside folders of masks


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file lies: the role of its folder, the folders above that, the rest of its name, and what is below."""

    role: str
    above: Parts
    below: Parts
    folder: str


def by_folders(files: Sequence[PurePosixPath]) -> Pairing | None:
    """Folders of images beside folders of masks, or folders of masks whose images are known by their names alone."""
    best = _beside(files, keep_rest=True)
    if best and not best.orphans:
        return best
    found = [best, _beside(files, keep_rest=False), _inside(files)]
    # The first of equals: names that say the same are the better proof.
    return max((each for each in found if each), key=lambda pairing: len(pairing.masks), default=None)


def _beside(files: Sequence[PurePosixPath], *, keep_rest: bool) -> Pairing | None:
    """`images` beside `masks`; with `keep_rest`, `train_images` belongs to `train_labels` alone."""
    sites: dict[str, set[Parts]] = {IMAGE: set(), MASK: set()}
    for folder in {file.parent for file in files}:
        for depth, name in enumerate(folder.parts):
            if kind := role(name):
                sites[kind].add(_above(folder.parts, depth, keep_rest))
    both = sites[IMAGE] & sites[MASK]
    if not both:
        return None
    sites_of = {folder: _site(folder.parts, both, keep_rest) for folder in {file.parent for file in files}}
    places = {file: _place(file, sites_of[file.parent]) for file in files}
    masks = {file: place for file, place in places.items() if place and place.role == MASK}
    images = {file: place for file, place in places.items() if place and place.role == IMAGE}
    whole = _match(images, masks, strip=False)
    chosen = whole
    if _count(whole) < min(len(images), len(masks)):
        stripped = _match(images, masks, strip=True)
        chosen = stripped if _count(stripped) > _count(whole) else whole
    return Pairing(
        f"images lie in {_folders(images.values())}, masks in {_folders(masks.values())}, and a pair has "
        + ("equal names" if chosen is whole else f"equal names but for {_affixes(masks)}"),
        tuple(PairedImage(file, chosen[file], place.above, place.below) for file, place in images.items()),
        orphans(masks, chosen),
        tuple(file for file, place in places.items() if place is None),
        by_folders=True,
    )


def _above(parts: Parts, depth: int, keep_rest: bool) -> Parts:
    own = rest(parts[depth]) if keep_rest else ()
    return (*parts[:depth], *((" ".join(own),) if own else ()))


def _site(folders: Parts, pairs: set[Parts], keep_rest: bool) -> tuple[str, Parts, int] | None:
    """Where a folder's files lie: at the outermost folder that belongs to a pair, or else at the outermost so named.

    Its role, what lies above it, and its depth.
    """
    named = [
        (kind, _above(folders, depth, keep_rest), depth) for depth, name in enumerate(folders) if (kind := role(name))
    ]
    return next((site for site in named if site[1] in pairs), named[0] if named else None)


def _place(file: PurePosixPath, site: tuple[str, Parts, int] | None) -> _Place | None:
    if site is None:
        return None
    kind, above, depth = site
    return _Place(kind, above, file.parts[depth + 1 :], file.parts[depth])


def _match(
    images: dict[PurePosixPath, _Place], masks: dict[PurePosixPath, _Place], *, strip: bool
) -> dict[PurePosixPath, PurePosixPath | None]:
    """The mask of each image: equal paths below the two folders, up to the ending and, with `strip`, an affix."""
    by_key: dict[Parts, PurePosixPath] = {}
    for file, place in masks.items():
        claim(by_key, _key(place, MASK_WORDS | SHORT_MASK_WORDS if strip else None), file)
    keys = {file: _key(place, IMAGE_WORDS if strip else None) for file, place in images.items()}
    shared = {key for key, count in Counter(keys.values()).items() if count > 1 and strip}
    return {file: None if key in shared else by_key.get(key) for file, key in keys.items()}


def _key(place: _Place, affixes: frozenset[str] | None) -> Parts:
    name = stem(place.below[-1])
    taken = split_affix(name, affixes) if affixes else None
    return (*place.above, "", *map(plain_spelling, place.below[:-1]), taken[0] if taken else name)


# Masks whose images are known by their names alone


class _Names:
    """The images of each folder by the names that a mask may know them by."""

    def __init__(self, images: Iterable[PurePosixPath]) -> None:
        self.whole: dict[Parts, list[PurePosixPath]] = defaultdict(list)
        self.stripped: dict[Parts, list[PurePosixPath]] = defaultdict(list)
        for image in images:
            folder = tuple(map(plain_spelling, image.parts[:-1]))
            whole = (*folder, stem(image.name))
            self.whole[whole].append(image)
            if taken := split_affix(stem(image.name), IMAGE_WORDS):
                stripped = (*folder, taken[0])
                self.stripped[stripped].append(image)

    def of(self, folder: Parts, mask: PurePosixPath, affixes: frozenset[str]) -> list[PurePosixPath]:
        """The images in a folder that a mask's name fits: whole, else without its affix, else both without theirs."""
        taken = split_affix(stem(mask.name), affixes)
        name = taken[0] if taken else stem(mask.name)
        place = tuple(map(plain_spelling, folder))
        return (
            self.whole.get((*place, stem(mask.name)))
            or self.whole.get((*place, name))
            or self.stripped.get((*place, name))
            or []
        )


def _inside(files: Sequence[PurePosixPath]) -> Pairing | None:
    """A folder of masks inside the folder of its images (`labels` in `area`), or beside it (`top` and `gts`)."""
    masks, images = by_role(files)
    if not masks:
        return None
    names = _Names(images)
    siblings: dict[Parts, set[str]] = defaultdict(set)
    for folder in {image.parent for image in images}:
        for depth, name in enumerate(folder.parts):
            siblings[folder.parts[:depth]].add(name)
    chosen: dict[PurePosixPath, PurePosixPath | None] = dict.fromkeys(images)
    taken: dict[PurePosixPath, PurePosixPath] = {}
    places: dict[PurePosixPath, _Place] = {}
    for mask in masks:
        depth = next(depth for depth, name in enumerate(mask.parts) if role(name) == MASK)
        above, below = mask.parts[:depth], mask.parts[depth + 1 :]
        own = rest(mask.parts[depth])
        named = [name for name in siblings[above] if own and words(name) == own]
        for folders in (
            [(*above, name) for name in named],
            [above],
            [(*above, name) for name in sorted(siblings[above])],
        ):
            fits = [
                (folder, image) for folder in folders for image in names.of((*folder, *below[:-1]), mask, MASK_WORDS)
            ]
            if len(fits) > 1:
                raise InputError(
                    f"{mask}: may be the mask of {fits[0][1]} or of {fits[1][1]}",
                    wanted="one image for each mask",
                    cure=f"{NAME_THEM}, or --images '**' alone where all are images",
                )
            if fits:
                place, image = fits[0]
                claim(taken, image, mask)
                chosen[image] = mask
                group = (*above, " ".join(own)) if own else above
                places[image] = _Place(IMAGE, group, image.parts[len(place) :], "")
                break
    if not taken:
        return None
    kept = {mask: _Place(MASK, (), (), next(name for name in mask.parts if role(name) == MASK)) for mask in masks}
    affixed = any(stem(image.name) != stem(mask.name) for image, mask in taken.items())
    return Pairing(
        f"masks lie in {_folders(kept.values())}, images beside or above them, and a pair has equal names"
        + (f" but for {_affixes(masks)}" if affixed else ""),
        tuple(
            PairedImage(image, mask, places[image].above, places[image].below)
            if image in places
            else PairedImage(image, None, (), image.parts)
            for image, mask in chosen.items()
        ),
        orphans(masks, chosen),
    )


def by_names(files: Sequence[PurePosixPath]) -> Pairing | None:
    """Masks beside their images: `104_mask.png` and `104_sat.jpg`, or `104.jpg`."""
    candidates = [file for file in files if split_affix(stem(file.name), MASK_WORDS | SHORT_MASK_WORDS)]
    for affixes in (MASK_WORDS, MASK_WORDS | SHORT_MASK_WORDS):
        masks = [file for file in candidates if split_affix(stem(file.name), affixes)]
        if not masks:
            continue
        marked = set(masks)
        images = [file for file in files if file not in marked]
        names = _Names(images)
        taken: dict[PurePosixPath, PurePosixPath] = {}
        for mask in masks:
            fits = names.of(mask.parts[:-1], mask, affixes)
            if len(fits) > 1:
                raise InputError(
                    f"{mask}: may be the mask of {fits[0]} or of {fits[1]}",
                    wanted="one image for each mask",
                    cure=NAME_THEM,
                )
            if fits:
                claim(taken, fits[0], mask)
        short = affixes != MASK_WORDS
        # A single letter at the end of a name means nothing unless it does so everywhere.
        if taken and not (short and (len(taken) < len(masks) or 2 * len(taken) < len(images))):
            marks = {split_affix(stem(image.name), IMAGE_WORDS) for image in taken}
            of_images = sorted({mark[1] for mark in marks if mark})
            return Pairing(
                f"masks have {_affixes(masks, affixes)} in their names"
                + (f", images {' or '.join(of_images)}" if of_images else "")
                + ", and the rest of the name is equal",
                tuple(PairedImage(image, taken.get(image), (), image.parts) for image in images),
                orphans(masks, taken),
            )
    return None


# What the rules share


def by_role(files: Sequence[PurePosixPath]) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Files in folders of masks, and all others."""
    folders = {folder: MASK in map(role, folder.parts) for folder in {file.parent for file in files}}
    return [file for file in files if folders[file.parent]], [file for file in files if not folders[file.parent]]


def claim(claimed: dict[Any, PurePosixPath], key: Any, mask: PurePosixPath) -> None:
    """Note the mask of an image, known by a key; raise `InputError` where it has one."""
    if key in claimed:
        alike = plain_spelling(str(claimed[key])) == plain_spelling(str(mask))
        note = " (their names look equal: one spells an accent as a character of its own)" if alike else ""
        raise InputError(
            f"{claimed[key]} and {mask} are masks of one image{note}", wanted="one", cure=f"remove one, or {NAME_THEM}"
        )
    claimed[key] = mask


def orphans(
    masks: Iterable[PurePosixPath], chosen: Mapping[PurePosixPath, PurePosixPath | None]
) -> tuple[PurePosixPath, ...]:
    """The masks that no image has."""
    used = set(chosen.values())
    return tuple(mask for mask in masks if mask not in used)


def _count(chosen: dict[PurePosixPath, PurePosixPath | None]) -> int:
    return sum(mask is not None for mask in chosen.values())


def _folders(places: Iterable[_Place]) -> str:
    """The folders' names in words: `folders images and Images`."""
    names = sorted({place.folder for place in places})
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"folder{'s' * (len(names) > 1)} {some}"


def _affixes(masks: Iterable[PurePosixPath], known: frozenset[str] = MASK_WORDS | SHORT_MASK_WORDS) -> str:
    found = {taken[1] for mask in masks if (taken := split_affix(stem(mask.name), known))}
    return " or ".join(sorted(found)) or "an image's affix"
