"""Test criteria beside Pillai's trace: Wilks' lambda, Hotelling–Lawley trace, Roy's largest root.

All are functions of a variant's squared canonical correlations with the latent space, of which a
genotype design of q columns has at most q. With only one, all criteria are the same exact F test.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from regreveal.genetics.kernel.fdistribution import neg_log10_f


class Criterion(NamedTuple):
    """A test statistic and what belongs to it, each array of shape (variants,).

    NaN where nothing was tested.
    """

    statistic: np.ndarray
    f: np.ndarray
    df1: np.ndarray
    df2: np.ndarray

    @property
    def neg_log10_p(self) -> np.ndarray:
        """−log10 p of the F statistic."""
        return neg_log10_f(self.f, self.df1, self.df2)


def squared_correlations(projections: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Squared canonical correlations of each variant's genotype with a whitened latent space.

    They are the eigenvalues of B = S^(-1/2) W W' S^(-1/2), with W the projections and S the Gram
    matrix. W is first brought to orthonormal design columns by the Cholesky factor of S, whose rows
    u, v then have B's eigenvalues as those of [[u'u, u'v], [u'v, v'v]]. Their product is |u|² times
    the square of what is left of v beside u, and that is found row by row, not as a difference of
    products, so the smaller eigenvalue keeps its digits beside a much larger one.

    Parameters
    ----------
    projections : ndarray, shape (variants, q, k)
        Genotype design times whitened latents, G'Z; q is 1 or 2.
    gram : ndarray, shape (variants, q, q)
        Design Gram matrix with covariates projected out, G'(I - QQ')G.

    Returns
    -------
    ndarray, shape (variants, 2)
        Between 0 and 1, the larger first; with q = 1 the second is 0. NaN where `gram` is singular.
    """
    _, q, k = projections.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        first_scale = np.sqrt(np.where(gram[:, 0, 0] > 0, gram[:, 0, 0], np.nan))
        u = projections[:, 0] / first_scale[:, None]
        if q == 1:
            single = np.einsum("vk,vk->v", u, u)
            result = np.column_stack([single, np.where(np.isnan(single), np.nan, 0.0)])
            return np.clip(result, 0, 1)
        slope = gram[:, 0, 1] / first_scale
        left = gram[:, 1, 1] - slope**2
        second_scale = np.sqrt(np.where(left > 0, left, np.nan))
        v = (projections[:, 1] - slope[:, None] * u) / second_scale[:, None]
        uu, vv, uv = (np.einsum("vk,vk->v", *pair) for pair in ((u, u), (v, v), (u, v)))
        larger = (uu + vv + np.hypot(uu - vv, 2 * uv)) / 2
        if k == 1:
            smaller = np.where(np.isnan(larger), np.nan, 0.0)
        else:
            # What is left of the shorter row beside the longer one.
            swap = (vv > uu)[:, None]
            longer, shorter = np.where(swap, v, u), np.where(swap, u, v)
            longest = np.maximum(uu, vv)
            rest = shorter - (uv / longest)[:, None] * longer
            smaller = np.einsum("vk,vk->v", rest, rest) * longest / larger
            smaller[larger == 0] = 0
    return np.clip(np.column_stack([larger, smaller]), 0, 1)


def wilks_lambda(
    correlations: np.ndarray, rank: np.ndarray, participants: int, dimensions: int, covariates: int
) -> Criterion:
    """Wilks' lambda, the product of 1 − λ, with Rao's F, which is exact for rank 1 and 2.

    Parameters
    ----------
    correlations : ndarray, shape (variants, 2)
        From `squared_correlations`; the second is 0 where the design's rank is 1.
    rank : ndarray of int, shape (variants,)
        Rank q of the genotype design, 1 or 2.
    participants, dimensions, covariates : int
        n, k, and c with the intercept.

    Returns
    -------
    Criterion

    References
    ----------
    Rao (1951), Bull. Int. Statist. Inst. 33:177; docs/statistics.md, "Other criteria".
    """
    with np.errstate(divide="ignore"):
        log_lambda = np.log1p(-correlations).sum(axis=1)
    residual = participants - covariates - rank
    smaller = np.minimum(rank, dimensions)
    df1 = rank * dimensions
    df2 = smaller * (residual + 1 - dimensions)
    with np.errstate(over="ignore"):
        f = np.expm1(-log_lambda / smaller) * df2 / df1
    return _criterion(np.exp(log_lambda), f, df1, df2)


def hotelling_lawley_trace(
    correlations: np.ndarray, rank: np.ndarray, participants: int, dimensions: int, covariates: int
) -> Criterion:
    """Hotelling–Lawley trace, the sum of λ / (1 − λ), with McKeon's F approximation.

    Exact for rank 1 or one dimension. Where fewer than two residual degrees of freedom are left
    beyond the dimensions, McKeon's moments do not exist and Pillai and Samson's F is taken.

    Parameters
    ----------
    correlations, rank, participants, dimensions, covariates
        As of `wilks_lambda`.

    Returns
    -------
    Criterion

    References
    ----------
    McKeon (1974), Biometrika 61:381; Pillai & Samson (1959), Biometrika 46:160.
    """
    statistic = _ratios(correlations).sum(axis=1)
    p, q = dimensions, rank
    n = (participants - covariates - q - p - 1) / 2
    s = np.minimum(p, q)
    df1 = p * q
    # McKeon's 1/(b − 1), written so that n = 1 needs no division by zero.
    inverse = 2 * (2 * n + 1) * (n - 1)
    inverse = inverse / ((p + 2 * n) * (q + 2 * n) - inverse)
    mckeon_df2 = 4 + (p * q + 2) * inverse
    df2 = np.where(n > 0, mckeon_df2, s * (s * n + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        f = statistic * df2 / df1 / np.where(n > 0, (mckeon_df2 - 2) / 2 / n, s)
    return _criterion(statistic, f, df1, df2)


def roy_bound(
    correlations: np.ndarray, rank: np.ndarray, participants: int, dimensions: int, covariates: int
) -> Criterion:
    """Roy's largest root, λ₁ / (1 − λ₁), with the usual upper bound on F.

    F is an upper bound and p therefore a LOWER bound: it may call a variant significant that is
    not, and false positives are more often than p says. Only for rank 1 or one dimension it is
    exact. To leave variants out it is safe, to report them it is not.

    Parameters
    ----------
    correlations, rank, participants, dimensions, covariates
        As of `wilks_lambda`.

    Returns
    -------
    Criterion

    References
    ----------
    SAS/STAT User's Guide, "Multivariate Tests"; docs/statistics.md, "Other criteria".
    """
    statistic = _ratios(correlations[:, :1])[:, 0]
    df1 = np.maximum(dimensions, rank)
    df2 = participants - covariates - df1
    return _criterion(statistic, statistic * df2 / df1, df1, df2)


CRITERIA: dict[str, Callable[..., Criterion]] = {
    "wilks": wilks_lambda,
    "hotelling-lawley": hotelling_lawley_trace,
    "roy": roy_bound,
}


def criterion_columns(criterion: str) -> list[str]:
    """Names of a criterion's columns: the statistic, and its −log10 p (Roy's: an upper bound)."""
    name = criterion.replace("-", "_")
    return [name, f"{name}_neg_log10_p"]


def _ratios(correlations: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return correlations / (1 - correlations)


def _criterion(statistic: np.ndarray, f: np.ndarray, df1: np.ndarray, df2: np.ndarray) -> Criterion:
    """Leave out degrees of freedom, too, where nothing was tested, and tests without any."""
    tested = ~np.isnan(statistic) & (df2 > 0)
    return Criterion(statistic, *(np.where(tested, values, np.nan) for values in (f, df1, df2)))
