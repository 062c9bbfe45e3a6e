"""The latent GWAS of variants: beside statsmodels, under what should change nothing; refusals."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.manova import RESULT_COLUMNS, LatentSpace
from regreveal.genetics.univariate import TraitSpace
from tests.genetics.manova_oracle import CODINGS, design_of, simulate, statsmodels_pillai


def canonical_pillai(latents, design, covariates):
    """Sum of squared canonical correlations: Pillai's trace by its other definition."""
    n = len(latents)
    nuisance = np.hstack([np.ones((n, 1))] + ([] if covariates is None else [covariates]))
    left = [block - nuisance @ np.linalg.lstsq(nuisance, block)[0] for block in (latents, design)]
    bases = [np.linalg.svd(block, full_matrices=False) for block in left]
    u, g = (b[0][:, b[1] > 1e-9 * b[1][0]] for b in bases)
    return (u.T @ g).ravel() @ (u.T @ g).ravel()


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("k", "c"), [(2, 0), (2, 13), (7, 3), (7, 40), (32, 0), (32, 13), (128, 40), (256, 13)]
)
def test_statistics_are_those_of_statsmodels(k, c, coding):
    latents, covariates, dosages = simulate(n=300 + 2 * k, k=k, c=c)
    dosages = dosages if k <= 32 else dosages[1:4]
    result = LatentSpace(latents, covariates).test(dosages, coding)
    assert list(result.columns) == RESULT_COLUMNS
    for row, dosage in zip(result.itertuples(), dosages, strict=True):
        expected = statsmodels_pillai(latents, design_of(dosage, coding), covariates)
        assert row.pillai == pytest.approx(expected["Value"], rel=1e-10)
        assert row.f == pytest.approx(expected["F Value"], rel=1e-9)
        assert (row.df1, row.df2) == (expected["Num DF"], pytest.approx(expected["Den DF"]))
        survival = stats.f.sf(expected["F Value"], expected["Num DF"], expected["Den DF"])
        assert row.neg_log10_p == pytest.approx(-np.log10(survival), rel=1e-8)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("c", [0, 40])
def test_one_dimension_is_the_ordinary_f_test(c, coding):
    latents, covariates, dosages = simulate(k=1, c=c)
    result = LatentSpace(latents, covariates).test(dosages, coding)
    nuisance = sm.add_constant(covariates) if c else np.ones((len(latents), 1))
    for row, dosage in zip(result.itertuples(), dosages, strict=True):
        design = design_of(dosage, coding)
        full = sm.OLS(latents[:, 0], np.hstack([nuisance, design])).fit()
        f, p, df1 = full.compare_f_test(sm.OLS(latents[:, 0], nuisance).fit())
        assert row.f == pytest.approx(f, rel=1e-9)
        assert (row.df1, row.df2) == (df1, full.df_resid)
        assert row.neg_log10_p == pytest.approx(-np.log10(p), rel=1e-8)


@pytest.mark.parametrize("coding", CODINGS)
def test_missing_genotypes_take_the_mean_of_the_design(coding):
    latents, covariates, dosages = simulate(missing=0.05)
    result = LatentSpace(latents, covariates).test(dosages, coding)
    for row, dosage in zip(result.itertuples(), dosages, strict=True):
        known = dosage >= 0
        design = design_of(dosage, coding)
        design[~known] = design[known].mean(axis=0)
        expected = statsmodels_pillai(latents, design, covariates)
        assert row.pillai == pytest.approx(expected["Value"], rel=1e-10)
        assert row.f == pytest.approx(expected["F Value"], rel=1e-9)
        counts = [(dosage == value).sum() for value in (0, 1, 2)]
        assert [row.n, row.n_ref, row.n_het, row.n_hom] == [known.sum(), *counts]
        assert row.alt_frequency == pytest.approx(dosage[known].mean() / 2)


def test_poorly_imputed_variants_are_tested_unless_they_are_the_same_in_everyone():
    latents, covariates, _ = simulate()
    rng = np.random.default_rng(9)
    dosages = np.stack([rng.uniform(0, 0.4, 300), np.full(300, 0.3), np.full(300, 1.3)])
    result = LatentSpace(latents, covariates).test(dosages, "additive")
    expected = statsmodels_pillai(latents, dosages[:1].T, covariates)
    assert result["pillai"][0] == pytest.approx(expected["Value"], rel=1e-10)
    assert result["pillai"][1:].isna().all()


@pytest.mark.parametrize("missing", [0.0, 0.04])
def test_swapping_alleles_swaps_counts_and_nothing_else(missing):
    latents, covariates, dosages = simulate(missing=missing)
    swapped = np.where(dosages < 0, -1, 2 - dosages)
    space = LatentSpace(latents, covariates)
    for coding in CODINGS:
        one, other = space.test(dosages, coding), space.test(swapped, coding)
        np.testing.assert_allclose(one["pillai"], other["pillai"], rtol=1e-10)
        np.testing.assert_array_equal(one["n_hom"], other["n_ref"])
        np.testing.assert_allclose(one["alt_frequency"], 1 - other["alt_frequency"])
        effects = [space.effects(space.project(block, coding)) for block in (dosages, swapped)]
        np.testing.assert_allclose(effects[0].beta, -effects[1].beta, atol=1e-12)


def test_the_order_of_participants_does_not_matter():
    latents, covariates, dosages = simulate(missing=0.03)
    order = np.random.default_rng(5).permutation(300)
    for coding in CODINGS:
        one = LatentSpace(latents, covariates).test(dosages, coding)
        other = LatentSpace(latents[order], covariates[order]).test(dosages[:, order], coding)
        np.testing.assert_allclose(one["pillai"], other["pillai"], rtol=1e-11)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), scale=st.floats(1e-3, 1e3))
def test_no_affine_transform_of_the_latents_changes_the_trace(seed, k, scale):
    latents, covariates, dosages = simulate(k=k, missing=0.02, seed=3)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((k, k)))[0]
    mixing = rotation * rng.uniform(0.1, 10, k) * scale
    moved = latents @ mixing + rng.uniform(-10, 10, k) * scale
    for coding in CODINGS:
        one = LatentSpace(latents, covariates).test(dosages, coding)["pillai"]
        other = LatentSpace(moved, covariates).test(dosages, coding)["pillai"]
        np.testing.assert_allclose(one, other, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 6), c=st.integers(0, 4))
def test_the_trace_is_the_sum_of_squared_canonical_correlations(seed, k, c):
    rng = np.random.default_rng(seed)
    latents = rng.standard_t(3, (60, k))
    covariates = rng.exponential(size=(60, c)) if c else None
    dosages = rng.integers(0, 3, (4, 60)).astype(np.int8) * rng.integers(0, 2, (4, 1))
    for coding in CODINGS:
        result = LatentSpace(latents, covariates).test(dosages, coding)
        for trace, dosage in zip(result["pillai"], dosages, strict=True):
            if dosage.any():
                expected = canonical_pillai(latents, design_of(dosage, coding), covariates)
                assert trace == pytest.approx(expected, rel=1e-8)
            else:
                assert np.isnan(trace)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("condition", [1, 1000])
def test_single_precision_changes_the_p_values_little(condition, coding):
    rng = np.random.default_rng(2)
    n, k = 20_000, 8
    frequencies = np.r_[0.0001, 0.0005, 0.01, 0.3, 0.4, 0.5, 0.99, 0.9995, 0.9999]
    dosages = np.stack([rng.binomial(2, f, n) for f in frequencies]).astype(np.int8)
    rotation = np.linalg.qr(rng.standard_normal((k, k)))[0]
    latents = rng.standard_normal((n, k))
    latents[:, 1] += 0.8 * dosages[3]
    latents[:, 2] += 10 * dosages[4]
    latents = latents @ (np.geomspace(1, 1 / condition, k)[:, None] * rotation)
    covariates = rng.standard_normal((n, 3))
    double, single = (
        LatentSpace(latents, covariates, dtype).test(dosages, coding)["neg_log10_p"].to_numpy()
        for dtype in ("float64", "float32")
    )
    assert double[3] > 300
    assert double[4] > 4000
    signal = np.isin(np.arange(len(frequencies)), (3, 4))
    np.testing.assert_allclose(single[signal], double[signal], rtol=1e-3)
    np.testing.assert_allclose(single[~signal], double[~signal], rtol=0, atol=1e-3)


@pytest.mark.parametrize("coding", CODINGS)
def test_null_p_values_are_uniform(coding):
    rng = np.random.default_rng(11)
    n, k = 1000, 10
    covariates = rng.standard_normal((n, 3))
    frequencies = rng.uniform(0.1, 0.5, 20_000)
    dosages = rng.binomial(2, frequencies[:, None], (20_000, n)).astype(np.int8)
    latents = rng.standard_normal((n, k)) + covariates @ rng.standard_normal((3, k))
    p = 10 ** -LatentSpace(latents, covariates).test(dosages, coding)["neg_log10_p"].to_numpy()
    assert stats.kstest(p, "uniform").pvalue > 0.01
    # 20 are expected below 1e-3; 8 and 35 are outside 99 % of Poisson's distribution.
    assert 8 < (p < 1e-3).sum() < 35


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("space_class", [LatentSpace, TraitSpace])
def test_effects_are_those_of_linear_regression(space_class, coding):
    latents, covariates, dosages = simulate(k=3, missing=0.04)
    space = space_class(latents, covariates)
    effects = space.effects(space.project(dosages, coding))
    for row, dosage in enumerate(dosages):
        dosage = np.where(dosage < 0, dosage[dosage >= 0].mean(), dosage)
        exog = np.column_stack([dosage, np.ones(300), covariates])
        for trait in range(3):
            fit = sm.OLS(latents[:, trait], exog).fit()
            assert effects.beta[row, trait] == pytest.approx(fit.params[0], rel=1e-9)
            assert effects.standard_error[row, trait] == pytest.approx(fit.bse[0], rel=1e-9)
            p = -np.log10(fit.pvalues[0])
            assert effects.neg_log10_p[row, trait] == pytest.approx(p, rel=1e-8)


def test_traits_may_be_combinations_of_one_another():
    latents, covariates, dosages = simulate(k=2)
    traits = np.column_stack([latents, latents.sum(axis=1)])
    space = TraitSpace(traits, covariates)
    beta = space.effects(space.project(dosages)).beta
    np.testing.assert_allclose(beta[:, 2], beta[:, 0] + beta[:, 1])


def with_value(values, row, column, value):
    values = values.copy()
    values[row, column] = value
    return values


LATENTS, COVARIATES, DOSAGES = simulate()
NAMED = pd.DataFrame(COVARIATES, columns=["age", "bmi", "height"])


@pytest.mark.parametrize(
    ("latents", "covariates", "message"),
    [
        (with_value(LATENTS, 4, 2, np.nan), None, "'latent_2' is not finite for 1 of 300"),
        (with_value(LATENTS, 4, 2, np.inf), None, "'latent_2' is not finite"),
        (with_value(LATENTS, slice(None), 5, 7.5), None, "'latent_5' is constant"),
        (np.hstack([LATENTS, LATENTS[:, :1] * 2]), None, "'latent_8' is a linear combination"),
        (np.hstack([LATENTS, COVARIATES[:, :1]]), COVARIATES, "combination of the covariates"),
        (LATENTS, NAMED.assign(months=NAMED["age"] * 12), "'months' is constant or a linear"),
        (LATENTS, NAMED.assign(one=1.0), "'one' is constant"),
        (LATENTS, NAMED.assign(bad=np.nan), "'bad' is not finite"),
        (LATENTS, NAMED.iloc[:-1], "299 rows for 300 participants"),
        (LATENTS[:12], COVARIATES[:12], "12 participants are too few for 8 dimensions"),
        (LATENTS[:, 0], None, "expected .participants, columns."),
    ],
)
def test_unusable_latents_and_covariates_are_named(latents, covariates, message):
    with pytest.raises(InputError, match=message) as error:
        LatentSpace(latents, covariates)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dosages", "coding", "message"),
    [
        (DOSAGES, "dominant", "coding 'dominant': expected genotype or additive"),
        (DOSAGES[:, 1:], "additive", "299 participants, but the latents have 300"),
        (DOSAGES + 0.25, "additive", "values from 0.25 to 2.25"),
        (DOSAGES + 1, "additive", "values from 1 to 3"),
        (DOSAGES[0], "additive", "expected .variants, participants."),
    ],
)
def test_unusable_dosages_are_refused(dosages, coding, message):
    with pytest.raises(InputError, match=message):
        LatentSpace(LATENTS).test(dosages, coding)


def test_floating_dosages_may_have_nan_where_missing():
    space = LatentSpace(LATENTS)
    _, _, dosages = simulate(missing=0.1)
    floating = np.where(dosages < 0, np.nan, dosages)
    pd.testing.assert_frame_equal(space.test(floating), space.test(dosages))
