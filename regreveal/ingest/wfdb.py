"""WFDB records: a header (.hea) with its signals in .dat or .mat files.

Understood in headers: age and sex in comments of any common spelling, rhythm as SNOMED codes
("Dx:", PhysioNet/CinC Challenges) or as text ("Rhythm:", the Lobachevsky database, LUDB). Where
cardiologists delineated every lead in an annotation file named after it (LUDB), QRS duration and
heart rate are taken from there.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import wfdb

from regreveal.ingest.facts import age_in_years, rhythm_of_text, sex_of
from regreveal.ingest.files import PARSER_ERRORS, UnusableFileError, identity, parsing
from regreveal.ingest.recording import Facts, Recording

NAME = "wfdb"
RECORD_LINE = re.compile(r"\S+\s+\d+(\s+\S+)*\s*")
SECONDS_READ = 12  # A Holter recording is not read whole for its first ten seconds.
GAIN = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# WFDB header specification, "Signal specification lines"; FLAC (508 to 524) since version 10.7.
# Samples a frame, skew and offset are allocated by: what has more digits is damaged or hostile.
FORMAT = re.compile(r"(?P<code>\d+)(x\d{1,3})?(:\d{1,6})?(\+\d{1,12})?$")
# wfdb takes names with "::" for addresses on the network.
SIGNAL_FILE = re.compile(r"[^/\\:]+")
SAMPLE_FORMATS = {
    *("8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524")
}
UNSCALED_MILLIVOLTS = 0.001

SINUS_CODES = {
    "426783006": "sinus rhythm",
    "426177001": "sinus bradycardia",
    "427084000": "sinus tachycardia",
    "427393009": "sinus arrhythmia",
}
OTHER_RHYTHM_CODES = {
    "164889003": "atrial fibrillation",
    "164890007": "atrial flutter",
    "195080001": "atrial fibrillation and flutter",
    "426749004": "chronic atrial fibrillation",
    "314208002": "rapid atrial fibrillation",
    "713422000": "atrial tachycardia",
    "106068003": "atrial rhythm",
    "233892002": "accelerated atrial escape rhythm",
    "195101003": "wandering atrial pacemaker",
    "17366009": "sinus atrium to atrial wandering rhythm",
    "426761007": "supraventricular tachycardia",
    "67198005": "paroxysmal supraventricular tachycardia",
    "251166008": "atrioventricular nodal reentry tachycardia",
    "233897008": "atrioventricular reentry tachycardia",
    "29320008": "atrioventricular junctional rhythm",
    "426995002": "junctional escape",
    "426664006": "accelerated junctional rhythm",
    "426648003": "junctional tachycardia",
    "49260003": "idioventricular rhythm",
    "61277005": "accelerated idioventricular rhythm",
    "81898007": "ventricular escape rhythm",
    "164895002": "ventricular tachycardia",
    "425856008": "paroxysmal ventricular tachycardia",
    "111288001": "ventricular flutter",
    "164896001": "ventricular fibrillation",
    "10370003": "pacing rhythm",
    "251268003": "atrial pacing pattern",
    "251266004": "ventricular pacing pattern",
}

QRS_SPREAD_SECONDS = 0.1  # Peaks of one beat in different leads lie closer together than this.
LEADS_TO_TRUST_A_BEAT = 6


def recognises(path: Path) -> bool:
    """Tell whether a file is a WFDB header, by its suffix and its record line."""
    if path.suffix != ".hea":
        return False
    lines = _header_lines(path)
    return bool(lines) and RECORD_LINE.fullmatch(lines[0]) is not None


def signal_files(path: Path) -> set[Path]:
    """Files that a header names as holding its signals."""
    return {path.parent / line.split()[0] for line in _header_lines(path)[1:]}


def read(path: Path) -> list[Recording]:
    """Read a record's strip.

    Parameters
    ----------
    path : Path
        The header.

    Returns
    -------
    list of Recording

    Raises
    ------
    UnusableFileError
        If the header cannot be understood, or a signal file is missing or too short for it.
    """
    name = str(path.with_suffix(""))
    with parsing(path):
        _check_header(path)
        header = wfdb.rdheader(name)
        if isinstance(header, wfdb.MultiRecord):
            raise UnusableFileError(path, "several segments", "convert it to one segment first")
        end = header.sig_len and min(header.sig_len, math.ceil(SECONDS_READ * header.fs))
        try:
            record = wfdb.rdrecord(name, sampto=end, physical=False)
        except FileNotFoundError as error:
            raise UnusableFileError(
                path, "signal file missing", f"the header names {Path(error.filename).name}"
            ) from error
        if record.d_signal is None or len(record.d_signal) < (end or 1):
            raise UnusableFileError(path, "unreadable file", "its signal file is truncated")
        physical = record.dac()

    signal, units, flags = _calibrated(path, record, physical)
    facts, fact_flags = _facts(record.comments or [])
    measured, annotation_flags = _delineated(path, record)
    return [
        Recording(
            signal=signal,
            leads=tuple(name or "" for name in record.sig_name),
            units=units,
            sampling_rate=float(record.fs),
            sample_id=identity(path)[0],
            kind="rest_10s",
            facts=replace(facts, **measured),
            flags=flags + fact_flags + annotation_flags,
        )
    ]


def _check_header(path: Path) -> None:
    """Refuse a header before anything is read or allocated by what it says."""
    record, *signals = _header_lines(path)
    counted = int(record.split()[1])
    # Of several segments, the lines are not of signals.
    if "/" not in record.split()[0] and counted != len(signals):
        raise UnusableFileError(
            path,
            "unreadable file",
            f"the header counts {counted} signals and describes {len(signals)}",
        )
    for line in signals if "/" not in record.split()[0] else ():
        file, sample_format = [*line.split(), "", ""][:2]
        if not SIGNAL_FILE.fullmatch(file):
            raise UnusableFileError(
                path, "unsafe file", "the header names a signal file by a path; put it beside it"
            )
        matched = FORMAT.match(sample_format)
        if matched is None or matched["code"] not in SAMPLE_FORMATS:
            raise UnusableFileError(
                path, "unreadable file", "the header names a sample format that WFDB does not have"
            )


def _header_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _calibrated(
    path: Path, record: wfdb.Record, signal: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    digital = np.asarray(record.d_signal)
    units = tuple(record.units)
    if _scaled_to_unit_range(record, digital):
        return (
            np.where(np.isnan(signal), np.nan, digital * UNSCALED_MILLIVOLTS),
            ("mV",) * digital.shape[1],
            ("gains only scale each lead to 1 mV: read as 1 uV a unit",),
        )
    if not all(_has_gain(line) for line in _header_lines(path)[1:]):
        # The format's rule for readers; wfdb has applied it.
        return signal, units, ("no gain in the header: read as 200 units per mV",)
    return signal, units, ()


def _has_gain(signal_line: str) -> bool:
    """Tell whether a signal line gives a gain; 0 stands for none."""
    fields = signal_line.split()
    gain = GAIN.match(fields[2]) if len(fields) > 2 else None
    return gain is not None and float(gain[0]) > 0


def _scaled_to_unit_range(record: wfdb.Record, digital: np.ndarray) -> bool:
    """Tell gains that are no calibration: each makes its own lead's range exactly one millivolt.

    LUDB is published so. Its samples obey Einthoven's law, III = II − I, only before these gains
    are applied: they are microvolts, and the gains would lose every lead's true amplitude.
    """
    gains = np.asarray(record.adc_gain, dtype=np.float64)
    whole = len(digital) == (record.sig_len or len(digital))
    return whole and len(gains) > 1 and bool(np.all(np.abs(np.ptp(digital, axis=0) - gains) <= 1))


def _facts(comments: list[str]) -> tuple[Facts, tuple[str, ...]]:
    said = {}
    for comment in comments:
        key, colon, value = comment.partition(":")
        if colon:
            said.setdefault(key.strip(" <>#").lower(), value.strip())
    rhythm, flags = None, ()
    if "dx" in said:
        codes = {code.strip() for code in said["dx"].split(",")}
        named = {
            name
            for name, known in (("sinus", SINUS_CODES), ("other", OTHER_RHYTHM_CODES))
            if codes & known.keys()
        }
        rhythm = named.pop() if len(named) == 1 else None
        flags = ("rhythm codes contradict each other",) if len(named) == 2 else ()
    elif "rhythm" in said:
        rhythm = rhythm_of_text([said["rhythm"]])
    facts = Facts(age=age_in_years(said.get("age")), sex=sex_of(said.get("sex")), rhythm=rhythm)
    return facts, flags


def _delineated(path: Path, record: wfdb.Record) -> tuple[dict[str, float], tuple[str, ...]]:
    """QRS duration and heart rate from one annotation file a lead, where there are such files.

    A file that cannot be read costs these two, not the signal, and is flagged.
    """
    complexes = []
    leads = dict.fromkeys(name.lower() for name in record.sig_name if name)
    # A lead of another name, such as "V1/V2", cannot be a suffix.
    for lead in filter(str.isalnum, leads):
        if path.with_suffix(f".{lead}").is_file():
            try:
                complexes += _qrs_complexes(path, lead)
            except PARSER_ERRORS:
                return {}, (f"unreadable annotation: {lead}",)
    beats = _beats_over_leads(complexes, QRS_SPREAD_SECONDS * record.fs)
    measured = {}
    if beats:
        durations = [np.median(offsets) - np.median(onsets) for onsets, _, offsets in beats]
        measured["qrs_duration"] = float(np.median(durations)) * 1000 / record.fs
    if len(beats) > 1:
        peaks = [np.median(peaks) for _, peaks, _ in beats]
        measured["heart_rate"] = 60 * record.fs * (len(peaks) - 1) / (peaks[-1] - peaks[0])
    return measured, ()


def _qrs_complexes(path: Path, lead: str) -> list[tuple[int, int, int]]:
    """Onset, peak and offset of every complex one lead's file delineates, in samples."""
    annotation = wfdb.rdann(str(path.with_suffix("")), lead)
    marks = list(zip(annotation.symbol, annotation.sample.tolist(), strict=True))
    return [
        (before[1], peak[1], after[1])
        for before, peak, after in zip(marks, marks[1:], marks[2:], strict=False)
        if (before[0], peak[0], after[0]) == ("(", "N", ")")
    ]


def _beats_over_leads(
    complexes: list[tuple[int, int, int]], spread: float
) -> list[tuple[tuple[int, ...], ...]]:
    """Join the complexes of all leads into beats, keeping those that enough leads agree on."""
    groups: list[list[tuple[int, int, int]]] = []
    for one in sorted(complexes, key=lambda marks: marks[1]):
        if groups and one[1] - groups[-1][-1][1] < spread:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [
        tuple(zip(*group, strict=True)) for group in groups if len(group) >= LEADS_TO_TRUST_A_BEAT
    ]
