"""Seeded divisions of an archive into parts to train on, to validate on where wanted, and to test on."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rsir_tf.archives.folder_names import plain_spelling
from rsir_tf.archives.records import Archive, Record
from rsir_tf.artifacts import content_hash, manifest, read_manifest, write_json
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.wording import counted

KIND, VERSION = "split", 2
"""A split without a validation part is still written as version 1, which older programs read."""

NAMED = 10
"""Groups that an error names; of more, those whose names are like the one that is not there."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which images train and which test.

    Attributes:
        train: Ids, sorted.
        test: Ids, sorted; none is in `train`.
        by: "scene" (the same fraction of each scene), "image" (no scenes known), "group" (groups stay whole), or
            "nothing" (all images train, none test).
        seed: What the draw depended on; None where nothing was drawn, because the groups were named.
        fraction: Of the images (or groups) that was asked for as test; None where the groups were named.
        groups: The test groups of a split by group, sorted; otherwise ().
        archive_hash: `archive_hash` of the archive that was divided.
        validation: Ids, sorted; none is in another part. () where no such part was drawn.
        validation_fraction: Of the images (or groups) that was asked for; None where no such part was drawn.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    by: str
    seed: int | None
    fraction: float | None
    groups: tuple[str, ...]
    archive_hash: str
    validation: tuple[str, ...] = ()
    validation_fraction: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the split as JSON types; without a validation part nothing is said of one."""
        content = dataclasses.asdict(self)
        if not self.validation:
            del content["validation"], content["validation_fraction"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}


def archive_hash(archive: Archive) -> str:
    """SHA-256 of an archive's ids, scenes and groups: what a split depends on."""
    return content_hash([[record.id, record.scene, record.group] for record in archive])


def stratified_split(archive: Archive, test: float = 0.2, seed: int = 0, *, validation: float | None = None) -> Split:
    """Draw the same fraction of each scene for testing, and another for validation where wanted.

    The draw orders ids by the SHA-256 of seed and id, so it is the same with every version of Python and numpy, in
    whatever order a disk lists files, and stays nearly the same when images are added.

    Args:
        archive: Images without a scene form a stratum of their own.
        test: Fraction, between 0 and 1. Of a scene with n images, round(test · n) are drawn (half to even).
        seed: What the draw depends on; the same seed draws the same images.
        validation: Fraction for a third part, for example 0.1 beside test = 0.5, as MLRSNet's paper divides. The test
            part is the same with and without it.

    Raises:
        InputError: A fraction or their sum is not between 0 and 1, or one of the parts would be empty.
    """
    _check_fractions(test, validation)
    strata: dict[str | None, list[str]] = defaultdict(list)
    for record in archive:
        strata[record.scene].append(record.id)
    drawn: set[str] = set()
    held_out: set[str] = set()
    for ids in strata.values():
        ordered, tests = _ordered(ids, seed), round(test * len(ids))
        drawn.update(ordered[:tests])
        held_out.update(ordered[tests : tests + round((validation or 0) * len(ids))])
    by = "image" if set(strata) == {None} else "scene"
    split = _divide(archive, lambda record: record.id in drawn, by, seed=seed, fraction=test)
    return _with_validation(archive, split, held_out, validation)


def group_split(
    archive: Archive,
    test_groups: Sequence[str] | None = None,
    *,
    test: float = 0.2,
    seed: int = 0,
    validation: float | None = None,
) -> Split:
    """Draw whole groups for testing (tiles of one scene, say, whose neighbours look alike), and others for validation.

    Args:
        archive: Each of its records has a group.
        test_groups: The groups to test on. None draws round(test · groups) of them, at least one.
        test: Fraction of the groups, where they are drawn.
        seed: What the draw depends on; the same seed draws the same images.
        validation: Fraction of the groups for a third part: round(validation · groups) of those that are not tested on,
            at least one. The test part is the same with and without it.

    Raises:
        InputError: Records have no group, a named group does not exist, a fraction or their sum is not between 0 and 1,
            or one of the parts would be empty.
    """
    lacking = [record.id for record in archive if record.group is None]
    if lacking:
        raise InputError(
            f"{archive.root}: {counted(len(lacking), 'image has', 'images have')} no group ({lacking[0]})",
            wanted="images in folders above `images` and `masks`",
            cure="split by scene instead",
        )
    known = {str(record.group) for record in archive}
    if len(known) == 1:
        raise InputError(
            f"{archive.root}: there is one group alone, {known.pop()}, with {counted(len(archive), 'image')}",
            wanted="two groups or more, since a group is not divided (windows of one scene look alike)",
            cure="add another, or let a scene be two files",
        )
    drawn = test_groups is None
    _check_fractions(test if drawn else None, validation)
    if test_groups is None:
        chosen = set(_ordered(known, seed)[: max(1, round(test * len(known)))])
    else:
        chosen = set(test_groups)
        if unknown := sorted(chosen - known):
            raise InputError(f"{archive.root}: has no group {unknown[0]!r}", wanted=_like(unknown[0], known))
    split = _divide(
        archive,
        lambda record: record.group in chosen,
        "group",
        seed=seed if drawn or validation is not None else None,
        fraction=test if drawn else None,
        groups=chosen,
    )
    held = set(_ordered(known - chosen, seed)[: max(1, round((validation or 0) * len(known)))])
    return _with_validation(archive, split, {record.id for record in archive if record.group in held}, validation)


def draw_split(
    archive: Archive,
    test: float = 0.2,
    test_groups: Sequence[str] | None = None,
    *,
    seed: int = 0,
    validation: float | None = None,
) -> Split:
    """Draw the split that suits an archive: by groups that are named or that all images have, otherwise by scene.

    Args:
        archive: Any.
        test: As for `stratified_split` and `group_split`.
        test_groups: The groups to test on; none named where None or empty.
        seed: What the draw depends on.
        validation: As for `stratified_split` and `group_split`.

    Raises:
        InputError: As `stratified_split` and `group_split`.
    """
    if test_groups or all(record.group is not None for record in archive):
        return group_split(archive, test_groups or None, test=test, seed=seed, validation=validation)
    return stratified_split(archive, test, seed, validation=validation)


def everything_trains(archive: Archive) -> Split:
    """The split that trains on all images of an archive and tests on none."""
    ids = tuple(sorted(record.id for record in archive))
    return Split(ids, (), "nothing", None, 0.0, (), archive_hash(archive))


def _with_validation(archive: Archive, split: Split, held_out: set[str], fraction: float | None) -> Split:
    """The split with some of its training part held out; as it is where no fraction was asked for."""
    if fraction is None:
        return split
    train = tuple(name for name in split.train if name not in held_out)
    if not train or not held_out:
        raise InputError(
            f"{archive.root}: the split leaves {counted(len(train), 'image')} to train and {len(held_out)} to validate "
            "on",
            wanted="at least one each",
            cure="choose other fractions",
        )
    return dataclasses.replace(split, train=train, validation=tuple(sorted(held_out)), validation_fraction=fraction)


def select(archive: Archive, split: Split, part: Literal["train", "validation", "test"]) -> Archive:
    """Give the part of an archive that a split names.

    Args:
        archive: It may hold more images than the split knows; they are in neither part.
        split: From `stratified_split`, `group_split` or `read_split`.
        part: "train", "validation" or "test".

    Raises:
        InputError: The split has no such part, or the archive lacks images of it; the first are named.
    """
    wanted = {"train": split.train, "validation": split.validation, "test": split.test}[part]
    if not wanted:
        raise InputError(f"the split has no {part} part", wanted="train or test", cure="make a split with one")
    records = {record.id: record for record in archive}
    # A copy by way of macOS may spell accents otherwise: names that look equal are equal where that is clear.
    spelt: dict[str, list[Record]] = defaultdict(list)
    for record in archive:
        spelt[plain_spelling(record.id)].append(record)
    for name in wanted:
        alike = spelt.get(plain_spelling(name), [])
        if name not in records and len(alike) == 1:
            records[name] = alike[0]
    missing = [name for name in wanted if name not in records]
    if missing:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        windows = re.search(r"/-?\d+_-?\d+$", missing[0]) is not None
        raise InputError(
            f"{archive.root}: lacks {len(missing)} of the split's {len(wanted)} {part} images ({some})",
            wanted=f"the archive that was split{', cut into the same windows' if windows else ''}",
            cure=f"check the path{', --tile, --overlap and --grid' if windows else ''}, or make a new split",
        )
    # In the archive's order: windows of a scene are read row by row.
    chosen = {records[name].id for name in wanted}
    return dataclasses.replace(
        archive, records=tuple(record for record in archive if record.id in chosen), orphan_masks=(), orphan_tags=()
    )


def without(split: Split, ids: Container[str]) -> Split:
    """The split without some images, for example windows that have turned out to show nothing."""

    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in ids)

    return dataclasses.replace(split, train=kept(split.train), validation=kept(split.validation), test=kept(split.test))


def write_split(split: Split, path: Path) -> None:
    """Write a split, with a hash that tells if it was changed by hand.

    Args:
        split: The split.
        path: The file. One that holds the same split is left as it is.

    Raises:
        ArtifactError: The file holds something else, or the disk is full or read-only.
    """
    if path.exists():
        if read_split(path) == split:
            return
        raise ArtifactError(f"{path}: holds another split", cure="choose another name or remove it")
    content = split.to_json()
    version = VERSION if split.validation else 1
    write_json(path, manifest(KIND, version, **content, content_hash=content_hash(content)))


def read_split(path: Path) -> Split:
    """Read a split that `write_split` wrote.

    Raises:
        ArtifactError: It is missing, of another kind or a newer version, damaged, or was changed since it was written.
    """
    content = read_manifest(path, KIND, VERSION)
    added = {"validation", "validation_fraction"} - set(content)
    values: dict[str, Any] = {
        field.name: content.get(field.name) for field in dataclasses.fields(Split) if field.name not in added
    }
    try:
        found = content_hash(values)
    except ValueError as error:  # NaN, which JSON readers let through.
        raise ArtifactError(f"{path}: is damaged ({error})", cure="make the split anew") from error
    if found != content.get("content_hash"):
        raise ArtifactError(
            f"{path}: was changed since it was written (its content hashes to {found[:12]}…)",
            wanted=f"{str(content.get('content_hash'))[:12]}…",
            cure="restore it from a copy or make the split anew",
        )
    tuples = {"train", "test", "groups", "validation"} - added
    listed: dict[str, Any] = {key: tuple(values.pop(key)) for key in tuples}
    return Split(**listed, **values)


def _ordered(names: Iterable[str], seed: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\n{name}".encode()).digest())


def _like(name: str, known: set[str]) -> str:
    """Groups that may be meant by a name: all where they are few, else those with names like it."""
    shown = sorted(known) if len(known) <= NAMED else difflib.get_close_matches(name, sorted(known), n=3, cutoff=0)
    more = f" or {len(known) - len(shown):,} others" if len(shown) < len(known) else ""
    return f"one of {', '.join(shown)}{more}"


def _check_fractions(test: float | None, validation: float | None) -> None:
    given = {"test": test, "validation": validation}
    fractions = {what: fraction for what, fraction in given.items() if fraction is not None}
    for what, fraction in (*fractions.items(), (" plus ".join(fractions), sum(fractions.values()))):
        if fractions and not 0 < fraction < 1:
            raise InputError(f"split: the {what} fraction is {fraction}", wanted="more than 0 and less than 1")


def _divide(
    archive: Archive,
    is_test: Callable[[Record], bool],
    by: str,
    *,
    seed: int | None = None,
    fraction: float | None = None,
    groups: Iterable[str] = (),
) -> Split:
    parts: dict[bool, list[str]] = {True: [], False: []}
    for record in archive:
        parts[is_test(record)].append(record.id)
    if not parts[True] or not parts[False]:
        raise InputError(
            f"{archive.root}: the split leaves {counted(len(parts[False]), 'image')} to train and "
            f"{len(parts[True])} to test on",
            wanted="at least one each",
            cure="choose another fraction or other groups",
        )
    return Split(
        train=tuple(sorted(parts[False])),
        test=tuple(sorted(parts[True])),
        by=by,
        seed=seed,
        fraction=fraction,
        groups=tuple(sorted(set(groups))),
        archive_hash=archive_hash(archive),
    )
