"""From single variants to loci: clumping by LD, merging, nearest genes, and the planted truth."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes import chromosome_rank, plain_chromosome

GENOME_WIDE = 5e-8
INDEPENDENT_R2 = 0.6
LEAD_R2 = 0.1
MERGE_DISTANCE = 250_000

LOCUS_COLUMNS = [
    "locus",
    "chromosome",
    "start",
    "end",
    "variant_id",
    "position",
    "ref",
    "alt",
    "alt_frequency",
    "neg_log10_p",
    "n_variants",
    "n_independent",
    "nearest_gene",
    "distance",
]


def find_loci(
    variants: pd.DataFrame,
    read_dosages: Callable[[np.ndarray], np.ndarray],
    genes: pd.DataFrame | None = None,
    threshold: float = GENOME_WIDE,
) -> pd.DataFrame:
    """Group significant variants into loci by linkage disequilibrium and distance.

    On each chromosome, from the smallest p-value up: a significant variant that correlates at r²
    below 0.6 with all independent ones before it is independent, and one below 0.1 with all lead
    variants before it is a lead. Every significant variant belongs to the lead it correlates with
    most. A lead's region runs over its variants; regions less than 250 kb apart make one locus,
    named by its smallest p-value.

    Parameters
    ----------
    variants : DataFrame
        chromosome, position, variant_id, ref, alt, alt_frequency, neg_log10_p. Variants at
        positions below 1 (not placed) are left out.
    read_dosages : callable
        Given index labels of `variants`, their dosages among the analysed participants as an int8
        array (variants, n), -1 where missing.
    genes : DataFrame, optional
        chromosome, start, end, gene.
    threshold : float
        Significant is p below this.

    Returns
    -------
    DataFrame
        A row a locus in genome order, indexed by its lead's label in `variants`: locus (from 1),
        chromosome, start, end, then the lead's variant_id, position, ref, alt, alt_frequency,
        neg_log10_p; n_variants and n_independent among the significant; nearest_gene and its
        distance in base pairs (0 inside).

    References
    ----------
    Watanabe et al. (2017), Nat. Commun. 8:1826 (the two r² limits and the merging).
    """
    significant = variants["neg_log10_p"] > -np.log10(threshold)
    hits = variants[significant & (variants["position"] >= 1)]
    loci = [
        locus
        for _, on_chromosome in hits.groupby("chromosome", sort=False)
        for locus in _chromosome_loci(on_chromosome, read_dosages)
    ]
    leads = [locus.pop("lead") for locus in loci]
    table = pd.DataFrame(loci, index=leads, columns=LOCUS_COLUMNS)
    table = table.iloc[np.lexsort((table["start"], chromosome_rank(table["chromosome"])))]
    table["locus"] = np.arange(1, len(table) + 1)
    return add_nearest_genes(table, genes)


def _chromosome_loci(hits: pd.DataFrame, read_dosages: Callable) -> list[dict]:
    # The id breaks ties, so that the order of rows in the file does not decide.
    hits = hits.sort_values(["neg_log10_p", "variant_id"], ascending=[False, True])
    independent, lead_of = clump(read_dosages(hits.index.to_numpy()))
    regions = hits.assign(lead=lead_of, independent=independent).groupby("lead", sort=False)
    spans = regions["position"].agg(["min", "max"]).sort_values("min")
    locus_of_lead, locus, end = {}, -1, -np.inf
    for lead, start, last in spans.itertuples():
        if start - end >= MERGE_DISTANCE:
            locus += 1
            end = last
        end = max(end, last)
        locus_of_lead[lead] = locus
    members = hits.groupby(pd.Series(lead_of, hits.index).map(locus_of_lead), sort=False)
    is_independent = pd.Series(independent, hits.index)
    return [
        {
            "lead": group.index[0],
            "chromosome": group["chromosome"].iloc[0],
            "start": group["position"].min(),
            "end": group["position"].max(),
            **group.iloc[0][
                ["variant_id", "position", "ref", "alt", "alt_frequency", "neg_log10_p"]
            ].to_dict(),
            "n_variants": len(group),
            "n_independent": int(is_independent[group.index].sum()),
        }
        for _, group in members
    ]


def clump(dosages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Independent variants, and each variant's lead, from the most significant variant down.

    Parameters
    ----------
    dosages : ndarray of int8, shape (variants, n)
        Most significant first; -1 where missing.

    Returns
    -------
    independent : ndarray of bool, shape (variants,)
    lead_of : ndarray of int, shape (variants,)
        Row of the lead variant that each correlates with most; leads have their own.
    """
    standardised = _standardise(dosages)
    count = len(standardised)
    independent, lead_of = np.zeros(count, bool), np.full(count, -1)
    near_independent, near_lead, best_r2 = (
        np.zeros(count, bool),
        np.zeros(count, bool),
        np.zeros(count),
    )
    for row in range(count):
        if near_independent[row]:
            continue
        r2 = (standardised @ standardised[row]) ** 2
        r2[row] = 1
        independent[row] = True
        near_independent |= r2 >= INDEPENDENT_R2
        if near_lead[row]:
            continue
        near_lead |= r2 >= LEAD_R2
        closer = r2 > best_r2
        lead_of[closer] = row
        best_r2[closer] = r2[closer]
    return independent, lead_of


def _standardise(dosages: np.ndarray) -> np.ndarray:
    """Rows of mean zero and unit length; missing values at the mean."""
    known = dosages >= 0
    total = np.where(known, dosages, 0).sum(axis=1, keepdims=True)
    mean = total / np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, dosages - mean.astype(np.float32), np.float32(0))
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1)


def read_genes(path: str | os.PathLike) -> pd.DataFrame:
    """Read a gene table: tab-separated, with columns chromosome, start, end and gene.

    Raises
    ------
    InputError
        The file or a column is missing, or a start or end is no number.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    genes = pd.read_csv(path, sep="\t", dtype={"chromosome": str, "gene": str})
    for column in ("chromosome", "start", "end", "gene"):
        if column not in genes:
            raise InputError(
                f"{path.name}: no column '{column}' (there are: {', '.join(map(str, genes))})"
            )
    for column in ("start", "end"):
        if not pd.api.types.is_numeric_dtype(genes[column]):
            raise InputError(f"{path.name}: column '{column}' has values that are not numbers")
    return genes


def add_nearest_genes(loci: pd.DataFrame, genes: pd.DataFrame | None) -> pd.DataFrame:
    """Fill `nearest_gene` and `distance` by the lead variant's position; empty without genes."""
    names, distances = [], []
    by_chromosome = {}
    if genes is not None:
        by_chromosome = dict(list(genes.groupby(genes["chromosome"].map(plain_chromosome))))
    for chromosome, position in zip(loci["chromosome"], loci["position"], strict=True):
        here = by_chromosome.get(plain_chromosome(chromosome))
        if here is None:
            names.append("")
            distances.append(pd.NA)
            continue
        away = np.maximum(0, np.maximum(here["start"] - position, position - here["end"]))
        names.append(here["gene"].loc[away.idxmin()])
        distances.append(int(away.min()))
    return loci.assign(nearest_gene=names, distance=pd.array(distances, dtype="Int64"))


@dataclass(frozen=True)
class TruthComparison:
    """Loci against planted causal variants.

    Attributes
    ----------
    found, missed : DataFrame
        Causal variants (one row each) with a locus nearby (its number in column `locus`), and
        without.
    true, false : DataFrame
        Loci with a causal variant nearby, and without.
    """

    found: pd.DataFrame
    missed: pd.DataFrame
    true: pd.DataFrame
    false: pd.DataFrame


def compare_with_truth(
    loci: pd.DataFrame, causal_variants: pd.DataFrame, window: int = 500_000
) -> TruthComparison:
    """Count loci found, missed and false, where the causal variants are known.

    A causal variant is found by the nearest locus on its chromosome whose start to end, widened by
    `window` on both sides, holds it; a locus that finds none is false. A causal variant of several
    traits counts once.

    Parameters
    ----------
    loci : DataFrame
        From `find_loci`.
    causal_variants : DataFrame
        variant_id, chromosome, position, and whatever else is to be kept.
    window : int
        Base pairs.

    Returns
    -------
    TruthComparison
    """
    causal = causal_variants.drop_duplicates("variant_id").reset_index(drop=True)
    locus_chromosome = loci["chromosome"].map(plain_chromosome).to_numpy()
    starts, ends = loci["start"].to_numpy(float), loci["end"].to_numpy(float)
    finder, true = [], set()
    for chromosome, position in zip(causal["chromosome"], causal["position"], strict=True):
        away = np.maximum(0, np.maximum(starts - position, position - ends))
        away[locus_chromosome != plain_chromosome(chromosome)] = np.inf
        near = np.flatnonzero(away <= window)
        true.update(near)
        finder.append(loci["locus"].iloc[near[np.argmin(away[near])]] if len(near) else pd.NA)
    causal = causal.assign(locus=pd.array(finder, dtype="Int64"))
    is_true = np.isin(np.arange(len(loci)), list(true))
    found = causal["locus"].notna()
    return TruthComparison(
        causal[found].reset_index(drop=True),
        causal[~found].drop(columns="locus").reset_index(drop=True),
        loci[is_true].reset_index(drop=True),
        loci[~is_true].reset_index(drop=True),
    )
