"""Loci of several scans of the same people side by side: of two arms, or of one arm's seeds.

A locus that one scan has and another lacks may lie just beside the threshold there. Each is
therefore shown with what both say of the same stretch of the genome.
"""

import gzip
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.clumping import squared_correlations
from regreveal.genetics.merging import merge_loci

# A locus of one arm with a p-value below this in the other is weaker there, not unknown to it.
SUGGESTIVE = 5e-4

SHARED, WEAKER, UNIQUE = "shared", "weaker in the other", "unique"
BOTH = "both"


def shared_loci(
    loci: Mapping[str, pd.DataFrame],
    tables: Mapping[str, str | os.PathLike],
    read_dosages: Callable[[np.ndarray], np.ndarray] | None = None,
    covariates: np.ndarray | pd.DataFrame | None = None,
    suggestive: float = SUGGESTIVE,
) -> pd.DataFrame:
    """Say of every locus of two arms which of them has it, and what the other says there.

    Parameters
    ----------
    loci : mapping of str to DataFrame
        Of each of two arms, from `read_loci`.
    tables : mapping of str to path
        Their manova.tsv.gz, indexed.
    read_dosages, covariates
        As of `merge_loci`.
    suggestive : float
        p-value below which the arm that lacks a locus says something of it.

    Returns
    -------
    DataFrame
        A row a place of the genome: locus, chromosome, start, end, nearest_gene; found, one of the
        arms or "both"; class, "shared", "weaker in the other" or "unique"; for each arm loci_ARM,
        how many of its loci are there, lead_ARM, its strongest lead, and neg_log10_p_ARM, the
        largest in the stretch; other_at_lead, of one arm's locus the other's −log10 p of the same
        lead variant; and r2_of_leads, of a shared one.
    """
    if len(loci) != 2:
        raise ValueError(f"loci of {len(loci)} arms; expected two")
    merged = merge_loci(loci, read_dosages, covariates)
    table = merged.loci.copy()
    leads, found = {}, {}
    for arm, of_arm in loci.items():
        counts = np.bincount(merged.place[arm], minlength=len(table))
        found[arm] = counts > 0
        strongest = of_arm.assign(place=merged.place[arm]).sort_values(CORRECTED, ascending=False)
        leads[arm] = strongest.drop_duplicates("place").set_index("place").reindex(table.index)
        table[f"loci_{arm}"] = counts
        table[f"lead_{arm}"] = leads[arm]["variant_id"].fillna("").to_numpy(object)
        table[f"neg_log10_p_{arm}"] = best_in_regions(tables[arm], table)
    first, second = loci
    both = found[first] & found[second]
    table.insert(5, "found", np.where(both, BOTH, np.where(found[first], first, second)))
    by_other = np.where(found[first], table[f"neg_log10_p_{second}"], table[f"neg_log10_p_{first}"])
    one_only = np.where(by_other > -np.log10(suggestive), WEAKER, UNIQUE)
    table.insert(6, "class", np.where(both, SHARED, one_only))
    table["other_at_lead"] = np.nan
    for arm, other in ((first, second), (second, first)):
        alone = table.index[found[arm] & ~both]
        at_lead = leads[arm].loc[alone, ["chromosome", "position", "variant_id"]]
        table.loc[alone, "other_at_lead"] = _at_variants(tables[other], at_lead)
    table["r2_of_leads"] = np.nan
    if read_dosages is not None:
        for place in table.index[both]:
            rows = [int(leads[arm].loc[place, "row"]) for arm in loci]
            r2 = squared_correlations(read_dosages(np.array(rows)), covariates)
            table.loc[place, "r2_of_leads"] = r2[0, 1]
    return table


def count_shared(table: pd.DataFrame, first: str, second: str) -> dict[str, float]:
    """Count places that one arm has and the other lacks.

    Parameters
    ----------
    table : DataFrame
        From `shared_loci`.
    first, second : str
        The arms.

    Returns
    -------
    dict
        both; first, second: places that only one of them has; first_weaker, second_weaker: of
        these, that the other says something of; and p, exact and two-sided, that a place which one
        of them has alone is either's with even odds (McNemar's test). NaN where there is none.
    """
    only = {arm: table["found"] == arm for arm in (first, second)}
    weaker = table["class"] == WEAKER
    alone = [int(only[first].sum()), int(only[second].sum())]
    return {
        "both": int((table["found"] == BOTH).sum()),
        "first": alone[0],
        "second": alone[1],
        "first_weaker": int((only[first] & weaker).sum()),
        "second_weaker": int((only[second] & weaker).sum()),
        "p": float(stats.binomtest(alone[0], sum(alone)).pvalue) if sum(alone) else np.nan,
    }


def recurring_loci(
    loci: Mapping[int, pd.DataFrame],
    tables: Mapping[int, str | os.PathLike],
    read_dosages: Callable[[np.ndarray], np.ndarray] | None = None,
    covariates: np.ndarray | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Say of every locus that any of an arm's seeds finds how many of them find it.

    Parameters
    ----------
    loci : mapping of int to DataFrame
        Of each training seed, from `read_loci`.
    tables : mapping of int to path
        Their manova.tsv.gz, indexed; they may hold the smaller p-values only.
    read_dosages, covariates
        As of `merge_loci`.

    Returns
    -------
    DataFrame
        A row a place of the genome, those that most seeds find first: locus, chromosome, start,
        end, nearest_gene; seeds, how many find it; for each seed found_SEED (bool) and
        neg_log10_p_SEED, the largest in the stretch, missing where the table has none of it.
    """
    merged = merge_loci(
        {str(seed): table for seed, table in loci.items()}, read_dosages, covariates
    )
    table = merged.loci.copy()
    columns = {}
    for seed in loci:
        found = np.zeros(len(table), bool)
        found[merged.place[str(seed)]] = True
        columns[f"found_{seed}"] = found
        columns[f"neg_log10_p_{seed}"] = best_in_regions(tables[seed], table)
    counts = np.sum([columns[f"found_{seed}"] for seed in loci], axis=0, dtype=int)
    table = table.assign(seeds=counts, **columns)
    return table.sort_values(["seeds", "locus"], ascending=[False, True], ignore_index=True)


def count_recurring(table: pd.DataFrame, seeds: list[int]) -> dict[str, float]:
    """Summarise how many loci recur.

    Parameters
    ----------
    table : DataFrame
        From `recurring_loci`.
    seeds : list of int

    Returns
    -------
    dict
        Places found in_any seed, in_all, in_most (more than half, not all), in_fewer
        (more than one) and in_one only; mean, low and high of the places a seed finds; and
        jaccard, the mean over pairs of seeds of which either finds something.
    """
    found = table[[f"found_{seed}" for seed in seeds]].to_numpy(bool)
    count, each = found.sum(axis=1), found.sum(axis=0)
    in_all, alone = count == len(seeds), count == 1
    most = ~in_all & ~alone & (count > len(seeds) / 2)
    pairs = [jaccard(found[:, a], found[:, b]) for a, b in combinations(range(len(seeds)), 2)]
    return {
        "in_any": len(table),
        "in_all": int(in_all.sum()),
        "in_most": int(most.sum()),
        "in_fewer": int((~in_all & ~alone & ~most).sum()),
        "in_one": int((alone & ~in_all).sum()),
        "mean": float(each.mean()),
        "low": int(each.min()),
        "high": int(each.max()),
        "jaccard": float(np.nanmean(pairs)) if np.isfinite(pairs).any() else None,
    }


def jaccard(some: np.ndarray, others: np.ndarray) -> float:
    """Share of what either has that both have; NaN where neither has anything."""
    either = int((some | others).sum())
    return int((some & others).sum()) / either if either else float("nan")


def best_in_regions(table: str | os.PathLike, regions: pd.DataFrame) -> np.ndarray:
    """Largest corrected −log10 p of an indexed manova.tsv.gz within each region.

    Parameters
    ----------
    table : path-like
    regions : DataFrame
        chromosome, start and end, inclusive.

    Returns
    -------
    ndarray, shape (regions,)
        NaN where the table has no tested variant.

    Raises
    ------
    InputError
        There is no such table, or no index beside it.
    """
    best = []
    with _opened(table) as (rows_of, columns):
        at = columns.index(CORRECTED)
        places = regions[["chromosome", "start", "end"]].itertuples(index=False)
        for chromosome, start, end in places:
            values = [row[at] for row in rows_of(chromosome, int(start), int(end))]
            best.append(max((float(v) for v in values if v != "NA"), default=np.nan))
    return np.array(best, dtype=float)


def _at_variants(table: str | os.PathLike, variants: pd.DataFrame) -> np.ndarray:
    """Corrected −log10 p of single variants; NaN where they are not in the table."""
    values = []
    with _opened(table) as (rows_of, columns):
        at, name = columns.index(CORRECTED), columns.index("variant_id")
        for chromosome, position, variant in variants.itertuples(index=False):
            rows = rows_of(chromosome, int(position), int(position))
            told = [row[at] for row in rows if row[name] == variant and row[at] != "NA"]
            values.append(float(told[0]) if told else np.nan)
    return np.array(values, dtype=float)


@contextmanager
def _opened(table: str | os.PathLike) -> Iterator[tuple[Callable, list[str]]]:
    """Open an indexed table: what gives the fields of a region's lines, and names of columns."""
    import pysam

    path = Path(table)
    if not path.is_file():
        raise InputError(f"{path}: no such file; a finished GWAS leaves one")
    if not any(path.with_name(path.name + end).is_file() for end in (".tbi", ".csi")):
        raise InputError(f"{path}: has no index (.tbi) beside it; index it with tabix")
    with gzip.open(path, "rt") as stream:
        columns = stream.readline().rstrip("\n").split("\t")
    with pysam.TabixFile(str(path)) as file:
        chromosomes = set(file.contigs)

        def rows_of(chromosome: str, start: int, end: int) -> list[list[str]]:
            if chromosome not in chromosomes:
                return []
            lines = file.fetch(chromosome, max(start - 1, 0), end)
            return [line.split("\t") for line in lines]

        yield rows_of, columns
