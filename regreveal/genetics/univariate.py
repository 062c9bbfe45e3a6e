"""One trait at a time, all traits in one go: additive effects with their standard errors."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.kernel.projection import BlockProjector, Projections
from regreveal.genetics.kernel.whitening import SINGULAR, covariate_basis, residuals


class Effects(NamedTuple):
    """Additive effects of variants on traits, each array of shape (variants, traits).

    NaN where a variant is the same in everyone, or covariates explain it.
    """

    beta: np.ndarray
    standard_error: np.ndarray
    neg_log10_p: np.ndarray


class TraitSpace:
    """Traits made ready for univariate tests: covariates regressed out, once.

    Unlike a `LatentSpace`, traits may be linear combinations of one another.

    Parameters
    ----------
    traits : ndarray or DataFrame, shape (n, k)
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        An intercept is always added.
    dtype : "float64" or "float32"
        Precision of the matrix products with the genotypes.
    backend, threads
        Where and on how many cores products are made, see `BlockProjector`.

    Raises
    ------
    InputError
        Traits or covariates that are not finite or constant, covariates that are collinear, or
        fewer participants than covariates need.
    """

    def __init__(
        self,
        traits: np.ndarray | pd.DataFrame,
        covariates: np.ndarray | pd.DataFrame | None = None,
        dtype: str = "float64",
        backend: str = "numpy",
        threads: int | None = None,
    ):
        basis = covariate_basis(covariates, len(traits))
        rest, self.names = residuals(traits, basis, "trait")
        self._degrees = len(rest) - basis.shape[1] - 2
        if self._degrees < 1:
            raise InputError(
                f"traits: {len(rest)} participants are too few for {basis.shape[1]} covariates"
            )
        self._scale = np.linalg.norm(rest, axis=0)
        self._projector = BlockProjector(rest / self._scale, basis, dtype, backend, threads)

    def project(self, dosages: np.ndarray, coding: str = "additive") -> Projections:
        """Make the one matrix product that `effects` starts from."""
        return self._projector(dosages, coding)

    def effects(self, projections: Projections) -> Effects:
        """Additive effect of each variant on each trait, per alternate allele, in trait units."""
        additive = projections.additive()
        return dosage_effects(
            additive.phenotypes[:, 0] * self._scale,
            additive.gram()[:, 0, 0],
            additive.squares()[:, 0],
            self._scale**2,
            self._degrees,
        )


def dosage_effects(
    products: np.ndarray,
    gram: np.ndarray,
    whole: np.ndarray,
    squares: np.ndarray,
    degrees: int,
) -> Effects:
    """Least-squares slopes from sums of squares and products.

    Parameters
    ----------
    products : ndarray, shape (variants, traits)
        Dosage times trait, covariates projected out.
    gram : ndarray, shape (variants,)
        Squared dosage, covariates projected out.
    whole : ndarray, shape (variants,)
        Squared dosage, of which that is what is left, see `Projections.squares`.
    squares : ndarray, shape (traits,)
        Squared trait, covariates projected out.
    degrees : int
        Residual degrees of freedom, n − c − 1.

    Returns
    -------
    Effects
    """
    # A dosage of which nothing but rounding is left is the same in everyone, or a covariate.
    gram = np.where(gram > SINGULAR * whole, gram, np.nan)[:, None]
    beta = products / gram
    residual = np.maximum(squares - beta * products, 0) / degrees
    with np.errstate(divide="ignore"):
        standard_error = np.sqrt(residual / gram)
        f = beta**2 / standard_error**2
    return Effects(beta, standard_error, neg_log10_f(f, 1, degrees))
