"""Whether predicted probabilities are those that are observed."""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binomtest

BINS = 10
FEWEST = 5  # cases, and others, in a bin: shares of fewer say little, and point at people
CURVE_COLUMNS = ["bin", "n", "predicted", "observed", "low", "high"]
MAX_STEPS = 50


def calibration_line(positive: np.ndarray, log_odds: np.ndarray) -> tuple[float, float]:
    """Calibration intercept and slope of held-out log odds.

    The intercept is that of a logistic regression on the log odds as an offset ("in the large": 0
    if on average as many are cases as predicted); the slope that of one on the log odds with an
    intercept of its own (1 if neither too bold nor too timid).

    Parameters
    ----------
    positive : ndarray of bool, shape (n,)
        Holds both values.
    log_odds : ndarray, shape (n,)

    Returns
    -------
    intercept, slope : float
        The slope is NaN where predictions do not vary, or separate the classes.

    References
    ----------
    Cox (1958), Biometrika 45:562; Van Calster et al. (2019), BMC Med. 17:230.
    """
    cases = positive.sum()
    reach = np.abs(log_odds).max() + 40
    intercept = brentq(lambda shift: expit(shift + log_odds).sum() - cases, -reach, reach)
    return float(intercept), _slope(positive, log_odds)


def _slope(positive: np.ndarray, log_odds: np.ndarray) -> float:
    cases, others = log_odds[positive], log_odds[~positive]
    if cases.min() >= others.max() or others.min() >= cases.max():
        return np.nan  # separated, but for ties; or all the same
    design = np.column_stack([np.ones(len(log_odds)), log_odds - log_odds.mean()])
    coefficients = np.array([np.log(positive.mean() / (1 - positive.mean())), 0.0])
    for _ in range(MAX_STEPS):
        probability = expit(design @ coefficients)
        weights = probability * (1 - probability)
        step = np.linalg.solve((design.T * weights) @ design, design.T @ (positive - probability))
        coefficients += step
        if np.abs(step).max() < 1e-10 * (1 + np.abs(coefficients).max()):
            return float(coefficients[1])
    return np.nan


def calibration_curve(positive: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Compare predicted with observed shares, from low to high predicted probability.

    Bins hold a tenth of the participants each; neighbours are joined until each has at least 5
    cases and 5 others.

    Parameters
    ----------
    positive : ndarray of bool, shape (n,)
    probability : ndarray, shape (n,)

    Returns
    -------
    DataFrame
        `bin`, `n`, `predicted` (mean), `observed` (share), `low`, `high` (its 95 % interval, of
        Wilson).
    """
    order = np.argsort(probability, kind="stable")
    rows, gathered = [], np.array([], int)
    for part in np.array_split(order, BINS):
        gathered = np.append(gathered, part)
        cases = positive[gathered].sum()
        if min(cases, len(gathered) - cases) >= FEWEST:
            rows.append(gathered)
            gathered = np.array([], int)
    if rows:
        rows[-1] = np.append(rows[-1], gathered)
    table = []
    for number, chosen in enumerate(rows, start=1):
        cases = int(positive[chosen].sum())
        interval = binomtest(cases, len(chosen)).proportion_ci(method="wilson")
        table.append(
            (number, len(chosen), probability[chosen].mean(), cases / len(chosen), *interval)
        )
    return pd.DataFrame(table, columns=CURVE_COLUMNS)
