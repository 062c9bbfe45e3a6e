"""Phases without a network: of principal components, of time; and how well phases keep time."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from regreveal.registration.images import unusable_reason

TURN = 2 * np.pi
# A mean time course may rest, or noise turn it back: the map to phases is to stay one to one.
LEAST_STEP = 0.1  # of an even step


def usable_cines(cines: np.ndarray) -> np.ndarray:
    """Bring cines to values that float32 can square; those that nothing can be learned from to 0.

    Parameters
    ----------
    cines : ndarray, shape (n, rows, columns, frames)

    Returns
    -------
    ndarray of float32, same shape
        Each divided by its largest absolute value; blank or non-finite ones 0 throughout.
    """
    usable = np.zeros(cines.shape, np.float32)
    for cine, out in zip(cines, usable, strict=True):
        if not unusable_reason(cine):
            out[:] = cine / np.abs(cine).max().astype(np.float64)
    return usable


def deviations_of(cines: np.ndarray) -> np.ndarray:
    """Take each cine's mean frame away and divide by the root mean square of what remains.

    Parameters
    ----------
    cines : ndarray, shape (n, rows, columns, frames)

    Returns
    -------
    ndarray of float32, same shape
        0 where a cine does not move.
    """
    deviations = cines - cines.mean(axis=-1, keepdims=True)
    size = np.sqrt(np.square(deviations).mean(axis=(1, 2, 3), keepdims=True))
    return (deviations / np.where(size > 0, size, 1)).astype(np.float32)


@dataclass(frozen=True)
class PrincipalPhase:
    """Phases as the angle of the first two principal components: PCA-atan2.

    Attributes
    ----------
    components : ndarray, shape (2, rows, columns)
        Of the deviations, divided by the SD of their scores.
    course : MeanCourse
        Of the cines learned from.
    """

    components: np.ndarray
    course: "MeanCourse"

    def scores(self, cines: np.ndarray) -> np.ndarray:
        """Scores of both components, (n, frames, 2)."""
        return np.einsum("nxyt,kxy->ntk", deviations_of(cines), self.components)

    def phases(self, cines: np.ndarray) -> np.ndarray:
        """Phases of frames, (n, frames), in [-pi, pi)."""
        scores = self.scores(cines)
        return wrapped(self.course(np.arctan2(scores[..., 1], scores[..., 0])))


def principal_phase(cines: np.ndarray) -> PrincipalPhase:
    """Learn PCA-atan2 from one cine or from many.

    The components are those of the frames of the mean of all cines' deviations, frame by frame:
    with one cine, its own; with many, what moves with time in all. (Components of everybody's
    frames would be spent on how people differ: of simulated people 4 % then go around once.)

    Parameters
    ----------
    cines : ndarray, shape (n, rows, columns, frames)
        As `usable_cines` gives them.

    Returns
    -------
    PrincipalPhase
    """
    mean = deviations_of(cines).mean(axis=0, dtype=np.float64)
    frames = mean.shape[-1]
    flat = mean.reshape(-1, frames).T
    _, _, directions = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    components = np.zeros((2, flat.shape[1]))
    components[: len(directions)] = directions[:2]
    components = components.reshape(2, *mean.shape[:2]).astype(np.float32)
    scores = PrincipalPhase(components, MeanCourse.even(frames)).scores(cines)
    spread = scores.std(axis=(0, 1))
    components /= np.where(spread > 0, spread, 1)[:, None, None]
    scores /= np.where(spread > 0, spread, 1)
    course = MeanCourse.of(np.arctan2(scores[..., 1], scores[..., 0]))
    return PrincipalPhase(components, course)


@dataclass(frozen=True)
class MeanCourse:
    """The mean time course of angles, and the map of the circle that makes it even.

    The circular mean over cines is taken of every frame. It is mapped to that frame's time,
    2 pi frame / frames, and what lies between by a monotone cubic: so the mean of the cines
    advances evenly from 0, and a phase is the time at which the typical heart looks like this.

    Attributes
    ----------
    direction : int
        -1 where angles fall with time.
    angles, times : ndarray
        The mean course over one turn, angles multiplied by the direction, both rising by 2 pi.
    """

    direction: int
    angles: np.ndarray
    times: np.ndarray

    @classmethod
    def even(cls, frames: int) -> "MeanCourse":
        """Make the course that leaves angles as they are."""
        times = np.arange(frames + 1) * TURN / frames
        return cls(1, times, times)

    @classmethod
    def of(cls, angles: np.ndarray) -> "MeanCourse":
        """Learn from angles (n, frames)."""
        frames = angles.shape[1]
        mean = np.exp(1j * angles).mean(axis=0)
        course = np.unwrap(np.angle(np.append(mean, mean[0])))
        direction = -1 if course[-1] < course[0] else 1
        course = direction * course
        steps = np.maximum(np.diff(course), LEAST_STEP * TURN / frames)
        steps *= TURN / steps.sum()
        angles = course[0] + np.concatenate([[0], np.cumsum(steps)])
        return cls(direction, angles, np.arange(frames + 1) * TURN / frames)

    def __call__(self, angles: np.ndarray) -> np.ndarray:
        """Map angles, in radians, to phases in [0, 2 pi]."""
        around = min(3, len(self.times) - 1)
        # Some of the turns before and after, so that the cubic is as smooth at 0 as elsewhere.
        known, times = (
            np.concatenate([values[-1 - around : -1] - TURN, values, values[1 : 1 + around] + TURN])
            for values in (self.angles, self.times)
        )
        place = self.angles[0] + (self.direction * angles - self.angles[0]) % TURN
        return PchipInterpolator(known, times)(place)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Bring angles to [-pi, pi) by whole turns."""
    return (angles + np.pi) % TURN - np.pi


def steps_of(phases: np.ndarray) -> np.ndarray:
    """Wrap differences of consecutive frames, the last being that to the first: (n, frames)."""
    return wrapped(np.roll(phases, -1, axis=-1) - phases)


def winding_number(phases: np.ndarray) -> np.ndarray:
    """Count how often phases go around the circle from the first frame to the first: (n,) int."""
    return np.round(steps_of(phases).sum(axis=-1) / TURN).astype(int)


def phase_locking(phases: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean resultant length of phases against times: |mean over frames of exp(i(phase - time))|.

    1 where the difference is the same in all frames, near 0 where it is any.

    Parameters
    ----------
    phases, times : ndarray, shape (n, frames)
        In radians.

    Returns
    -------
    ndarray, shape (n,)

    References
    ----------
    Mardia and Jupp (2000), Directional Statistics, eq. 2.3.3; Lachaux et al. (1999), Hum. Brain
    Mapp. 8:194.
    """
    return np.abs(np.exp(1j * (phases - times)).mean(axis=-1))
