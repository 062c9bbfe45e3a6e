"""DropFuse on phantoms with factors that both modalities show and factors that one shows."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
from keras import losses, ops
from scipy.stats import pearsonr

from regreveal.errors import InputError
from regreveal.models import fusion
from regreveal.models.loop import STATE
from regreveal.models.model_folder import load_model
from regreveal.models.state import TrainingState
from regreveal.registration import DropFuse, dropfuse_training
from regreveal.registration.dropfuse_input import presence
from regreveal.tensormap import TensorMap
from tests.registration.harness import check_parts, check_same

SHAPES = {"toy.wave": (24, 2), "toy.picture": (9, 8, 1)}
WAVE, PICTURE = SHAPES
FACTORS = {
    name: np.random.default_rng(7 + k).standard_normal((5, *shape))
    for k, (name, shape) in enumerate(SHAPES.items())
}
SMALL = {"channels": 8, "growth": 4, "blocks": 1, "block_depth": 1}
QUICK = {
    "latent_size": 8,
    "steps": 200,
    "steps_per_epoch": 50,
    "batch_size": 32,
    "contrast_weight": 1.0,
    "architectures": dict.fromkeys(SHAPES, SMALL),
}
QUICKEST = {**QUICK, "latent_size": 4, "steps": 6, "steps_per_epoch": 2, "batch_size": 8}
TENSOR_MAPS = {
    name: TensorMap(name, name, shape, "units", "toy", "A phantom.")
    for name, shape in SHAPES.items()
}


def phantom(n, seed):
    """Both modalities, what they share (n, 3), and what each shows alone (n, 2)."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 3))
    x, own = {}, {}
    for name, shape in SHAPES.items():
        own[name] = rng.standard_normal((n, 2))
        known = np.tensordot(np.hstack([shared, own[name]]), FACTORS[name], 1)
        x[name] = (known + 0.5 * rng.standard_normal((n, *shape))).astype(np.float32)
    return x, shared, own


def rows_of(x, rows):
    return {name: values[rows] for name, values in x.items()}


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


def alone(registration, x):
    return [registration.transform({name: values}).tensors for name, values in x.items()]


def retrieved(one, other):
    """Share of people found among all by the cosine of their latents, both ways."""
    one, other = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (one, other))
    cosines = one @ other.T
    right = np.arange(len(one))
    return np.mean([(cosines.argmax(axis=axis) == right).mean() for axis in (0, 1)])


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


def with_value(x, name, rows, value):
    changed = {other: values.copy() for other, values in x.items()}
    changed[name][rows] = value
    return changed


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda x: {WAVE: x[WAVE]}, {}, "at least two modalities"),
        (lambda x: {WAVE: x[WAVE], PICTURE: x[PICTURE][:3]}, {}, "same participants in all"),
        (lambda x: rows_of(x, slice(0, 0)), {}, "no participants to learn from"),
        (lambda x: x, {"plan": {"accumulation": 3}}, "expected a multiple of 3"),
        (lambda x: with_value(x, WAVE, (4, 2, 1), np.inf), {}, f"row 4 of {WAVE} .* not finite"),
        (lambda x: with_value(x, WAVE, slice(None), 2.0), {}, "the same"),
        (
            lambda x: with_value(with_value(x, WAVE, 4, np.nan), PICTURE, 4, np.nan),
            {},
            "row 4 has none",
        ),
        (
            lambda x: with_value(
                with_value(x, WAVE, slice(0, 15), np.nan), PICTURE, slice(15, 30), np.nan
            ),
            {},
            "have two of",
        ),
        (lambda x: with_value(x, WAVE, slice(0, 30), np.nan), {}, f"0 of 27 .* have {WAVE}"),
        (lambda x: x, {"contrast_weight": -1.0}, "contrast_weight is -1"),
        (lambda x: x, {"steps": 0}, "steps is 0"),
        (lambda x: x, {"plan": {"speed": 2}}, "plan names 'speed'"),
        (lambda x: x, {"plan": {"precision": "half"}}, "precision is 'half'"),
        (lambda x: x, {"warm_start": {"toy.sound": "somewhere"}}, "warm_start names 'toy.sound'"),
    ],
)
def test_what_cannot_be_learned_from_is_named(learned, change, options, message):
    registration = DropFuse(**{**QUICKEST, **options})
    with pytest.raises(InputError, match=message):
        registration.fit(change(rows_of(learned, slice(0, 30))))


def test_others_to_choose_the_best_epoch_by_must_have_the_same_modalities(learned):
    x = rows_of(learned, slice(0, 30))
    with pytest.raises(InputError, match="in this order"):
        DropFuse(**QUICKEST).fit(x, validation={WAVE: x[WAVE]})
    with pytest.raises(InputError, match="no validation participants"):
        DropFuse(**QUICKEST).fit(x, validation=rows_of(x, slice(0, 0)))


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


def test_no_batch_is_larger_than_a_part_of_one(learned, monkeypatch):
    sizes = set()
    fit_network = dropfuse_training.fit_network

    def spy(network, learned_batch, validation, *args, **kwargs):
        sizes.update(len(validation[i][0]["share"]) for i in range(len(validation)))
        fit_network(network, learned_batch, validation, *args, **kwargs)

    monkeypatch.setattr(dropfuse_training, "fit_network", spy)
    x, others = rows_of(learned, slice(0, 30)), rows_of(learned, slice(30, 46))
    DropFuse(**QUICKEST, plan={"accumulation": 2}).fit(x, validation=others)
    assert sizes == {QUICKEST["batch_size"] // 2}


def test_a_modality_that_nobody_held_out_has_is_judged_by_those_learned_from(learned, unseen):
    x, others = rows_of(learned, slice(0, 30)), rows_of(learned, slice(30, 40))
    others = with_value(others, PICTURE, slice(None), np.nan)
    registration = DropFuse(**QUICKEST).fit(x, validation=others)
    assert np.isfinite(registration.explained_variance_).all()
    noise = 100 * np.random.default_rng(0).standard_normal((1, *SHAPES[PICTURE]))
    assert not registration.transform({PICTURE: noise}).qc["ok"].any()


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


def exchanged_cross_entropy(one, other, paired, scale):
    """The loss of public code: probabilities given as the labels, and the labels as predicted."""
    one, other = fusion.normalised(one), fusion.normalised(other)
    logits = scale * ops.matmul(one, ops.transpose(other))

    # Keras' cross-entropy of the identity, clipped to 1e-7, with probabilities as labels.
    def cross_entropy(logits):
        return -np.log(1e-7) * ops.mean(1 - ops.diagonal(ops.softmax(logits)))

    return 0.5 * (cross_entropy(logits) + cross_entropy(ops.transpose(logits)))


def test_the_fault_reproduced_is_that_of_exchanged_arguments():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 6, 3)).astype(np.float32)
    logits = 5 * fusion.normalised(one) @ ops.transpose(fusion.normalised(other))
    expected = [
        ops.mean(losses.categorical_crossentropy(ops.softmax(part), ops.eye(6)))
        for part in (logits, ops.transpose(logits))
    ]
    found = exchanged_cross_entropy(one, other, np.ones(6, np.float32), 5.0)
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-3)


def frozen_shares(present, latent_size, rng):
    """The mask of public code: drawn once, for everyone and all steps."""
    chosen = np.random.default_rng(0).permutation(latent_size) % present.shape[1]
    shares = np.zeros((*present.shape, latent_size), np.float32)
    shares[:, chosen, np.arange(latent_size)] = 1
    return shares


def test_contrast_sets_right_those_it_confuses_and_not_with_exchanged_arguments():
    """The gradient of 1 - p is p (1 - p) of a logit: nothing, for those taken for another."""
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    other = rng.standard_normal((8, 16)).astype(np.float32)
    confused = np.roll(other, 1, axis=0)

    def found_after_descent(contrast):
        one = tf.Variable(confused)
        for _ in range(200):
            with tf.GradientTape() as tape:
                loss = contrast(one, other, np.ones(8, np.float32), 30.0)
            one.assign_sub(tape.gradient(loss, one))
        return retrieved(one.numpy(), other)

    assert retrieved(confused, other) == 0
    assert found_after_descent(fusion.symmetric_info_nce) == 1
    assert found_after_descent(exchanged_cross_entropy) == 0


def test_exchanged_arguments_find_fewer_people_where_there_are_many_to_be_taken_for(
    learned, unseen, monkeypatch
):
    """Their gradient shrinks with the probability of the right one, at first one in the batch."""
    settings = {**QUICK, "batch_size": 128, "steps": 100}
    ours = DropFuse(**settings).fit(learned)
    monkeypatch.setattr(fusion, "symmetric_info_nce", exchanged_cross_entropy)
    exchanged = DropFuse(**settings).fit(learned)
    assert retrieved(*alone(ours, unseen[0])) > 1.5 * retrieved(*alone(exchanged, unseen[0]))


def test_a_mask_drawn_once_leaves_coordinates_that_a_modality_never_learns(
    learned, unseen, monkeypatch
):
    """Half of an encoder's coordinates go into no reconstruction, and yet its decoder reads them.

    The contrast, which would train them in its own way, is left out: drawn afresh, the mask alone
    brings modalities together; drawn once, it relates them in nothing.
    """
    settings = {**QUICK, "contrast_weight": 0.0}
    ours = DropFuse(**settings).fit(learned)
    with monkeypatch.context() as patch:
        patch.setattr(dropfuse_training, "drawn_shares", frozen_shares)
        frozen = DropFuse(**settings).fit(learned)
    assert (ours.explained_variance_ > frozen.explained_variance_ + 0.1).all()
    # By chance one in 400 is found.
    assert retrieved(*alone(ours, unseen[0])) > 0.05
    assert retrieved(*alone(frozen, unseen[0])) < 0.02


# How it is trained.


def test_a_killed_training_ends_with_the_same_weights(learned, tmp_path, monkeypatch):
    x = rows_of(learned, slice(0, 40))
    draw, drawn, killed_at = dropfuse_training.drawn_shares, {}, [None]

    def spy(present, latent_size, rng):
        entropy = rng.bit_generator.seed_seq.entropy
        if entropy[1] == killed_at[0]:
            raise RuntimeError("killed")
        shares = draw(present, latent_size, rng)
        drawn.setdefault(entropy, []).append(shares)
        return shares

    monkeypatch.setattr(dropfuse_training, "drawn_shares", spy)
    whole = DropFuse(**QUICKEST).fit(x)
    assert sorted(drawn) == [(1, step, 1) for step in range(6)]
    assert len({shares[0].tobytes() for shares in drawn.values()}) == 6

    killed_at[0] = 3
    with pytest.raises(RuntimeError, match="killed"):
        DropFuse(**QUICKEST).fit(x, checkpoint=tmp_path)
    assert len(TrainingState.read(tmp_path / STATE)[0].history) == 1
    with pytest.raises(InputError, match="another folder"):
        DropFuse(**{**QUICKEST, "contrast_weight": 0.5}).fit(x, checkpoint=tmp_path)
    with pytest.raises(InputError, match="another participants"):
        DropFuse(**QUICKEST).fit(rows_of(learned, slice(40, 80)), checkpoint=tmp_path)
    killed_at[0] = 0
    resumed = DropFuse(**QUICKEST).fit(x, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.weights_, whole.weights_)
    np.testing.assert_array_equal(resumed.losses_, whole.losses_)
    # Each step's draw is the same whenever it is asked for.
    for shares in drawn.values():
        for again in shares[1:]:
            np.testing.assert_array_equal(again, shares[0])


class WithPresent:
    """Tensors that say who has one, and fail if those of others are read."""

    def __init__(self, values, present):
        self.values, self.present = values, present
        self.shape = values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        assert self.present[rows].all()
        return self.values[rows]


def test_array_likes_that_say_who_has_a_tensor_are_read_only_there(learned):
    x = with_value(rows_of(learned, slice(0, 60)), PICTURE, slice(0, 30), np.nan)
    present = np.arange(60) >= 30
    said = {WAVE: x[WAVE], PICTURE: WithPresent(x[PICTURE], present)}
    np.testing.assert_array_equal(presence(said), presence(x))
    np.testing.assert_array_equal(presence(x), np.column_stack([np.ones(60, bool), present]))
    fused = DropFuse(**QUICKEST).fit(said, validation=rows_of(learned, slice(60, 70)))
    assert fused.held_out_.size == 0
    found = fused.transform(x)
    assert found.qc["modalities"].tolist() == 30 * [WAVE] + 30 * [f"{WAVE} + {PICTURE}"]


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
