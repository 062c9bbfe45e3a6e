import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import kstest, norm
from statsmodels.stats.multitest import multipletests

from regreveal.errors import InputError
from regreveal.phenome.phewas.logistic import CoefficientTests
from regreveal.phenome.phewas.scan import combine_halves, phewas
from regreveal.phenome.phewas.split_half import split_halves, whiten


def _cohort(n, dimensions, seed):
    """Latents that also carry age and sex, and those two as covariates."""
    generator = np.random.default_rng(seed)
    covariates = np.column_stack([generator.normal(60, 8, n), generator.integers(0, 2, n)])
    latents = generator.normal(size=(n, dimensions)) @ generator.normal(size=(dimensions,) * 2)
    latents += 0.1 * np.outer(covariates[:, 0], generator.normal(size=dimensions))
    latents += np.outer(covariates[:, 1], generator.normal(size=dimensions))
    return latents, covariates


def _status(values):
    """Diseases (n, phecodes) as a table, with a description."""
    values = np.asarray(values, np.float32)
    phecodes = [f"{100 + column}" for column in range(values.shape[1])]
    ids = [f"person-{row}" for row in range(len(values))]
    info = pd.DataFrame({"name": "a disease", "category": "simulated"}, index=phecodes)
    return pd.DataFrame(values, index=ids, columns=phecodes), info


def _p(table):
    return 10.0 ** -table["neg_log10_p"].to_numpy()


def test_a_disease_of_a_latent_direction_is_found_and_another_is_not():
    latents, covariates = _cohort(2000, 8, seed=1)
    generator = np.random.default_rng(2)
    signal = whiten(latents, covariates, 2000) @ generator.normal(size=8) / np.sqrt(8)
    ill = generator.random((2000, 2)) < expit(-2 + np.column_stack([signal, np.zeros(2000)]))
    status, info = _status(ill)
    table = phewas(latents, status, covariates, info).set_index("phecode")
    assert table.loc["100", "neg_log10_p"] > 10
    assert 0.6 < table.loc["100", "beta"] < 1.2
    assert table.loc["100", "low"] < table.loc["100", "odds_ratio"] < table.loc["100", "high"]
    assert table.loc["100", "odds_ratio"] == pytest.approx(np.exp(table.loc["100", "beta"]))
    assert table.loc["101", "neg_log10_p"] < 3
    assert table.loc["100", "n_cases"] == ill[:, 0].sum()
    assert table.loc["100", "n_controls"] == 2000 - ill[:, 0].sum()
    assert table.loc["100", "method"] == "logistic"


def test_each_half_is_tested_on_the_direction_of_the_other():
    """The whole computation of 30 phecodes, over again with statsmodels, fit by fit."""
    latents, covariates = _cohort(900, 5, seed=3)
    generator = np.random.default_rng(4)
    rate = np.linspace(-1.5, 0.5, 30)
    ill = (generator.random((900, 30)) < expit(rate + latents[:, :1] / 4)).astype(float)
    ill[generator.random((900, 30)) < 0.1] = np.nan  # no controls of a related disease
    women = covariates[:, 1] == 0
    ill[women, ::4] = np.nan
    status, info = _status(ill)
    tables = phewas(latents, status, covariates, info, seed=9).set_index("phecode")
    assert (tables["method"] == "logistic").all()

    design = sm.add_constant(covariates)
    residuals = np.column_stack([sm.OLS(y, design).fit().resid for y in latents.T])
    precision = np.linalg.inv(residuals.T @ residuals / 900)
    order = np.argsort(status.index.to_numpy())[np.random.default_rng(9).permutation(900)]
    halves = split_halves(status.to_numpy(), order)
    for column, (_, table) in enumerate(tables.iterrows()):
        half, case = halves[:, column], ill[:, column] == 1
        known = design[:, :2] if column % 4 == 0 else design
        tests = []
        for tested in (0, 1):
            learnt, rows = half == 1 - tested, half == tested
            direction = residuals[learnt & case].mean(axis=0) - residuals[learnt & ~case].mean(0)
            component = residuals[rows] @ precision @ direction
            component = (component - component.mean()) / component.std()
            null = sm.Logit(case[rows], known[rows]).fit(disp=0, tol=1e-12)
            full = np.column_stack([known[rows], component])
            full = sm.Logit(case[rows], full).fit(disp=0, tol=1e-12)
            z = np.sign(full.params[-1]) * np.sqrt(2 * (full.llf - null.llf))
            tests.append((full.params[-1], full.bse[-1], z))
        beta, error, z = np.transpose(tests)
        weights = error**-2.0
        assert table["beta"] == pytest.approx(np.average(beta, weights=weights), abs=1e-6)
        assert table["standard_error"] == pytest.approx(
            np.average(error, weights=weights), abs=1e-6
        )
        expected = norm.logsf(np.average(z, weights=1 / error))
        assert 10 ** -table["neg_log10_p"] == pytest.approx(np.exp(expected), abs=1e-6)
        assert table["neg_log10_p"] == pytest.approx(-expected / np.log(10), abs=1e-6)


def test_equal_halves_combine_to_themselves():
    def tests(coefficient, error, z):
        return CoefficientTests(*(np.array([x]) for x in (coefficient, error, z, True)))

    same, vague = tests(0.4, 0.1, 4.0), tests(-3.0, 50.0, -0.06)
    expected = {"beta": 0.4, "standard_error": 0.1, "low": 0.204, "high": 0.596, "z": 4.0}
    for second, tolerance in ((same, {"abs": 1e-5}), (vague, {"abs": 2e-3, "rel": 0.02})):
        combined = combine_halves(same, second)
        assert {k: v[0] for k, v in combined.items()} == pytest.approx(expected, **tolerance)


def test_permuted_labels_give_a_flat_qq_plot():
    latents, covariates = _cohort(800, 12, seed=5)
    generator = np.random.default_rng(22)
    counts = np.linspace(25, 240, 600).astype(int)
    ill = np.column_stack([generator.permutation(800) < count for count in counts])
    table = phewas(latents, _status(ill)[0], covariates, _status(ill)[1])
    p = _p(table)
    assert set(table["method"]) == {"firth", "logistic"}
    assert kstest(p, "uniform").pvalue > 0.01
    # 30 of 600 expected: between 14 and 47 in 99.8 % of draws.
    assert 14 <= np.sum((table["low"] > 1) | (table["high"] < 1)) <= 47
    # 6 of 600 expected below 0.01: between 1 and 13 in 99 % of draws.
    assert 1 <= np.sum(p < 0.01) <= 13


def test_a_disease_of_age_and_sex_alone_is_not_found_in_latents_that_carry_them():
    latents, covariates = _cohort(1000, 10, seed=7)
    generator = np.random.default_rng(8)
    age, sex = (covariates - covariates.mean(axis=0)).T
    risk = expit(-2 + 0.1 * age + 1.0 * sex)
    ill = generator.random((1000, 300)) < risk[:, None]
    p = _p(phewas(latents, *_swap(_status(ill), covariates)))
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p < 0.01) < 0.03
    blind = _p(phewas(latents, *_swap(_status(ill), None)))
    assert np.mean(blind < 0.01) > 0.9


def _swap(status_and_info, covariates):
    status, info = status_and_info
    return status, covariates, info


def test_the_answer_is_the_same_for_any_linear_mixture_of_the_latents():
    latents, covariates = _cohort(400, 6, seed=9)
    generator = np.random.default_rng(10)
    status, info = _status(generator.random((400, 3)) < expit(-1 + latents[:, :1]))
    mixed = latents @ generator.normal(size=(6, 6)) * 100 + 7
    padded = np.column_stack([latents, np.full(400, 3.0), latents[:, 0] - latents[:, 1]])
    expected = phewas(latents, status, covariates, info)["neg_log10_p"]
    for other in (mixed, padded):
        table = phewas(other, status, covariates, info)
        np.testing.assert_allclose(table["neg_log10_p"], expected, rtol=1e-5)


def test_row_order_changes_nothing_and_the_seed_does():
    latents, covariates = _cohort(400, 6, seed=11)
    generator = np.random.default_rng(12)
    status, info = _status(generator.random((400, 3)) < 0.2)
    status.iloc[:50, 1] = np.nan
    shuffled = generator.permutation(400)
    table = phewas(latents, status, covariates, info)
    other = phewas(latents[shuffled], status.iloc[shuffled], covariates[shuffled], info)
    pd.testing.assert_frame_equal(table, other, rtol=1e-6)
    reseeded = phewas(latents, status, covariates, info, seed=1)
    assert (reseeded["neg_log10_p"] != table["neg_log10_p"]).all()


def test_halves_hold_half_of_cases_and_of_controls():
    generator = np.random.default_rng(13)
    status = generator.choice([0, 1, np.nan], size=(101, 20), p=[0.7, 0.2, 0.1])
    halves = split_halves(status, generator.permutation(101))
    assert (halves[np.isnan(status)] == -1).all()
    for value in (0, 1):
        in_first, in_second = (((halves == h) & (status == value)).sum(axis=0) for h in (0, 1))
        assert (np.abs(in_first - in_second) <= 1).all()


def test_intervals_of_rare_diseases_leave_out_one_where_the_test_says_so():
    latents, covariates = _cohort(1500, 12, seed=23)
    generator = np.random.default_rng(24)
    ill = np.column_stack([generator.permutation(1500) < 22 for _ in range(400)])
    table = phewas(latents, _status(ill)[0], covariates, _status(ill)[1])
    assert set(table["method"]) == {"firth"}
    left_out = table["low"] > 1
    two_sided = _p(table) < 0.025
    assert np.mean(left_out != two_sided) < 0.01
    # 20 of 400 expected: 34 is beyond 99.8 % of draws.
    assert np.sum(left_out | (table["high"] < 1)) < 34


def test_few_controls_are_tested_by_firth_too():
    latents, covariates = _cohort(500, 4, seed=25)
    ill = np.random.default_rng(26).permutation(500)[:, None] >= 40
    table = phewas(latents, _status(ill)[0], covariates, _status(ill)[1])
    assert (table.loc[0, "n_cases"], table.loc[0, "method"]) == (460, "firth")


def test_few_cases_are_tested_by_firth_and_fewer_not_at_all():
    latents, covariates = _cohort(500, 4, seed=14)
    ill = np.zeros((500, 5))
    ill[:200, 0] = ill[:40, 1] = ill[:19, 2] = 1
    ill[:490, 3] = 1
    ill[:, 4] = np.nan
    ill[np.random.default_rng(0).permutation(500)] = ill.copy()
    table = phewas(latents, _status(ill)[0], covariates, _status(ill)[1])
    assert table["method"].tolist() == ["logistic", "firth", "", "", ""]
    assert table["reason"].tolist() == [
        "",
        "",
        "fewer than 20 cases",
        "fewer than 20 controls",
        "fewer than 20 cases",
    ]
    assert table.loc[2:, "neg_log10_p"].isna().all()
    assert table["n_excluded"].tolist() == [0, 0, 0, 0, 500]


def test_separated_cases_are_tested_by_firth():
    generator = np.random.default_rng(15)
    latents = generator.normal(size=(600, 3))
    ill = latents[:, :1] > 0.3
    table = phewas(latents, _status(ill)[0], None, _status(ill)[1])
    assert table.loc[0, "method"] == "firth"
    assert np.isfinite(table.loc[0, "beta"])
    assert table.loc[0, "neg_log10_p"] > 50


def test_a_covariate_that_is_constant_among_those_tested_does_no_harm():
    latents, covariates = _cohort(600, 4, seed=16)
    generator = np.random.default_rng(17)
    ill = (generator.random(600) < 0.3).astype(float)
    men = covariates[:, 1] == 1
    ill[~men] = np.nan
    status, info = _status(ill[:, None])
    table = phewas(latents, status, covariates, info)
    assert table.loc[0, "reason"] == ""
    assert table.loc[0, "n_excluded"] == np.sum(~men)


def test_corrections_are_over_the_phecodes_tested():
    latents, covariates = np.random.default_rng(18).normal(size=(600, 4)), None
    generator = np.random.default_rng(19)
    ill = generator.random((600, 12)) < expit(-1 + np.linspace(0, 0.3, 12) * latents[:, :1])
    ill[:, 3] = False
    table = phewas(latents, _status(ill)[0], covariates, _status(ill)[1])
    tested = table[table["reason"] == ""]
    assert len(tested) == 11
    for column, method in (("bonferroni", "bonferroni"), ("q_value", "fdr_bh")):
        np.testing.assert_allclose(tested[column], multipletests(_p(tested), method=method)[1])
    assert table.loc[3, ["bonferroni", "q_value"]].isna().all()


def test_a_p_value_beyond_floating_point_is_still_a_number():
    generator = np.random.default_rng(20)
    latents = generator.normal(size=(20_000, 2))
    ill = generator.random(20_000) < expit(3 * latents[:, 0])
    table = phewas(latents, _status(ill[:, None])[0], None, _status(ill[:, None])[1])
    assert 330 < table.loc[0, "neg_log10_p"] < np.inf
    assert table.loc[0, "bonferroni"] == 0


def test_bad_input_ends_in_one_clear_line():
    latents, covariates = _cohort(100, 4, seed=21)
    status, info = _status(np.arange(100)[:, None] % 3 == 0)
    broken = latents.copy()
    broken[5, 2] = np.inf
    with pytest.raises(InputError, match="latents have values that are not finite for 1 of 100"):
        phewas(broken, status, covariates, info)
    with pytest.raises(InputError, match="covariates have values that are not finite"):
        phewas(latents, status, np.full((100, 1), np.nan), info)
    with pytest.raises(InputError, match="shape"):
        phewas(latents[:50], status, covariates, info)
    with pytest.raises(InputError, match="50 rows of covariates"):
        phewas(latents, status, covariates[:50], info)
    with pytest.raises(InputError, match="100 participants for 60 dimensions"):
        phewas(np.tile(latents, 15), status, covariates, info)
    with pytest.raises(InputError, match="constant"):
        phewas(np.ones((100, 4)), status, covariates, info)
