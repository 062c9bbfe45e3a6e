"""Ingest of ECGs: from files of any known format into a TensorStore.

`ecg/rest_10s` (5000, 12) holds everyone's strip and `ecg/device_median` (600, 12) the device's own
median beat where a file has one, both in mV at 500 Hz with the leads in the order of `LEADS`.
`ecg_recordings.tsv` beside them has one row a recording: what the file said about the person.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.ingest import cardiosoft, dicom, ml4h, wfdb
from regreveal.ingest.files import UnusableFileError, identity
from regreveal.ingest.normalisation import SAMPLING_RATE, normalise
from regreveal.ingest.outcomes import (
    DROPPED,
    KEPT,
    LATER_VISIT,
    PRESENT,
    SKIPPED,
    Outcome,
    as_report,
    find_files,
    first_visits,
)
from regreveal.ingest.recording import Facts
from regreveal.store.atomic import locked
from regreveal.store.cohort import read_table, write_table
from regreveal.store.tensors import TensorStore

FORMATS = (cardiosoft, wfdb, dicom, ml4h)
STRIP, MEDIAN = "ecg/rest_10s", "ecg/device_median"
RECORDINGS_TABLE = "ecg_recordings.tsv"
SHARD_SIZE = 256  # Recordings held in memory at once: 61 MB.
FILES_WORTH_PROCESSES = 400  # Below this, starting processes takes longer than reading.

UNKNOWN = "not a known ECG format"
COLUMNS = ("source", *(field.name for field in fields(Facts)), "flags")


@dataclass(frozen=True)
class _Read:
    """A file's outcome with its tensors, on the way from the reader to the store."""

    outcome: Outcome
    strip: np.ndarray | None = None
    median: np.ndarray | None = None
    facts: Facts | None = None


def ingest_ecg(
    paths: Iterable[str | os.PathLike],
    store: TensorStore,
    workers: int | None = None,
) -> pd.DataFrame:
    """Read ECGs of any known format into a store.

    A run that was killed can be repeated: what the store has already is skipped. Several runs may
    write to one store at once. Shards are of at most 256 recordings, so memory does not grow with
    their number.

    Parameters
    ----------
    paths : iterable of path-like
        Files, and folders, which are searched with all their subfolders.
    store : TensorStore
    workers : int, optional
        Processes; by default one a core where there are many files.

    Returns
    -------
    DataFrame
        One row a file, with the attributes of `Outcome` as columns; signal and annotation files of
        a WFDB record belong to its header and have no row. `outcomes.summarise` counts by reason.

    Raises
    ------
    InputError
        If a path does not exist, two files have the same sample id, or no file could be used. The
        store is then as it was.
    """
    files = find_files(paths)
    outcomes, readable = _plan(files)
    present = set(store.sample_ids(STRIP))
    to_read = []
    for path, name in readable:
        if identity(path)[0] in present:
            outcomes.append(_outcome(path, name, SKIPPED, PRESENT))
        else:
            to_read.append((path, name))

    if workers is None and len(to_read) < FILES_WORTH_PROCESSES:
        workers = 1
    batch: list[_Read] = []
    results = parallel_map(_read, to_read, "Reading ECGs", workers)
    for (path, _), result in zip(to_read, results, strict=True):
        # A cluster's workers read absolute paths; the report says the file as it was given.
        result = replace(result, outcome=replace(result.outcome, file=str(path)))
        if result.outcome.outcome == KEPT:
            batch.append(result)
        else:
            outcomes.append(result.outcome)
        if len(batch) == SHARD_SIZE:
            outcomes += _add(store, batch)
            batch = []
    if batch:
        outcomes += _add(store, batch)

    return as_report(outcomes, "CardioSoft XML, WFDB, DICOM or ml4h HD5 files")


def _plan(files: list[Path]) -> tuple[list[Outcome], list[tuple[Path, str]]]:
    """Divide files into those that will not be read, with the reason, and those to read."""
    formats = {path: _recognise(path) for path in files}
    outcomes = []
    recognised = []
    owned = _files_of_records(path for path, name in formats.items() if name == wfdb.NAME)
    for path, name in formats.items():
        if name:
            try:
                recognised.append((path, *identity(path)))
            except UnusableFileError as error:
                outcomes.append(Outcome(str(path), name, "", DROPPED, error.reason, error.detail))
        elif path.with_suffix("") not in owned and path not in owned:
            detail = "empty file" if path.stat().st_size == 0 else f"suffix '{path.suffix}'"
            outcomes.append(Outcome(str(path), "", path.stem, DROPPED, UNKNOWN, detail))
    first, later = first_visits(recognised)
    outcomes += [
        _outcome(path, formats[path], DROPPED, LATER_VISIT, detail)
        for path, detail in later.items()
    ]
    return outcomes, [(path, formats[path]) for path in first]


def _recognise(path: Path) -> str:
    try:
        return next((known.NAME for known in FORMATS if known.recognises(path)), "")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _files_of_records(headers: Iterable[Path]) -> set[Path]:
    """Stems of WFDB records, whose annotation files they are, and the signal files they name."""
    owned = set()
    for header in headers:
        owned |= {header.with_suffix(""), *wfdb.signal_files(header)}
    return owned


def _outcome(path: Path, name: str, outcome: str, reason: str, detail: str = "") -> Outcome:
    return Outcome(str(path), name, identity(path)[0], outcome, reason, detail)


def _read(file: tuple[Path, str]) -> _Read:
    path, name = file
    reader = next(known for known in FORMATS if name == known.NAME)
    try:
        recordings = {recording.kind: recording for recording in reader.read(path)}
        if "rest_10s" not in recordings:
            raise UnusableFileError(path, "no 10 s strip", f"only {', '.join(recordings)}")
        strip, flags = normalise(recordings["rest_10s"])
    except UnusableFileError as error:
        return _Read(_outcome(path, name, DROPPED, error.reason, error.detail))

    median = None
    if "median" in recordings:
        try:
            median, _ = normalise(recordings["median"])
        except UnusableFileError as error:
            flags += (f"device median left out: {error.reason}, {error.detail}",)
    outcome = Outcome(str(path), name, identity(path)[0], KEPT, flags="; ".join(flags))
    return _Read(outcome, strip, median, recordings["rest_10s"].facts)


def _table_of(store: TensorStore) -> dict[str, dict]:
    """Rows that the store's table of recordings has already, by sample id."""
    path = store.path / RECORDINGS_TABLE
    return read_table(path).to_dict("index") if path.exists() else {}


def _add(store: TensorStore, batch: Sequence[_Read]) -> list[Outcome]:
    """Write what the store does not have yet, and give the outcome of each."""
    with locked(store.path / f".{RECORDINGS_TABLE}.lock"):
        # Another ingest may have brought some of them since this one began.
        present = set(store.sample_ids(STRIP))
        new = [read for read in batch if read.outcome.sample_id not in present]
        if new:
            _write(store, new)
    return [
        replace(read.outcome, outcome=SKIPPED, reason=PRESENT, flags="")
        if read.outcome.sample_id in present
        else read.outcome
        for read in batch
    ]


def _write(store: TensorStore, batch: Sequence[_Read]) -> None:
    """Write table, medians and strips, in this order.

    Ids in `STRIP` are what a repeated run skips, so a run killed in between leaves none there
    whose row or median is missing. The table is read anew, since other ingests add rows to it.
    """
    table = _table_of(store)
    for read in batch:
        table[read.outcome.sample_id] = {
            "source": read.outcome.format,
            **asdict(read.facts),
            "flags": read.outcome.flags,
        }
    rows = pd.DataFrame.from_dict(table, orient="index", columns=COLUMNS)
    write_table(rows.rename_axis("sample_id"), store.path / RECORDINGS_TABLE)

    present = set(store.sample_ids(MEDIAN))
    medians = [r for r in batch if r.median is not None and r.outcome.sample_id not in present]
    for name, tensors, reads in (
        (MEDIAN, [read.median for read in medians], medians),
        (STRIP, [read.strip for read in batch], batch),
    ):
        if reads:
            store.write(
                name,
                np.stack(tensors),
                [read.outcome.sample_id for read in reads],
                units="mV",
                sampling_rate=SAMPLING_RATE,
                source="+".join(sorted({read.outcome.format for read in reads})),
            )
