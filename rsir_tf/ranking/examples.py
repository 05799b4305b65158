"""Several examples that ask together: hits are to be like some images, and unlike others.

Both methods need nothing but an image's distances to the examples, so that they work around any scheme:

*Rocchio* (Rocchio 1971; Salton and Buckley, "Improving retrieval performance by relevance feedback", 1990) ranks whole
vectors by a moved query: the mean of the liked examples minus a share of the mean of the others. Sets of regions have
no mean. But a product with the moved query is the same sum of products with the examples, so that under cosine the
ranking is that by the mean distance to the liked examples minus a share of the mean distance to the others, and this
difference exists under every scheme. It may be negative, which a distance is not; so it is taken between the logarithms
of the two means. (In rounds of marking, described in README.md, mAP of the two forms differed by .012 at most, and the
logarithms were more often ahead.)

*A linear classifier* (logistic regression, scikit-learn) takes the distances to all examples as an image's features (a
dissimilarity space: Pękalska and Duin, "Dissimilarity representations allow for building good classifiers", 2002).
Under cosine this is a linear classifier of the vectors, since these distances are linear in a vector of length 1. A
seeded sample of the archive stands beside the examples that are not liked, with little weight: most of an archive is
not what is looked for, but nobody has said so of these images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking.images import HeldBlock, image_at
from rsir_tf.ranking.scheme import ImageFeatures, Scheme
from rsir_tf.ranking.stages import Reranked, Stage
from rsir_tf.ranking.whole_archives import all_distances

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

EXAMPLE_METHODS = ("rocchio", "classifier")
"""How several examples ask together."""

UNLIKE_SHARE = 0.75
"""Rocchio: what the examples that are not liked weigh, as a part of what the others weigh (γ : β)."""

STRENGTH = 1.0
"""Classifier: scikit-learn's C; the larger, the more closely it follows single examples."""

SAMPLE = 100
"""Classifier: how many images of the archive stand beside the examples."""

SAMPLE_WEIGHT = 5.0
"""Classifier: what all of them weigh together, in examples."""


@dataclass(frozen=True, eq=False)
class ByExamples(Stage):
    """Asks with the query and further examples together; see the head of this file.

    The query is one more example that is liked. Matches explain hits by the query alone.

    Attributes:
        first: The scheme that compares each example with an image.
        likes: Further examples of what is looked for.
        unlikes: Examples of what is not.
        method: One of `EXAMPLE_METHODS`.
        sample: Of the archive, from `archive_sample`; only a classifier reads it.

    Raises:
        InputError: There is no such method, or a classifier has nothing to tell the liked examples from.
    """

    first: Scheme
    likes: tuple[ImageFeatures, ...] = field(default=(), repr=False)
    unlikes: tuple[ImageFeatures, ...] = field(default=(), repr=False)
    method: str = "rocchio"
    sample: tuple[ImageFeatures, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        require_example_method(self.method)
        if self.method == "classifier" and not (self.unlikes or self.sample):
            raise InputError("a classifier has only examples of one kind", wanted="one that is not liked, or a sample")

    def _named(self, first: str, second: str = "") -> str:
        likes, unlikes = 1 + len(self.likes), len(self.unlikes)  # The query is one of the likes.
        others = f" and {unlikes} unlike{'s' * (unlikes != 1)}" if unlikes else ""
        return f"{first}, {likes} like{'s' * (likes != 1)}{others} by {self.method}"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """See `rocchio_distances` and `classifier_distances`."""
        examples = self._examples(query)
        return self._joined(examples, np.array([self.first.distances(each, images) for each in examples]))

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`."""
        for query in queries:
            examples = self._examples(query)
            apart = np.array(list(all_distances(self.first, stored, examples, wanted)))
            distances = np.full(len(stored), np.nan)
            distances[wanted] = self._joined(examples, apart[:, wanted])
            yield distances

    def _examples(self, query: ImageFeatures) -> list[ImageFeatures]:
        return [query, *self.likes, *self.unlikes]

    def _joined(self, examples: Sequence[ImageFeatures], apart: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.method == "rocchio":
            return rocchio_distances(apart[: 1 + len(self.likes)], apart[1 + len(self.likes) :])
        known = HeldBlock([*examples, *self.sample])
        between = np.array([self.first.distances(each, known) for each in examples])
        return classifier_distances(between, 1 + len(self.likes), apart)


def rocchio_distances(likes: NDArray[np.float64], unlikes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the distances to several examples by Rocchio's formula; see the head of this file.

    Args:
        likes: float64 [k, n], ≥ 0, the distances of n images to each of k ≥ 1 liked examples.
        unlikes: float64 [j, n], to each of the others; there may be none.

    Returns:
        float64 [n], ≥ 0: the mean of `likes`; where there are `unlikes`, divided by their mean to the power
        `UNLIKE_SHARE`.
    """
    near = likes.mean(axis=0)
    if not len(unlikes):
        return np.asarray(near)
    far = np.maximum(unlikes.mean(axis=0), np.finfo(float).tiny)
    return np.where(np.isfinite(near), near / np.where(np.isfinite(far), far, 1.0) ** UNLIKE_SHARE, np.inf)


def classifier_distances(between: NDArray[np.float64], likes: int, apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a classifier to examples, and give the probability that an image is not what is looked for.

    The liked examples weigh as much together as all others; see the head of this file.

    Args:
        between: float64 [e, e + s], the distances of e examples, the liked ones first, to themselves and to a sample.
        likes: How many of the examples are liked, at least one.
        apart: float64 [e, n], the distances of n images to the examples.

    Returns:
        float64 [n], 0 to 1; infinite for images that are infinitely far from a liked example.
    """
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    finite = np.isfinite(between).all(axis=0)
    examples = len(between)
    weights = np.ones(between.shape[1])
    weights[examples:] = SAMPLE_WEIGHT / max(1, between.shape[1] - examples)
    weights[:likes] = weights[likes:].sum() / likes
    liked = np.arange(between.shape[1]) < likes
    scale = between[:, finite].std() or 1.0
    fitted = LogisticRegression(C=STRENGTH, max_iter=1000).fit(
        between[:, finite].T / scale, liked[finite], sample_weight=weights[finite] / weights[finite].mean()
    )
    distances = np.full(apart.shape[1], np.inf)
    measured = np.isfinite(apart).all(axis=0)
    distances[measured] = expit(-fitted.decision_function(apart[:, measured].T / scale))
    return distances


def archive_sample(index: StoredIndex, without: Sequence[int] = (), *, seed: int = 0) -> tuple[ImageFeatures, ...]:
    """Draw images of an index, at most `SAMPLE`, for a classifier.

    Args:
        index: From `rsir_tf.open_index`.
        without: Rows that are not drawn, such as those of the examples.
        seed: The same seed draws the same images again.
    """
    rows = sample_rows(len(index), without, seed=seed)
    return tuple(image_at(index.vectors, index.position_of(row)) for row in rows.tolist())


def sample_rows(images: int, without: Sequence[int] = (), *, seed: int = 0) -> NDArray[np.int64]:
    """The rows that `archive_sample` draws from an index with so many images, ascending."""
    rows = np.setdiff1d(np.arange(images), np.asarray(without, dtype=np.int64))
    return np.sort(np.random.default_rng(seed).choice(rows, min(SAMPLE, len(rows)), replace=False))


def with_examples(
    scheme: Scheme,
    likes: Sequence[ImageFeatures],
    unlikes: Sequence[ImageFeatures] = (),
    *,
    method: str = "rocchio",
    sample: Sequence[ImageFeatures] = (),
) -> Scheme:
    """Let a scheme ask with further examples; both parts of `Reranked` do then.

    Args:
        scheme: Any.
        likes: As for `ByExamples`.
        unlikes: As for `ByExamples`.
        method: As for `ByExamples`.
        sample: As for `ByExamples`.

    Returns:
        The scheme itself where there is no further example.

    Raises:
        InputError: As for `ByExamples`.
    """
    if not likes and not unlikes:
        return scheme
    if isinstance(scheme, Reranked):
        first, second = (
            with_examples(each, likes, unlikes, method=method, sample=sample) for each in (scheme.first, scheme.second)
        )
        return Reranked(first, second, scheme.top)
    return ByExamples(scheme, tuple(likes), tuple(unlikes), method, tuple(sample))


def require_example_method(method: str) -> None:
    """Refuse an unknown method.

    Raises:
        InputError: It is none of `EXAMPLE_METHODS`.
    """
    if method not in EXAMPLE_METHODS:
        raise InputError(f"the method of several examples is {method!r}", wanted=" or ".join(EXAMPLE_METHODS))
