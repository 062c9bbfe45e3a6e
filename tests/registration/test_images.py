import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regreveal.registration.images import BLANK, NOT_FINITE, correlation, spread, unusable_reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda image: image, ""),
        (lambda image: np.zeros_like(image), BLANK),
        (lambda image: np.full_like(image, -3), BLANK),
        (lambda image: np.where(image == image.max(), np.nan, image), NOT_FINITE),
        (lambda image: np.where(image == image.max(), -np.inf, image), NOT_FINITE),
    ],
)
def test_blank_images_and_values_that_are_not_finite_are_told(spoil, reason):
    image = np.random.default_rng(0).normal(size=(6, 5, 4, 1)).astype(np.float32)
    assert unusable_reason(spoil(image)) == reason


def test_correlation_is_pearsons():
    one, other = np.random.default_rng(0).normal(size=(2, 7, 8))
    expected = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert correlation(one, other) == pytest.approx(expected, abs=1e-12)


def test_correlation_sees_only_the_mask():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 7, 8))
    mask = rng.random((7, 8)) < 0.5
    expected = np.corrcoef(one[mask], other[mask])[0, 1]
    assert correlation(one, other, mask) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 100), st.floats(-100, 100), st.integers(0, 9))
def test_correlation_does_not_change_with_exposure(gain, offset, seed):
    one, other = np.random.default_rng(seed).normal(size=(2, 7, 8))
    assert correlation(one, gain * other + offset) == pytest.approx(correlation(one, other))


def test_correlation_of_a_flat_image_or_an_empty_mask_is_0():
    image = np.random.default_rng(0).normal(size=(7, 8))
    assert correlation(image, np.ones_like(image)) == 0
    assert correlation(image, image, np.zeros((7, 8), bool)) == 0


def test_rows_are_spread_over_all_and_none_is_given_twice():
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert spread(1, 3).tolist() == [0]
