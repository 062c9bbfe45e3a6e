"""Paired differences of probes' scores, of one target and of the mean over several."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from regreveal.errors import InputError
from regreveal.phenome.single_probe import ProbeResult, influence_error


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
    """Mean over targets of the difference of two arms' scores, gathered one target at a time.

    A participant's influence on the mean is the mean of the influences on each target's
    difference, so that targets that go together do not make the interval too narrow.
    """

    def __init__(self):
        self._metric = ""
        self._scores: list[tuple[float, float]] = []
        self._influence = np.zeros(1)
        self._scored = np.zeros(1, bool)

    def add(self, result: ProbeResult, baseline: ProbeResult) -> None:
        """Add a target: results that `compare_probes` would compare, both scored."""
        self._metric = result.metric
        self._scores.append((result.score, baseline.score))
        self._influence = self._influence + result.influence - baseline.influence
        self._scored = self._scored | result.target.scored

    def result(self) -> dict:
        """Give `targets` (how many), mean `score` and `baseline_score`, and their difference."""
        count = len(self._scores)
        score, before = np.mean(self._scores, axis=0)
        error = influence_error(self._influence[self._scored] / count, self._metric)
        found = _with_interval(float(score - before), *error)
        return {
            "targets": count,
            "score": score,
            "baseline_score": before,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p": found.p,
        }


def _with_interval(difference: float, error: float, freedom: float) -> ProbeDifference:
    margin = t.ppf(0.975, freedom) * error
    p = 2 * t.sf(abs(difference) / error, freedom) if error > 0 else float(difference == 0)
    return ProbeDifference(difference, difference - margin, difference + margin, error, float(p))
