"""What an archive is made of: records, and the archive that lists them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.listing import LeftOut
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource, Reading, Source

if TYPE_CHECKING:
    from rsir_tf.archives.label_polygons import LabelPolygons
    from rsir_tf.archives.record_masks import Mask


@dataclass(frozen=True, slots=True)
class Record:
    """One image of an archive and what is known about it; no pixels.

    Attributes:
        id: Unique in the archive and the same on every machine: the image's path below the archive's image folder, with
            forward slashes and its ending, for example `airplane/airplane00.tif`. Of a window of a scene, the scene's
            id and the window's left column and top row, for example `north/scene.tif/512_256`.
        source: Where its pixels come from: `source.read()` is the way to them.
        mask: What gives each pixel a class, where there is such a thing: a file, or a `Mask` (polygons, say). `mask_of`
            gives something that can be read in either case.
        tags: Names of what the image shows, sorted; None where the archive says nothing, () where it says "nothing".
        scene: The scene class (the parent folder's name), where there is one.
        group: What must not be divided by a split (Dubai's tile, say), where there is such a thing. Of a window, the
            scene's id.
    """

    id: str
    source: Source
    mask: Path | Mask | None = None
    tags: tuple[str, ...] | None = None
    scene: str | None = None
    group: str | None = None

    @property
    def image(self) -> Path:
        """The image file. Deprecated: `source` reads it, and is not always a file."""
        warnings.warn("Record.image is deprecated: use Record.source", DeprecationWarning, stacklevel=2)
        if not isinstance(self.source, FileSource):
            raise InputError(f"{self.id}: is no file but {self.source}", wanted="an image file", cure="use its source")
        return self.source.path


@dataclass(frozen=True, slots=True)
class Archive:
    """The records of one archive, in order of id; windows of one scene are in the order of its rows.

    Attributes:
        root: Its folder.
        format: "dlrsd", "ucmerced", "mlrsnet", "masks" (images and masks in folders), "folder", or "scenes" where files
            are cut into windows.
        records: Sorted by id, and windows by scene, row and column.
        label_set: What the masks' values mean; None where there are no masks, or nothing says what they mean.
        orphan_masks: Mask files that belong to no image.
        tag_names: Every tag that the tags file knows, in its order; some may occur in no image.
        orphan_tags: Names in the tags file that no image bears.
        repairs: What the reader mended in published damage, one line each.
        remarks: What else the reader has to tell, one line each.
        understood: How the folder was understood, in words: which files are images, what scenes are.
        pairing: How images and masks were told apart and brought together, in words; None where there are no masks.
        label_proof: Why the masks are taken to mean what `label_set` says, in words; None where there is none.
        left_out: Files and folders below the root that are no part of the archive, and why.
        reading: How files become images. `Reading()`: each file is an ordinary picture.
        label_polygons: The polygons that all masks are made of, where they are; None otherwise.
        notes: What is worth telling of scenes, to follow "the file", and the ids of those that it is true of.
    """

    root: Path
    format: str
    records: tuple[Record, ...]
    label_set: LabelSet | None = None
    orphan_masks: tuple[Path, ...] = ()
    tag_names: tuple[str, ...] = ()
    orphan_tags: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    understood: str = ""
    pairing: str | None = None
    label_proof: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    reading: Reading = field(default_factory=Reading)
    label_polygons: LabelPolygons | None = None
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)
