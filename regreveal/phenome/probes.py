"""Linear probes: how well phenotypes are read off a latent space, and whether one reads better.

A number is predicted by ridge regression and scored by R², a category by logistic regression and
scored by the area under the ROC curve of its probabilities; both out of fold, in five folds that
depend on the participants and the target only, so they are the same in every arm.
"""

from collections.abc import Mapping
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
    error, freedom = influence_error(influence, result.strata, result.metric)
    margin = t.ppf(0.975, freedom) * error
    p = 2 * t.sf(abs(difference) / error, freedom) if error > 0 else float(difference == 0)
    return ProbeDifference(difference, difference - margin, difference + margin, float(p))


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
        score, baseline_score, difference, low, high, p, q_value (Benjamini and Hochberg, over the
        targets of the arm), reason.

    Raises
    ------
    InputError
        As in `probe`; also if the baseline is not an arm.
    """
    baseline = baseline or next(iter(arms))
    if baseline not in arms:
        raise InputError(f"probes: no arm '{baseline}' (there are: {', '.join(arms)})")
    arms = {arm: check_latents(x, len(targets), f"arm '{arm}'") for arm, x in arms.items()}
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
    differences = pd.DataFrame(difference_rows, columns=DIFFERENCE_COLUMNS)
    differences["q_value"] = differences.groupby("arm")["p"].transform(_q_values)
    return pd.DataFrame(score_rows, columns=SCORE_COLUMNS), differences


def _q_values(p: pd.Series) -> pd.Series:
    """Benjamini and Hochberg's q of those that have a p."""
    known = p.dropna()
    return pd.Series(false_discovery_control(known) if len(known) else [], known.index, float)


def _fields(result: ProbeResult | ProbeDifference, names) -> dict:
    return {name: getattr(result, name) for name in names}
