"""How well clusters come back when participants are sampled anew."""

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from sklearn.metrics import silhouette_score

from regreveal.genetics.clusters.trees import cut

HEIGHTS = np.round(np.arange(0.05, 1.0, 0.05), 2)

# Cells of contingency tables that are held together: 64 MB.
_HELD_CELLS = 2**23


def cut_into(trees: list[np.ndarray], count: int) -> np.ndarray:
    """Clusters of each tree cut into `count`, (trees, v)."""
    return np.array([hierarchy.fcluster(tree, count, "maxclust") for tree in trees])


def has_choice(clusters: np.ndarray) -> bool:
    """Whether there is anything to decide: neither one cluster, nor each variant its own."""
    return 1 < clusters.max(initial=0) < len(clusters)


def jaccard_overlaps(clusters: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """Overlap of each variant's cluster with the one it is in, in each sample.

    Parameters
    ----------
    clusters : ndarray of int, shape (v,)
    resampled : ndarray of int, shape (samples, v)

    Returns
    -------
    ndarray, shape (samples, v)
        Size of the intersection over that of the union.
    """
    together = np.equal.outer(clusters, clusters)
    overlaps = np.empty(resampled.shape)
    for row, labels in enumerate(resampled):
        again = np.equal.outer(labels, labels)
        overlaps[row] = (together & again).sum(axis=1) / (together | again).sum(axis=1)
    return overlaps


def co_clustering(resampled: np.ndarray) -> np.ndarray:
    """Share of samples in which two variants are together, (v, v)."""
    return np.mean([np.equal.outer(labels, labels) for labels in resampled], axis=0)


def adjusted_rand_indices(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compare one clustering with each of many by the adjusted Rand index.

    Parameters
    ----------
    one : ndarray of int, shape (v,) or (many, v)
        From 1; one for all, or one for each.
    others : ndarray of int, shape (many, v)

    Returns
    -------
    ndarray, shape (many,)
        1 where the two are the same; 0 on average where one is shuffled at random.

    References
    ----------
    Hubert, Arabie (1985), J. Classification 2:193.
    """
    many, variants = others.shape
    one = np.broadcast_to(one, others.shape)
    sizes = int(one.max()) + 1, int(others.max()) + 1
    at_once = max(1, _HELD_CELLS // (sizes[0] * sizes[1]))
    indices = np.empty(many)
    for start in range(0, many, at_once):
        first, second = one[start : start + at_once], others[start : start + at_once]
        rows = np.arange(len(first))[:, None]
        cells = (rows * sizes[0] + first) * sizes[1] + second
        counts = np.bincount(cells.ravel(), minlength=len(first) * sizes[0] * sizes[1])
        counts = counts.reshape(len(first), *sizes)
        both = _pairs(counts).sum(axis=(1, 2))
        in_first, in_second = (_pairs(counts.sum(axis=axis)).sum(axis=1) for axis in (2, 1))
        expected = in_first * in_second / max(_pairs(np.array(variants)), 1)
        largest = (in_first + in_second) / 2
        same = largest == expected
        share = (both - expected) / np.where(same, 1, largest - expected)
        indices[start : start + at_once] = np.where(same, 1.0, share)
    return indices


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) / 2


def cluster_stability(clusters: np.ndarray, resampled: np.ndarray) -> pd.DataFrame:
    """Say how well each cluster comes back.

    Parameters
    ----------
    clusters : ndarray of int, shape (v,)
        From 1.
    resampled : ndarray of int, shape (samples, v)

    Returns
    -------
    DataFrame
        A row a cluster: cluster; jaccard, the mean over samples of its overlap with whichever
        cluster it overlaps most; recovered, the share of samples in which it is the same set.

    References
    ----------
    Hennig (2007), Comput. Stat. Data Anal. 52:258.
    """
    rows = []
    for cluster in range(1, clusters.max() + 1):
        members = clusters == cluster
        best = np.empty(len(resampled))
        for row, labels in enumerate(resampled):
            inside = np.bincount(labels[members], minlength=labels.max() + 1)
            union = members.sum() + np.bincount(labels, minlength=labels.max() + 1) - inside
            best[row] = (inside / np.maximum(union, 1)).max()
        rows.append((cluster, best.mean(), (best == 1).mean()))
    return pd.DataFrame(rows, columns=["cluster", "jaccard", "recovered"])


def by_height(
    linkage: np.ndarray, distances: np.ndarray, trees: list[np.ndarray], chosen: float
) -> pd.DataFrame:
    """Describe the clusters that the tree falls into at a range of heights.

    Parameters
    ----------
    linkage : ndarray, shape (v - 1, 4)
    distances : ndarray, shape (v, v)
    trees : list of ndarray
        Linkage matrices of bootstrap samples.
    chosen : float
        A height to add to those of `HEIGHTS`, and to mark.

    Returns
    -------
    DataFrame
        height; chosen; clusters, how many; alone, how many of one variant; stability, the mean of
        `jaccard_overlaps`; rand_index; silhouette, the mean over variants. The last three are NaN
        where there is one cluster, or each variant is its own.
    """
    of_count: dict[int, tuple[float, float]] = {}
    rows = []
    for height in np.unique([*HEIGHTS, chosen]):
        clusters = cut(linkage, height)
        count = int(clusters.max())
        stability = rand_index = silhouette = np.nan
        if has_choice(clusters):
            silhouette = silhouette_score(distances, clusters, metric="precomputed")
            if trees:
                if count not in of_count:
                    again = cut_into(trees, count)
                    overlaps = jaccard_overlaps(clusters, again)
                    rand_indices = adjusted_rand_indices(clusters, again)
                    of_count[count] = overlaps.mean(), rand_indices.mean()
                stability, rand_index = of_count[count]
        alone = int((np.bincount(clusters) == 1).sum())
        rows.append((height, height == chosen, count, alone, stability, rand_index, silhouette))
    columns = ["height", "chosen", "clusters", "alone", "stability", "rand_index", "silhouette"]
    return pd.DataFrame(rows, columns=columns)
