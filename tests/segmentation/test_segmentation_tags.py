"""Supervision by tags: pooled scores, targets, figures, and whole runs on tags and on a mixture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import logit, softmax
from training_samples import SETTINGS as MASKS

from rsir_tf.archives import Archive
from rsir_tf.archives.labels import VOID
from rsir_tf.archives.splits import Split
from rsir_tf.archives.tag_labels import tag_label_set, tag_table
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.segmentation import run_scores
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.crops import Augmentation, Crops
from rsir_tf.segmentation.data import PairReader
from rsir_tf.segmentation.export import export_run, loaded_as_server
from rsir_tf.segmentation.multiple_instance import (
    DESCRIPTOR_TAGS,
    LOGITS,
    PLACES,
    TAGS,
    AmongTags,
    PooledProbability,
    supervised_model,
    tagging_model,
)
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk
from rsir_tf.segmentation.tag_scoring import read_tags_of, tag_scores
from rsir_tf.segmentation.tag_supervision import TagSupervision
from rsir_tf.segmentation.training import train
from rsir_tf.segmentation.weights import initialise
from rsir_tf.workflows import write_run_report

SETTINGS = replace(MASKS, supervision="tags")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    trunk = build_trunk()
    initialise(trunk, "none")
    network = build_fcn(trunk, Architecture(3, 16, 4))
    random = np.random.default_rng(0)
    for name in ("score_fc7", "score_pool4"):
        layer = network.get_layer(name)
        layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    return network


def test_a_tags_score_is_the_mean_of_the_largest_and_the_average_score(network: keras.Model) -> None:
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    score_map = keras.Model(network.inputs[0], network.get_layer("fuse_pool4").output).predict_on_batch(images)
    conv5_3 = keras.Model(network.inputs[0], network.get_layer("block5_conv3").output).predict_on_batch(images)
    logits, descriptors = tagging_model(network).predict_on_batch(images)
    assert np.asarray(score_map).shape == (2, 4, 6, 3)
    wanted = (np.max(score_map, axis=(1, 2)) + np.mean(score_map, axis=(1, 2))) / 2
    np.testing.assert_allclose(logits, wanted, rtol=1e-5)
    np.testing.assert_array_equal(descriptors, np.max(conv5_3, axis=(1, 2)))


def test_with_softmax_classes_compete_for_each_place(network: keras.Model) -> None:
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    scores = np.asarray(keras.Model(network.inputs[0], network.get_layer("fuse_pool4").output).predict_on_batch(images))
    model = supervised_model(network, 1.0, dropout=0.0, masks=False, pooling="softmax")
    outputs = {name: np.asarray(values) for name, values in model.predict_on_batch(images).items()}
    probabilities = softmax(scores, axis=-1)
    assert probabilities.shape == (2, 4, 6, 3)
    np.testing.assert_allclose(outputs[PLACES], probabilities, atol=1e-6)
    pooled = np.clip(np.log(np.exp(5 * probabilities).mean(axis=(1, 2))) / 5, 1e-6, 1)
    np.testing.assert_allclose(outputs[TAGS], logit(pooled), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(tagging_model(network, "softmax").predict_on_batch(images)[0], outputs[TAGS], atol=1e-5)


def test_a_tag_of_certain_places_needs_eight_percent_of_them() -> None:
    # log(1 + share · (e⁵ − 1)) / 5 is ½ where share = (e^2.5 − 1) / (e⁵ − 1) = 1 / (e^2.5 + 1) = 7.6%.
    probabilities = np.zeros((2, 10, 10, 1), np.float32)
    probabilities[0].flat[:7], probabilities[1].flat[:8] = 1, 1
    assert (np.asarray(PooledProbability()(probabilities))[:, 0] > 0).tolist() == [False, True]
    assert np.isfinite(np.asarray(PooledProbability()(np.ones((1, 2, 2, 1), np.float32)))).all()


def test_a_place_shows_one_of_the_images_tags() -> None:
    places = np.array([[[[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]]] * 3, np.float32)
    tags = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0]], np.float32)
    # Of the first image's tags 0.7 and 0.3; all classes together are 1; of an image without tags nothing is asked.
    wanted = [-(math.log(0.7) + math.log(0.3)) / 2, 0, 0]
    np.testing.assert_allclose(np.asarray(AmongTags(reduction="none")(tags, places)), wanted, atol=1e-6)


def test_what_is_fitted_starts_without_an_opinion_and_shares_the_networks_layers() -> None:
    trunk = build_trunk()
    initialise(trunk, "none")
    network = build_fcn(trunk, Architecture(3, 32, 4))
    model = supervised_model(network, 0.5, dropout=0.0, masks=True)
    images = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    outputs = model.predict_on_batch(images)
    assert set(outputs) == {TAGS, DESCRIPTOR_TAGS, LOGITS}
    assert all((np.asarray(values) == 0).all() for values in outputs.values())
    # Beside the network's own weights: 512 × 3 and 3 of the layer on the descriptor.
    assert model.count_params() == network.count_params() + 512 * 3 + 3
    descriptor = np.asarray(tagging_model(network).predict_on_batch(images)[1])
    model.get_layer(DESCRIPTOR_TAGS).set_weights([np.ones((512, 3)), np.array([0.0, 1.0, 2.0])])
    told = np.asarray(model.predict_on_batch(images)[DESCRIPTOR_TAGS])
    np.testing.assert_allclose(told, 0.5 * descriptor.sum() + np.array([[0.0, 1.0, 2.0]]), rtol=1e-5)


def test_f1_by_hand() -> None:
    truth = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], bool)
    said = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    scores = tag_scores(truth, np.where(said, 1.0, -1.0))
    # Tag 0: TP 2, FP 1, FN 0 → F1 4/5. Tag 1: TP 1, FP 0, FN 1 → 2/3. Tag 2: TP 0, FP 1 → 0. Tag 3: neither, left out.
    np.testing.assert_allclose(scores.f1, [4 / 5, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(scores.precision, [2 / 3, 1, 0, np.nan])
    np.testing.assert_allclose(scores.recall, [1, 1 / 2, np.nan, np.nan])
    assert scores.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 3)
    assert scores.micro_f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert set(scores.to_json("abcd")["tags"]["d"].values()) == {None}
    nothing = tag_scores(np.zeros((0, 2), bool), np.zeros((0, 2)))
    assert math.isnan(nothing.micro_f1)
    assert math.isnan(nothing.macro_f1)
    assert math.isnan(nothing.tag_map)


def test_average_precision_of_tags_by_hand() -> None:
    truth = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    scores = np.array([[-1.0, 2, 1], [-2, 2, 2], [-3, 1, 3], [-4, 2, 4]])
    # Tag 0: true at ranks 1 and 3, so (1/1 + 2/3)/2; no score is above 0, which F1 sees and AP does not. Tag 1: three
    # images share the first step, two of them true, so 2/3. Tag 2: no image has it, left out.
    found = tag_scores(truth, scores)
    np.testing.assert_allclose(found.average_precision, [5 / 6, 2 / 3, np.nan])
    assert found.tag_map == pytest.approx((5 / 6 + 2 / 3) / 2)
    assert found.f1[0] == 0


def test_images_of_several_sizes_keep_their_order(network: keras.Model) -> None:
    random = np.random.default_rng(2)
    sizes = [(64, 64), (40, 70), (64, 64), (64, 64), (33, 90)]
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    model, done = tagging_model(network), []
    together = read_tags_of(model, images.__getitem__, len(images), batch=2, progress=done.append)
    for number, image in enumerate(images):
        alone = read_tags_of(model, [image].__getitem__, 1, batch=1)
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(many[number], one[0], rtol=1e-4, atol=1e-4)
    assert done[-1] == 5


def test_each_image_comes_whole_with_its_own_tags(archive: Archive) -> None:
    label_set = tag_label_set(archive)
    settings = replace(SETTINGS, crops=Crops(32, 4, 0, Augmentation.none()))
    supervision = TagSupervision(label_set, archive.records, [], settings)
    assert supervision.steps == 2, "8 images of 64×64, each once, though four crops of 32×32 would fit"
    # At magnification 1 the whole image of 64 is resized to the crop's 32: half-pixel bilinear is the mean of 2×2.
    wholes = np.stack([r.source.read() for r in archive]).reshape(8, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    seen = []
    for images, targets, weights in supervision.dataset(0).as_numpy_iterator():
        assert set(targets) == set(weights) == {TAGS, DESCRIPTOR_TAGS}
        for image, tags in zip(images, targets[TAGS], strict=True):
            number = int(np.abs(wholes - image).mean(axis=(1, 2, 3)).argmin())
            np.testing.assert_allclose(image, wholes[number], atol=1e-3)
            np.testing.assert_array_equal(tags, tag_table([archive.records[number]], label_set)[0])
            seen.append(number)
    assert sorted(seen) == list(range(8))


def test_where_masks_are_mixed_in_they_say_what_a_crop_shows(archive: Archive) -> None:
    label_set = archive.label_set
    assert label_set is not None
    records = [replace(archive.records[0], tags=None), replace(archive.records[-1], mask=None)]
    settings = replace(SETTINGS, supervision="mixed", crops=Crops(64, 2, 0, Augmentation.none()))
    supervision = TagSupervision(label_set, records, [], settings)
    masked = PairReader(records[:1], label_set).read(0)
    ((images, targets, weights),) = supervision.dataset(0).as_numpy_iterator()
    first = int(np.abs(images - masked[0]).mean(axis=(1, 2, 3)).argmin())
    shown = np.isin(np.arange(len(label_set.names)), masked[1])
    np.testing.assert_array_equal(targets[TAGS][first], shown)
    np.testing.assert_array_equal(targets[TAGS][1 - first], tag_table(records[1:], label_set)[0])
    np.testing.assert_array_equal(targets[LOGITS][first], masked[1])
    # Keras takes the mean over all pixels; half of them are labelled and weigh 2, the others nothing.
    np.testing.assert_array_equal(weights[LOGITS][first], 2)
    np.testing.assert_array_equal(weights[LOGITS][1 - first], 0)
    assert weights[TAGS].tolist() == weights[DESCRIPTOR_TAGS].tolist() == [1, 1]


def test_tags_of_an_image_say_nothing_of_a_crop_that_its_mask_leaves_void(archive: Archive) -> None:
    label_set = archive.label_set
    assert label_set is not None
    void = replace(label_set, ignore_ids=label_set.ids, ids=tuple(range(101, 118)), colours=())
    settings = replace(SETTINGS, supervision="mixed", crops=Crops(64, 2, 2, Augmentation.none()))
    # MaskSupervision would refuse masks without any label: one other image has them.
    supervision = TagSupervision(label_set, archive.records[:2], [], settings)
    supervision.reader.label_set = void
    ((_, _, weights),) = supervision.dataset(0).as_numpy_iterator()
    assert weights[TAGS].tolist() == weights[DESCRIPTOR_TAGS].tolist() == [0, 0]


def test_held_out_masks_say_which_tags_their_images_bear(archive: Archive) -> None:
    label_set = archive.label_set
    assert label_set is not None
    held = [replace(archive.records[0], tags=None)]
    supervision = TagSupervision(label_set, archive.records[1:3], held, replace(SETTINGS, supervision="mixed"))
    shown = np.isin(np.arange(len(label_set.names)), PairReader(held, label_set).read(0)[1])
    np.testing.assert_array_equal(supervision.held_tags, [shown])


def test_held_out_masks_that_are_void_say_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    label_set = archive.label_set
    assert label_set is not None
    held = [replace(archive.records[0], tags=None), archive.records[0]]
    tags = tag_table(held[1:], label_set)[0]
    right = PairReader.read

    def void(self: PairReader, number: int) -> Any:
        image, mask = right(self, number)
        return image, np.full_like(mask, VOID) if self.records[number].id == held[0].id else mask

    monkeypatch.setattr(PairReader, "read", void)
    supervision = TagSupervision(label_set, archive.records[1:3], held, replace(SETTINGS, supervision="mixed"))
    np.testing.assert_array_equal(supervision.held_tags, [np.full(len(tags), -1), tags])


def test_an_image_without_tags_is_named(archive: Archive) -> None:
    records = [archive.records[0], replace(archive.records[1], tags=None)]
    with pytest.raises(InputError, match=f"1 of 2 images have neither tags .* first is {records[1].id}"):
        TagSupervision(tag_label_set(archive), records, [], SETTINGS)


def test_a_figure_that_nothing_measures_cannot_choose(archive: Archive, split: Split, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="best_by is 'mean_iu' with supervision by tags; wanted one of micro_f1, macr"):
        replace(SETTINGS, best_by="mean_iu")
    with pytest.raises(InputError, match="chosen by map, but nothing ranks the images; wanted a function `watch`"):
        train(archive, split, tmp_path / "run", replace(SETTINGS, best_by="map"))
    strewn = replace(archive, records=tuple(replace(record, scene=None) for record in archive))
    with pytest.raises(InputError, match="chosen by map, but held-out images have no scene class"):
        train(strewn, split, tmp_path / "run", replace(SETTINGS, best_by="map"), watch=lambda *_: {})
    maskless = replace(archive, records=tuple(replace(record, mask=None) for record in archive))
    with pytest.raises(InputError, match="chosen by mean_iu, but no image to train on has a mask"):
        train(maskless, split, tmp_path / "run", replace(SETTINGS, supervision="mixed", best_by="mean_iu"))
    assert not (tmp_path / "run").exists()


def test_a_run_on_tags_trains_scores_and_serves(archive: Archive, split: Split, tmp_path: Path) -> None:
    watched = []

    def watch(descriptors: np.ndarray, records: object) -> dict[str, float | None]:
        watched.append(descriptors)
        return {"map": 1 / len(watched)}

    settings = replace(SETTINGS, best_by="map")
    run = train(archive, split, tmp_path / "whole", settings, watch=watch)
    history = run.history()
    # Two cross-entropies of zero logits, ln 2 each, are where the first of the steps started.
    assert history[0]["loss"] < 2 * math.log(2)
    assert history[1]["loss"] < history[0]["loss"]
    assert [entry["map"] for entry in history] == [1, 0.5]
    assert run.best.name == "best-0001.weights.h5"
    assert watched[0].shape == (2, 512)
    assert run.manifest["supervision"] == {"kind": "tags", "figure": "map", "masks": None}

    other = replace(archive, records=tuple(replace(record, tags=("sea",)) for record in archive))
    with pytest.raises(MismatchError, match="archive's tags"):
        train(other, split, tmp_path / "whole", replace(settings, epochs=3))

    test = replace(archive, records=tuple(record for record in archive if record.id in split.test))
    scores = write_run_report(run, test)
    assert scores is not None
    truth = tag_table(test.records, run.label_set) > 0
    images = [record.source.read() for record in test]
    logits, _ = read_tags_of(tagging_model(load_best(run)), images.__getitem__, len(images), batch=1)
    assert scores["tags"] == tag_scores(truth, logits).to_json(run.label_set.names)
    assert "mean_iu" not in scores
    assert {file.name for file in (run.path / "report").iterdir()} == {
        "curves.png",
        "examples.png",
        "report.md",
        "scores.json",
    }
    version = export_run(run, tmp_path / "served")
    with loaded_as_server(version) as answer:
        described = answer("describe", None)
    assert [name.decode() for name in described["class_names"]] == list(run.label_set.names)


@pytest.mark.usefixtures("eager")
def test_a_run_with_softmax_pooling_resumes_and_scores_by_it(
    archive: Archive, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, tag_pooling="softmax")
    train(archive, split, tmp_path / "run", replace(settings, epochs=1))
    with pytest.raises(MismatchError, match=r"tag_pooling = 'softmax', this call has None"):
        train(archive, split, tmp_path / "run", SETTINGS)
    run = train(archive, split, tmp_path / "run", settings)
    first, second = (entry["loss"] for entry in run.history())
    assert second < first
    test = replace(archive, records=tuple(record for record in archive if record.id in split.test))
    images = [record.source.read() for record in test]
    model, truth = tagging_model(load_best(run), "softmax"), tag_table(test.records, run.label_set) > 0

    def logits_of(axes: tuple[int, ...]) -> np.ndarray:
        return read_tags_of(model, lambda at: np.flip(images[at], axes), len(images), batch=1)[0]

    one, four = logits_of(()), np.mean([logits_of(axes) for axes in ((), (0,), (1,), (0, 1))], axis=0)
    assert np.abs(four - one).max() > 1e-3, "mirror images say something else"
    scored = []
    monkeypatch.setattr(run_scores, "tag_scores", lambda *given: scored.append(given) or tag_scores(*given))
    for flips, logits in ((False, one), (True, four)):
        scores = write_run_report(run, test, flips=flips)
        assert scores is not None
        assert scores["flips"] == flips
        assert scores["tags"] == tag_scores(truth, logits).to_json(run.label_set.names)
        np.testing.assert_allclose(scored.pop()[1], logits, rtol=1e-4, atol=1e-5)
        assert ("three mirror images" in (run.path / "report" / "report.md").read_text()) == flips


@pytest.mark.usefixtures("eager")
def test_masks_and_tags_train_together(archive: Archive, split: Split, tmp_path: Path) -> None:
    half = tuple(replace(r, tags=None) if r.scene == "beach" else replace(r, mask=None) for r in archive)
    mixed = replace(archive, records=half)
    run = train(mixed, split, tmp_path / "run", replace(SETTINGS, supervision="mixed", epochs=1, best_by="mean_iu"))
    assert run.manifest["supervision"]["figure"] == "mean_iu"
    entry = run.history()[0]
    # 17 classes: ln 17 for the pixels, ln 2 for either kind of tags, before the first of the steps.
    assert 0 < entry["loss"] < math.log(17) + 2 * math.log(2)
    assert {"micro_f1", "macro_f1", "mean_iu"} <= set(entry)
    test = replace(mixed, records=tuple(record for record in mixed if record.id in split.test))
    scores = write_run_report(run, test)
    assert scores is not None
    assert (scores["images"], scores["tags"]["images"]) == (1, 1), "one of each scene is tested"


def test_supervision_that_the_archive_cannot_give_is_refused(archive: Archive, split: Split, tmp_path: Path) -> None:
    bare = replace(archive, label_set=None, records=tuple(replace(record, mask=None) for record in archive))
    with pytest.raises(InputError, match=r"has no masks to train on; .*--supervision tags"):
        train(bare, split, tmp_path / "run", replace(SETTINGS, supervision="mixed"))
    with pytest.raises(InputError, match="class_weights 'balanced' with supervision by tags"):
        replace(SETTINGS, class_weights="balanced")
    with pytest.raises(InputError, match="tag_pooling 'softmax' with supervision by masks"):
        replace(MASKS, tag_pooling="softmax")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("kind", "freeze", "stride"), [("tags", 5, 8), ("tags", 3, 32), ("masks", 4, 8)])
def test_cached_views_train_as_the_crops_themselves_do(
    kind: str, freeze: int, stride: int, archive: Archive, split: Split, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, supervision=kind, freeze=freeze, stride=stride, validation=0.0)
    crops = train(archive, split, tmp_path / "crops", settings).history()
    views = train(archive, split, tmp_path / "views", replace(settings, cached_views=2)).history()
    assert [e["loss"] for e in views] == pytest.approx([e["loss"] for e in crops], rel=2e-3), "half precision: 1/2048"
    assert not (tmp_path / "views" / "views").exists(), "a complete run needs them no more"


@pytest.mark.usefixtures("eager")
def test_a_run_on_cached_views_resumes(archive: Archive, split: Split, tmp_path: Path) -> None:
    settings = replace(SETTINGS, freeze=4, cached_views=1, average_weights=0.5)
    whole = train(archive, split, tmp_path / "whole", settings).history()
    train(archive, split, tmp_path / "halves", replace(settings, epochs=1))
    halves = train(archive, split, tmp_path / "halves", settings).history()
    assert [entry["loss"] for entry in halves] == pytest.approx([entry["loss"] for entry in whole])
    assert [entry["micro_f1"] for entry in halves] == [entry["micro_f1"] for entry in whole]
