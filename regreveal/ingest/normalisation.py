"""From a recording as its file has it to the tensor every later stage expects.

Leads in the order of `LEADS`, millivolts, 500 Hz. What is wrong with a lead decides:

- **missing, or dead** (its range over the recording is under 20 µV, which no heart's is): a limb
  lead is derived exactly from two others, which is flagged. A chest lead cannot be: a recording
  that lacks one is dropped; one with a dead lead is kept and flagged, since the other leads still
  tell rate and intervals, and it is for each registration to say whether it can do without.
  Without any live lead it is dropped.
- **clipped, or flat for 2 s or longer**: kept and flagged. The signal is real but for these
  stretches, and rate and intervals can still be measured, so that is for the analysis to decide.
- **missing samples, an unknown unit, an amplitude that no heart has, under 10 s**: dropped.
"""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from regreveal.ecg_leads import LEADS
from regreveal.ingest.files import UnusableFileError
from regreveal.ingest.recording import Recording

SAMPLING_RATE = 500
SAMPLES = {"rest_10s": 5000, "median": 600}
MARGIN_SECONDS = 1.0  # Of a longer recording, so that the filter's edge lies outside what is kept.

MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "nv": 1e-6}
DEAD_RANGE = 0.02
IMPLAUSIBLE_RANGE = 100.0
FLAT_SECONDS = 2.0

# Hearts vary from beat to beat, so the tops of true waves do not agree to the last digit, and only
# the highest reaches a lead's extreme; a rail cuts beat after beat off at one value. In 1,488 real
# leads no more than 2 waves agree; cut at 60 % of their height, 4 or more do in 91 % of them.
CLIPPED_SECONDS = 0.008
CLIPPED_WAVES = 4
WAVES_APART_SECONDS = 0.2
SATURATED_SECONDS = 0.2
COARSE_LEVELS = 150  # With fewer steps over a lead's range, true waves agree by chance.

LEAD_PREFIX = re.compile(r"^(mdc[_ ]ecg[_ ])?(ecg[_ ])?(lead[_ ]?)?(ml(?=i))?")
ALIASES = {
    **{lead.lower(): lead for lead in LEADS},
    **{f"c{number}": f"V{number}" for number in range(1, 7)},
    **{"di": "I", "dii": "II", "diii": "III"},
}
# Limb leads from I and II: Einthoven (III) and Goldberger (the augmented ones).
LIMB_LEADS = LEADS[:6]
LIMB_FROM_I_AND_II = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])


def normalise(recording: Recording) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bring a recording to 12 ordered leads in mV at 500 Hz.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    tensor : ndarray of float32, shape (5000, 12), or (600, 12) for a median beat
    flags : tuple of str
        The recording's own, and what was found here.

    Raises
    ------
    UnusableFileError
        By the rules above.
    """
    where = recording.sample_id
    recording = _first_seconds(recording)
    flags = list(recording.flags)
    columns, others = _columns(recording)
    if others:
        flags.append("other leads left out")

    dead = [lead for lead in LEADS if lead in columns and np.ptp(columns[lead]) < DEAD_RANGE]
    live = {lead: column for lead, column in columns.items() if lead not in dead}
    derived = _derive_limb_leads(live)
    if derived:
        flags.append(f"limb lead derived: {' '.join(derived)}")
    missing = [lead for lead in LEADS if lead not in live]
    if [lead for lead in missing if lead not in dead]:
        raise UnusableFileError(where, "missing lead", " ".join(missing))
    if not live:
        raise UnusableFileError(where, "dead lead", " ".join(missing))
    if missing:
        flags.append(f"dead lead: {' '.join(missing)}")
        live |= {lead: columns[lead] for lead in missing}

    clipped = [lead for lead in LEADS if is_clipped(live[lead], recording.sampling_rate)]
    if clipped:
        flags.append(f"clipped lead: {' '.join(clipped)}")
    flat = [
        lead
        for lead in LEADS
        if lead not in missing and _is_flat_for_long(live[lead], recording.sampling_rate)
    ]
    if flat:
        flags.append(f"flat for over 2 s: {' '.join(flat)}")
    if recording.sampling_rate != SAMPLING_RATE:
        flags.append(f"resampled: from {recording.sampling_rate:g} Hz")

    signal = np.stack([live[lead] for lead in LEADS], axis=1)
    signal = resample(signal, recording.sampling_rate)[: SAMPLES[recording.kind]]
    return signal.astype(np.float32), tuple(flags)


def standard_lead(name: str) -> tuple[str, int] | None:
    """Give the standard name of a lead.

    Parameters
    ----------
    name : str
        Such as "MLII", "AVR", "Lead I (Einthoven)", "MDC_ECG_LEAD_V1", "C3" or "-aVR".

    Returns
    -------
    tuple of str and int, or None
        One of `LEADS`, and −1 where the lead is upside down, as Cabrera's −aVR; None where it is
        not one of the twelve.
    """
    text = re.sub(r"\(.*?\)", "", name).strip().lower()
    text = LEAD_PREFIX.sub("", text).strip()
    sign = -1 if text.startswith("-") else 1
    lead = ALIASES.get(text.removeprefix("-"))
    return None if lead is None else (lead, sign)


def resample(signal: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Resample to 500 Hz by a polyphase filter, which removes what 500 Hz cannot hold.

    Parameters
    ----------
    signal : ndarray, shape (samples, leads)
    sampling_rate : float
        In hertz.

    Returns
    -------
    ndarray, shape (samples × 500 / sampling_rate, leads)
    """
    ratio = (Fraction(SAMPLING_RATE) / Fraction(sampling_rate)).limit_denominator(1000)
    if ratio == 1:
        return signal
    # Beyond its ends the signal is taken to go on along its own trend: zeros would bend them.
    return resample_poly(signal, ratio.numerator, ratio.denominator, axis=0, padtype="line")


def is_clipped(samples: np.ndarray, sampling_rate: float) -> bool:
    """Tell whether a lead runs into a rail.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
        As digitised: filtering would round the corners off.
    sampling_rate : float

    Returns
    -------
    bool
        True where four waves or more are cut off at exactly the highest or exactly the lowest
        value, for 8 ms or longer each, or where the lead stays there for 200 ms. False where the
        lead is digitised too coarsely to tell.
    """
    levels = np.unique(samples)
    if len(levels) < 2 or np.ptp(levels) < COARSE_LEVELS * np.diff(levels).min():
        return False
    starts, lengths = _constant_runs(samples)
    for rail in (levels[0], levels[-1]):
        at_rail = samples[starts] == rail
        if lengths[at_rail].max() >= SATURATED_SECONDS * sampling_rate:
            return True
        cut = starts[at_rail & (lengths >= max(3, CLIPPED_SECONDS * sampling_rate))]
        waves = 1 + np.count_nonzero(np.diff(cut) > WAVES_APART_SECONDS * sampling_rate)
        if len(cut) and waves >= CLIPPED_WAVES:
            return True
    return False


def _first_seconds(recording: Recording) -> Recording:
    """Cut a strip to 10 s (and a margin), in its own sampling rate."""
    rate, kind = recording.sampling_rate, recording.kind
    if not (np.isfinite(rate) and rate > 0):
        raise UnusableFileError(recording.sample_id, "unreadable file", f"sampling rate {rate} Hz")
    seconds = len(recording.signal) / rate
    wanted = SAMPLES[kind] / SAMPLING_RATE
    tolerance = 0.5 / SAMPLING_RATE
    if seconds < wanted - tolerance:
        raise UnusableFileError(
            recording.sample_id, f"shorter than {wanted:g} s", f"{seconds:.4g} s"
        )
    if seconds < wanted + tolerance:
        return recording
    if kind == "median":
        raise UnusableFileError(recording.sample_id, "median of another length", f"{seconds:.4g} s")
    kept = int(np.ceil((wanted + MARGIN_SECONDS) * rate))
    return replace(
        recording,
        signal=recording.signal[:kept],
        flags=(*recording.flags, "longer than 10 s: its start is used"),
    )


def _columns(recording: Recording) -> tuple[dict[str, np.ndarray], list[str]]:
    """Each standard lead's samples in mV, and the names of the other leads."""
    columns, others = {}, []
    for name, units, column in zip(
        recording.leads, recording.units, recording.signal.T, strict=True
    ):
        standard = standard_lead(name)
        if standard is None:
            others.append(name)
            continue
        lead, sign = standard
        if lead in columns:
            raise UnusableFileError(recording.sample_id, "lead given twice", lead)
        millivolts = MILLIVOLTS.get(units.strip().lower().replace("µ", "u").replace("μ", "u"))
        if millivolts is None:
            raise UnusableFileError(
                recording.sample_id, "unknown units", f"lead {lead} is in '{units}'"
            )
        column = column.astype(np.float64) * (sign * millivolts)
        if not np.isfinite(column).all():
            raise UnusableFileError(recording.sample_id, "missing samples", f"in lead {lead}")
        if np.ptp(column) > IMPLAUSIBLE_RANGE:
            raise UnusableFileError(
                recording.sample_id,
                "implausible amplitude",
                f"lead {lead} spans {np.ptp(column):.3g} mV; check the units",
            )
        columns[lead] = column
    return columns, others


def _derive_limb_leads(columns: dict[str, np.ndarray]) -> list[str]:
    """Add the limb leads that are not there, if two are, and name those added."""
    known = [lead for lead in LIMB_LEADS if lead in columns][:2]
    absent = [lead for lead in LIMB_LEADS if lead not in columns]
    if len(known) < 2:
        return []
    rows = [LIMB_LEADS.index(lead) for lead in known]
    i_and_ii = np.linalg.solve(LIMB_FROM_I_AND_II[rows], np.stack([columns[k] for k in known]))
    for lead in absent:
        columns[lead] = LIMB_FROM_I_AND_II[LIMB_LEADS.index(lead)] @ i_and_ii
    return absent


def _is_flat_for_long(samples: np.ndarray, sampling_rate: float) -> bool:
    return _constant_runs(samples)[1].max() >= FLAT_SECONDS * sampling_rate


def _constant_runs(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and length of every run of equal samples."""
    starts = np.append(0, np.flatnonzero(np.diff(samples)) + 1)
    return starts, np.diff(np.append(starts, len(samples)))
