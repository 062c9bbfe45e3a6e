import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.minp import (
    MinimumP,
    corrected,
    effective_dimensions,
    effective_number,
    minimum_p,
    overlap,
    permutation_neg_log10_p,
)
from regreveal.genetics.univariate import Effects


def draw_dosages(generator, variants, n):
    return generator.binomial(2, generator.uniform(0.1, 0.5, (variants, 1)), (variants, n)).astype(
        np.int8
    )


def minp_table(minp, space, dosages):
    return minp.table(space.effects(space.project(dosages, "additive")))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12))
def test_effective_dimensions_are_those_of_the_eigenvalues(seed, k):
    values = np.random.default_rng(seed).standard_normal((30, k))
    correlation = np.corrcoef(values, rowvar=False).reshape(k, k)
    eigenvalues = np.linalg.eigvalsh(correlation)
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert effective_dimensions(correlation) == pytest.approx(expected, rel=1e-9)


def test_effective_dimensions_of_equal_and_of_unrelated_dimensions():
    assert effective_dimensions(np.ones((7, 7))) == pytest.approx(1)
    assert effective_dimensions(np.eye(7)) == pytest.approx(7)


def test_correlation_is_that_of_the_residuals_in_the_latents_own_dimensions():
    rng = np.random.default_rng(0)
    covariates = rng.standard_normal((200, 2))
    latents = rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5)) + covariates[:, :1] * 9
    design = np.column_stack([np.ones(200), covariates])
    residual = latents - design @ np.linalg.lstsq(design, latents)[0]
    found = LatentSpace(latents, covariates).correlation
    np.testing.assert_allclose(found, np.corrcoef(residual, rowvar=False), atol=1e-12)


@pytest.mark.parametrize("neg_log10_p", [0.0, 1e-12, 1e-3, 0.3, 2, 15, 40, 259, 262, 5000])
@pytest.mark.parametrize("number", [1, 3.7, 256])
def test_the_correction_holds_for_p_of_any_size(neg_log10_p, number):
    with mpmath.workdps(300 + int(2 * neg_log10_p)):
        p = mpmath.power(10, -mpmath.mpf(neg_log10_p))
        expected = float(-mpmath.log10(1 - (1 - p) ** mpmath.mpf(number)))
    assert corrected(neg_log10_p, number) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_the_smallest_p_names_its_dimension_and_skips_what_was_not_tested():
    values = np.array([[1.0, 3.0, 2.0], [np.nan, 0.0, 0.5], [np.nan] * 3, [0.0, 0.0, 0.0]])
    dimension, largest = minimum_p(values)
    assert dimension.tolist() == [1, 2, -1, 0]
    np.testing.assert_array_equal(largest, [3.0, 0.5, np.nan, 0.0])


def test_the_table_has_one_row_a_variant():
    rng = np.random.default_rng(1)
    dosages = draw_dosages(rng, 4, 500)
    dosages[2] = 1
    latents = pd.DataFrame(rng.standard_normal((500, 3)), columns=["a", "b", "c"])
    latents["b"] += 0.5 * dosages[0]
    space = LatentSpace(latents)
    minp = MinimumP(space, 200, dosages_for_null=dosages)
    table = minp_table(minp, space, dosages)
    assert list(table.columns) == minp.columns
    assert table.loc[0, "min_p_dimension"] == "b"
    assert table.loc[2].isna().all()
    assert table["minp_permutation_neg_log10_p"].max() == pytest.approx(np.log10(201))
    assert (table["minp_neg_log10_p"].dropna() <= table["min_neg_log10_p"].dropna()).all()
    by_formula = MinimumP(space)
    assert list(minp_table(by_formula, space, dosages).columns) == by_formula.columns
    assert "minp_permutation_neg_log10_p" not in by_formula.columns


def test_permutation_p_values_count_null_draws_as_extreme():
    null = np.array([0.1, 0.5, 0.5, 2.0])
    found = permutation_neg_log10_p(np.array([0.05, 0.5, 0.6, 3.0, np.nan]), null)
    np.testing.assert_allclose(
        found, [0, -np.log10(4 / 5), -np.log10(2 / 5), -np.log10(1 / 5), np.nan]
    )


def test_unrelated_dimensions_give_uniform_p_values_by_formula():
    rng = np.random.default_rng(3)
    space = LatentSpace(rng.standard_normal((1500, 6)), rng.standard_normal((1500, 2)))
    table = minp_table(MinimumP(space), space, draw_dosages(rng, 4000, 1500))
    assert stats.kstest(10 ** -table["minp_neg_log10_p"], "uniform").pvalue > 0.01


def test_correlated_dimensions_give_uniform_p_values_by_permutation_only():
    rng = np.random.default_rng(4)
    latents = rng.standard_normal((600, 20)) + 1.2 * rng.standard_normal((600, 1))
    space = LatentSpace(latents)
    minp = MinimumP(space, 4000, seed=1, dosages_for_null=draw_dosages(rng, 200, 600))
    table = minp_table(minp, space, draw_dosages(rng, 2000, 600))
    by_permutation = 10 ** -table["minp_permutation_neg_log10_p"]
    assert stats.kstest(by_permutation, "uniform").pvalue > 0.01
    assert stats.kstest(10 ** -table["minp_neg_log10_p"], "uniform").pvalue < 1e-6
    assert minp.effective_dimensions < 3 < 6 < minp.effective_by_permutation[0.05] < 20


def test_the_effective_number_of_independent_tests_is_their_number():
    null = stats.beta(1, 40).rvs(200_000, random_state=5)  # smallest of 40 uniforms
    assert effective_number(-np.log10(null), 0.05) == pytest.approx(40, rel=0.03)
    assert effective_number(-np.log10(null), 0.001) == pytest.approx(40, rel=0.2)


def test_permutations_are_those_of_the_seed():
    rng = np.random.default_rng(6)
    space, dosages = LatentSpace(rng.standard_normal((200, 4))), draw_dosages(rng, 9, 200)
    one, same, other = (MinimumP(space, 50, seed, dosages).null for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert len(one) == 50
    assert (np.diff(one) >= 0).all()


@pytest.mark.parametrize("dosages", [None, np.zeros((0, 200), np.int8), np.ones((3, 200), np.int8)])
def test_permutations_without_variants_that_vary_are_refused(dosages):
    space = LatentSpace(np.random.default_rng(7).standard_normal((200, 4)))
    with pytest.raises(InputError, match="minimum p: ") as error:
        MinimumP(space, 10, dosages_for_null=dosages)
    assert "\n" not in str(error.value)


def hits(*places):
    return pd.DataFrame(places, columns=["chromosome", "position"]).assign(ref="A", alt="G")


def test_overlap_counts_variants_and_loci():
    joint = hits(("1", 1_000_000), ("1", 1_100_000), ("1", 5_000_000), ("2", 5_000_000))
    minp = hits(("1", 1_000_000), ("1", 1_300_000), ("10", 5_000_000), ("X", 1))
    table = overlap(joint, minp)
    assert table.loc["variants"].to_dict() == {"joint_only": 3, "minp_only": 3, "both": 1}
    assert table.loc["loci"].to_dict() == {"joint_only": 2, "minp_only": 2, "both": 1}
    # 250 kb apart are two loci.
    apart = overlap(hits(("1", 1)), hits(("1", 250_001)))
    assert apart.loc["loci"].to_dict() == {"joint_only": 1, "minp_only": 1, "both": 0}
    assert (overlap(hits(), hits()).to_numpy() == 0).all()


def test_missing_effects_stay_missing():
    space = LatentSpace(np.random.default_rng(8).standard_normal((50, 2)))
    nothing = np.full((3, 2), np.nan)
    table = MinimumP(space).table(Effects(nothing, nothing, nothing))
    assert table.isna().all(axis=None)
