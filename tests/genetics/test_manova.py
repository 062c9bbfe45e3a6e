import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.multivariate.manova import MANOVA

from regreveal import progress
from regreveal.errors import InputError
from regreveal.genetics.kernel import products
from regreveal.genetics.manova import RESULT_COLUMNS, LatentSpace
from regreveal.genetics.univariate import TraitSpace

CODINGS = ("genotype", "additive")
FREQUENCIES = (0.05, 0.12, 0.3, 0.5, 0.8, 0.95)


def simulate(n=300, k=8, c=3, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    dosages = np.stack([rng.binomial(2, f, n) for f in FREQUENCIES]).astype(np.int8)
    dosages[:, :6] = [0, 0, 1, 1, 2, 2]  # every genotype is seen, so that statsmodels can fit
    dosages[rng.random(dosages.shape) < missing] = -1
    covariates = rng.standard_normal((n, c)) if c else None
    latents = rng.standard_normal((n, k)) + 3
    latents[:, 0] += 0.3 * dosages[2]
    if c:
        latents[:, -1] += covariates[:, 0]
    return latents, covariates, dosages


def design_of(dosage, coding):
    columns = [dosage == 1, dosage == 2] if coding == "genotype" else [dosage]
    return np.column_stack(columns).astype(float)


def statsmodels_pillai(latents, design, covariates):
    constant = np.ones((len(latents), 1))
    exog = np.hstack([design, constant] + ([] if covariates is None else [covariates]))
    contrast = np.eye(design.shape[1], exog.shape[1])
    table = MANOVA(latents, exog).mv_test([("genotype", contrast)]).results["genotype"]["stat"]
    return table.loc["Pillai's trace", ["Value", "F Value", "Num DF", "Den DF"]].astype(float)


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


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("k", "c"), [(2, 3), (8, 40), (128, 13)])
def test_the_exact_test_leaves_out_who_has_no_genotype(k, c, coding):
    latents, covariates, dosages = simulate(n=300 + 2 * k, k=k, c=c, missing=0.05)
    dosages[4][dosages[4] < 0] = 1  # of one variant, all are known
    result = LatentSpace(latents, covariates).test_exact(dosages[2:], coding)
    for row, dosage in zip(result.itertuples(), dosages[2:], strict=True):
        known = dosage >= 0
        expected = statsmodels_pillai(
            latents[known], design_of(dosage[known], coding), covariates[known]
        )
        assert row.pillai == pytest.approx(expected["Value"], rel=1e-10)
        assert (row.df1, row.df2) == (expected["Num DF"], pytest.approx(expected["Den DF"]))
        assert row.n == known.sum()


def test_the_exact_test_takes_fractional_dosages():
    latents, covariates, dosages = simulate(missing=0.05)
    dosages = dosages[2:5]  # of which enough homozygotes are called
    rng = np.random.default_rng(8)
    fractional = np.abs(dosages - rng.uniform(0, 0.3, dosages.shape)).astype(np.float32)
    fractional[dosages < 0] = np.nan
    space = LatentSpace(latents, covariates)
    for coding, designs in (
        ("additive", np.where(dosages < 0, np.nan, fractional)),
        ("genotype", np.where(np.abs(fractional - dosages) <= 0.1, dosages, np.nan)),
    ):
        result = space.test_exact(fractional, coding)
        for row, dosage in zip(result.itertuples(), designs, strict=True):
            known = ~np.isnan(dosage)
            design = design_of(dosage[known], coding)
            expected = statsmodels_pillai(latents[known], design, covariates[known])
            assert row.pillai == pytest.approx(expected["Value"], rel=1e-10)
            assert row.n == known.sum()


@pytest.mark.parametrize("fractional", [False, True])
def test_exact_effects_are_those_of_regression_without_who_has_no_genotype(fractional):
    latents, covariates, dosages = simulate(k=3, missing=0.05)
    dosages[4][dosages[4] < 0] = 1
    values = dosages
    if fractional:
        values = np.where(dosages < 0, np.nan, np.abs(dosages - 0.25)).astype(np.float32)
    effects = LatentSpace(latents, covariates).effects_exact(values)
    for row, dosage in enumerate(values):
        known = dosage >= 0
        exog = np.column_stack([dosage, np.ones(300), covariates])[known]
        for trait in range(3):
            fit = sm.OLS(latents[known, trait], exog).fit()
            assert effects.beta[row, trait] == pytest.approx(fit.params[0], rel=1e-9)
            assert effects.standard_error[row, trait] == pytest.approx(fit.bse[0], rel=1e-9)
            p = -np.log10(fit.pvalues[0])
            assert effects.neg_log10_p[row, trait] == pytest.approx(p, rel=1e-8)


def test_the_exact_test_keeps_to_its_threads_and_shows_how_far_it_is(monkeypatch, capsys):
    latents, covariates, dosages = simulate(missing=0.05)
    space = LatentSpace(latents, covariates, threads=1)
    monkeypatch.setattr(products, "available_cores", lambda: pytest.fail("took all cores"))
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", 0)
    space.test_exact(dosages)
    assert "Testing without missing genotypes: 6/6" in capsys.readouterr().err
    space.effects_exact(dosages)
    assert "Estimating without missing genotypes: 6/6" in capsys.readouterr().err


@pytest.mark.parametrize("coding", CODINGS)
def test_where_too_few_have_a_genotype_nothing_is_tested_exactly(coding):
    latents, covariates, dosages = simulate()
    dosages[1, 12:] = -1
    space = LatentSpace(latents, covariates)
    table = space.test_exact(dosages, coding, criteria=("wilks",))
    assert table["neg_log10_p"].isna().tolist() == [False, True, False, False, False, False]
    assert table.loc[1, "pillai":].isna().all()
    assert table.loc[1, "n"] == 12
    effects = space.effects_exact(dosages)
    assert np.isnan(effects.beta[1]).all()
    assert np.isfinite(effects.beta[[0, 2]]).all()


def test_poorly_imputed_variants_are_tested_unless_they_are_the_same_in_everyone():
    latents, covariates, _ = simulate()
    rng = np.random.default_rng(9)
    dosages = np.stack([rng.uniform(0, 0.4, 300), np.full(300, 0.3), np.full(300, 1.3)])
    result = LatentSpace(latents, covariates).test(dosages, "additive")
    expected = statsmodels_pillai(latents, dosages[:1].T, covariates)
    assert result["pillai"][0] == pytest.approx(expected["Value"], rel=1e-10)
    assert result["pillai"][1:].isna().all()


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_two_genotype_groups_are_tested_with_one_degree_of_rank(absent):
    latents, covariates, _ = simulate()
    present = [value for value in (0, 1, 2) if value != absent]
    dosage = np.random.default_rng(1).choice(present, len(latents), p=[0.8, 0.2]).astype(np.int8)
    row = LatentSpace(latents, covariates).test(dosage[None], "genotype").iloc[0]
    group = (dosage == present[1]).astype(float)[:, None]
    expected = statsmodels_pillai(latents, group, covariates)
    assert row["pillai"] == pytest.approx(expected["Value"], rel=1e-10)
    assert row["f"] == pytest.approx(expected["F Value"], rel=1e-9)
    assert (row["df1"], row["df2"]) == (expected["Num DF"], pytest.approx(expected["Den DF"]))


def test_an_indicator_that_a_covariate_explains_is_not_tested_twice():
    latents, _, dosages = simulate(c=0)
    covariates = np.column_stack([dosages[3] == 2, np.arange(300.0)])
    row = LatentSpace(latents, covariates).test(dosages[3:4], "genotype").iloc[0]
    expected = statsmodels_pillai(latents, (dosages[3] == 1)[:, None].astype(float), covariates)
    assert row["pillai"] == pytest.approx(expected["Value"], rel=1e-9)
    assert row["df1"] == latents.shape[1]


def left_of(block, nuisance):
    basis = np.linalg.qr(nuisance)[0]
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
    return block


# What covariates are besides noise, of which they have less and less.
EXPLAINING = {
    "each group": lambda d: [d == 1, d == 2],
    "heterozygotes": lambda d: [d == 1],
    "dosage": lambda d: [d],
    "dosage and its square": lambda d: [d, d**2],
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("explaining", list(EXPLAINING))
@pytest.mark.parametrize("share", [1, 0.1, 0.01, 1e-3, 1e-4])
def test_what_covariates_nearly_explain_is_tested_in_full(share, explaining, coding):
    rng = np.random.default_rng(12)
    n, k = 2000, 8
    dosage = rng.binomial(2, 0.3, n).astype(np.int8)
    columns = np.column_stack(EXPLAINING[explaining](dosage)).astype(float)
    covariates = columns + share * rng.standard_normal(columns.shape)
    latents = rng.standard_normal((n, k))
    nuisance = np.column_stack([np.ones(n), covariates])
    design = left_of(design_of(dosage, coding), nuisance)
    design, of_latents = (
        np.linalg.svd(each, full_matrices=False)[0]
        for each in (design / np.linalg.norm(design, axis=0), left_of(latents, nuisance))
    )
    expected = (np.linalg.svd(design.T @ of_latents)[1] ** 2).sum()
    tables = {}
    for dtype in ("float64", "float32"):
        for dosages in (dosage[None], dosage[None].astype(np.float32)):
            table = LatentSpace(latents, covariates, dtype).test(dosages, coding)
            assert table["df1"][0] == k * design.shape[1]
            # Sums of squares of what is left are right to 1e-16 of the whole, 1e-16 / share².
            tolerance = max(1e-10, 1e-15 / share**2)
            if dtype == "float64":
                assert table["pillai"][0] == pytest.approx(expected, rel=tolerance)
            tables[dtype] = table["neg_log10_p"][0]
    assert tables["float32"] == pytest.approx(tables["float64"], rel=1e-3)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_less_than_a_millionth_of_an_indicator_is_rounding(dtype):
    rng = np.random.default_rng(13)
    dosage = rng.binomial(2, 0.3, 2000).astype(np.int8)
    latents = rng.standard_normal((2000, 4))
    for share, df1 in ((1e-5, 8), (1e-7, 4)):
        covariates = ((dosage == 1) + share * rng.standard_normal(2000))[:, None]
        table = LatentSpace(latents, covariates, dtype).test(dosage[None])
        assert table["df1"][0] == df1


@pytest.mark.parametrize("space_class", [LatentSpace, TraitSpace])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_effects_of_a_dosage_that_covariates_explain_are_missing(dtype, space_class):
    rng = np.random.default_rng(14)
    n = 20_000
    dosages = rng.binomial(2, [[0.3], [0.001], [0.2]], (3, n)).astype(np.int8)
    latents = rng.standard_normal((n, 3))
    covariates = dosages[:2].T + 0.0
    covariates[:, 1] += 1e-8 * rng.standard_normal(n)
    space = space_class(latents, covariates, dtype)
    for block in (dosages, dosages.astype(np.float32)):
        for coding in CODINGS:
            effects = space.effects(space.project(block, coding))
            for values in effects:
                assert np.isnan(values[:2]).all()
                assert np.isfinite(values[2]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_effects_beside_a_covariate_that_is_nearly_the_dosage_are_those_of_regression(dtype):
    rng = np.random.default_rng(15)
    dosage = rng.binomial(2, 0.3, 1000).astype(np.int8)
    latents = rng.standard_normal((1000, 2))
    covariate = dosage + 1e-3 * rng.standard_normal(1000)
    space = LatentSpace(latents, covariate[:, None], dtype)
    rest = left_of(np.column_stack([dosage, latents]), np.column_stack([np.ones(1000), covariate]))
    expected = rest[:, 0] @ rest[:, 1:] / (rest[:, 0] @ rest[:, 0])
    for coding in CODINGS:
        beta = space.effects(space.project(dosage[None], coding)).beta[0]
        np.testing.assert_allclose(beta, expected, rtol=1e-8)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("value", [0, 1, 2, -1])
def test_a_variant_without_variation_has_no_p_value(value, coding):
    latents, covariates, _ = simulate()
    dosages = np.full((1, 300), value, np.int8)
    row = LatentSpace(latents, covariates).test(dosages, coding).iloc[0]
    assert row[["pillai", "f", "df1", "df2", "neg_log10_p"]].isna().all()
    assert row["n"] == (0 if value < 0 else 300)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_covariate_that_is_the_variant_leaves_nothing_to_test(coding):
    latents, _, dosages = simulate(c=0)
    binary = np.where(dosages[3] > 0, 1, 0).astype(np.int8)
    row = LatentSpace(latents, binary[:, None].astype(float)).test(binary[None], coding).iloc[0]
    assert np.isnan(row["neg_log10_p"])


def test_small_groups_are_tested_together_with_the_other_carriers():
    latents, covariates, _ = simulate()
    dosage = np.zeros(300, np.int8)
    dosage[:40], dosage[:4] = 1, 2
    space = LatentSpace(latents, covariates)
    carriers = space.test((dosage > 0).astype(np.int8)[None], "genotype").iloc[0]
    pooled = space.test(dosage[None], "genotype", minimum_count=5).iloc[0]
    np.testing.assert_allclose(pooled["pillai"], carriers["pillai"], rtol=1e-12)
    assert pooled["df1"] == carriers["df1"] == 8
    assert list(pooled[["n_ref", "n_het", "n_hom"]]) == [260, 36, 4]
    assert space.test(dosage[None], "genotype", minimum_count=4).iloc[0]["df1"] == 16
    for coding in CODINGS:
        assert space.test(dosage[None], coding, 41)["pillai"].isna().all()
        assert space.test(dosage[None], coding, 40)["pillai"].notna().all()


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
