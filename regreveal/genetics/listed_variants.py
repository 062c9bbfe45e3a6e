"""Variants that a user names, by their rows in the genotypes."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes
from regreveal.genetics.genotypes.filters import read_variant_list
from regreveal.genetics.loci import add_nearest_genes, read_loci

COLUMNS = ["chromosome", "position", "variant_id", "ref", "alt"]


def listed_variants(
    path: str | os.PathLike, genotypes: Genotypes, genes: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, int]:
    """Find the variants of a list in the genotypes.

    Parameters
    ----------
    path : path-like
        Ids, as of `read_variant_list`.
    genotypes : Genotypes
    genes : DataFrame, optional
        Of `read_genes`.

    Returns
    -------
    variants : DataFrame
        In the genotypes' order: row, chromosome, position, variant_id, ref, alt, nearest_gene.
    unknown : int
        How many ids of the list are not in the genotypes.

    Raises
    ------
    InputError
        None of them is.
    """
    path = Path(path)
    wanted = read_variant_list(path)
    there = genotypes.variants[COLUMNS]
    found = there[there["variant_id"].isin(wanted)]
    if not len(found):
        raise InputError(
            f"{path.name}: none of its {len(wanted)} variants is in {genotypes.path.name}, whose "
            f"ids are like '{there['variant_id'].iloc[0]}'"
        )
    variants = add_nearest_genes(found.assign(row=found.index.to_numpy()), genes)
    return variants.reset_index(drop=True), len(wanted) - found["variant_id"].nunique()


def lead_variants(path: str | os.PathLike, genotypes: Genotypes) -> pd.DataFrame:
    """Read the loci of a GWAS of these genotypes.

    Parameters
    ----------
    path : path-like
        Its loci.tsv.
    genotypes : Genotypes
        The same files in the same order: lead variants are found by row.

    Returns
    -------
    DataFrame
        Of `read_loci`.

    Raises
    ------
    InputError
        A lead variant is not in its row.
    """
    loci = read_loci(path)
    rows = loci["row"].to_numpy(int)
    inside = rows < genotypes.variant_count
    ids = np.full(len(loci), "", dtype=object)
    ids[inside] = genotypes.variants["variant_id"].iloc[rows[inside]].to_numpy()
    other = np.flatnonzero(ids != loci["variant_id"].to_numpy())
    if len(other):
        row, name = rows[other[0]], loci["variant_id"].iloc[other[0]]
        raise InputError(
            f"{path}: lead variant '{name}' is not in row {row} of {genotypes.path.name}; give the "
            "genotypes that its GWAS was made with, in the same order"
        )
    return loci
