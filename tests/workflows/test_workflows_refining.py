"""Searches by marked images and by shown classes against what they say, computed from plain distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from index_samples import CLASS_NAMES, entry, random_entry, settings
from sklearn.linear_model import LogisticRegression

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import Candidates, Expanded, Index, Reranked, archive_sample, make_scheme, open_index
from rsir_tf.ranking.examples import SAMPLE_WEIGHT, STRENGTH, UNLIKE_SHARE
from rsir_tf.workflows import RankedHits, refine, show_classes

SCHEMES = ("recnn", "recnn+", "irm", "relations")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """40 images with 1 to 4 regions of whole numbers and no vector of zeros, and one without a region ("none")."""
    path = tmp_path_factory.mktemp("refining") / "index"
    with IndexWriter.open(path, settings(), images_per_segment=8) as writer:
        for at in range(40):
            one = random_entry(f"{at:02}", at, regions=1 + at % 4, high=9)
            one.recnn[:, 0] += 1
            one.recnn_plus[0] += 1
            writer.add(one)
        writer.add(random_entry("none", 0, regions=0))
    return open_index(path)


def scheme_of(name: str):
    return make_scheme(name, metric="cosine") if name == "recnn+" else make_scheme(name)


def apart(index: Index, name: str, ids) -> np.ndarray:
    rows = [index.row_of(each) for each in ids]
    return np.array([distances for _, distances in index.all_distances(scheme_of(name), rows)])


def found(result: RankedHits) -> list[str]:
    return [hit.id for hit in result.hits]


@pytest.mark.parametrize("name", SCHEMES)
def test_rocchio_is_the_mean_distance_to_likes_over_that_to_unlikes(index: Index, name: str) -> None:
    likes, unlikes = ["07", "12", "30"], ["03", "22"]
    result = refine(index, likes, unlikes, scheme=name, top=None)
    near, far = (apart(index, name, each).mean(axis=0) for each in (likes, unlikes))
    wanted = np.full(len(near), np.inf)
    measured = np.isfinite(near)  # all but the image without regions
    wanted[measured] = near[measured] / far[measured] ** UNLIKE_SHARE
    rows = [hit.row for hit in result.hits]
    np.testing.assert_allclose([hit.distance for hit in result.hits], wanted[rows], rtol=1e-9)
    assert np.all(np.diff(wanted[rows][np.isfinite(wanted[rows])]) >= -1e-9)
    assert sorted(found(result)) == sorted(set(index.images.ids) - set(unlikes))  # They are no hits.
    assert result.exact
    assert result.scheme == f"{name}, 3 likes and 2 unlikes by rocchio"


def test_under_cosine_likes_alone_rank_as_their_mean_vector_does(index: Index) -> None:
    likes = ["07", "12", "30"]
    vectors = np.array([index.entry(index.row_of(each)).recnn_plus.astype(float) for each in likes])
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
    wanted = index.search(mean.astype(np.float32), metric="cosine", top=None)
    assert found(refine(index, likes, top=None)) == [hit.id for hit in wanted]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_classifier_is_fitted_to_the_distances_to_the_examples(index: Index, name: str) -> None:
    likes, unlikes = ["07", "12", "30"], ["03", "22"]
    result = refine(index, likes, unlikes, scheme=name, method="classifier", top=None)
    marked = [index.row_of(each) for each in (*likes, *unlikes)]
    # All other images are the sample, since there are fewer than 100; they weigh 5 together, and the likes as much as
    # both kinds of others.
    sample = [row for row in range(len(index)) if row not in marked]
    assert len(archive_sample(index, marked)) == len(sample)
    features = apart(index, name, [*likes, *unlikes]).T
    usable = [row for row in (*marked, *sample) if np.isfinite(features[row]).all()]
    scale = features[usable].std()
    weights = np.array([7 / 3] * 3 + [1] * 2 + [SAMPLE_WEIGHT / len(sample)] * len(sample))[: len(usable)]
    fitted = LogisticRegression(C=STRENGTH).fit(
        features[usable] / scale, [True] * 3 + [False] * (len(usable) - 3), sample_weight=weights / weights.mean()
    )
    for hit in result.hits:
        if np.isfinite(hit.distance):
            wanted = 1 - fitted.predict_proba(features[[hit.row]] / scale)[0, 1]
            assert hit.distance == pytest.approx(wanted, abs=2e-3)  # Both stop at the optimiser's tolerance.
    assert found(result) == found(refine(index, likes, unlikes, scheme=name, method="classifier", top=None))
    assert result.scheme.endswith("by classifier")


def test_one_like_alone_asks_as_a_query_does(index: Index) -> None:
    result = refine(index, ["07"], scheme="irm", top=5)
    wanted = index.search(index_features(index, "07"), scheme="irm", top=5)
    assert [(hit.id, hit.distance, hit.matches) for hit in result.hits] == [
        (hit.id, hit.distance, hit.matches) for hit in wanted
    ]
    assert result.scheme == "irm"
    assert result.hits[0].matches


def index_features(index: Index, image: str):
    from rsir_tf.ranking.images import image_at

    return image_at(index.vectors, index.position_of(index.row_of(image)))


def test_stages_take_examples_too(index: Index) -> None:
    cosine, irm = make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    head = refine(index, ["07", "12"], ["03"], top=6)
    rows = Candidates(np.array([hit.row for hit in head.hits]))
    reranked = refine(index, ["07", "12"], ["03"], scheme=Reranked(cosine, irm, 6), top=6)
    assert found(reranked) == found(refine(index, ["07", "12"], ["03"], scheme="irm", among=rows, top=6))
    assert reranked.scheme == (
        "recnn+, 2 likes and 1 unlike by rocchio, first 6 by irm, 2 likes and 1 unlike by rocchio"
    )
    assert len(refine(index, ["07", "12"], scheme=Expanded(cosine, 2), top=4).hits) == 4


def test_limits_of_a_refined_search(index: Index) -> None:
    likes = ["07", "12"]
    everything = refine(index, likes, top=None)
    some = Candidates(np.arange(10), complete=True)
    assert found(refine(index, likes, among=some, top=None)) == [each for each in found(everything) if each < "10"]
    reach = everything.hits[4].distance
    assert found(refine(index, likes, within=reach, top=None)) == found(everything)[:5]
    showing = found(show_classes(index, {"ship": 0}, top=None))
    limited = refine(index, likes, shows={"ship": 0}, top=None)
    assert found(limited) == [each for each in found(everything) if each in showing]
    assert limited.exact
    shown = index.shown_classes
    shared = {
        name for name, row in zip(index.images.ids, shown, strict=True) if (row & shown[index.row_of("07")]).any()
    }
    overlapping = found(refine(index, likes, tags_overlap=True, top=None))
    assert overlapping == [each for each in found(everything) if each in shared]
    assert len(overlapping) < len(everything.hits)
    assert not refine(index, likes, among=Candidates(np.arange(10))).exact


def test_refused_examples(index: Index) -> None:
    with pytest.raises(InputError, match="holds no image '7'"):
        refine(index, ["7"])
    with pytest.raises(InputError, match="07: is marked as liked and as not liked"):
        refine(index, ["07", "08"], ["07"])
    with pytest.raises(InputError, match="07: is marked twice as liked"):
        refine(index, ["07", "07"])
    with pytest.raises(InputError, match="only examples that are not liked"):
        refine(index, [], ["07"])
    with pytest.raises(InputError, match="no example is given"):
        refine(index, [])
    with pytest.raises(InputError, match="method of several examples is 'svm'; wanted rocchio or classifier"):
        refine(index, ["07"], method="svm")
    for scheme in ("recnn", "irm"):
        for likes, unlikes in ((["07", "none"], []), (["07"], ["none"]), (["none"], [])):
            with pytest.raises(InputError, match="none: has no region, and"):
                refine(index, likes, unlikes, scheme=scheme)
    assert refine(index, ["07", "none"]).hits  # Whole images have a vector without regions.


def test_images_in_order_of_the_smallest_share_of_their_classes(index: Index) -> None:
    shares = {}
    for row, image in enumerate(index.images.ids):
        one = index.entry(row)
        of = [int(one.areas[one.classes == CLASS_NAMES.index(name)].sum()) for name in ("sea", "ship")]
        if min(of) > 0:
            shares[image] = tuple(each / int(one.areas.sum()) for each in of)
    wanted = sorted(shares, key=lambda image: (-min(shares[image]), image))
    result = show_classes(index, {"sea": 0, "ship": 0}, top=None)
    assert len(wanted) > 2
    assert found(result) == wanted
    assert result.exact
    assert result.shares == tuple(pytest.approx(shares[image]) for image in wanted)
    np.testing.assert_allclose([hit.distance for hit in result.hits], [1 - min(shares[each]) for each in wanted])
    # The matches are the regions of these classes; their areas are the shares.
    for hit in result.hits:
        one = index.entry(hit.row)
        assert {CLASS_NAMES[match.class_index] for match in hit.matches} == {"sea", "ship"}
        assert sum(one.areas[match.region] for match in hit.matches) / one.areas.sum() == pytest.approx(
            sum(shares[hit.id])
        )
    told = result.to_json()
    assert told["shows"] == {"sea": 0, "ship": 0}
    assert told["hits"][0]["shares"] == {"sea": shares[wanted[0]][0], "ship": shares[wanted[0]][1]}
    # A least share is met by an image that has just as much.
    least = sorted(share for _, share in shares.values())[1]
    enough = show_classes(index, {"sea": 0, "ship": least}, top=None)
    assert found(enough) == [image for image in wanted if shares[image][1] >= least]


def test_refused_classes(index: Index) -> None:
    with pytest.raises(InputError, match=r"no class 'shop'; wanted bare soil, sea, trees, ship; did you mean ship\?"):
        show_classes(index, {"shop": 0})
    with pytest.raises(InputError, match=r"class 'ship' is to cover 1.5 of an image; wanted a share from 0 to 1"):
        show_classes(index, {"ship": 1.5})
    with pytest.raises(InputError, match="no class is given"):
        show_classes(index, {})


def test_a_class_that_no_image_shows(tmp_path: Path) -> None:
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(entry("a", [[1, 2, 3, 4]]))
    index = open_index(tmp_path / "index")
    result = show_classes(index, {"ship": 0})
    assert result.hits == ()
    assert result.exact
    assert show_classes(index, {"bare soil": 1}).hits[0].distance == 0
