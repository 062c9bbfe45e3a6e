"""Homography: planar registration of images to one reference."""

import numpy as np

from regreveal.errors import InputError
from regreveal.registration.base import Registered, Registration, quality_table
from regreveal.registration.images import correlation, unusable_reason

__all__ = ["Homography"]

LEAST_SIDE = 32  # pixels


class Homography(Registration):
    """Projective registration of two-dimensional images by the enhanced correlation coefficient.

    A search over rotation, scale and translation at low resolution gives starts; each is refined
    coarse to fine, as an affine map first and as a homography then, by a robust form of the
    enhanced correlation coefficient, which does not change with exposure. Where no start leads to
    an acceptable end, features (SIFT) give another. An end is accepted if it is like the reference,
    covers enough of it, and its matrix is plausible; otherwise the image counts as not registered.

    Images of several channels (the frames of a cine) are registered by their mean over channels;
    all channels are moved alike.

    Parameters
    ----------
    reference : ndarray, shape (rows, columns, channels), optional
        What images are registered to. By default `fit` chooses the image most like the median
        image of those it is given.

    Attributes
    ----------
    reference_ : ndarray of float32, shape (rows, columns, channels)

    Notes
    -----
    `transforms` holds, per image, a 3 by 3 matrix (float64, lower right element 1) that maps pixels
    (x, y, 1) of the reference, homogeneously, to those of the image; NaN where not registered. x
    counts columns and y rows, from 0 at the middle of the first. `tensors` are on the reference's
    grid, by cubic interpolation within the image's range of values. Where the image does not reach,
    they hold its background: the median of its outermost pixels, of each channel.

    References
    ----------
    Evangelidis & Psarakis (2008), IEEE TPAMI 30:1858; `planar_ecc`, `planar_search`.
    """

    def __init__(self, reference: np.ndarray | None = None):
        self.reference = reference

    def fit(self, x):
        """Take the reference given, or choose one.

        Parameters
        ----------
        x : ndarray, shape (n, rows, columns, channels)

        Returns
        -------
        Homography
            This one.

        Raises
        ------
        InputError
            If the images or the reference have another number of dimensions, are too small, or
            no image is usable.
        """
        x = _as_images(x)
        reference = _choose(x) if self.reference is None else np.asarray(self.reference)
        _check_reference(reference, x)
        self.reference_ = reference.astype(np.float32)
        return self

    def transform(self, x) -> Registered:
        """Register images.

        Parameters
        ----------
        x : ndarray, shape (n, rows, columns, channels)

        Returns
        -------
        Registered
            `tensors` of shape (n, *shape of the reference), float32; `qc` has `ok` and the columns
            of `planar_matching.PlanarQuality`.

        Raises
        ------
        InputError
            If the shape is wrong, or nothing was fitted.
        """
        from regreveal.registration.planar_matching import PlanarMatcher, PlanarQuality

        x = _as_images(x)
        reference = self._fitted()
        _check_reference(reference, x)
        matcher = PlanarMatcher(_grey(reference), x.shape[1:3])
        tensors = np.full((len(x), *reference.shape), np.nan, np.float32)
        qualities, transforms = [], []
        for image, tensor in zip(x, tensors, strict=True):
            reason = unusable_reason(image)
            if reason:
                matrix, quality = None, PlanarQuality(reason)
            else:
                matrix, quality = matcher.match(_grey(image))
            if quality.reason:
                matrix = np.full((3, 3), np.nan)
            else:
                tensor[:] = _resample(image.astype(np.float32), matrix, reference.shape[:2])
            qualities.append(quality)
            transforms.append(matrix)
        return Registered(tensors, quality_table(qualities, PlanarQuality), transforms)

    def warp(self, labels: np.ndarray, transforms: list, order: int = 0) -> np.ndarray:
        """Carry labels, or other images on the samples' grid, along into the reference's frame.

        Parameters
        ----------
        labels : ndarray, shape (n, rows, columns) or (n, rows, columns, channels)
        transforms : list of ndarray, shape (3, 3)
            Of the same samples, as `transform` gave them.
        order : int
            0, nearest neighbour, for labels; 1, linear, gives float32.

        Returns
        -------
        ndarray, shape (n, *shape of the reference), channels as in `labels`
            0 where a sample does not reach, and throughout where it was not registered.

        Raises
        ------
        InputError
            If numbers or dimensions do not fit, or the order is another.
        """
        import cv2

        labels = np.asarray(labels)
        if labels.ndim not in (3, 4) or len(labels) != len(transforms):
            raise InputError(
                f"labels: shape {labels.shape} for {len(transforms)} transforms; expected "
                "(n, rows, columns), with or without channels, one a transform"
            )
        if order not in (0, 1):
            raise InputError(f"order: {order}; expected 0 (nearest) or 1 (linear)")
        size = self._fitted().shape[:2]
        dtype = labels.dtype if order == 0 else np.float32
        warped = np.zeros((len(labels), *size, *labels.shape[3:]), dtype)
        # OpenCV moves doubles of any value exactly to the nearest, and integers of 32 bits not.
        exact = np.float64 if order == 0 else np.float32
        how = cv2.INTER_NEAREST if order == 0 else cv2.INTER_LINEAR
        for label, matrix, into in zip(labels, transforms, warped, strict=True):
            if np.isfinite(matrix).all():
                for channel, target in _channels(label, into):
                    target[:] = _warp(channel.astype(exact), matrix, size, how, 0)
        return warped

    def _fitted(self) -> np.ndarray:
        if not hasattr(self, "reference_"):
            raise InputError("Homography: not fitted; call fit before transform or warp")
        return self.reference_


def _as_images(x) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 4 or min(x.shape[1:3]) < LEAST_SIDE or not x.shape[3]:
        raise InputError(
            f"images: an array of shape {x.shape}; expected (n, rows, columns, channels), at least "
            f"{LEAST_SIDE} pixels a side"
        )
    return x


def _check_reference(reference, x):
    if reference.ndim != 3 or min(reference.shape[:2]) < LEAST_SIDE:
        raise InputError(
            f"reference: shape {reference.shape}; expected (rows, columns, channels), at least "
            f"{LEAST_SIDE} pixels a side"
        )
    if reference.shape[2] != x.shape[3]:
        raise InputError(
            f"reference: {reference.shape[2]} channels, the images {x.shape[3]}; expected the same"
        )
    reason = unusable_reason(reference)
    if reason:
        raise InputError(f"reference: {reason}; expected an image to register to")


def _choose(x):
    """Choose the image that correlates best with the median image of those usable."""
    usable = [image for image in x if not unusable_reason(image)]
    if not usable:
        raise InputError(f"images: none of {len(x)} is usable as a reference; give one")
    median = np.median(usable, axis=0)
    return usable[int(np.argmax([correlation(image, median) for image in usable]))]


def _grey(image):
    return image.mean(axis=-1, dtype=np.float64)


def _resample(image, matrix, size):
    """Make the registered image, (*size, channels)."""
    import cv2

    registered = np.empty((*size, image.shape[2]), np.float32)
    for channel, target in _channels(image, registered):
        border = np.concatenate([channel[[0, -1]].ravel(), channel[1:-1, [0, -1]].ravel()])
        target[:] = _warp(channel, matrix, size, cv2.INTER_CUBIC, float(np.median(border)))
        np.clip(target, channel.min(), channel.max(), out=target)
    return registered


def _channels(image, into):
    """Pairs of views, (rows, columns) each, with or without a channels axis."""
    if image.ndim == 2:
        return [(image, into)]
    return [(image[..., c], into[..., c]) for c in range(image.shape[2])]


def _warp(channel, matrix, size, how, fill):
    import cv2

    return cv2.warpPerspective(
        np.ascontiguousarray(channel),
        matrix,
        size[::-1],
        flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
