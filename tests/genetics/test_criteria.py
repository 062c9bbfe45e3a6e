import mpmath
import numpy as np
import pytest
from statsmodels.multivariate.manova import MANOVA

from regreveal.errors import InputError
from regreveal.genetics.criteria import CRITERIA, criterion_columns, squared_correlations
from regreveal.genetics.manova import RESULT_COLUMNS, LatentSpace

CODINGS = ("genotype", "additive")
STATSMODELS_NAMES = {
    "wilks": "Wilks' lambda",
    "hotelling-lawley": "Hotelling-Lawley trace",
    "roy": "Roy's greatest root",
}


def simulate(n=300, k=8, c=3, effect=0.4, seed=0):
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, [[0.15], [0.4], [0.8]], (3, n)).astype(np.int8)
    dosages[:, :6] = [0, 0, 1, 1, 2, 2]
    covariates = rng.standard_normal((n, c)) if c else None
    latents = rng.standard_normal((n, k)) + effect * dosages[0, :, None]
    latents[:, 0] += dosages[1] == 1
    if c:
        latents[:, -1] += covariates[:, 0]
    return latents, covariates, dosages


def statsmodels_table(latents, dosage, covariates, coding):
    columns = [dosage == 1, dosage == 2] if coding == "genotype" else [dosage]
    design = np.column_stack(columns).astype(float)
    constant = np.ones((len(latents), 1))
    exog = np.hstack([design, constant] + ([] if covariates is None else [covariates]))
    contrast = np.eye(design.shape[1], exog.shape[1])
    return MANOVA(latents, exog).mv_test([("genotype", contrast)]).results["genotype"]["stat"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("c", [0, 4])
@pytest.mark.parametrize("k", [2, 3, 24])
def test_all_criteria_are_those_of_statsmodels(k, c, coding):
    latents, covariates, dosages = simulate(k=k, c=c)
    space = LatentSpace(latents, covariates)
    table = space.test(dosages, coding, criteria=tuple(CRITERIA))
    projections = space.project(dosages, coding)
    correlations = squared_correlations(projections.phenotypes, projections.gram())
    rank = np.full(len(dosages), 2 if coding == "genotype" else 1)
    for name, criterion in CRITERIA.items():
        result = criterion(correlations, rank, 300, k, c + 1)
        for row, dosage in enumerate(dosages):
            expected = statsmodels_table(latents, dosage, covariates, coding)
            value, df1, df2, f, p = expected.loc[STATSMODELS_NAMES[name]].astype(float)[
                ["Value", "Num DF", "Den DF", "F Value", "Pr > F"]
            ]
            statistic, neg_log10_p = table.loc[row, criterion_columns(name)]
            assert statistic == pytest.approx(value, rel=1e-10)
            assert result.statistic[row] == pytest.approx(value, rel=1e-10)
            assert result.f[row] == pytest.approx(f, rel=1e-9)
            assert (result.df1[row], result.df2[row]) == (df1, pytest.approx(df2, rel=1e-12))
            assert neg_log10_p == pytest.approx(-np.log10(p), rel=1e-8)


@pytest.mark.parametrize(("coding", "k"), [("additive", 6), ("genotype", 1), ("additive", 1)])
def test_with_one_canonical_correlation_all_criteria_are_the_same_exact_test(coding, k):
    latents, covariates, dosages = simulate(k=k)
    table = LatentSpace(latents, covariates).test(dosages, coding, criteria=tuple(CRITERIA))
    for name in CRITERIA:
        np.testing.assert_allclose(
            table[criterion_columns(name)[1]], table["neg_log10_p"], rtol=1e-10
        )


def test_pooled_groups_are_tested_alike_by_all_criteria():
    latents, covariates, dosages = simulate()
    dosages[0, 10:] = np.minimum(dosages[0, 10:], 1)
    table = LatentSpace(latents, covariates).test(dosages, "genotype", 5, tuple(CRITERIA))
    assert table["df1"].tolist() == [8, 16, 16]
    wilks, hotelling_lawley, roy = (table[criterion_columns(name)[1]] for name in CRITERIA)
    for neg_log10_p in (wilks, hotelling_lawley, roy):
        assert neg_log10_p[0] == pytest.approx(table["neg_log10_p"][0], rel=1e-10)
    assert (roy[1:] > table["neg_log10_p"][1:]).all()


def test_untested_variants_have_no_criteria():
    latents, covariates, dosages = simulate()
    dosages[1] = 0
    table = LatentSpace(latents, covariates).test(dosages, "genotype", criteria=tuple(CRITERIA))
    columns = [column for name in CRITERIA for column in criterion_columns(name)]
    assert table.loc[1, columns].isna().all()
    assert table.loc[[0, 2], columns].notna().all(axis=None)


def test_criteria_are_added_behind_the_contract_in_the_order_asked():
    latents, covariates, dosages = simulate()
    space = LatentSpace(latents, covariates)
    table = space.test(dosages, criteria=("roy", "wilks"))
    assert list(table.columns) == [
        *RESULT_COLUMNS,
        *("roy", "roy_neg_log10_p", "wilks", "wilks_neg_log10_p"),
    ]
    assert list(space.test(dosages).columns) == RESULT_COLUMNS


def test_an_unknown_criterion_is_refused():
    latents, covariates, dosages = simulate()
    with pytest.raises(InputError, match="criterion 'pillay': expected one of wilks, hotell"):
        LatentSpace(latents, covariates).test(dosages, criteria=("pillay",))


@pytest.mark.parametrize("smaller", [1e-2, 1e-8, 1e-14, 1e-20])
def test_the_smaller_correlation_keeps_its_digits_beside_a_large_one(smaller):
    rng = np.random.default_rng(4)
    gram = np.array([[[50.0, -30.0], [-30.0, 20.0]]])
    angle = 0.3
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    directions = np.linalg.qr(rng.standard_normal((40, 2)))[0].T
    roots = np.sqrt([[0.3], [smaller]])
    projections = (np.linalg.cholesky(gram[0]) @ rotation @ (roots * directions))[None]
    # Rounding of the entries themselves moves the smaller one; so ask what they are.
    with mpmath.workdps(60):
        w, s = mpmath.matrix(projections[0].tolist()), mpmath.matrix(gram[0].tolist())
        matrix = s**-1 * (w * w.T)
        trace, determinant = matrix[0, 0] + matrix[1, 1], mpmath.det(matrix)
        expected = determinant / ((trace + mpmath.sqrt(trace**2 - 4 * determinant)) / 2)
    found = squared_correlations(projections, gram)[0]
    assert found[0] == pytest.approx(0.3, rel=1e-12)
    # Relative to |v| the rest beside u is known to 1e-16, hence its square as below.
    assert found[1] == pytest.approx(float(expected), rel=1e-14 / np.sqrt(smaller) + 1e-12, abs=0)


def test_wilks_is_exact_for_two_dimensions_and_three_groups():
    rng = np.random.default_rng(5)
    dosages = rng.binomial(2, 0.4, (40_000, 60)).astype(np.int8)
    table = LatentSpace(rng.standard_normal((60, 2))).test(dosages, criteria=("wilks", "roy"))
    share = (table["wilks_neg_log10_p"] > 2).mean()
    assert share == pytest.approx(0.01, abs=0.002)
    # Roy's p is a lower bound only: it calls far more significant.
    assert (table["roy_neg_log10_p"] > 2).mean() > 1.5 * share


def test_few_residual_degrees_of_freedom_give_what_statsmodels_gives():
    for n in (14, 15, 16, 17, 18):
        latents, _, dosages = simulate(n=n, k=10, c=0)
        dosages[0] = np.arange(n) % 3
        table = LatentSpace(latents).test(dosages[:1], criteria=("hotelling-lawley",))
        with np.errstate(divide="ignore"):  # within statsmodels, whose result is right all the same
            expected = statsmodels_table(latents, dosages[0], None, "genotype")
        p = expected.loc["Hotelling-Lawley trace", "Pr > F"]
        assert 10 ** -table["hotelling_lawley_neg_log10_p"][0] == pytest.approx(p, rel=1e-7)
    latents, _, dosages = simulate(n=13, k=10, c=0)
    table = LatentSpace(latents).test(dosages[:1], criteria=("hotelling-lawley",))
    assert np.isfinite(table["hotelling_lawley"][0])
    assert np.isnan(table["hotelling_lawley_neg_log10_p"][0])  # no degree of freedom is left
