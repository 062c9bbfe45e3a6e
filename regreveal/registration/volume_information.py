"""Mattes' mutual information of a volume with a moved one, its slope and curvature.

Compiled loops over samples of the fixed volume. Importing this imports numba, so it is done where
volumes are registered.

The measure is that of Mattes et al. (2003), IEEE Trans. Med. Imaging 22:120, as ITK has it: a joint
histogram of hard bins for the fixed values and cubic B-spline bins for the moving ones, trilinear
interpolation between moving voxels, and samples that fall outside the moving volume left out.
"""

import numba
import numpy as np

PADDING = 2  # bins beyond the range of values at either side, for the splines' tails


def _compiled(function):
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
        return numba.njit(nogil=True)(function)


def bin_places(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    """Place of values among bins that cover `low` to `high`, as float32; outside values clipped."""
    width = (high - low) / (bins - 2 * PADDING)
    return ((np.clip(values, low, high) - low) / width + PADDING).astype(np.float32)


def hard_bins(places: np.ndarray, bins: int) -> np.ndarray:
    """Histogram bin of each place, leaving `PADDING` empty bins at either end."""
    return np.clip(places.astype(np.int64), PADDING, bins - PADDING - 1)


@_compiled
def joint_histogram(points, fixed, moving, matrix, bins, values, slopes):
    """Count pairs of fixed bin and moving value under an affine matrix.

    Parameters
    ----------
    points : ndarray of float64, shape (samples, 3)
        Where the fixed volume is sampled.
    fixed : ndarray of int, shape (samples,)
        The fixed volume's bins there.
    moving : ndarray of float32, shape (x, y, z)
        Bin places of the moving volume (`bin_places`).
    matrix : ndarray of float64, shape (3, 4)
        From points to moving voxels.
    bins : int
    values : ndarray of float64, shape (samples,)
        Is left with the moving volume's place among the bins at each sample; -1 outside.
    slopes : ndarray of float64, shape (samples, 3)
        Is left with its derivative along the moving voxels' axes.

    Returns
    -------
    histogram : ndarray of float64, shape (bins, bins)
        Counts, not normalised; its sum is the number of samples inside.
    """
    histogram = np.zeros((bins, bins))
    nx, ny, nz = moving.shape
    for i in range(points.shape[0]):
        u, v, w = points[i, 0], points[i, 1], points[i, 2]
        x = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2] * w + matrix[0, 3]
        y = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2] * w + matrix[1, 3]
        z = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2] * w + matrix[2, 3]
        if not (0 <= x <= nx - 1 and 0 <= y <= ny - 1 and 0 <= z <= nz - 1):
            values[i] = -1
            continue
        a, b, c = min(int(x), nx - 2), min(int(y), ny - 2), min(int(z), nz - 2)
        x, y, z = x - a, y - b, z - c
        m000, m001 = moving[a, b, c], moving[a, b, c + 1]
        m010, m011 = moving[a, b + 1, c], moving[a, b + 1, c + 1]
        m100, m101 = moving[a + 1, b, c], moving[a + 1, b, c + 1]
        m110, m111 = moving[a + 1, b + 1, c], moving[a + 1, b + 1, c + 1]
        m00, m01 = m000 + z * (m001 - m000), m010 + z * (m011 - m010)
        m10, m11 = m100 + z * (m101 - m100), m110 + z * (m111 - m110)
        m0, m1 = m00 + y * (m01 - m00), m10 + y * (m11 - m10)
        value = m0 + x * (m1 - m0)
        slopes[i, 0] = m1 - m0
        slopes[i, 1] = (1 - x) * (m01 - m00) + x * (m11 - m10)
        slopes[i, 2] = (1 - x) * ((1 - y) * (m001 - m000) + y * (m011 - m010)) + x * (
            (1 - y) * (m101 - m100) + y * (m111 - m110)
        )
        values[i] = value
        k = min(max(int(value), PADDING), bins - PADDING - 1)
        t = value - k
        row = histogram[fixed[i]]
        # The cubic B-spline at t + 1, t, t - 1 and t - 2.
        row[k - 1] += (1 - t) ** 3 / 6
        row[k] += (4 - 6 * t * t + 3 * t * t * t) / 6
        row[k + 1] += (1 + 3 * t + 3 * t * t - 3 * t * t * t) / 6
        row[k + 2] += t * t * t / 6
    return histogram


@_compiled
def slope_and_curvature(points, fixed, values, slopes, surprise, precision):
    """Sum what moving each sample would change, over the twelve entries of the affine matrix.

    Parameters
    ----------
    points, fixed, values, slopes
        As `joint_histogram` took and left them.
    surprise : ndarray of float64, shape (bins, bins)
        Log of the joint probability over the product of its margins.
    precision : ndarray of float64, shape (bins,)
        One over the variance of moving places given the fixed bin.

    Returns
    -------
    slope : ndarray, shape (12,)
        Derivative of the mutual information times the samples inside, by the matrix's entries row
        by row.
    curvature : ndarray, shape (12, 12)
        Its negative second derivative, as Fisher scoring has it for values that are normal given
        the fixed bin.
    """
    slope = np.zeros((3, 4))
    second = np.zeros((3, 3, 4, 4))
    h = np.ones(4)
    for i in range(points.shape[0]):
        if values[i] < 0:
            continue
        h[:3] = points[i]
        k = min(max(int(values[i]), PADDING), surprise.shape[1] - PADDING - 1)
        t = values[i] - k
        row = surprise[fixed[i]]
        pull = (
            -((1 - t) ** 2) / 2 * row[k - 1]
            + (3 * t * t - 4 * t) / 2 * row[k]
            + (1 + 2 * t - 3 * t * t) / 2 * row[k + 1]
            + t * t / 2 * row[k + 2]
        )
        weight = precision[fixed[i]]
        for a in range(3):
            for p in range(4):
                slope[a, p] += pull * slopes[i, a] * h[p]
            for b in range(a + 1):
                steep = weight * slopes[i, a] * slopes[i, b]
                for p in range(4):
                    for q in range(p + 1):
                        second[a, b, p, q] += steep * h[p] * h[q]
    curvature = np.empty((12, 12))
    for a in range(3):
        for b in range(3):
            for p in range(4):
                for q in range(4):
                    curvature[4 * a + p, 4 * b + q] = second[
                        max(a, b), min(a, b), max(p, q), min(p, q)
                    ]
    return slope.reshape(12), curvature


@_compiled
def surprise_of(histogram):
    """Log of joint over product of marginal probabilities; 0 where nothing was counted."""
    total = histogram.sum()
    rows, columns = histogram.sum(axis=1), histogram.sum(axis=0)
    surprise = np.zeros_like(histogram)
    for i in range(histogram.shape[0]):
        for j in range(histogram.shape[1]):
            if histogram[i, j] > 0:
                surprise[i, j] = np.log(histogram[i, j] * total / (rows[i] * columns[j]))
    return surprise


@_compiled
def information(histogram):
    """Mutual information of a joint histogram, in nats; 0 of an empty one."""
    return (histogram * surprise_of(histogram)).sum() / max(histogram.sum(), 1.0)


@_compiled
def precision_of(histogram):
    """One over the variance of moving places in each fixed bin."""
    precision = np.zeros(histogram.shape[0])
    places = np.arange(histogram.shape[1]) + 0.0
    for i in range(histogram.shape[0]):
        count = histogram[i].sum()
        if count > 0:
            mean = (histogram[i] * places).sum() / count
            variance = (histogram[i] * (places - mean) ** 2).sum() / count
            # The spline spreads a value by 1/3 of a squared bin already: this is never near 0.
            precision[i] = 1 / max(variance, 1 / 3)
    return precision
