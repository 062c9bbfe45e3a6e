"""Deformations as displacement fields: what they do to images, and whether they fold.

A displacement field u, (*shape, dimensions) in voxels, says for each place x of the fixed image
where in the moving image its value comes from: moved(x) = moving(x + u(x)).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FieldStatistics:
    """How far and how evenly a displacement field moves.

    Attributes
    ----------
    folds_percent : float
        Share of voxels where the Jacobian determinant is not positive: the image is turned over.
    sd_log_jacobian : float
        SD of the logarithm of the determinant over the other voxels; 0 for a rigid movement.
    largest_displacement : float
        In voxels.
    """

    folds_percent: float
    sd_log_jacobian: float
    largest_displacement: float


def field_statistics(displacement: np.ndarray) -> FieldStatistics:
    """Quality figures of one displacement field, or of several taken together.

    Parameters
    ----------
    displacement : ndarray, shape (..., *shape, dimensions)

    Returns
    -------
    FieldStatistics
    """
    determinant = jacobian_determinant(displacement)
    whole = determinant > 0
    logarithm = np.log(determinant[whole])
    return FieldStatistics(
        folds_percent=float(100 * (1 - whole.mean())),
        sd_log_jacobian=float(logarithm.std()) if whole.any() else float("nan"),
        largest_displacement=float(np.sqrt(np.square(displacement).sum(axis=-1).max())),
    )


def jacobian_determinant(displacement: np.ndarray) -> np.ndarray:
    """Take the determinant of the derivative of x + u(x), by central differences.

    Parameters
    ----------
    displacement : ndarray, shape (..., *shape, dimensions)
        Axes before the last `dimensions` + 1 are independent fields.

    Returns
    -------
    ndarray, shape (..., *shape)
        Relative volume: 1 where nothing is stretched, not positive where the field folds.
    """
    dimensions = displacement.shape[-1]
    axes = tuple(range(displacement.ndim - 1 - dimensions, displacement.ndim - 1))
    slopes = [
        [np.gradient(displacement[..., row], axis=axis) for axis in axes]
        for row in range(dimensions)
    ]
    for axis in range(dimensions):
        slopes[axis][axis] = slopes[axis][axis] + 1
    return _determinant(slopes)


def warp(image: np.ndarray, displacement: np.ndarray, order: int = 1) -> np.ndarray:
    """Move an image along: values beyond the edge are those of the edge.

    Parameters
    ----------
    image : ndarray, shape (*shape)
    displacement : ndarray, shape (*shape, dimensions)
        In voxels.
    order : int
        Of the spline interpolation: 0 (nearest, for labels), 1 (linear) to 5.

    Returns
    -------
    ndarray, shape (*shape)
        Of the image's type.
    """
    from scipy.ndimage import map_coordinates

    places = np.moveaxis(displacement, -1, 0) + np.indices(image.shape, displacement.dtype)
    return map_coordinates(image, places, order=order, mode="nearest")


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Displacement that moves an image by `first` and what comes of it by `second`.

    Parameters
    ----------
    first, second : ndarray, shape (*shape, dimensions)

    Returns
    -------
    ndarray, shape (*shape, dimensions)
        second(x) + first(x + second(x)), `first` read off linearly.
    """
    moved = [warp(component, second) for component in np.moveaxis(first, -1, 0)]
    return second + np.stack(moved, axis=-1)


def integrate(velocity: np.ndarray, steps: int = 7) -> np.ndarray:
    """Displacement after unit time along a velocity that stands still, by scaling and squaring.

    Parameters
    ----------
    velocity : ndarray, shape (*shape, dimensions)
        In voxels per unit of time. The displacement of its negative is the inverse.
    steps : int
        Squarings: the time is divided into 2**steps.

    Returns
    -------
    ndarray, shape (*shape, dimensions)

    References
    ----------
    Arsigny et al. (2006), MICCAI, LNCS 4190:924.
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement


def smooth_velocity(
    shape: tuple[int, ...], rng: np.random.Generator, size: float, width: float
) -> np.ndarray:
    """Draw a random smooth velocity field, which `integrate` makes a deformation without folds of.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator
    size : float
        Root of the mean square of each component, in voxels.
    width : float
        Standard deviation of the Gaussian that smooths white noise, in voxels.

    Returns
    -------
    ndarray of float32, shape (*shape, dimensions)
    """
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal((len(shape), *shape), np.float32)
    smooth = np.stack([gaussian_filter(part, width, mode="nearest") for part in noise], axis=-1)
    scale = np.sqrt(np.square(smooth).mean(axis=tuple(range(len(shape)))))
    return smooth * (size / scale)


def _determinant(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Take the determinant of small matrices whose entries are arrays, along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    total = 0.0
    for column, entry in enumerate(rows[0]):
        minor = [row[:column] + row[column + 1 :] for row in rows[1:]]
        total = total + (-1) ** column * entry * _determinant(minor)
    return total
