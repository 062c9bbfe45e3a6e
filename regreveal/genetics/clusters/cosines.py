"""Cosines between variants' directions: as they are, what noise leaves of them, and without it.

With vectors d̂ = d + e whose errors have expected inner products C, the inner product of two is
d_i·d_j + C_ij on average, and the squared length of one |d|² + C_ii. A cosine therefore shrinks by
the square root of the product of the two reliabilities, the share of |d̂|² that is not C_ii.
"""

import numpy as np
import pandas as pd
from scipy.stats import beta, norm

# Below this share of signal nothing can be said of a direction.
LEAST_RELIABILITY = 0.05

PAIR_COLUMNS = [
    "variant_id_1",
    "variant_id_2",
    "cosine",
    "ceiling",
    "denoised_cosine",
    "low",
    "high",
]


def cosine_similarities(vectors: np.ndarray) -> np.ndarray:
    """Cosines between rows, (v, v), symmetric, with 1 on the diagonal."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.clip(directions @ directions.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return (cosines + cosines.T) / 2


def ceilings(reliability: np.ndarray) -> np.ndarray:
    """Cosine that noise leaves, on average, of two variants with one direction, (v, v)."""
    root = np.sqrt(np.clip(reliability, 0, 1))
    return np.outer(root, root)


def chance_cosine(dimensions: int, signed: bool, level: float = 0.95) -> float:
    """Cosine that unrelated directions stay below with this probability.

    Signed, or in absolute value; the square of a random cosine in k dimensions has a beta
    distribution with 1/2 and (k - 1)/2. In one dimension all directions are alike: 1.
    """
    if dimensions == 1:
        return 1.0
    within = 2 * level - 1 if signed else level
    return float(np.sqrt(beta.ppf(within, 0.5, (dimensions - 1) / 2)))


def denoised_cosines(
    vectors: np.ndarray, noise: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines between what the vectors would be without noise, with their limits.

    The estimate divides by the ceiling. Limits are those cosines c that the estimate is within z
    standard errors of, the error's variance being, with s² = C / (k |d|²) for each vector,

        (1 - c²)(s_i² + s_j²) + (k - 1)[s_i² s_j² + c² (s_i⁴ + s_j⁴) / 2]:

    errors across the two directions; errors along each other; and of the two lengths.

    Parameters
    ----------
    vectors : ndarray, shape (v, k)
    noise : ndarray, shape (v, v)
        Of `VariantDirections`.
    level : float
        Of the interval.

    Returns
    -------
    estimate, low, high : ndarray, shape (v, v)
        Between -1 and 1; NaN where the reliability of either vector is below `LEAST_RELIABILITY`.
        Limits are -1 and 1 where every cosine is that near.

    Notes
    -----
    Errors are taken to be alike in all dimensions, as they are in whitened latents, and those of
    different variants independent in how they vary. Variants chosen for being significant have
    vectors too long by luck, and their cosines come out somewhat too small.
    """
    dimensions = vectors.shape[1]
    inner = vectors @ vectors.T - noise
    lengths = np.diagonal(inner)
    reliable = lengths > LEAST_RELIABILITY * (vectors**2).sum(axis=1)
    lengths = np.where(reliable, lengths, np.nan)
    estimate = inner / np.sqrt(np.outer(lengths, lengths))
    spread = np.diagonal(noise) / (dimensions * lengths)
    across = np.add.outer(spread, spread)
    along = (dimensions - 1) * np.outer(spread, spread)
    of_lengths = (dimensions - 1) / 2 * np.add.outer(spread**2, spread**2)
    z2 = norm.ppf((1 + level) / 2) ** 2
    # (estimate - c)² = z² [across + along + c² (of_lengths - across)], solved for c.
    square = 1 - z2 * (of_lengths - across)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = estimate / square
        half = np.sqrt(np.maximum(centre**2 - (estimate**2 - z2 * (across + along)) / square, 0))
    bounded = square > 0
    low = np.where(bounded, np.clip(centre - half, -1, 1), -1.0)
    high = np.where(bounded, np.clip(centre + half, -1, 1), 1.0)
    unknown = np.isnan(estimate)
    low[unknown], high[unknown] = np.nan, np.nan
    return np.clip(estimate, -1, 1), low, high


def pair_table(
    variant_ids: list[str], vectors: np.ndarray, noise: np.ndarray, reliability: np.ndarray
) -> pd.DataFrame:
    """Make one row for each pair of variants: `PAIR_COLUMNS`."""
    first, second = np.triu_indices(len(vectors), 1)
    names = np.asarray(variant_ids, dtype=object)
    of_pairs = [
        cosine_similarities(vectors),
        ceilings(reliability),
        *denoised_cosines(vectors, noise),
    ]
    columns = [names[first], names[second], *(matrix[first, second] for matrix in of_pairs)]
    return pd.DataFrame(dict(zip(PAIR_COLUMNS, columns, strict=True)))
