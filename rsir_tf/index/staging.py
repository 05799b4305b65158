"""Images of a writer that do not fill a segment yet, kept in one file so that a killed writer does not lose them.

The file is no part of the index: readers never see it. The next writer takes its images as if they had just been added,
so that its segments are cut where those of an undisturbed writer are. A file that cannot be used is passed over: its
images are asked for again.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.contract import FURTHER_LAYERS
from rsir_tf.errors import InputError
from rsir_tf.index.entry import ImageEntry, checked
from rsir_tf.index.facts import place_from
from rsir_tf.index.settings import IndexSettings, vector_names

FORMAT_VERSION = 3
BY_REGION = ("classes", "areas", "boxes", "recnn", "centroids", "edge")


def write_staged(file: Path, entries: Sequence[ImageEntry], next_segment: int) -> None:
    """Replace the file by one that holds these images.

    Args:
        file: Its path.
        entries: At least one, in the order in which they were added.
        next_segment: The number of the segment that they are meant for.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    numbers = {"format_version": FORMAT_VERSION, "next_segment": next_segment}
    known = [vector_names(layer) for layer in FURTHER_LAYERS]
    further = [names for names in known if getattr(entries[0], names[0]) is not None]
    # The footprint is derived again from the place.
    elsewhere = {*BY_REGION, "borders", "recnn_plus", "footprint", *itertools.chain(*known)}
    facts = [
        {field.name: getattr(entry, field.name) for field in fields(entry) if field.name not in elsewhere}
        | {
            "m": len(entry.classes),
            "e": len(entry.borders),
            "place": entry.place and [entry.place.crs, entry.place.transform],
        }
        for entry in entries
    ]
    stored: dict[str, Any] = {name: np.concatenate([getattr(entry, name) for entry in entries]) for name in BY_REGION}
    stored["borders"] = np.concatenate([entry.borders for entry in entries])
    stored["recnn_plus"] = np.stack([entry.recnn_plus for entry in entries])
    for of_regions, of_image in further:
        stored[of_regions] = np.concatenate([getattr(entry, of_regions) for entry in entries])
        stored[of_image] = np.stack([getattr(entry, of_image) for entry in entries])
    stored["described"] = np.frombuffer(json.dumps({**numbers, "images": facts}).encode(), dtype=np.uint8)
    with written_aside(file, replace=True) as aside, aside.open("wb") as opened:
        np.savez(opened, **stored)


def read_staged(file: Path, next_segment: int, settings: IndexSettings) -> list[ImageEntry]:
    """Read the images that a killed writer had.

    Args:
        file: Its path.
        next_segment: The number of the next segment, as the manifest says: images that were meant for an earlier one
            are in the index by now.
        settings: Of the index.

    Returns:
        The images, in the order in which they were added; none where there is no such file, or it cannot be used.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        content: dict[str, Any] = json.loads(arrays.pop("described").tobytes())
        if (content["format_version"], content["next_segment"]) != (FORMAT_VERSION, next_segment):
            return []
        entries, first, border = [], 0, 0
        for row, facts in enumerate(content["images"]):
            own = slice(first, first + facts.pop("m"))
            touching = slice(border, border + facts.pop("e"))
            facts["place"] = place_from(*facts["place"] or (None, None))
            facts["tags"] = None if facts["tags"] is None else tuple(facts["tags"])
            by_region = {name: arrays[name][own] for name in BY_REGION}
            others = {"borders": arrays["borders"][touching], "recnn_plus": arrays["recnn_plus"][row]}
            for of_regions, of_image in settings.further_vectors:
                others |= {of_regions: arrays[of_regions][own], of_image: arrays[of_image][row]}
            entries.append(checked(ImageEntry(**facts, **by_region, **others), settings))
            first, border = own.stop, touching.stop
    except (OSError, EOFError, BadZipFile, zlib.error, ValueError, KeyError, TypeError, IndexError, InputError):
        return []
    return entries
