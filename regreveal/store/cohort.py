"""Cohort: who takes part, their covariates, and the one split that every arm shares."""

import csv
import lzma
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path
from regreveal.store.table_files import read_parquet, read_text

SPLITS = ("train", "validation", "analysis")
FOLDS = 5
LAST_BYTES = 2**20  # of a table, that hold its last line
TEXT = (".tsv", ".txt", ".csv")
MOST_CLASSES = 200  # of a covariate; dates and names have more


def read_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table of participants.

    Parameters
    ----------
    path : path-like
        Tab-separated (.tsv, .txt, also .gz), comma-separated (.csv) or parquet, with a column
        `sample_id`.

    Returns
    -------
    DataFrame
        Indexed by `sample_id` (str).

    Raises
    ------
    InputError
        If the file is missing, has no `sample_id`, or has an id twice.
    """
    table = read_rows(path)
    repeated = table["sample_id"][table["sample_id"].duplicated()]
    if len(repeated):
        raise InputError(
            f"{path}: sample id '{repeated.iloc[0]}' stands in more than one row "
            f"({repeated.nunique()} ids do); expected one row a participant"
        )
    return table.set_index("sample_id")


def read_rows(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table that may have several rows a participant, such as one of diagnoses.

    Returns
    -------
    DataFrame
        With `sample_id` (str) as a column.

    Raises
    ------
    InputError
        If the file is missing, cannot be read or has no `sample_id`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if ".parquet" in path.suffixes:
            table = read_parquet(path)
        else:
            # As text whatever it is: an id may be "NA", or "007".
            table = read_text(path, sep=_separator(path), converters={"sample_id": str})
    # The last three are what pandas makes of its own metadata in a parquet file, if damaged.
    except (
        ValueError,
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        MemoryError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    if path.suffix in TEXT:
        _refuse_cut_short(path)
    if "sample_id" not in table:
        raise InputError(f"{path}: no column 'sample_id' (there are: {', '.join(table.columns)})")
    absent = table["sample_id"].isna() | (table["sample_id"] == "")
    if absent.any():
        raise InputError(f"{path}: row {int(absent.argmax()) + 1} has no sample id")
    # Of categories, text would be made as wide as the longest, for every row.
    return table.astype({"sample_id": object}).astype({"sample_id": str})


def write_table(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a table, whole or not at all, in the format that `read_table` takes its name for.

    A named index becomes a column.
    """
    path = Path(path)
    table = table.reset_index() if table.index.name else table
    with atomic_path(path) as temporary:
        if ".parquet" in path.suffixes:
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, sep=_separator(path), index=False, float_format="%.10g")


def _refuse_cut_short(path: Path) -> None:
    """Raise InputError where the last line ends before its last column, which pandas fills in.

    A copy that broke off at the very end of a line, or within the last column, does not show.
    """
    with path.open("rb") as file:
        header = file.readline()
        file.seek(max(0, path.stat().st_size - LAST_BYTES))
        lines = file.read().split(b"\n")
    if not lines[-1]:
        return
    expected, found = (
        len(next(csv.reader([line.decode(errors="replace")], delimiter=_separator(path))))
        for line in (header, lines[-1])
    )
    if found < expected:
        raise InputError(
            f"{path}: the last line ends after {found} of {expected} columns: the file is cut "
            "short; copy it again"
        )


def _separator(path: Path) -> str:
    return "," if ".csv" in path.suffixes else "\t"


def make_splits(sample_ids: Sequence[str], fractions: dict[str, float], seed: int) -> pd.DataFrame:
    """Divide participants into train, validation and analysis, and into five folds.

    Parameters
    ----------
    sample_ids : sequence of str
        In any order: the split depends on the set and the seed only.
    fractions : dict
        Share of each of train, validation and analysis; they add up to 1.
    seed : int

    Returns
    -------
    DataFrame
        `sample_id`, `split` and `fold` (0–4), sorted by id. Folds are balanced within each split.

    Raises
    ------
    InputError
        If the fractions are not such shares, or there are no participants.
    """
    if set(fractions) != set(SPLITS):
        raise InputError(f"splits: got {', '.join(fractions)}; expected {', '.join(SPLITS)}")
    if min(fractions.values()) < 0 or not np.isclose(sum(fractions.values()), 1):
        raise InputError(f"splits: fractions {fractions} must be at least 0 and add up to 1")
    ids = np.array(sorted(set(map(str, sample_ids))))
    if not len(ids):
        raise InputError("splits: no participants")
    order = np.random.default_rng(seed).permutation(len(ids))
    bounds = np.rint(np.cumsum([fractions[split] for split in SPLITS]) * len(ids)).astype(int)
    split_of_rank = np.searchsorted(bounds, np.arange(len(ids)), side="right")
    splits = pd.DataFrame({"sample_id": ids, "split": "", "fold": 0})
    splits.loc[order, "split"] = np.array(SPLITS)[split_of_rank]
    splits.loc[order, "fold"] = np.arange(len(ids)) % FOLDS
    return splits


def read_splits(path: str | os.PathLike) -> pd.DataFrame:
    """Read a split file, as `make_splits` makes it, indexed by `sample_id`.

    Raises
    ------
    InputError
        If a column is missing or holds anything else than it should.
    """
    splits = read_table(path)
    for column, allowed in (("split", list(SPLITS)), ("fold", list(range(FOLDS)))):
        if column not in splits:
            raise InputError(f"{path}: no column '{column}'")
        other = splits[column][~splits[column].isin(allowed)]
        if len(other):
            raise InputError(
                f"{path}: column '{column}' has the value '{other.iloc[0]}'; expected one of "
                f"{', '.join(map(str, allowed))}"
            )
    return splits


def design_matrix(
    table: pd.DataFrame, columns: Sequence[str], sample_ids: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Covariates as numbers: numeric columns as they are, categories one-hot less the first.

    Parameters
    ----------
    table : DataFrame
        Indexed by sample id.
    columns : sequence of str
        Which of its columns.
    sample_ids : sequence of str, length n

    Returns
    -------
    matrix : ndarray of float64, shape (n, c)
        Without an intercept.
    names : list of str, length c
        Column, or column=category.

    Raises
    ------
    InputError
        If a column or participant is unknown, a value is missing, a category has more than
        `MOST_CLASSES` values, or a column is a combination of the intercept and those before it.
    """
    unknown = [column for column in columns if column not in table]
    if unknown:
        raise InputError(
            f"covariates: no column '{unknown[0]}' (there are: {', '.join(table.columns)})"
        )
    absent = pd.Index(sample_ids).difference(table.index)
    if len(absent):
        raise InputError(f"covariates: {len(absent)} participants are not in the table")
    if not columns:
        return np.empty((len(sample_ids), 0)), []
    chosen = table.loc[list(sample_ids), list(columns)]
    missing = chosen.isna().sum()
    if missing.any():
        column = missing.idxmax()
        raise InputError(
            f"covariates: '{column}' is missing for {missing[column]} of {len(chosen)} "
            "participants; leave them out or fill it in"
        )
    categories = categories_among(chosen)
    # A column of each in the order asked, so that the one named as redundant is the later one.
    encoded = pd.get_dummies(chosen, columns=categories, prefix_sep="=", drop_first=True)
    names = [
        name
        for column in columns
        for name in encoded.columns
        if name == column or (column in categories and name.startswith(f"{column}="))
    ]
    matrix = encoded[names].to_numpy(np.float64)
    if not np.isfinite(matrix).all():
        column = names[int(np.argmin(np.isfinite(matrix).all(axis=0)))]
        raise InputError(f"covariates: '{column}' has values that are not finite")
    _refuse_collinear(matrix, names, columns)
    return matrix, names


def categories_among(covariates: pd.DataFrame) -> list[str]:
    """Name the columns that are no numbers, and so are made one column a category.

    Raises
    ------
    InputError
        One has more than `MOST_CLASSES` values: a date would have a column for each day.
    """
    found = [c for c in covariates if not pd.api.types.is_numeric_dtype(covariates[c])]
    for column in found:
        if (values := covariates[column].nunique()) > MOST_CLASSES:
            raise InputError(
                f"covariates: '{column}' has {values} different values that are no numbers, as a "
                "date has; name the covariates to use, without it"
            )
    return found


def _refuse_collinear(matrix: np.ndarray, names: list[str], columns: Sequence[str]) -> None:
    """Raise an error naming the first column that intercept and earlier columns explain."""
    basis = np.ones((len(matrix), 1)) / np.sqrt(len(matrix))
    for column, name in zip(matrix.T, names, strict=True):
        scale = np.linalg.norm(column)
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # a second pass takes out what rounding left
        if np.linalg.norm(rest) <= 1e-8 * max(scale, np.finfo(float).tiny):
            raise InputError(
                f"covariates: '{name}' is constant or a combination of the intercept and the "
                f"covariates before it ({', '.join(columns)}); leave it out"
            )
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    if matrix.shape[1] + 1 >= len(matrix):
        raise InputError(
            f"covariates: {matrix.shape[1]} columns for {len(matrix)} participants; "
            "expected fewer columns than participants"
        )
