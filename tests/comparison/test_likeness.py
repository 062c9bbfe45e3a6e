import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from regreveal.comparison.likeness import canonical_correlations, linear_cka


def rotation(k, rng):
    return np.linalg.qr(rng.standard_normal((k, k)))[0]


def test_a_space_is_like_itself_however_it_is_turned():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((300, 5)) * [5, 3, 2, 1, 1]
    turned = 7 * latents @ rotation(5, rng) + 3
    assert linear_cka(latents, turned) == pytest.approx(1)
    mixed = latents @ rng.standard_normal((5, 5))
    np.testing.assert_allclose(canonical_correlations(latents, mixed), 1)
    assert linear_cka(latents, mixed) < 0.99


def test_cka_is_that_of_the_gram_matrices():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((80, 4)), rng.standard_normal((80, 6))
    y[:, :2] += x[:, :2]
    centre = np.eye(80) - 1 / 80
    k, m = (centre @ z @ z.T @ centre for z in (x, y))
    expected = np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))
    assert linear_cka(x, y) == pytest.approx(expected)


def test_canonical_correlations_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((200, 3)), rng.standard_normal((200, 4))
    y[:, 0] += 2 * x[:, 1]
    first, second = CCA(3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(first[:, i], second[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(canonical_correlations(x, y), expected, atol=1e-6)


def test_directions_that_do_not_vary_are_left_out():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((50, 3))
    x[:, 2] = 4.0
    assert len(canonical_correlations(x, x)) == 2
    assert np.isnan(linear_cka(np.ones((50, 2)), x))
