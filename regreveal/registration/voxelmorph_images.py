"""Images as VoxelMorph sees them: standardised, of sizes it can halve, one channel each."""

import math

import numpy as np

from regreveal.progress import track
from regreveal.registration.images import unusable_reason

# Standardised samples are kept in memory if they take no more than this, and read when needed
# otherwise.
CACHE_BYTES = 512 * 2**20
BLOCK_BYTES = 32 * 2**20
LOW_PERCENT, HIGH_PERCENT = 1, 99.5


def standardise(sample: np.ndarray) -> np.ndarray:
    """Bring a sample's values to 0..1: its 1st percentile to 0, its 99.5th to 1, and clip.

    Neither the scanner's scale nor a few bright voxels change what the network sees. Where the
    two percentiles are the same, the least and the greatest value take their place.

    Parameters
    ----------
    sample : ndarray, shape (*shape, channels)

    Returns
    -------
    ndarray of float32, shape (*shape, channels)
    """
    low, high = np.percentile(sample, (LOW_PERCENT, HIGH_PERCENT))
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    return np.clip((sample - low) / (high - low), 0, 1).astype(np.float32)


class Padding:
    """Sizes that the network can halve, and the way back.

    Parameters
    ----------
    shape : tuple of int
        Of the images.
    levels : int
        How many times the network halves.
    """

    def __init__(self, shape: tuple[int, ...], levels: int):
        self.shape = tuple(math.ceil(size / 2**levels) * 2**levels for size in shape)
        missing = [padded - size for padded, size in zip(self.shape, shape, strict=True)]
        self._around = [(more // 2, more - more // 2) for more in missing]
        self._inside = tuple(
            slice(before, before + size)
            for (before, _), size in zip(self._around, shape, strict=True)
        )

    def images(self, sample: np.ndarray) -> np.ndarray:
        """Make a sample, (*shape, channels), images of their own, (channels, *padded, 1).

        Values beyond the edge are those of the edge.
        """
        images = np.moveaxis(sample, -1, 0)
        return np.pad(images, [(0, 0), *self._around], mode="edge")[..., None]

    def crop(self, images: np.ndarray) -> np.ndarray:
        """Cut (channels, *padded, ...) to (channels, *shape, ...)."""
        return images[(slice(None), *self._inside)]


class Images:
    """Images of samples as the network sees them; unusable ones are the reference itself.

    Parameters
    ----------
    x : array-like, shape (n, *shape, channels)
        Indexed by sorted rows.
    reference : ndarray, shape (*shape, channels)
        Standardised.
    padding : Padding
    """

    def __init__(self, x, reference: np.ndarray, padding: Padding):
        self._x = x
        self._reference = reference
        self._padding = padding
        self.fixed = padding.images(reference)
        self._cache = None
        if len(x) * reference.nbytes <= CACHE_BYTES:
            cache = np.empty((len(x), *reference.shape), np.float32)
            block = max(1, BLOCK_BYTES // reference.nbytes)
            for start in track(range(0, len(x), block), "Reading images"):
                rows = slice(start, start + block)
                cache[rows] = [self._standardised(sample) for sample in x[rows]]
            self._cache = cache

    def pairs(self, rows: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give moving and fixed images, (b, *padded, 1), of some channels of some rows."""
        if self._cache is not None:
            samples = self._cache[rows, ..., channels]
        else:
            needed, places = np.unique(rows, return_inverse=True)
            read = np.stack([self._standardised(sample) for sample in self._x[needed]])
            samples = read[places, ..., channels]
        return self._padding.images(np.moveaxis(samples, 0, -1)), self.fixed[channels]

    def _standardised(self, sample: np.ndarray) -> np.ndarray:
        return self._reference if unusable_reason(sample) else standardise(sample)
