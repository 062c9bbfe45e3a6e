"""Phecodes: who has a disease and since when, who can stand as a control for it, who is neither.

Diagnoses are first brought to one row a person and phecode, which is the long part and knows
nothing of an analysis (`phecode_records`), then to cases and controls among the participants of
one (`phecode_status`).

References
----------
Denny et al. (2013), Nat. Biotechnol. 31:1102; docs/phecodes.md, "Phecodes".
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import FIRST_DAY, Diagnoses
from regreveal.phenome.phecodes.phecode_map import PhecodeMap

SHORTEST_CODE = 3
EVENTS_AT_ONCE = 2_000_000
TIMINGS = ("ever", "prevalent", "incident")

# What somebody is to a phecode, in the order in which later ones prevail in the table.
CONTROL, CASE, RELATED, FEW_CODES, TIME_UNKNOWN, LATER, EARLIER, OTHER_SEX = range(8)
NAMES = ["controls", "cases", "related", "few_codes", "time_unknown", "later", "earlier"]
NAMES += ["other_sex"]
COUNTED = ["cases", "controls", *NAMES[:1:-1], "cases_of_other_sex"]

_DAY_BITS = 20
_UNDATED = (1 << _DAY_BITS) - 1


@dataclass(frozen=True)
class PhecodeRecords:
    """What is recorded of each person and phecode.

    Parameters
    ----------
    events : DataFrame
        A row a person and phecode, those above it included, in that order: `sample_id` and
        `phecode` (category), `n_dates` (different days with a code of it; 1 where no day is
        known), `first_date` (datetime64[s], NaT where no day is known) and `undated` (bool: the
        day of some code is not known).
    map : PhecodeMap
    people : Index
        Everybody with a diagnosis, mapped or not.
    unmapped : DataFrame
        `vocabulary`, `code` and `events` of codes without a phecode, most frequent first.
    counts : dict of str to int
        Those of `Diagnoses`; `diagnoses_of_others`, who do not take part; and of the rest
        `mapped`, `mapped_by_shorter_code` and `unmapped` diagnoses.
    last_date : numpy.datetime64
        The last day of any diagnosis; NaT if none is dated.
    """

    events: pd.DataFrame
    map: PhecodeMap
    people: pd.Index
    unmapped: pd.DataFrame
    counts: dict[str, int]
    last_date: np.datetime64

    @property
    def info(self) -> pd.DataFrame:
        """What each phecode is, as in `PhecodeMap`."""
        return self.map.info


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


def phecode_records(
    diagnoses: Diagnoses, phecode_map: PhecodeMap, participants: Iterable[str] | None = None
) -> PhecodeRecords:
    """Map diagnoses to phecodes.

    A code takes the phecodes of the longest code in the map that it begins with: a map of I48
    covers I48.0 and I48.9, but for those it maps itself, and I10X. Codes of ICD-9 and ICD-10 never
    stand for each other.

    Parameters
    ----------
    diagnoses : Diagnoses
    phecode_map : PhecodeMap
    participants : iterable of str, optional
        Whose diagnoses to use; all if not given.

    Returns
    -------
    PhecodeRecords

    Raises
    ------
    InputError
        If no diagnosis is of a participant.
    """
    events = diagnoses.events
    people = events["sample_id"].cat.categories
    if participants is not None:
        wanted = people.isin(pd.Index(participants).astype(str))
        events = events[wanted[events["sample_id"].cat.codes]]
        if not len(events):
            raise InputError(
                f"diagnoses: none of {len(people)} people in them is a participant; check that "
                "both use the same sample ids"
            )
    vocabularies, codes = (events[name].cat.categories for name in ("vocabulary", "code"))
    kind = events["vocabulary"].cat.codes.to_numpy(np.int32) * len(codes)
    kind += events["code"].cat.codes.to_numpy()
    frequency = np.bincount(kind, minlength=len(vocabularies) * len(codes))
    kinds = pd.DataFrame(
        {
            "vocabulary": np.repeat(vocabularies, len(codes)),
            "code": np.tile(codes, len(vocabularies)),
            "events": frequency,
        }
    )
    kinds = kinds[kinds["events"] > 0]
    kinds["covered_by"] = _longest_mapped(kinds, phecode_map.codes)
    meaning = _unroll(kinds, phecode_map)
    mapped = kinds.index.isin(meaning["kind"])
    unmapped = kinds.loc[~mapped, ["vocabulary", "code", "events"]]
    shorter = mapped & (kinds["code"] != kinds["covered_by"])
    counts = diagnoses.counts | {
        "diagnoses_of_others": len(diagnoses.events) - len(events),
        "mapped": int(kinds.loc[mapped, "events"].sum()),
        "mapped_by_shorter_code": int(kinds.loc[shorter, "events"].sum()),
        "unmapped": int(unmapped["events"].sum()),
    }
    return PhecodeRecords(
        events=_by_person(events, kind, meaning, phecode_map.info.index),
        map=phecode_map,
        people=people[np.unique(events["sample_id"].cat.codes)],
        unmapped=unmapped.sort_values(
            ["events", "vocabulary", "code"], ascending=[False, True, True], ignore_index=True
        ),
        counts=counts,
        last_date=diagnoses.last_date,
    )


def _longest_mapped(kinds: pd.DataFrame, codes: pd.DataFrame) -> list[str]:
    """Find the longest code in the map that each code begins with; empty where there is none."""
    mapped = set(zip(codes["vocabulary"], codes["code"], strict=True))
    found = []
    for vocabulary, code in zip(kinds["vocabulary"], kinds["code"], strict=True):
        beginnings = (code[:end] for end in range(len(code), SHORTEST_CODE - 1, -1))
        found.append(next((b for b in beginnings if (vocabulary, b) in mapped), ""))
    return found


def _unroll(kinds: pd.DataFrame, phecode_map: PhecodeMap) -> pd.DataFrame:
    """List the `phecode`s (positions) of each `kind` of code, those above them included."""
    direct = phecode_map.codes[phecode_map.codes["phecode"] != ""]
    pairs = kinds.rename_axis("kind").reset_index()[["kind", "vocabulary", "covered_by"]]
    pairs = pairs.merge(direct.rename(columns={"code": "covered_by"}))[["kind", "phecode"]]
    above = pairs.merge(phecode_map.above)[["kind", "above"]].set_axis(pairs.columns, axis=1)
    pairs = pd.concat([pairs, above])
    pairs["phecode"] = phecode_map.info.index.get_indexer(pairs["phecode"])
    return pairs.drop_duplicates().sort_values(["kind", "phecode"], ignore_index=True)


def _by_person(
    events: pd.DataFrame, kind: np.ndarray, meaning: pd.DataFrame, phecodes: pd.Index
) -> pd.DataFrame:
    """Bring events to a row a person and phecode; see `PhecodeRecords`."""
    ends = np.searchsorted(meaning["kind"], np.arange(kind.max() + 1), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    of_kind = meaning["phecode"].to_numpy(np.int64)
    person, date = events["sample_id"].cat.codes.to_numpy(), events["date"].to_numpy()
    people = events["sample_id"].cat.categories
    blocks = max(len(kind) // EVENTS_AT_ONCE, 1)
    bounds = np.linspace(0, len(people), blocks + 1).astype(int)
    parts = []
    for low, high in itertools.pairwise(bounds):
        chosen = np.flatnonzero((person >= low) & (person < high))
        lengths = (ends - starts)[kind[chosen]]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        phecode = of_kind[np.repeat(starts[kind[chosen]], lengths) + within]
        # Person, phecode and day as one number, so that one sort does.
        pair = np.repeat(person[chosen].astype(np.int64), lengths) * len(phecodes) + phecode
        parts.append(_days_of_pairs((pair << _DAY_BITS) | np.repeat(_days(date[chosen]), lengths)))
    pair, n_dates, first_date, undated = map(np.concatenate, zip(*parts, strict=True))
    of_person, of_phecode = np.divmod(pair, len(phecodes))
    return pd.DataFrame(
        {
            "sample_id": pd.Categorical.from_codes(of_person, people),
            "phecode": pd.Categorical.from_codes(of_phecode, phecodes),
            "n_dates": n_dates,
            "first_date": first_date,
            "undated": undated,
        },
        copy=False,
    )


def _days_of_pairs(keys: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give each pair of person and phecode once, its number of days, the first, and doubt.

    Parameters
    ----------
    keys : ndarray of int64
        Pair and day as one number; sorted in place.
    """
    keys.sort()  # numpy's `unique` hashes, and is ten times as slow
    keys = keys[np.diff(keys, prepend=-1) > 0]
    pair, day = keys >> _DAY_BITS, keys & _UNDATED
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    last = np.append(first[1:], len(pair))[: len(first)] - 1
    undated = day[last] == _UNDATED
    n_dates = np.maximum(last - first + 1 - undated, 1).astype(np.int32)
    first_date = (FIRST_DAY + day[first]).astype("datetime64[s]")
    first_date[day[first] == _UNDATED] = np.datetime64("NaT")
    return pair[first], n_dates, first_date, undated


def _days(dates: np.ndarray) -> np.ndarray:
    """Days since FIRST_DAY; the last that the keys have room for where there is no date."""
    no_date = np.isnat(dates)
    days = (np.where(no_date, FIRST_DAY, dates) - FIRST_DAY) // np.timedelta64(1, "D")
    return np.where(no_date, _UNDATED, days.astype(np.int64))


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
    return PhecodeStatus(
        status=pd.DataFrame(meaning[kind], index=sex.index, columns=phecodes),
        info=records.info,
        counts=counts[COUNTED],
        first_days=csr_array(
            (_days(first[~unknown]) + 1, (columns[~unknown], rows[~unknown])), shape=shape[::-1]
        ),
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


def _known_by(visit: pd.Series, participants: pd.Index, window_days: int) -> np.ndarray:
    """Give the last day that belongs to each participant's visit; NaT where it has no date."""
    dates = pd.to_datetime(visit.set_axis(visit.index.astype(str)), errors="coerce")
    dates = dates.reindex(participants.astype(str)).to_numpy("datetime64[s]")
    if np.isnat(dates).all():
        raise InputError(f"visits: none of {len(participants)} participants has the date of one")
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
