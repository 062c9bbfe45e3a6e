"""A linear probe: how well one phenotype is read off one latent space, and how sure that is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from regreveal.errors import InputError
from regreveal.phenome import scores
from regreveal.phenome.folds import check_folds, stratified_folds
from regreveal.phenome.ridge import fit_ridge, fit_ridge_logistic

MINIMUM_CLASS = 10  # two a fold
MINIMUM_FOLD = 5  # participants of a fold, for a number


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Parameters
    ----------
    target : str
    kind : {"number", "category"}
    metric : {"r2", "auc"}
    score : float
        Mean over folds; NaN where not scored.
    low, high : float
        95 % interval of the score.
    fold_scores : ndarray, shape (folds,)
    pearson_r : float
        Mean over folds of the correlation of predicted and observed; NaN for a category.
    predictions : ndarray, shape (n,) or (n, classes)
        Out of fold: the number, the probability of the last of two classes in sorted order, or
        one-against-the-rest probabilities. NaN where a participant is left out.
    n, n_missing : int
        Participants scored, and participants without a value of the target.
    influence : ndarray, shape (n, 1 + folds)
        Of each participant on the score, by being scored and by being fitted to for each fold;
        NaN as above.
    strata : ndarray of int, shape (n,)
        Fold, or class within fold, of those in the score.
    reason : str
        Why it is not scored, or which classes are left out; empty otherwise.
    """

    target: str
    kind: str
    metric: str
    score: float
    low: float
    high: float
    fold_scores: np.ndarray
    pearson_r: float
    predictions: np.ndarray
    n: int
    n_missing: int
    influence: np.ndarray
    strata: np.ndarray
    reason: str = ""


def infer_kind(target: pd.Series) -> str:
    """Whether a target is a "number" (numeric, over two distinct values) or a "category"."""
    numeric = pd.api.types.is_numeric_dtype(target) and not pd.api.types.is_bool_dtype(target)
    return "number" if numeric and target.nunique() > 2 else "category"


def probe(
    latents: np.ndarray,
    target: pd.Series,
    folds: pd.Series,
    kind: str | None = None,
) -> ProbeResult:
    """Predict one target from latents, out of fold.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    target : Series, length n
        Aligned with `latents` and indexed by sample id; missing values are left out and counted.
    folds : Series
        Fold of each participant (and maybe of others), indexed by sample id.
    kind : {"number", "category"}, optional
        As `infer_kind` finds by default; give it for a category coded in numbers.

    Returns
    -------
    ProbeResult
        With a reason instead of a score where the target is constant or too rarely observed.

    Raises
    ------
    InputError
        If latents are not finite or not (n, k), or a participant has no fold.
    """
    latents = check_latents(latents, len(target), "latents")
    check_folds(target, folds)
    kind = kind or infer_kind(target)
    if kind not in ("number", "category"):
        raise InputError(f"target '{target.name}': kind '{kind}'; expected number or category")
    if kind == "number":
        return _probe_number(latents, target, folds)
    return _probe_category(latents, target, folds)


def influence_error(influence: np.ndarray, strata: np.ndarray, metric: str) -> tuple[float, float]:
    """Estimate the standard error of a score or of a difference of two, and its degrees of freedom.

    Parameters
    ----------
    influence, strata
        Of those scored only, as in `ProbeResult`.
    metric : {"r2", "auc"}
        R² is skewed, and intervals without the squares would be too narrow; those of the area
        hold the truth without. Both by measurement: docs/phenome.md, "Intervals".

    Returns
    -------
    error, freedom : float
    """
    by_weight, by_fit = influence[:, 0], influence[:, 1:]
    return scores.standard_error(by_weight, by_fit, strata, squares=metric == "r2")


def _probe_number(latents: np.ndarray, target: pd.Series, folds: pd.Series) -> ProbeResult:
    rows = np.flatnonzero(target.notna())
    values = target.iloc[rows].to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            f"target '{target.name}': {(~np.isfinite(values)).sum()} values are infinite; "
            "leave them empty or correct them"
        )
    fold = folds.loc[target.index[rows]].to_numpy()
    names = np.unique(folds)
    if min(np.sum(fold == name) for name in names) < MINIMUM_FOLD:
        return _not_scored(target, "number", f"fewer than {MINIMUM_FOLD} participants in a fold")
    if min(np.ptp(values[fold == name]) for name in names) == 0:
        return _not_scored(target, "number", "constant, in all participants or in a fold")

    predicted, fold_scores, influence = _cross_validate(
        latents[rows],
        values[:, None],
        fold,
        fit_ridge,
        scores.r_squared,
        scores.r_squared_derivatives,
    )
    score = float(fold_scores.mean())
    low, high = scores.r_squared_interval(score, *influence_error(influence, fold, "r2"))
    correlations = [_correlation(values[fold == f], predicted[fold == f, 0]) for f in names]
    return ProbeResult(
        target=str(target.name),
        kind="number",
        metric="r2",
        score=score,
        low=low,
        high=high,
        fold_scores=fold_scores,
        pearson_r=float(np.mean(correlations)),
        predictions=_spread(predicted[:, 0], rows, len(target)),
        n=len(rows),
        n_missing=len(target) - len(rows),
        influence=_spread(influence, rows, len(target)),
        strata=fold,
    )


def _probe_category(latents: np.ndarray, target: pd.Series, folds: pd.Series) -> ProbeResult:
    labels = target.dropna().astype(str)
    counts = labels.value_counts()
    classes = sorted(counts.index[counts >= MINIMUM_CLASS])
    small = sorted(counts.index[counts < MINIMUM_CLASS])
    if len(classes) < 2:
        return _not_scored(
            target, "category", f"fewer than two classes of at least {MINIMUM_CLASS} participants"
        )
    kept = target.notna() & target.astype(str).isin(classes)
    rows = np.flatnonzero(kept)
    labels = target.iloc[rows].astype(str)
    fold = stratified_folds(labels, folds).to_numpy()
    scored = classes if len(classes) > 2 else classes[1:]

    predicted, fold_scores, influence = _cross_validate(
        latents[rows],
        labels.to_numpy()[:, None] == np.array(scored),
        fold,
        fit_ridge_logistic,
        scores.auc,
        scores.auc_derivatives,
    )
    score = float(fold_scores.mean())
    strata = np.unique([fold, labels.factorize()[0]], axis=1, return_inverse=True)[1].ravel()
    low, high = scores.auc_interval(score, *influence_error(influence, strata, "auc"))
    probabilities = _spread(expit(predicted), rows, len(target))
    return ProbeResult(
        target=str(target.name),
        kind="category",
        metric="auc",
        score=score,
        low=low,
        high=high,
        fold_scores=fold_scores,
        pearson_r=np.nan,
        predictions=probabilities if len(scored) > 1 else probabilities[:, 0],
        n=len(rows),
        n_missing=int(target.isna().sum()),
        influence=_spread(influence, rows, len(target)),
        strata=strata,
        reason=f"classes of fewer than {MINIMUM_CLASS}: {', '.join(small)}" if small else "",
    )


def _cross_validate(
    latents: np.ndarray,
    outcomes: np.ndarray,
    fold: np.ndarray,
    fit_model: Callable,
    score: Callable,
    derivatives: Callable,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predict each column of `outcomes` (n, c) out of fold.

    Returns
    -------
    predicted : ndarray, shape (n, c)
    fold_scores : ndarray, shape (folds,)
        Averaged over columns.
    influence : ndarray, shape (n, 1 + folds)
        Of each participant on the mean over folds: by being scored, and by being fitted to for
        each fold.
    """
    names = np.unique(fold)
    predicted = np.empty(outcomes.shape)
    fold_scores = np.zeros((len(names), outcomes.shape[1]))
    influence = np.zeros((len(fold), 1 + len(names)))
    for index, column in np.ndindex(fold_scores.shape):
        held_out = fold == names[index]
        outcome = outcomes[:, column]
        fit = fit_model(latents[~held_out], outcome[~held_out])
        design = fit.design(latents[held_out])
        predicted[held_out, column] = design @ fit.coefficients
        pair = outcome[held_out], predicted[held_out, column]
        fold_scores[index, column] = score(*pair)
        by_weight, by_prediction = derivatives(*pair)
        influence[held_out, 0] += by_weight
        gradient = design.T @ by_prediction
        influence[~held_out, 1 + index] += fit.influence(latents[~held_out], gradient)
    return predicted, fold_scores.mean(axis=1), influence / fold_scores.size


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Put values at their rows of n, and NaN elsewhere."""
    spread = np.full((n, *values.shape[1:]), np.nan)
    spread[rows] = values
    return spread


def _not_scored(target: pd.Series, kind: str, reason: str) -> ProbeResult:
    nothing = np.full(len(target), np.nan)
    return ProbeResult(
        target=str(target.name),
        kind=kind,
        metric="r2" if kind == "number" else "auc",
        score=np.nan,
        low=np.nan,
        high=np.nan,
        fold_scores=np.array([]),
        pearson_r=np.nan,
        predictions=nothing,
        n=0,
        n_missing=int(target.isna().sum()),
        influence=nothing[:, None],
        strata=np.array([], int),
        reason=reason,
    )


def _correlation(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's r; 0 where the prediction is the same for everybody."""
    if np.ptp(predicted) == 0:
        return 0.0
    return float(np.corrcoef(observed, predicted)[0, 1])


def check_latents(latents: np.ndarray, n: int, what: str) -> np.ndarray:
    """Latents in double precision; raise InputError if they are not finite or not (n, k)."""
    latents = np.asarray(latents, np.float64)
    if latents.ndim != 2 or len(latents) != n or not n:
        raise InputError(
            f"probes: {what} has shape {latents.shape}; expected ({n}, dimensions), "
            "a row a participant of the targets"
        )
    bad = ~np.isfinite(latents).all(axis=1)
    if bad.any():
        raise InputError(
            f"probes: {what} has values that are not finite for {bad.sum()} of {n} participants; "
            "leave them out or look for a failed embedding"
        )
    return latents
