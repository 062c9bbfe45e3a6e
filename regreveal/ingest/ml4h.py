"""The HD5 layout of ml4h: one file a person, `/ukb_ecg_rest/strip_{lead}/instance_k`.

ml4h writes CardioSoft's integers as they stand, so one unit is 5 µV, at 500 Hz; the device's
median is `median_{lead}`, and measurements keep CardioSoft's names. Age and sex are not in this
group: they come with the cohort table.
"""

from pathlib import Path

import h5py
import numpy as np

from regreveal.ingest.facts import measurement, rhythm_of_text
from regreveal.ingest.recording import Facts, Recording, UnusableRecordingError, identity

NAME = "ml4h"
GROUP = "ukb_ecg_rest"
MICROVOLTS_PER_UNIT = 5.0
SAMPLING_RATE = 500.0
MAGIC = b"\x89HDF\r\n\x1a\n"
KINDS = {"strip_": "rest_10s", "median_": "median"}


def recognises(path: Path) -> bool:
    """Tell whether a file is HDF5 with ml4h's group of resting ECGs."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        with h5py.File(path, "r") as file:
            return GROUP in file
    except OSError:
        # A truncated HDF5 file: it is ml4h's by its suffix alone, and `read` says what is wrong.
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
        If the file is truncated or has no strip.
    """
    try:
        with h5py.File(path, "r") as file:
            return _recordings(path, file[GROUP])
    except (OSError, KeyError) as error:
        raise UnusableRecordingError(path, "unreadable file", f"broken HDF5 ({error})") from error


def _recordings(path: Path, group: h5py.Group) -> list[Recording]:
    strips = [group[name] for name in group if name.startswith("strip_")]
    instances = sorted({int(key.removeprefix("instance_")) for strip in strips for key in strip})
    if not instances:
        raise UnusableRecordingError(
            path, "no 10 s strip", f"no /{GROUP}/strip_{{lead}}/instance_0"
        )
    instance = f"instance_{instances[0]}"
    flags = ("later recordings left out",) if len(instances) > 1 else ()
    facts = _facts(group, instance)
    recordings = []
    for prefix, kind in KINDS.items():
        columns = {
            name.removeprefix(prefix): group[name][instance][()]
            for name in group
            if name.startswith(prefix) and instance in group[name]
        }
        if not columns:
            continue
        if len({column.shape for column in columns.values()}) > 1:
            raise UnusableRecordingError(path, "unreadable file", f"{prefix}leads differ in length")
        signal = np.stack([np.ravel(column) for column in columns.values()], axis=1)
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


def _facts(group: h5py.Group, instance: str) -> Facts:
    def value(name: str):
        dataset = group.get(f"{name}/{instance}")
        return None if dataset is None else np.ravel(dataset[()])[0]

    statement = value("ecg_rest_text")
    if isinstance(statement, bytes):
        statement = statement.decode(errors="replace")
    return Facts(
        rhythm=rhythm_of_text([statement] if statement else []),
        heart_rate=measurement(value("VentricularRate")),
        pr_interval=measurement(value("PQInterval")),
        qrs_duration=measurement(value("QRSDuration")),
        qt_interval=measurement(value("QTInterval")),
    )
