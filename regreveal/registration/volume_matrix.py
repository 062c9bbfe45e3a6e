"""Affine matrices of volumes: what is in them, and volumes taken through them."""

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from regreveal.registration.volume_search import shrink


def decompose(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take a linear map apart: rotation times shears times scales.

    Parameters
    ----------
    linear : ndarray, shape (3, 3)
        With a positive determinant: R [[1, xy, xz], [0, 1, yz], [0, 0, 1]] diag(scales).

    Returns
    -------
    rotation : ndarray, shape (3,)
        In degrees, about the fixed axes x, y and z in this order.
    scales : ndarray, shape (3,)
    shears : ndarray, shape (3,)
        xy, xz, yz.
    """
    rotation, upper = np.linalg.qr(linear)
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    rotation, upper = rotation * signs, upper * signs[:, None]
    scales = np.diag(upper).copy()
    shears = (upper / scales)[[0, 0, 1], [1, 2, 2]]
    if np.linalg.det(rotation) < 0:
        return np.full(3, np.nan), -scales, shears
    return Rotation.from_matrix(rotation).as_euler("xyz", degrees=True), scales, shears


def resample(
    volume: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], order: int
) -> np.ndarray:
    """Take a volume onto another grid.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
    matrix : ndarray, shape (4, 4)
        From voxels of the new grid to voxels of the volume.
    shape : tuple of int
        Of the new grid.
    order : int
        Of the spline. Over 0, where new voxels are two or more times as large, the volume is
        averaged down first.

    Returns
    -------
    ndarray, `shape`
        Of the volume's type for order 0, else float32; 0 beyond the volume.
    """
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    if order > 0:
        factors = np.maximum(1, np.linalg.norm(linear, axis=1).astype(int))
        factors = np.minimum(factors, np.array(volume.shape) // 2)
        volume = shrink(volume, factors)
        linear = linear / factors[:, None]
        offset = (offset - (factors - 1) / 2) / factors
    return ndimage.affine_transform(
        volume, linear, offset, output_shape=shape, order=order, mode="constant", cval=0
    )
