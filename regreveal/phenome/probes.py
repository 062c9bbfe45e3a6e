"""Linear probes: how well phenotypes are read off a latent space, and whether one reads better.

A number is predicted by ridge regression and scored by R², a category by logistic regression and
scored by the area under the ROC curve of its probabilities; both out of fold, in five folds that
depend on the participants and the target only, so they are the same in every arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

from regreveal.errors import InputError
from regreveal.phenome.folds import stratified_folds
from regreveal.phenome.single_probe import (
    MINIMUM_CLASS,
    ProbeResult,
    check_latents,
    infer_kind,
    influence_error,
    probe,
)

__all__ = [
    "MINIMUM_CLASS",
    "ProbeDifference",
    "ProbeResult",
    "compare_probes",
    "infer_kind",
    "probe",
    "run_probes",
    "stratified_folds",
]

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
    "q_value",
    "reason",
]


MEAN_COLUMNS = [
    "metric",
    "targets",
    "arm",
    "baseline",
    "score",
    "baseline_score",
    "difference",
    "low",
    "high",
    "p",
]


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
    return _with_interval(difference, *influence_error(influence, result.strata, result.metric))


def mean_difference(
    results: Sequence[ProbeResult], baselines: Sequence[ProbeResult], folds: np.ndarray
) -> ProbeDifference:
    """Mean over targets of the difference of two arms' scores, with a paired interval.

    A participant's influence on the mean is the mean of the influences on each target's
    difference, so that targets that go together do not make the interval too narrow.

    Parameters
    ----------
    results, baselines : sequence of ProbeResult
        Of the same targets, all of one metric, on the same participants; those that are not
        scored are left out, and there must be others.
    folds : ndarray, shape (n,)
        Of all participants.

    Returns
    -------
    ProbeDifference
    """
    pairs = [
        (result, baseline)
        for result, baseline in zip(results, baselines, strict=True)
        if not np.isnan(result.score)
    ]
    difference = np.mean([result.score - baseline.score for result, baseline in pairs])
    total = np.zeros_like(pairs[0][0].influence)
    for result, baseline in pairs:
        scored = ~np.isnan(result.influence[:, 0])
        influence = (result.influence - baseline.influence)[scored]
        # About the means of the target's own strata: those of several targets differ.
        for stratum in np.unique(result.strata):
            rows = result.strata == stratum
            influence[rows] -= influence[rows].mean(axis=0)
        total[scored] += influence / len(pairs)
    metric = pairs[0][0].metric
    return _with_interval(float(difference), *influence_error(total, folds, metric))


def _with_interval(difference: float, error: float, freedom: float) -> ProbeDifference:
    margin = t.ppf(0.975, freedom) * error
    p = 2 * t.sf(abs(difference) / error, freedom) if error > 0 else float(difference == 0)
    return ProbeDifference(difference, difference - margin, difference + margin, float(p))


def run_probes(
    arms: Mapping[str, np.ndarray],
    targets: pd.DataFrame,
    folds: pd.Series,
    baseline: str | None = None,
    kinds: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
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
        score, baseline_score, difference, low, high, p, q_value (Benjamini and Hochberg, over the
        targets of the arm), reason.
    means : DataFrame
        A row an arm and metric: metric, targets (how many are scored), arm, baseline, score and
        baseline_score (means over targets), difference, low, high, p.

    Raises
    ------
    InputError
        As in `probe`; also if the baseline is not an arm.
    """
    baseline = baseline or next(iter(arms))
    if baseline not in arms:
        raise InputError(f"probes: no arm '{baseline}' (there are: {', '.join(arms)})")
    arms = {arm: check_latents(x, len(targets), f"arm '{arm}'") for arm, x in arms.items()}
    score_rows, difference_rows, scored = [], [], {}
    for name in targets.columns:
        kind = (kinds or {}).get(name)
        results = {arm: probe(latents, targets[name], folds, kind) for arm, latents in arms.items()}
        scored[name] = results
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
    differences = pd.DataFrame(difference_rows, columns=DIFFERENCE_COLUMNS)
    differences["q_value"] = differences.groupby("arm")["p"].transform(_q_values)
    means = _means(scored, baseline, folds.loc[targets.index].to_numpy())
    return pd.DataFrame(score_rows, columns=SCORE_COLUMNS), differences, means


def _means(
    scored: Mapping[str, Mapping[str, ProbeResult]], baseline: str, folds: np.ndarray
) -> pd.DataFrame:
    """Average over the targets of each metric that are scored, an arm after another."""
    rows = []
    of_targets = [r for r in scored.values() if not np.isnan(r[baseline].score)]
    for metric in ("r2", "auc"):
        alike = [results for results in of_targets if results[baseline].metric == metric]
        for arm in alike[0] if alike else ():
            if arm == baseline:
                continue
            before, after = ([results[name] for results in alike] for name in (baseline, arm))
            row = {"metric": metric, "targets": len(alike), "arm": arm, "baseline": baseline}
            row["score"] = np.mean([result.score for result in after])
            row["baseline_score"] = np.mean([result.score for result in before])
            difference = mean_difference(after, before, folds)
            rows.append(row | _fields(difference, ("difference", "low", "high", "p")))
    return pd.DataFrame(rows, columns=MEAN_COLUMNS)


def _q_values(p: pd.Series) -> pd.Series:
    """Benjamini and Hochberg's q of those that have a p."""
    known = p.dropna()
    return pd.Series(false_discovery_control(known) if len(known) else [], known.index, float)


def _fields(result: ProbeResult | ProbeDifference, names) -> dict:
    return {name: getattr(result, name) for name in names}
