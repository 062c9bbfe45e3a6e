"""What directions are asked for: variants, phecodes and phenotypes as numbers of people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes

KINDS = ("variant", "phecode", "phenotype")


@dataclass(frozen=True)
class Variable:
    """A variable that people's latents may differ with.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name : str
        Variant id, phecode, or the phenotype's column.
    label : str
        The gene or the disease, for people to read; may be empty.
    unit : str
        What a difference of 1 is, such as "T allele", "case" or "SD".
    numbers : Series of float
        By sample id; missing where not known.
    """

    kind: str
    name: str
    label: str
    unit: str
    numbers: pd.Series


def variant_variables(
    genotypes: Genotypes, rows: Sequence[int], genes: Sequence[str], sample_ids: Sequence[str]
) -> list[Variable]:
    """Read the dosages of the alternate alleles of some variants.

    Parameters
    ----------
    genotypes : Genotypes
    rows : sequence of int
        Of the variants in the file.
    genes : sequence of str
        A label each.
    sample_ids : sequence of str
        Whose, all of them in the file.
    """
    rows = np.asarray(rows, int)
    described, dosages = next(iter(genotypes.blocks(list(sample_ids), len(rows), rows)))
    values = np.where(dosages < 0, np.nan, dosages.astype(np.float64))
    return [
        Variable(
            "variant",
            str(variant.variant_id),
            gene,
            f"{variant.alt} allele",
            pd.Series(of_variant, list(sample_ids)),
        )
        for variant, gene, of_variant in zip(described.itertuples(), genes, values, strict=True)
    ]


def find_variants(genotypes: Genotypes, variant_ids: Sequence[str]) -> list[int]:
    """Find the rows of variants in a genotype file.

    Raises
    ------
    InputError
        If there is no variant of that id, or more than one.
    """
    there = genotypes.variants["variant_id"].astype(str)
    found = []
    for name in variant_ids:
        rows = np.flatnonzero(there == name)
        if len(rows) != 1:
            raise InputError(
                f"{genotypes.path}: {len(rows)} variants have the id '{name}'; expected one"
            )
        found.append(int(rows[0]))
    return found


def phecode_variables(
    status: pd.DataFrame, info: pd.DataFrame, phecodes: Sequence[str]
) -> list[Variable]:
    """Take some phecodes from a table of who has them.

    Parameters
    ----------
    status : DataFrame
        Participants × phecodes: 1 case, 0 control, missing where neither.
    info : DataFrame
        `name`, indexed by phecode.
    phecodes : sequence of str

    Raises
    ------
    InputError
        If there is no such phecode.
    """
    unknown = [phecode for phecode in phecodes if phecode not in status]
    if unknown:
        raise InputError(
            f"phecodes: no phecode '{unknown[0]}' among the {status.shape[1]} described; "
            "write it as the description of phecodes does"
        )
    return [
        Variable("phecode", name, str(info.loc[name, "name"]), "case", status[name].astype(float))
        for name in phecodes
    ]


def phenotype_variables(table: pd.DataFrame, columns: Sequence[str]) -> list[Variable]:
    """Take columns of a table, brought to a standard deviation of 1 unless they are 0 and 1.

    Parameters
    ----------
    table : DataFrame
        Of numbers, indexed by sample id.
    columns : sequence of str

    Raises
    ------
    InputError
        If there is no such column, or it is not of numbers.
    """
    variables = []
    for column in columns:
        if column not in table:
            raise InputError(
                f"phenotypes: no column '{column}' (there are: {', '.join(map(str, table))})"
            )
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(
                f"phenotypes: '{column}' is not of numbers; give a category as 0 and 1"
            )
        values = table[column].replace([np.inf, -np.inf], np.nan).astype(float)
        binary = set(values.dropna()) <= {0.0, 1.0}
        spread = 1.0 if binary else values.std(ddof=0) or 1.0
        variables.append(
            Variable("phenotype", column, "", "case" if binary else "SD", values / spread)
        )
    return variables
