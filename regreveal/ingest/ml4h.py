"""The HD5 layout of ml4h: one file a person, `/ukb_ecg_rest/strip_{lead}/instance_k`.

ml4h writes CardioSoft's integers as they stand, so one unit is 5 µV, at 500 Hz; the device's
median is `median_{lead}`, and measurements keep CardioSoft's names. Age and sex are not in this
group: they come with the cohort table.
"""

import re
from pathlib import Path

import h5py
import numpy as np

from regreveal.ingest.facts import measurement, rhythm_of_text
from regreveal.ingest.recording import (
    PARSER_ERRORS,
    Facts,
    Recording,
    UnusableRecordingError,
    identity,
    parsing,
)

NAME = "ml4h"
GROUP = "ukb_ecg_rest"
MICROVOLTS_PER_UNIT = 5.0
SAMPLING_RATE = 500.0
MAGIC = b"\x89HDF\r\n\x1a\n"
KINDS = {"strip_": "rest_10s", "median_": "median"}
INSTANCE = re.compile(r"instance_(\d+)")
MOST_VALUES = 1_000_000  # In a dataset; a strip has 5,000. A damaged size may ask for terabytes.


def recognises(path: Path) -> bool:
    """Tell whether a file is HDF5 with ml4h's group of resting ECGs."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        with h5py.File(path, "r") as file:
            return GROUP in file
    except PARSER_ERRORS:
        # A damaged HDF5 file: it is ml4h's by its suffix alone, and `read` says what is wrong.
        return path.suffix == ".hd5"


def read(path: Path) -> list[Recording]:
    """Read a person's first recording: strip and, where there is one, median beat.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Recording
        With a flag where the file holds later recordings too, which are left out.

    Raises
    ------
    UnusableRecordingError
        If the file is damaged, of another layout, or has no strip.
    """
    # All of it is parsing: h5py reads an object when it is asked for.
    with parsing(path), h5py.File(path, "r") as file:
        return _recordings(path, _group(path, file, GROUP))


def _recordings(path: Path, group: h5py.Group) -> list[Recording]:
    leads = {
        prefix: {
            name.removeprefix(prefix): _group(path, group, name)
            for name in group
            if name.startswith(prefix)
        }
        for prefix in KINDS
    }
    instances = {key for strip in leads["strip_"].values() for key in strip}
    instances = sorted(filter(INSTANCE.fullmatch, instances), key=_number)
    if not instances:
        raise UnusableRecordingError(
            path, "no 10 s strip", f"no /{GROUP}/strip_{{lead}}/instance_0"
        )
    instance = instances[0]
    flags = ("later recordings left out",) if len(instances) > 1 else ()
    facts = _facts(group, instance)
    recordings = []
    for prefix, kind in KINDS.items():
        columns = {
            lead: _samples(path, recorded[instance])
            for lead, recorded in leads[prefix].items()
            if instance in recorded
        }
        if not columns:
            continue
        if len({len(column) for column in columns.values()}) > 1:
            raise UnusableRecordingError(path, "unreadable file", f"{prefix}leads differ in length")
        signal = np.stack(list(columns.values()), axis=1)
        recordings.append(
            Recording(
                signal=signal * MICROVOLTS_PER_UNIT,
                leads=tuple(columns),
                units=("uV",) * len(columns),
                sampling_rate=SAMPLING_RATE,
                sample_id=identity(path)[0],
                kind=kind,
                facts=facts,
                flags=flags,
            )
        )
    return recordings


def _group(path: Path, parent: h5py.Group, name: str) -> h5py.Group:
    if not isinstance(parent[name], h5py.Group):
        raise UnusableRecordingError(path, "unreadable file", f"{name} is no group")
    return parent[name]


def _number(instance: str) -> int:
    return int(INSTANCE.fullmatch(instance)[1])


def _has_values(item: h5py.HLObject | None) -> bool:
    # The size of a dataset without a shape is None.
    return isinstance(item, h5py.Dataset) and 0 < (item.size or 0) <= MOST_VALUES


def _samples(path: Path, item: h5py.HLObject) -> np.ndarray:
    if not _has_values(item) or item.dtype.kind not in "iuf":
        raise UnusableRecordingError(
            path, "unreadable file", f"{item.name} is no dataset of 1 to {MOST_VALUES} numbers"
        )
    return np.ravel(item[()])


def _facts(group: h5py.Group, instance: str) -> Facts:
    def value(name: str):
        item = group.get(f"{name}/{instance}")
        return np.ravel(item[()])[0] if _has_values(item) else None

    statement = value("ecg_rest_text")
    if isinstance(statement, bytes):
        statement = statement.decode(errors="replace")
    return Facts(
        rhythm=rhythm_of_text([statement] if isinstance(statement, str) else []),
        heart_rate=measurement(value("VentricularRate")),
        pr_interval=measurement(value("PQInterval")),
        qrs_duration=measurement(value("QRSDuration")),
        qt_interval=measurement(value("QTInterval")),
    )
