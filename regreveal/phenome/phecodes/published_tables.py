"""Tables of phecodes in the formats they are published in, recognised by their columns."""

import gzip
import os
import re
from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.phecodes.icd import find_edition, find_vocabulary, normalise_codes

# What a column is called, by what it holds: in small letters, and nothing but letters and digits.
# Of several that a table has, the first counts.
NAMES = {
    "phecode": ("phecode",),
    "unrolled": ("phecodeunrolled",),
    "icd": ("icd10", "icd10cm", "icd9", "icd9cm", "icd", "code"),
    "vocabulary": ("vocabularyid", "vocabulary", "flag"),
    "name": ("name", "phenotype", "phecodestring", "phecodestr", "description"),
    "category": ("category", "phecodecategory", "group"),
    "category_number": ("categorynumber", "categorynum", "groupnum"),
    "sex": ("sex",),
    "male_only": ("maleonly",),
    "female_only": ("femaleonly",),
    "exclusions": ("phecodeexcluderange", "exclphecodes", "exlphecodes", "excluderange"),
    "exclude_from": ("excludefrom",),
    "exclude_to": ("excludeto",),
    "rollup": ("rollup",),
}
TRUE = ("true", "t", "1", "yes")


def read_phecode_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table as text, with its columns named by what they hold.

    Parameters
    ----------
    path : path-like
        Comma- or tab-separated, maybe gzipped.

    Returns
    -------
    DataFrame of str
        Those columns of `NAMES` that it has; empty where a cell is. Codes come as `code` (without
        dots), `vocabulary` ("icd9" or "icd10") and `edition`; a range from `exclude_from` to
        `exclude_to` as `exclusions`, and `male_only` and `female_only` as `sex`. Numeric phecodes
        have three digits before the dot, as the publications write them: 8.5 is 008.5.

    Raises
    ------
    InputError
        If it cannot be read, has no phecodes, or codes of which it does not say the vocabulary.
    """
    raw = _read_text(Path(path))
    plain = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in raw.columns}
    columns = {}
    for role, names in NAMES.items():
        if found := next((plain[name] for name in names if name in plain), None):
            columns[role] = found
    of_codes = [plain[name] for name in NAMES["icd"] if name in plain]
    if len(of_codes) > 1:
        raise InputError(
            f"{path}: codes in columns {' and '.join(of_codes)}; give each a table, or one column "
            "icd with vocabulary_id"
        )
    if "phecode" not in columns:
        raise InputError(f"{path}: no column 'phecode' (there are: {', '.join(raw.columns)})")
    table = pd.DataFrame({role: raw[column].str.strip() for role, column in columns.items()})
    for role in {"phecode", "unrolled"} & set(table):
        table[role] = normalise_phecodes(table[role])
    if "icd" in table:
        table = _with_codes(table, columns["icd"], path)
    if "exclude_from" in table or "exclude_to" in table:
        table["exclusions"] = _ranges(table, path)
    if "male_only" in table and "female_only" in table:
        male, female = (
            table[column].str.lower().isin(TRUE) for column in ("male_only", "female_only")
        )
        table["sex"] = "both"
        table.loc[male & ~female, "sex"] = "male"
        table.loc[female & ~male, "sex"] = "female"
    return table


def normalise_phecodes(phecodes: pd.Series) -> pd.Series:
    """Give numeric phecodes three digits before the dot: spreadsheets take the zeros away."""
    return phecodes.str.replace(r"^(\d{1,2})(?=\.|$)", lambda found: found[1].zfill(3), regex=True)


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            separator = "\t" if b"\t" in file.readline() else ","
        options = {"sep": separator, "dtype": str, "keep_default_na": False}
        try:
            return pd.read_csv(path, **options, encoding="utf-8-sig")
        except UnicodeDecodeError:
            # The published ICD-10-CM map of version 1.2 is in the encoding of Windows.
            return pd.read_csv(path, **options, encoding="cp1252")
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error


def _with_codes(table: pd.DataFrame, column: str, path: str | os.PathLike) -> pd.DataFrame:
    """Add `code`, `vocabulary` and `edition`; rows without a code describe their phecode only."""
    of_column = find_vocabulary(column)
    if of_column is None and "vocabulary" not in table:
        raise InputError(
            f"{path}: column '{column}' has codes, but nothing says whether of ICD-9 or ICD-10; "
            "expected a column vocabulary_id or flag, or the name icd9 or icd10"
        )
    said = pd.Series(column, table.index) if of_column else table["vocabulary"]
    names = {name: (find_vocabulary(name), find_edition(name)) for name in said.unique()}
    unknown = [name for name, (vocabulary, _) in names.items() if vocabulary is None]
    if unknown:
        raise InputError(
            f"{path}: vocabulary '{unknown[0]}'; expected ICD9, ICD9CM, ICD10, ICD10CM, 9 or 10"
        )
    table["vocabulary"] = said.map({name: vocabulary for name, (vocabulary, _) in names.items()})
    table["edition"] = said.map({name: edition for name, (_, edition) in names.items()})
    table["code"] = ""
    for vocabulary, rows in table.groupby("vocabulary"):
        table.loc[rows.index, "code"] = normalise_codes(rows["icd"], vocabulary)
    return table.drop(columns="icd")


def _ranges(table: pd.DataFrame, path: str | os.PathLike) -> pd.Series:
    for column in ("exclude_from", "exclude_to"):
        if column not in table:
            raise InputError(f"{path}: no column '{column}'; give both ends of exclusion ranges")
    halved = (table["exclude_from"] == "") != (table["exclude_to"] == "")
    if halved.any():
        phecode = table["phecode"][halved].iloc[0]
        raise InputError(
            f"{path}: phecode '{phecode}' has one end of its exclusion range; give both ends"
        )
    given = table["exclude_from"] != ""
    return (table["exclude_from"] + "-" + table["exclude_to"]).where(given, "")
