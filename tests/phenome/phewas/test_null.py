import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from regreveal.phenome.phewas.null import KINDS, SUMMARY_COLUMNS, null_scans, null_summary
from regreveal.phenome.phewas.scan import scan
from regreveal.phenome.phewas.split_half import SplitSpace


@pytest.fixture(scope="module")
def related():
    """Diseases of latents, age and sex, some of one sex only, and related to each other."""
    generator = np.random.default_rng(1)
    n = 700
    covariates = np.column_stack([generator.normal(60, 8, n), generator.integers(0, 2, n)])
    latents = generator.normal(size=(n, 8)) + 0.5 * covariates[:, 1:]
    risk = latents[:, :1] + 0.08 * (covariates[:, :1] - 60) + 0.5 * generator.normal(size=(n, 1))
    ill = generator.random((n, 25)) < expit(np.linspace(-3, -0.5, 25) + risk)
    status = ill.astype(np.float32)
    status[covariates[:, 1] == 0, 4] = np.nan
    status[:, 5] = 0
    ids = [f"person-{row}" for row in range(n)]
    status = pd.DataFrame(status, index=ids, columns=[f"{j}" for j in range(25)])
    return SplitSpace.of(latents, covariates, status.index, 0), status


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_where_there_is_nothing(related, kind):
    space, status = related
    nulls = null_scans(space, status, [kind], repeats=20, seed=2)
    summary = null_summary(nulls).iloc[0]
    assert summary["tests"] == len(nulls) == 20 * 24
    assert summary["p_uniform"] > 0.01
    # 24 and 4.8 of 480 expected; the diseases of a draw are not independent.
    assert summary["below_0.05"] < 0.085
    assert summary["below_0.01"] < 0.03
    observed = scan(space, status)
    assert (observed["z"] > 4).sum() > 10


def test_a_draw_depends_on_the_seed_alone(related):
    space, status = related
    first = null_scans(space, status, ["labels", "latents"], repeats=2, seed=3)
    again = null_scans(space, status, ["labels", "latents"], repeats=2, seed=3)
    pd.testing.assert_frame_equal(first, again)
    by_draw = first.pivot_table(index="phecode", columns=["null", "repeat"], values="neg_log10_p")
    assert by_draw.shape == (24, 4)
    assert by_draw.corr().where(~np.eye(4, dtype=bool)).abs().max(axis=None) < 0.7


def test_the_threshold_is_passed_by_the_largest_of_one_draw_in_twenty():
    draws = np.random.default_rng(4).exponential(1 / np.log(10), size=(200, 30))
    nulls = pd.DataFrame(
        {
            "null": "labels",
            "repeat": np.repeat(np.arange(1, 201), 30),
            "neg_log10_p": draws.ravel(),
        }
    )
    summary = null_summary(nulls).iloc[0]
    assert np.sum(draws.max(axis=1) > summary["threshold"]) == 10
    assert summary["repeats"] == 200
    few = null_summary(nulls[nulls["repeat"] < 100]).iloc[0]
    assert np.isnan(few["threshold"])


def test_a_summary_of_no_tests_has_its_columns(related):
    space, status = related
    summary = null_summary(null_scans(space, status.iloc[:, :0], ["labels"], repeats=1, seed=1))
    assert summary.empty
    assert list(summary) == list(SUMMARY_COLUMNS)


def test_family_wise_errors_are_as_rare_as_said(related):
    """Bonferroni's correction over draws of related diseases: at most one draw in twenty errs."""
    space, status = related
    nulls = null_scans(space, status, ["labels"], repeats=60, seed=5)
    largest = nulls.groupby("repeat")["neg_log10_p"].max()
    # 3 of 60 expected at most: 8 is beyond 99 % of draws.
    assert np.sum(largest > -np.log10(0.05 / 24)) <= 8
