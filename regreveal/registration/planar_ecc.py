"""Refining a planar registration by the enhanced correlation coefficient, from a close start.

The coefficient of Evangelidis & Psarakis (2008), IEEE TPAMI 30:1858, is the correlation of the
reference with the warped sample: it does not change with exposure. Its Gauss-Newton step solves
for the warp together with gain and offset, by least squares. Here the step is

- second-order: gradients are the mean of the reference's and the warped sample's (Benhimane & Malis
  2004, IROS), which reaches farther and takes fewer steps;
- robust: the sample is explained by the reference, not the reverse, and its pixels are weighted by
  Cauchy's function of what they are off, so that what only the sample has (an implant, a table's
  edge) counts little;
- blind to what lies outside the sample, and to the margin that smoothing falsified. OpenCV's own
  functions count that in, which makes its warps too small (opencv/opencv issues 29774, 29781);
- held by a prior: two people differ in more than a homography can tell, and without it perspective
  and stretch are bent to what is left. One body moved is not held noticeably.
"""

from dataclasses import dataclass

import numba
import numpy as np

AFFINE, HOMOGRAPHY = 6, 8  # parameters: the columns of the least-squares problem that are solved
COLUMNS = 11  # eight of the homography, gain, offset, and the values to explain
BLOCK = 256  # pixels at a time: their columns stay in the processor's first cache
CAUCHY = 2.385  # 95 % as efficient as least squares where errors are Gaussian (Holland & Welsch)
MARGIN = 2.0  # pixels at a border, of any level, that hold values from beyond it
CONVERGED = 0.01  # pixels of its level that a corner moves
LEAST_INSIDE = 0.2  # share of the reference's pixels; below, a step is not to be trusted
LEAST_SPREAD = 0.005  # of the grey values' range

# The prior. Chosen on phantoms of different people: their bones then overlap as without it (Dice
# 0.779, without 0.786), and the largest perspective found is 0.16 instead of 0.67.
STRETCH_SD = 0.1
PERSPECTIVE_SD = 0.05
INDEPENDENT_RESIDUALS = 20  # in an image: what two people differ in are whole limbs, not pixels
# What it holds, in SDs, by each parameter: stretch along axes and diagonals, and perspective.
PRIOR_CHANGE = np.array(
    [
        [0.5 / STRETCH_SD, 0, 0, 0, -0.5 / STRETCH_SD, 0, 0, 0],
        [0, 0.5 / STRETCH_SD, 0, 0.5 / STRETCH_SD, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1 / PERSPECTIVE_SD, 0],
        [0, 0, 0, 0, 0, 0, 0, 1 / PERSPECTIVE_SD],
    ]
)


@dataclass(frozen=True)
class Level:
    """One level of the reference's pyramid.

    Attributes
    ----------
    image : ndarray of float32, shape (rows, columns)
    x, y : ndarray of float32, shape (pixels,)
        Pixels clear of the border.
    values, gradient_x, gradient_y : ndarray of float32, shape (pixels,)
    """

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    gradient_x: np.ndarray
    gradient_y: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Where a refinement stands.

    Attributes
    ----------
    matrix : ndarray, shape (3, 3)
        From the reference's pixels (x, y, 1) to the sample's, at the level in question.
    gain, offset, spread : float
        Sample = gain * reference + offset, and the root mean square of what is left; gain and
        spread are 0 while they are unknown.
    """

    matrix: np.ndarray
    gain: float = 0.0
    offset: float = 0.0
    spread: float = 0.0


def reference_level(image: np.ndarray) -> Level:
    """Prepare one level of the reference's pyramid, (rows, columns), float32."""
    down, right = np.gradient(image)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    clear = slice(int(MARGIN), -int(MARGIN))
    parts = (part[clear, clear].ravel() for part in (x, y, image, right, down))
    return Level(image, *parts)


def corner_points(shape: tuple[int, int]) -> np.ndarray:
    """Corners of an image of (rows, columns), as (x, y, 1): (4, 3)."""
    bottom, right = shape[0] - 1, shape[1] - 1
    return np.array([[0, 0, 1], [right, 0, 1], [right, bottom, 1], [0, bottom, 1]], float)


def normaliser(shape: tuple[int, int], scale: float) -> np.ndarray:
    """Give the map from pixels to coordinates about the image's centre, in units of 1 / scale."""
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    return np.array([[scale, 0, -scale * x], [0, scale, -scale * y], [0, 0, 1]])


def refine(level: Level, sample: np.ndarray, start: Fit, parameters: int, most_steps: int) -> Fit:
    """Refine a registration at one level.

    Parameters
    ----------
    level : Level
        Of the reference.
    sample : ndarray of float32, shape (rows, columns)
        At the same level.
    start : Fit
    parameters : int
        AFFINE or HOMOGRAPHY.
    most_steps : int

    Returns
    -------
    Fit
        The start's where the images give no sound step.
    """
    scale = 2 / max(level.image.shape)
    to_unit, sample_to_unit = (normaliser(s, scale) for s in (level.image.shape, sample.shape))
    to_pixels = np.linalg.inv(to_unit)
    solved = [*range(parameters), 8, 9]
    both, identity = np.ix_(solved, solved), np.eye(len(solved))
    corners = corner_points(level.image.shape)
    totals = np.empty((COLUMNS, COLUMNS))
    fit, at = start, places_of(start.matrix, corners)
    for _ in range(most_steps):
        _sum_products(
            level.x, level.y, level.values, level.gradient_x, level.gradient_y, sample,
            fit.matrix, to_unit, fit.gain, fit.offset, fit.spread, totals,
        )  # fmt: skip
        inside = totals[9, 9]
        if inside < LEAST_INSIDE * len(level.x):
            return start
        gram, target = totals[both], totals[solved, 10]
        noise = max(fit.spread, LEAST_SPREAD) ** 2 * inside / INDEPENDENT_RESIDUALS
        held, pull = _prior(sample_to_unit @ fit.matrix @ to_pixels, parameters)
        # A trace of damping: what the image says nothing of stays as it is.
        damped = gram + noise * held + 1e-9 * gram.trace() * identity
        solution = np.linalg.solve(damped, target - noise * pull)
        step = np.eye(3)
        step.ravel()[:parameters] += solution[:parameters]
        matrix = fit.matrix @ to_pixels @ step @ to_unit
        moved_to = places_of(matrix, corners)
        gain, offset = solution[parameters:]
        if moved_to is None or gain <= 0 or np.abs(moved_to - at).max() > max(sample.shape):
            return start
        left = totals[10, 10] - 2 * solution @ target + solution @ gram @ solution
        spread = max(np.sqrt(max(left, 0) / inside), LEAST_SPREAD)
        shift, at = np.abs(moved_to - at).max(), moved_to
        fit = Fit(matrix / matrix[2, 2], gain, offset, spread)
        if shift < CONVERGED:
            break
    return fit


def places_of(matrix, points):
    """Take points (n, 3) through a homography, (n, 2); None if one goes to infinity or beyond."""
    places = points @ matrix.T
    if not np.isfinite(places).all() or (places[:, 2] <= 1e-3).any():
        return None
    return places[:, :2] / places[:, 2:]


def _prior(matrix, parameters):
    """Give second and first derivatives of the prior's half square by the parameters of a step.

    The prior holds stretch (two numbers: along the axes, along the diagonals) and perspective, of
    the homography as it is and the step together; scale, rotation and place are free.
    """
    matrix = matrix / matrix[2, 2]
    (a, b), (c, d) = matrix[:2, :2]
    cosine, sine = (a + d) / 2, (c - b) / 2  # of the rotation, times the scale
    size = max(cosine**2 + sine**2, 1e-6)
    stretch = np.array([[cosine, sine], [-sine, cosine]]) @ matrix[:2, :2] / size
    now = np.array(
        [
            (stretch[0, 0] - stretch[1, 1]) / 2 / STRETCH_SD,
            (stretch[0, 1] + stretch[1, 0]) / 2 / STRETCH_SD,
            matrix[2, 0] / PERSPECTIVE_SD,
            matrix[2, 1] / PERSPECTIVE_SD,
        ]
    )
    change = PRIOR_CHANGE[:, :parameters]
    held, pull = np.zeros((parameters + 2, parameters + 2)), np.zeros(parameters + 2)
    held[:parameters, :parameters], pull[:parameters] = change.T @ change, change.T @ now
    return held, pull


def _compiled(function):
    try:
        return numba.njit(nogil=True, cache=True, fastmath=True)(function)
    except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
        return numba.njit(nogil=True, fastmath=True)(function)


@_compiled
def _sum_products(
    xs, ys, values, gradient_x, gradient_y, sample, matrix, to_unit, gain, offset, spread, totals
):
    """Sum the weighted products of all pairs of columns over the pixels inside the sample.

    The columns of a pixel at u, v (in units of `to_unit`), where the gradient of the sample and of
    the reference times gain is -p, -q on average: pu, pv, p, qu, qv, q, -(pu + qv)u, -(pu + qv)v
    (what the sample loses by a small homography before the present one), the reference, one, the
    sample.
    """
    m = matrix.astype(np.float32)
    one, nothing = np.float32(1), np.float32(0)
    scale = np.float32(to_unit[0, 0])
    left, top = np.float32(to_unit[0, 2]), np.float32(to_unit[1, 2])
    gain, offset = np.float32(gain), np.float32(offset)
    precision = np.float32(1 / (CAUCHY * spread) ** 2) if spread > 0 else nothing
    # While the gain is unknown, the reference's gradient can't be set beside the sample's.
    share = -(np.float32(0.5) if gain > 0 else one) / scale
    lowest = np.float32(MARGIN)
    right_end = np.float32(sample.shape[1] - 1 - MARGIN)
    bottom_end = np.float32(sample.shape[0] - 1 - MARGIN)
    block = np.zeros((COLUMNS, BLOCK), np.float32)
    weights = np.zeros(BLOCK, np.float32)
    totals[:] = 0
    for first in range(0, xs.size, BLOCK):
        size = min(BLOCK, xs.size - first)
        for i in range(size):
            x, y = xs[first + i], ys[first + i]
            w = one / (m[2, 0] * x + m[2, 1] * y + m[2, 2])
            sx = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) * w
            sy = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) * w
            if not (w > 0 and sx >= lowest and sx < right_end and sy >= lowest and sy < bottom_end):
                weights[i] = nothing
                block[:, i] = nothing
                continue
            x0, y0 = int(sx), int(sy)
            fx, fy = sx - np.float32(x0), sy - np.float32(y0)
            upper_step = sample[y0, x0 + 1] - sample[y0, x0]
            lower_step = sample[y0 + 1, x0 + 1] - sample[y0 + 1, x0]
            upper = sample[y0, x0] + fx * upper_step
            dy = sample[y0 + 1, x0] + fx * lower_step - upper
            dx = upper_step + fy * (lower_step - upper_step)
            value = upper + fy * dy
            # Chain rule: the sample's gradient as seen from the reference.
            p = w * (dx * (m[0, 0] - m[2, 0] * sx) + dy * (m[1, 0] - m[2, 0] * sy))
            q = w * (dx * (m[0, 1] - m[2, 1] * sx) + dy * (m[1, 1] - m[2, 1] * sy))
            p = share * (p + gain * gradient_x[first + i])
            q = share * (q + gain * gradient_y[first + i])
            u, v = scale * x + left, scale * y + top
            along = p * u + q * v
            block[0, i], block[1, i], block[2, i] = p * u, p * v, p
            block[3, i], block[4, i], block[5, i] = q * u, q * v, q
            block[6, i], block[7, i] = -along * u, -along * v
            block[8, i], block[9, i], block[10, i] = values[first + i], one, value
            residual = value - gain * values[first + i] - offset
            weights[i] = one / (one + residual * residual * precision)
        for c in range(COLUMNS):
            for d in range(c + 1):
                added = nothing
                for i in range(size):
                    added += weights[i] * block[c, i] * block[d, i]
                totals[c, d] += added
    for c in range(COLUMNS):
        for d in range(c):
            totals[d, c] = totals[c, d]
