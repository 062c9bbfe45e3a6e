from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, spearmanr
from sklearn.metrics import adjusted_rand_score

from regreveal.errors import InputError
from regreveal.genetics.clusters.agreement import (
    compare_clusters,
    compare_with_groups,
    share_at_least,
)
from regreveal.genetics.clusters.clustering import cluster_variants

GROUPS = np.repeat(range(4), 4)
NAMES = [f"rs{i}" for i in range(16)]


def space(strength, seed, dosages):
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((12, 4)))[0].T
    effects = strength * directions[GROUPS]
    return rng.standard_normal((dosages.shape[1], 12)) + dosages.T @ effects


@pytest.fixture(scope="module")
def clusters():
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.35, (16, 1500)).astype(np.int8)
    return {
        name: cluster_variants(
            space(strength, seed, dosages), dosages, NAMES, signed=False, bootstraps=30
        )
        for name, strength, seed in (("good", 0.4, 1), ("fair", 0.18, 2), ("none", 0.0, 3))
    }


def test_spaces_that_group_variants_alike_agree(clusters):
    agreement = compare_clusters(clusters["good"], clusters["fair"], permutations=999)
    labels = (clusters["good"].clusters, clusters["fair"].clusters)
    assert agreement.rand_index == pytest.approx(adjusted_rand_score(*labels))
    assert agreement.rand_index > 0.7
    assert agreement.low <= agreement.rand_index <= agreement.high
    assert agreement.p_value == 0.001
    assert agreement.distance_p_value == 0.001
    assert (agreement.clusters_one, agreement.variants) == (4, 16)


def test_distances_are_correlated_by_rank(clusters):
    one, other = clusters["good"], clusters["none"]
    agreement = compare_clusters(one, other, permutations=999)
    pairs = np.triu_indices(16, 1)
    expected = spearmanr(one.distances.to_numpy()[pairs], other.distances.to_numpy()[pairs])
    assert agreement.distance_correlation == pytest.approx(expected.statistic)
    assert abs(agreement.rand_index) < 0.35
    assert agreement.p_value > 0.01


def test_spaces_of_one_cluster_each_agree_and_say_nothing():
    rng = np.random.default_rng(7)
    dosages = rng.binomial(2, 0.35, (5, 200)).astype(np.int8)
    # In one dimension all directions are alike.
    both = [
        cluster_variants(rng.normal(size=(200, 1)), dosages, NAMES[:5], signed=False, bootstraps=5)
        for _ in range(2)
    ]
    agreement = compare_clusters(*both, permutations=99)
    assert (agreement.clusters_one, agreement.clusters_other) == (1, 1)
    assert (agreement.rand_index, agreement.p_value, agreement.distance_p_value) == (1, 1, 1)


def test_p_values_of_groups_at_random_are_uniform():
    rng = np.random.default_rng(4)
    resampled = np.ones((0, 30), int)
    clusters = np.arange(30) % 6 + 1
    # Few values are possible, so what ties is broken at random.
    p_values = []
    for seed in range(200):
        groups = rng.permutation(np.arange(30) // 5)
        *_, p_value = compare_with_groups(clusters, resampled, groups, 199, seed)
        p_values.append(p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08
    assert kstest(p_values, "uniform").pvalue > 1e-4


def test_groups_that_are_known_are_compared_by_name():
    clusters = np.repeat([1, 2, 3], 4)
    resampled = np.vstack([clusters, np.repeat([1, 2, 2], 4), clusters])
    names = np.repeat(["pr", "qt", "axis"], 4)
    index, low, high, p_value = compare_with_groups(clusters, resampled, names, 999)
    spread = np.std([adjusted_rand_score(names, row) for row in resampled], ddof=1)
    assert (index, high) == (1, 1)
    assert low == pytest.approx(1 - 1.959964 * spread)
    assert p_value < 0.005


def test_the_order_observed_counts_as_one_of_the_permutations():
    assert share_at_least(np.array([0.1, 0.2, 0.5]), 0.5) == 0.5
    assert share_at_least(np.zeros(99), 1.0) == 0.01


def test_clusters_of_other_variants_or_samples_are_refused(clusters):
    one = clusters["good"]
    with pytest.raises(InputError, match="variants of two latent spaces differ"):
        compare_clusters(one, replace(one, variant_ids=NAMES[::-1]))
    with pytest.raises(InputError, match=r"1500 participants .* 20 in the other"):
        compare_clusters(one, replace(one, settings={**one.settings, "participants": 20}))
    two = replace(one, variant_ids=NAMES[:2], clusters=one.clusters[:2])
    with pytest.raises(InputError, match="2 variants; to compare clusters takes at least 3"):
        compare_clusters(two, two)


def test_without_samples_there_are_no_limits(clusters):
    bare = [replace(clusters[name], resampled=np.empty((0, 16), int)) for name in ("good", "fair")]
    agreement = compare_clusters(*bare, permutations=99)
    assert np.isnan([agreement.low, agreement.high]).all()
    assert pd.Series(agreement.as_row()).drop(["low", "high"]).notna().all()
