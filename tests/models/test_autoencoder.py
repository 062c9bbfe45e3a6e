import autoencoder_harness as harness
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.models.autoencoder import build_autoencoder, standardize_by

SMALL = {"channels": 6, "growth": 3, "blocks": 2, "block_depth": 2}
SHAPES = [(40, 12), (61, 2), (37, 53, 1), (20, 23, 18, 1)]


def builder(shape, latent_size=4):
    return lambda seed: build_autoencoder(shape, latent_size, seed=seed, **SMALL)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def models(shape):
    return builder(shape)(seed=1)


def test_shapes(models, shape):
    harness.check_shapes(models, shape, 4)


def test_encoder_gives_the_same_latents_inside_the_autoencoder(models, shape):
    harness.check_composition(models, shape)


def test_saved_models_come_back_the_same(models, shape, tmp_path):
    harness.check_saving(models, shape, tmp_path)


@pytest.mark.parametrize("shape", [(61, 2), (10, 9, 8, 1)])
def test_mixed_precision(shape, tmp_path):
    harness.check_mixed_precision(builder(shape), shape, tmp_path)


def test_seed_decides_the_weights():
    harness.check_seed(builder((40, 3)))


@pytest.mark.parametrize("shape", [(5000, 12), (600, 12)])
def test_full_size_ecg(shape):
    models = build_autoencoder(shape, 16)
    harness.check_shapes(models, shape, 16)
    assert models.autoencoder.count_params() < 500_000


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 19), min_size=1, max_size=3), st.integers(1, 3), st.integers(1, 5))
def test_any_size_is_reconstructed_at_that_size(spatial, channels, stem_stride):
    shape = (*spatial, channels)
    models = build_autoencoder(
        shape, 2, channels=2, growth=1, blocks=1, block_depth=1, stem_stride=stem_stride, stride=3
    )
    harness.check_shapes(models, shape, 2)


@pytest.mark.parametrize("size", [33, 34, 35, 36])
def test_a_position_is_drawn_from_the_part_of_the_bottom_that_saw_it(size):
    # Cropped on the wrong side, positions would be off by the padding.
    models = build_autoencoder(
        (size, 1), 3, channels=2, growth=2, blocks=1, kernel_size=1, stem_stride=2, stride=2
    )
    middle = models.encoder.get_layer("encoder_down_1").output
    coarse = models.decoder.get_layer("bottom_shape").output
    assert middle.shape == coarse.shape
    fine = models.encoder.input
    seen = _influence(fine, middle, (size, 1))
    drawn = _influence(coarse, models.decoder.output, coarse.shape[1:]).T
    # With kernels of one sample, a coarse sample sees and draws the very same fine samples.
    np.testing.assert_array_equal(seen, drawn)


def _influence(start, end, shape):
    """Which positions of `end` (columns) change with each position of `start` (rows)."""
    model = keras.Model(start, end)
    base = np.ones((1, *shape), np.float32)
    changed = np.repeat(base, shape[0], axis=0)
    changed[np.arange(shape[0]), np.arange(shape[0])] += 1
    difference = harness.predict(model, changed) - harness.predict(model, base)
    return np.abs(difference).max(axis=-1) > 1e-7


def test_standardizing_only_shifts_and_scales():
    shape = (20, 2)
    plain, standardized = (build_autoencoder(shape, 3, seed=1, **SMALL) for _ in range(2))
    rng = np.random.default_rng(2)
    mean = rng.standard_normal(shape).astype(np.float32)
    standardize_by(standardized, mean, 2.5)
    z = harness.random_tensors(shape)
    np.testing.assert_allclose(
        harness.predict(standardized.autoencoder, z * 2.5 + mean),
        harness.predict(plain.autoencoder, z) * 2.5 + mean,
        rtol=1e-4,
        atol=1e-4,
    )


def test_unusable_shapes_and_sizes_are_named():
    with pytest.raises(InputError, match=r"shape \(600,\)"):
        build_autoencoder((600,), 4)
    with pytest.raises(InputError, match="shape"):
        build_autoencoder((0, 12), 4)
    with pytest.raises(InputError, match="latent_size is 0"):
        build_autoencoder((600, 12), 0)
