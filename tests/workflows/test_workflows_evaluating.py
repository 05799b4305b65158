"""Who is relevant to whom: the quick way through codes and counts says what the plain functions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_figures import jaccard, relevance_by_tags

from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    relevance_by_scene,
    tag_matrix,
)
from rsir_tf.workflows.measuring import judge_relevance, largest_relevant

TAGS = st.lists(st.none() | st.sets(st.sampled_from("abcd")).map(tuple), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["river", "lake", "", None]), min_size=1, max_size=12))
def test_by_scene(scenes):
    if all(scene is None for scene in scenes):
        with pytest.raises(InputError, match="no scene class"):
            judge_relevance(scenes, [], "scene", "here")
        return
    judge = judge_relevance(scenes, [], "scene", "here")
    for row, scene in enumerate(scenes):
        wanted = relevance_by_scene(scenes, scene) if scene is not None else np.zeros(len(scenes), dtype=bool)
        np.testing.assert_array_equal(judge(row), wanted)
        assert judge(row).dtype == np.bool_
    most = max(scenes.count(scene) for scene in scenes if scene is not None)
    assert largest_relevant(judge, range(len(scenes)), True) == most
    assert largest_relevant(judge, range(len(scenes)), False) == most - 1


@settings(max_examples=40)
@given(TAGS, st.sampled_from([1 / 3, 0.5, 2 / 3, 1.0]))
def test_by_tags(tags, at):
    if not any(tags):
        with pytest.raises(InputError, match="no tags"):
            judge_relevance([], tags, "jaccard", "here")
        return
    shares, alike = (
        judge_relevance([], tags, "tags", "here"),
        judge_relevance([], tags, "jaccard", "here", jaccard_at=at),
    )
    matrix, _ = tag_matrix(tags)
    for row, own in enumerate(tags):
        np.testing.assert_array_equal(shares(row), relevance_by_tags(tags, own or ()))
        np.testing.assert_array_equal(alike(row), jaccard(matrix, matrix[row]) >= at)
    counts = [int(relevance_by_tags(tags, own).sum()) for own in tags if own]
    assert largest_relevant(shares, range(len(tags)), True) == max(counts)


def test_other_values_are_refused():
    for at in (0, -0.5, 1.01, float("nan")):
        with pytest.raises(InputError, match="Jaccard"):
            judge_relevance([], [("a",)], "jaccard", "here", jaccard_at=at)
    with pytest.raises(InputError, match="'scene', 'tags' or 'jaccard'"):
        judge_relevance(["river"], [("a",)], "other", "here")
