"""Two trees of the same leaves side by side: turn their nodes until few lines cross."""

import numpy as np

_STARTS = 32


def untangle(
    one: np.ndarray, other: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, int]:
    """Orders of the leaves of two trees in which lines between equal leaves cross little.

    Against a fixed order of the other tree's leaves, each node of a tree can be turned by itself:
    how often lines from its two sides cross does not depend on how nodes below or above are
    turned. So the best order of one tree is found at once, and the two are done by turns until
    nothing gets better, from several random beginnings, since that need not be the least of all.

    Parameters
    ----------
    one, other : ndarray, shape (v - 1, 4)
        Scipy's linkage matrices.
    seed : int

    Returns
    -------
    order_one, order_other : ndarray of int, shape (v,)
        Leaves from top to bottom.
    crossings : int

    References
    ----------
    Dwyer, Schreiber (2004), Optimal leaf ordering for two and a half dimensional phylogenetic tree
    visualisation. APVis, 109 (one tree against a fixed order).
    """
    rng = np.random.default_rng(seed)
    leaves = len(one) + 1
    best: tuple[np.ndarray, np.ndarray, int] | None = None
    for start in range(_STARTS):
        # The first beginning is the tree's own order, and only then is it random.
        turned = rng.random(len(other)) < 0.5 if start else np.zeros(len(other), dtype=bool)
        orders = np.arange(leaves), _leaves(other, turned)
        fewest = None
        while True:
            order_one = _best_order(one, orders[1])
            order_other = _best_order(other, order_one)
            count = crossings(order_one, order_other)
            if fewest is not None and count >= fewest:
                break
            orders, fewest = (order_one, order_other), count
        if best is None or fewest < best[2]:
            best = *orders, fewest
        if best[2] == 0:
            break
    return best


def crossings(order_one: np.ndarray, order_other: np.ndarray) -> int:
    """How many pairs of lines between equal leaves of two orders cross."""
    place = np.argsort(order_other)[order_one]
    return int(np.triu(place[:, None] > place[None, :], 1).sum())


def _best_order(linkage: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Leaves of a tree, each node turned as the fixed order of the leaves wants it."""
    leaves = len(linkage) + 1
    place = np.argsort(fixed)
    under = [np.array([leaf]) for leaf in range(leaves)]
    for first, second in linkage[:, :2].astype(int):
        ahead = np.sort(place[under[first]])
        behind = place[under[second]]
        # Pairs whose line from the second side would have to cross that from the first.
        crossed = len(ahead) * len(behind) - np.searchsorted(ahead, behind).sum()
        as_it_is = crossed <= len(ahead) * len(behind) - crossed
        sides = (first, second) if as_it_is else (second, first)
        under.append(np.concatenate([under[side] for side in sides]))
    return under[-1]


def _leaves(linkage: np.ndarray, turned: np.ndarray) -> np.ndarray:
    under = [np.array([leaf]) for leaf in range(len(linkage) + 1)]
    for (first, second), turn in zip(linkage[:, :2].astype(int), turned, strict=True):
        sides = (second, first) if turn else (first, second)
        under.append(np.concatenate([under[side] for side in sides]))
    return under[-1]
