"""The direction in which latents differ with a variant, a disease or a phenotype.

The formulas are in docs/directions.md.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.kernel.whitening import covariate_basis, residuals, whiten


@dataclass(frozen=True)
class Direction:
    """A direction in latent space, and how certain it is.

    Its score is the best linear guess of the variable from the latents, brought to a standard
    deviation of 1 in the people it was found in.

    Attributes
    ----------
    mean : ndarray, shape (k,)
        The mean latents, where a walk along the direction starts.
    pattern : ndarray, shape (k,)
        By how much the latents of people differ, on average, whose scores differ by 1.
    weights : ndarray, shape (k,)
        A person's score is (latents - mean) @ weights, less what covariates say of it.
    covariance : ndarray, shape (k, k)
        Of the latents, covariates not taken out.
    scores : ndarray, shape (n,)
        Of the people, covariates taken out: mean 0, standard deviation 1.
    effect : float
        How many standard deviations of the score a unit of the variable makes, less what chance
        alone makes.
    certainty : float
        The expected cosine of this direction with that in endless people, between 0 and 1.
    neg_log10_p : float
        Of the latents not differing with the variable.
    """

    mean: np.ndarray
    pattern: np.ndarray
    weights: np.ndarray
    covariance: np.ndarray
    scores: np.ndarray
    effect: float
    certainty: float
    neg_log10_p: float

    def walk(self, steps: np.ndarray) -> np.ndarray:
        """Latents at some scores, (steps, k): from the mean along the pattern."""
        return self.mean + np.asarray(steps, np.float64)[:, None] * self.pattern

    def score(self, latents: np.ndarray) -> np.ndarray:
        """Scores of latents (n, k), covariates not taken out."""
        return (latents - self.mean) @ self.weights

    def distances(self, latents: np.ndarray) -> np.ndarray:
        """Mahalanobis distances of latents (n, k) from the mean."""
        return np.linalg.norm(self._whitened(latents - self.mean), axis=1)

    def cosine(self, difference: np.ndarray) -> float:
        """Cosine of a difference of latents, (k,), with the direction in whitened space."""
        this, other = self._whitened(np.stack([self.pattern, difference]))
        lengths = np.linalg.norm(this) * np.linalg.norm(other)
        return float(this @ other / lengths) if lengths else 0.0

    def _whitened(self, differences: np.ndarray) -> np.ndarray:
        """Differences of latents, (n, k), where people vary as much in every direction."""
        return np.linalg.solve(np.linalg.cholesky(self.covariance), differences.T).T


def find_direction(
    latents: np.ndarray,
    values: np.ndarray,
    covariates: np.ndarray | pd.DataFrame | None = None,
    name: str = "variable",
) -> Direction:
    """Find the direction in which latents differ with a variable.

    The effect of the variable on each latent, given the covariates, is a vector b of ordinary
    regressions. In whitened space it is the vector that the PheWAS (cases against controls) and,
    but for its model of the genotype, the clustering of variants use. The rule that tells people
    apart, w = inverse(S) b with S the residual covariance of the latents, is not what they differ
    by: that is the pattern, a = S w / sqrt(w' S w), the change of the latents that goes with one
    standard deviation of the score.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    values : ndarray, shape (n,)
        Dosages, 1 and 0 for cases and controls, or a number; all finite.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        As numbers and without an intercept.
    name : str
        Of the variable, for messages.

    Returns
    -------
    Direction

    Raises
    ------
    InputError
        Values that are not finite, are constant or follow from the covariates, latents or
        covariates that the GWAS would refuse, or fewer participants than dimensions need.

    References
    ----------
    Haufe et al. (2014), NeuroImage 87:96, equation 7 (patterns against filters). Ezekiel (1930),
    Methods of Correlation Analysis (the share of variance corrected for chance).
    """
    latents = np.asarray(latents, np.float64)
    n, k = latents.shape
    basis = covariate_basis(covariates, n)
    left = n - 1 - basis.shape[1] - k
    if left < 1:
        raise InputError(
            f"directions: {n} participants for {k} latent dimensions and {basis.shape[1]} "
            "covariates; expected more participants than both together"
        )
    rest, names = residuals(latents, basis, "latent")
    variable = residuals(pd.DataFrame({name: values}), basis, "variable")[0][:, 0]
    whitened, triangle = whiten(rest, names)

    projected = whitened.T @ variable
    length, spread = np.linalg.norm(projected), np.sqrt(np.mean(variable**2))
    unit = projected / length
    share = length**2 / (n * spread**2)
    beyond_chance = max(0.0, 1 - (1 - share) * (left + k) / left)
    return Direction(
        mean=latents.mean(axis=0),
        pattern=triangle.T @ unit / np.sqrt(n),
        weights=np.linalg.solve(triangle, unit) * np.sqrt(n),
        covariance=np.atleast_2d(np.cov(latents, rowvar=False, bias=True)),
        scores=whitened @ unit * np.sqrt(n),
        effect=float(np.sqrt(beyond_chance) / spread),
        certainty=float(np.sqrt(beyond_chance / share)),
        neg_log10_p=float(neg_log10_f(share / k / ((1 - share) / left), k, left)),
    )
