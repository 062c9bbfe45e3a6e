"""DeepCycle's networks: what their layers do, and that they outlive saving."""

import keras
import numpy as np
import pytest

from regreveal.models.cycle import CineViews, CircularMap, Unwrap, build_cycle, knot_angles

SHAPE = (18, 21, 6)


@pytest.fixture(scope="module")
def networks():
    return build_cycle(SHAPE, seed=1)


@pytest.fixture(scope="module")
def cines():
    return np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)


def test_views_are_the_same_at_any_scale_and_zero_of_grey_values(cines):
    layer = CineViews()
    for one, other in zip(layer(cines), layer(1000 * cines + 300), strict=True):
        np.testing.assert_allclose(one, other, atol=5e-3)


def test_deviations_are_what_a_cine_differs_from_its_mean_frame(cines):
    _, deviations, _ = CineViews()(cines)
    expected = np.moveaxis(cines - cines.mean(axis=-1, keepdims=True), -1, 1)
    expected /= np.sqrt(np.mean(expected**2, axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(deviations, expected, atol=1e-4)


def test_unwrapping_is_that_of_numpy():
    angles = np.random.default_rng(0).uniform(-3, 3, (4, 10)).astype(np.float32)
    np.testing.assert_allclose(Unwrap()(angles), np.unwrap(angles, axis=1), atol=1e-5)


def test_circular_map_is_interpolation():
    layer = CircularMap()
    angles = np.linspace(-np.pi, np.pi, 50).astype(np.float32)
    np.testing.assert_allclose(layer(angles), angles, atol=1e-6)
    values = np.cumsum(np.random.default_rng(0).random(len(knot_angles())))
    layer.values.assign(values)
    expected = np.interp(angles, knot_angles(), values)
    np.testing.assert_allclose(layer(angles), expected, rtol=1e-4)


def test_frames_get_one_angle_each_and_cines_come_back(networks, cines):
    phases = networks.encoder.predict(cines, verbose=0)
    assert phases.shape == (3, SHAPE[2])
    assert np.abs(phases[:, 0]).max() <= np.pi + 1e-6
    assert np.abs(np.diff(phases, axis=1)).max() <= np.pi + 1e-5
    assert networks.decoder.predict(phases, verbose=0).shape == (3, *SHAPE)


def test_control_is_as_large_and_gives_plain_numbers(networks, cines):
    control = build_cycle(SHAPE, circular=False, seed=1)
    weights = len(control.get_weights())
    # But for the maps between angle and phase.
    assert abs(weights - len(networks.get_weights())) < 0.02 * weights
    numbers = control.encoder.predict(cines, verbose=0)
    np.testing.assert_allclose(
        numbers, control.joint.predict(cines, verbose=0)["coordinates"][..., 0], atol=1e-6
    )


def test_models_outlive_saving(networks, cines, tmp_path):
    for name, model in networks.as_autoencoder._asdict().items():
        given = np.linspace(0, 6, 18).reshape(3, 6) if name == "decoder" else cines
        model.save(tmp_path / f"{name}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True)
        np.testing.assert_array_equal(
            loaded.predict(given, verbose=0), model.predict(given, verbose=0)
        )


def test_weights_are_given_and_set_as_one_vector(networks, cines):
    other = build_cycle(SHAPE, seed=2)
    assert not np.array_equal(other.get_weights(), networks.get_weights())
    other.set_weights(networks.get_weights())
    np.testing.assert_array_equal(
        other.encoder.predict(cines, verbose=0), networks.encoder.predict(cines, verbose=0)
    )
