"""The bag of visual words learned from an archive's training part, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import content_hash
from rsir_tf.baselines import (
    LEARNING_LIBRARIES,
    BagOfVisualWords,
    Descriptor,
    library_versions,
    parameters,
    read_dictionary,
    write_dictionary,
)
from rsir_tf.errors import InputError
from rsir_tf.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive


def with_words(
    descriptor: Descriptor,
    training: Archive | None,
    cache: Path,
    tell: Progress,
    remarks: list[str],
) -> tuple[Descriptor | None, dict[str, Any]]:
    """Give a descriptor its dictionary if it needs one.

    Args:
        descriptor: Any descriptor; only a bag of visual words without a dictionary is changed.
        training: The images to learn from; those that cannot be read are left out.
        cache: The folder in which a dictionary is kept for the next run.
        tell: Called with (done, in all, words).
        remarks: Gets a line if something is left out.

    Returns:
        The descriptor, None where there is nothing to learn its words from; and what to record of the words' origin.

    Raises:
        ArtifactError: The kept dictionary is damaged, or the disk is full or read-only.
    """
    if not isinstance(descriptor, BagOfVisualWords) or descriptor.dictionary is not None:
        return descriptor, {}
    if training is None:
        remarks.append("BoVW is left out: there is no training part to learn its words from.")
        return None, {}
    learned_from = content_hash([[record.id, *record.source.fingerprint] for record in training])
    libraries = library_versions(*LEARNING_LIBRARIES)
    path = cache / f"bovw-words-{content_hash([learned_from, parameters(descriptor), libraries])[:12]}.npz"
    known = read_dictionary(path, descriptor, learned_from)
    if known is None:
        unread: list[str] = []
        try:
            fitted = descriptor.fit(_images(training, tell, unread))
        except InputError as error:
            remarks.append(f"BoVW is left out: {error}.")
            return None, {}
        write_dictionary(path, fitted, learned_from, unread)
        known = fitted, tuple(unread)
    fitted, unreadable = known
    if unreadable:
        remarks.append(
            f"BoVW learned without {len(unreadable)} of {len(training)} training images, which could not be read; the "
            f"first: {unreadable[0]}."
        )
    origin = {"learned_from": learned_from, "training_images": len(training) - len(unreadable)}
    return fitted, {**origin, "learned_with": libraries}


def _images(training: Archive, tell: Progress, unread: list[str]) -> Iterator[NDArray[np.uint8]]:
    for done, record in enumerate(training, start=1):
        try:
            image = record.source.read()
        except InputError as error:
            unread.append(str(error))
        else:
            yield image
        tell(done, len(training), "bovw: learning words")
