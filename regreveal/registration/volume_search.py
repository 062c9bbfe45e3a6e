"""Twelve degrees of freedom of one volume, found by climbing mutual information over a pyramid.

Positions in the fixed volume are written u = (mm - centre) / 50 and the affine as a (3, 4) matrix
from (u, 1) to millimetres of the moving volume, whose first voxel's centre lies at 0: its entries
are then all of the order of millimetres at the edge of a brain.

At each level, the ascent is Levenberg and Marquardt's with the curvature of Fisher scoring, which
takes some ten steps where gradient descent takes hundreds.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

BINS = 24
UNIT_MM = 50.0
COARSEST_MM = 12.0
MAXIMUM_SAMPLES = 50_000
SCREEN_SAMPLES = 1_000
FOREGROUND = 0.1  # of the range of values
RANGE = (0.1, 99.8)  # percentiles that the range of values is taken from
LEAST_OVERLAP = 0.5

# Where the ascent may start: turned about each axis in degrees (pitch, roll, yaw), and moved up
# and half as far back from the centre of mass, in mm: a head's is below its brain's, and before it.
TURNS = tuple(product((-25, 0, 25), (-20, 0, 20), (-20, 0, 20)))
LIFTS = (0, 20, 40, 60)
UP_AND_BACK = np.array([0, -0.5, 1])
TRIED = 3

SPINS = np.cross(np.eye(3)[:, None], np.eye(3)).transpose(0, 2, 1)  # derivatives of rotations


@dataclass(frozen=True)
class Level:
    """One level of the fixed volume: where it is sampled, and its histogram bins there.

    Attributes
    ----------
    spacing : float
        In mm.
    points : ndarray of float64, shape (samples, 3)
        u.
    bins : ndarray of int64, shape (samples,)
    """

    spacing: float
    points: np.ndarray
    bins: np.ndarray


class Fixed:
    """The fixed volume, made ready to register others to.

    Parameters
    ----------
    volume : ndarray of float, shape (x, y, z)
    size : ndarray of float, shape (3,)
        Of its voxels, in mm.

    Attributes
    ----------
    foreground : ndarray of bool, shape (x, y, z)
        What is imaged, without holes: what mutual information is taken over. With a margin about a
        brain, the scalps of heads that are not stripped would be drawn into it.
    centre : ndarray, shape (3,)
        Of the foreground, in mm from the first voxel's centre.
    levels : list of Level
        The coarsest first.
    """

    def __init__(self, volume: np.ndarray, size: np.ndarray):
        self.size = np.asarray(size, float)
        self.shape = volume.shape
        self.low, self.high = value_range(volume)
        self.foreground = foreground(volume, self.low, self.high)
        self.centre = np.argwhere(self.foreground).mean(axis=0) * self.size
        rng = np.random.default_rng(0)
        spacing = self.size.max()
        halvings = max(0, int(np.log2(COARSEST_MM / spacing) + 1e-9))
        self.levels = [
            self._level(volume, spacing * 2**k, rng) for k in reversed(range(halvings + 1))
        ]

    def _level(self, volume, spacing, rng) -> Level:
        factors = shrink_factors(spacing, self.size)
        small = shrink(volume, factors)
        mask = shrink(self.foreground.astype(np.float32), factors) >= 0.5
        places = np.argwhere(mask)
        if len(places) > MAXIMUM_SAMPLES:
            places = places[np.sort(rng.choice(len(places), MAXIMUM_SAMPLES, replace=False))]
        # Off the grid, or mutual information would peak wherever two grids coincide.
        offsets = places + rng.uniform(-0.5, 0.5, places.shape)
        values = ndimage.map_coordinates(small, offsets.T, order=1, mode="nearest")
        millimetres = (offsets * factors + (factors - 1) / 2) * self.size
        return Level(
            spacing,
            (millimetres - self.centre) / UNIT_MM,
            _bins_of(values, self.low, self.high),
        )


def _bins_of(values, low, high):
    from regreveal.registration.volume_information import bin_places, hard_bins

    return hard_bins(bin_places(values, low, high, BINS), BINS)


def value_range(volume: np.ndarray) -> tuple[float, float]:
    """Range of a volume's values, without the few that are far from the others."""
    low, high = np.percentile(volume[:: _stride(volume), :: _stride(volume)], RANGE)
    return (float(low), float(high)) if high > low else (float(volume.min()), float(volume.max()))


def _stride(volume: np.ndarray) -> int:
    return 1 + round(volume.size ** (1 / 3) / 100)


def foreground(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mark what is imaged: over a tenth of the range, holes filled, specks left out."""
    bright = ndimage.binary_fill_holes(volume > low + FOREGROUND * (high - low))
    parts, count = ndimage.label(bright)
    if count <= 1:
        return bright
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])


def shrink_factors(spacing: float, voxel_size: np.ndarray) -> np.ndarray:
    """How many voxels along each axis make about one of a spacing."""
    return np.maximum(1, np.round(spacing / np.asarray(voxel_size) + 1e-6)).astype(int)


def shrink(volume: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mean of each block of voxels; what is left over at the far ends is dropped."""
    if (factors == 1).all():
        return np.asarray(volume, np.float32)
    counts = np.array(volume.shape) // factors
    cut = volume[tuple(slice(0, n) for n in counts * factors)]
    (x, y, z), (i, j, k) = counts, factors
    return cut.reshape(x, i, y, j, z, k).mean(axis=(1, 3, 5), dtype=np.float32)


class Moving:
    """A volume to be registered: its levels, and its mutual information with the fixed one."""

    def __init__(self, fixed: Fixed, volume: np.ndarray, size: np.ndarray):
        self.fixed = fixed
        self.volume = volume
        self.size = np.asarray(size, float)
        self.low, self.high = value_range(volume)
        self._shrunk = {}

    def shrunk(self, spacing: float) -> tuple[np.ndarray, np.ndarray]:
        """Bin places of the volume near a spacing, and how many voxels make one of these."""
        from regreveal.registration.volume_information import bin_places

        if spacing not in self._shrunk:
            factors = shrink_factors(spacing, self.size)
            # An axis of a few voxels stays as it is.
            factors = np.minimum(factors, np.maximum(1, np.array(self.volume.shape) // 8))
            small = shrink(self.volume, factors)
            self._shrunk[spacing] = bin_places(small, self.low, self.high, BINS), factors
        return self._shrunk[spacing]

    @cached_property
    def centre(self) -> np.ndarray:
        """Centre of mass of what is imaged, in mm."""
        places, factors = self.shrunk(COARSEST_MM)
        weights = np.clip(places - places.min() - FOREGROUND * BINS, 0, None)
        # Where nothing stands out of the noise once averaged, the middle is as good as any.
        centre = ndimage.center_of_mass(weights if weights.any() else np.ones_like(weights))
        centre = np.array(centre)
        return (centre * factors + (factors - 1) / 2) * self.size

    def information(self, level: Level, matrix: np.ndarray) -> tuple[float, float]:
        """Mutual information in nats, and the share of samples inside the moving volume."""
        state = _State(self, level, matrix)
        return state.information, state.overlap


class _State:
    """Histogram, values and slopes of the moving volume under a matrix at a level."""

    def __init__(self, moving: Moving, level: Level, matrix: np.ndarray):
        from regreveal.registration.volume_information import information, joint_histogram

        self.matrix, self.level = matrix, level
        volume, factors = moving.shrunk(level.spacing)
        self.spacing = factors * moving.size
        to_voxels = matrix / self.spacing[:, None]
        to_voxels[:, 3] -= (factors - 1) / 2 / factors
        self.values = np.empty(len(level.points))
        self.slopes = np.empty((len(level.points), 3))
        self.histogram = joint_histogram(
            level.points, level.bins, volume, to_voxels, BINS, self.values, self.slopes
        )
        self.overlap = self.histogram.sum() / len(level.points)
        self.information = information(self.histogram) if self.overlap > LEAST_OVERLAP else 0.0

    def slope_and_curvature(self) -> tuple[np.ndarray, np.ndarray]:
        """By the entries of the matrix: (12,) and (12, 12)."""
        from regreveal.registration.volume_information import (
            precision_of,
            slope_and_curvature,
            surprise_of,
        )

        slope, curvature = slope_and_curvature(
            self.level.points,
            self.level.bins,
            self.values,
            self.slopes,
            surprise_of(self.histogram),
            precision_of(self.histogram),
        )
        per_millimetre = np.repeat(1 / self.spacing, 4)
        return slope * per_millimetre, curvature * np.outer(per_millimetre, per_millimetre)


def ascend(
    moving: Moving, level: Level, matrix: np.ndarray, steps: int, similarity: bool = False
) -> _State:
    """Climb mutual information from a matrix.

    Parameters
    ----------
    moving : Moving
    level : Level
    matrix : ndarray, shape (3, 4)
    steps : int
        At most.
    similarity : bool
        Change rotation, translation and one scale only.

    Returns
    -------
    _State
        Where it ended.
    """
    state, damping = _State(moving, level, matrix), 1e-2
    for _ in range(steps):
        slope, curvature = state.slope_and_curvature()
        ways = _similarity_ways(state.matrix) if similarity else np.eye(12)
        slope, curvature = ways.T @ slope, ways.T @ curvature @ ways
        diagonal = np.diag(curvature) + 1e-9 * (1 + np.trace(curvature))
        while damping < 1e3:
            change = np.linalg.solve(curvature + damping * np.diag(diagonal), slope)
            trial = _changed(state.matrix, change, similarity)
            tried = _State(moving, level, trial)
            if tried.information > state.information:
                break
            damping *= 10
        else:
            return state
        moved = np.linalg.norm(trial - state.matrix)
        state, damping = tried, damping / 10
        if moved < 0.01 * level.spacing:
            break
    return state


def _similarity_ways(matrix: np.ndarray) -> np.ndarray:
    """How the matrix's twelve entries change by rotation, scale and translation: (12, 7)."""
    linear = matrix[:, :3]
    ways = np.zeros((12, 7))
    for axis in range(3):
        spin = SPINS[axis]
        ways[:, axis] = np.hstack([spin @ linear, np.zeros((3, 1))]).ravel()
        ways[4 * axis + 3, 4 + axis] = 1
    ways[:, 3] = np.hstack([linear, np.zeros((3, 1))]).ravel()
    return ways


def _changed(matrix: np.ndarray, change: np.ndarray, similarity: bool) -> np.ndarray:
    if not similarity:
        return matrix + change.reshape(3, 4)
    turned = Rotation.from_rotvec(change[:3]).as_matrix() @ matrix[:, :3] * np.exp(change[3])
    return np.column_stack([turned, matrix[:, 3] + change[4:]])


def start_matrix(turn: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Matrix that turns about the fixed volume's centre and puts that at a place of the moving."""
    return np.column_stack([UNIT_MM * turn, centre])


def search(moving: Moving, turns: np.ndarray, tried: int = TRIED) -> _State:
    """Register one volume.

    Parameters
    ----------
    moving : Moving
    turns : ndarray, shape (turns, 3, 3)
        Rotations to start from.
    tried : int
        Of the starts, the best this many are followed up.

    Returns
    -------
    _State
        At the finest level.
    """
    coarsest = moving.fixed.levels[0]
    stride = 1 + len(coarsest.points) // SCREEN_SAMPLES
    screen = Level(coarsest.spacing, coarsest.points[::stride].copy(), coarsest.bins[::stride])
    starts = [
        start_matrix(turn, moving.centre + lift * UP_AND_BACK) for turn in turns for lift in LIFTS
    ]
    scores = np.array([moving.information(screen, start)[0] for start in starts])
    ends = [
        ascend(moving, coarsest, starts[k], 10, similarity=True)
        for k in np.argsort(-scores, kind="stable")[:tried]
    ]
    state = max(ends, key=lambda state: state.information)
    for level in moving.fixed.levels:
        state = ascend(moving, level, state.matrix, 20)
    return state


def usual_turns() -> np.ndarray:
    """Give the rotations that heads lie in, as good as always: (27, 3, 3)."""
    return Rotation.from_euler("xyz", TURNS, degrees=True).as_matrix()


def all_turns() -> np.ndarray:
    """Give the 24 rotations of a cube with some about each: for volumes turned on their side."""
    cube = Rotation.create_group("O").as_matrix()
    return np.concatenate([cube @ turn for turn in usual_turns()[::2]])
