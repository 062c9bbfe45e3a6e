"""Finding starts for planar registration: everywhere at low resolution, and by features."""

from itertools import product

import cv2
import numpy as np
from scipy import fft

from regreveal.registration.planar_ecc import corner_points

ROTATIONS = np.arange(-15, 16, 5)  # degrees
SCALES = 1.1 ** np.arange(-2, 3)
REACH = 1 / 3  # of each side of the reference: how far its centre may lie from the sample's
LEAST_OVERLAP = 0.4  # of the posed reference
DISTINCT = 0.06  # of the longer side: starts whose corners are closer than that end alike

FEATURE_RATIO = 0.8  # Lowe (2004), Int. J. Comput. Vis. 60:91, section 7.1
FEATURE_ERROR = 0.02  # of the longer side, to be refined: people differ
LEAST_FEATURES = 6  # that agree on one pose; four numbers take two


class CoarseSearch:
    """Search over rotation, scale and translation by normalised cross-correlation.

    All translations of a pose are scored at once by Fourier transforms, each over the pixels that
    both images have there (Padfield 2012, IEEE Trans. Image Process. 21:2706).

    Parameters
    ----------
    reference : ndarray of float32, shape (rows, columns)
        Small: some 2,000 pixels.
    sample_shape : tuple of int
        (rows, columns) of the samples, at the same resolution.
    """

    def __init__(self, reference: np.ndarray, sample_shape: tuple[int, int]):
        shape = reference.shape
        spans = [_translations(*sides) for sides in zip(shape, sample_shape, strict=True)]
        self._down, self._right = spans
        # Long enough that no translation wraps around.
        self._size = [
            fft.next_fast_len(int(max(of_sample - span[0], of_reference + span[-1])), real=True)
            for of_reference, of_sample, span in zip(shape, sample_shape, spans, strict=True)
        ]
        self._corners = corner_points(shape)
        self._apart = DISTINCT * max(shape)
        centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
        self._poses = [
            np.vstack([cv2.getRotationMatrix2D(centre, degrees, scale), [0, 0, 1]])
            for degrees, scale in product(ROTATIONS.tolist(), SCALES.tolist())
        ]
        posed, masks = (
            np.stack([cv2.warpAffine(image, pose[:2], shape[::-1]) for pose in self._poses])
            for image in (reference - reference.mean(), np.ones_like(reference))
        )
        masks = (masks > 0.99).astype(np.float32)
        posed *= masks
        self._posed, self._masks = np.conj(self._forward(posed)), np.conj(self._forward(masks))
        everywhere = self._forward(np.ones(sample_shape, np.float32))
        squares = np.conj(self._forward(posed**2))
        self._n = np.maximum(np.round(self._correlations(self._masks * everywhere)), 1)
        self._sum = self._correlations(self._posed * everywhere)
        self._variation = self._correlations(squares * everywhere) - self._sum**2 / self._n
        self._enough = self._n >= LEAST_OVERLAP * masks.sum(axis=(1, 2))[:, None, None]

    def starts(self, sample: np.ndarray, most: int) -> list[np.ndarray]:
        """Give the best starts that are distinct, the best first.

        Parameters
        ----------
        sample : ndarray of float32, shape (rows, columns)
        most : int

        Returns
        -------
        list of ndarray, shape (3, 3)
            From the reference's pixels to the sample's.
        """
        centred = sample - sample.mean()
        image, squares = self._forward(centred), self._forward(centred**2)
        sample_sum = self._correlations(self._masks * image)
        variation = self._correlations(self._masks * squares) - sample_sum**2 / self._n
        covariation = self._correlations(self._posed * image) - self._sum * sample_sum / self._n
        scale = self._variation * variation
        usable = self._enough & (scale > 1e-6 * scale.max())
        score = np.where(usable, covariation / np.sqrt(np.where(usable, scale, 1)), -1)
        score = score.reshape(len(score), -1)
        best = score.argmax(axis=1)
        chosen, places = [], []
        for pose in np.argsort(-score.max(axis=1), kind="stable"):
            row, column = np.unravel_index(best[pose], self._n.shape[1:])
            matrix = self._poses[pose].copy()
            matrix[:2, 2] += self._right[column], self._down[row]
            place = self._corners @ matrix.T
            if all(np.abs(place - other).max() > self._apart for other in places):
                chosen.append(matrix)
                places.append(place)
            if len(chosen) == most:
                break
        return chosen

    def _forward(self, images):
        return fft.rfft2(images, self._size)

    def _correlations(self, spectrum):
        """Values at the translations that are searched."""
        return fft.irfft2(spectrum, self._size)[:, self._down[:, None], self._right]


def _translations(reference_side: int, sample_side: int) -> np.ndarray:
    """List translations of one axis, about the one that puts centre on centre."""
    middle = round((sample_side - reference_side) / 2)
    reach = max(2, int(REACH * reference_side))
    return np.arange(middle - reach, middle + reach + 1)


class FeatureStart:
    """A start from features that both images show, wherever they lie (Lowe 2004, SIFT).

    Parameters
    ----------
    reference : ndarray of float32, shape (rows, columns)
        Values from 0 to 1.
    """

    def __init__(self, reference: np.ndarray):
        self._sift = cv2.SIFT_create(1000)
        self._tolerance = FEATURE_ERROR * max(reference.shape)
        self._points, self._descriptors = self._features(reference)

    def start(self, sample: np.ndarray) -> np.ndarray | None:
        """Give the similarity transform that most features agree on, (3, 3); None if too few do.

        Parameters
        ----------
        sample : ndarray of float32, shape (rows, columns)
            Values from 0 to 1.
        """
        points, descriptors = self._features(sample)
        if min(len(points), len(self._points)) < LEAST_FEATURES:
            return None
        pairs = cv2.BFMatcher().knnMatch(self._descriptors, descriptors, k=2)
        good = [one for one, two in pairs if one.distance < FEATURE_RATIO * two.distance]
        if len(good) < LEAST_FEATURES:
            return None
        similarity, agree = cv2.estimateAffinePartial2D(
            self._points[[match.queryIdx for match in good]],
            points[[match.trainIdx for match in good]],
            method=cv2.RANSAC,
            ransacReprojThreshold=self._tolerance,
        )
        if similarity is None or agree.sum() < LEAST_FEATURES:
            return None
        return np.vstack([similarity, [0, 0, 1]])

    def _features(self, image):
        keypoints, descriptors = self._sift.detectAndCompute((255 * image).astype(np.uint8), None)
        return np.array([keypoint.pt for keypoint in keypoints], np.float32), descriptors
