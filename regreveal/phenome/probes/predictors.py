"""Latents and covariates made ready for linear models, and axes in which their fits are diagonal.

A model has covariates, the intercept among them, whose coefficients are free, and latents, whose
coefficients are penalised. Along the axes of a `Rotation` every fit is one division: covariates are
orthonormal, latents have the covariates taken out and stand along the eigenvectors of what is left.
One rotation serves every penalty, and every target of the same people.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

# Deep latents have heavy tails, and one person far out would move a fit, and a score, more than a
# hundred others. They are clipped at this many standard deviations from the median, as the range
# from the 5th to the 95th percentile tells them: a deviation itself is led by those far out.
CLIP = 3.0
NINETY_PERCENT_OF_NORMAL = 2 * norm.ppf(0.95)

SINGULAR = 1e-12  # of the largest eigenvalue: covariates that repeat others count nothing


@dataclass(frozen=True)
class Rotation:
    """Axes along which a fit to some participants, weighted or not, is diagonal.

    Parameters
    ----------
    basis : ndarray, shape (n, axes)
        Everybody's coordinates, of those fitted to and of those held out; covariates first.
    axes : ndarray, shape (c + k, axes)
        From the design to the basis.
    coordinates : ndarray, shape (axes, c + k)
        From coefficients of the design to those of the basis.
    curvature : ndarray, shape (axes,)
        Weighted sum of squares of each axis over those fitted to; all others are zero.
    penalised : ndarray, shape (axes,)
        1 for an axis of the latents, 0 for one of the covariates.
    """

    basis: np.ndarray
    axes: np.ndarray
    coordinates: np.ndarray
    curvature: np.ndarray
    penalised: np.ndarray

    def inverse(self, penalties: np.ndarray) -> np.ndarray:
        """Invert the penalised curvature for each of the penalties: (axes, penalties)."""
        return 1 / (self.curvature[:, None] + np.outer(self.penalised, penalties))


class Predictors:
    """What linear models predict from, the same for every target.

    Clipping and standardising look at everybody's latents and at no target, so that one design
    serves all targets, whoever has a value and whoever is held out: docs/probes.md, "Ridge".

    Parameters
    ----------
    latents : ndarray, shape (n, k)
        Finite; k may be 0, for a model of covariates alone.
    covariates : ndarray, shape (n, c), optional
        Not penalised; NaN for those without a value, whom the caller leaves out of every fit.
    """

    def __init__(self, latents: np.ndarray, covariates: np.ndarray | None = None):
        n = len(latents)
        free = np.ones((n, 1))
        if covariates is not None:
            mean, spread = np.nanmean(covariates, axis=0), np.nanstd(covariates, axis=0)
            standardised = (covariates - mean) / np.where(spread > 0, spread, 1)
            free = np.column_stack([free, np.nan_to_num(standardised)])
        self.free = free.shape[1]
        self.design = np.column_stack([free, standardise(latents)])
        self.gram = self.design.T @ self.design

    def __len__(self) -> int:
        return len(self.design)

    def rotate(self, chosen: np.ndarray) -> Rotation:
        """Find the axes of an unweighted fit to the chosen of all participants, (n,) of bool."""
        if 2 * chosen.sum() < len(chosen):
            some = self.design[chosen]
            return self._rotation(some.T @ some)
        others = self.design[~chosen]
        return self._rotation(self.gram - others.T @ others)

    def rotate_weighted(self, weights: np.ndarray) -> Rotation:
        """Find the axes of a fit with these weights, (n,); 0 of those held out."""
        weighted = self.design * np.sqrt(weights)[:, None]
        return self._rotation(weighted.T @ weighted)

    def _rotation(self, gram: np.ndarray) -> Rotation:
        free = self.free
        size, directions = np.linalg.eigh(gram[:free, :free])
        kept = size > SINGULAR * size.max()
        root, directions = np.sqrt(size[kept]), directions[:, kept]
        across = (directions / root).T @ gram[:free, free:]
        eigenvalues, vectors = np.linalg.eigh(gram[free:, free:] - across.T @ across)
        rank, k = len(root), len(vectors)
        axes = np.zeros((free + k, rank + k))
        axes[:free, :rank] = directions / root
        axes[:free, rank:] = -axes[:free, :rank] @ (across @ vectors)
        axes[free:, rank:] = vectors
        coordinates = np.zeros((rank + k, free + k))
        coordinates[:rank, :free] = (directions * root).T
        coordinates[:rank, free:] = across
        coordinates[rank:, free:] = vectors.T
        return Rotation(
            basis=self.design @ axes,
            axes=axes,
            coordinates=coordinates,
            curvature=np.append(np.ones(rank), np.maximum(eigenvalues, 0)),
            penalised=np.append(np.zeros(rank), np.ones(k)),
        )


def standardise(latents: np.ndarray) -> np.ndarray:
    """Clip latents, (n, k), and give them mean 0 and variance 1; a constant one becomes 0."""
    if not latents.shape[1]:
        return latents
    fifth, centre, last = np.quantile(latents, [0.05, 0.5, 0.95], axis=0)
    spread = (last - fifth) / NINETY_PERCENT_OF_NORMAL
    spread = np.where(spread > 0, spread, latents.std(axis=0))  # all but a few are the same
    clipped = np.clip(latents, centre - CLIP * spread, centre + CLIP * spread)
    mean = clipped.mean(axis=0)
    clipped -= mean
    scale = np.sqrt(np.mean(clipped**2, axis=0))
    scale[scale <= 1e-10 * np.abs(mean)] = np.inf  # constant, but for rounding
    clipped /= scale
    return clipped
