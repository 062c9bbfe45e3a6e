"""Scores of held-out predictions, and how each participant moved them.

A score depends on a participant in two ways: on being in it, and through the prediction made for
it. The first is the derivative with respect to the participant's weight, the second with respect to
the prediction; a fit carries the second on to those the model was fitted to. The sum over both
gives the variance of a cross-validated score, docs/probes.md, "Intervals".
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata, t


def r_squared(observed: np.ndarray, predicted: np.ndarray) -> float:
    """1 − residual over total sum of squares; the total is about the mean of `observed`."""
    total = np.sum((observed - observed.mean()) ** 2)
    return float(1 - np.sum((observed - predicted) ** 2) / total)


def r_squared_derivatives(
    observed: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate R² with respect to the weight and the prediction of each participant.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)

    Returns
    -------
    by_weight, by_prediction : ndarray, shape (n,)
    """
    squares = (observed - observed.mean()) ** 2
    residuals = observed - predicted
    total = squares.sum()
    share = np.sum(residuals**2) / total
    return (share * squares - residuals**2) / total, 2 * residuals / total


def auc(positive: np.ndarray, predicted: np.ndarray) -> float:
    """Area under the ROC curve.

    Parameters
    ----------
    positive : ndarray of bool, shape (n,)
        Holds both values.
    predicted : ndarray, shape (n,)
        Probabilities or log odds; only their order counts, ties count a half.

    Returns
    -------
    float
    """
    n_positive = positive.sum()
    rank_sum = rankdata(predicted)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(rank_sum / (n_positive * (len(positive) - n_positive)))


def auc_derivatives(positive: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate the AUC with respect to the weight and the prediction of each participant.

    The area is a step function of the predictions; its derivative is that of the area smoothed
    with a uniform kernel, whose standard deviation is Silverman's bandwidth.

    Parameters
    ----------
    positive : ndarray of bool, shape (n,)
        Holds both values.
    predicted : ndarray, shape (n,)

    Returns
    -------
    by_weight, by_prediction : ndarray, shape (n,)

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837.
    """
    cases, controls = np.sort(predicted[positive]), np.sort(predicted[~positive])
    spread = np.sqrt(cases.var() + controls.var())
    reach = np.sqrt(3) * 1.06 * spread * len(predicted) ** -0.2
    by_weight, by_prediction = np.empty(len(predicted)), np.empty(len(predicted))
    area = auc(positive, predicted)
    for rows, others, sign in ((positive, controls, 1), (~positive, cases, -1)):
        values = predicted[rows]
        below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
        beaten = below / (2 * len(others))
        by_weight[rows] = ((beaten if sign > 0 else 1 - beaten) - area) / len(values)
        near = np.searchsorted(others, values + reach) - np.searchsorted(others, values - reach)
        density = near / (2 * reach * len(others)) if reach > 0 else 0.0
        by_prediction[rows] = sign * density / len(values)
    return by_weight, _without_shift_and_scale(by_prediction, predicted)


def average_precision(positive: np.ndarray, predicted: np.ndarray) -> float:
    """Mean precision over the cases, from the highest prediction down; ties are one threshold.

    Parameters
    ----------
    positive : ndarray of bool, shape (n,)
        Holds a case.
    predicted : ndarray, shape (n,)
        Probabilities or log odds; only their order counts.

    Returns
    -------
    float
        The share of cases, by chance.
    """
    order = np.argsort(-predicted, kind="stable")
    found = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(predicted[order])), len(order) - 1)
    precision = found[last] / (last + 1)
    return float(np.sum(precision * np.diff(found[last], prepend=0)) / found[-1])


def _without_shift_and_scale(slopes: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Take out what the kernel says of a shift or a stretch of all predictions together.

    Either leaves the order as it is, and so the area. Smoothing makes stretching seem to help,
    and the people who stretch the predictions most are also those who are ranked best.
    """
    centred = predicted - predicted.mean()
    size = centred @ centred
    if size == 0:
        return slopes
    slopes = slopes - slopes.mean()
    return slopes - centred * (slopes @ centred / size)


def centred_influence(influence: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Count influence about the mean of its stratum, with m − 1 of m degrees of freedom.

    Parameters
    ----------
    influence : ndarray, shape (n, 1 + folds)
    strata : ndarray of int, shape (n,)
        Groups whose sizes are given by the design, at least two in each.

    Returns
    -------
    ndarray, shape (n, 1 + folds)
    """
    groups, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    sums = np.zeros((len(groups), influence.shape[1]))
    np.add.at(sums, stratum, influence)
    sizes = sizes[:, None]
    return np.sqrt(sizes / (sizes - 1))[stratum] * (influence - (sums / sizes)[stratum])


def standard_error(centred: np.ndarray, squares: bool) -> tuple[float, float]:
    """Estimate the standard error of a mean over folds from each participant's influence on it.

    Parameters
    ----------
    centred : ndarray, shape (n, 1 + folds)
        Influence by being scored, and by being fitted to on the score of each fold over the number
        of folds, zero in the fold that holds the participant out; from `centred_influence`.
    squares : bool
        Count the squares of the influence by fit, which makes it the plain infinitesimal
        jackknife. Without them it is never less than if the models were given.

    Returns
    -------
    error : float
    freedom : float
        Degrees of freedom of t that go with it: few where few people hold most of the influence.

    References
    ----------
    docs/probes.md, "Intervals".
    """
    own, fits = centred[:, 0], centred[:, 1:]
    folds = fits.shape[1]
    through = fits.sum(axis=1)
    influence = (own + through) ** 2
    if squares:
        variance = influence.sum()
    else:
        # A fold's own square holds the noise of its few scored participants, which `own` has
        # already; products of two folds do not, and of the latter there are (folds − 1) to
        # (folds − 2) fewer.
        products = (through**2 - np.sum(fits**2, axis=1)) * (folds - 1) / (folds - 2)
        variance = np.sum(own**2) + max(np.sum(2 * own * through + products), 0.0)
    scatter = np.sum((influence - influence.mean()) ** 2)
    freedom = 2 * influence.sum() ** 2 / scatter if scatter > 0 else np.inf
    return float(np.sqrt(variance)), float(freedom)


def r_squared_interval(score: float, error: float, freedom: float) -> tuple[float, float]:
    """95 % interval on the scale of log(1 − R²), which has no lower end but an upper one."""
    if score == 1:
        return score, score
    margin = t.ppf(0.975, freedom) * error / (1 - score)
    return float(1 - (1 - score) * np.exp(margin)), float(1 - (1 - score) * np.exp(-margin))


def auc_interval(area: float, error: float, freedom: float) -> tuple[float, float]:
    """95 % interval on the logit scale, which keeps it between 0 and 1."""
    if area in (0.0, 1.0):
        return area, area
    margin = t.ppf(0.975, freedom) * error / (area * (1 - area))
    return float(expit(logit(area) - margin)), float(expit(logit(area) + margin))
