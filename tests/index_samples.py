"""Small made-up entries; few channels and small whole numbers, so that equal distances are common."""

from __future__ import annotations

import numpy as np

from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter

CLASS_NAMES = ("bare soil", "sea", "trees", "ship")


def settings(channels=4, **other):
    return IndexSettings("model-1", CLASS_NAMES, channels=channels, **other)


def entry(image, recnn, *, classes=None, recnn_plus=None, content=None, **other):
    recnn = np.asarray(recnn, dtype=np.float32)
    m, channels = recnn.shape
    facts = {
        "path": f"/archive/{image}",
        "height": 64,
        "width": 48,
        "scene": None,
        "tags": None,
        "content_hash": content or f"hash of {image}",
        "file_size": 1000,
        "modified_ns": 1,
        "classes": np.zeros(m, dtype=np.int32) if classes is None else np.asarray(classes, dtype=np.int32),
        "areas": np.arange(1, m + 1, dtype=np.int64),
        "boxes": np.tile(np.array([1, 2, 30, 40], dtype=np.int32), (m, 1)),
        "centroids": None if "boxes" in other else np.float32([[4.5 + at % 20, 7.25] for at in range(m)]).reshape(m, 2),
        "recnn": recnn,
        "recnn_plus": np.zeros(channels, dtype=np.float32) if recnn_plus is None else np.float32(recnn_plus),
        **other,
    }
    return ImageEntry(image, **facts)


def random_entry(image, seed, *, regions=None, channels=4, high=4):
    """As many as 4 regions, or none; values are whole numbers below `high`. Which regions touch depends on the seed."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(0, 5)) if regions is None else regions
    pairs = [(one, other) for one in range(m) for other in range(m) if one != other and (one + other + seed) % 3]
    borders = [(one, other, 1 + (one * other + seed) % 7) for one, other in pairs]
    return entry(
        image,
        rng.integers(0, high, (m, channels)),
        classes=rng.integers(0, len(CLASS_NAMES), m),
        recnn_plus=rng.integers(0, high, channels),
        borders=np.int32(borders).reshape(-1, 3),
        edge=np.arange(m, dtype=np.int32) % 3,
        scene=f"scene {seed % 3}",
        tags=(None, (), ("sea", "ship"))[seed % 3],
    )


def fill(path, entries, **options):
    with IndexWriter.open(path, options.pop("settings", settings()), **options) as writer:
        for each in entries:
            writer.add(each)


def assert_same(one, other):
    for name in ("id", "path", "height", "width", "scene", "tags", "content_hash", "file_size", "modified_ns"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("classes", "areas", "boxes", "recnn", "recnn_plus", "centroids", "borders", "edge"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
