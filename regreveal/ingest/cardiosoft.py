"""CardioSoft XML, the format of resting ECGs in UK Biobank (field 20205).

One file has a 10 s strip of 12 leads, the device's own median beat, and what the device measured;
samples are integers in steps of `Resolution` (5 µV).
"""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from regreveal.ingest.facts import age_in_years, measurement, rhythm_of_text, sex_of
from regreveal.ingest.files import UnusableFileError, identity, parsing
from regreveal.ingest.recording import Facts, Recording

NAME = "cardiosoft"
LARGEST_FILE = 1 << 26  # A strip with its median has 0.5 MB.
LONGEST_COUNT = 20  # Digits; Python makes no number of some thousands.
RESOLUTION_UNITS = re.compile(r"(?P<units>[num]?V)perLsb", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """Tell whether a file is CardioSoft XML, by its first bytes."""
    with open(path, "rb") as file:
        return b"<CardiologyXML" in file.read(4096)


def read(path: Path) -> list[Recording]:
    """Read the strip and, where there is one, the device's median beat.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Recording

    Raises
    ------
    UnusableFileError
        If the XML is broken, has a document type or entities (which could pull in other files),
        or has no whole strip.
    """
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise UnusableFileError(
            path, "unreadable file", f"{size / 2**20:,.0f} MB, larger than any recording"
        )
    with parsing(path, ParseError):
        try:
            root = parse(path, forbid_dtd=True).getroot()
        except DefusedXmlException as error:
            raise UnusableFileError(
                path,
                "unsafe XML",
                f"it declares a document type or entities ({type(error).__name__})",
            ) from error

    facts = _facts(root)
    strip = root.find("StripData")
    if strip is None:
        raise UnusableFileError(path, "no 10 s strip", "no element StripData")
    recordings = [_recording(path, strip, "rest_10s", facts)]
    median = root.find("RestingECGMeasurements/MedianSamples")
    if median is not None and median.find("WaveformData") is not None:
        recordings.append(_recording(path, median, "median", facts))
    return recordings


def _recording(path: Path, element: Element, kind: str, facts: Facts) -> Recording:
    resolution = element.find("Resolution")
    units = RESOLUTION_UNITS.fullmatch("" if resolution is None else resolution.get("units", ""))
    if units is None:
        raise UnusableFileError(
            path, "unknown units", f"{element.tag} has no Resolution in units such as uVperLsb"
        )
    waveforms = element.findall("WaveformData")
    try:
        step = float(resolution.text)
        sampling_rate = float(element.findtext("SampleRate", ""))
        columns = [_samples(waveform.text or "") for waveform in waveforms]
    except (TypeError, ValueError) as error:
        # The error's own text is left out, since it quotes the file.
        raise UnusableFileError(
            path, "unreadable file", f"{element.tag}: a sample, rate or resolution is no number"
        ) from error
    lengths = {len(column) for column in columns}
    announced = element.findtext("ChannelSampleCountTotal", "")[:LONGEST_COUNT]
    if len(lengths) != 1 or (announced.isdecimal() and lengths != {int(announced)}):
        found = ", ".join(map(str, sorted(lengths))) or "no"
        raise UnusableFileError(
            path,
            "unreadable file",
            f"{element.tag}: leads of {found} samples; expected {announced or 'one length'}",
        )
    return Recording(
        signal=np.stack(columns, axis=1) * step,
        leads=tuple(waveform.get("lead", "") for waveform in waveforms),
        units=(units["units"],) * len(waveforms),
        sampling_rate=sampling_rate,
        sample_id=identity(path)[0],
        kind=kind,
        facts=facts,
    )


def _samples(text: str) -> np.ndarray:
    return np.array(text.strip().strip(",").split(","), dtype=np.float64)


def _facts(root: Element) -> Facts:
    measured = {
        name: measurement(root.findtext(f"RestingECGMeasurements/{tag}"))
        for name, tag in (
            ("heart_rate", "VentricularRate"),
            ("pr_interval", "PQInterval"),
            ("qrs_duration", "QRSDuration"),
            ("qt_interval", "QTInterval"),
        )
    }
    age = root.find("PatientInfo/Age")
    unit = "" if age is None else age.get("units", "YEARS")[:1]
    statements = [
        element.text or ""
        for path in ("Interpretation/Diagnosis/DiagnosisText", "Interpretation/Conclusion/*")
        for element in root.findall(path)
    ]
    return Facts(
        age=None if age is None else age_in_years(f"{(age.text or '').strip()}{unit}"),
        sex=sex_of(root.findtext("PatientInfo/Gender")),
        rhythm=rhythm_of_text(statements),
        **measured,
    )
