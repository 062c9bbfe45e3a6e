"""Whether a picture is of the kind that others are: what their components leave of it.

A deformation makes almost anything like the reference, so that likeness afterwards does not tell
another view of the heart from a heart of another shape. What a picture shows at first does: few
components describe all pictures of one kind, seen coarsely, and leave more of any other.
"""

import math
from dataclasses import dataclass

import numpy as np

CELLS = 8
COMPONENTS, SAMPLES_PER_COMPONENT = 32, 10
FOLDS = 5
# Fewer pictures do not say what their kind looks like.
FEWEST = 20
DEVIATIONS, SMALLEST_DEVIATION = 2.75, 0.05
# However unusual they are, all but so many of those learned from are of their kind.
MOST_REJECTED = 0.01
# The most unusual of those learned from are judged as if they were new.
LEFT_OUT = 0.05
# Correlation is too little below those learned from by so many robust SDs, or below any likeness.
LIKENESS_DEVIATIONS, LEAST_LIKENESS = 6, 0.2


@dataclass(frozen=True)
class Familiarity:
    """What pictures of one kind look like.

    Attributes
    ----------
    mean : ndarray of float32, shape (f,)
        Of coarse pictures.
    components : ndarray of float32, shape (k, f)
        Orthonormal.
    most_unexplained : float
        Above it a picture is of another kind; infinite where there were too few to learn from.
    """

    mean: np.ndarray
    components: np.ndarray
    most_unexplained: float

    def unexplained(self, picture: np.ndarray) -> float:
        """Share of a coarse picture, (f,), that mean and components leave: 0 to about 1."""
        return float(_unexplained(picture[None], self.mean, self.components)[0])


def coarse_picture(sample: np.ndarray) -> np.ndarray:
    """Average a sample over at most 8 cells along each axis; standardise over cells and channels.

    Parameters
    ----------
    sample : ndarray, shape (*shape, channels)

    Returns
    -------
    ndarray of float32, shape (cells * channels,)
        Of mean 0 and mean square 1; all 0 where the cells are alike.
    """
    cells = np.asarray(sample, np.float64)
    for axis, size in enumerate(sample.shape[:-1]):
        shares = _cell_shares(size, min(size, CELLS))
        cells = np.moveaxis(np.tensordot(shares, cells, (1, axis)), 0, axis)
    cells = cells.ravel() - cells.mean()
    deviation = cells.std()
    return (cells / deviation if deviation > 0 else 0 * cells).astype(np.float32)


def learn(pictures: np.ndarray, most_rejected: float = MOST_REJECTED) -> Familiarity:
    """Learn from pictures what their kind looks like, and leave out those that are of another.

    Parameters
    ----------
    pictures : ndarray, shape (n, f)
        Coarse ones.
    most_rejected : float
        Share of them that may lie beyond the bound.

    Returns
    -------
    Familiarity
        Its bound is the larger of `usual_bound` and the quantile that lets so many of them pass,
        of what is left of pictures when others are learned from. The twentieth of which most is
        left is in neither mean nor components.
    """
    shares = cross_validated(pictures)
    if shares is None:
        nothing = np.zeros((0, *pictures.shape[1:]), np.float32)
        return Familiarity(np.zeros(pictures.shape[1:], np.float32), nothing, math.inf)
    most = max(usual_bound(shares), float(np.quantile(shares, 1 - most_rejected)))
    usual = shares <= np.quantile(shares, 1 - LEFT_OUT)
    return Familiarity(*_components(pictures[usual]), most)


def cross_validated(pictures: np.ndarray) -> np.ndarray | None:
    """Share of each picture that the others' mean and components leave, in five folds.

    Parameters
    ----------
    pictures : ndarray, shape (n, f)
        Coarse ones.

    Returns
    -------
    ndarray, shape (n,), or None
        None where there are fewer than 20.
    """
    if len(pictures) < FEWEST:
        return None
    fold = np.arange(len(pictures)) % FOLDS
    shares = np.empty(len(pictures))
    for number in range(FOLDS):
        others = _components(pictures[fold != number])
        shares[fold == number] = _unexplained(pictures[fold == number], *others)
    return shares


def usual_bound(shares: np.ndarray) -> float:
    """Median of shares and 2.75 robust standard deviations more, of their logarithms."""
    logarithms = np.log(np.maximum(shares, np.finfo(float).tiny))
    median = np.median(logarithms)
    deviation = max(1.4826 * np.median(np.abs(logarithms - median)), SMALLEST_DEVIATION)
    return float(np.exp(median + DEVIATIONS * deviation))


def least_likeness(likeness: np.ndarray, smallest_deviation: float) -> float:
    """Give the bound below which a sample is not alike as those learned from are.

    Parameters
    ----------
    likeness : ndarray, shape (n,)
        Correlations that samples learned from reach.
    smallest_deviation : float
        Of Fisher's z; they are taken to spread no less.

    Returns
    -------
    float
        Six robust standard deviations, of Fisher's z, below their median; at least 0.2.
    """
    z = np.arctanh(np.clip(likeness, -0.999, 0.999))
    median = np.median(z)
    deviation = max(1.4826 * np.median(np.abs(z - median)), smallest_deviation)
    return max(float(np.tanh(median - LIKENESS_DEVIATIONS * deviation)), LEAST_LIKENESS)


def _cell_shares(size: int, cells: int) -> np.ndarray:
    """Shares, (cells, size), that places along an axis have in the mean of each cell."""
    edges = np.arange(cells + 1) * size / cells
    places = np.arange(size)
    inside = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.clip(inside, 0, 1) * cells / size


def _components(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = pictures.mean(axis=0)
    _, _, directions = np.linalg.svd(pictures - mean, full_matrices=False)
    return mean, directions[: min(COMPONENTS, len(pictures) // SAMPLES_PER_COMPONENT)]


def _unexplained(pictures: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    left = pictures - mean
    left = left - (left @ components.T) @ components
    # Of a picture without anything coarse in it, nothing is explained.
    return np.where(pictures.any(axis=1), np.square(left).mean(axis=1), 1.0)
