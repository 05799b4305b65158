"""Bag of visual words on SIFT."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import content_hash, written_aside
from rsir_tf.baselines.descriptor import grey, parameters, require
from rsir_tf.baselines.libraries import library_versions
from rsir_tf.errors import ArtifactError, InputError

LEARNING_VERSION = 1
"""Increase it when `fit` finds other words for the same parameters and images: kept dictionaries are then relearned."""

LEARNING_LIBRARIES = ("opencv", "scikit-learn", "scipy")
"""The libraries that the words depend on, besides NumPy and Pillow."""


@dataclass(frozen=True, slots=True)
class BagOfVisualWords:
    """Histogram of the visual words nearest to an image's SIFT descriptors, of length 1.

    Sources: Sivic and Zisserman, Video Google, ICCV 2003; Lowe, Distinctive image features from scale-invariant
    keypoints, IJCV 60(2), 2004; for aerial images Yang and Newsam, IEEE TGRS 51(2), 2013. `fit` learns the words by
    k-means; its images should not be among the ranked ones.

    Args:
        words: Size of the dictionary.
        sample: Number of descriptors that are drawn at random from each training image.
        seed: Random seed of this draw and of k-means.
        dictionary: float32 [words, 128]; None until fitted.
    """

    words: int = 1000
    sample: int = 60
    seed: int = 0
    dictionary: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    name: ClassVar[str] = "bovw"
    title: ClassVar[str] = "BoVW"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv",)

    def __post_init__(self) -> None:
        require(self.words >= 2, f"{self.words} words", "2 or more")
        require(self.sample >= 1, f"{self.sample} descriptors an image", "1 or more")

    @property
    def dimensions(self) -> int:
        return self.words

    def fit(self, images: Iterable[NDArray[np.uint8]]) -> BagOfVisualWords:
        """Learn the dictionary.

        Args:
            images: uint8 [H, W, 3] each; read once, in order.

        Returns:
            The same descriptor with a dictionary.

        Raises:
            InputError: The images give fewer descriptors than there are words.
        """
        from sklearn.cluster import MiniBatchKMeans

        generator = np.random.default_rng(self.seed)
        samples = [np.empty((0, 128), dtype=np.float32)]
        for image in images:
            found = self.local_descriptors(image)
            chosen = generator.permutation(len(found))[: self.sample]
            samples.append(found[np.sort(chosen)])
        stacked = np.concatenate(samples)
        if len(stacked) < self.words:
            raise InputError(
                f"{len(stacked)} SIFT descriptors in {len(samples) - 1} training images",
                wanted=f"at least {self.words}, one per word",
                cure="train on more images, or choose fewer words",
            )
        clusters = MiniBatchKMeans(self.words, batch_size=8192, n_init=1, random_state=self.seed).fit(stacked)
        return self.with_dictionary(np.asarray(clusters.cluster_centers_, dtype=np.float32))

    def with_dictionary(self, dictionary: NDArray[np.float32]) -> BagOfVisualWords:
        """Return the same descriptor with these words.

        Args:
            dictionary: float32 [words, 128].

        Raises:
            InputError: The dictionary has another shape, or holds NaN or infinity.
        """
        require(
            dictionary.shape == (self.words, 128) and bool(np.isfinite(dictionary).all()),
            f"a dictionary of shape {list(dictionary.shape)}",
            f"finite numbers [{self.words}, 128]",
        )
        return dataclasses.replace(self, dictionary=dictionary)

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Count each word and divide by the Euclidean length of all counts; all 0 where no keypoint is found.

        With length 1, L2 gives the same order as the cosine; counts that sum to 1 would make L2 prefer images with many
        different words.
        """
        if self.dictionary is None:
            raise InputError("the bag of visual words has no dictionary", cure="call fit with training images first")
        found = self.local_descriptors(image)
        # The nearest word minimises ‖w‖² − 2·x·w: ‖x‖² is the same for all words.
        scores = np.square(self.dictionary).sum(axis=1) - 2 * (found @ self.dictionary.T)
        counts = np.bincount(scores.argmin(axis=1), minlength=self.words)
        return (counts / max(float(np.linalg.norm(counts)), 1.0)).astype(np.float32)

    def local_descriptors(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """SIFT descriptors of one image's keypoints, float32 [n, 128], 0..255; n may be 0."""
        import cv2

        _, found = cv2.SIFT.create().detectAndCompute(grey(image), None)
        return np.empty((0, 128), dtype=np.float32) if found is None else np.asarray(found, dtype=np.float32)


def write_dictionary(path: Path, bag: BagOfVisualWords, learned_from: str, unread: Sequence[str] = ()) -> None:
    """Write a fitted dictionary as `.npz`, with the parameters, libraries and images that it was learned from.

    Args:
        path: The file; replaced if it exists.
        bag: A fitted descriptor.
        learned_from: Identity of the training images.
        unread: Why training images could not be read, one line each.

    Raises:
        InputError: The descriptor has no dictionary.
        ArtifactError: The disk is full or read-only.
    """
    if bag.dictionary is None:
        raise InputError("the bag of visual words has no dictionary", cure="call fit first")
    with written_aside(path, replace=True) as aside, aside.open("wb") as file:
        identity = np.array(_identity(bag, learned_from))
        np.savez(file, dictionary=bag.dictionary, identity=identity, unread=np.array(unread, dtype=np.str_))


def read_dictionary(
    path: Path, bag: BagOfVisualWords, learned_from: str
) -> tuple[BagOfVisualWords, tuple[str, ...]] | None:
    """Read what `write_dictionary` wrote.

    Returns:
        The descriptor with its dictionary, and why training images could not be read. None where there is no file, or
        where its parameters, its images or the versions of its libraries differ.

    Raises:
        ArtifactError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            if str(content["identity"]) != _identity(bag, learned_from):
                return None
            return bag.with_dictionary(content["dictionary"]), tuple(content["unread"].tolist())
    except Exception as error:  # zipfile, zlib and numpy each raise their own types on damaged files.
        raise ArtifactError(f"{path}: is damaged ({error})", cure="remove it; it is then learned again") from error


def _identity(bag: BagOfVisualWords, learned_from: str) -> str:
    content: dict[str, Any] = {
        "learning": LEARNING_VERSION,
        "parameters": parameters(bag),
        "learned_from": learned_from,
        "libraries": library_versions(*LEARNING_LIBRARIES),
    }
    return content_hash(content)
