"""The list of images that could not be indexed."""

from __future__ import annotations

from pathlib import Path

from rsir_tf.artifacts import read_json
from rsir_tf.errors import ArtifactError
from rsir_tf.index.layout import SKIPPED


def read_skipped(path: Path) -> dict[str, str]:
    """Read which images were skipped, and why.

    Args:
        path: The index's folder.

    Returns:
        Reason by id, sorted by id; empty where none was ever skipped.

    Raises:
        ArtifactError: The list was damaged.
    """
    file = path / SKIPPED
    if not file.exists():
        return {}
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(reason, str) for reason in content.values()):
        raise ArtifactError(f"{file}: is no list of skipped images", cure="remove it; it is written anew")
    return dict(sorted(content.items()))
