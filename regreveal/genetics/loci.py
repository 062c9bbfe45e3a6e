"""From single variants to loci: clumping by LD, merging, nearest genes, and the planted truth."""

import csv
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.clumping import clump
from regreveal.genetics.genotypes.chromosomes import (
    HUMAN_AUTOSOMES,
    chromosome_of_positions,
    chromosome_rank,
)

GENOME_WIDE = 5e-8
MERGE_DISTANCE = 250_000

# A planted variant is found by a lead variant this near.
TRUTH_WINDOW = 500_000

# Without a header in the file.
NCBI_COLUMNS = ["entrez_id", "chromosome", "start", "end", "strand", "gene"]

LOCUS_COLUMNS = [
    "locus",
    "chromosome",
    "start",
    "end",
    "row",
    "variant_id",
    "position",
    "ref",
    "alt",
    "alt_frequency",
    "neg_log10_p",
    "n_variants",
    "n_independent",
    "lead_positions",
    "nearest_gene",
    "distance",
]

TEXT_COLUMNS = [
    "trait",
    "chromosome",
    "variant_id",
    "ref",
    "alt",
    "lead_positions",
    "nearest_gene",
    "known_name",
]


def find_loci(
    variants: pd.DataFrame,
    read_dosages: Callable[[np.ndarray], np.ndarray],
    genes: pd.DataFrame | None = None,
    threshold: float = GENOME_WIDE,
    covariates: np.ndarray | pd.DataFrame | None = None,
    autosomes: int = HUMAN_AUTOSOMES,
) -> pd.DataFrame:
    """Group significant variants into loci by linkage disequilibrium and distance.

    On each chromosome, from the smallest p-value up: a significant variant that correlates at r²
    below 0.6 with all independent ones before it within 1 Mb is independent, and one below 0.1 with
    all lead variants before it within 1 Mb is a lead. Every significant variant belongs to the lead
    it correlates with most, of those within 1 Mb. A lead's region runs over its variants; regions
    less than 250 kb apart make one locus, named by its smallest p-value.

    Parameters
    ----------
    variants : DataFrame
        chromosome, position, variant_id, ref, alt, alt_frequency, neg_log10_p. Variants at
        positions below 1 (not placed) are left out.
    read_dosages : callable
        Given index labels of `variants`, their dosages among the n analysed participants, an array
        (labels, n): int8 with -1 where missing, or float32 with NaN. Asked for some at a time.
    genes : DataFrame, optional
        chromosome, start, end, gene.
    threshold : float
        Significant is p below this.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        Those of the test: r² is between dosages with them regressed out, or variants that differ
        between ancestries alike would pass for linked.
    autosomes : int
        Pairs of autosomes of the species, see `canonical_chromosome`.

    Returns
    -------
    DataFrame
        A row a locus in genome order, indexed by its lead's label in `variants`: locus (from 1),
        chromosome, start, end, then the lead's row (that label), variant_id, position, ref, alt,
        alt_frequency, neg_log10_p; n_variants and n_independent among the significant;
        lead_positions, of all leads that were merged, with semicolons between; nearest_gene and
        its distance in base pairs (0 inside).

    References
    ----------
    Watanabe et al. (2017), Nat. Commun. 8:1826 (the two r² limits and the merging).
    """
    significant = variants["neg_log10_p"] > -np.log10(threshold)
    hits = variants[significant & (variants["position"] >= 1)]
    loci = [
        locus
        for _, on_chromosome in hits.groupby("chromosome", sort=False)
        for locus in _chromosome_loci(on_chromosome, read_dosages, covariates)
    ]
    leads = [locus["row"] for locus in loci]
    table = pd.DataFrame(loci, index=leads, columns=LOCUS_COLUMNS)
    rank = chromosome_rank(table["chromosome"], autosomes)
    table = table.iloc[np.lexsort((table["start"], rank))]
    table["locus"] = np.arange(1, len(table) + 1)
    return add_nearest_genes(table, genes, autosomes)


def _chromosome_loci(
    hits: pd.DataFrame, read_dosages: Callable, covariates: np.ndarray | pd.DataFrame | None
) -> list[dict]:
    # Position and id break ties, so that the order of rows in the file does not decide.
    hits = hits.sort_values(
        ["neg_log10_p", "position", "variant_id"], ascending=[False, True, True]
    )
    labels = hits.index.to_numpy()
    independent, lead_of = clump(
        lambda rows: read_dosages(labels[rows]), hits["position"].to_numpy(), covariates
    )
    hits = hits.assign(independent=independent, is_lead=lead_of == np.arange(len(hits)))
    spans = hits.groupby(lead_of)["position"].agg(["min", "max"]).sort_values("min")
    locus_of_lead, locus, end = {}, -1, -np.inf
    for lead, start, last in spans.itertuples():
        if start - end >= MERGE_DISTANCE:
            locus += 1
            end = last
        end = max(end, last)
        locus_of_lead[lead] = locus
    members = hits.groupby([locus_of_lead[lead] for lead in lead_of], sort=False)
    return [
        {
            "chromosome": group["chromosome"].iloc[0],
            "start": group["position"].min(),
            "end": group["position"].max(),
            "row": group.index[0],
            **group.iloc[0][
                ["variant_id", "position", "ref", "alt", "alt_frequency", "neg_log10_p"]
            ].to_dict(),
            "n_variants": len(group),
            "n_independent": int(group["independent"].sum()),
            "lead_positions": ";".join(map(str, group.loc[group["is_lead"], "position"])),
        }
        for _, group in members
    ]


def read_loci(path: str | os.PathLike) -> pd.DataFrame:
    """Read a loci.tsv: names as text, even those that look like numbers, and the rest as numbers.

    Parameters
    ----------
    path : path-like
        Written by `run_gwas` or `run_univariate_gwas`.

    Returns
    -------
    DataFrame
        Its columns; a gene that is not known is an empty string.

    Raises
    ------
    InputError
        There is no such file, or it is another table.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; a finished GWAS leaves one")
    loci = read_site_table(path)
    need_columns(path, loci, ["row", "variant_id"])
    numbers = [name for name in loci if name not in (*TEXT_COLUMNS, "known")]
    loci[numbers] = loci[numbers].apply(pd.to_numeric, errors="coerce")
    if "known" in loci:
        loci["known"] = loci["known"] == "True"
    whole = {name: "Int64" for name in ("distance", "known_distance") if name in loci}
    return loci.astype(whole)


def read_genes(path: str | os.PathLike) -> pd.DataFrame:
    """Read a gene table, with a header or as NCBI's gene.loc.

    Parameters
    ----------
    path : path-like
        Tab-separated, perhaps compressed (.gz): columns chromosome, start, end and gene; or
        without a header NCBI's six, Entrez id, chromosome, start, stop, strand and symbol.

    Returns
    -------
    DataFrame
        chromosome, start, end, gene.

    Raises
    ------
    InputError
        The file or a column is missing, or a start or end is no number.
    """
    path = Path(path)
    genes = read_site_table(path)
    first = [str(name) for name in genes.columns]
    is_ncbi = len(first) == len(NCBI_COLUMNS) and first[2].isdecimal() and first[3].isdecimal()
    if is_ncbi:
        genes = read_site_table(path, names=NCBI_COLUMNS)
    needed = ["chromosome", "start", "end", "gene"]
    need_columns(path, genes, needed)
    for column in ("start", "end"):
        genes[column] = whole_numbers(path, genes[column])
    return genes[needed]


def read_site_table(path: Path, **options) -> pd.DataFrame:
    """Read a text table as text: comma-separated where its name says .csv, or else by tabs.

    Parameters
    ----------
    path : Path
    **options
        More arguments of `pandas.read_csv`.

    Raises
    ------
    InputError
        There is no such file, or it is not a table.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    # Between tabs, quotation marks are part of a text, and need not come in pairs.
    commas = {"sep": ","} if ".csv" in path.suffixes else {"sep": "\t", "quoting": csv.QUOTE_NONE}
    try:
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, index_col=False, **commas, **options
        )
    except (ValueError, EOFError, OSError, zlib.error) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: cannot be read as a table ({reason})") from error


def need_columns(path: Path, table: pd.DataFrame, columns: list[str]) -> None:
    """Raise InputError if a column is missing."""
    for column in columns:
        if column not in table:
            raise InputError(
                f"{path.name}: no column '{column}' (there are: {', '.join(map(str, table))})"
            )


def whole_numbers(path: Path, values: pd.Series) -> pd.Series:
    """Read base pairs written as text.

    Raises
    ------
    InputError
        A value is no whole number.
    """
    numbers = pd.to_numeric(values, errors="coerce")
    if not (numbers % 1 == 0).all():
        bad = values[~(numbers % 1 == 0)].iloc[0]
        raise InputError(
            f"{path.name}: column '{values.name}' has values that are not numbers of base pairs, "
            f"such as '{bad}'"
        )
    return numbers.astype(np.int64)


def by_chromosome(table: pd.DataFrame, autosomes: int) -> dict[str, pd.DataFrame]:
    """Rows of each chromosome, by its `chromosome_of_positions`."""
    written = table["chromosome"]
    names = {name: chromosome_of_positions(name, autosomes) for name in pd.unique(written)}
    return dict(list(table.groupby(written.map(names))))


def add_nearest_genes(
    loci: pd.DataFrame, genes: pd.DataFrame | None, autosomes: int = HUMAN_AUTOSOMES
) -> pd.DataFrame:
    """Fill `nearest_gene` and `distance` by the lead variant's position; empty without genes.

    Of several genes around the position, or as near, it is the first in the table.
    """
    names, distances = [], []
    genes_of = {} if genes is None else by_chromosome(genes, autosomes)
    for chromosome, position in zip(loci["chromosome"], loci["position"], strict=True):
        here = genes_of.get(chromosome_of_positions(chromosome, autosomes))
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
        Causal variants (one row each) with a lead variant nearby (its locus' number in column
        `locus`), and without.
    true, false : DataFrame
        Loci with a causal variant near one of their lead variants, and without.
    """

    found: pd.DataFrame
    missed: pd.DataFrame
    true: pd.DataFrame
    false: pd.DataFrame


def compare_with_truth(
    loci: pd.DataFrame, causal_variants: pd.DataFrame, window: int = TRUTH_WINDOW
) -> TruthComparison:
    """Count loci found, missed and false, where the causal variants are known.

    A causal variant is found by the locus with the nearest lead variant, if that lies within
    `window` of it; how far a locus reaches does not matter. A locus none of whose lead variants
    is that near to any causal variant is false. A causal variant of several traits counts once.

    Parameters
    ----------
    loci : DataFrame
        From `find_loci` or `read_loci`.
    causal_variants : DataFrame
        variant_id, chromosome, position, and whatever else is to be kept.
    window : int
        Base pairs, inclusive.

    Returns
    -------
    TruthComparison
    """
    same = ["variant_id", "chromosome", "position"]
    causal = causal_variants.drop_duplicates(same).reset_index(drop=True)
    leads = loci.assign(
        place=np.arange(len(loci)),
        lead_position=loci["lead_positions"].astype(str).str.split(";"),
        chromosome=loci["chromosome"].map(chromosome_of_positions),
    ).explode("lead_position")
    positions, places = leads["lead_position"].to_numpy(float), leads["place"].to_numpy()
    finder, is_true = [], np.zeros(len(loci), bool)
    for chromosome, position in zip(causal["chromosome"], causal["position"], strict=True):
        away = np.abs(positions - position)
        away[leads["chromosome"] != chromosome_of_positions(chromosome)] = np.inf
        is_true[places[away <= window]] = True
        nearest = np.argmin(away) if len(away) else None
        is_found = nearest is not None and away[nearest] <= window
        finder.append(leads["locus"].iloc[nearest] if is_found else pd.NA)
    causal = causal.assign(locus=pd.array(finder, dtype="Int64"))
    found = causal["locus"].notna()
    return TruthComparison(
        causal[found].reset_index(drop=True),
        causal[~found].drop(columns="locus").reset_index(drop=True),
        loci[is_true].reset_index(drop=True),
        loci[~is_true].reset_index(drop=True),
    )
