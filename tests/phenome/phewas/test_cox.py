import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.stats import kstest, norm

from regreveal.phenome.phewas.cox import cox_scan, cox_tests
from regreveal.phenome.phewas.split_half import SplitSpace, split_halves


def _follow_up(n, effect, seed, rate=0.03):
    """Years to a disease that follows a latent, age and sex, with visits over four years."""
    generator = np.random.default_rng(seed)
    covariates = np.column_stack([generator.normal(60, 8, n), generator.integers(0, 2, n)])
    latents = generator.normal(size=(n, 5)) + 0.3 * covariates[:, 1:]
    hazard = rate * np.exp(effect * latents[:, 0] + 0.05 * (covariates[:, 0] - 60))
    onset, end = generator.exponential(1 / hazard), generator.uniform(6, 10, n)
    years = np.ceil(np.minimum(onset, end) * 52) / 52  # in weeks: with ties
    return latents, covariates, years, onset < end


def _scan(latents, covariates, years, status, **named):
    ids = [f"person-{row}" for row in range(len(latents))]
    table = pd.DataFrame(np.asarray(status, np.float32), index=ids)
    table.columns = [f"{100 + j}" for j in range(table.shape[1])]
    space = SplitSpace.of(latents, covariates, table.index, 0)
    return space, cox_scan(space, table, lambda phecode: years, **named)


@pytest.mark.parametrize("seed", range(6))
def test_cox_regression_is_that_of_lifelines(seed):
    _, covariates, years, event = _follow_up(600, 0.0, seed)
    component = np.random.default_rng(100 + seed).normal(size=600)
    design = np.column_stack([(covariates - [60, 0]) / [8, 1], component])
    test = cox_tests([(years, event, design)])
    frame = pd.DataFrame(design, columns=["age", "sex", "x"]).assign(years=years, event=event)
    options = {"fit_options": {"precision": 1e-12}}
    full = CoxPHFitter().fit(frame, "years", "event", **options)
    null = CoxPHFitter().fit(frame.drop(columns="x"), "years", "event", **options)
    ratio = 2 * (full.log_likelihood_ - null.log_likelihood_)
    assert len(np.unique(years[event])) < event.sum()
    assert test.coefficient[0] == pytest.approx(full.params_["x"], abs=1e-6)
    assert test.standard_error[0] == pytest.approx(full.standard_errors_["x"], abs=1e-6)
    assert 2 * norm.sf(abs(test.z[0])) == pytest.approx(2 * norm.sf(np.sqrt(ratio)), abs=1e-6)


def test_each_half_is_tested_on_the_direction_of_the_other():
    latents, covariates, years, event = _follow_up(800, 0.7, seed=11)
    event = event.astype(float)
    event[:50] = np.nan  # had it at the visit
    space, table = _scan(latents, covariates, years, event[:, None])
    half = split_halves(event[:, None], space.order)[:, 0]
    found = []
    for tested in (0, 1):
        learnt, rows = half == 1 - tested, half == tested
        z = space.whitened
        direction = z[learnt & (event == 1)].mean(0) - z[learnt & (event == 0)].mean(0)
        component = z[rows] @ direction
        frame = pd.DataFrame(covariates[rows], columns=["age", "sex"]).assign(
            x=(component - component.mean()) / component.std(), t=years[rows], e=event[rows]
        )
        fit = CoxPHFitter().fit(frame, "t", "e", fit_options={"precision": 1e-12})
        found.append((fit.params_["x"], fit.standard_errors_["x"]))
    beta, error = np.transpose(found)
    row = table.iloc[0]
    assert row["method"] == "cox"
    assert row["beta"] == pytest.approx(np.average(beta, weights=error**-2.0), abs=1e-6)
    assert row["z"] > 4
    assert row["low"] > 0


def test_what_no_latent_knows_is_not_found():
    latents, covariates, years, _ = _follow_up(500, 0.0, seed=13)
    generator = np.random.default_rng(14)
    status = np.column_stack([generator.permutation(500) < 40 for _ in range(25)])
    _, table = _scan(latents, covariates, years, status)
    p = norm.sf(table["z"])
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.sum(p < 0.01) <= 3


def test_a_covariate_that_no_case_has_does_no_harm():
    latents, covariates, years, event = _follow_up(400, 0.7, seed=15)
    rare = np.zeros((400, 1))
    rare[np.flatnonzero(~event)[:25]] = 1
    _, table = _scan(latents, np.column_stack([covariates, rare]), years, event[:, None])
    _, without = _scan(latents, covariates, years, event[:, None])
    assert table["reason"].iloc[0] == ""
    assert table["z"].iloc[0] == pytest.approx(without["z"].iloc[0], abs=0.3)


def test_few_cases_are_not_tested():
    latents, covariates, years, _ = _follow_up(300, 0.0, seed=16)
    status = np.zeros((300, 2))
    status[:19, 0] = status[:281, 1] = 1
    _, table = _scan(latents, covariates, years, status)
    assert table["reason"].tolist() == ["fewer than 20 cases", "fewer than 20 controls"]
    assert table["z"].isna().all()
