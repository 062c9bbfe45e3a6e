import numpy as np
import pytest

from regreveal.directions.direction import find_direction
from regreveal.directions.walk import decode_walk

STEPS = np.arange(-3, 4)


@pytest.fixture(scope="module")
def direction():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((200, 3)) * [1, 2, 4]
    return find_direction(latents, latents[:, 0] + latents[:, 1] + rng.standard_normal(200))


def network(function):
    """Make a network of any function of its inputs."""
    return lambda inputs, training: function(inputs)


def walk(direction, encode):
    """Decode latents as they are, and encode by a function."""
    return decode_walk(direction, STEPS, network(encode), network(lambda latents: latents))


def test_what_is_decoded_are_the_steps_in_their_order(direction):
    found = walk(direction, lambda tensors: tensors)
    np.testing.assert_allclose(found.tensors, direction.walk(STEPS), rtol=1e-5)
    assert found.cycle_slope == pytest.approx(1, abs=1e-5)
    assert found.purity == pytest.approx(1, abs=1e-5)


def test_half_of_what_was_asked_for_is_a_slope_of_one_half(direction):
    half = direction.mean + 5
    found = walk(direction, lambda tensors: half + (tensors - direction.mean) / 2)
    assert found.cycle_slope == pytest.approx(0.5, abs=1e-5)
    assert found.cycle_correlation == pytest.approx(1, abs=1e-5)
    assert found.purity == pytest.approx(1, abs=1e-5)


def test_purity_falls_where_other_latents_come_back_changed(direction):
    # A way as long again, in the people's own spread, at right angles to the direction.
    factor = np.linalg.cholesky(direction.covariance)
    along, across = np.linalg.solve(factor, np.stack([direction.pattern, [0, 0, 1]]).T).T
    across -= along * (along @ across) / (along @ along)
    aside = factor @ across * np.linalg.norm(along) / np.linalg.norm(across)
    found = walk(direction, lambda tensors: tensors + direction.score(tensors)[:, None] * aside)
    assert found.purity == pytest.approx(np.sqrt(0.5), abs=1e-4)


def test_scores_that_come_back_at_random_do_not_correlate(direction):
    rng = np.random.default_rng(1)
    found = walk(direction, lambda tensors: rng.standard_normal(tensors.shape))
    assert abs(found.cycle_correlation) < 0.8
    same = walk(direction, lambda tensors: np.zeros_like(tensors))
    assert (same.cycle_slope, same.cycle_correlation, same.purity) == pytest.approx((0, 0, 0))
