"""The heart's cycle: how far ventricles have emptied and atria filled at each phase.

Phase is the time since the R peak as a fraction of the heart period, so 0 is end-diastole. What
systole takes hardly depends on the heart rate and diastole is what remains: at rest systole is
some 40 % of the cycle, at 100 beats a minute half of it. Early filling and the atrial kick run into
one another as diastole shortens, and diastasis between them goes.

Systolic intervals: Weissler, Harris and Schoenfeld (1968), Circulation 37:149, men and women
taken together; they count from the Q wave, which begins some 40 ms before the R peak.
"""

from dataclasses import dataclass

import numpy as np

Q_TO_R_MS = 40.0
RELAXATION_MS = 75.0  # isovolumic: from the aortic valve's closing to the mitral valve's opening
EARLY_FILLING_MS = 210.0
KICK_MS = 120.0
KICK_END_MS = 10.0  # before the R peak
LEAST_FILLING_MS = 90.0
DIASTASIS_SHARE = 0.06  # of the stroke volume: what flows in slowly between the two
ATRIAL_KICK_SHARE = 1.8  # of the atrium's own emptying, times the ventricle's kick share
DIASTASIS_OPENING = 0.45  # of the valves, when nothing pushes them further


@dataclass(frozen=True)
class Cycle:
    """When things happen in the cycles of n people, as phases, each ndarray of shape (n,).

    Attributes
    ----------
    ejection_start, ejection_end : ndarray
        The ventricles are at their largest up to the one and at their smallest from the other.
    filling_start, filling_end : ndarray
        Early (rapid) filling. Up to its start the ventricles stay as they are: relaxation.
    kick_start, kick_end : ndarray
        The atria's contraction.
    kick_share : ndarray
        Share of the stroke volume that the kick brings.
    """

    ejection_start: np.ndarray
    ejection_end: np.ndarray
    filling_start: np.ndarray
    filling_end: np.ndarray
    kick_start: np.ndarray
    kick_end: np.ndarray
    kick_share: np.ndarray

    def ejected(self, phase: np.ndarray) -> np.ndarray:
        """Share of the stroke volume that has left the ventricles and has not come back.

        Parameters
        ----------
        phase : ndarray, shape (n, frames)
            Any real number; only its fraction counts.

        Returns
        -------
        ndarray, shape (n, frames)
            0 at end-diastole, 1 at end-systole.
        """
        phase = phase % 1.0
        out = _early_rise(_progress(phase, self.ejection_start, self.ejection_end))
        early = _early_rise(_progress(phase, self.filling_start, self.filling_end))
        slow = _even_rise(_progress(phase, self.filling_start, self.kick_end))
        kick = self.kick_share[:, None]
        early_share = 1 - DIASTASIS_SHARE - kick
        return out - early_share * early - DIASTASIS_SHARE * slow - kick * self._kick(phase)

    def atrial_filling(self, phase: np.ndarray) -> np.ndarray:
        """How full the atria are: 0 at end-diastole, 1 when the mitral valve opens.

        They are a reservoir in systole, a conduit in early filling and a pump at last.

        Parameters
        ----------
        phase : ndarray, shape (n, frames)

        Returns
        -------
        ndarray, shape (n, frames)
        """
        phase = phase % 1.0
        reservoir = _even_rise(_progress(phase, np.zeros_like(self.kick_end), self.filling_start))
        conduit = _early_rise(_progress(phase, self.filling_start, self.filling_end))
        pumped = (ATRIAL_KICK_SHARE * self.kick_share)[:, None]
        return reservoir - (1 - pumped) * conduit - pumped * self._kick(phase)

    def valves_open(self, phase: np.ndarray) -> np.ndarray:
        """How far mitral and tricuspid valves are open, 0 to 1: most in early filling and kick.

        Parameters
        ----------
        phase : ndarray, shape (n, frames)

        Returns
        -------
        ndarray, shape (n, frames)
        """
        phase = phase % 1.0
        early = _progress(phase, self.filling_start, self.filling_end)
        kick = _progress(phase, self.kick_start, self.kick_end)
        diastole = (phase > self.filling_start[:, None]) & (phase < self.kick_end[:, None])
        pushed = np.maximum(4 * early * (1 - early), 2.4 * kick * (1 - kick))
        return np.maximum(pushed, DIASTASIS_OPENING * diastole)

    def _kick(self, phase: np.ndarray) -> np.ndarray:
        return _even_rise(_progress(phase, self.kick_start, self.kick_end))


def cycle_of(heart_rate: np.ndarray, kick_share: np.ndarray) -> Cycle:
    """Say when things happen in the cycles of people with these heart rates.

    Parameters
    ----------
    heart_rate : ndarray, shape (n,)
        Per minute.
    kick_share : ndarray, shape (n,)
        Share of the stroke volume that the atrial kick brings, below 0.5.

    Returns
    -------
    Cycle
    """
    period = 60_000 / heart_rate
    ejection_start = 131 - 0.4 * heart_rate - Q_TO_R_MS
    ejection_end = 547 - 2.05 * heart_rate - Q_TO_R_MS
    kick_end = period - KICK_END_MS
    # At a very fast rate little of the cycle is left, and relaxation gives way.
    filling_start = np.minimum(ejection_end + RELAXATION_MS, kick_end - LEAST_FILLING_MS)
    filling_end = np.minimum(filling_start + EARLY_FILLING_MS, kick_end)
    kick_start = np.maximum(kick_end - KICK_MS, filling_start)
    times = (ejection_start, ejection_end, filling_start, filling_end, kick_start, kick_end)
    return Cycle(*(time / period for time in times), kick_share)


def _progress(phase: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How much of the time from start to end has passed, 0 to 1."""
    return np.clip((phase - start[:, None]) / (end - start)[:, None], 0.0, 1.0)


def _early_rise(progress: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1, fastest at a third of the time: the beta distribution of (2, 3)."""
    return progress**2 * (6 - 8 * progress + 3 * progress**2)


def _even_rise(progress: np.ndarray) -> np.ndarray:
    return progress**2 * (3 - 2 * progress)
