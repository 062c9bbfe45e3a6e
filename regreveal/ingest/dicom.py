"""DICOM 12-lead ECG waveforms.

The rhythm strip is the original waveform with the most samples; a derived one labelled as a median
or representative beat is the device's own median.
"""

import re
from pathlib import Path

import numpy as np
import pydicom

from regreveal.ingest.dicom_files import open_dataset, reading, recognises
from regreveal.ingest.facts import age_in_years, measurement, rhythm_of_text, sex_of
from regreveal.ingest.files import UnusableFileError, identity
from regreveal.ingest.recording import Facts, Recording

__all__ = ["NAME", "read", "recognises"]

NAME = "dicom"
LARGEST_FILE = 1 << 26  # A strip of 12 leads has 0.1 MB.
MEDIAN_LABEL = re.compile(r"median|average|representative|template", re.IGNORECASE)

# DICOM PS3.16, CID 3001: leads carry SCP-ECG's numbers, as "2:61" (MDC) or "5.6.3-9-61" (SCPECG).
LEAD_CODE = re.compile(r"(2:|5\.6\.3-9-)(?P<number>\d+)")
LEAD_OF_NUMBER = {
    **{1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR"},
    **{number: f"V{number - 2}" for number in range(3, 9)},
}
MEASUREMENTS = {
    "heart_rate": re.compile(r"(ventricular )?(heart )?rate", re.IGNORECASE),
    "pr_interval": re.compile(r"P[RQ] interval( global)?", re.IGNORECASE),
    "qrs_duration": re.compile(r"QRS (duration|interval)( global)?", re.IGNORECASE),
    "qt_interval": re.compile(r"QT interval( global)?", re.IGNORECASE),
    "rr_interval": re.compile(r"(mean )?RR interval( global)?", re.IGNORECASE),
}


def read(path: Path) -> list[Recording]:
    """Read the rhythm strip and, where there is one, the median beat.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Recording

    Raises
    ------
    UnusableFileError
        If the file is damaged or truncated, or holds no waveform.
    """
    # All of it is parsing: pydicom decodes an element when it is asked for.
    with reading(path):
        dataset = open_dataset(path, LARGEST_FILE)
        if "WaveformSequence" not in dataset:
            raise UnusableFileError(path, "no waveform", "DICOM of another kind than an ECG")
        return _recordings(path, dataset)


def _recordings(path: Path, dataset: pydicom.Dataset) -> list[Recording]:
    facts = _facts(dataset)
    strips, medians = [], []
    for index, group in enumerate(dataset.WaveformSequence):
        is_median = MEDIAN_LABEL.search(group.get("MultiplexGroupLabel", "") or "")
        channels, signal = group.ChannelDefinitionSequence, _signal(dataset, index)
        if len(channels) != signal.shape[1]:
            raise UnusableFileError(
                path,
                "unreadable file",
                f"a waveform of {signal.shape[1]} channels, of which {len(channels)} are described",
            )
        (medians if is_median else strips).append(
            Recording(
                signal=signal,
                leads=tuple(map(_lead, channels)),
                units=tuple(map(_units, channels)),
                sampling_rate=float(group.SamplingFrequency),
                sample_id=identity(path)[0],
                kind="median" if is_median else "rest_10s",
                facts=facts,
            )
        )
    if not strips:
        raise UnusableFileError(path, "no 10 s strip", "its only waveform is a median beat")
    longest = max(strips, key=lambda strip: strip.signal.size)
    return [longest, *medians[:1]]


def _signal(dataset: pydicom.Dataset, index: int) -> np.ndarray:
    """Waveform in the units of each channel's sensitivity, NaN where padded."""
    signal = dataset.waveform_array(index).astype(np.float64)
    padding = dataset.WaveformSequence[index].get("WaveformPaddingValue")
    if padding is None:
        return signal
    raw = pydicom.waveforms.multiplex_array(dataset, index, as_raw=True)
    if isinstance(padding, bytes):
        padding = np.frombuffer(padding[: raw.itemsize], dtype=raw.dtype)[0]
    return np.where(raw == padding, np.nan, signal)


def _lead(channel: pydicom.Dataset) -> str:
    source = channel.ChannelSourceSequence[0]
    code = LEAD_CODE.fullmatch(source.get("CodeValue") or "")
    number = code and int(code["number"])
    return LEAD_OF_NUMBER.get(number) or str(source.get("CodeMeaning") or "")


def _units(channel: pydicom.Dataset) -> str:
    if "ChannelSensitivityUnitsSequence" not in channel:
        return ""
    return str(channel.ChannelSensitivityUnitsSequence[0].get("CodeValue") or "")


def _facts(dataset: pydicom.Dataset) -> Facts:
    measured, statements = {}, []
    for annotation in dataset.get("WaveformAnnotationSequence", []):
        if annotation.get("UnformattedTextValue"):
            statements.append(annotation.UnformattedTextValue)
        if "NumericValue" in annotation and "ConceptNameCodeSequence" in annotation:
            meaning = annotation.ConceptNameCodeSequence[0].get("CodeMeaning", "")
            for name, pattern in MEASUREMENTS.items():
                if pattern.fullmatch(meaning.strip()):
                    measured.setdefault(name, measurement(annotation.NumericValue))
    rr_interval = measured.pop("rr_interval", None)
    if measured.get("heart_rate") is None and rr_interval is not None:
        measured["heart_rate"] = 60_000 / rr_interval
    return Facts(
        age=age_in_years(dataset.get("PatientAge")),
        sex=sex_of(dataset.get("PatientSex")),
        rhythm=rhythm_of_text(statements),
        **measured,
    )
