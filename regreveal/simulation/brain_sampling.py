"""Compiled loops of the simulated brains. Importing this imports numba: do it where it is used."""

import numpy as np
from numba import njit


@njit(cache=True)
def compose(displacement):
    """Follow a displacement field twice, by trilinear interpolation, zero beyond its grid.

    Parameters
    ----------
    displacement : ndarray of float32, shape (x, y, z, 3)
        In voxels.

    Returns
    -------
    ndarray of float32, same shape
    """
    twice = np.empty_like(displacement)
    moved = np.empty(3, np.float32)
    for i in range(displacement.shape[0]):
        for j in range(displacement.shape[1]):
            for k in range(displacement.shape[2]):
                x, y, z = (
                    displacement[i, j, k, 0],
                    displacement[i, j, k, 1],
                    displacement[i, j, k, 2],
                )
                _interpolate(displacement, i + x, j + y, k + z, moved)
                twice[i, j, k, 0] = x + moved[0]
                twice[i, j, k, 1] = y + moved[1]
                twice[i, j, k, 2] = z + moved[2]
    return twice


@njit(cache=True)
def region_volume(mask, mask_origin, displacement, origin, step):
    """Volume (ml) of a region after a deformation, by counting points 3 mm apart.

    Parameters
    ----------
    mask : ndarray of bool, shape (x, y, z)
        The region before, on a grid of 1 mm.
    mask_origin : ndarray, shape (3,)
    displacement : ndarray of float32, shape (..., 3)
        From points after the deformation to points before it, in mm.
    origin : ndarray, shape (3,)
    step : float
        Of the displacements' grid.

    Returns
    -------
    float
    """
    moved = np.empty(3, np.float32)
    inside = 0
    for i in range(0, mask.shape[0], 3):
        for j in range(0, mask.shape[1], 3):
            for k in range(0, mask.shape[2], 3):
                x, y, z = i + mask_origin[0], j + mask_origin[1], k + mask_origin[2]
                _at(displacement, origin, 1 / step, x, y, z, moved)
                a, b, c = _nearest(i + moved[0]), _nearest(j + moved[1]), _nearest(k + moved[2])
                if (
                    0 <= a < mask.shape[0]
                    and 0 <= b < mask.shape[1]
                    and 0 <= c < mask.shape[2]
                    and mask[a, b, c]
                ):
                    inside += 1
    return inside * 27 / 1000


@njit(cache=True)
def sample(
    to_mni,
    displacement,
    displacement_origin,
    displacement_step,
    brain,
    brain_origin,
    brain_step,
    brain_weights,
    head,
    head_origin,
    head_step,
    head_weights,
    labels,
    level,
    labels_origin,
    shifts,
    grey_of,
    white_of,
    image,
    sampled,
):
    """Sample one person's head on a grid: each voxel by one interpolation of maps, and its label.

    Parameters
    ----------
    to_mni : ndarray, shape (3, 4)
        Voxel indices of `image` to millimetres of MNI space.
    displacement : ndarray of float32, shape (..., 3)
        From there to the template, mm, with its grid's origin and step.
    brain, head : ndarray of float32, shape (..., channels)
        Maps, each with its grid's origin and step, and the weights of its channels.
    labels : ndarray of uint8, shape (x, y, z)
        Of the template, at 1 mm, from `labels_origin` on.
    level : ndarray of float32, same shape
        How far (mm) the border between grey and white has to move for a voxel to be white.
    shifts : ndarray, shape (parts,)
        How far it moves in each part of the brain.
    grey_of, white_of : ndarray of int64, shape (parts,)
        The two labels of each part.
    image : ndarray of float32, shape (x, y, z)
        Is filled with intensities.
    sampled : ndarray of uint8, same shape
        Is filled with the labels of the voxels' centres.
    """
    displacements_per_mm, brain_per_mm, head_per_mm = (
        1 / displacement_step,
        1 / brain_step,
        1 / head_step,
    )
    moved = np.empty(3, np.float32)
    of_brain = np.empty(brain.shape[3], np.float32)
    of_head = np.empty(head.shape[3], np.float32)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(image.shape[2]):
                x = to_mni[0, 0] * i + to_mni[0, 1] * j + to_mni[0, 2] * k + to_mni[0, 3]
                y = to_mni[1, 0] * i + to_mni[1, 1] * j + to_mni[1, 2] * k + to_mni[1, 3]
                z = to_mni[2, 0] * i + to_mni[2, 1] * j + to_mni[2, 2] * k + to_mni[2, 3]
                _at(displacement, displacement_origin, displacements_per_mm, x, y, z, moved)
                x, y, z = x + moved[0], y + moved[1], z + moved[2]
                value = np.float32(0)
                if _at(head, head_origin, head_per_mm, x, y, z, of_head):
                    for channel in range(of_head.size):
                        value += head_weights[channel] * of_head[channel]
                if _at(brain, brain_origin, brain_per_mm, x, y, z, of_brain):
                    for channel in range(of_brain.size):
                        value += brain_weights[channel] * of_brain[channel]
                image[i, j, k] = max(value, np.float32(0))
                sampled[i, j, k] = _label(
                    labels,
                    level,
                    _nearest(x - labels_origin[0]),
                    _nearest(y - labels_origin[1]),
                    _nearest(z - labels_origin[2]),
                    shifts,
                    grey_of,
                    white_of,
                )


@njit(cache=True)
def _label(labels, level, a, b, c, shifts, grey_of, white_of):
    """Label of a voxel of the template, for a person whose borders are shifted."""
    x, y, z = labels.shape
    if a < 0 or b < 0 or c < 0 or a >= x or b >= y or c >= z:
        return 0
    label = labels[a, b, c]
    for part in range(shifts.size):
        if label == grey_of[part] or label == white_of[part]:
            return white_of[part] if level[a, b, c] < shifts[part] else grey_of[part]
    return label


@njit(cache=True)
def _nearest(index):
    return int(np.floor(index + 0.5))


@njit(cache=True)
def _at(values, origin, per_mm, x, y, z, found):
    """Values of all channels at a place in mm; False beyond the grid."""
    return _interpolate(
        values,
        (x - origin[0]) * per_mm,
        (y - origin[1]) * per_mm,
        (z - origin[2]) * per_mm,
        found,
    )


@njit(cache=True)
def _interpolate(values, x, y, z, found):
    """Values of all channels at fractional indices, trilinear; 0, and False, beyond the grid."""
    a, b, c = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    rows, columns, slices = values.shape[0] - 1, values.shape[1] - 1, values.shape[2] - 1
    if a < 0 or b < 0 or c < 0 or a >= rows or b >= columns or c >= slices:
        found[:] = 0
        return False
    one = np.float32(1)
    u, v, w = np.float32(x - a), np.float32(y - b), np.float32(z - c)
    u_, v_, w_ = one - u, one - v, one - w
    w0, w1, w2, w3 = u_ * v_ * w_, u_ * v_ * w, u_ * v * w_, u_ * v * w
    w4, w5, w6, w7 = u * v_ * w_, u * v_ * w, u * v * w_, u * v * w
    # Unsigned, so that no check for counting from the end is compiled in.
    a0, b0, c0 = np.uint32(a), np.uint32(b), np.uint32(c)
    a1, b1, c1 = np.uint32(a + 1), np.uint32(b + 1), np.uint32(c + 1)
    for channel in range(np.uint32(found.size)):
        low = (
            w0 * values[a0, b0, c0, channel]
            + w1 * values[a0, b0, c1, channel]
            + w2 * values[a0, b1, c0, channel]
            + w3 * values[a0, b1, c1, channel]
        )
        high = (
            w4 * values[a1, b0, c0, channel]
            + w5 * values[a1, b0, c1, channel]
            + w6 * values[a1, b1, c0, channel]
            + w7 * values[a1, b1, c1, channel]
        )
        found[channel] = low + high
    return True
