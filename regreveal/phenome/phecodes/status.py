"""Phecodes: who has a disease and since when, who can stand as a control for it, who is neither.

Diagnoses come as one row a person and phecode, from `phecode_records`; here they become cases and
controls among the participants of an analysis.

References
----------
Denny et al. (2013), Nat. Biotechnol. 31:1102; docs/phecodes.md, "Phecodes".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import FIRST_DAY
from regreveal.phenome.phecodes.phecode_records import PhecodeRecords, day_numbers
from regreveal.progress import track

TIMINGS = ("ever", "prevalent", "incident")

# What somebody is to a phecode, in the order in which later ones prevail in the table.
CONTROL, CASE, RELATED, FEW_CODES, TIME_UNKNOWN, LATER, EARLIER, OTHER_SEX = range(8)
NAMES = ["controls", "cases", "related", "few_codes", "time_unknown", "later", "earlier"]
NAMES += ["other_sex"]
COUNTED = ["cases", "controls", *NAMES[:1:-1], "cases_of_other_sex"]


@dataclass(frozen=True)
class PhecodeStatus:
    """Cases and controls of every phecode.

    Parameters
    ----------
    status : DataFrame of float32, shape (n, phecodes)
        1 case, 0 control, NaN neither.
    info : DataFrame
        `name`, `category` and `sex`, indexed by phecode.
    counts : DataFrame of int
        Indexed by phecode, `cases`, `controls`, and of those who are neither, by the first reason
        that holds: `other_sex`, `earlier` (had it, or a code of it, at the visit: no incident
        case), `later` (only after the visit: no prevalent case), `time_unknown`, `few_codes`
        and `related`. They add up to n. Beside them `cases_of_other_sex`, a part of `other_sex`.
    first_days : csr_array, shape (phecodes, n)
        Day of the first code, in days since 1909-12-31; 0 for none.
    """

    status: pd.DataFrame
    info: pd.DataFrame
    counts: pd.DataFrame
    first_days: csr_array

    def first_date(self, phecode: str) -> pd.Series:
        """Give the day of everybody's first code of a phecode, case or not; NaT for none."""
        row = self.first_days[[self.info.index.get_loc(phecode)]]
        dates = np.full(len(self.status), np.datetime64("NaT"), "datetime64[s]")
        dates[row.indices] = FIRST_DAY + (row.data - 1)
        return pd.Series(dates, index=self.status.index, name="first_date")


def phecode_status(
    records: PhecodeRecords,
    sex: pd.Series,
    *,
    minimum_count: int = 1,
    timing: str = "ever",
    visit: pd.Series | None = None,
    window_days: int = 0,
) -> PhecodeStatus:
    """Say who is a case, a control or neither, of every phecode.

    A case has codes of it on `minimum_count` days; with fewer somebody is neither. Who has a
    phecode that excludes another, on however few days, is no control of that other. Of a phecode of
    one sex, everybody of the other is left out. Who has no diagnosis is a control.

    Parameters
    ----------
    records : PhecodeRecords
        Those of people not in `sex` are left aside.
    sex : Series
        "female" or "male", indexed by sample id: the participants.
    minimum_count : int
        Days with a code, on whichever side of the visit.
    timing : {"ever", "prevalent", "incident"}
        "prevalent": cases had their first code by the visit, and those who had it later are
        neither. "incident": cases had it later, and those with a code of the phecode, or of one
        that excludes it, by the visit are neither, so that only what was known at the visit
        decides who is at risk. Where the day of a code matters and is not known, neither.
    visit : Series of datetime64, optional
        Day of the visit, indexed by sample id; needed unless `timing` is "ever".
    window_days : int
        Days after the visit that still belong to it.

    Returns
    -------
    PhecodeStatus
        Participants × phecodes, in the order of `sex` and of the map.

    Raises
    ------
    InputError
        If no diagnosis is of a participant, a sex is another, or dates are needed and not there.
    """
    _check(records, sex, minimum_count, timing, visit, window_days)
    return _status(records, sex, minimum_count, timing, visit, window_days)


def phecode_status_in_blocks(
    records: PhecodeRecords, sex: pd.Series, people_at_once: int, **options
) -> Iterator[PhecodeStatus]:
    """Say the same of some people after the other, where a table of all would be too large.

    Parameters
    ----------
    records, sex
        As of `phecode_status`.
    people_at_once : int
    **options
        As of `phecode_status`.

    Yields
    ------
    PhecodeStatus
        Of the next of the people, in the order of `sex`.

    Raises
    ------
    InputError
        As of `phecode_status`; what must be true of somebody need not be so in every block.
    """
    options = {"minimum_count": 1, "timing": "ever", "visit": None, "window_days": 0} | options
    _check(records, sex, **options)
    for start in track(range(0, len(sex), people_at_once), "Writing who has what"):
        yield _status(records, sex.iloc[start : start + people_at_once], **options)


def _status(
    records: PhecodeRecords,
    sex: pd.Series,
    minimum_count: int,
    timing: str,
    visit: pd.Series | None,
    window_days: int,
) -> PhecodeStatus:
    phecodes = records.info.index
    shape = len(sex), len(phecodes)
    rows = pd.Index(sex.index.astype(str)).get_indexer(records.events["sample_id"].cat.categories)
    rows = rows[records.events["sample_id"].cat.codes]
    chosen = np.flatnonzero(rows >= 0)
    rows, events = rows[chosen], records.events.iloc[chosen]
    columns = events["phecode"].cat.codes.to_numpy(np.int64)
    first = events["first_date"].to_numpy()
    unknown = np.isnat(first)
    enough = events["n_dates"].to_numpy() >= minimum_count
    reason = np.where(enough, np.int8(CASE), np.int8(FEW_CODES))
    excludes = np.ones(len(rows), bool)
    if timing != "ever":
        known_by = _known_by(visit, sex.index, window_days)
        by_visit = first <= known_by[rows]  # False where either is NaT
        unsure = (unknown | events["undated"].to_numpy()) & ~by_visit
        if timing == "prevalent":
            reason[enough & ~by_visit] = LATER
            reason[enough & unsure] = TIME_UNKNOWN
        else:
            reason[unsure] = TIME_UNKNOWN
            reason[by_visit] = EARLIER
            excludes = by_visit | unsure
    kind = np.full(shape, CONTROL, np.int8)
    kind[rows, columns] = reason
    _mark_related(kind, rows[excludes], columns[excludes], records, over=timing == "incident")
    if timing != "ever":
        kind[np.isnat(known_by)] = TIME_UNKNOWN
    of_sex, male = records.info["sex"].to_numpy(), (sex == "male").to_numpy()[:, None]
    other = np.where(male, of_sex == "female", of_sex == "male")
    cases_of_other = np.bincount(columns[enough & other[rows, columns]], minlength=shape[1])
    kind[other] = OTHER_SEX
    meaning = np.full(len(NAMES), np.nan, np.float32)
    meaning[[CONTROL, CASE]] = 0, 1
    counts = pd.DataFrame(
        {name: (kind == value).sum(axis=0) for value, name in enumerate(NAMES)}, index=phecodes
    )
    counts["cases_of_other_sex"] = cases_of_other
    days = day_numbers(first[~unknown]) + 1
    return PhecodeStatus(
        status=pd.DataFrame(meaning[kind], index=sex.index, columns=phecodes),
        info=records.info,
        counts=counts[COUNTED],
        first_days=csr_array((days, (columns[~unknown], rows[~unknown])), shape=shape[::-1]),
    )


def _check(records, sex, minimum_count, timing, visit, window_days) -> None:
    other = sex[~sex.isin(["female", "male"])]
    if len(other):
        raise InputError(
            f"sex: {len(other)} participants have a value such as '{other.iloc[0]}'; "
            "expected female or male"
        )
    if not records.people.isin(sex.index.astype(str)).any():
        raise InputError(
            f"diagnoses: none of {len(records.people)} people in them is one of the {len(sex)} "
            "participants; check that both use the same sample ids"
        )
    if timing not in TIMINGS:
        raise InputError(f"timing '{timing}'; expected one of {', '.join(TIMINGS)}")
    if minimum_count < 1 or window_days < 0:
        raise InputError(
            f"minimum_count {minimum_count}, window_days {window_days}; expected at least 1 and 0"
        )
    if timing != "ever" and visit is None:
        raise InputError(f"timing '{timing}': needs the date of the visit")
    if np.isnat(records.last_date) and (timing != "ever" or minimum_count > 1):
        raise InputError(
            f"diagnoses: none has a date, but timing '{timing}' with a minimum count of "
            f"{minimum_count} days needs them; give a table with dates"
        )
    if timing != "ever" and np.isnat(_known_by(visit, sex.index, window_days)).all():
        raise InputError(f"visits: none of {len(sex)} participants has the date of one")


def _known_by(visit: pd.Series, participants: pd.Index, window_days: int) -> np.ndarray:
    """Give the last day that belongs to each participant's visit; NaT where it has no date."""
    dates = pd.to_datetime(visit.set_axis(visit.index.astype(str)), errors="coerce")
    dates = dates.reindex(participants.astype(str)).to_numpy("datetime64[s]")
    return dates + np.timedelta64(window_days, "D")


def _mark_related(
    kind: np.ndarray, rows: np.ndarray, columns: np.ndarray, records: PhecodeRecords, over: bool
) -> None:
    """Take controls, or with `over` cases too, that have a related phecode out of a table."""
    related, phecodes = records.map.related, records.info.index
    of, has = (phecodes.get_indexer(related[name]) for name in ("phecode", "related"))
    had = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=kind.shape)
    excludes = csr_array(
        (np.ones(len(of), np.int32), (has, of)), shape=(len(phecodes), len(phecodes))
    )
    found = (had @ excludes).tocoo()
    taken = kind[found.row, found.col]
    replaced = (taken == CONTROL) | (over & (taken == CASE))
    kind[found.row[replaced], found.col[replaced]] = RELATED
