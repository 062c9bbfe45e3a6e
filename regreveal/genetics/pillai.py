"""Pillai's trace of the genotypes of many variants, and its F statistic; docs/statistics.md."""

import numpy as np

from regreveal.genetics.kernel.projection import Projections, least_share
from regreveal.genetics.kernel.whitening import SINGULAR


def pillai_trace(projections: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Pillai's trace of one variant's genotype effect on a whitened latent space.

    Parameters
    ----------
    projections : ndarray, shape (variants, q, k)
        Genotype design times whitened latents, G'Z; q is 1 or 2.
    gram : ndarray, shape (variants, q, q)
        Design Gram matrix with covariates projected out, G'(I - QQ')G.

    Returns
    -------
    ndarray, shape (variants,)
        The trace, between 0 and min(q, k); NaN where `gram` is singular or NaN.

    References
    ----------
    Pillai (1955), Ann. Math. Statist. 26:117; docs/statistics.md, "Per variant".
    """
    _, q, k = projections.shape
    squares = np.einsum("vqk,vpk->vqp", projections, projections)
    if q == 1:
        determinant = gram[:, 0, 0]
        trace = squares[:, 0, 0]
    else:
        determinant = gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2
        trace = (
            gram[:, 0, 0] * squares[:, 1, 1]
            + gram[:, 1, 1] * squares[:, 0, 0]
            - 2 * gram[:, 0, 1] * squares[:, 0, 1]
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        trace = np.where(determinant > 0, trace / determinant, np.nan)
    return np.clip(trace, 0, min(q, k))


def pillai_f(
    trace: np.ndarray, rank: np.ndarray, participants: int, dimensions: int, covariates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F statistic and degrees of freedom that belong to Pillai's trace.

    Parameters
    ----------
    trace : ndarray, shape (variants,)
    rank : ndarray of int, shape (variants,)
        Rank q of the genotype design, 1 or 2. With rank 1, or one dimension, F is exact.
    participants, dimensions, covariates : int
        n, k, and c with the intercept.

    Returns
    -------
    f, df1, df2 : ndarray, shape (variants,)

    References
    ----------
    Muller (1998), J. Statist. Plan. Infer. 69:3; docs/statistics.md, "Per variant".
    """
    largest = np.minimum(rank, dimensions)  # of the trace
    df1 = rank * dimensions
    df2 = np.where(largest == 2, 2 * (participants - covariates - dimensions), 0) + np.where(
        largest == 1, participants - covariates - np.maximum(rank, dimensions), 0
    )
    with np.errstate(divide="ignore"):
        f = trace / (largest - trace) * df2 / df1
    return f, df1, df2


def genotype_trace(
    projections: Projections, gram: np.ndarray, minimum_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rank and trace of the two indicators, or of the one combination that can be tested.

    Parameters
    ----------
    projections : Projections
        Of a block in the genotype coding.
    gram : ndarray, shape (variants, 2, 2)
        As of `pillai_trace`.
    minimum_count : int
        Where a group has fewer participants (or none), both are tested as one of carriers.

    Returns
    -------
    rank : ndarray of int, shape (variants,)
        1 or 2.
    trace : ndarray, shape (variants,)
    """
    squares = projections.squares()
    weights = np.full(squares.shape, np.nan)
    weights[squares.min(axis=1) < max(minimum_count, 1)] = 1
    unpooled = np.isnan(weights[:, 0])
    weights[unpooled] = _where_singular(gram[unpooled], squares[unpooled])
    single = ~np.isnan(weights[:, 0])
    trace = np.full(len(gram), np.nan)
    trace[~single] = pillai_trace(projections.phenotypes[~single], gram[~single])
    weights = weights[single]
    trace[single] = single_trace(
        np.einsum("vq,vqk->vk", weights, projections.phenotypes[single]),
        np.einsum("vp,vpq,vq->v", weights, gram[single], weights),
        np.einsum("vq,vq->v", weights**2, squares[single]),
    )
    return np.where(single, 1, 2), trace


def single_trace(phenotypes: np.ndarray, gram: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Pillai's trace of single regressors; NaN where covariates leave nothing of them.

    Parameters
    ----------
    phenotypes : ndarray, shape (variants, k)
        Regressors times whitened latents.
    gram, whole : ndarray, shape (variants,)
        Sums of squares of the regressors with covariates projected out, and before.
    """
    left = np.where(gram > SINGULAR * whole, gram, np.nan)
    return pillai_trace(phenotypes[:, None], left[:, None, None])


def _where_singular(gram: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Weights of the one combination of two indicators that covariates leave, where they do so.

    Returns
    -------
    ndarray, shape (variants, 2)
        NaN where both indicators remain.
    """
    weights = np.full(squares.shape, np.nan)
    singular = least_share(gram, squares) <= SINGULAR
    if singular.any():
        scale = np.sqrt(squares[singular])
        _, vectors = np.linalg.eigh(gram[singular] / (scale[:, :, None] * scale[:, None, :]))
        weights[singular] = vectors[:, :, -1] / scale
    return weights
