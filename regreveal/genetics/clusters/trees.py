"""Trees of variants: average linkage, where to cut it, and how well each node is supported."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from scipy.stats import norm

from regreveal.genetics.clusters.cosines import ceilings, chance_cosine

# Sizes of bootstrap samples, as multiples of the number of participants.
SCALES = (0.5, 0.7, 1.0, 1.4, 2.0)


def average_linkage(distances: np.ndarray) -> np.ndarray:
    """Scipy's linkage matrix of a square matrix of distances; empty for fewer than two."""
    if len(distances) < 2:
        return np.empty((0, 4))
    return hierarchy.linkage(squareform(distances, checks=False), method="average")


def midway_height(reliability: np.ndarray, dimensions: int, signed: bool) -> float:
    """Height midway between identical directions and unrelated ones.

    Identical directions are, on average over pairs, the ceiling apart that noise leaves of a
    cosine of 1; unrelated ones are farther apart, in 95 % of pairs, than chance alone puts them. A
    fixed height would do for one number of dimensions only: at genome-wide significance, the
    ceiling is some 0.8 in 16 dimensions and 0.4 in 256, and chance 0.48 and 0.12. Where noise is
    so large that the ceiling is below chance, the height is that of chance.

    Parameters
    ----------
    reliability : ndarray, shape (v,)
    dimensions : int
    signed : bool

    Returns
    -------
    float
    """
    chance = chance_cosine(dimensions, signed)
    pairs = np.triu_indices(len(reliability), 1)
    ceiling = ceilings(reliability)[pairs].mean() if len(reliability) > 1 else chance
    return float(1 - (chance + max(ceiling, chance)) / 2)


def cut(linkage: np.ndarray, height: float) -> np.ndarray:
    """Cluster numbers from 1, in leaf order, of the tree cut at a height."""
    if not len(linkage):
        return np.ones(1, dtype=int)
    labels = hierarchy.fcluster(linkage, height, "distance")
    in_leaf_order = pd.unique(labels[hierarchy.leaves_list(linkage)])
    number = {label: place for place, label in enumerate(in_leaf_order, start=1)}
    return np.array([number[label] for label in labels])


def node_members(linkage: np.ndarray) -> np.ndarray:
    """Which leaves are under each inner node, bool (v - 1, v), in the order of the linkage."""
    leaves = len(linkage) + 1
    members = np.zeros((2 * leaves - 1, leaves), dtype=bool)
    members[:leaves] = np.eye(leaves, dtype=bool)
    for node, (first, second) in enumerate(linkage[:, :2].astype(int), start=leaves):
        members[node] = members[first] | members[second]
    return members[leaves:]


def times_found(linkage: np.ndarray, others: Iterable[np.ndarray]) -> np.ndarray:
    """How many of other trees of the same leaves have a node with exactly the same leaves."""
    members = node_members(linkage)
    keys = [packed.tobytes() for packed in np.packbits(members, axis=1)]
    found = dict.fromkeys(keys, 0)
    for other in others:
        for packed in np.packbits(node_members(other), axis=1):
            key = packed.tobytes()
            if key in found:
                found[key] += 1
    return np.array([found[key] for key in keys], dtype=int)


def multiscale_support(
    found: np.ndarray, samples: int, scales: Iterable[float] = SCALES
) -> tuple[np.ndarray, np.ndarray]:
    """Approximately unbiased probability of a node, from bootstrap samples of several sizes.

    The share p of samples of size r n that have a node follows -Φ⁻¹(p) = v √r + c / √r, v being
    the distance to where the node vanishes and c the curvature there: the support is Φ(c - v)
    there, while the share at r = 1 is Φ(-v - c), which curvature makes too small or too large.

    Parameters
    ----------
    found : ndarray of int, shape (nodes, scales)
    samples : int
        At each scale.
    scales : iterable of float
        Each r.

    Returns
    -------
    support, standard_error : ndarray, shape (nodes,)
        Standard errors are of the number of samples. Where fewer than two scales have the node in
        some samples but not in all, support is the share over all scales, and its error NaN.

    References
    ----------
    Shimodaira (2002), Syst. Biol. 51:492. Suzuki, Shimodaira (2006), Bioinformatics 22:1540.
    """
    root = np.sqrt(np.asarray(list(scales)))
    support = found.mean(axis=1) / samples
    error = np.full(len(found), np.nan)
    for node, counts in enumerate(found):
        inside = (counts > 0) & (counts < samples)
        if inside.sum() < 2:
            continue
        share = counts[inside] / samples
        z = -norm.ppf(share)
        weight = samples * norm.pdf(z) ** 2 / (share * (1 - share))
        design = np.column_stack([root[inside], 1 / root[inside]])
        covariance = np.linalg.inv(design.T @ (design * weight[:, None]))
        v, c = covariance @ (design.T @ (weight * z))
        support[node] = norm.cdf(c - v)
        error[node] = norm.pdf(c - v) * np.sqrt(np.array([-1, 1]) @ covariance @ [-1, 1])
    return support, error
