"""Transforms of latents that keep the test right when latents are not Gaussian.

A rare genotype's group mean is a mean over few people, so one latent vector far out can make it
"significant". Both transforms replace how far out people are by their ranks.
"""

import numpy as np
import pandas as pd
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.projection import covariate_basis, residuals, whiten

TRANSFORMS = ("radial", "rint", "none")

# Stretching rows changes the covariance that their norms are measured with: after one pass the
# largest squared norms are up to 20 % too large and a group of one person is four times too often
# significant at 1e-3; after two, norms and p-values are right (docs/statistics.md, "Transforms").
NORM_PASSES = 2

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
        quantiles of its ranks. `radial` does that, and then gives each participant's squared
        Mahalanobis norm the chi-square quantile (k degrees of freedom) of its rank, twice over,
        which also tames latents whose dimensions are far out together.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional

    Returns
    -------
    ndarray of float64, shape (n, k)

    Raises
    ------
    InputError
        Unknown method, or latents or covariates that `LatentSpace` would refuse.

    References
    ----------
    Blom (1958), Statistical estimates and transformed beta-variables. Sofer et al. (2019), Genet.
    Epidemiol. 43:263 (regress, transform, regress again). docs/statistics.md, "Transforms".
    """
    if method not in TRANSFORMS:
        raise InputError(f"transform '{method}': expected one of {', '.join(TRANSFORMS)}")
    if method == "none":
        return np.asarray(latents, dtype=np.float64)
    basis = covariate_basis(covariates, len(latents))
    rest, _ = residuals(latents, basis, "latent")
    normal = stats.norm.ppf(rank_probabilities(rest))
    if method == "rint":
        return normal
    for _ in range(NORM_PASSES):
        normal = chi_square_norms(normal)
    return normal


def rank_probabilities(values: np.ndarray) -> np.ndarray:
    """Blom's probabilities of ranks within each column; ties share their mean rank."""
    ranks = stats.rankdata(values, axis=0)
    return (ranks - BLOM) / (len(values) + 1 - 2 * BLOM)


def chi_square_norms(latents: np.ndarray) -> np.ndarray:
    """Rescale each row so that squared Mahalanobis norms follow a chi-square distribution.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
        Of full column rank.

    Returns
    -------
    ndarray, shape (n, k)
        Each row centred and multiplied by one number; directions and the order of norms stay.
    """
    n, k = latents.shape
    centred = latents - latents.mean(axis=0)
    whitened, _ = whiten(centred, [f"latent_{column}" for column in range(k)])
    norms = n * np.einsum("ij,ij->i", whitened, whitened)
    wanted = stats.chi2.ppf(rank_probabilities(norms), k)
    # A row of zeros has no direction to stretch; it is the innermost and stays where it is.
    factor = np.sqrt(np.divide(wanted, norms, out=np.ones(n), where=norms > 0))
    return centred * factor[:, None]
