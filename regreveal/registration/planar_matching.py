"""Matching two-dimensional images to one reference: starts, refinement, and how good the end is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from regreveal.registration.images import correlation
from regreveal.registration.planar_ecc import (
    AFFINE,
    HOMOGRAPHY,
    MARGIN,
    Fit,
    corner_points,
    places_of,
    reference_level,
    refine,
)
from regreveal.registration.planar_search import CoarseSearch, FeatureStart

COARSEST = 2500  # pixels: a search everywhere takes a millisecond at that size
JUDGED = 128  # longest side in pixels at which two images are compared: pixel noise is gone there
DETAIL_WIDTH = 3.0  # pixels at that size: what is smoother is not detail
OUTLIER = 4.0  # robust standard deviations
STARTS = 3  # poses of the search that are followed up
SAME = 0.04  # of the longer side: starts whose corners end closer at the coarsest level are one
RIVAL = 0.03  # of correlation: a start behind the best by less may yet turn out better
MOST_STEPS = 20
CLIPPED = 0.005  # share of the darkest and of the brightest pixels: markers, dead pixels

# Farther from the identity than people lie on a table or differ in shape: between people of the
# tests' phantoms, the largest stretch found is 1.2 and the largest perspective 0.16.
SCALE_LIMITS = 0.7, 1.4
ROTATION_LIMIT = 25.0
STRETCH_LIMIT = 1.35
PERSPECTIVE_LIMIT = 0.4
LEAST_OVERLAP = 0.5

# On the tests' phantoms: other people, and one in noise of 80 grey values, at least 0.92 and 0.91.
# On the simulator's people (seed 1): at least 0.83 and 0.56, hip implants included. Noise, halves
# and parts of bodies, other parts, upside down, on the side and negatives have at most 0.76, and
# those over 0.73 at most 0.3 of detail. An upside-down spine is like a spine, and passes; of bodies
# whose lower half is missing, the rest is registered rightly, and some pass.
LEAST_CORRELATION = 0.8
LEAST_DETAIL = 0.45


@dataclass
class PlanarQuality:
    """Quality figures of one registration: the columns of `qc` after `ok`, in this order.

    Attributes
    ----------
    reason : str
        Why it was not registered; empty where it was.
    correlation : float
        Of the registered image with the reference where they overlap, at a resolution of 128
        pixels or fewer on the longer side, so that it does not depend on noise.
    detail : float
        The same of what is finer than 3 of those pixels: bones rather than the outline.
    overlap : float
        Share of the reference's frame that the sample covers.
    outliers : float
        Share of that where the two differ by over 4 times the usual: an implant, a table's edge.
        `detail` leaves it out.
    scale : float
        Size in the sample over that in the reference, at the centre.
    rotation : float
        Degrees, from the reference to the sample, clockwise on the screen.
    stretch : float
        Largest over smallest scale at the centre: 1 without shear and anisotropy.
    perspective : float
        Change of scale over the frame, largest over smallest less 1: 0 for an affine map.
    shift_x, shift_y : float
        Pixels from the reference's centre to where it is in the sample.
    start : str
        What led there: "search" or "features".
    """

    reason: str = ""
    correlation: float = np.nan
    detail: float = np.nan
    overlap: float = np.nan
    outliers: float = np.nan
    scale: float = np.nan
    rotation: float = np.nan
    stretch: float = np.nan
    perspective: float = np.nan
    shift_x: float = np.nan
    shift_y: float = np.nan
    start: str = ""


class PlanarMatcher:
    """One reference, prepared, to which images of one shape are matched.

    Parameters
    ----------
    reference : ndarray, shape (rows, columns)
    sample_shape : tuple of int
        (rows, columns) of the images.

    Raises
    ------
    ValueError
        If the reference is blank.
    """

    def __init__(self, reference: np.ndarray, sample_shape: tuple[int, int]):
        prepared = prepare(reference)
        if prepared is None:
            raise ValueError("the reference is blank; expected an image")
        self._halvings = 0
        while prepared.size > COARSEST * 4**self._halvings:
            self._halvings += 1
        images = self._pyramid(prepared)
        self._levels = [reference_level(image) for image in images]
        coarse_sample = self._pyramid(np.zeros(sample_shape, np.float32))[-1]
        self._search = CoarseSearch(images[-1], coarse_sample.shape)
        self._features = FeatureStart(images[0])
        self._judged = next(
            (i for i, image in enumerate(images) if max(image.shape) <= JUDGED), self._halvings
        )

    def match(self, image: np.ndarray) -> tuple[np.ndarray, PlanarQuality]:
        """Match one image.

        The best start of the search is followed, and others that are as good as it at the coarsest
        level but lead elsewhere. Where none comes to an acceptable end, all are, and that from
        features. Of acceptable ends the one that correlates best wins; where there is none, the one
        that correlates best is reported, with why it is not accepted.

        Parameters
        ----------
        image : ndarray, shape (rows, columns)
            Finite and not constant.

        Returns
        -------
        matrix : ndarray, shape (3, 3)
            From the reference's pixels (x, y, 1) to the image's.
        quality : PlanarQuality
        """
        prepared = prepare(image)
        if prepared is None:
            return np.full((3, 3), np.nan), PlanarQuality("blank image")
        images = self._pyramid(prepared)
        best = None
        for start, behind in self._searched(images):
            if best is not None and not best[1].reason and behind > RIVAL:
                break
            best = self._better(best, start, "search", images)
        if best is None or best[1].reason:
            start = self._by_features(images)
            if start is not None:
                best = self._better(best, start, "features", images)
        return best

    def _better(self, best, start: Fit, name: str, images) -> tuple[np.ndarray, PlanarQuality]:
        """Follow a start; give its end, or the best so far if that is better."""
        fit = self._follow(start, images)
        quality = self._judge(fit, images[self._judged], name)
        if best is None or _rank(quality) > _rank(best[1]):
            return fit.matrix, quality
        return best

    def _pyramid(self, image):
        """Images of half the size each; pixel x of one is 2 x of the one before."""
        images = [cv2.GaussianBlur(image, (0, 0), 1.0)]
        for _ in range(self._halvings):
            images.append(cv2.pyrDown(images[-1]))
        return images

    def _searched(self, images) -> Iterator[tuple[Fit, float]]:
        """Give distinct starts of the search, refined at the coarsest level.

        The best comes first, each with how far it is behind that in correlation.
        """
        level, image = self._levels[-1], images[-1]
        found = []
        for matrix in self._search.starts(image, STARTS):
            fit = refine(level, image, Fit(matrix), AFFINE, MOST_STEPS)
            found.append((self._compare(fit, -1, image)["correlation"], fit))
        found.sort(key=lambda one: -one[0])
        corners = corner_points(level.image.shape)
        places = []
        for alike, fit in found:
            place = places_of(fit.matrix, corners)
            if all(np.abs(place - other).max() > SAME * max(image.shape) for other in places):
                places.append(place)
                yield fit, found[0][0] - alike

    def _by_features(self, images) -> Fit | None:
        """Refine what features lead to, at the coarsest level; None where too few agree."""
        matrix = self._features.start(images[0])
        if matrix is None:
            return None
        coarse = _rescale(matrix, 0.5**self._halvings)
        return refine(self._levels[-1], images[-1], Fit(coarse), AFFINE, MOST_STEPS)

    def _follow(self, fit: Fit, images) -> Fit:
        """Refine a start from the coarsest level up to the finest."""
        for i in reversed(range(self._halvings)):
            fit = Fit(_rescale(fit.matrix, 2), fit.gain, fit.offset, fit.spread)
            fit = refine(self._levels[i], images[i], fit, HOMOGRAPHY, MOST_STEPS)
        if not self._halvings:
            fit = refine(self._levels[0], images[0], fit, HOMOGRAPHY, MOST_STEPS)
        return fit

    def _judge(self, fit: Fit, image, name) -> PlanarQuality:
        quality = describe(fit.matrix, self._levels[0].image.shape)
        at_level = replace(fit, matrix=_rescale(fit.matrix, 0.5**self._judged))
        quality = replace(quality, **self._compare(at_level, self._judged, image), start=name)
        return replace(quality, reason=objection(quality))

    def _compare(self, fit: Fit, index: int, image) -> dict:
        """How alike the reference and a warped sample are at a level: figures by their names."""
        reference = self._levels[index].image
        clear = np.zeros(image.shape, np.float32)
        margin = slice(int(MARGIN), -int(MARGIN))
        clear[margin, margin] = 1
        warped, clear = (
            cv2.warpPerspective(
                part,
                fit.matrix,
                reference.shape[::-1],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            )
            for part in (image, clear)
        )
        covered = np.zeros(reference.shape, bool)
        covered[margin, margin] = clear[margin, margin] > 0.99
        residual = np.abs(warped - fit.gain * reference - fit.offset)
        usual = covered & (residual <= OUTLIER * fit.spread)
        inner = covered[margin, margin].size
        return {
            "correlation": correlation(reference, warped, covered),
            "detail": correlation(_detail(reference, usual), _detail(warped, usual), usual),
            "overlap": covered.sum() / inner,
            "outliers": 1 - usual.sum() / max(covered.sum(), 1),
        }


def prepare(image: np.ndarray) -> np.ndarray | None:
    """Bring an image to 0 to 1, clipping the darkest and brightest few pixels; None if blank.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Finite.

    Returns
    -------
    ndarray of float32, shape (rows, columns), or None
    """
    largest = np.abs(image).max()
    if largest == 0:
        return None
    image = image.astype(np.float64) / largest
    stride = max(1, min(image.shape) // 64)
    some = np.sort(image[::stride, ::stride], axis=None)
    clipped = int(CLIPPED * len(some))
    low, high = some[clipped], some[-1 - clipped]
    if not high > low:
        return None
    return np.clip((image - low) / (high - low), 0, 1).astype(np.float32)


def describe(matrix: np.ndarray, shape: tuple[int, int]) -> PlanarQuality:
    """Take a homography of a reference's frame (rows, columns) apart: the figures of its shape."""
    quality = PlanarQuality()
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    places = corner_points(shape) @ matrix.T
    nearness = places[:, 2]
    if nearness.min() <= 0:
        quality.perspective = np.inf
        return quality
    quality.perspective = float(nearness.max() / nearness.min() - 1)
    at_x, at_y, w = matrix @ [x, y, 1]
    at = np.array([at_x / w, at_y / w])
    jacobian = (matrix[:2, :2] - np.outer(at, matrix[2, :2])) / w
    largest, smallest = np.linalg.svd(jacobian, compute_uv=False)
    quality.scale = float(np.sqrt(largest * smallest))
    quality.stretch = float(largest / smallest) if smallest > 0 else np.inf
    (a, b), (c, d) = jacobian
    quality.rotation = float(np.degrees(np.arctan2(c - b, a + d)))
    if np.linalg.det(jacobian) <= 0:
        quality.stretch = np.inf
    quality.shift_x, quality.shift_y = (at - (x, y)).tolist()
    return quality


def objection(quality: PlanarQuality) -> str:
    """Say why a registration is not to be accepted; empty where it is."""
    rules = (
        (quality.overlap >= LEAST_OVERLAP, "overlaps too little with the reference"),
        (quality.perspective <= PERSPECTIVE_LIMIT, "implausible perspective"),
        (SCALE_LIMITS[0] <= quality.scale <= SCALE_LIMITS[1], "implausible scale"),
        (abs(quality.rotation) <= ROTATION_LIMIT, "implausible rotation"),
        (quality.stretch <= STRETCH_LIMIT, "implausible stretch"),
        (
            quality.correlation >= LEAST_CORRELATION and quality.detail >= LEAST_DETAIL,
            "too unlike the reference",
        ),
    )
    return next((reason for holds, reason in rules if not holds), "")


def _rank(quality):
    """Put acceptable ends first, then go by correlation."""
    return not quality.reason, quality.correlation


def _detail(image, mask):
    """Give what an image has beyond its local mean, taken over the mask alone."""
    weights = mask.astype(np.float32)
    blurred, share = (
        cv2.GaussianBlur(part, (0, 0), DETAIL_WIDTH) for part in (image * weights, weights)
    )
    return image - blurred / np.maximum(share, 1e-3)


def _rescale(matrix, factor):
    """Give a homography as it is between images that are enlarged by a factor."""
    enlarge = np.diag([factor, factor, 1.0])
    return enlarge @ matrix @ np.diag([1 / factor, 1 / factor, 1.0])
