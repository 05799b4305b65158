"""Tags as classes: which class of a segmentation each tag is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.label_files import class_colours
from rsir_tf.archives.labels import LabelSet, plain_name
from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tag_label_set(archive: Archive) -> LabelSet:
    """Make the label set of an archive's tags: one class a tag, in the tags' own order and spelling.

    Raises:
        InputError: The archive has no tags.
    """
    names = archive.tag_names or tuple(sorted({tag for record in archive for tag in record.tags or ()}))
    if not names:
        raise InputError(f"{archive.root}: has no tags", wanted="a tags file", cure="name it with --tags FILE")
    return LabelSet("tags", names, ids=None, colours=class_colours(names))


def tag_table(records: Sequence[Record], label_set: LabelSet) -> NDArray[np.float32]:
    """Tell which classes the tags of each record name.

    Args:
        records: Any.
        label_set: Its class names may be spelt with spaces, hyphens or underscores.

    Returns:
        float32 [N, K], 1 or 0; −1 in all of a row whose record has no tags.

    Raises:
        InputError: A tag names no class.
    """
    index = {plain_name(name): number for number, name in enumerate(label_set.names)}
    table = np.zeros((len(records), len(label_set.names)), np.float32)
    for row, record in zip(table, records, strict=True):
        if record.tags is None:
            row[:] = -1
            continue
        for tag in record.tags:
            if plain_name(tag) not in index:
                raise InputError(
                    f"{record.id}: has the tag {tag!r}",
                    wanted=f"a class of label set {label_set.name}: {', '.join(label_set.names)}",
                )
            row[index[plain_name(tag)]] = 1
    return table
