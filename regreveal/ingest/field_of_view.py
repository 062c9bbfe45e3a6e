"""One shape for everyone's image: crop or pad about the centre, keeping the size of a voxel.

Nothing is interpolated unless it is asked for: `to_voxel_size` and `to_frames` do that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DARKEST, BRIGHTEST = 1, 99  # Percentiles, so that a few outliers don't count.
TISSUE_SHARE = 0.2  # Of the way from the background to the brightest: above noise, below muscle.


@dataclass(frozen=True)
class Fitted:
    """An image in the shape asked for, and what that took.

    Attributes
    ----------
    pixels : ndarray of float32
    cropped, padded : tuple of int
        Voxels taken off and put on along each axis of space, both ends together.
    tissue_cut : float
        Share of the voxels with tissue that were taken off.
    """

    pixels: np.ndarray
    cropped: tuple[int, ...]
    padded: tuple[int, ...]
    tissue_cut: float


def fit_shape(pixels: np.ndarray, shape: Sequence[int]) -> Fitted:
    """Crop or pad an image about its centre.

    An odd voxel comes off, or is put on, at the far end of its axis. Padding has the value of the
    image's own background, `background(pixels)`: 0 in most, but white in a DXA on a white ground,
    and -1000 where the scale starts there.

    Parameters
    ----------
    pixels : ndarray, shape (*space, ...)
        Axes of space first; those after them are kept.
    shape : sequence of int
        Of space.

    Returns
    -------
    Fitted
    """
    spatial = len(shape)
    starts = [max(0, (have - want) // 2) for have, want in zip(pixels.shape, shape, strict=False)]
    kept = pixels[tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))]
    cropped = tuple(
        have - left for have, left in zip(pixels.shape[:spatial], kept.shape, strict=False)
    )
    missing = tuple(want - left for want, left in zip(shape, kept.shape, strict=False))
    ground = background(pixels, spatial)
    fitted = kept
    if any(missing):
        widths = [(count // 2, count - count // 2) for count in missing]
        widths += [(0, 0)] * (pixels.ndim - spatial)
        fitted = np.pad(kept, widths, constant_values=ground)
    return Fitted(
        np.ascontiguousarray(fitted, np.float32),
        cropped,
        missing,
        _tissue_cut(pixels, kept, ground) if any(cropped) else 0.0,
    )


def background(pixels: np.ndarray, spatial: int) -> float:
    """Value of an image where nobody is.

    Parameters
    ----------
    pixels : ndarray, shape (*space, ...)
    spatial : int
        Number of axes of space.

    Returns
    -------
    float
        What half of the border's voxels have or more; where there is no such value, as with noise
        or with tissue up to the border, the border's darkest but for a hundredth.
    """
    ends = [np.take(pixels, end, axis).ravel() for axis in range(spatial) for end in (0, -1)]
    border = np.concatenate(ends)
    values, counts = np.unique(border, return_counts=True)
    if 2 * counts.max() >= border.size:
        return float(values[counts.argmax()])
    return float(np.percentile(border, DARKEST, method="lower"))


def _tissue_cut(pixels: np.ndarray, kept: np.ndarray, ground: float) -> float:
    # Either side of the background, which may be white.
    threshold = TISSUE_SHARE * np.percentile(np.abs(pixels - ground), BRIGHTEST)
    tissue = np.count_nonzero(np.abs(pixels - ground) > threshold)
    return 1 - np.count_nonzero(np.abs(kept - ground) > threshold) / tissue if tissue else 0.0


def to_voxel_size(
    pixels: np.ndarray, voxel_size: Sequence[float], wanted: Sequence[float]
) -> np.ndarray:
    """Resample an image linearly about its centre.

    Where voxels become larger, the image is smoothed first by a Gaussian of (ratio - 1)/2 voxels,
    so that nothing folds over from finer scales.

    Parameters
    ----------
    pixels : ndarray, shape (*space, ...)
    voxel_size, wanted : sequence of float
        In millimetres, one an axis of space.

    Returns
    -------
    ndarray of float32
        As many voxels as cover the same extent.
    """
    from scipy import ndimage

    rest = pixels.ndim - len(wanted)
    ratio = np.array([*(np.asarray(wanted) / np.asarray(voxel_size)), *[1.0] * rest])
    have = np.array(pixels.shape)
    count = np.maximum(1, np.rint(have / ratio)).astype(int)
    return ndimage.affine_transform(
        ndimage.gaussian_filter(
            np.asarray(pixels, np.float32), np.maximum(ratio - 1, 0) / 2, mode="nearest"
        ),
        ratio,
        offset=(have - 1) / 2 - ratio * (count - 1) / 2,
        output_shape=tuple(count),
        order=1,
        mode="nearest",
    )


def to_frames(cine: np.ndarray, frames: int) -> np.ndarray:
    """Resample a cine of one heart beat linearly in time; after the last frame comes the first.

    Parameters
    ----------
    cine : ndarray, shape (rows, columns, frames of the file)
    frames : int

    Returns
    -------
    ndarray of float32, shape (rows, columns, frames)
    """
    have = cine.shape[-1]
    times = np.arange(frames) * have / frames
    before = times.astype(int)
    share = (times - before).astype(np.float32)
    return cine[..., before] * (1 - share) + cine[..., (before + 1) % have] * share
