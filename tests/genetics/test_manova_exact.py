"""The exact test: those without a genotype left out, variant by variant."""

import numpy as np
import pytest
import statsmodels.api as sm

from regreveal import progress
from regreveal.genetics.kernel import products
from regreveal.genetics.manova import LatentSpace
from tests.genetics.manova_oracle import CODINGS, design_of, simulate, statsmodels_pillai


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
