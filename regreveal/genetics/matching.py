"""Who takes part in a GWAS: everyone with a phenotype, genotypes and covariates."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.cohort import design_matrix, read_table


@dataclass(frozen=True)
class Matched:
    """Participants that have everything.

    Attributes
    ----------
    sample_ids : list of str, length n
        In the order of the genotype file, which reads fastest.
    covariates : DataFrame, n rows, or None
        Design matrix without an intercept.
    confounders : DataFrame, n rows, or None
        Columns as they are in the table, to be projected out of the latents.
    sex : Series, length n, or None
        The column that tells it, as it is in the table.
    counts : dict of str to int
        Participants by what became of them; each that was left out counts once.
    """

    sample_ids: list[str]
    covariates: pd.DataFrame | None
    confounders: pd.DataFrame | None
    sex: pd.Series | None
    counts: dict[str, int]


def match_participants(
    phenotyped: Sequence[str],
    genotyped: Sequence[str],
    covariates: pd.DataFrame | str | os.PathLike | None = None,
    columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    confounders: Sequence[str] = (),
    sex_column: str | None = None,
) -> Matched:
    """Keep who has a phenotype, genotypes and every covariate, and count the others by reason.

    Parameters
    ----------
    phenotyped, genotyped : sequence of str
        Sample ids.
    covariates : DataFrame (indexed by sample id) or path, optional
    columns : list of str, optional
        Which covariates; all without it.
    participants : iterable of str, optional
        Keep only these.
    confounders : sequence of str
        Columns of the same table that everyone must have, too.
    sex_column : str, optional
        Column of the same table; who lacks it stays.

    Returns
    -------
    Matched

    Raises
    ------
    InputError
        Nobody is left, or a covariate is unknown, collinear or constant.
    """
    left = set(phenotyped)
    counts = {"phenotyped": len(left), "genotyped_without_phenotype": len(set(genotyped) - left)}
    if participants is not None:
        chosen = {str(name) for name in participants}
        counts["not_asked_for"] = len(left - chosen)
        left &= chosen
    counts["without_genotypes"] = len(left - set(genotyped))
    left &= set(genotyped)
    if covariates is None:
        wanted = [*confounders, *([sex_column] if sex_column else [])]
        if wanted:
            raise InputError(f"covariates: '{wanted[0]}' is asked for, but no table is given")
        table, columns = pd.DataFrame(), []
    else:
        table = covariates if isinstance(covariates, pd.DataFrame) else read_table(covariates)
        table = table.set_axis(table.index.map(str))
        if columns is None:
            columns = list(table.columns)
        _check_columns(table, [*columns, *confounders, *([sex_column] if sex_column else [])])
        complete = set(table.index[_complete(table[[*columns, *confounders]])])
        counts["without_covariates"] = len(left - set(table.index))
        counts["missing_covariate_values"] = len((left & set(table.index)) - complete)
        left &= complete
    sample_ids = [name for name in genotyped if name in left]
    counts["analysed"] = len(sample_ids)
    if not sample_ids:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
        raise InputError(
            f"no participant has a phenotype, genotypes and all covariates ({reasons}); "
            "do the files use the same sample ids?"
        )
    design = None
    if columns:
        matrix, names = design_matrix(table, columns, sample_ids)
        design = pd.DataFrame(matrix, columns=names)
    return Matched(
        sample_ids,
        design,
        table.loc[sample_ids, list(confounders)] if confounders else None,
        table.loc[sample_ids, sex_column] if sex_column else None,
        counts,
    )


def _check_columns(table: pd.DataFrame, columns: list[str]) -> None:
    unknown = [name for name in columns if name not in table]
    if unknown:
        raise InputError(
            f"covariates: no column '{unknown[0]}' (there are: {', '.join(map(str, table))})"
        )


def _complete(table: pd.DataFrame) -> np.ndarray:
    return table.replace([np.inf, -np.inf], np.nan).notna().all(axis=1).to_numpy()
