"""The HD5 layout of ml4h: one file a person, `/ukb_ecg_rest/strip_{lead}/instance_k`.

ml4h writes CardioSoft's integers as they stand, so one unit is 5 µV, at 500 Hz; the device's
median is `median_{lead}`, and measurements keep CardioSoft's names. Age and sex are not in this
group: they come with the cohort table.
"""

import re
from pathlib import Path

import h5py
import numpy as np

from regreveal.ingest import hdf5
from regreveal.ingest.facts import measurement, rhythm_of_text
from regreveal.ingest.files import UnusableFileError, identity, parsing
from regreveal.ingest.recording import Facts, Recording

NAME = "ml4h"
GROUP = "ukb_ecg_rest"
MICROVOLTS_PER_UNIT = 5.0
SAMPLING_RATE = 500.0
KINDS = {"strip_": "rest_10s", "median_": "median"}
INSTANCE = re.compile(r"instance_(\d+)")
MOST_VALUES = 1_000_000  # In a dataset; a strip has 5,000. A damaged size may ask for terabytes.


def recognises(path: Path) -> bool:
    """Tell whether a file is HDF5 with ml4h's group of resting ECGs."""
    return hdf5.holds(path, [GROUP])


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
    UnusableFileError
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
        raise UnusableFileError(path, "no 10 s strip", f"no /{GROUP}/strip_{{lead}}/instance_0")
    instance = instances[0]
    flags = ("later recordings left out",) if len(instances) > 1 else ()
    facts = _facts(path, group, instance)
    recordings = []
    for prefix, kind in KINDS.items():
        columns = {
            lead: _samples(path, recorded, instance)
            for lead, recorded in leads[prefix].items()
            if instance in set(recorded)
        }
        if not columns:
            continue
        if len({len(column) for column in columns.values()}) > 1:
            raise UnusableFileError(path, "unreadable file", f"{prefix}leads differ in length")
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
    found = hdf5.item(path, parent, name)
    if not isinstance(found, h5py.Group):
        raise UnusableFileError(path, "unreadable file", f"{name} is no group")
    return found


def _number(instance: str) -> int:
    return int(INSTANCE.fullmatch(instance)[1])


def _samples(path: Path, recorded: h5py.Group, instance: str) -> np.ndarray:
    return np.ravel(hdf5.numbers(path, hdf5.item(path, recorded, instance), MOST_VALUES))


def _facts(path: Path, group: h5py.Group, instance: str) -> Facts:
    def value(name: str):
        found = hdf5.item(path, group, f"{name}/{instance}")
        return np.ravel(found[()])[0] if hdf5.has_values(found, MOST_VALUES) else None

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
