import numpy as np
import pytest

from regreveal.genetics.clusters.cosines import (
    ceilings,
    chance_cosine,
    cosine_similarities,
    denoised_cosines,
    pair_table,
)


def noisy_pairs(cosine, reliabilities, k=24, pairs=1500, seed=0):
    """Vectors of known cosine whose errors have variance 1 in each dimension."""
    rng = np.random.default_rng(seed)
    one = np.zeros(k)
    one[0] = 1
    other = np.zeros(k)
    other[:2] = cosine, np.sqrt(1 - cosine**2)
    lengths = [np.sqrt(k * share / (1 - share)) for share in reliabilities]
    return [
        np.stack([length * true + rng.standard_normal(k) for length, true in zip(
            lengths, (one, other), strict=True
        )])
        for _ in range(pairs)
    ]  # fmt: skip


@pytest.mark.parametrize("cosine", [0.0, 0.6, 0.95])
def test_cosines_without_noise_are_right_on_average_and_within_their_limits(cosine):
    noise = 24 * np.eye(2)
    found = [denoised_cosines(pair, noise) for pair in noisy_pairs(cosine, (0.8, 0.65))]
    estimate, low, high = (np.array([each[i][0, 1] for each in found]) for i in range(3))
    plain = np.mean([cosine_similarities(pair)[0, 1] for pair in noisy_pairs(cosine, (0.8, 0.65))])
    assert abs(estimate.mean() - cosine) < 0.04
    assert plain == pytest.approx(cosine * np.sqrt(0.8 * 0.65), abs=0.02)
    assert 0.93 < np.mean((low <= cosine) & (cosine <= high)) < 0.985


def test_identical_directions_have_the_cosine_that_the_ceiling_says():
    drawn = noisy_pairs(1.0, (0.7, 0.5), k=60)
    plain = np.mean([cosine_similarities(pair)[0, 1] for pair in drawn])
    assert plain == pytest.approx(ceilings(np.array([0.7, 0.5]))[0, 1], abs=0.01)


def test_nothing_is_said_of_what_is_nearly_all_noise():
    vectors = np.array([[5.0, 0, 0], [0.9, 0.1, 0], [5.0, 1, 0]])
    estimate, low, high = denoised_cosines(vectors, np.diag([0.1, 0.9, 0.1]))
    assert np.isnan(estimate[1]).all()
    assert np.isnan([low[0, 1], high[2, 1]]).all()
    assert estimate[0, 2] == pytest.approx(25 / np.sqrt(24.9 * 25.9))


def test_where_noise_leaves_every_cosine_possible_the_limits_say_so():
    vectors = np.array([[1.2, 0.1], [0.3, 1.1]])
    _, low, high = denoised_cosines(vectors, np.diag([1.2, 1.1]))
    assert (low[0, 1], high[0, 1]) == (-1, 1)


def test_noise_in_common_is_taken_out_of_the_inner_product():
    rng = np.random.default_rng(3)
    in_common = rng.standard_normal((2000, 1, 12))
    errors = np.sqrt(0.5) * (in_common + rng.standard_normal((2000, 2, 12)))
    true = np.zeros((2, 12))
    true[0, 0], true[1, 1] = 12, 12
    noise = 12 * np.array([[1, 0.5], [0.5, 1]])
    estimate = [denoised_cosines(true + error, noise)[0][0, 1] for error in errors]
    assert abs(np.mean(estimate)) < 0.01
    assert np.mean([cosine_similarities(true + error)[0, 1] for error in errors]) > 0.03


def test_chance_is_what_random_directions_stay_below():
    assert chance_cosine(2, signed=False) == pytest.approx(np.cos(0.05 * np.pi / 2))
    assert chance_cosine(3, signed=True) == pytest.approx(0.9)
    assert chance_cosine(1, signed=False) == 1
    rng = np.random.default_rng(4)
    directions = rng.standard_normal((20_000, 30))
    cosines = directions[:, 0] / np.linalg.norm(directions, axis=1)
    assert np.mean(abs(cosines) < chance_cosine(30, signed=False)) == pytest.approx(0.95, abs=0.006)
    assert np.mean(cosines < chance_cosine(30, signed=True)) == pytest.approx(0.95, abs=0.006)


def test_pairs_have_a_row_each():
    vectors = np.random.default_rng(5).standard_normal((4, 6)) * 3
    table = pair_table(list("abcd"), vectors, 0.5 * np.eye(4), np.full(4, 0.9))
    assert len(table) == 6
    row = table[(table["variant_id_1"] == "b") & (table["variant_id_2"] == "d")].iloc[0]
    assert row["cosine"] == pytest.approx(cosine_similarities(vectors)[1, 3])
    assert row["ceiling"] == pytest.approx(0.9)
