"""Care of an index: read every byte again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rsir_tf.artifacts import file_hash
from rsir_tf.index.layout import REBUILD, SEGMENT_FILES, read_layout, segment_folder


@dataclass(frozen=True, slots=True)
class Problem:
    """A damaged segment.

    Attributes:
        segment: Its name.
        text: The file and what is wrong with it.
        cure: What to do.
    """

    segment: str
    text: str
    cure: str


def verify_index(path: str | os.PathLike[str]) -> list[Problem]:
    """Read every byte of an index and compare it with its manifest.

    Args:
        path: The index's folder.

    Returns:
        What is damaged, in order; empty where all is well.

    Raises:
        ArtifactError: There is no index, its format is newer, or the manifest itself is damaged.
    """
    folder = Path(path)
    problems = []
    for record in read_layout(folder).segments:
        for name in SEGMENT_FILES:
            file = segment_folder(folder, record.name) / name
            try:
                found = file_hash(file)
            except OSError as error:
                problems.append(Problem(record.name, f"{file}: cannot be read: {error.strerror}", REBUILD))
                continue
            if found != record.hashes[name]:
                text = f"{file}: is damaged, its SHA-256 begins with {found[:8]}, the manifest's with "
                problems.append(Problem(record.name, text + record.hashes[name][:8], REBUILD))
    return problems
