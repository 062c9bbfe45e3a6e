"""Out-of-fold predictions of many outcomes, their scores, and how each participant moved these."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from regreveal.phenome.probes import scores
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.ridge import fit_ridge, fit_ridge_logistic

LEFT_OUT = -1  # fold of a participant without a value


@dataclass(frozen=True)
class CrossValidated:
    """What came of predicting t outcomes out of fold.

    Parameters
    ----------
    predicted : ndarray, shape (n, t)
        Number, or log odds; NaN of those left out.
    fold_scores : ndarray, shape (folds, t)
    influence : ndarray, shape (n, 1 + folds, t)
        Of each participant on the mean over folds: by being scored, and by being fitted to for
        each fold. 0 of those left out.
    """

    predicted: np.ndarray
    fold_scores: np.ndarray
    influence: np.ndarray


def cross_validate_ridge(
    predictors: Predictors, outcomes: np.ndarray, fold: np.ndarray
) -> CrossValidated:
    """Predict numbers, (n, t), by ridge regression; scored by R².

    Parameters
    ----------
    predictors : Predictors
        Of n participants.
    outcomes : ndarray, shape (n, t)
        Finite; of those left out it does not matter.
    fold : ndarray of int, shape (n,)
        -1 of those left out.
    """

    def fit(fitted):
        return fit_ridge(predictors.rotate(fitted), outcomes, fitted)

    return _cross_validate(fit, outcomes, fold, scores.r_squared, scores.r_squared_derivatives)


def cross_validate_logistic(
    predictors: Predictors,
    outcomes: np.ndarray,
    fold: np.ndarray,
    shuffled: np.ndarray | None = None,
) -> tuple[CrossValidated, np.ndarray]:
    """Predict classes, (n, t) of bool, each by a logistic regression of its own; scored by AUC.

    The parameters are those of `cross_validate_ridge`, and `shuffled` the same classes of people
    who changed places. They are predicted by ridge regression: where there is nothing to know it is
    the logistic regression, but for a factor, at a fraction of the work, since the logistic
    likelihood curves alike for everybody near the null model.

    Returns
    -------
    CrossValidated
    ndarray, shape (folds, t)
        Areas under the ROC curve of shuffled classes; NaN without them.
    """
    near, floors = _ridge_beforehand(predictors, outcomes, fold, shuffled)
    parts = []
    for column, of_folds in zip(outcomes.T, near.T, strict=True):
        fits = _WarmStarts(predictors, column, iter(of_folds))
        parts.append(
            _cross_validate(fits.fit, column[:, None], fold, scores.auc, scores.auc_derivatives)
        )
    found = CrossValidated(
        predicted=np.concatenate([part.predicted for part in parts], axis=1),
        fold_scores=np.concatenate([part.fold_scores for part in parts], axis=1),
        influence=np.concatenate([part.influence for part in parts], axis=2),
    )
    return found, floors


def _ridge_beforehand(
    predictors: Predictors,
    outcomes: np.ndarray,
    fold: np.ndarray,
    shuffled: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Give the penalties of ridge regressions, and areas of shuffled classes, (folds, t) both."""
    names, t = np.unique(fold[fold != LEFT_OUT]), outcomes.shape[1]
    near, floors = np.empty((len(names), t)), np.full((len(names), t), np.nan)
    regressed = outcomes if shuffled is None else np.concatenate([outcomes, shuffled], axis=1)
    for index, name in enumerate(names):
        held_out = fold == name
        fitted = (fold != LEFT_OUT) & ~held_out
        fits = fit_ridge(predictors.rotate(fitted), regressed.astype(float), fitted)
        near[index] = fits.penalties[:t]
        if shuffled is not None:
            for column, predicted in enumerate(fits.predict(held_out)[:, t:].T):
                floors[index, column] = scores.auc(shuffled[held_out, column], predicted)
    return near, floors


class _WarmStarts:
    """Fits of one outcome, each from that of the fold before: they differ little.

    The fold before has seen those held out. So only the coefficients start from it, which end where
    they would anyway; the search for a penalty starts where this fold's own ridge regression says.
    """

    def __init__(self, predictors: Predictors, outcome: np.ndarray, near: Iterator[float]):
        self.predictors, self.outcome, self.near, self.last = predictors, outcome, near, None

    def fit(self, fitted: np.ndarray):
        self.last = fit_ridge_logistic(
            self.predictors, self.outcome, fitted, self.last, next(self.near)
        )
        return self.last


def _cross_validate(
    fit: Callable, outcomes: np.ndarray, fold: np.ndarray, score: Callable, derivatives: Callable
) -> CrossValidated:
    names = np.unique(fold[fold != LEFT_OUT])
    n, t = outcomes.shape
    predicted = np.full((n, t), np.nan)
    fold_scores = np.empty((len(names), t))
    influence = np.zeros((n, 1 + len(names), t))
    for index, name in enumerate(names):
        held_out = fold == name
        fits = fit((fold != LEFT_OUT) & ~held_out)
        predicted[held_out] = fits.predict(held_out)
        slopes = np.zeros((n, t))
        for column in range(t):
            pair = outcomes[held_out, column], predicted[held_out, column]
            fold_scores[index, column] = score(*pair)
            by_weight, by_prediction = derivatives(*pair)
            influence[held_out, 0, column] = by_weight
            slopes[held_out, column] = by_prediction
        influence[:, 1 + index] = fits.influence(slopes)
    return CrossValidated(predicted, fold_scores, influence / len(names))
