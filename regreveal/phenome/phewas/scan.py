"""Split-half PheWAS: a direction learnt in half of the people, tested in the other half.

In one half, the direction from the centroid of controls to that of cases in the whitened latent
space; the other half is projected on it and the projection tested in a logistic regression with
covariates; then the halves change roles.

The two tests are not independent: both scores are, to first order, the inner product of the two
halves' directions. They are therefore combined as one test seen twice, not as two that agree;
docs/phewas.md, "Combining the halves".
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm

from regreveal.phenome.phewas.logistic import (
    CoefficientTests,
    LogisticRegressions,
    SharedCovariates,
)
from regreveal.phenome.phewas.split_half import Block, SplitSpace

MINIMUM_CASES = 20
RARER_PER_COEFFICIENT = 10  # cases or controls in a half, below which estimates are biased
TWO_SIDED_95 = norm.ppf(0.975)

TESTS = ["beta", "standard_error", "low", "high", "z"]


def phewas(
    latents: np.ndarray,
    status: pd.DataFrame,
    covariates: np.ndarray | None,
    info: pd.DataFrame,
    seed: int = 0,
    minimum_cases: int = MINIMUM_CASES,
) -> pd.DataFrame:
    """Test every phecode for a direction in the latent space.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    status : DataFrame, shape (n, phecodes)
        1 case, 0 control, NaN neither, as `phecode_status` gives it; aligned with the latents and
        indexed by sample id.
    covariates : ndarray, shape (n, c), or None
        Age, sex, ancestry and so on, as numbers and without an intercept.
    info : DataFrame
        `name` and `category`, indexed by phecode.
    seed : int
        Of the halves, which depend on it, the sample ids and the status only.
    minimum_cases : int
        Phecodes with fewer cases, or fewer controls, are not tested.

    Returns
    -------
    DataFrame
        A row a phecode, in the order of `status`: phecode, name, category, n_cases, n_controls,
        n_excluded; beta, standard_error (Wald's), odds_ratio, low and high (95 %, two-sided, by the
        likelihood ratio), all a standard deviation of the component; neg_log10_p, one-sided for a
        positive beta; bonferroni and q_value (Benjamini and Hochberg) over the phecodes tested;
        method ("logistic", or "firth" where either half needed it); and reason, why it was not
        tested.

    Raises
    ------
    InputError
        If latents or covariates are not finite, do not fit the status, or do not leave enough
        participants for the dimensions.
    """
    space = SplitSpace.of(latents, covariates, status.index, seed)
    return describe(scan(space, status, minimum_cases), status, info)


def scan(
    space: SplitSpace,
    status: pd.DataFrame,
    minimum_cases: int = MINIMUM_CASES,
    description: str = "Testing phecodes",
) -> pd.DataFrame:
    """Test every phecode in a space that is ready.

    Parameters
    ----------
    space : SplitSpace
    status : DataFrame, shape (n, phecodes)
        As in `phewas`, aligned with the space.
    minimum_cases : int
    description : str
        For the progress shown.

    Returns
    -------
    DataFrame
        Indexed by phecode: beta, standard_error, low and high (log odds), z, method and reason.
    """
    values = status.to_numpy()
    table = pd.DataFrame(np.nan, index=status.columns, columns=TESTS)
    table["method"] = ""
    table["reason"] = too_rare(values, minimum_cases)
    eligible = np.flatnonzero(table["reason"] == "")
    if len(eligible):
        results = space.over_blocks(
            values[:, eligible], partial(_test_block, space.shared), description
        )
        table.iloc[eligible] = np.concatenate(list(results))
    return table.astype(dict.fromkeys(TESTS, np.float64))


def too_rare(values: np.ndarray, minimum_cases: int) -> np.ndarray:
    """Say which phecodes have too few cases or controls; empty for the others."""
    reason = np.full(values.shape[1], "", object)
    reason[np.sum(values == 0, axis=0) < minimum_cases] = f"fewer than {minimum_cases} controls"
    reason[np.sum(values == 1, axis=0) < minimum_cases] = f"fewer than {minimum_cases} cases"
    return reason


def needs_firth(regressions: LogisticRegressions) -> np.ndarray:
    """Say in which pairs of regressions (all first halves, then all second) either has few cases.

    Returns
    -------
    ndarray of bool, shape (b,)
    """
    cases = regressions.outcomes.sum(axis=1)
    rarer = np.minimum(cases, regressions.included.sum(axis=1) - cases)
    few = rarer < RARER_PER_COEFFICIENT * regressions.kept.sum(axis=1)
    return few.reshape(2, -1).any(axis=0)


def _test_block(shared: SharedCovariates, block: Block) -> np.ndarray:
    """Test each half on the other's direction and combine the two: (b, the columns of `scan`)."""
    b = len(block.varying)
    rows = np.full((b, len(TESTS) + 2), np.nan, object)
    rows[:, -2], rows[:, -1] = "", "the component is the same for everybody in a half"
    regressions = block.regressions(shared)
    firth = needs_firth(regressions)
    pending = block.varying & ~firth
    _fill(rows, regressions, pending, "logistic")
    _fill(rows, regressions, block.varying & (rows[:, -2] == ""), "firth")
    rows[block.varying & (rows[:, -2] == ""), -1] = "the regression did not converge"
    return rows


def _fill(rows, regressions, chosen, method) -> None:
    """Fill in the rows of the phecodes chosen whose regressions converge."""
    if not chosen.any():
        return
    tests = regressions.subset(np.tile(chosen, 2)).test(firth=method == "firth")
    first, second = tests.halves()
    converged = first.converged & second.converged
    combined = combine_halves(first[converged], second[converged])
    place = np.flatnonzero(chosen)[converged]
    for column, name in enumerate(TESTS):
        rows[place, column] = combined[name]
    rows[place, -2], rows[place, -1] = method, ""


def combine_halves(first: CoefficientTests, second: CoefficientTests) -> dict[str, np.ndarray]:
    """Combine two tests of each disease whose errors are, without an association, nearly the same.

    Parameters
    ----------
    first, second : CoefficientTests

    Returns
    -------
    dict
        `beta`, the inverse-variance mean of the coefficients; `standard_error`, `low` and `high`
        (95 %, log odds) and `z`, as for a correlation of one, so that each is a mean of the
        halves' own. No correlation makes the error too small.
    """
    halves = first, second
    errors = np.stack([half.standard_error for half in halves])
    weights = errors**-2.0 / np.sum(errors**-2.0, axis=0)
    error = np.sum(weights * errors, axis=0)
    low, high = (
        np.sum(weights * limits, axis=0)
        for limits in zip(*(half.interval(TWO_SIDED_95) for half in halves), strict=True)
    )
    return {
        "beta": np.sum(weights * [half.coefficient for half in halves], axis=0),
        "standard_error": error,
        "low": low,
        "high": high,
        "z": np.sum(weights * errors * [half.z for half in halves], axis=0) / error,
    }


def describe(tests: pd.DataFrame, status: pd.DataFrame, info: pd.DataFrame) -> pd.DataFrame:
    """Make the table that `phewas` gives from that of `scan`."""
    values = status.to_numpy()
    table = pd.DataFrame(
        {
            "phecode": status.columns,
            "name": info["name"].reindex(status.columns).to_numpy(),
            "category": info["category"].reindex(status.columns).to_numpy(),
            "n_cases": np.sum(values == 1, axis=0),
            "n_controls": np.sum(values == 0, axis=0),
            "n_excluded": np.sum(np.isnan(values), axis=0),
            "beta": tests["beta"].to_numpy(),
            "standard_error": tests["standard_error"].to_numpy(),
            "odds_ratio": np.exp(tests["beta"].to_numpy()),
            "low": np.exp(tests["low"].to_numpy()),
            "high": np.exp(tests["high"].to_numpy()),
            "neg_log10_p": -norm.logsf(tests["z"].to_numpy()) / np.log(10),
            "bonferroni": np.nan,
            "q_value": np.nan,
            "method": tests["method"].to_numpy(),
            "reason": tests["reason"].to_numpy(),
        }
    )
    return with_corrections(table)


def with_corrections(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in `bonferroni` and `q_value` (Benjamini and Hochberg) over the phecodes tested."""
    p = 10.0 ** -table["neg_log10_p"].to_numpy()
    tested = np.isfinite(p)
    bonferroni, q_value = np.full((2, len(p)), np.nan)
    bonferroni[tested] = np.minimum(p[tested] * tested.sum(), 1.0)
    if tested.any():
        q_value[tested] = false_discovery_control(p[tested])
    return table.assign(bonferroni=bonferroni, q_value=q_value)
