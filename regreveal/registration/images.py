"""What registrations of images share: which images can be used at all, and how alike two are."""

import numpy as np

HELD_OUT_SHARE = 0.1
NOT_FINITE, BLANK = "values that are not finite", "blank image"


def unusable_reason(image: np.ndarray) -> str:
    """Say why an image cannot be registered whatever the method; empty where nothing is wrong.

    Parameters
    ----------
    image : ndarray, shape (*shape, channels)

    Returns
    -------
    str
    """
    if not np.isfinite(image).all():
        return NOT_FINITE
    return BLANK if image.max() == image.min() else ""


def correlation(fixed: np.ndarray, moving: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Pearson correlation of two images' values, over a mask if there is one; 0 if one is flat.

    Parameters
    ----------
    fixed, moving : ndarray, same shape
    mask : ndarray of bool, same shape, optional

    Returns
    -------
    float
    """
    if mask is not None:
        fixed, moving = fixed[mask], moving[mask]
    if fixed.size == 0:
        return 0.0
    fixed, moving = (values.ravel().astype(np.float64) for values in (fixed, moving))
    fixed, moving = fixed - fixed.mean(), moving - moving.mean()
    # einsum rather than the linear algebra library: its threads cost more than they give here, and
    # the order in which they add up depends on their number.
    squares = np.einsum("i,i", fixed, fixed) * np.einsum("i,i", moving, moving)
    return float(np.einsum("i,i", fixed, moving) / np.sqrt(squares)) if squares > 0 else 0.0


def spread(count: int, most: int) -> np.ndarray:
    """Give up to `most` of `count` rows, spread evenly over all, in order.

    Returns
    -------
    ndarray of int, shape (at most `most`,)
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def held_out_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold a tenth of some rows out, one at least, to choose the best epoch by.

    Returns
    -------
    learned, held_out : ndarray of int
        In random order.
    """
    order = np.random.default_rng((seed, count)).permutation(count)
    held_out = max(1, round(HELD_OUT_SHARE * count))
    return order[held_out:], order[:held_out]
