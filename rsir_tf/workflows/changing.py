"""Changes of an index without a model: removing images, and telling where archives are now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import derived_files


def change_index(
    index: Path, *, remove: Sequence[str] = (), roots: Mapping[str, str | os.PathLike[str]] | None = None
) -> dict[str, Any]:
    """Remove images from an index, and note where its archives are now. Either everything is done or nothing.

    Args:
        index: Its folder.
        remove: Ids of images of the index, or of its list of images that could not be indexed.
        roots: Name of an archive in the index, "" for the first → its folder.

    Returns:
        As JSON types: "index", "images" (in the index now), "removed", and "archives" (name → folder).

    Raises:
        InputError: The index has no such image or archive; or there is no such folder.
        ArtifactError: There is no index, it cannot be written, or another process is writing it.
    """
    with IndexWriter.open(index, None, derived=derived_files()) as writer:
        for name, root in (roots or {}).items():
            writer.require_archive(name)
            if not Path(root).is_dir():
                raise InputError(f"{root}: no such folder", wanted="the archive's folder")
        skipped = writer.skipped
        unknown = [image for image in remove if image not in writer and image not in skipped]
        if unknown:
            more = f" (and {len(unknown) - 1} more of those to remove)" if len(unknown) > 1 else ""
            raise InputError(
                f"{index}: holds no image {unknown[0]!r}{more}",
                wanted="ids of images of the index",
                cure="rsir-tf info INDEX --list prints them",
            )
        removed = writer.remove(remove)
        for name, root in (roots or {}).items():
            writer.record_root(name, os.path.abspath(root))
        images, known = len(writer), writer.roots
    return {"index": str(index), "images": images, "removed": removed, "archives": known}
