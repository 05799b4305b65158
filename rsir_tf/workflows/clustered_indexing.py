"""One pass of describing an archive's images on the workers of a cluster.

The images are cut, in their order, into parts of some hundred. A worker reads and describes the images of a part, and
writes an index of them on storage that all machines see. This process is the one writer of the archive's index: it
takes the finished parts in, in order, so that the result is that of one machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.cluster import Failed, WorkerPool
from rsir_tf.contract import Model, ModelDescription
from rsir_tf.errors import LockedError, MismatchError, ModelError
from rsir_tf.index import IndexSettings, StoredIndex, path_to_store
from rsir_tf.index.layout import LEFT_OUT
from rsir_tf.index.skipped import read_notes
from rsir_tf.workflows.archive_roots import named
from rsir_tf.workflows.indexing_run import IndexingRun, scene_of
from rsir_tf.workflows.joining import take_in

if TYPE_CHECKING:
    from rsir_tf.archives import Archive, Record

IMAGES_PER_PART = 256

SECONDS_FOR_OTHERS = 60.0
"""How long a worker waits for another one that writes the same part."""

FAILED_PARTS = 3
"""After this many parts in a row that fail three times each, it is not their images that are to blame."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker is to do.

    Attributes:
        archive: The images to describe.
        folder: Where their index is to be.
        settings: As `index_archive` takes them.
    """

    archive: Archive
    folder: Path
    settings: dict[str, Any]


def describe_part(model: Model, part: Part) -> None:
    """Describe the images of a part; images that its folder has already are not described again.

    A worker of a driver that was killed may still be at work on the part: Ray needs a moment to end it.

    Raises:
        RsirError: See `index_archive`.
    """
    from rsir_tf.workflows.indexing import index_archive

    deadline = time.monotonic() + SECONDS_FOR_OTHERS
    while True:
        try:
            index_archive(part.archive, model, part.folder, **part.settings)
        except LockedError:  # noqa: PERF203 - each try may fail
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


class ModelOnWorkers:
    """The model that the workers of a cluster have, as far as the process that directs them needs one.

    Args:
        pool: Workers that hold a model each.

    Attributes:
        pool: As given.

    Raises:
        MismatchError: They hold different models.
        ClusterError: A worker cannot be started, or cannot open its model.
    """

    def __init__(self, pool: WorkerPool[Model]) -> None:
        described = pool.ask_each(_describe)
        self.pool = pool
        (machine, self._description), *_ = described
        for other, description in described:
            if description != self._description:
                raise MismatchError(
                    f"the worker on {other} has the model {description.model_id}",
                    wanted=f"that of {machine}, {self._description.model_id}",
                    cure="give all machines the same model",
                )

    def describe(self) -> ModelDescription:
        """As `Model.describe`."""
        return self._description


class ClusteredRun:
    """A pass over an archive like `IndexingRun`, with the workers of a cluster.

    Args:
        run: The pass as it would be on this machine.
        archive: The same archive under its own ids.
        pool: The workers.
        staging: A folder that all machines see, for finished parts. These are removed at the end, and the folder too if
            there is nothing else in it.
    """

    def __init__(self, run: IndexingRun, archive: Archive, pool: WorkerPool[Model], staging: Path) -> None:
        self.run, self.archive, self.pool, self.staging = run, archive, pool, staging
        self.settings = _as_options(run.writer.settings) | {"rehash": run.rehash}
        self.pending: dict[int, tuple[Path, list[tuple[Record, Record]]]] = {}
        self.folders: list[Path] = []
        self.taken: list[Path] = []
        self.failed = 0

    def go(self) -> None:
        self.pool.require_folder(self.staging)
        done: dict[int, Failed | None] = {}
        first = 0
        for number, result in self.pool.run(describe_part, self._parts()):
            done[number] = result
            while first in done:
                self._finish(first, done.pop(first))
                first += 1
        self.run.writer.commit()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # Something else is in it, and is not ours to remove.
            self.staging.rmdir()

    def _parts(self) -> Iterator[Part]:
        """The parts with images that are to be described; of the others, what is known is brought up to date."""
        both = list(zip(self.archive.records, self.run.archive.records, strict=True))
        number = 0
        for start in range(0, len(both), IMAGES_PER_PART):
            whole = both[start : start + IMAGES_PER_PART]
            # A part's folder does not depend on which of its images are in the index by now: one that was finished for
            # a process that was killed is found again.
            content = json.dumps([[own.id for own, _ in whole], self.run.writer.settings.to_json()])
            folder = self.staging / hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
            self.folders.append(folder)
            left = [pair for pair in whole if not self.run.settled(pair[1])]
            if left:
                self.pending[number] = (folder, left)
                number += 1
                records = tuple(own for own, _ in left)
                yield Part(dataclasses.replace(self.archive, records=records), folder, self.settings)

    def _finish(self, number: int, result: Failed | None) -> None:
        folder, images = self.pending.pop(number)
        if isinstance(result, Failed):
            self._give_up(images, result.reason)
            return
        self.failed = 0
        self._take_in(folder, images)
        self.taken.append(folder)
        if not self.run.writer.pending:
            for each in self.taken:
                shutil.rmtree(each, ignore_errors=True)
            self.taken.clear()

    def _give_up(self, images: Sequence[tuple[Record, Record]], reason: str) -> None:
        self.failed += 1
        if self.run.strict or self.failed == FAILED_PARTS:
            raise ModelError(
                f"{images[0][1].id} and the {len(images) - 1} images after it could not be described: {reason}",
                cure="mend that and run the same command again, which goes on where it stopped",
            )
        for _, record in images:
            self.run.writer.skip(record.id, f"the part that it is in failed three times: {reason}")
            self.run.tell(record)

    def _take_in(self, folder: Path, images: Sequence[tuple[Record, Record]]) -> None:
        run, part = self.run, StoredIndex.open(folder)
        run.writer.settings.require_equal(part.settings, whose=str(folder))
        rows = {image: row for row, image in enumerate(part.images.ids)}
        left_out = read_notes(folder / LEFT_OUT)
        for scene in {scene_of(record) for _, record in images}:
            run.writer.unskip(scene)
        for image, reason in part.skipped.items():
            run.writer.skip(named(image, run.archive.name), reason)
        for own, record in images:
            if own.id in rows:
                path = path_to_store(record.source.address, run.archive.base)
                entry = part.entry(rows[own.id])
                entry = dataclasses.replace(entry, id=record.id, archive=run.archive.name, path=path)
                how = take_in(entry, run.writer)
                setattr(run.summary, how, getattr(run.summary, how) + 1)
            elif own.id in left_out:
                size, modified = map(int, left_out[own.id].split())
                run.writer.leave_out(record.id, size, modified)
                run.summary.left_out += 1
            run.tell(record)


def _as_options(settings: IndexSettings) -> dict[str, Any]:
    """The settings of an index as `index_archive` takes them; what the model decides is left out."""
    names = {field.name for field in dataclasses.fields(settings)} - {"model_id", "class_names", "channels"}
    return {name: getattr(settings, name) for name in names}


def _describe(model: Model) -> ModelDescription:
    return model.describe()
