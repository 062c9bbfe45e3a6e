"""Corrections of p-values of paired differences for their number."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from regreveal.phenome.probes.differences import ProbeDifference

BOOTSTRAPS = 9999
DRAWN_AT_ONCE = 64  # bootstrap samples


class Families:
    """Differences by family, to be corrected for their number within it, in the order of rows."""

    def __init__(self):
        self._differences: dict[str, list[ProbeDifference]] = {}
        self._influence: dict[str, list[np.ndarray]] = {}
        self._of_rows: list[str] = []

    def add(self, family: str, difference: ProbeDifference, influence: np.ndarray) -> None:
        """Add a difference, with each participant's influence on it, (n,)."""
        self._differences.setdefault(family, []).append(difference)
        self._influence.setdefault(family, []).append(influence)
        self._of_rows.append(family)

    def correct(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Set `q_value` (Benjamini and Hochberg) and `p_corrected` of a row each added."""
        rows = rows.copy()
        of_rows = np.array(self._of_rows, dtype=object)
        for family, differences in self._differences.items():
            places = np.flatnonzero(of_rows == family)
            influence = np.stack(self._influence[family], axis=1)
            rows.loc[places, "p_corrected"] = corrected_p(differences, influence)
            p = np.array([each.p for each in differences])
            known = ~np.isnan(p)
            if known.any():
                rows.loc[places[known], "q_value"] = false_discovery_control(p[known])
        return rows.astype({"q_value": float, "p_corrected": float})


def corrected_p(
    differences: Sequence[ProbeDifference],
    influence: np.ndarray,
    bootstraps: int = BOOTSTRAPS,
    seed: int = 0,
) -> np.ndarray:
    """Correct the p-values of several differences for their number, as they go together.

    Participants are drawn with replacement, the same for all targets, and each difference is moved
    as their influence says, in units of the standard error among those drawn. A difference is held
    against the largest of all that are no larger than it (step-down), so the probability that any
    true null hypothesis is rejected is what the corrected p says. It is never below the p of the
    difference alone, nor below 1 / (bootstraps + 1).

    Parameters
    ----------
    differences : sequence of ProbeDifference, length t
        NaN of what was not scored, which counts nothing.
    influence : ndarray, shape (n, t)
        Of each participant on each difference, fits included, about the mean; 0 of those left out.
    bootstraps : int
    seed : int

    Returns
    -------
    ndarray, shape (t,)
        NaN of what was not scored.

    References
    ----------
    Westfall and Young (1993), Resampling-Based Multiple Testing; Romano and Wolf (2005),
    Econometrica 73:1237.
    """
    corrected = np.full(len(differences), np.nan)
    alone = np.array([each.p for each in differences])
    told = np.flatnonzero(~np.isnan(alone))
    if not len(told):
        return corrected
    statistics = np.array([_statistic(differences[place]) for place in told])
    order = np.argsort(-statistics)
    told, statistics = told[order], statistics[order]
    exceeded = np.ones(len(told))
    influence = influence[:, told]
    generator = np.random.default_rng(seed)
    for first in range(0, bootstraps, DRAWN_AT_ONCE):
        drawn = _drawn_statistics(influence, min(DRAWN_AT_ONCE, bootstraps - first), generator)
        largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
        exceeded += np.sum(largest >= statistics, axis=0)
    by_step = np.maximum(exceeded / (bootstraps + 1), alone[told])
    corrected[told] = np.maximum.accumulate(by_step)
    return corrected


def _statistic(difference: ProbeDifference) -> float:
    if difference.error > 0:
        return abs(difference.difference) / difference.error
    return 0.0 if difference.difference == 0 else np.inf


def _drawn_statistics(
    influence: np.ndarray, samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Studentised differences in bootstrap samples of participants: (samples, t), absolute."""
    n = len(influence)
    drawn = generator.integers(n, size=(samples, n)) + n * np.arange(samples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=samples * n).reshape(samples, n).astype(float)
    moved = counts @ influence
    variance = counts @ influence**2 - moved**2 / n
    error = np.sqrt(np.maximum(variance, 0))
    return np.divide(np.abs(moved), error, out=np.zeros_like(moved), where=error > 0)
