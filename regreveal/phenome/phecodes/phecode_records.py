"""From diagnoses to one row a person and phecode, which knows nothing of an analysis.

References
----------
Denny et al. (2013), Nat. Biotechnol. 31:1102; docs/phecodes.md, "Phecodes".
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import FIRST_DAY, Diagnoses
from regreveal.phenome.phecodes.phecode_map import PhecodeMap

SHORTEST_CODE = 3
EVENTS_AT_ONCE = 2_000_000

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
        parts.append(
            _days_of_pairs((pair << _DAY_BITS) | np.repeat(day_numbers(date[chosen]), lengths))
        )
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


def day_numbers(dates: np.ndarray) -> np.ndarray:
    """Count days from FIRST_DAY; where there is no date, the last that the keys have room for.

    Parameters
    ----------
    dates : ndarray of datetime64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    no_date = np.isnat(dates)
    days = (np.where(no_date, FIRST_DAY, dates) - FIRST_DAY) // np.timedelta64(1, "D")
    return np.where(no_date, _UNDATED, days.astype(np.int64))
