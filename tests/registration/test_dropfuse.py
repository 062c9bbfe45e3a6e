"""DropFuse on phantoms with factors that both modalities show and factors that one shows."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from scipy.stats import pearsonr

from regreveal.errors import InputError
from regreveal.models.model_folder import load_model
from regreveal.registration import DropFuse
from regreveal.tensormap import TensorMap
from tests.registration.dropfuse_phantom import (
    PICTURE,
    QUICK,
    QUICKEST,
    SHAPES,
    WAVE,
    alone,
    phantom,
    retrieved,
    rows_of,
)
from tests.registration.harness import check_parts, check_same

TENSOR_MAPS = {
    name: TensorMap(name, name, shape, "units", "toy", "A phantom.")
    for name, shape in SHAPES.items()
}


@pytest.fixture(scope="module")
def learned():
    return phantom(330, 1)[0]


@pytest.fixture(scope="module")
def unseen():
    return phantom(400, 2)


@pytest.fixture(scope="module")
def fitted(learned):
    given = {name: values.copy() for name, values in learned.items()}
    registration = DropFuse(**QUICK)
    assert registration.fit(learned) is registration
    for name, values in learned.items():
        np.testing.assert_array_equal(values, given[name], "the input was changed")
    return registration


@pytest.fixture(scope="module")
def registered(fitted, unseen):
    return fitted.transform(unseen[0])


# The contract of registrations, for mappings.


def test_everyone_gets_latents_and_they_depend_on_nobody_else(fitted, unseen, registered):
    x = unseen[0]
    check_parts(registered, 400)
    assert registered.qc["ok"].all()
    assert registered.tensors.shape == (400, 8)
    assert registered.tensors.dtype == np.float32
    check_same(fitted.transform(x), registered)
    some = fitted.transform(rows_of(x, slice(71, 140)))
    np.testing.assert_array_equal(some.tensors, registered.tensors[71:140])


def test_a_saved_one_gives_the_same(fitted, unseen, registered, tmp_path):
    fitted.save(tmp_path)
    loaded = DropFuse.load(tmp_path)
    assert loaded.get_params() == fitted.get_params()
    check_same(loaded.transform(unseen[0]), registered)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert {"weights_", "losses_", "held_out_", "temperature_"} <= set(arrays)


def test_a_bad_tensor_is_marked_and_leaves_others_as_they_were(fitted, unseen, registered):
    rng = np.random.default_rng(0)
    good = unseen[0][WAVE][0]
    one_missing = good.copy()
    one_missing[0, 0] = np.nan
    wild = rng.choice([-1e30, 1e30], good.shape)
    bad = {
        "not finite": [one_missing, np.full_like(good, np.inf)],
        "blank": [np.zeros_like(good)],
        "unlike": [wild, 30 * rng.standard_normal(good.shape)],
    }
    for word, tensors in bad.items():
        for tensor in tensors:
            x = rows_of(unseen[0], slice(0, 5))
            x[WAVE] = np.stack([tensor, *x[WAVE][1:]])
            mixed = fitted.transform(x)
            check_parts(mixed, 5)
            assert word in mixed.qc["reason"][0]
            assert mixed.qc["reason"][0].startswith(WAVE)
            np.testing.assert_array_equal(mixed.tensors[1:], registered.tensors[1:5])


def test_those_without_a_modality_get_latents_of_what_they_have(fitted, unseen, registered):
    x = rows_of(unseen[0], slice(0, 4))
    wave, picture = alone(fitted, x)
    np.testing.assert_allclose(registered.tensors[:4], (wave + picture) / 2, rtol=1e-5, atol=1e-6)
    x[PICTURE] = x[PICTURE].copy()
    x[WAVE] = x[WAVE].copy()
    x[PICTURE][[1, 3]] = np.nan
    x[WAVE][[2, 3]] = np.nan
    found = fitted.transform(x)
    check_parts(found, 4)
    assert found.qc["ok"].tolist() == [True, True, True, False]
    assert found.qc["reason"][3] == f"{WAVE} and {PICTURE}: missing"
    assert found.qc["modalities"].tolist() == [f"{WAVE} + {PICTURE}", WAVE, PICTURE, ""]
    np.testing.assert_array_equal(found.transforms, [[1, 1], [1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(found.tensors[0], registered.tensors[0])
    np.testing.assert_array_equal(found.tensors[1], wave[1])
    np.testing.assert_array_equal(found.tensors[2], picture[2])
    assert found.qc["agreement"].isna().tolist() == [False, True, True, True]


def test_quality_is_that_of_the_networks(fitted, unseen, registered, tmp_path):
    fitted.save_models(tmp_path, TENSOR_MAPS, ["a"], ["b"])
    wave, picture = alone(fitted, unseen[0])
    cosine = (wave * picture).sum(axis=1)
    cosine /= np.linalg.norm(wave, axis=1) * np.linalg.norm(picture, axis=1)
    np.testing.assert_allclose(registered.qc["agreement"], cosine, rtol=1e-4)
    for name, tensors in unseen[0].items():
        made = load_model(tmp_path / name, "autoencoder").predict(tensors, verbose=0)
        mean = keras.ops.convert_to_numpy(
            load_model(tmp_path / name, "encoder").get_layer("standardize").mean
        )
        axes = tuple(range(1, tensors.ndim))
        explained = 1 - ((made - tensors) ** 2).sum(axis=axes) / ((tensors - mean) ** 2).sum(
            axis=axes
        )
        np.testing.assert_allclose(registered.qc[f"explained_{name}"], explained, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {}, "one or more modalities"),
        (lambda x: x[WAVE], "one or more modalities"),
        (lambda x: {"toy.sound": x[WAVE]}, "no modality 'toy.sound' was learned"),
        (lambda x: {WAVE: x[WAVE][:, :20]}, r"shape \(20, 2\); learned from \(24, 2\)"),
        (lambda x: {WAVE: x[WAVE], PICTURE: x[PICTURE][:3]}, "same participants in all"),
    ],
)
def test_what_cannot_be_transformed_is_named(fitted, unseen, change, message):
    with pytest.raises(InputError, match=message):
        fitted.transform(change(unseen[0]))


def test_one_that_is_not_fitted_says_so(unseen):
    with pytest.raises(InputError, match="not fitted"):
        DropFuse().transform(unseen[0])


def test_nobody_gets_no_latents(fitted, unseen, registered):
    for x in (unseen[0], {WAVE: unseen[0][WAVE]}):
        empty = fitted.transform(rows_of(x, slice(0, 0)))
        check_parts(empty, 0)
        assert empty.tensors.shape == (0, 8)
    assert list(fitted.transform(rows_of(unseen[0], slice(0, 0))).qc) == list(registered.qc)


def test_one_trained_in_half_precision_gives_the_same_when_saved(learned, unseen, tmp_path):
    x = rows_of(unseen[0], slice(0, 20))
    plan = {"precision": "mixed_bfloat16"}
    registration = DropFuse(**QUICKEST, plan=plan).fit(rows_of(learned, slice(0, 40)))
    registered = registration.transform(x)
    registration.save(tmp_path)
    check_same(DropFuse.load(tmp_path).transform(x), registered)


# What it learns.


def test_people_are_found_by_their_other_modality(fitted, unseen):
    # 400 people; by chance one in 400 is found.
    assert retrieved(*alone(fitted, unseen[0])) > 0.4
    assert fitted.temperature_ < 0.07
    assert (fitted.explained_variance_ > 0.4).all()


def predicted(latents, factors):
    """Correlation of held-out factors with what a linear fit to the others says, per factor."""
    latents = np.column_stack([latents, np.ones(len(latents))])
    half = len(latents) // 2
    fit = np.linalg.lstsq(latents[:half], factors[:half], rcond=None)[0]
    return [pearsonr(p, f) for p, f in zip((latents[half:] @ fit).T, factors[half:].T, strict=True)]


def test_what_one_modality_shows_is_not_found_from_the_other(fitted, unseen):
    x, shared, own = unseen
    for (name, latents), other in zip(
        zip(SHAPES, alone(fitted, x), strict=True), (PICTURE, WAVE), strict=True
    ):
        assert all(found.statistic > 0.95 for found in predicted(latents, shared))
        assert all(found.statistic > 0.5 for found in predicted(latents, own[name]))
        for found in predicted(latents, own[other]):
            low, high = found.confidence_interval(0.999)
            assert low < 0 < high


# What it leaves.


def test_model_folders_hold_what_fusing_learned(fitted, unseen, tmp_path):
    folders = fitted.save_models(tmp_path, TENSOR_MAPS, ["p1", "p2"], ["p3"])
    assert folders == {name: tmp_path / name for name in SHAPES}
    for (name, folder), latents in zip(folders.items(), alone(fitted, unseen[0]), strict=True):
        encoder, decoder, autoencoder = (
            load_model(folder, part) for part in ("encoder", "decoder", "autoencoder")
        )
        found = encoder.predict(unseen[0][name], verbose=0)
        np.testing.assert_allclose(found, latents, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            autoencoder.predict(unseen[0][name], verbose=0),
            decoder.predict(latents, verbose=0),
            rtol=1e-4,
            atol=1e-4,
        )
        facts = json.loads((folder / "model.json").read_text())
        assert facts["tensor_map"]["name"] == name
        assert facts["latent_size"] == 8
        assert (facts["trained_on"], facts["validated_on"]) == (["p1", "p2"], ["p3"])
        assert facts["fused_with"] == [other for other in SHAPES if other != name]
        place = list(SHAPES).index(name)
        assert facts["explained_variance"] == fitted.explained_variance_[place]
        assert (folder / "history.csv").is_file()


def test_tensor_maps_that_do_not_fit_are_named(fitted, tmp_path):
    wrong = {**TENSOR_MAPS, PICTURE: dataclasses.replace(TENSOR_MAPS[PICTURE], shape=(45, 2))}
    for maps, message in ((wrong, r"shape \(45, 2\)"), ({WAVE: TENSOR_MAPS[WAVE]}, "none")):
        with pytest.raises(InputError, match=message):
            fitted.save_models(tmp_path, maps, ["a"], ["b"])
    assert not list(tmp_path.iterdir())


def test_training_can_start_from_models_of_one_modality(fitted, learned, tmp_path):
    folders = fitted.save_models(tmp_path, TENSOR_MAPS, ["a"], ["b"])
    start = {name: folders[name] for name in (WAVE,)}
    one_step = {**QUICK, "steps": 1, "learning_rate": 1e-9}
    warm = DropFuse(**one_step, warm_start=start).fit(learned)
    wave, picture = alone(warm, rows_of(learned, slice(0, 20)))
    expected = alone(fitted, rows_of(learned, slice(0, 20)))
    np.testing.assert_allclose(wave, expected[0], atol=1e-4)
    assert not np.allclose(picture, expected[1], atol=0.1)
    warm.save(tmp_path / "warm")
    models = DropFuse.load(tmp_path / "warm").save_models(tmp_path / "m", TENSOR_MAPS, [], [])
    written = [tmp_path / "warm" / "registration.json", models[WAVE] / "model.json"]
    assert not any(str(tmp_path) in path.read_text() for path in written)
    assert json.loads(written[1].read_text())["warm_start"] == [WAVE]
    with pytest.raises(InputError, match="latent_size 4"):
        DropFuse(**QUICKEST, warm_start=start).fit(learned)
    with pytest.raises(InputError, match=r"model\.json|missing or damaged"):
        DropFuse(**QUICK, warm_start={WAVE: tmp_path / "nowhere"}).fit(learned)


def test_a_killed_training_goes_on_from_the_same_start_under_another_path(
    fitted, learned, tmp_path
):
    fitted.save_models(tmp_path / "start", TENSOR_MAPS, ["a"], ["b"])
    quick = {**QUICK, "steps": 4, "steps_per_epoch": 2}
    checkpoint = tmp_path / "checkpoint"

    def started_from(folder):
        return DropFuse(**quick, warm_start={WAVE: folder / WAVE})

    whole = started_from(tmp_path / "start").fit(learned, checkpoint=checkpoint)
    shutil.move(tmp_path / "start", tmp_path / "moved")
    again = started_from(tmp_path / "moved").fit(learned, checkpoint=checkpoint)
    np.testing.assert_array_equal(again.weights_, whole.weights_)
    other = (
        started_from(tmp_path / "moved")
        .fit(learned)
        .save_models(tmp_path / "other", TENSOR_MAPS, ["a"], ["b"])
    )
    assert WAVE in other
    with pytest.raises(InputError, match="another warm_start"):
        started_from(tmp_path / "other").fit(learned, checkpoint=checkpoint)
