"""Many images described by several processes, kept on disk: a stopped run goes on where it was."""

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
"""Raised when a descriptor gives other vectors for the same parameters, so that old ones are not mixed with new."""
LOCK = "writer.lock"
PART_SECONDS = 20.0
"""What is done is written this often; no more than this is lost."""

ALONE_SECONDS = 2.0
"""Work below this is done before the first process has started."""

SENT_TOGETHER = 4
"""Images that a process is given at once, since sending each alone costs more than describing some."""


@dataclass(frozen=True, slots=True)
class DescribedImages:
    """Vectors of the images that could be read.

    Attributes:
        ids: [N], in the order asked for.
        vectors: float32 [N, d].
        seconds: float32 [N], what describing each took of a core's time; reading is left out, and so is what only a
            process's first image costs.
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
    """Describe images, or find in the cache what was described before.

    Below `to` each descriptor with its parameters and the versions of its libraries has a folder of its own: a
    manifest, and parts that are written once and never changed. An image whose source has another fingerprint is
    described anew, and so are all where a library has another version. One image that cannot be read does not stop
    the others.

    Args:
        images: Id → source; each can be pickled where several processes work.
        descriptor: With a dictionary, if it is a bag of visual words.
        to: The cache's folder.
        processes: How many work at once; 1 works in this process.
        progress: Called with (done, in all, words).

    Raises:
        ArtifactError: The cache is damaged, another process is writing it, or the disk is full or read-only; what was
            written before stays.
        RsirError: A worker process was killed; what was described before stays.
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
    """Name of a descriptor's folder in the cache: its own, and a hash of all that its vectors depend on."""
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
        except Exception as error:  # zipfile, zlib and numpy each raise types of their own on damaged files.
            raise ArtifactError(
                f"{part}: is damaged ({error})", cure="remove it; its images are described anew"
            ) from error
        for name, (size, modified), vector, second in zip(ids, stamps, vectors, seconds, strict=True):
            yield str(name), _Entry(Fingerprint(int(size), int(modified)), vector, float(second))


Answer = tuple[NDArray[np.float32] | None, float, str]


def _work(sources: Sequence[Source], descriptor: Descriptor, processes: int) -> Iterator[Answer]:
    """Describe images, in order: the first ones here, and what cannot be done within a moment by several processes."""
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
                with _interrupts_held_back():  # The executor starts its processes as work comes.
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
    """Start processes in this block: a terminal's Ctrl-C goes to all, and what to do about it is this one's business.

    They inherit that the signal is held back, even while they still import; this process gets it at the block's end.
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
"""In a worker process: the descriptor it works for."""


def _start(descriptor: Descriptor) -> None:
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # For systems whose processes do not inherit it.
    cv2.setNumThreads(1)  # As many processes as cores, not as many squared.
    _theirs[:] = [descriptor]
    _warm_up(descriptor)


def _warm_up(descriptor: Descriptor) -> None:
    """Import libraries and make filters, which would be counted as the first image's time."""
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
