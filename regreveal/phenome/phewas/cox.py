"""Incident disease: Cox's proportional hazards on the direction learnt in the other half.

As the split-half PheWAS, with time to the first record of a disease among people who were free of
it at their visit. The regressions are statsmodels' `PHReg`, with Efron's method for ties.

References
----------
Cox (1972), J. R. Statist. Soc. B 34:187; Efron (1977), J. Am. Statist. Ass. 72:557;
docs/phewas.md, "Incident disease".
"""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from regreveal.cluster import cluster_address
from regreveal.compute import parallel_map
from regreveal.phenome.phewas.logistic import CoefficientTests
from regreveal.phenome.phewas.scan import MINIMUM_CASES, TESTS, combine_halves, too_rare
from regreveal.phenome.phewas.split_half import SplitSpace, in_bytes

WORTH_PROCESSES = 2_000_000  # people times phecodes, from where starting processes is worth it
RUNS_AWAY = 10.0  # log hazard ratio of a standard deviation that no disease has
TOLERANCE = 1e-6  # of the Newton decrement


def cox_scan(
    space: SplitSpace,
    status: pd.DataFrame,
    years: Callable[[str], np.ndarray],
    minimum_cases: int = MINIMUM_CASES,
) -> pd.DataFrame:
    """Test every phecode's time to its first record.

    Parameters
    ----------
    space : SplitSpace
    status : DataFrame, shape (n, phecodes)
        1 for a first record after the visit, 0 for none by the end of follow-up, NaN for who is not
        at risk; aligned with the space.
    years : callable
        Of a phecode: ndarray, shape (n,), the years from visit to first record or end of follow-up,
        above zero for whoever is at risk.
    minimum_cases : int
        Phecodes with fewer cases, or fewer others at risk, are not tested.

    Returns
    -------
    DataFrame
        As `regreveal.phenome.phewas.scan.scan`, of log hazard ratios; method is "cox".
    """
    values = status.to_numpy()
    table = pd.DataFrame(np.nan, index=status.columns, columns=TESTS)
    table["method"] = ""
    table["reason"] = too_rare(values, minimum_cases)
    eligible = np.flatnonzero(table["reason"] == "")
    workers = None if len(values) * len(eligible) >= WORTH_PROCESSES else 1
    columns = ((in_bytes(values[:, j]), years(status.columns[j])) for j in eligible)
    if cluster_address():
        # Workers keep the space: designs would be the most that ever goes over the network.
        work, tasks = partial(_test_column, space), columns
    else:  # a space in each process of this machine would take its memory as many times
        work, tasks = cox_tests, (_halves(space, *column) for column in columns)
    tests = parallel_map(work, tasks, "Testing incident disease", workers)
    for column, halves in zip(eligible, tests, strict=True):
        if not halves.converged.all():
            table.iloc[column, -1] = "the regression did not converge"
            continue
        combined = combine_halves(halves[:1], halves[1:])
        table.iloc[column, : len(TESTS)] = [combined[name][0] for name in TESTS]
        table.iloc[column, -2] = "cox"
    return table


def _test_column(space: SplitSpace, column: tuple[np.ndarray, np.ndarray]) -> CoefficientTests:
    return cox_tests(_halves(space, *column))


def _halves(space: SplitSpace, status: np.ndarray, years: np.ndarray) -> list[tuple]:
    """Give of a phecode, for either half: years, event and design, the component last."""
    block = space.block(status[:, None])
    halves = []
    for half in (0, 1):
        included = (block.cases | block.controls)[half, 0]
        kept = space.shared.independent(included[None])[0]
        kept[0] = False  # the baseline hazard is the intercept
        design = np.column_stack([space.shared.design[:, kept], block.components[half, 0]])
        halves.append((years[included], block.cases[half, 0, included], design[included]))
    return halves


def cox_tests(halves: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> CoefficientTests:
    """Test the last column of each design by Cox's regression and the likelihood ratio.

    Parameters
    ----------
    halves : list of tuple of ndarray
        Years (n,), whether the disease came then (n,), and design (n, p), without an intercept.

    Returns
    -------
    CoefficientTests
        Of log hazard ratios, one a half.
    """
    coefficient, error, z = np.transpose([_cox_test(*half) for half in halves])
    return CoefficientTests(coefficient, error, z, np.isfinite(z))


def _cox_test(years, event, design) -> tuple[float, float, float]:
    """Coefficient, standard error and z; NaN where there is no finite estimate."""
    coefficients, likelihood, covariance = _cox_fit(years, event, design)
    if design.shape[1] > 1:
        _, null_likelihood, _ = _cox_fit(years, event, design[:, :-1])
    else:
        null_likelihood = _model(years, event, design).loglike(np.zeros(1))
    ratio = 2 * (likelihood - null_likelihood)
    coefficient, variance = coefficients[-1], covariance[-1, -1]
    if not (np.isfinite(ratio) and variance > 0 and abs(coefficient) < RUNS_AWAY):
        return np.nan, np.nan, np.nan
    return coefficient, np.sqrt(variance), np.sign(coefficient) * np.sqrt(max(ratio, 0.0))


def _cox_fit(years, event, design) -> tuple[np.ndarray, float, np.ndarray]:
    """Coefficients, log likelihood (NaN where it is not at its maximum) and covariance.

    A covariate that none of the cases has, such as a rare ancestry, runs away while the likelihood
    settles: what counts is that no step would raise it.
    """
    from statsmodels.tools.sm_exceptions import ModelWarning

    model = _model(years, event, design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        try:
            coefficients = model.fit(disp=0).params
        except np.linalg.LinAlgError:  # the information became singular on the way
            size = design.shape[1]
            return np.full(size, np.nan), np.nan, np.full((size, size), np.nan)
    covariance = np.linalg.pinv(-model.hessian(coefficients), hermitian=True)
    score = model.score(coefficients)
    at_maximum = score @ covariance @ score < TOLERANCE
    return coefficients, model.loglike(coefficients) if at_maximum else np.nan, covariance


def _model(years, event, design):
    from statsmodels.duration.hazard_regression import PHReg

    return PHReg(years, design, status=event, ties="efron")
