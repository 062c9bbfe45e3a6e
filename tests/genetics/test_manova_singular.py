"""What can be tested where groups are empty or small, and covariates explain the genotype."""

import numpy as np
import pytest

from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.univariate import TraitSpace
from tests.genetics.manova_oracle import CODINGS, design_of, simulate, statsmodels_pillai


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
