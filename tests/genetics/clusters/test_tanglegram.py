from itertools import product

import numpy as np
import pytest
from scipy.cluster import hierarchy

from regreveal.genetics.clusters.tanglegram import crossings, untangle


def orders_of(linkage):
    """All orders that turning nodes can bring about."""
    leaves = len(linkage) + 1
    for turned in product([False, True], repeat=leaves - 1):
        under = [[leaf] for leaf in range(leaves)]
        for (first, second), turn in zip(linkage[:, :2].astype(int), turned, strict=True):
            sides = (second, first) if turn else (first, second)
            under.append(under[sides[0]] + under[sides[1]])
        yield tuple(under[-1])


def trees(leaves, seed):
    rng = np.random.default_rng(seed)
    return [hierarchy.linkage(rng.standard_normal((leaves, 3)), "average") for _ in range(2)]


@pytest.mark.parametrize("seed", range(8))
def test_no_turning_of_nodes_has_fewer_crossings(seed):
    one, other = trees(6, seed)
    order_one, order_other, count = untangle(one, other)
    assert tuple(order_one) in set(orders_of(one))
    assert tuple(order_other) in set(orders_of(other))
    assert count == crossings(order_one, order_other)
    fewest = min(
        crossings(np.array(a), np.array(b)) for a in orders_of(one) for b in orders_of(other)
    )
    assert count == fewest


def test_a_tree_and_itself_need_not_cross():
    one, _ = trees(40, 0)
    assert untangle(one, one)[2] == 0


def test_crossings_are_pairs_in_opposite_order():
    assert crossings(np.array([0, 1, 2]), np.array([2, 1, 0])) == 3
    assert crossings(np.array([2, 0, 1]), np.array([2, 1, 0])) == 1
