"""X-rays through many simple solids: what each weakens the beam by, added up pixel by pixel.

Importing this imports numba, so it is done where images are drawn.
"""

import numba
import numpy as np

from regreveal.simulation.dxa_shapes import CAPSULE, ELLIPSOID


def draw(solids, homographies, shape, oversampling):
    """Project solids along the beam and name the anatomy under each pixel.

    Parameters
    ----------
    solids : dxa_shapes.Solids
        In mm, of n people; tissue and bone are told apart by `solids.is_tissue`.
    homographies : ndarray, shape (n, 3, 3)
        From mm to pixels of the image, x first; pixel centres are at whole numbers.
    shape : tuple of int
        Rows and columns.
    oversampling : int
        Samples a pixel, along each axis, that bone is the mean of.

    Returns
    -------
    tissue, bone : ndarray of float32, shape (n, rows, columns)
        Thickness of soft tissue in mm, and of mineral in mm of full density.
    labels : ndarray of uint8, shape (n, rows, columns)
        Of the solid drawn last over the pixel's centre; 0 where there is none.
    """
    n, (rows, columns) = len(homographies), shape
    fine_shape = (rows * oversampling, columns * oversampling)
    # The centre of sample i of pixel 0 is at (i + 1/2) / oversampling - 1/2.
    finer = np.diag([oversampling, oversampling, 1.0])
    finer[:2, 2] = (oversampling - 1) / 2
    tissue = np.empty((n, rows, columns), np.float32)
    bone = np.empty((n, rows, columns), np.float32)
    labels = np.empty((n, rows, columns), np.uint8)
    soft, hard = np.flatnonzero(solids.is_tissue), np.flatnonzero(~solids.is_tissue)
    everything = np.arange(len(solids.kinds))
    for person in range(n):
        values = solids.values[person]
        coarse = _where(homographies[person], shape)
        fine = _where(finer @ homographies[person], fine_shape)
        tissue[person] = _add_up(values, solids.kinds, solids.groups, soft, True, *coarse)
        mineral = _add_up(values, solids.kinds, solids.groups, hard, False, *fine)
        split = mineral.reshape(rows, oversampling, columns, oversampling)
        bone[person] = split.mean(axis=(1, 3))
        labels[person] = _paint(values, solids.kinds, solids.labels, everything, *coarse)
    return tissue, bone, labels


def _where(homography, shape):
    """Each pixel's place in mm, and the matrix to pixels."""
    xs, ys = _places(np.linalg.inv(homography), *shape)
    return homography, xs, ys


def _compiled(function):
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
        return numba.njit(nogil=True)(function)


@_compiled
def _places(inverse, rows, columns):
    xs = np.empty((rows, columns), np.float32)
    ys = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            depth = inverse[2, 0] * column + inverse[2, 1] * row + inverse[2, 2]
            x = inverse[0, 0] * column + inverse[0, 1] * row + inverse[0, 2]
            y = inverse[1, 0] * column + inverse[1, 1] * row + inverse[1, 2]
            xs[row, column] = x / depth
            ys[row, column] = y / depth
    return xs, ys


@_compiled
def _box(solid, kind, homography, rows, columns):
    """First and last (exclusive) row and column that a solid can reach."""
    if kind == CAPSULE:
        reach = max(solid[4], solid[5])
        left, right = min(solid[0], solid[2]) - reach, max(solid[0], solid[2]) + reach
        top, bottom = min(solid[1], solid[3]) - reach, max(solid[1], solid[3]) + reach
    else:
        # A block's corners reach farther than its half axes, by less than 2^(1/4).
        swell = 1.0 if kind == ELLIPSOID else 1.19
        across = swell * np.sqrt((solid[2] * solid[4]) ** 2 + (solid[3] * solid[5]) ** 2)
        down = swell * np.sqrt((solid[2] * solid[5]) ** 2 + (solid[3] * solid[4]) ** 2)
        left, right = solid[0] - across, solid[0] + across
        top, bottom = solid[1] - down, solid[1] + down
    first_row, last_row = 1e9, -1e9
    first_column, last_column = 1e9, -1e9
    for corner in range(4):
        x = left if corner % 2 == 0 else right
        y = top if corner < 2 else bottom
        depth = homography[2, 0] * x + homography[2, 1] * y + homography[2, 2]
        column = (homography[0, 0] * x + homography[0, 1] * y + homography[0, 2]) / depth
        row = (homography[1, 0] * x + homography[1, 1] * y + homography[1, 2]) / depth
        first_row, last_row = min(first_row, row), max(last_row, row)
        first_column, last_column = min(first_column, column), max(last_column, column)
    return (
        max(0, int(np.floor(first_row))),
        min(rows, int(np.ceil(last_row)) + 1),
        max(0, int(np.floor(first_column))),
        min(columns, int(np.ceil(last_column)) + 1),
    )


@_compiled
def _inside(solid, kind, x, y):
    """Squared distance from a solid's middle, 1 at its surface, and its depth there."""
    if kind == CAPSULE:
        along_x, along_y = solid[2] - solid[0], solid[3] - solid[1]
        length = along_x * along_x + along_y * along_y
        t = 0.0
        if length > 0:
            t = ((x - solid[0]) * along_x + (y - solid[1]) * along_y) / length
            t = min(max(t, 0.0), 1.0)
        off_x, off_y = x - solid[0] - t * along_x, y - solid[1] - t * along_y
        radius = solid[4] + t * (solid[5] - solid[4])
        return (off_x * off_x + off_y * off_y) / (radius * radius), 2 * radius
    off_x, off_y = x - solid[0], y - solid[1]
    u = (solid[4] * off_x + solid[5] * off_y) / solid[2]
    v = (solid[4] * off_y - solid[5] * off_x) / solid[3]
    u, v = u * u, v * v
    if kind == ELLIPSOID:
        return u + v, solid[6]
    return np.sqrt(u * u + v * v), solid[6]


@_compiled
def _thickness(q, depth, shell, wall, marrow):
    hollow = 0.0
    if q < shell * shell:
        hollow = np.sqrt(shell * shell - q)
    return depth * (wall * (np.sqrt(1.0 - q) - hollow) + marrow * hollow)


@_compiled
def _add_up(values, kinds, groups, chosen, is_smooth, homography, xs, ys):
    """Sum pieces, which are neighbours of the same group.

    In a piece of bone the wall runs around all its solids; where they overlap, depth and density
    go over from one to the next. Tissue blends by the 4-norm: hardly more than the thickest of
    its solids, without a crease.
    """
    rows, columns = xs.shape
    total = np.zeros((rows, columns), np.float32)
    # Of bone: the nearest solid's squared distance, and sums of weights and weighted looks (depth,
    # hollow, wall, marrow). Of tissue: only the sum of fourth powers, in the first of these.
    nearest = np.ones((rows, columns), np.float32)
    sums = np.zeros((rows, columns, 5), np.float32)
    top, bottom, left, right = rows, 0, columns, 0
    for number in range(len(chosen)):
        index = chosen[number]
        solid, kind = values[index], kinds[index]
        first_row, last_row, first_column, last_column = _box(
            solid, kind, homography, rows, columns
        )
        if first_row < last_row and first_column < last_column:
            top, bottom = min(top, first_row), max(bottom, last_row)
            left, right = min(left, first_column), max(right, last_column)
        for row in range(first_row, last_row):
            for column in range(first_column, last_column):
                q, depth = _inside(solid, kind, xs[row, column], ys[row, column])
                if q >= 1.0:
                    continue
                here = sums[row, column]
                if is_smooth:
                    value = _thickness(q, depth, solid[7], solid[8], solid[9])
                    here[0] += value * value * value * value
                    continue
                nearest[row, column] = min(nearest[row, column], q)
                weight = (1.0 - q) * (1.0 - q) + 1e-6
                here[0] += weight
                here[1] += weight * depth
                here[2] += weight * solid[7]
                here[3] += weight * solid[8]
                here[4] += weight * solid[9]
        if number + 1 < len(chosen) and groups[chosen[number + 1]] == groups[index]:
            continue
        sign = -1.0 if solid[8] < 0 else 1.0
        for row in range(top, bottom):
            for column in range(left, right):
                here = sums[row, column]
                if here[0] == 0.0:
                    continue
                if is_smooth:
                    value = sign * np.sqrt(np.sqrt(here[0]))
                else:
                    value = _thickness(
                        nearest[row, column],
                        here[1] / here[0],
                        here[2] / here[0],
                        here[3] / here[0],
                        here[4] / here[0],
                    )
                    nearest[row, column] = 1.0
                total[row, column] = max(total[row, column] + value, 0.0)
                here[:] = 0.0
        top, bottom, left, right = rows, 0, columns, 0
    return total


@_compiled
def _paint(values, kinds, labels, chosen, homography, xs, ys):
    rows, columns = xs.shape
    painted = np.zeros((rows, columns), np.uint8)
    for index in chosen:
        label = labels[index]
        if label == 0:
            continue
        solid, kind = values[index], kinds[index]
        first_row, last_row, first_column, last_column = _box(
            solid, kind, homography, rows, columns
        )
        for row in range(first_row, last_row):
            for column in range(first_column, last_column):
                if _inside(solid, kind, xs[row, column], ys[row, column])[0] < 1.0:
                    painted[row, column] = label
    return painted
