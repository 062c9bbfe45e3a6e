"""Diagnoses with their dates, from hospital records or a plain table, a row an event.

UK Biobank's record-level layout is read as it comes: `hesin_diag` has the codes, `hesin` the dates
of the episodes that they belong to. Episodes are dated by their start, and where that is missing
by the admission.

References
----------
UK Biobank, Hospital inpatient data (Resource 138483) and data-coding 819 (dates that stand for
none); docs/phecodes.md, "Diagnoses".
"""

import datetime
import os
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from regreveal.errors import InputError
from regreveal.phenome.phecodes.icd import VOCABULARIES, find_vocabulary, normalise_codes
from regreveal.phenome.phecodes.record_tables import column_names, read_categories

PERSON = ("sample_id", "eid", "person_id")
CODES = {
    "icd9": ("icd9", "icd9cm", "diag_icd9"),
    "icd10": ("icd10", "icd10cm", "diag_icd10"),
}
ANY_CODE = ("icd", "code", "icd_code")
VOCABULARY = ("vocabulary_id", "vocabulary", "flag")
EPISODE = ("ins_index",)
DATE = ("date", "epistart")
OTHER_DATE = ("admidate",)
# Data-coding 819 writes years from 1900 to 1909 for dates that are not known or not possible, and
# 2037 for some in the future.
FIRST_DAY = np.datetime64("1910-01-01")
# How a diagnosis comes by its date, or why it has none.
HOW = ("dated", "dated_by_admission", "date_missing", "date_impossible", "episode_missing")
COUNTED = ("rows", "rows_without_code", "rows_of_other_vocabularies", "diagnoses", *HOW)
ABSENT = ("", "NA", "NaN", "NULL", "null", ".")
_ISO = r"^(\d{4}-\d\d-\d\d)(?:[T ].*)?$"
_DAY_FIRST = r"^(\d\d?)/(\d\d?)/(\d{4})$"


@dataclass(frozen=True)
class Diagnoses:
    """Diagnoses, a row an event.

    Parameters
    ----------
    events : DataFrame
        `sample_id` (category), `vocabulary` ("icd9" or "icd10") and `code` (without dots), both
        category, and `date` (datetime64[s]), NaT where there is none that can be used.
    counts : dict of str to int
        `rows` read, `rows_without_code` and `rows_of_other_vocabularies` among them; `diagnoses`
        made of the others, and how many of these are `dated`, `dated_by_admission`, or without a
        date for reasons of `HOW`.
    """

    events: pd.DataFrame
    counts: dict[str, int]

    @property
    def last_date(self) -> np.datetime64:
        """The last day of any diagnosis; NaT if none is dated."""
        return self.events["date"].max().to_datetime64().astype("datetime64[s]")


def read_diagnoses(*paths: str | os.PathLike, until: datetime.date | None = None) -> Diagnoses:
    """Read diagnoses from one table or several.

    Parameters
    ----------
    *paths : path-like
        Comma- or tab-separated, also compressed, or parquet, recognised by their columns: a person
        (`sample_id` or `eid`); codes in `icd10` or `diag_icd10`, `icd9` or `diag_icd9`, or in
        `code` with `vocabulary_id`; and a `date`, or `epistart` and `admidate`. Instead of dates
        there may be `ins_index`, with another table that has it and the dates, but no codes.
    until : datetime.date, optional
        End of the records; today if not given. Dates after it are impossible, as are those before
        1910.

    Returns
    -------
    Diagnoses
        A date that is missing or impossible is NaT, and the diagnosis is kept.

    Raises
    ------
    InputError
        If a table cannot be read or recognised, dates are in another format than yyyy-mm-dd and
        dd/mm/yyyy, an episode stands in two rows, or there is no diagnosis.
    """
    last_day = np.datetime64(until or datetime.date.today())
    tables = {str(path): _find_columns(path) for path in paths}
    with_codes = {path: table for path, table in tables.items() if table.codes}
    episodes = {path: table for path, table in tables.items() if not table.codes}
    if (
        not with_codes
        or len(episodes) > 1
        or not all(t.episode and t.dates for t in episodes.values())
    ):
        raise InputError(
            f"{', '.join(episodes or tables)}: no ICD codes; expected a column icd10, diag_icd10, "
            "icd9, diag_icd9, or code with vocabulary_id (and at most one table without, of "
            "ins_index and epistart)"
        )
    dated = [_read_episodes(path, table) for path, table in episodes.items()]
    parts = [
        _read_events(path, table, dated[0] if dated else None, last_day)
        for path, table in with_codes.items()
    ]
    counts = sum((part_counts for _, part_counts in parts), Counter())
    events = [part for of_path, _ in parts for part in of_path if len(part["date"])]
    if not events:
        raise InputError(f"{', '.join(with_codes)}: no row has an ICD code")
    joined = {
        name: union_categoricals([part[name] for part in events])
        for name in ("sample_id", "vocabulary", "code")
    }
    joined["date"] = np.concatenate([part["date"] for part in events])
    return Diagnoses(pd.DataFrame(joined, copy=False), {name: counts[name] for name in COUNTED})


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table hold what; None or empty for what it has not."""

    person: str
    codes: dict[str, str]  # by vocabulary, or "" if a further column tells it
    vocabulary: str | None
    episode: str | None
    dates: list[str]  # the one to be used first


def _find_columns(path: str | os.PathLike) -> _Columns:
    names = column_names(path)
    lower = {name.lower(): name for name in names}

    def find(candidates):
        return next((lower[name] for name in candidates if name in lower), None)

    person = find(PERSON)
    if person is None:
        raise InputError(f"{path}: no column 'sample_id' or 'eid' (there are: {', '.join(names)})")
    codes = {vocabulary: find(CODES[vocabulary]) for vocabulary in VOCABULARIES}
    codes = {vocabulary: column for vocabulary, column in codes.items() if column}
    vocabulary = find(VOCABULARY)
    if not codes and find(ANY_CODE):
        if vocabulary is None:
            raise InputError(
                f"{path}: column '{find(ANY_CODE)}' has codes, but nothing says whether of ICD-9 "
                "or ICD-10; add a column vocabulary_id, or name it icd9 or icd10"
            )
        codes = {"": find(ANY_CODE)}
    dates = [column for column in (find(DATE), find(OTHER_DATE)) if column]
    return _Columns(person, codes, vocabulary, find(EPISODE), dates)


@dataclass(frozen=True)
class _Episodes:
    """Where the episode of a person and an `ins_index` is, and the columns of its dates."""

    persons: pd.Index
    numbers: pd.Index
    rows: pd.Index  # of person and number, as one
    dates: pd.DataFrame
    path: str


def _read_episodes(path: str, columns: _Columns) -> _Episodes:
    table = read_categories(path, [columns.person, columns.episode, *columns.dates])
    person, number = table[columns.person].cat, table[columns.episode].cat
    rows = pd.Index(_as_one(person.codes, number.codes, len(number.categories)))
    if not rows.is_unique:
        raise InputError(
            f"{path}: {rows.duplicated().sum()} rows repeat the {columns.person} and "
            f"{columns.episode} of another; expected one row an episode"
        )
    return _Episodes(person.categories, number.categories, rows, table[columns.dates], path)


def _as_one(person: np.ndarray, number: np.ndarray, numbers: int) -> np.ndarray:
    return np.asarray(person, np.int64) * numbers + np.asarray(number)


def _read_events(
    path: str, columns: _Columns, episodes: _Episodes | None, last_day: np.datetime64
) -> tuple[list[dict], Counter]:
    """Read the diagnoses of one table: parts of one vocabulary each, and counts."""
    joins = episodes is not None and columns.episode is not None and not columns.dates
    wanted = [columns.person, *columns.codes.values(), *columns.dates]
    wanted += [columns.vocabulary] if "" in columns.codes else []
    wanted += [columns.episode] if joins else []
    table = read_categories(path, wanted, as_text=list(columns.codes.values()))
    person = table[columns.person]
    nameless = (person.cat.codes < 0) | (person == "")
    if nameless.any():
        raise InputError(f"{path}: row {int(nameless.argmax()) + 1} has no {columns.person}")
    if joins:
        date, how = _dates_of_episodes(table, columns, episodes, last_day)
    else:
        date, how = _read_dates(table[columns.dates], last_day, path)
    coded = np.zeros(len(table), bool)
    parts, counts = [], Counter(rows=len(table))
    for vocabulary, column in columns.codes.items():
        present = _present(table[column])
        coded |= present
        if vocabulary:
            of_vocabulary = {vocabulary: present}
        else:
            said = table[columns.vocabulary].cat
            found = np.array([find_vocabulary(name) or "" for name in said.categories] + [""])
            known = {name: found == name for name in ("", *VOCABULARIES)}
            of_vocabulary = {name: present & known[name][said.codes] for name in known}
            counts["rows_of_other_vocabularies"] += int(of_vocabulary.pop("").sum())
        for name, rows in of_vocabulary.items():
            chosen = np.flatnonzero(rows)
            parts.append(_part(person, table[column], name, chosen, date[chosen]))
            counts["diagnoses"] += len(chosen)
            counts.update({name: int(np.sum(how[chosen] == i)) for i, name in enumerate(HOW)})
    counts["rows_without_code"] = int((~coded).sum())
    return parts, counts


def _part(
    person: pd.Series, codes: pd.Series, vocabulary: str, rows: np.ndarray, date: np.ndarray
) -> dict:
    """Choose rows; codes that differ in dots or capitals become one."""
    written = normalise_codes(codes.cat.categories.to_series(), vocabulary)
    of_category, distinct = pd.factorize(written)
    return {
        "sample_id": person.iloc[rows].array,
        "vocabulary": pd.Categorical.from_codes(np.zeros(len(rows), np.int8), [vocabulary]),
        "code": pd.Categorical.from_codes(of_category[codes.cat.codes.iloc[rows]], distinct),
        "date": date,
    }


def _present(column: pd.Series) -> np.ndarray:
    """Tell where there is anything but one of `ABSENT`."""
    absent = np.append(column.cat.categories.isin(ABSENT), True)
    return ~absent[column.cat.codes]


def _dates_of_episodes(
    table: pd.DataFrame, columns: _Columns, episodes: _Episodes, last_day: np.datetime64
) -> tuple[np.ndarray, np.ndarray]:
    """Look the dates of diagnoses up in their episodes; as `_read_dates`."""
    person, number = table[columns.person].cat, table[columns.episode].cat
    of_person = np.append(episodes.persons.get_indexer(person.categories), -1)[person.codes]
    of_number = np.append(episodes.numbers.get_indexer(number.categories), -1)[number.codes]
    rows = episodes.rows.get_indexer(_as_one(of_person, of_number, len(episodes.numbers)))
    rows[(of_person < 0) | (of_number < 0)] = -1
    date, how = _read_dates(episodes.dates, last_day, episodes.path)
    date, how = np.append(date, np.datetime64("NaT")), np.append(how, HOW.index("episode_missing"))
    return date[rows], how[rows]


def _read_dates(
    columns: pd.DataFrame, last_day: np.datetime64, path: str
) -> tuple[np.ndarray, np.ndarray]:
    """Give the first date of a row that can be used, NaT if none, and its position in `HOW`."""
    date = np.full(len(columns), np.datetime64("NaT"), "datetime64[s]")
    how = np.full(len(columns), HOW.index("date_missing"), np.int8)
    for name in columns:
        column = columns[name].cat
        days = np.append(_parse_dates(column.categories, path, name), np.datetime64("NaT"))
        with np.errstate(invalid="ignore"):
            usable = (days >= FIRST_DAY) & (days <= last_day)
        empty = np.isnat(date)
        how[empty & _present(columns[name])] = HOW.index("date_impossible")
        filled = empty & usable[column.codes]
        date[filled] = days[column.codes][filled]
        how[filled] = HOW.index("dated_by_admission" if name.lower() in OTHER_DATE else "dated")
    return date, how


def _parse_dates(texts: pd.Index, path: str, column: str) -> np.ndarray:
    """Read the days of yyyy-mm-dd, dd/mm/yyyy and of dates; NaT where there is no such day."""
    if pd.api.types.is_datetime64_any_dtype(texts) or not pd.api.types.is_string_dtype(texts):
        return pd.to_datetime(texts).to_numpy("datetime64[D]").astype("datetime64[s]")
    given = pd.Series(texts[~texts.isin(ABSENT)])
    iso = given.str.extract(_ISO, expand=False)
    day_first = given.str.extract(_DAY_FIRST).astype(float)
    other = given[iso.isna() & day_first[0].isna()]
    if len(other):
        raise InputError(
            f"{path}: column '{column}' has dates in another format than yyyy-mm-dd and "
            f"dd/mm/yyyy in {len(other)} of {len(given)} different values; write them so"
        )
    if ((day_first[0] <= 12) & (day_first[1] > 12)).any():
        raise InputError(
            f"{path}: column '{column}' has dates with the month first; expected dd/mm/yyyy or "
            "yyyy-mm-dd"
        )
    parsed = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce").fillna(
        pd.to_datetime(given.where(iso.isna()), format="%d/%m/%Y", errors="coerce")
    )
    return parsed.set_axis(given).reindex(texts).to_numpy("datetime64[s]")
