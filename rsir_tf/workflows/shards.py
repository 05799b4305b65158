"""Parts of an archive that are indexed each for itself, on several machines, and joined afterwards (`joining`)."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rsir_tf import artifacts
from rsir_tf.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from rsir_tf.archives import Archive

NOTE = "shard.json"
"""The file in a part's folder that says which part it is. It is written last: a part without it is not finished."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of an archive's records: they are cut, in their order, into parts whose sizes differ by one at most.

    Attributes:
        part: Its number, from 1.
        of: How many parts there are.

    Raises:
        InputError: There is no such part.
    """

    part: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.of:
            raise InputError(f"--shard {self}", wanted="a part from 1 to the number of parts")

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "3/16".

        Raises:
            InputError: It is something else, or there is no such part.
        """
        if not re.fullmatch(r"\d{1,9}/\d{1,9}", text):
            raise InputError(f"--shard {text!r}", wanted="a part and the number of parts, such as 3/16")
        part, of = map(int, text.split("/"))
        return cls(part, of)

    def cut(self, archive: Archive) -> Archive:
        """The archive with the records of this part alone."""
        total = len(archive.records)
        own = slice(total * (self.part - 1) // self.of, total * self.part // self.of)
        return replace(archive, records=archive.records[own])


@dataclass(frozen=True, slots=True)
class ShardNote:
    """What a finished part says of itself.

    Attributes:
        part: Its number, from 1.
        of: How many parts there are.
        images: How many records the whole archive has.
        ids: SHA-256 of their ids, in order: parts that were cut from different lists do not belong together.
    """

    part: int
    of: int
    images: int
    ids: str


def forget_shard(index: Path, shard: Shard | None) -> None:
    """Remove the note of a part before it is changed.

    Args:
        index: Its folder; there need not be one.
        shard: What it is to be; None for no part.

    Raises:
        InputError: It is another part.
        ArtifactError: The disk is read-only.
    """
    if shard is not None:
        with contextlib.suppress(ArtifactError):  # It says nothing: it is no finished part, or the note is damaged.
            note = read_shard(index)
            if (note.part, note.of) != (shard.part, shard.of):
                raise InputError(
                    f"{index}: is part {note.part}/{note.of}, not {shard}", cure="give each part a folder of its own"
                )
    with artifacts.disk_errors(index / NOTE):
        (index / NOTE).unlink(missing_ok=True)


def note_shard(index: Path, shard: Shard, archive: Archive) -> None:
    """Note that a part is finished.

    Args:
        index: Its folder.
        shard: Which part it is.
        archive: The whole.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    ids = hashlib.sha256("\n".join(record.id for record in archive.records).encode("utf-8", "surrogateescape"))
    artifacts.write_json(index / NOTE, asdict(ShardNote(shard.part, shard.of, len(archive.records), ids.hexdigest())))


def read_shard(index: Path) -> ShardNote:
    """Read which part an index is.

    Args:
        index: Its folder.

    Raises:
        ArtifactError: It is no finished part, or its note was damaged.
    """
    file = index / NOTE
    if not file.exists():
        found = "is not finished, or no part" if (index / artifacts.MANIFEST).exists() else "is no index"
        raise ArtifactError(
            f"{index}: {found}",
            wanted="a part that `rsir-tf index … --shard PART/PARTS` has made",
            cure="run that command again; it goes on where it stopped",
        )
    try:
        content = artifacts.read_json(file)
        note = ShardNote(**content)
        Shard(note.part, note.of)
    except (TypeError, InputError) as error:
        raise ArtifactError(f"{file}: is not what a finished part says", cure="run `rsir-tf index` again") from error
    return note
