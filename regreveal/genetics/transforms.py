"""Transforms of latents that keep the test right when latents are not Gaussian.

A rare genotype's group mean is a mean over few people, so one latent vector far out can make it
"significant". Both transforms replace how far out people are by their ranks. What they leave, that
people far out crowd in some directions, is for `regreveal.genetics.skewness`.
"""

import numpy as np
import pandas as pd
from scipy import special, stats

from regreveal.errors import InputError
from regreveal.genetics.kernel.whitening import covariate_basis, residuals, whiten

TRANSFORMS = ("radial", "rint", "none")

# Stretching rows changes the covariance that their norms are measured with, so it is repeated until
# none of their quantiles moves by more than this share any more: after four passes for elliptical
# latents, six to eight for those of an autoencoder (docs/statistics.md, "Transforms").
NORM_TOLERANCE = 0.01
MOST_PASSES = 50

# Blom's offset: rank r of n becomes the probability (r − 3/8) / (n + 1/4).
BLOM = 3 / 8


def transform_latents(
    latents: np.ndarray | pd.DataFrame,
    method: str = "radial",
    covariates: np.ndarray | pd.DataFrame | None = None,
) -> np.ndarray:
    """Transform latents before they are tested.

    Covariates are regressed out first, so that ranks are those of what is tested; the test
    regresses them out again, since ranking brings a little of them back.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
    method : "radial", "rint" or "none"
        `none` returns the latents as they are. `rint` replaces each dimension by the normal
        quantiles of its ranks. `radial` does that to whitened dimensions, takes the combinations
        of them that come nearest to `rint`, and gives each participant's squared Mahalanobis
        norm the chi-square quantile (k degrees of freedom) of its rank, as often as it takes for
        the norms of the residuals to stay put within 1 % (at most 50 times). That also tames
        latents whose dimensions are far out together. Norms are ranked with the covariates
        regressed out of their logarithms, so that groups vary equally.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional

    Returns
    -------
    ndarray of float64, shape (n, k)

    Raises
    ------
    InputError
        Unknown method, or latents or covariates that `LatentSpace` would refuse.

    Notes
    -----
    Among correlated dimensions, ranking each adds a little noise to all, which is much where little
    varies: in the directions that correlation leaves thin. Ranking whitened ones does not.

    References
    ----------
    Blom (1958), Statistical estimates and transformed beta-variables. Sofer et al. (2019), Genet.
    Epidemiol. 43:263 (regress, transform, regress again). Kessy et al. (2018), Am. Statistician
    72:309 (ZCA-cor whitening). docs/statistics.md, "Transforms".
    """
    if method not in TRANSFORMS:
        raise InputError(f"transform '{method}': expected one of {', '.join(TRANSFORMS)}")
    if method == "none":
        return np.asarray(latents, dtype=np.float64)
    basis = covariate_basis(covariates, len(latents))
    rest, names = residuals(latents, basis, "latent")
    if method == "rint":
        return _normal_scores(rest)
    scores = _normal_scores(symmetrically_whiten(rest, names))
    # The test sees the space only; what each dimension's own effects are of should be what it was.
    nearest = np.linalg.solve(scores.T @ scores, scores.T @ _normal_scores(rest))
    return radial_residuals(scores @ nearest, basis)


def rank_probabilities(values: np.ndarray) -> np.ndarray:
    """Blom's probabilities of ranks within each column; ties share their mean rank."""
    ranks = stats.rankdata(values, axis=0)
    return (ranks - BLOM) / (len(values) + 1 - 2 * BLOM)


def symmetrically_whiten(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Uncorrelated coordinates, each as close as can be to one of the dimensions.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        Centred.
    names : list of str, length k
        Of the columns, for the message.

    Returns
    -------
    ndarray, shape (n, k)
        With identity Gram matrix.

    Raises
    ------
    InputError
        A column is a linear combination of those before it.

    References
    ----------
    Kessy et al. (2018), Am. Statistician 72:309 (ZCA-cor).
    """
    coordinates, triangle = whiten(values / values.std(axis=0), names)
    left, _, right = np.linalg.svd(triangle)
    return coordinates @ (left @ right)


def radial_residuals(latents: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Stretch rows until the squared norms of what is tested follow a chi-square distribution.

    Each pass regresses the covariates out, as the test will, measures squared Mahalanobis norms,
    and multiplies every row by the one number that makes its norm the chi-square quantile of its
    rank. That changes the covariance, hence the norms; passes end once no quantile of the norms
    that are measured moves by more than `NORM_TOLERANCE`.

    People of whom covariates tell that they vary more than others (an ancestry, a sex) would fill
    the upper ranks, and variants carried among them would be called too often. What is ranked is
    therefore the norm over what it is expected to be given the covariates, by least squares on
    its logarithm.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
        Of full column rank.
    basis : ndarray, shape (n, c - 1)
        Orthonormal basis of the covariates, from `covariate_basis`.

    Returns
    -------
    ndarray, shape (n, k)
    """
    n, k = latents.shape
    before = np.full(n, np.inf)
    for _ in range(MOST_PASSES):
        latents, names = residuals(latents, basis, "latent")
        whitened, _ = whiten(latents, names)
        norms = n * np.einsum("ij,ij->i", whitened, whitened)
        # The innermost may move by a large share of next to nothing: theirs is one of the mean, k.
        ordered = np.sort(norms)
        if (np.abs(ordered - before) <= NORM_TOLERANCE * np.maximum(ordered, k)).all():
            break
        before = ordered
        wanted = stats.chi2.ppf(rank_probabilities(_without_trend(norms, basis)), k)
        # A row of zeros has no direction to stretch; it is the innermost and stays where it is.
        factor = np.sqrt(np.divide(wanted, norms, out=np.ones(n), where=norms > 0))
        latents = latents * factor[:, None]
    return latents


def _without_trend(norms: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Norms over the exponential of what covariates explain of their logarithm."""
    logarithms = np.log(np.maximum(norms, np.finfo(float).tiny))
    return norms * np.exp(-basis @ (basis.T @ logarithms))


def _normal_scores(values: np.ndarray) -> np.ndarray:
    return special.ndtri(rank_probabilities(values))
