"""Linear probes: how well phenotypes are read off one latent space, and how sure that is."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.phenome.probes import scores
from regreveal.phenome.probes.calibration import CURVE_COLUMNS, calibration_curve, calibration_line
from regreveal.phenome.probes.cross_validation import (
    CrossValidated,
    cross_validate_logistic,
    cross_validate_ridge,
)
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.targets import Target, prepare_target

SHARING = 32  # numbers fitted together: then the work that they share is small
LARGE_DESIGN = 1_000_000  # numbers in it
MAX_THREADS = 8  # each holds some four copies of the design


@dataclass(frozen=True)
class Measures:
    """What is told of predictions beside the score; NaN where it does not apply.

    Parameters
    ----------
    pearson_r : float
        Mean over folds of the correlation of predicted and observed numbers.
    rmse, mae, sd : float
        Root mean squared and mean absolute error of all held-out numbers, and the standard
        deviation of the numbers themselves, in their units.
    average_precision, prevalence : float
        Mean over folds and classes, and its level by chance.
    calibration_intercept, calibration_slope : float
        Of the held-out log odds, averaged over classes; see `calibration_line`.
    calibration : DataFrame
        `class`, and the columns of `calibration_curve`.
    """

    pearson_r: float = np.nan
    rmse: float = np.nan
    mae: float = np.nan
    sd: float = np.nan
    average_precision: float = np.nan
    prevalence: float = np.nan
    calibration_intercept: float = np.nan
    calibration_slope: float = np.nan
    calibration: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["class", *CURVE_COLUMNS])
    )


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Parameters
    ----------
    target : Target
    score : float
        Mean over folds (and classes); NaN where not scored.
    low, high : float
        95 % interval of the score.
    fold_scores : ndarray, shape (folds,)
    floor : float
        Score of the same probe on shuffled labels; NaN where that was not asked for.
    predictions : ndarray, shape (n,) or (n, classes)
        Out of fold: the number, the probability of the last of two classes, or one-against-the-rest
        probabilities. NaN where a participant is left out.
    n : int
        Participants scored.
    influence : ndarray, shape (n, 1 + folds)
        Of each participant on the score, by being scored and by being fitted to for each fold;
        about the mean of its stratum, 0 where a participant is left out.
    measures : Measures
    """

    target: Target
    score: float
    low: float
    high: float
    fold_scores: np.ndarray
    floor: float
    predictions: np.ndarray
    n: int
    influence: np.ndarray
    measures: Measures

    @property
    def metric(self) -> str:
        """What the target is scored by: "r2" or "auc"."""
        return self.target.metric


def probe(
    latents: np.ndarray,
    target: pd.Series,
    folds: pd.Series,
    given_type: str | None = None,
) -> ProbeResult:
    """Predict one target from latents, out of fold.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    target : Series, length n
        Aligned with `latents` and indexed by sample id; missing values are left out and counted.
    folds : Series
        Fold of each participant (and maybe of others), indexed by sample id.
    given_type : {"continuous", "binary", "categorical"}, optional
        As `recognise_type` finds by default; give it for a category coded in numbers.

    Returns
    -------
    ProbeResult
        With a reason instead of a score where the target is constant or too rarely observed.

    Raises
    ------
    InputError
        If latents are not finite or not (n, k), a participant has no fold, or the target is not
        of the type given.
    """
    latents = check_latents(latents, len(target), "latents")
    prepared = prepare_target(target, folds, given_type)
    return probe_targets(Predictors(latents), [prepared])[0]


def probe_targets(
    predictors: Predictors, targets: Sequence[Target], ids: pd.Index | None = None
) -> list[ProbeResult]:
    """Predict targets out of fold; numbers of the same participants share their work.

    Parameters
    ----------
    predictors : Predictors
        Of n participants.
    targets : sequence of Target
        Of the same; in memory it takes some 100 · n bytes for each.
    ids : Index, length n, optional
        Sample ids, to predict shuffled labels, too.

    Returns
    -------
    list of ProbeResult
        As `targets`.
    """
    alike: dict[bytes | int, list[int]] = {}
    for place, target in enumerate(targets):
        shares = target.scorable and target.metric == "r2"
        alike.setdefault(target.fold.tobytes() if shares else place, []).append(place)
    parts = [
        places[first : first + SHARING]
        for places in alike.values()
        for first in range(0, len(places), SHARING)
    ]

    def work(places: list[int]) -> list[ProbeResult]:
        return _probe_alike(predictors, [targets[place] for place in places], ids)

    # Worth it for large designs only, whose products leave Python to the other threads.
    cores = available_cores() if predictors.design.size > LARGE_DESIGN else 1
    if min(cores, len(parts)) == 1:
        found = [work(places) for places in parts]
    else:
        with threadpool_limits(1), ThreadPoolExecutor(min(cores, len(parts), MAX_THREADS)) as pool:
            found = list(pool.map(work, parts))
    results = dict(zip(chain.from_iterable(parts), chain.from_iterable(found), strict=True))
    return [results[place] for place in range(len(targets))]


def _probe_alike(
    predictors: Predictors, targets: list[Target], ids: pd.Index | None
) -> list[ProbeResult]:
    """Probe targets of the same folds, all numbers or a single one of any kind."""
    if not targets[0].scorable:
        return [_not_scored(target) for target in targets]
    outcomes = np.concatenate([target.outcomes for target in targets], axis=1)
    fold, columns = targets[0].fold, outcomes.shape[1]
    floors = np.full(columns, np.nan)
    shuffled = outcomes[:, :0]
    if ids is not None:
        shuffled = np.concatenate([target.shuffled(ids) for target in targets], axis=1)
    if targets[0].metric == "r2":
        found = cross_validate_ridge(predictors, np.column_stack([outcomes, shuffled]), fold)
        floors[: shuffled.shape[1]] = found.fold_scores[:, columns:].mean(axis=0)
    else:
        exchanged = None if ids is None else shuffled
        found, of_shuffled = cross_validate_logistic(predictors, outcomes, fold, exchanged)
        floors = of_shuffled.mean(axis=0)
    results, first = [], 0
    for target in targets:
        own = slice(first, first + target.outcomes.shape[1])
        results.append(_result(target, found, own, float(floors[own].mean())))
        first = own.stop
    return results


def _result(target: Target, found: CrossValidated, columns: slice, floor: float) -> ProbeResult:
    scored = target.scored
    fold_scores = found.fold_scores[:, columns].mean(axis=1)
    influence = np.zeros(found.influence.shape[:2])
    influence[scored] = scores.centred_influence(
        found.influence[scored][..., columns].mean(axis=2), target.strata[scored]
    )
    predicted = found.predicted[:, columns]
    score = float(fold_scores.mean())
    error, freedom = influence_error(influence[scored], target.metric)
    if target.metric == "r2":
        low, high = scores.r_squared_interval(score, error, freedom)
        measures = _measures_of_number(target, predicted[:, 0])
    else:
        low, high = scores.auc_interval(score, error, freedom)
        measures = _measures_of_classes(target, predicted)
        predicted = expit(predicted)
    return ProbeResult(
        target=target,
        score=score,
        low=low,
        high=high,
        fold_scores=fold_scores,
        floor=floor,
        predictions=predicted if predicted.shape[1] > 1 else predicted[:, 0],
        n=int(scored.sum()),
        influence=influence,
        measures=measures,
    )


def influence_error(centred: np.ndarray, metric: str) -> tuple[float, float]:
    """Estimate the standard error of a score or of a difference of two, and its degrees of freedom.

    Parameters
    ----------
    centred : ndarray, shape (n, 1 + folds)
        Influence of those scored, as in `ProbeResult`.
    metric : {"r2", "auc"}
        R² is skewed, and intervals without the squares would be too narrow; those of the area
        hold the truth without. Both by measurement: docs/probes.md, "Intervals".

    Returns
    -------
    error, freedom : float
    """
    return scores.standard_error(centred, squares=metric == "r2")


def _measures_of_number(target: Target, predicted: np.ndarray) -> Measures:
    scored = target.scored
    observed, fold = target.outcomes[scored, 0], target.fold[scored]
    predicted = predicted[scored]
    errors = observed - predicted
    correlations = [
        _correlation(observed[fold == name], predicted[fold == name]) for name in np.unique(fold)
    ]
    return Measures(
        pearson_r=float(np.mean(correlations)),
        rmse=float(np.sqrt(np.mean(errors**2))),
        mae=float(np.mean(np.abs(errors))),
        sd=float(observed.std(ddof=1)),
    )


def _measures_of_classes(target: Target, log_odds: np.ndarray) -> Measures:
    scored = target.scored
    fold = target.fold[scored]
    precisions, lines, curves = [], [], []
    for column, name in enumerate(target.classes):
        positive, predicted = target.outcomes[scored, column], log_odds[scored, column]
        precisions += [
            scores.average_precision(positive[fold == f], predicted[fold == f])
            for f in np.unique(fold)
        ]
        lines.append(calibration_line(positive, predicted))
        curve = calibration_curve(positive, expit(predicted))
        curve.insert(0, "class", name)
        curves.append(curve)
    intercept, slope = np.mean(lines, axis=0)
    return Measures(
        average_precision=float(np.mean(precisions)),
        prevalence=float(target.outcomes[scored].mean()),
        calibration_intercept=float(intercept),
        calibration_slope=float(slope),
        calibration=pd.concat(curves, ignore_index=True),
    )


def _not_scored(target: Target) -> ProbeResult:
    nothing = np.full(len(target.fold), np.nan)
    return ProbeResult(
        target=target,
        score=np.nan,
        low=np.nan,
        high=np.nan,
        fold_scores=np.array([]),
        floor=np.nan,
        predictions=nothing,
        n=0,
        influence=np.zeros((len(target.fold), 1)),
        measures=Measures(),
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
