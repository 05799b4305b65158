"""MLRSNet's real labels, with descriptors whose rankings are known: what `rsir-tf evaluate` says of them is exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import read_mlrsnet_labels
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.ranking import Index, open_index
from rsir_tf.workflows import evaluate_index

EVERY = 99


@pytest.fixture(scope="module")
def made(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Every 99th image, described by its category alone: 46 numbers, 1 at its category's place."""
    labels = read_mlrsnet_labels(real_data("data/mlrsnet/labels"))
    categories = sorted(set(labels.categories.values()))
    to = tmp_path_factory.mktemp("mlrsnet") / "index"
    with IndexWriter.open(to, IndexSettings("made", labels.names, channels=len(categories))) as writer:
        for name in sorted(labels.rows)[::EVERY]:
            category, tags = labels.categories[name], labels.rows[name]
            vector = np.eye(len(categories), dtype=np.float32)[categories.index(category)]
            # The first label that the image has, and "airplane" where it has none.
            shown = labels.names.index(tags[0]) if tags else 0
            writer.add(
                ImageEntry(
                    name, path=name, height=256, width=256, scene=category, tags=tags, content_hash=name, file_size=1,
                    modified_ns=1, classes=np.array([shown], np.int32), areas=np.array([1], np.int64),
                    boxes=np.array([[0, 0, 1, 1]], np.int32), recnn=vector[None], recnn_plus=vector,
                )
            )  # fmt: skip
    return open_index(to)


def known_orders(index: Index) -> list[np.ndarray]:
    """Own category by row, then the rest by row: all others are equally far."""
    scenes = np.array(index.images.scenes)
    return [np.concatenate([np.flatnonzero(scenes == own), np.flatnonzero(scenes != own)]) for own in scenes]


def test_by_scene_the_rankings_are_perfect(made: Index) -> None:
    found = evaluate_index(made, schemes=("recnn+",)).schemes["recnn+"]
    assert len(made) == -(-109_161 // EVERY)
    assert (found.anmrr, found.map) == pytest.approx((0, 1), abs=1e-9)
    assert set(found.pr_curve) == {1}
    assert len(found.by_scene) == 46


@pytest.mark.parametrize("relevance", ["tags", "jaccard"])
def test_by_tags_figures_are_those_of_the_known_order(made: Index, relevance: str) -> None:
    found = evaluate_index(made, schemes=("recnn+",), relevance=relevance, jaccard_at=0.4, cutoffs=(10, 100))
    tags = [frozenset(own or ()) for own in made.images.tags]
    wanted, gains_at_10 = [], []
    for own, order in zip(tags, known_orders(made), strict=True):
        shared = np.array([len(own & tags[row]) for row in order])
        either = np.array([len(own | tags[row]) for row in order])
        relevant = shared > 0 if relevance == "tags" else shared / np.maximum(either, 1) >= 0.4
        if not own:
            continue
        ranks = np.flatnonzero(relevant) + 1
        first = ranks[ranks <= 100]
        wanted.append([np.mean(np.arange(1, len(ranks) + 1) / ranks), len(first) / 100, len(first) / len(ranks)])
        gains_at_10.append(shared[:10].mean())
    figures = found.schemes["recnn+"]
    assert found.left_out == sum(not own for own in tags)
    measured = (figures.map, figures.precision[100], figures.recall[100])
    assert measured == pytest.approx(np.mean(wanted, axis=0), abs=1e-9)
    assert figures.graded["acg_at_10"] == pytest.approx(np.mean(gains_at_10), abs=1e-9)
    # Each image shows the first of its labels alone: precision is 1 but for images without labels, which show a wrong
    # one; recall is one over the number of labels.
    assert found.shown_tags is not None
    sizes = np.array([len(own) for own in tags])
    assert found.shown_tags.micro.precision == pytest.approx((sizes > 0).mean(), abs=1e-9)
    assert found.shown_tags.micro.recall == pytest.approx((sizes > 0).sum() / sizes.sum(), abs=1e-9)
