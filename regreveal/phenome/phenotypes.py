"""Phenotypes: which type each is of, and what is known of it, such as its units.

A phenotype is continuous, binary or categorical. Which of them is recognised from its values,
unless the user says so; a sentence tells why, so that codes taken for numbers are seen.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError

TYPES = ("continuous", "binary", "categorical")
INFO_COLUMNS = ("units", "type", "description")
FEW_VALUES = 10  # whole numbers of no more than these may well be codes


@dataclass(frozen=True)
class RecognisedType:
    """Type of a phenotype and why it is that."""

    type: str
    reason: str


def recognise_type(values: pd.Series, given: str | None = None) -> RecognisedType:
    """Tell whether a phenotype is continuous, binary or categorical.

    Numbers of more than two distinct values are continuous, two distinct values of any kind are
    binary, and everything else is categorical.

    Parameters
    ----------
    values : Series
        Named; missing values do not count.
    given : {"continuous", "binary", "categorical"}, optional
        What the user says it is.

    Returns
    -------
    RecognisedType

    Raises
    ------
    InputError
        If the given type is unknown, or the values cannot be of it.
    """
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    distinct = values.nunique()
    plural = "value" if distinct == 1 else "values"
    found = f"{_kind(values, numeric)}, {distinct:,} distinct {plural}"
    if given is not None:
        _check_given(values, given, numeric, distinct)
        return RecognisedType(given, f"given ({found})")
    if distinct == 2:
        return RecognisedType("binary", found)
    if numeric:
        whole = np.mod(values.dropna(), 1).eq(0).all()
        if whole and 2 < distinct <= FEW_VALUES:
            found += ": if these are codes, name it as categorical"
        return RecognisedType("continuous", found)
    text = values.dropna().astype(str)
    numbers = pd.to_numeric(text, errors="coerce").notna().mean() if len(text) else 0
    if numbers > 0.5:
        found += f", of which {numbers:.0%} of the values are numbers: correct the others"
    return RecognisedType("categorical", found)


def _kind(values: pd.Series, numeric: bool) -> str:
    if numeric:
        return "numeric"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "dates"
    return "text" if not pd.api.types.is_bool_dtype(values) else "true or false"


def _check_given(values: pd.Series, given: str, numeric: bool, distinct: int) -> None:
    if given not in TYPES:
        raise InputError(f"target '{values.name}': type '{given}'; expected {', '.join(TYPES)}")
    if given == "continuous" and not numeric:
        example = next(
            (v for v in values.dropna() if pd.isna(pd.to_numeric(v, errors="coerce"))), "True"
        )
        raise InputError(
            f"target '{values.name}': given as continuous, but has values such as '{example}'; "
            "expected numbers"
        )
    if given == "binary" and distinct > 2:
        raise InputError(
            f"target '{values.name}': given as binary, but has {distinct} distinct values; name "
            "it as categorical, or correct them"
        )


def class_names(values: pd.Series) -> pd.Series:
    """Write classes as text, whole numbers without a decimal point; missing ones stay missing."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.map("{:g}".format, na_action="ignore")
    return values.map(str, na_action="ignore")


def order_of_classes(names: list[str]) -> list[str]:
    """Sort classes: as numbers if all of them are, else as text."""
    numbers = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce")
    if numbers.notna().all():
        return [names[i] for i in np.argsort(numbers.to_numpy(float), kind="stable")]
    return sorted(names)


def read_phenotype_info(path: str | os.PathLike) -> pd.DataFrame:
    """Read what is known of phenotypes.

    Parameters
    ----------
    path : path-like
        Tab-separated (or .csv), with a column `phenotype` and any of `units`, `type` (continuous,
        binary or categorical; empty where it is to be recognised) and `description`.

    Returns
    -------
    DataFrame
        Indexed by phenotype, with all three columns; empty text where nothing is said.

    Raises
    ------
    InputError
        If it is no such table, names a phenotype twice, or an unknown type.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a table that describes phenotypes")
    separator = "," if path.suffix == ".csv" else "\t"
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    if "phenotype" not in table:
        raise InputError(f"{path}: no column 'phenotype' (there are: {', '.join(table.columns)})")
    twice = table["phenotype"][table["phenotype"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: phenotype '{twice.iloc[0]}' stands in more than one row")
    info = table.set_index("phenotype").reindex(columns=list(INFO_COLUMNS), fill_value="")
    unknown = info[~info["type"].isin(["", *TYPES])]
    if len(unknown):
        raise InputError(
            f"{path}: phenotype '{unknown.index[0]}' has the type '{unknown['type'].iloc[0]}'; "
            f"expected {', '.join(TYPES)}, or nothing"
        )
    return info


def given_types(
    categorical: list[str], continuous: list[str], info: pd.DataFrame | None
) -> Mapping[str, str]:
    """Gather the types that a user gives: by name, or else by the description of phenotypes."""
    described = {} if info is None else info["type"][info["type"] != ""].to_dict()
    named = dict.fromkeys(continuous, "continuous") | dict.fromkeys(categorical, "categorical")
    return described | named
