"""Linear probes: how well phenotypes are read off a latent space, and whether one reads better.

A number is predicted by ridge regression and scored by R², a category by logistic regression and
scored by the area under the ROC curve of its probabilities; both out of fold, in five folds that
depend on the participants and the target only, so they are the same in every arm.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from regreveal.errors import InputError
from regreveal.phenome import scores
from regreveal.phenome.ridge import fit_ridge, fit_ridge_logistic

MINIMUM_CLASS = 10  # two a fold
MINIMUM_FOLD = 5  # participants of a fold, for a number
TWO_SIDED_95 = norm.ppf(0.975)

SCORE_COLUMNS = [
    "arm",
    "target",
    "kind",
    "metric",
    "n",
    "n_missing",
    "score",
    "low",
    "high",
    "pearson_r",
    "reason",
]
DIFFERENCE_COLUMNS = [
    "target",
    "kind",
    "metric",
    "n",
    "arm",
    "baseline",
    "score",
    "baseline_score",
    "difference",
    "low",
    "high",
    "p",
    "reason",
]


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


@dataclass(frozen=True)
class ProbeDifference:
    """The score of one arm less that of another on the same participants.

    Parameters
    ----------
    difference, low, high : float
        With its 95 % interval; NaN where either is not scored.
    p : float
        Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    p: float


def infer_kind(target: pd.Series) -> str:
    """Whether a target is a "number" (numeric, over two distinct values) or a "category"."""
    numeric = pd.api.types.is_numeric_dtype(target) and not pd.api.types.is_bool_dtype(target)
    return "number" if numeric and target.nunique() > 2 else "category"


def stratified_folds(labels: pd.Series, folds: pd.Series) -> pd.Series:
    """Folds in which each class is spread evenly, as near to the given folds as that allows.

    Each class is lined up by given fold and cut into equal runs, so that only those beyond a fold's
    share move, to a neighbouring fold. Who moves is settled by a digest of the sample id: the
    result depends on participants, their class and their given fold, not on arm or row order.

    Parameters
    ----------
    labels : Series, length n
        Classes, indexed by sample id; none missing.
    folds : Series
        Given folds, indexed by sample id.

    Returns
    -------
    Series
        New folds, indexed as `labels`. Each fold's number of a class differs from another's by at
        most one, and so do the sizes of folds.
    """
    names = np.unique(folds)
    digests = [hashlib.blake2b(str(i).encode(), digest_size=8).hexdigest() for i in labels.index]
    line = pd.DataFrame(
        {"label": labels.astype(str), "fold": folds.loc[labels.index], "digest": digests}
    ).sort_values(["label", "fold", "digest"])
    stratified = pd.Series(0, index=line.index)
    dealt = 0
    for rows in line.groupby("label", sort=True).indices.values():
        sizes = np.full(len(names), len(rows) // len(names))
        extra = len(rows) % len(names)
        sizes[(dealt + np.arange(extra)) % len(names)] += 1
        dealt += extra
        stratified.iloc[rows] = np.repeat(names, sizes)
    return stratified.loc[labels.index]


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
    latents = _check_latents(latents, len(target), "latents")
    _check_folds(target, folds)
    kind = kind or infer_kind(target)
    if kind not in ("number", "category"):
        raise InputError(f"target '{target.name}': kind '{kind}'; expected number or category")
    if kind == "number":
        return _probe_number(latents, target, folds)
    return _probe_category(latents, target, folds)


def compare_probes(result: ProbeResult, baseline: ProbeResult) -> ProbeDifference:
    """Difference of two arms' scores on one target, with a paired interval.

    The interval is of the difference itself: a participant who is hard to predict in both arms
    moves both scores, and the difference little.

    Parameters
    ----------
    result, baseline : ProbeResult

    Returns
    -------
    ProbeDifference

    Raises
    ------
    InputError
        If they are of different targets or participants.
    """
    paired = np.array_equal(np.isnan(result.influence), np.isnan(baseline.influence))
    if result.target != baseline.target or not paired:
        raise InputError(
            f"probes of '{result.target}' ({result.n} participants) and '{baseline.target}' "
            f"({baseline.n}) are not paired; expected one target on the same participants"
        )
    if np.isnan(result.score):
        return ProbeDifference(np.nan, np.nan, np.nan, np.nan)
    difference = result.score - baseline.score
    influence = (result.influence - baseline.influence)[~np.isnan(result.influence[:, 0])]
    error = scores.standard_error(influence[:, 0], influence[:, 1:], result.strata)
    p = 2 * norm.sf(abs(difference) / error) if error > 0 else float(difference == 0)
    return ProbeDifference(
        difference, difference - TWO_SIDED_95 * error, difference + TWO_SIDED_95 * error, float(p)
    )


def run_probes(
    arms: Mapping[str, np.ndarray],
    targets: pd.DataFrame,
    folds: pd.Series,
    baseline: str | None = None,
    kinds: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Probe every target in every arm, and compare each arm with the baseline.

    Parameters
    ----------
    arms : mapping of str to ndarray, shape (n, k)
        Latents by arm, of the same participants; k may differ.
    targets : DataFrame, n rows
        Aligned with the latents and indexed by sample id; a column a target.
    folds : Series
        Fold of each participant, indexed by sample id.
    baseline : str, optional
        The arm compared with; the first by default.
    kinds : mapping of str to {"number", "category"}, optional
        Of targets for which `infer_kind` would be wrong.

    Returns
    -------
    scores : DataFrame
        A row an arm and target: arm, target, kind, metric, n, n_missing, score, low, high,
        pearson_r, reason.
    differences : DataFrame
        A row an arm (other than the baseline) and target: target, kind, metric, n, arm, baseline,
        score, baseline_score, difference, low, high, p, reason.

    Raises
    ------
    InputError
        As in `probe`; also if the baseline is not an arm.
    """
    baseline = baseline or next(iter(arms))
    if baseline not in arms:
        raise InputError(f"probes: no arm '{baseline}' (there are: {', '.join(arms)})")
    arms = {arm: _check_latents(x, len(targets), f"arm '{arm}'") for arm, x in arms.items()}
    score_rows, difference_rows = [], []
    for name in targets.columns:
        kind = (kinds or {}).get(name)
        results = {arm: probe(latents, targets[name], folds, kind) for arm, latents in arms.items()}
        for arm, result in results.items():
            score_rows.append({"arm": arm} | _fields(result, SCORE_COLUMNS[1:]))
            if arm == baseline:
                continue
            difference = compare_probes(result, results[baseline])
            difference_rows.append(
                _fields(result, ("target", "kind", "metric", "n", "score", "reason"))
                | {"arm": arm, "baseline": baseline, "baseline_score": results[baseline].score}
                | _fields(difference, ("difference", "low", "high", "p"))
            )
    return (
        pd.DataFrame(score_rows, columns=SCORE_COLUMNS),
        pd.DataFrame(difference_rows, columns=DIFFERENCE_COLUMNS),
    )


def _fields(result: ProbeResult | ProbeDifference, names) -> dict:
    return {name: getattr(result, name) for name in names}


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
    margin = TWO_SIDED_95 * scores.standard_error(influence[:, 0], influence[:, 1:], fold)
    correlations = [_correlation(values[fold == f], predicted[fold == f, 0]) for f in names]
    return ProbeResult(
        target=str(target.name),
        kind="number",
        metric="r2",
        score=score,
        low=score - margin,
        high=score + margin,
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
    error = scores.standard_error(influence[:, 0], influence[:, 1:], strata)
    low, high = _area_interval(score, error)
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


def _area_interval(area: float, error: float) -> tuple[float, float]:
    """Interval on the logit scale, which keeps it between 0 and 1."""
    if area in (0.0, 1.0):
        return area, area
    margin = TWO_SIDED_95 * error / (area * (1 - area))
    return float(expit(logit(area) - margin)), float(expit(logit(area) + margin))


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


def _check_latents(latents: np.ndarray, n: int, what: str) -> np.ndarray:
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


def _check_folds(target: pd.Series, folds: pd.Series) -> None:
    unknown = target.index.difference(folds.index)
    if len(unknown):
        raise InputError(
            f"probes: {len(unknown)} of {len(target)} participants have no fold; "
            "make one split file for all of them"
        )
