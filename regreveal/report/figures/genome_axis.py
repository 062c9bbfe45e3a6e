"""Chromosomes laid end to end, and how ten million points become a picture quickly."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from regreveal.genetics.genotypes import chromosome_rank

ALWAYS_DRAWN = 5.0  # −log10 p from which a variant is never thinned away
CELLS_ACROSS, CELLS_UP = 2900, 500  # about the pixels of a panel


class Genome:
    """Chromosomes in the order 1, 2, …, X, Y, as far as the variants reach.

    Parameters
    ----------
    tables : sequence of DataFrame
        With `chromosome` and `position`, the first a category where there are many rows. Without
        any rows there are no chromosomes.
    """

    def __init__(self, tables: Sequence[pd.DataFrame]):
        ends = [
            table.groupby("chromosome", observed=True)["position"].max().astype(float).rename(str)
            for table in tables
        ]
        lengths = pd.concat(ends).groupby(level=0).max()
        lengths = lengths.iloc[np.argsort(chromosome_rank(lengths.index.to_series()))]
        self.chromosomes = list(lengths.index)
        lengths = lengths.to_numpy(np.float64)
        self.gap = 0.004 * lengths.sum()
        self.starts = np.concatenate([[0], np.cumsum(lengths + self.gap)])[: len(lengths)]
        self.centres = self.starts + lengths / 2
        self.end = (self.starts + lengths).max(initial=0)

    def codes(self, table: pd.DataFrame) -> np.ndarray:
        """Place among `chromosomes` of each row's chromosome."""
        labels = table["chromosome"].astype("category").cat
        place = {name: i for i, name in enumerate(self.chromosomes)}
        codes = np.array([place[str(name)] for name in labels.categories], int)
        return codes[labels.codes.to_numpy()]

    def x(self, table: pd.DataFrame) -> np.ndarray:
        """Where each row lies along the whole genome."""
        return self.starts[self.codes(table)] + table["position"].to_numpy(np.float64)


def thin(x: np.ndarray, neg_log10_p: np.ndarray, always: float = ALWAYS_DRAWN) -> np.ndarray:
    """Choose the variants that a picture needs: all that matter, and one of each crowd.

    Parameters
    ----------
    x, neg_log10_p : ndarray, shape (variants,)
        Place along the genome and −log10 p; NaN where a variant was not testable.
    always : float
        Variants with at least this −log10 p are all kept.

    Returns
    -------
    ndarray of int
        Rows to draw, ascending. Below `always`, one remains of those that share a cell of a grid
        about as fine as the picture; untestable ones are left out.
    """
    tested = np.flatnonzero(np.isfinite(neg_log10_p))
    hit = neg_log10_p[tested] >= always
    crowd = tested[~hit]
    if not len(crowd):
        return tested
    start, end = x[crowd].min(), x[crowd].max()
    across = ((x[crowd] - start) * ((CELLS_ACROSS - 1) / max(end - start, 1e-300))).astype(np.int64)
    up = (np.maximum(neg_log10_p[crowd], 0) * ((CELLS_UP - 1) / always)).astype(np.int64)
    last_of_cell = np.full(CELLS_ACROSS * CELLS_UP, -1)
    last_of_cell[across * CELLS_UP + np.minimum(up, CELLS_UP - 1)] = crowd
    return np.sort(np.concatenate([last_of_cell[last_of_cell >= 0], tested[hit]]))


def spread(places: np.ndarray, apart: float, low: float, high: float) -> np.ndarray:
    """Move labels as little as possible, so that they stand `apart` and between `low` and `high`.

    Least squares under order constraints, hence an isotonic regression.

    Parameters
    ----------
    places : ndarray, shape (n,)
        Where each label would like to be, ascending.
    apart, low, high : float
        The n labels have to fit: (n − 1) · apart ≤ high − low.

    Returns
    -------
    ndarray, shape (n,)
    """
    steps = apart * np.arange(len(places))
    moved = isotonic_regression(places - steps).x
    return np.clip(moved, low, high - apart * (len(places) - 1)) + steps
