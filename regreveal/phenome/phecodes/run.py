"""Phecodes from files to files, however many people there are."""

import datetime
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.phecode_records import PhecodeRecords, phecode_records
from regreveal.phenome.phecodes.status import COUNTED, phecode_status_in_blocks
from regreveal.store.atomic import atomic_path, write_json
from regreveal.store.cohort import read_table, write_table

PEOPLE_AT_ONCE = 20_000  # of whom the table of status is in memory


def run_phecodes(
    diagnoses: Sequence[str | os.PathLike],
    phecodes: Sequence[str | os.PathLike],
    participants: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    minimum_count: int = 1,
    timing: str = "ever",
    visit_column: str | None = None,
    window_days: int = 0,
    until: datetime.date | None = None,
    edition: str | None = None,
) -> pd.DataFrame:
    """Make tables of cases and controls.

    Writes into `folder`: phecode_status.parquet (a row a participant, a column a phecode: 1 case,
    0 control, missing neither), phecode_dates.parquet (a row a participant and phecode: `n_dates`,
    `first_date`, `undated`), phecodes.tsv, unmapped_icd.tsv and phecodes.json (what was counted).

    Parameters
    ----------
    diagnoses, phecodes : sequence of path-like
        See `read_diagnoses` and `read_phecode_map`.
    participants : path-like
        Table with `sample_id`, `sex` and maybe the date of the visit; who has no sex is left out.
    folder : path-like
    minimum_count, timing, window_days
        As in `phecode_status`.
    visit_column : str, optional
        Column of the dates of the visit.
    until : datetime.date, optional
        As in `read_diagnoses`.
    edition : str, optional
        As in `read_phecode_map`.

    Returns
    -------
    DataFrame
        phecodes.tsv: `phecode`, `name`, `category`, `sex`, and the counts of `PhecodeStatus`.

    Raises
    ------
    InputError
        Inputs that cannot be read or do not fit together, or nobody is left.
    """
    folder, people = Path(folder), read_table(participants)
    for column in filter(None, ("sex", visit_column)):
        if column not in people:
            raise InputError(
                f"{participants}: no column '{column}' (there are: {', '.join(people.columns)})"
            )
    chosen = people[people["sex"].notna()]
    visit = None if visit_column is None else _visits(chosen[visit_column], participants)
    phecode_map = read_phecode_map(*phecodes, edition=edition)
    events = read_diagnoses(*diagnoses, until=until)
    records = phecode_records(events, phecode_map, chosen.index)
    del events
    options = {"minimum_count": minimum_count, "timing": timing, "window_days": window_days}
    counts = _write_status(
        records, chosen["sex"], visit, options, folder / "phecode_status.parquet"
    )
    table = records.info.join(counts).reset_index()
    _write_parquet(records.events, folder / "phecode_dates.parquet")
    write_table(table, folder / "phecodes.tsv")
    write_table(records.unmapped, folder / "unmapped_icd.tsv")
    told = {
        "participants": len(chosen),
        "participants_without_sex": len(people) - len(chosen),
        "participants_with_diagnoses": len(records.people),
        "participants_without_visit": 0 if visit is None else int(visit.isna().sum()),
        **records.counts,
        "phecodes": len(table),
        "icd10_edition": phecode_map.edition,
        **options,
    }
    write_json(told, folder / "phecodes.json")
    return table


def _visits(column: pd.Series, path: str | os.PathLike) -> pd.Series:
    dates = pd.to_datetime(column, format="%Y-%m-%d", errors="coerce")
    wrong = column[dates.isna() & column.notna()]
    if len(wrong):
        raise InputError(
            f"{path}: column '{column.name}' has {len(wrong)} values that are no dates; expected "
            "yyyy-mm-dd"
        )
    return dates


def _write_status(
    records: PhecodeRecords,
    sex: pd.Series,
    visit: pd.Series | None,
    options: dict,
    path: Path,
) -> pd.DataFrame:
    """Write the status of some people after the other, and give the counts of all of them."""
    phecodes = records.info.index
    schema = pa.schema([("sample_id", pa.string()), *((name, pa.int8()) for name in phecodes)])
    counts = pd.DataFrame(0, index=phecodes, columns=COUNTED)
    blocks = phecode_status_in_blocks(records, sex, PEOPLE_AT_ONCE, visit=visit, **options)
    with atomic_path(path) as temporary, pa.parquet.ParquetWriter(temporary, schema) as writer:
        for block in blocks:
            counts += block.counts
            columns = [pa.array(block.status.index.astype(str))]
            columns += [
                pa.array(np.nan_to_num(column).astype(np.int8), mask=np.isnan(column))
                for column in block.status.to_numpy().T
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return counts


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
