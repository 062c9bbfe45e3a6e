import numpy as np
import pytest
from scipy.cluster import hierarchy
from sklearn.metrics import adjusted_rand_score, silhouette_score

from regreveal.genetics.clusters import stability
from regreveal.genetics.clusters.trees import average_linkage


@pytest.mark.parametrize("clusters", [1, 2, 5, 12])
def test_rand_indices_are_those_of_scikit_learn(clusters, monkeypatch):
    monkeypatch.setattr(stability, "_HELD_CELLS", 200)
    rng = np.random.default_rng(0)
    one = rng.integers(1, 4, 12)
    others = np.array([rng.permutation(np.arange(12) % clusters) + 1 for _ in range(40)])
    expected = [adjusted_rand_score(one, other) for other in others]
    np.testing.assert_allclose(stability.adjusted_rand_indices(one, others), expected, atol=1e-12)
    each = stability.adjusted_rand_indices(others[::-1], others)
    np.testing.assert_allclose(
        each, [adjusted_rand_score(a, b) for a, b in zip(others[::-1], others, strict=True)]
    )


def test_overlaps_are_shares_of_the_clusters_a_variant_is_in():
    clusters = np.array([1, 1, 1, 2, 2])
    resampled = np.array([[1, 1, 2, 2, 2], [1, 1, 1, 2, 3]])
    overlaps = stability.jaccard_overlaps(clusters, resampled)
    np.testing.assert_allclose(overlaps[0], [2 / 3, 2 / 3, 1 / 5, 2 / 3, 2 / 3])
    np.testing.assert_allclose(overlaps[1], [1, 1, 1, 1 / 2, 1 / 2])


def test_a_cluster_is_as_stable_as_what_is_most_like_it():
    clusters = np.array([1, 1, 1, 2, 2])
    resampled = np.array([[1, 1, 2, 2, 2], [2, 2, 2, 1, 3], [1, 1, 1, 2, 2]])
    table = stability.cluster_stability(clusters, resampled).set_index("cluster")
    expected = []
    for cluster in (1, 2):
        mine = set(np.flatnonzero(clusters == cluster))
        best = [
            max(
                len(mine & theirs) / len(mine | theirs)
                for theirs in (set(np.flatnonzero(row == label)) for label in set(row))
            )
            for row in resampled
        ]
        expected.append((np.mean(best), np.mean(np.array(best) == 1)))
    np.testing.assert_allclose(table[["jaccard", "recovered"]], expected)


def test_co_clustering_counts_samples_in_which_two_are_together():
    together = stability.co_clustering(np.array([[1, 1, 2], [1, 2, 2]]))
    np.testing.assert_allclose(together, [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])


def test_other_heights_are_described_by_their_own_clusters():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((10, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2) / 4
    linkage = average_linkage(distances)
    noisy = [
        average_linkage(distances + np.abs(np.triu(e, 1) + np.triu(e, 1).T))
        for e in rng.normal(0, 0.02, (6, 10, 10))
    ]
    table = stability.by_height(linkage, distances, noisy, chosen=0.37)
    assert table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "height"].item() == 0.37
    row = table[table["height"] == 0.3].iloc[0]
    clusters = hierarchy.fcluster(linkage, 0.3, "distance")
    assert row["clusters"] == clusters.max()
    assert row["alone"] == (np.bincount(clusters) == 1).sum()
    expected = silhouette_score(distances, clusters, metric="precomputed")
    assert row["silhouette"] == pytest.approx(expected)
    again = [hierarchy.fcluster(each, clusters.max(), "maxclust") for each in noisy]
    assert row["rand_index"] == pytest.approx(
        np.mean([adjusted_rand_score(clusters, labels) for labels in again])
    )
    trivial = table["clusters"].isin([1, 10])
    assert table.loc[trivial, ["stability", "rand_index", "silhouette"]].isna().all(axis=None)
    assert table.loc[~trivial, "stability"].between(0, 1).all()
