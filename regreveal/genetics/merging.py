"""Which loci of several scans are the same place of the genome."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.clumping import LD_WINDOW, LEAD_R2, squared_correlations
from regreveal.genetics.genotypes.chromosomes import (
    HUMAN_AUTOSOMES,
    chromosome_of_positions,
    chromosome_rank,
)
from regreveal.genetics.loci import MERGE_DISTANCE

MERGED_COLUMNS = ["locus", "chromosome", "start", "end", "nearest_gene"]


class MergedLoci(NamedTuple):
    """Places of the genome, and which locus of each scan lies in which.

    Attributes
    ----------
    loci : DataFrame
        A row a place in genome order: locus (from 1), chromosome, start, end, and nearest_gene of
        the most significant lead.
    place : dict of str to ndarray of int
        For each scan, the row of `loci` that each of its loci is in.
    """

    loci: pd.DataFrame
    place: dict[str, np.ndarray]


def merge_loci(
    scans: Mapping[str, pd.DataFrame],
    read_dosages: Callable[[np.ndarray], np.ndarray] | None = None,
    covariates: np.ndarray | pd.DataFrame | None = None,
    autosomes: int = HUMAN_AUTOSOMES,
) -> MergedLoci:
    """Join loci that are near or linked.

    Two loci, of one scan or of two, are the same place if their regions are less than 250 kb
    apart, by which `find_loci` joins loci of one scan; or if their lead variants, at most 1 Mb
    apart, correlate at r² of 0.1 or more: within one scan, the weaker would be no lead beside the
    other. What is the same as a third is the same.

    Parameters
    ----------
    scans : mapping of str to DataFrame
        Loci of each scan, from `read_loci`: chromosome, start, end, row, position,
        neg_log10_p_corrected, nearest_gene.
    read_dosages : callable, optional
        As of `find_loci`, by `row`, the row of the genotype file. Without it only distance counts.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        As of `find_loci`.
    autosomes : int
        Pairs of autosomes of the species.

    Returns
    -------
    MergedLoci
    """
    names = np.repeat(list(scans), [len(loci) for loci in scans.values()])
    needed = ["chromosome", "start", "end", "row", "position", CORRECTED, "nearest_gene"]
    together = [loci[needed] for loci in scans.values() if len(loci)]
    if not together:
        return MergedLoci(
            pd.DataFrame(columns=MERGED_COLUMNS), {name: np.empty(0, int) for name in scans}
        )
    loci = pd.concat(together, ignore_index=True)
    pairs = _near(loci, autosomes)
    if read_dosages is not None:
        pairs = np.vstack([pairs, _linked(loci, read_dosages, covariates, autosomes)])
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(loci),) * 2)
    _, group = connected_components(links, directed=False)
    strongest_first = loci.assign(group=group).sort_values(
        CORRECTED, ascending=False, kind="stable"
    )
    merged = strongest_first.groupby("group").agg(
        chromosome=("chromosome", "first"),
        start=("start", "min"),
        end=("end", "max"),
        nearest_gene=("nearest_gene", "first"),
    )
    rank = chromosome_rank(merged["chromosome"], autosomes)
    in_order = np.lexsort((merged["start"], rank))
    merged = merged.iloc[in_order].reset_index(drop=True)
    merged["locus"] = np.arange(1, len(merged) + 1)
    place = np.argsort(in_order)[group]
    return MergedLoci(merged[MERGED_COLUMNS], {name: place[names == name] for name in scans})


def _near(loci: pd.DataFrame, autosomes: int) -> np.ndarray:
    """Pairs of loci less than `MERGE_DISTANCE` apart, shape (pairs, 2)."""
    pairs = []
    for rows in _by_chromosome(loci, autosomes):
        rows = rows[np.argsort(loci["start"].to_numpy()[rows], kind="stable")]
        starts, ends = loci["start"].to_numpy()[rows], loci["end"].to_numpy()[rows]
        reached = np.maximum.accumulate(ends)
        near = np.flatnonzero(starts[1:] - reached[:-1] < MERGE_DISTANCE)
        # The one before may end sooner than one before that, but it is of the same place then.
        pairs += [(rows[i], rows[i + 1]) for i in near]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _linked(
    loci: pd.DataFrame,
    read_dosages: Callable[[np.ndarray], np.ndarray],
    covariates: np.ndarray | pd.DataFrame | None,
    autosomes: int,
) -> np.ndarray:
    """Pairs of loci whose lead variants are in linkage disequilibrium, shape (pairs, 2)."""
    pairs = []
    for rows in _by_chromosome(loci, autosomes):
        positions = loci["position"].to_numpy()[rows]
        apart = np.abs(positions[:, None] - positions)
        may_be = np.triu(apart <= LD_WINDOW, 1)
        if not may_be.any():
            continue
        leads, at = np.unique(loci["row"].to_numpy(int)[rows], return_inverse=True)
        r2 = squared_correlations(read_dosages(leads), covariates)[np.ix_(at, at)]
        pairs += [tuple(rows[pair]) for pair in np.argwhere(may_be & (r2 >= LEAD_R2))]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _by_chromosome(loci: pd.DataFrame, autosomes: int) -> list[np.ndarray]:
    """Rows of each chromosome."""
    names = loci["chromosome"].map(lambda name: chromosome_of_positions(name, autosomes))
    return list(loci.groupby(names).indices.values())
