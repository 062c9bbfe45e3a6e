"""The loss, the shares and the networks of DropFuse, against numbers worked out another way."""

from itertools import combinations

import autoencoder_toy
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from regreveal.models.autoencoder import build_autoencoder, standardize_by
from regreveal.models.fusion import (
    FIRST_SCALE,
    LARGEST_SCALE,
    Contrast,
    FusionNetwork,
    drawn_shares,
    mean_shares,
    symmetric_info_nce,
)
from regreveal.models.source import AlignedTensors
from regreveal.registration.dropfuse_training import Participants, _batch

SMALL = {"channels": 4, "growth": 2, "blocks": 1, "block_depth": 1}
SHAPES = [(24, 2), (9, 8, 1), (12, 1)]


def info_nce(one, other, scale):
    """½ [CE(s z₁z₂ᵀ, I) + CE(s z₂z₁ᵀ, I)], by scipy."""
    one, other = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (one, other))
    logits = scale * one @ other.T
    right = np.diag(logits)
    return 0.5 * sum((logsumexp(logits, axis=axis) - right).mean() for axis in (0, 1))


def number(tensor):
    return float(keras.ops.convert_to_numpy(tensor))


def latents_of(n, modalities, seed=0, size=5):
    shared = np.random.default_rng(seed).standard_normal((n, 1, size))
    own = np.random.default_rng(seed + 1).standard_normal((n, modalities, size))
    return (shared + own).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9), st.floats(0.5, 50))
def test_contrast_is_that_of_its_formula_among_those_who_have_both(seed, n, scale):
    one, other = latents_of(n, 2, seed).transpose(1, 0, 2)
    paired = np.random.default_rng(seed).random(n) < 0.7
    paired[0] = True
    found = symmetric_info_nce(one, other, paired.astype(np.float32), np.float32(scale))
    expected = info_nce(one[paired].astype(float), other[paired].astype(float), scale)
    assert number(found) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_contrast_is_zero_for_those_told_apart_and_log_n_for_those_who_are_not():
    everyone = np.ones(8, np.float32)
    apart, same = np.eye(8, dtype=np.float32), np.ones((8, 3), np.float32)
    assert number(symmetric_info_nce(apart, apart, everyone, 50.0)) == pytest.approx(0, abs=1e-6)
    assert number(symmetric_info_nce(same, same, everyone, 50.0)) == pytest.approx(np.log(8))
    assert number(symmetric_info_nce(apart, apart, 0 * everyone, 50.0)) == 0


def mean_over_pairs(latents, present, scale):
    losses = []
    for i, j in combinations(range(latents.shape[1]), 2):
        both = present[:, i] & present[:, j]
        if both.sum() > 1:
            losses.append(info_nce(latents[both, i], latents[both, j], scale))
    return np.mean(losses)


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_contrast_of_several_modalities_is_the_mean_over_their_pairs(modalities):
    latents = latents_of(12, modalities)
    present = np.random.default_rng(3).random((12, modalities)) < 0.6
    present[:, 0] = True
    # Of the last modality there is one person: no pair with it has anybody to be taken for.
    present[1:, -1] = modalities == 2
    contrast = Contrast()
    found = contrast(list(latents.transpose(1, 0, 2)), present.astype(np.float32))
    expected = mean_over_pairs(latents.astype(float), present, FIRST_SCALE)
    assert number(found) == pytest.approx(expected, rel=1e-4)


def test_gradient_is_that_of_finite_differences():
    tf = pytest.importorskip("tensorflow")
    latents = latents_of(7, 3)
    present = np.ones((7, 3), bool)
    present[[1, 4], [0, 2]] = False
    contrast = Contrast()
    variables = [tf.Variable(z) for z in latents.transpose(1, 0, 2)]
    with tf.GradientTape() as tape:
        loss = contrast(variables, present.astype(np.float32))
    *found, of_scale = tape.gradient(loss, [*variables, contrast.log_scale.value])
    found = np.stack(found, axis=1)
    assert not found[~present].any()

    latents, step = latents.astype(float), 1e-5
    expected = np.empty_like(latents)
    for place in np.ndindex(latents.shape):
        moved = [latents.copy() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        above, below = (mean_over_pairs(z, present, FIRST_SCALE) for z in moved)
        expected[place] = (above - below) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    above, below = (
        mean_over_pairs(latents, present, np.exp(np.log(FIRST_SCALE) + move))
        for move in (step, -step)
    )
    assert number(of_scale) == pytest.approx((above - below) / (2 * step), rel=1e-3)


def test_temperature_is_learned_but_not_below_its_bound():
    contrast = Contrast()
    assert np.exp(number(contrast.log_scale)) == pytest.approx(1 / 0.07)
    optimizer = keras.optimizers.SGD(1.0)
    for gradient, expected in ((-100.0, np.log(LARGEST_SCALE)), (1.0, np.log(LARGEST_SCALE) - 1)):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [contrast.log_scale])
        assert number(contrast.log_scale) == pytest.approx(expected, rel=1e-5)


def build_network(weight=0.7):
    autoencoders = [build_autoencoder(shape, 4, seed=k, **SMALL) for k, shape in enumerate(SHAPES)]
    for k, models in enumerate(autoencoders):
        standardize_by(models, np.full(SHAPES[k], 1.0 + k, np.float32), 1.5 + k)
    return FusionNetwork(autoencoders, weight)


def batch_of(n=6):
    """People of whom some lack a modality, and nobody the third one."""
    rng = np.random.default_rng(5)
    x = {str(k): rng.standard_normal((n, *s)).astype(np.float32) for k, s in enumerate(SHAPES)}
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1]], bool)[np.arange(n) % 3]
    source = Participants(x, present, np.arange(n))
    return source, _batch(source, np.arange(n), drawn_shares(present, 4, rng))


def test_loss_is_the_relative_error_of_those_there_and_the_weighted_contrast():
    network = build_network()
    source, (inputs, targets) = batch_of()
    outputs = network(inputs)
    found = number(network.compute_loss(inputs, targets, outputs))
    latents = np.stack(
        [np.asarray(network.encoders[k](inputs[f"tensor_{k}"])) for k in range(3)], axis=1
    )
    fused = (latents * inputs["share"]).sum(axis=1)
    relative = []
    for k, there in enumerate(source.present.T):
        made = np.asarray(network.decoders[k](fused))
        error = (made - source.x[str(k)])[there] / (1.5 + k)
        relative.append(np.mean(error**2))
    contrast = mean_over_pairs(latents, source.present, FIRST_SCALE)
    assert found == pytest.approx(np.mean(relative) + 0.7 * contrast, rel=1e-4)


def test_what_stands_for_a_missing_tensor_does_not_matter():
    network = build_network()
    source, (inputs, targets) = batch_of()
    filled = dict(inputs)
    for k, there in enumerate(source.present.T):
        tensor = inputs[f"tensor_{k}"].copy()
        assert not tensor[~there].any()
        tensor[~there] = 9
        filled[f"tensor_{k}"] = tensor
    losses = [number(network.compute_loss(x, targets, network(x))) for x in (inputs, filled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_participant_twice_in_a_batch_is_contrasted_once():
    source, _ = batch_of()
    wanted = np.array([4, 0, 4, 3])
    inputs, _ = _batch(source, wanted, mean_shares(source.present[wanted], 4))
    np.testing.assert_array_equal(inputs["tensor_1"][3], source.x["1"][3])
    np.testing.assert_array_equal(inputs["present"], source.present[wanted])
    expected = source.present[wanted] & np.array([1, 1, 0, 1], bool)[:, None]
    np.testing.assert_array_equal(inputs["contrasted"], expected)


def test_each_coordinate_comes_from_one_of_the_modalities_there_each_as_often():
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1]], bool)
    rng = np.random.default_rng(0)
    shares = drawn_shares(np.repeat(present, 400, axis=0), 16, rng)
    np.testing.assert_array_equal(shares.sum(axis=1), 1)
    assert set(np.unique(shares)) == {0, 1}
    by_person = shares.reshape(3, 400, 3, 16)
    expected = mean_shares(present, 16)
    # Binomial: five standard errors of 6,400 coordinates, and of 400 for each coordinate.
    np.testing.assert_allclose(by_person.mean(axis=(1, 3)), expected[:, :, 0], atol=5 * 0.0063)
    np.testing.assert_allclose(by_person.mean(axis=1), expected, atol=5 * 0.025)
    # Neither people nor coordinates share a draw.
    assert len(np.unique(by_person[0].reshape(400, -1), axis=0)) > 390


def test_aligned_tensors_are_those_of_the_store_and_nan_where_it_has_none(tmp_path):
    store = autoencoder_toy.write_store(tmp_path)
    tensor_map, ids = autoencoder_toy.TENSOR_MAP, ["p5", "nobody", "p90", "p2", "stranger"]
    expected = tensor_map.load(store, ["p5", "p90", "p2"])
    for cache_bytes in (0, 2**20):
        x = AlignedTensors(store, tensor_map, ids, cache_bytes)
        assert x.shape == (5, *autoencoder_toy.SHAPE)
        assert len(x) == 5
        np.testing.assert_array_equal(x.present, [True, False, True, True, False])
        np.testing.assert_array_equal(x[[0, 2, 3]], expected)
        assert np.isnan(x[1:2]).all()
        np.testing.assert_array_equal(x[2:5][:2], expected[1:])
        assert np.isnan(x[2:5][2]).all()
    assert not AlignedTensors(store, tensor_map, ["nobody"]).present.any()
