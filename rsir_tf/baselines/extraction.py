"""Describe many images with several processes and keep the vectors on disk, so that a stopped run can continue."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import (
    MANIFEST,
    content_hash,
    disk_errors,
    manifest,
    read_manifest,
    remove_leftovers,
    write_json,
    written_aside,
)
from rsir_tf.baselines.bovw import BagOfVisualWords
from rsir_tf.baselines.descriptor import Descriptor, parameters
from rsir_tf.baselines.libraries import library_versions
from rsir_tf.errors import ArtifactError, InputError, RsirError
from rsir_tf.locks import WriterLock
from rsir_tf.processors import in_order
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import Fingerprint, Source

KIND, VERSION = "descriptors", 2
"""Increase the version when a descriptor gives other vectors for the same parameters: old and new must not be mixed."""
LOCK = "writer.lock"
PART_SECONDS = 20.0
"""Seconds between two writes; a stopped run loses at most the work of this time."""

ALONE_SECONDS = 2.0
"""Work that takes less than these seconds is done before the first process would have started."""

SENT_TOGETHER = 4
"""Images that are sent to a process at once: sending an image can cost more than describing it."""


@dataclass(frozen=True, slots=True)
class DescribedImages:
    """Vectors of the images that could be read.

    Attributes:
        ids: [N], in the order of the request.
        vectors: float32 [N, d].
        seconds: float32 [N], CPU time on one core for describing each image; without reading, and without what only the
            first image of a process costs.
        skipped: Id of an image that could not be read → why.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    seconds: NDArray[np.float32]
    skipped: dict[str, str]


def describe_images(
    images: Mapping[str, Source],
    descriptor: Descriptor,
    to: Path,
    *,
    processes: int = 1,
    progress: Progress = silent,
) -> DescribedImages:
    """Describe images, or take their vectors from the cache where they are there.

    In the folder `to`, each descriptor has its own folder for its parameters and the versions of its libraries: a
    manifest, and parts that are written once and never changed. An image is described again if the fingerprint of its
    source has changed; all are if a library has another version. An image that cannot be read does not stop the others.

    Args:
        images: Id → source; with several processes, sources must be picklable.
        descriptor: With a dictionary, if it is a bag of visual words.
        to: The cache's folder.
        processes: Number of processes; 1 uses this process only.
        progress: Called with (done, total, text).

    Raises:
        ArtifactError: The cache is damaged, another process is writing it, or the disk is full or read-only. What was
            written before is kept.
        RsirError: A worker process was killed. What was described before is kept.
    """
    folder = to / folder_name(descriptor)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(folder / LOCK)
    try:
        return _described(images, descriptor, _Cache(folder, descriptor), processes, progress)
    finally:
        lock.release()


def _described(
    images: Mapping[str, Source], descriptor: Descriptor, cache: _Cache, processes: int, tell: Progress
) -> DescribedImages:
    known = cache.read()
    skipped: dict[str, str] = {}
    stamps = {name: source.fingerprint for name, source in images.items()}
    wanted = [name for name, stamp in stamps.items() if name not in known or known[name].stamp != stamp]
    done = len(images) - len(wanted)
    tell(done, len(images), descriptor.name)
    fresh: dict[str, _Entry] = {}
    last = time.monotonic()
    try:
        for name, (vector, seconds, problem) in zip(
            wanted, _work([images[name] for name in wanted], descriptor, processes), strict=True
        ):
            if vector is None:
                skipped[name] = problem
            else:
                known[name] = fresh[name] = _Entry(stamps[name], vector, seconds)
            done += 1
            tell(done, len(images), descriptor.name)
            if time.monotonic() - last >= PART_SECONDS:
                cache.write(fresh)
                fresh, last = {}, time.monotonic()
    finally:
        cache.write(fresh)
    found = [name for name in images if name not in skipped]
    return DescribedImages(
        ids=tuple(found),
        vectors=np.array([known[name].vector for name in found], dtype=np.float32).reshape(-1, descriptor.dimensions),
        seconds=np.array([known[name].seconds for name in found], dtype=np.float32),
        skipped={name: skipped[name] for name in images if name in skipped},
    )


def folder_name(descriptor: Descriptor) -> str:
    """Name of a descriptor's folder in the cache: its name, and a hash of all that its vectors depend on."""
    return f"{descriptor.name}-{content_hash([VERSION, _settings(descriptor)])[:12]}"


def _settings(descriptor: Descriptor) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "descriptor": descriptor.name,
        "parameters": parameters(descriptor),
        "libraries": library_versions(*descriptor.libraries),
    }
    if isinstance(descriptor, BagOfVisualWords) and descriptor.dictionary is not None:
        settings["dictionary"] = content_hash(descriptor.dictionary.tobytes().hex())
    return settings


@dataclass(frozen=True, slots=True)
class _Entry:
    stamp: Fingerprint
    vector: NDArray[np.float32]
    seconds: float


@dataclass(slots=True)
class _Cache:
    folder: Path
    descriptor: Descriptor
    parts: list[Path] = field(default_factory=list)

    def read(self) -> dict[str, _Entry]:
        if not (self.folder / MANIFEST).exists():
            content = manifest(KIND, VERSION, **_settings(self.descriptor), dimensions=self.descriptor.dimensions)
            write_json(self.folder / MANIFEST, content)
        read_manifest(self.folder, KIND, VERSION)
        remove_leftovers(self.folder, older_than=3600.0)
        self.parts = sorted(self.folder.glob("[0-9]*.npz"))
        known: dict[str, _Entry] = {}
        for part in self.parts:
            known.update(self._read_part(part))
        return known

    def write(self, entries: Mapping[str, _Entry]) -> None:
        if not entries:
            return
        number = int(self.parts[-1].stem) + 1 if self.parts else 1
        part = self.folder / f"{number:06}.npz"
        values = list(entries.values())
        with written_aside(part) as aside, aside.open("wb") as file:
            np.savez(
                file,
                ids=np.array(list(entries)),
                stamps=np.array([entry.stamp for entry in values], dtype=np.int64),
                vectors=np.stack([entry.vector for entry in values]),
                seconds=np.array([entry.seconds for entry in values], dtype=np.float32),
            )
        self.parts.append(part)

    def _read_part(self, part: Path) -> Iterator[tuple[str, _Entry]]:
        try:
            with np.load(part, allow_pickle=False) as content:
                ids, stamps, vectors, seconds = (content[name] for name in ("ids", "stamps", "vectors", "seconds"))
            if vectors.shape != (len(ids), self.descriptor.dimensions) or len(stamps) != len(ids):
                raise ValueError(f"its vectors are {list(vectors.shape)}")
        except Exception as error:  # zipfile, zlib and numpy each raise their own types on damaged files.
            raise ArtifactError(
                f"{part}: is damaged ({error})", cure="remove it; its images are then described again"
            ) from error
        for name, (size, modified), vector, second in zip(ids, stamps, vectors, seconds, strict=True):
            yield str(name), _Entry(Fingerprint(int(size), int(modified)), vector, float(second))


Answer = tuple[NDArray[np.float32] | None, float, str]


def _work(sources: Sequence[Source], descriptor: Descriptor, processes: int) -> Iterator[Answer]:
    """Describe images, in order: the first ones in this process, and the others, where there are many, in several."""
    if not sources:
        return
    _warm_up(descriptor)
    until, alone = time.monotonic() + ALONE_SECONDS, 0
    while alone < len(sources) and (processes == 1 or time.monotonic() < until):
        yield _describe(sources[alone], descriptor)
        alone += 1
    if alone == len(sources):
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Spawned, not forked: this process may hold TensorFlow's or gRPC's threads.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, context, _start, (descriptor,)) as pool:

            def submit(first: int) -> Future[list[Answer]]:
                with _interrupts_held_back():  # The executor starts its processes when work arrives.
                    return pool.submit(_describe_there, sources[first : first + SENT_TOGETHER])

            for answers in in_order(submit, range(alone, len(sources), SENT_TOGETHER), 4 * processes):
                yield from answers
    except BrokenProcessPool as error:
        raise RsirError(
            f"{descriptor.name}: a worker process was killed (out of memory?)",
            cure="run again with fewer --processes; what was described before is kept",
        ) from error


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Block Ctrl-C for processes that start here: a terminal sends it to all of them, but only this one handles it.

    They inherit the blocked signal, so that it does not reach them while they import; this process gets it at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_theirs: list[Descriptor] = []
"""In a worker process: its descriptor."""


def _start(descriptor: Descriptor) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # For systems where processes do not inherit it.
    cv2.setNumThreads(1)  # There is one process per core already.
    _theirs[:] = [descriptor]
    _warm_up(descriptor)


def _warm_up(descriptor: Descriptor) -> None:
    """Import libraries and make filters, whose time would otherwise be added to that of the first image."""
    descriptor.describe(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def _describe_there(sources: Sequence[Source]) -> list[Answer]:
    return [_describe(source, _theirs[0]) for source in sources]


def _describe(source: Source, descriptor: Descriptor) -> Answer:
    try:
        image = source.read()
    except InputError as error:
        return None, 0.0, str(error)
    started = time.process_time()
    vector = descriptor.describe(image)
    return vector, time.process_time() - started, ""
