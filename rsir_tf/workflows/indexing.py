"""From an archive to an index on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import MANIFEST
from rsir_tf.contract import CONV5_3
from rsir_tf.index import Dropped, IndexSettings, IndexWriter, address_of, repair_index
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import derived_files
from rsir_tf.rasters import MISSING, open_source
from rsir_tf.serving.checks import check_layers
from rsir_tf.workflows.archive_roots import ArchiveInIndex, belongs, find_archive, named
from rsir_tf.workflows.clustered_indexing import ClusteredRun, ModelOnWorkers
from rsir_tf.workflows.indexing_run import Fingerprints, IndexingRun, scene_of
from rsir_tf.workflows.shards import Shard, forget_shard, note_shard

if TYPE_CHECKING:
    from rsir_tf.archives import Archive
    from rsir_tf.contract import Model


@dataclass(slots=True)
class IndexSummary:
    """What `index_archive` did.

    Attributes:
        index: The index's folder.
        images: Number of images in the index now.
        added: Number of images that the model described.
        reused: Number of images that were added without the model, because the index has one with the same pixels.
        unchanged: Number of images that were in the index already.
        refreshed: Number of images that were in the index with other facts: tags, scene, place, path, time of change.
        left_out: Number of windows of scenes that were left out, because too few of their pixels are valid.
        removed: Number of images that were removed, because the archive no longer has them.
        absent: Number of images of this archive in the index that are not among the given images.
        gone: How many of the absent images have no file any more.
        skipped: Id → why an image could not be read, for all images that the index lists.
        dropped: Damaged segments that repairing took out.
        moved_from: Where the archive was when it was indexed last; None where that is where it is.
    """

    index: str
    images: int = 0
    added: int = 0
    reused: int = 0
    unchanged: int = 0
    refreshed: int = 0
    left_out: int = 0
    removed: int = 0
    absent: int = 0
    gone: int = 0
    skipped: dict[str, str] | None = None
    dropped: list[Dropped] = field(default_factory=list)
    moved_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def index_archive(
    archive: Archive,
    model: Model | ModelOnWorkers,
    to: Path,
    *,
    connectivity: int = 8,
    min_area: int = 0,
    convention: str = "half_pixel",
    pooling: str = "max",
    layers: Sequence[str] = (),
    dtype: str = "float32",
    resize: tuple[int, int] | None = None,
    strict: bool = False,
    prune: bool = False,
    repair: bool = False,
    merge: bool = False,
    rehash: bool = False,
    name: str | None = None,
    root: Path | None = None,
    shard: Shard | None = None,
    staging: Path | None = None,
    progress: Progress = silent,
) -> IndexSummary:
    """Describe each image of an archive with a model and keep its descriptors.

    Images that are in the index and whose sources have not changed are not described again, so that a killed run can be
    continued. Their tags, scenes, places and paths are updated. One bad image does not stop the others.

    Windows of scenes (`Archive.reading`) are read in the order of the file, and are images like others. Those with too
    few valid pixels are left out, and are not read again until their scene changes.

    Args:
        archive: Any; scenes and tags are kept with the images.
        model: From `rsir_tf.connect` or `rsir_tf.load`; or `ModelOnWorkers`, with which the workers of a cluster read
            and describe the images.
        to: The index's folder; made, or continued.
        connectivity: 4 or 8.
        min_area: Smallest region kept, in pixels.
        convention: Bilinear convention of region pooling.
        pooling: "max" (the paper's), "gem" (generalised mean with power 3), "mean" or "rmac".
        layers: Further layers of which vectors are kept beside those of conv5_3: "conv4_3".
        dtype: Number type of stored vectors.
        resize: (height, width) to which each image is resized for the model, so that all fit into one batch; its
            regions are then counted in these pixels. None keeps the size of each image.
        strict: Fail at the first image that cannot be read; the work up to then is kept.
        prune: Remove images that the archive does not have, also those of other parts if it is one part. Images of
            other archives in the index stay.
        repair: First read every byte of the index and drop damaged segments; their images are then described again if
            the archive has them.
        merge: At the end, merge all small segments and those with removed images.
        rehash: Read all images again, even if their sources have not changed.
        name: What to call the archive in the index, where that holds another one; its ids begin with "name/" then.
        root: The archive's folder, to say that it is the one of the index, moved; None finds out.
        shard: The part of the archive to describe, for `join_parts`; None describes all of it.
        staging: Where workers of a cluster describe the images, the folder for finished parts, on storage that all
            machines see; None puts it beside the index.
        progress: Called after each image.

    Raises:
        MismatchError: The index was made by another model or with other settings, or has read the archive in another
            way; both values are named.
        InputError: Under `strict`, an image cannot be read; a setting is one that no index can have; the index holds
            another archive, and `name` does not tell the two apart; or it is another part of one.
        ModelError: The model lacks a layer or does not answer; what is done by then is kept.
        ClusterError: A worker of the cluster cannot begin, or does not see the staging folder.
        ArtifactError: The index cannot be written, or another process is writing it.
    """
    description = model.describe()
    settings = IndexSettings(
        description.model_id,
        description.class_names,
        connectivity,
        min_area,
        convention,
        dtype,
        description.channels,
        resize,
        pooling,
        (CONV5_3, *(layer for layer in layers if layer != CONV5_3)),
    )
    check_layers(settings.further_layers, description)
    summary = IndexSummary(str(to))
    if repair and (to / MANIFEST).exists():
        summary.dropped = repair_index(to, settings)
    forget_shard(to, shard)
    whole = archive
    archive = archive if shard is None else shard.cut(archive)
    with IndexWriter.open(to, settings, derived=derived_files()) as writer:
        placed = find_archive(archive, writer, name=name, root=root)
        summary.moved_from = placed.moved_from
        run = IndexingRun(placed, writer, summary, strict, rehash, progress)
        if isinstance(model, ModelOnWorkers):
            ClusteredRun(run, archive, model.pool, staging or to.with_name(f"{to.name}.parts")).go()
        else:
            run.go(model)
        _compare_with_given(archive, placed, writer, summary, prune)
        if merge:
            writer.merge()
        summary.images = len(writer)
        summary.skipped = writer.skipped
    if shard is not None:
        note_shard(to, shard, whole)
    return summary


def _compare_with_given(
    archive: Archive, placed: ArchiveInIndex, writer: IndexWriter, summary: IndexSummary, prune: bool
) -> None:
    """Remove or count the images of an archive that are not among those given."""
    given = {record.id for record in placed.records}
    given |= {scene_of(record) for record in placed.records}  # A note may stand for the windows of a scene.
    # Nothing is known of the windows of a scene that cannot be read at present.
    unread = tuple(f"{named(left.path, placed.name)}/" for left in archive.left_out)
    absent = [
        image
        for image in writer.ids
        if image not in given and not image.startswith(unread) and belongs(writer, image, placed.name)
    ]
    if prune:
        others = tuple(f"{other}/" for other in writer.roots if other and other != placed.name)
        noted = (image for image in {*writer.skipped, *writer.left_out} if image not in given)
        summary.removed = writer.remove([*absent, *(image for image in noted if not image.startswith(others + unread))])
        return
    fingerprints = Fingerprints()
    for image in absent:
        facts = writer.facts_of(image)
        address = "" if facts is None else address_of(facts.path, facts.archive, writer.roots)
        summary.gone += fingerprints.of(open_source(address)) == MISSING
    summary.absent = len(absent)
