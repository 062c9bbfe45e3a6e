"""Paired differences of probes' scores, of one target and of the mean over several."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from regreveal.errors import InputError
from regreveal.phenome.probes.scores import auc_interval, r_squared_interval
from regreveal.phenome.probes.single import ProbeResult, influence_error


@dataclass(frozen=True)
class ProbeDifference:
    """One score less another on the same participants.

    Parameters
    ----------
    difference, low, high : float
        With its 95 % interval; NaN where either is not scored.
    error : float
        Standard error.
    p : float
        Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    error: float
    p: float


def compare_probes(result: ProbeResult, baseline: ProbeResult) -> ProbeDifference:
    """Difference of two scores of one target, with a paired interval.

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
    same = np.array_equal(result.target.fold, baseline.target.fold)
    if result.target.name != baseline.target.name or not same:
        raise InputError(
            f"probes of '{result.target.name}' ({result.n} participants) and "
            f"'{baseline.target.name}' ({baseline.n}) are not paired; expected one target on the "
            "same participants"
        )
    if np.isnan(result.score):
        return ProbeDifference(np.nan, np.nan, np.nan, np.nan, np.nan)
    influence = (result.influence - baseline.influence)[result.target.scored]
    return _with_interval(result.score - baseline.score, *influence_error(influence, result.metric))


class MeanDifference:
    """Means over targets of two arms' scores and of their difference, gathered target by target.

    A participant's influence on a mean is the mean of the influences on each target's score or
    difference, so that targets that go together do not make an interval too narrow.
    """

    def __init__(self):
        self._metric = ""
        self._scores: list[tuple[float, float]] = []
        self._influences = [np.zeros(1), np.zeros(1)]
        self._scored = np.zeros(1, bool)

    def add(self, result: ProbeResult, baseline: ProbeResult) -> None:
        """Add a target: results that `compare_probes` would compare, both scored."""
        self._metric = result.metric
        self._scores.append((result.score, baseline.score))
        for place, arm in enumerate((result, baseline)):
            self._influences[place] = self._influences[place] + arm.influence
        self._scored = self._scored | result.target.scored

    def result(self) -> dict:
        """Give `targets` (how many), either arm's mean score and their difference, with intervals.

        Those of the scores are made on the scales of single scores, see docs/probes.md.
        """
        count = len(self._scores)
        means = np.mean(self._scores, axis=0)
        arms = [influence[self._scored] / count for influence in self._influences]
        interval = {"r2": r_squared_interval, "auc": auc_interval}[self._metric]
        told = {"targets": count}
        names = (("score", "score"), ("baseline_score", "baseline"))
        for (score, arm), mean, influence in zip(names, means, arms, strict=True):
            low, high = interval(float(mean), *influence_error(influence, self._metric))
            told |= {score: mean, f"{arm}_low": low, f"{arm}_high": high}
        error = influence_error(arms[0] - arms[1], self._metric)
        found = _with_interval(float(means[0] - means[1]), *error)
        return told | {name: getattr(found, name) for name in ("difference", "low", "high", "p")}


def _with_interval(difference: float, error: float, freedom: float) -> ProbeDifference:
    margin = t.ppf(0.975, freedom) * error
    p = 2 * t.sf(abs(difference) / error, freedom) if error > 0 else float(difference == 0)
    return ProbeDifference(difference, difference - margin, difference + margin, error, float(p))
