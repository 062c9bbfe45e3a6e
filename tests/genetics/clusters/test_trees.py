import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ncx2, norm

from regreveal.genetics.clusters.cosines import chance_cosine
from regreveal.genetics.clusters.trees import (
    SCALES,
    average_linkage,
    cut,
    midway_height,
    multiscale_support,
    node_members,
    times_found,
)


def tree(leaves=9, seed=0):
    points = np.random.default_rng(seed).standard_normal((leaves, 3))
    return average_linkage(squareform(pdist(points)))


def test_nodes_have_the_leaves_that_scipy_finds_under_them():
    linkage = tree()
    members = node_members(linkage)
    _, nodes = hierarchy.to_tree(linkage, rd=True)
    for node, found in zip(nodes[9:], members, strict=True):
        assert sorted(node.pre_order()) == np.flatnonzero(found).tolist()


def test_a_node_is_found_where_another_tree_has_the_same_leaves_under_one():
    linkage = tree()
    again, other = times_found(linkage, [linkage] * 3), times_found(linkage, [tree(seed=5)])
    assert (again == 3).all()
    assert other[-1] == 1  # the root
    theirs = {frozenset(np.flatnonzero(node)) for node in node_members(tree(seed=5))}
    mine = [frozenset(np.flatnonzero(node)) in theirs for node in node_members(linkage)]
    np.testing.assert_array_equal(other, mine)


@pytest.mark.parametrize("distance", [-1.0, 0.3, 1.7])
def test_beyond_a_flat_boundary_support_is_the_share_at_any_size(distance):
    # A tree's node there: the point is `distance` inside, so that shares are Φ(distance √r).
    samples = 10**6
    found = np.round(samples * norm.cdf(distance * np.sqrt(SCALES)))[None].astype(int)
    support, error = multiscale_support(found, samples)
    assert support[0] == pytest.approx(norm.cdf(distance), abs=1e-4)
    assert 0 < error[0] < 0.01


@pytest.mark.parametrize("distance", [1.0, 2.0])
def test_support_corrects_for_a_curved_boundary(distance):
    # The point is that far outside of a ball in which the node vanishes: its support is one less
    # the probability, at the ball's edge, of a point at least that far out (Efron and Tibshirani
    # 1998, Ann. Statist. 26:1687).
    dimensions, radius = 4, 5.0
    out = radius + distance
    exact = 1 - ncx2.sf(out**2, dimensions, radius**2)
    shares = [ncx2.sf(r * radius**2, dimensions, r * out**2) for r in SCALES]
    samples = 10**6
    found = np.round(samples * np.array(shares))[None].astype(int)
    support, _ = multiscale_support(found, samples)
    plain = shares[SCALES.index(1.0)]
    assert abs(support[0] - exact) < 0.004
    assert abs(plain - exact) > 5 * abs(support[0] - exact)


def test_a_node_of_all_samples_or_none_has_no_error():
    support, error = multiscale_support(np.array([[50] * 5, [0] * 5, [50, 49, 50, 50, 50]]), 50)
    np.testing.assert_allclose(support, [1, 0, 0.996])
    assert np.isnan(error).all()


def test_the_cut_is_midway_between_identical_and_unrelated_directions():
    chance = chance_cosine(32, signed=False)
    height = midway_height(np.array([0.64, 0.64, 0.64]), 32, signed=False)
    assert height == pytest.approx(1 - (0.64 + chance) / 2)
    assert midway_height(np.array([-0.3, 0.0]), 32, signed=False) == pytest.approx(1 - chance)


def test_clusters_are_numbered_from_the_first_leaf():
    linkage = tree()
    clusters = cut(linkage, np.median(linkage[:, 2]))
    in_order = clusters[hierarchy.leaves_list(linkage)]
    assert in_order[0] == 1
    assert set(np.diff(in_order)) <= {0, 1}
    again = hierarchy.fcluster(linkage, np.median(linkage[:, 2]), "distance")
    np.testing.assert_array_equal(np.equal.outer(clusters, clusters), np.equal.outer(again, again))
