"""Whether two latent spaces group the same variants alike."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import norm, rankdata

from regreveal.errors import InputError
from regreveal.genetics.clusters.clustering import VariantClusters
from regreveal.genetics.clusters.stability import adjusted_rand_indices

# Values that are held together while distances are permuted: 64 MB.
_HELD_VALUES = 2**23


@dataclass(frozen=True)
class Agreement:
    """Two clusterings of the same variants, compared.

    Attributes
    ----------
    variants, clusters_one, clusters_other : int
        How many there are.
    rand_index : float
        Adjusted Rand index: 1 where the groups are the same, 0 on average for groups at random.
    low, high : float
        95 % limits, by the spread over bootstrap samples of participants, the same ones in both
        spaces: of what other people of the same number would give.
    p_value : float
        Share of permutations of the variants whose index is at least as large.
    distance_correlation : float
        Spearman's, of the distances between variants in one space and in the other: it does not
        depend on where the trees are cut.
    distance_p_value : float
        Of Mantel's test: share of permutations whose correlation is at least as large.
    """

    variants: int
    clusters_one: int
    clusters_other: int
    rand_index: float
    low: float
    high: float
    p_value: float
    distance_correlation: float
    distance_p_value: float

    def as_row(self) -> dict:
        """Give the fields by name."""
        return asdict(self)


def compare_clusters(
    one: VariantClusters, other: VariantClusters, permutations: int = 9999, seed: int = 0
) -> Agreement:
    """Compare the clusters of the same variants in two latent spaces of the same participants.

    Parameters
    ----------
    one, other : VariantClusters
        Made with the same seed and as many bootstrap samples, so that each sample has the same
        weights of participants in both.
    permutations : int
    seed : int

    Returns
    -------
    Agreement

    Raises
    ------
    InputError
        Other variants, participants or samples in one than in the other, or fewer than three
        variants, which can't be grouped in more than two ways.

    References
    ----------
    Hubert, Arabie (1985), J. Classification 2:193. Mantel (1967), Cancer Res. 27:209.
    """
    if one.variant_ids != other.variant_ids:
        raise InputError("clusters: the variants of two latent spaces differ; give both the same")
    alike = ("participants", "bootstraps", "seed")
    for key in alike:
        if one.settings[key] != other.settings[key]:
            raise InputError(
                f"clusters: {one.settings[key]} {key} in one latent space and "
                f"{other.settings[key]} in the other; expected the same"
            )
    if len(one.variant_ids) < 3:
        raise InputError(
            f"clusters: {len(one.variant_ids)} variants; to compare clusters takes at least 3"
        )
    orders = _orders(len(one.clusters), permutations, seed)
    index = adjusted_rand_indices(one.clusters, other.clusters[None])[0]
    low, high = _bootstrap_limits(index, one.resampled, other.resampled)
    permuted = adjusted_rand_indices(one.clusters, other.clusters[orders])
    correlation, of_permuted = _distance_correlations(
        one.distances.to_numpy(), other.distances.to_numpy(), orders
    )
    return Agreement(
        variants=len(one.variant_ids),
        clusters_one=int(one.clusters.max()),
        clusters_other=int(other.clusters.max()),
        rand_index=float(index),
        low=low,
        high=high,
        p_value=share_at_least(permuted, index),
        distance_correlation=correlation,
        distance_p_value=share_at_least(of_permuted, correlation),
    )


def compare_with_groups(
    clusters: np.ndarray,
    resampled: np.ndarray,
    groups: np.ndarray,
    permutations: int = 9999,
    seed: int = 0,
) -> tuple[float, float, float, float]:
    """Compare clusters with groups that are known.

    Parameters
    ----------
    clusters : ndarray of int, shape (v,)
    resampled : ndarray of int, shape (samples, v)
        Clusters of bootstrap samples.
    groups : ndarray, shape (v,)
        Of any type.
    permutations, seed : int

    Returns
    -------
    rand_index, low, high, p_value : float
        As of `Agreement`.
    """
    known = np.unique(groups, return_inverse=True)[1] + 1
    orders = _orders(len(clusters), permutations, seed)
    index = adjusted_rand_indices(clusters, known[None])[0]
    low, high = _bootstrap_limits(index, np.tile(known, (len(resampled), 1)), resampled)
    permuted = adjusted_rand_indices(clusters, known[orders])
    return float(index), low, high, share_at_least(permuted, index)


def _orders(variants: int, permutations: int, seed: int) -> np.ndarray:
    """Random orders of the variants, (permutations, v)."""
    ordered = np.tile(np.arange(variants), (permutations, 1))
    return np.random.default_rng(seed).permuted(ordered, axis=1)


def share_at_least(permuted: np.ndarray, observed: float) -> float:
    """Permutation p-value: the observed order counts as one of them."""
    at_least = (permuted >= observed - 1e-12).sum()
    return float((1 + at_least) / (1 + len(permuted)))


def _bootstrap_limits(
    index: float, one: np.ndarray, other: np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """Give normal limits by the spread over samples, at most 1.

    Not by their percentiles: samples hold the noise twice and agree less, so that these lie too
    low.
    """
    if len(one) < 2:
        return np.nan, np.nan
    half = norm.ppf((1 + level) / 2) * adjusted_rand_indices(one, other).std(ddof=1)
    return float(index - half), float(min(index + half, 1))


def _distance_correlations(
    one: np.ndarray, other: np.ndarray, orders: np.ndarray
) -> tuple[float, np.ndarray]:
    """Spearman's correlation of distances, and with the variants of `other` in other orders."""
    pairs = np.triu_indices(len(one), 1)
    ranks = []
    for distances in (one, other):
        of_pairs = rankdata(distances[pairs])
        of_pairs -= of_pairs.mean()
        length = np.linalg.norm(of_pairs)
        ranks.append(of_pairs / length if length else of_pairs)
    square = np.zeros(other.shape)
    square[pairs] = ranks[1]
    square += square.T
    permuted = np.empty(len(orders))
    at_once = max(1, _HELD_VALUES // len(pairs[0]))
    for start in range(0, len(orders), at_once):
        some = orders[start : start + at_once]
        permuted[start : start + at_once] = square[some[:, pairs[0]], some[:, pairs[1]]] @ ranks[0]
    return float(ranks[0] @ ranks[1]), permuted
