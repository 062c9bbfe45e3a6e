"""Which way each variant moves people through latent space, and how much of that is noise."""

import numpy as np
import pandas as pd

from regreveal.genetics.kernel.dosages import whole_dosages
from regreveal.genetics.kernel.whitening import covariate_basis
from regreveal.genetics.manova import LatentSpace


class VariantDirections:
    """Vectors from the centroid of a variant's commoner homozygotes to that of everybody else.

    Latents have covariates regressed out and are whitened, so that directions that differ only by
    chance are at right angles whatever the latents' scales and correlations.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
    dosages : ndarray, shape (m, n)
        -1 or NaN where missing.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional

    Attributes
    ----------
    reasons : ndarray of str, shape (m,)
        Why a variant has no direction; empty where it has one. What follows is of the v others.
    vectors : ndarray, shape (v, k)
        The count-weighted mean of the heterozygous and the rarer homozygous centroid is that of
        carriers, so it is there that the vectors end.
    noise : ndarray, shape (v, v)
        Expected inner product of two vectors' sampling errors; on the diagonal the expected
        squared length of the error.
    reliability : ndarray, shape (v,)
        Share of a vector's squared length that is not noise; below zero where it is shorter than
        noise alone would make it.

    Raises
    ------
    InputError
        As of `LatentSpace` and `whole_dosages`.
    """

    def __init__(
        self,
        latents: np.ndarray | pd.DataFrame,
        dosages: np.ndarray,
        covariates: np.ndarray | pd.DataFrame | None = None,
    ):
        self._space = LatentSpace(latents, covariates).whitened
        contrasts, self.reasons = carrier_contrasts(dosages)
        # The latents are free of covariates, so the vectors are the same; the errors are smaller,
        # by what covariates such as ancestry explain of the genotypes.
        basis = covariate_basis(covariates, len(self._space))
        self._contrasts = contrasts - (contrasts @ basis) @ basis.T
        self.vectors = self._contrasts @ self._space
        squares = (self._space**2).sum(axis=1)
        self.noise = (self._contrasts * squares) @ self._contrasts.T
        lengths = (self.vectors**2).sum(axis=1)
        self.reliability = 1 - np.diagonal(self.noise) / lengths

    @property
    def participants(self) -> int:
        """Number of participants, n."""
        return len(self._space)

    @property
    def dimensions(self) -> int:
        """Number of latent dimensions, k."""
        return self._space.shape[1]

    def resampled(self, rng: np.random.Generator, concentration: float = 1.0) -> np.ndarray:
        """Vectors of a Bayesian bootstrap sample of participants.

        Weights are of a gamma distribution of mean 1 and variance 1 / `concentration`: with 1 they
        are exponential, Rubin's (1981), and vary like a bootstrap sample's counts of n people; with
        another, like those of `concentration` times n people.

        Returns
        -------
        ndarray, shape (v, k)
        """
        weights = rng.gamma(concentration, 1 / concentration, size=self.participants)
        # Lead variants are usually fewer than dimensions.
        return (self._contrasts * weights) @ self._space


def carrier_contrasts(dosages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of participants in the difference between carriers and commoner homozygotes.

    Parameters
    ----------
    dosages : ndarray, shape (m, n)

    Returns
    -------
    contrasts : ndarray, shape (v, n)
        1 / carriers, minus 1 / homozygotes, and 0 where the genotype is missing; of variants that
        have both.
    reasons : ndarray of str, shape (m,)
        Why the others have none.
    """
    dosages = whole_dosages(dosages)
    known = dosages >= 0
    ref, alt = ((dosages == value).sum(axis=1) for value in (0, 2))
    # At a tie the reference, so that a half-and-half variant still has one direction.
    commoner = np.where(alt > ref, 2, 0)[:, None]
    homozygous = dosages == commoner
    carriers = known & ~homozygous
    reasons = np.select(
        [~known.any(axis=1), ~homozygous.any(axis=1), ~carriers.any(axis=1)],
        ["no genotype is known", "nobody is homozygous", "everyone has the same genotype"],
        "",
    )
    usable = reasons == ""
    groups = [group[usable].astype(np.float64) for group in (carriers, homozygous)]
    contrasts = [group / group.sum(axis=1, keepdims=True) for group in groups]
    return contrasts[0] - contrasts[1], reasons
