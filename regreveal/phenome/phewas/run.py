"""PheWAS of latent spaces from what is recorded to tables in a folder."""

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.phecodes.phecode_records import PhecodeRecords
from regreveal.phenome.phecodes.status import PhecodeStatus, phecode_status
from regreveal.phenome.phewas.differences import phewas_differences
from regreveal.phenome.phewas.incident import FollowUp, follow_up, incident_phewas
from regreveal.phenome.phewas.null import null_scans, null_summary
from regreveal.phenome.phewas.scan import MINIMUM_CASES, describe, scan
from regreveal.phenome.phewas.split_half import SplitSpace
from regreveal.store.atomic import write_json
from regreveal.store.cohort import design_matrix, write_table
from regreveal.store.embedding import Embedding


@dataclass(frozen=True)
class PhewasOptions:
    """What a PheWAS is asked for.

    Parameters
    ----------
    covariates : sequence of str
        Columns of the cohort.
    minimum_cases : int
        Phecodes with fewer cases, or fewer controls, are not tested.
    minimum_count : int
        Days with a code that make a case.
    timing : {"ever", "prevalent"}
        Whether a case may have got the disease after the visit.
    null : sequence of str
        Kinds of `regreveal.phenome.phewas.null.KINDS`.
    null_repeats : int
    incident : bool
        Whether diseases that came after the visit are tested, too, by Cox's regression.
    visit : str or None
        Column of the cohort with the day of the visit; needed for `incident` and "prevalent".
    end_of_follow_up : str or None
        A day (yyyy-mm-dd), or a column of the cohort with one; by default the last of the records.
    window_days : int
        Days after the visit that still belong to it.
    """

    covariates: Sequence[str] = ()
    minimum_cases: int = MINIMUM_CASES
    minimum_count: int = 1
    timing: str = "ever"
    null: Sequence[str] = ()
    null_repeats: int = 1
    incident: bool = False
    visit: str | None = None
    end_of_follow_up: str | None = None
    window_days: int = 0


@dataclass(frozen=True)
class PhewasData:
    """Participants and their diseases, which the PheWAS of every latent space share.

    Parameters
    ----------
    sample_ids : Index
    covariates : ndarray, shape (n, c)
    table : PhecodeStatus
    incident : FollowUp or None
    counts : dict
        For phewas.json.
    unmapped : DataFrame
        Codes without a phecode.
    """

    sample_ids: pd.Index
    covariates: np.ndarray
    table: PhecodeStatus
    incident: FollowUp | None
    counts: dict
    unmapped: pd.DataFrame

    def space(self, embedding: Embedding, seed: int) -> SplitSpace:
        """Make a latent space ready."""
        latents = embedding.select(self.sample_ids)
        return SplitSpace.of(latents, self.covariates, self.sample_ids, seed)


def prepare_phewas(
    participants: Sequence[str],
    cohort: pd.DataFrame,
    records: PhecodeRecords,
    options: PhewasOptions,
) -> PhewasData:
    """Find who has which disease among those with sex and all covariates.

    Parameters
    ----------
    participants : sequence of str
        Whom to analyse; who lacks `sex`, a covariate or a visit that is needed is left out.
    cohort : DataFrame
        `sex`, the covariates and days, indexed by sample id.
    records : PhecodeRecords
    options : PhewasOptions

    Returns
    -------
    PhewasData

    Raises
    ------
    InputError
        A column is missing, a day is none, or nobody is left.
    """
    needed = ["sex", *options.covariates]
    dated = options.incident or options.timing != "ever"
    if dated:
        if options.visit is None:
            raise InputError(
                "phewas: incident and prevalent disease need the day of the visit; "
                "name the column of the cohort that has it"
            )
        needed.append(options.visit)
    for column in needed:
        if column not in cohort:
            raise InputError(
                f"phewas: the cohort has no column '{column}' "
                f"(there are: {', '.join(cohort.columns)})"
            )
    known = cohort.reindex(participants)
    chosen = known.index[known[needed].notna().all(axis=1)]
    if not len(chosen):
        raise InputError(
            f"phewas: none of {len(known)} participants has sex and all covariates"
            + (" and a visit" if dated else "")
        )
    known_of = known.loc[chosen]
    visit = days(known_of, options.visit) if dated else None
    counting = {"minimum_count": options.minimum_count, "window_days": options.window_days}
    sex = known_of["sex"]
    table = phecode_status(records, sex, timing=options.timing, visit=visit, **counting)
    incident = None
    if options.incident:
        at_risk = phecode_status(records, sex, timing="incident", visit=visit, **counting)
        start = visit + pd.Timedelta(days=options.window_days)
        incident = follow_up(at_risk, start, _end(known_of, options, records))
    counts = {
        "participants": len(chosen),
        "missing_covariate_values": len(known) - len(chosen),
        "events": records.counts["diagnoses"],
        "events_unmapped": records.counts["unmapped"],
        "icd10_edition": records.map.edition,
        "phecodes": table.status.shape[1],
    }
    design, _ = design_matrix(known, list(options.covariates), chosen)
    return PhewasData(chosen, design, table, incident, counts, records.unmapped)


def days(cohort: pd.DataFrame, column: str) -> pd.Series:
    """Read a column of days; a time after the day is ignored.

    Raises
    ------
    InputError
        If a value is no day.
    """
    read = pd.to_datetime(cohort[column], errors="coerce", format="ISO8601", utc=True)
    read = read.dt.tz_localize(None).dt.normalize()
    wrong = cohort[column][read.isna() & cohort[column].notna()]
    if len(wrong):
        raise InputError(
            f"cohort: '{column}' has {len(wrong)} values that are no days, such as "
            f"'{wrong.iloc[0]}'; expected yyyy-mm-dd"
        )
    return read


def _end(cohort: pd.DataFrame, options: PhewasOptions, records: PhecodeRecords) -> pd.Series:
    """Give everybody's end of follow-up: their own, one of all, or that of the records."""
    given = options.end_of_follow_up
    last = pd.Timestamp(records.last_date)
    if given is None:
        return pd.Series(last, index=cohort.index)
    if given in cohort:
        return days(cohort, given).fillna(last)
    if not is_day(given):
        raise InputError(
            f"phewas: end_of_follow_up '{given}' is neither a day (yyyy-mm-dd) nor a column of the "
            f"cohort (there are: {', '.join(cohort.columns)})"
        )
    return pd.Series(pd.Timestamp(given), index=cohort.index)


def is_day(text: str) -> bool:
    """Say whether a text is a day, written yyyy-mm-dd."""
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def run_phewas(
    embedding: Embedding,
    data: PhewasData,
    folder: str | os.PathLike,
    options: PhewasOptions,
    seed: int = 0,
    left_out: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Make the PheWAS of one latent space and write its tables into a folder.

    These are phewas.tsv, phecode_counts.tsv (who is a case, a control, or neither and why),
    unmapped_icd.tsv (codes without a phecode, with their number of events) and phewas.json (counts,
    and who was left out and why); where asked for phewas_null.tsv and phewas_null_summary.tsv, and
    phewas_incident.tsv.

    Parameters
    ----------
    embedding : Embedding
        Of all of the participants.
    data : PhewasData
    folder : path-like
    options : PhewasOptions
        Those that the data were prepared with.
    seed : int
        Of the halves and of what is null.
    left_out : mapping of str to int, optional
        Who was left out before, by reason, for phewas.json.

    Returns
    -------
    DataFrame
        As `regreveal.phenome.phewas.scan.phewas` gives it.
    """
    folder, status = Path(folder), data.table.status
    space = data.space(embedding, seed)
    table = describe(scan(space, status, options.minimum_cases), status, data.table.info)
    write_table(table, folder / "phewas.tsv")
    write_table(data.table.counts.reset_index(), folder / "phecode_counts.tsv")
    write_table(data.unmapped, folder / "unmapped_icd.tsv")
    counts = data.counts | {
        "left_out": dict(left_out or {}),
        "phecodes_tested": int((table["reason"] == "").sum()),
        "seed": seed,
        "minimum_cases": options.minimum_cases,
    }
    if options.null:
        nulls = null_scans(
            space, status, options.null, options.null_repeats, seed, options.minimum_cases
        )
        write_table(nulls, folder / "phewas_null.tsv")
        write_table(null_summary(nulls), folder / "phewas_null_summary.tsv")
    if data.incident is not None:
        incident = incident_phewas(space, data.incident, options.minimum_cases)
        write_table(incident, folder / "phewas_incident.tsv")
        counts["phecodes_tested_incident"] = int((incident["reason"] == "").sum())
    write_json(counts, folder / "phewas.json")
    return table


def read_phewas(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table that `run_phewas` wrote."""
    texts = ["name", "category", "method", "reason"]
    table = pd.read_csv(path, sep="\t", dtype=dict.fromkeys(["phecode", *texts], str))
    return table.fillna(dict.fromkeys(texts, ""))


def run_differences(
    embeddings: Mapping[str, Embedding],
    tables: Mapping[str, pd.DataFrame],
    data: PhewasData,
    files: tuple[str | os.PathLike, str | os.PathLike],
    seed: int = 0,
) -> None:
    """Compare the PheWAS of two arms and write both tables of `phewas_differences`.

    Parameters
    ----------
    embeddings : mapping of str to Embedding
        By arm, the baseline first.
    tables : mapping of str to DataFrame
        What `run_phewas` gave of either.
    data : PhewasData
    files : tuple of path-like
        phewas_differences.tsv and phewas_overall.tsv.
    seed : int
        That of both.
    """
    spaces = {arm: data.space(embedding, seed) for arm, embedding in embeddings.items()}
    written = phewas_differences(spaces, data.table.status, tables)
    for table, file in zip(written, files, strict=True):
        write_table(table, file)
