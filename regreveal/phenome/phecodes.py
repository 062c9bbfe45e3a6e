"""Phecodes: who has a disease, who can stand as a control for it, and who is neither.

The map from ICD-10 and the description of the phecodes are the user's own tables, so that any
release of them, or a site's own, serves.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.cohort import read_rows

SEXES = ("both", "female", "male")
INFO_COLUMNS = ["phecode", "name", "category", "exclude_from", "exclude_to", "sex"]
SHORTEST_ICD10 = 3


@dataclass(frozen=True)
class PhecodeMap:
    """What each ICD-10 code means, and what each phecode is.

    Parameters
    ----------
    icd10 : DataFrame
        `icd10`, written without dots, and `phecode`; a code may stand in several rows.
    info : DataFrame
        Indexed by `phecode` (str): `name`, `category`, `exclude_from`, `exclude_to` (numbers, the
        range of phecodes whose bearers are no controls; NaN for none) and `sex` (both, female or
        male).
    """

    icd10: pd.DataFrame
    info: pd.DataFrame


def read_phecode_map(map_path: str | os.PathLike, info_path: str | os.PathLike) -> PhecodeMap:
    """Read the two tables that a user gives.

    Parameters
    ----------
    map_path : path-like
        Tab-separated, with columns `icd10` (with or without dots) and `phecode`.
    info_path : path-like
        Tab-separated, with columns `phecode`, `name`, `category`, `exclude_from`, `exclude_to`
        and `sex`; the exclusion range and the sex may be empty.

    Returns
    -------
    PhecodeMap

    Raises
    ------
    InputError
        If a table cannot be read, a column is missing, a phecode is described twice or not at all,
        a range is not a pair of numbers, or a sex is none of those allowed.
    """
    pairs = _read_strings(map_path, ["icd10", "phecode"]).dropna(subset=["icd10", "phecode"])
    pairs["icd10"] = normalise_icd10(pairs["icd10"])
    info = _read_strings(info_path, INFO_COLUMNS)
    repeated = info["phecode"][info["phecode"].duplicated()]
    if len(repeated):
        raise InputError(f"{info_path}: phecode '{repeated.iloc[0]}' stands in more than one row")
    undescribed = sorted(set(pairs["phecode"]) - set(info["phecode"]))
    if undescribed:
        raise InputError(
            f"{map_path}: phecode '{undescribed[0]}' ({len(undescribed)} in all) is not described "
            f"in {info_path}; add a row for it"
        )
    info = info.set_index("phecode")
    for column in ("exclude_from", "exclude_to"):
        numbers = pd.to_numeric(info[column], errors="coerce")
        wrong = info[column][numbers.isna() & info[column].notna()]
        if len(wrong):
            raise InputError(
                f"{info_path}: phecode '{wrong.index[0]}' has {column} '{wrong.iloc[0]}'; "
                "expected a number or nothing"
            )
        info[column] = numbers
    halved = info.index[info["exclude_from"].isna() != info["exclude_to"].isna()]
    if len(halved):
        raise InputError(
            f"{info_path}: phecode '{halved[0]}' has one end of its exclusion range; give both ends"
        )
    info["sex"] = info["sex"].fillna("both").str.lower()
    other = info["sex"][~info["sex"].isin(SEXES)]
    if len(other):
        raise InputError(
            f"{info_path}: phecode '{other.index[0]}' has sex '{other.iloc[0]}'; "
            f"expected one of {', '.join(SEXES)}"
        )
    return PhecodeMap(pairs.drop_duplicates().reset_index(drop=True), info)


def read_diagnoses(path: str | os.PathLike) -> pd.DataFrame:
    """Read diagnoses, a row an event: `sample_id`, `icd10` and maybe more, such as the date.

    Raises
    ------
    InputError
        If a column is missing or a row has no code.
    """
    diagnoses = read_rows(path)
    if "icd10" not in diagnoses:
        raise InputError(
            f"{path}: no column 'icd10' (there are: {', '.join(map(str, diagnoses.columns))})"
        )
    if diagnoses["icd10"].isna().any():
        row = int(diagnoses["icd10"].isna().argmax()) + 1
        raise InputError(f"{path}: row {row} has no ICD-10 code; fill it in or leave the row out")
    return diagnoses.astype({"icd10": str})


def normalise_icd10(codes: pd.Series) -> pd.Series:
    """Write codes in capitals, without dots and spaces: "i48.0" is "I480"."""
    return codes.astype(str).str.upper().str.replace(r"[.\s]", "", regex=True)


def map_diagnoses(diagnoses: pd.DataFrame, phecode_map: PhecodeMap) -> pd.DataFrame:
    """Give the phecodes of each diagnosis.

    A code takes the phecodes of the longest code in the map that it begins with: a map of I48
    covers I48.0 and I48.9, but for those it maps themselves.

    Parameters
    ----------
    diagnoses : DataFrame
        `sample_id` and `icd10`, a row an event.
    phecode_map : PhecodeMap

    Returns
    -------
    DataFrame
        `sample_id`, `icd10` (without dots) and `phecode`, a row a diagnosis and phecode; NaN where
        the map covers the code by none.
    """
    codes = normalise_icd10(diagnoses["icd10"])
    mapped = set(phecode_map.icd10["icd10"])
    covered_by = {
        code: next(
            (
                code[:end]
                for end in range(len(code), SHORTEST_ICD10 - 1, -1)
                if code[:end] in mapped
            ),
            None,
        )
        for code in codes.unique()
    }
    events = pd.DataFrame(
        {
            "sample_id": diagnoses["sample_id"].astype(str),
            "icd10": codes,
            "covered_by": codes.map(covered_by),
        }
    )
    phecodes = phecode_map.icd10.rename(columns={"icd10": "covered_by"})
    return events.merge(phecodes, on="covered_by", how="left").drop(columns="covered_by")


def unmapped_codes(diagnoses: pd.DataFrame, phecode_map: PhecodeMap) -> pd.Series:
    """Count the events of each ICD-10 code that the map does not cover, most frequent first."""
    events = map_diagnoses(diagnoses, phecode_map)
    return events["icd10"][events["phecode"].isna()].value_counts().rename("events")


def phecode_status(
    diagnoses: pd.DataFrame, phecode_map: PhecodeMap, sex: pd.Series
) -> pd.DataFrame:
    """Say who is a case, a control or neither, of every phecode.

    A case of 427.21 is a case of 427.2 and of 427 too, where these are described. A person with a
    phecode inside the exclusion range of another, and not a case of it, is not its control. Of a
    phecode of one sex, everybody of the other is left out. Who has no diagnosis is a control.

    Parameters
    ----------
    diagnoses : DataFrame
        `sample_id` and `icd10`, a row an event; those of people not in `sex` are left aside.
    phecode_map : PhecodeMap
    sex : Series
        "female" or "male", indexed by sample id: the participants.

    Returns
    -------
    DataFrame of float32
        Participants × phecodes, in the order of `sex` and of the description: 1 case, 0 control,
        NaN neither.

    Raises
    ------
    InputError
        If no diagnosis is of a participant, or a sex is another.
    """
    participants = pd.Index(sex.index.astype(str))
    other = sex[~sex.isin(SEXES[1:])]
    if len(other):
        raise InputError(
            f"sex: {len(other)} participants have a value such as '{other.iloc[0]}'; "
            "expected female or male"
        )
    events = map_diagnoses(diagnoses, phecode_map).dropna(subset=["phecode"])
    rows = participants.get_indexer(events["sample_id"])
    if not (participants.isin(diagnoses["sample_id"].astype(str))).any():
        raise InputError(
            f"diagnoses: none of {diagnoses['sample_id'].nunique()} people in them is one of the "
            f"{len(sex)} participants; check that both use the same sample ids"
        )
    info = phecode_map.info
    case = np.zeros((len(sex), len(info)), bool)
    columns = info.index.get_indexer(events["phecode"])
    case[rows[rows >= 0], columns[rows >= 0]] = True
    for column, ancestors in enumerate(_ancestors(info.index)):
        case[:, ancestors] |= case[:, [column]]

    status = case.astype(np.float32)
    numbers = pd.to_numeric(pd.Series(info.index), errors="coerce").to_numpy()
    for column, row in enumerate(info.itertuples()):
        in_range = (numbers >= row.exclude_from) & (numbers <= row.exclude_to)
        related = case[:, in_range].any(axis=1)
        status[related & ~case[:, column], column] = np.nan
        if row.sex != "both":
            status[(sex != row.sex).to_numpy(), column] = np.nan
    return pd.DataFrame(status, index=sex.index, columns=info.index)


def _ancestors(phecodes: pd.Index) -> list[list[int]]:
    """Positions of those phecodes that stand above each: 427.2 and 427 above 427.21."""
    position = {phecode: index for index, phecode in enumerate(phecodes)}
    above = []
    for phecode in phecodes:
        whole, dot, decimals = phecode.partition(".")
        names = [whole, *(whole + dot + decimals[:end] for end in range(1, len(decimals)))]
        above.append([position[name] for name in names if dot and name in position])
    return above


def _read_strings(path: str | os.PathLike, columns: list[str]) -> pd.DataFrame:
    """Read a tab-separated table as text: 250.10 and 250.1 are different phecodes."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a tab-separated table ({error})") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            f"{path}: no column '{missing[0]}' (there are: {', '.join(table.columns)})"
        )
    return table[columns].apply(lambda column: column.str.strip())
