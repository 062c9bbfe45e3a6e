"""Measure QRS alignment: beats found on LUDB, timing on phantoms, the median beat of a device.

    python benchmarks/registration/ecg_alignment.py --data ../shared/data

`--data` is a folder with `ecg/ludb/data` (WFDB records of the Lobachevsky University Database) and
`ecg/cardiosoft/example1.xml`. Each figure is printed beside what it has to reach and references.

How well a beat can be timed depends on how steep its QRS complexes are in how many leads: the lower
bound printed is Cramér and Rao's, which no method passes. It is over 0.15 ms for most of the
simulated people (and of LUDB's) with 0.1 mV of white noise.
"""

import argparse
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import wfdb
from scipy.interpolate import CubicSpline

from regreveal.ingest import cardiosoft
from regreveal.registration import QRSAlignment
from regreveal.registration.qrs import FIDUCIAL_SAMPLE, detect_beats
from regreveal.simulation.ecg import phantom

RATE = 500
TOLERANCE = 10  # samples, 20 ms
LEADS_THAT_AGREE = 6
SAME_COMPLEX = 75  # samples between the marks of one complex in different leads, at most
# The leads that are measured; the other four are sums of I and II, noise included.
INDEPENDENT_LEADS = [0, 1, 6, 7, 8, 9, 10, 11]


def read_ludb(folder: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Read recordings (n, 5000, 12) in mV, and onset and offset of each QRS complex in each."""
    names = sorted((path.with_suffix("") for path in folder.glob("*.hea")), key=lambda p: p.name)
    records = [wfdb.rdrecord(str(name)) for name in names]
    ecgs = np.stack([record.p_signal for record in records]).astype(np.float32)
    return ecgs, [
        annotated_complexes(name, record.sig_name)
        for name, record in zip(names, records, strict=True)
    ]


def annotated_complexes(name: Path, leads: list[str]) -> np.ndarray:
    """Median onset and offset over leads, of complexes that enough leads have: (beats, 2)."""
    marks = []
    for lead in leads:
        annotation = wfdb.rdann(str(name), lead.lower())
        symbols, samples = annotation.symbol, annotation.sample
        for k in np.flatnonzero(np.array(symbols) == "N"):
            onset = samples[k - 1] if symbols[max(k - 1, 0)] == "(" else np.nan
            offset = samples[k + 1] if symbols[k + 1 : k + 2] == [")"] else np.nan
            marks.append((samples[k], onset, offset, lead))
    marks.sort()
    groups = [[marks[0]]]
    for before, mark in pairwise(marks):
        if mark[0] - before[0] > SAME_COMPLEX:
            groups.append([])
        groups[-1].append(mark)
    agreed = [group for group in groups if len({m[3] for m in group}) >= LEADS_THAT_AGREE]
    return np.array([np.nanmedian([m[1:3] for m in group], axis=0) for group in agreed])


def count_beats(found: np.ndarray, complexes: np.ndarray) -> np.ndarray:
    """Count true, false and missed detections between the first and the last complex."""
    first, last = complexes[:, 0] - TOLERANCE, complexes[:, 1] + TOLERANCE
    found = found[(found >= first[0]) & (found <= last[-1])]
    inside = (found[:, None] >= first) & (found[:, None] <= last)
    right = inside.any(axis=0).sum()
    return np.array([right, len(found) - right, len(complexes) - right])


def f1(counts: np.ndarray) -> float:
    """F1 of true, false and missed detections."""
    return 2 * counts[0] / (2 * counts[0] + counts[1] + counts[2])


def timing_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Errors in ms of detected beat times, less the recording's constant offset.

    Detections over 50 ms off are no beats at all, and counted elsewhere.
    """
    errors = (found - truth[np.argmin(np.abs(found[:, None] - truth), axis=1)]) * 1000 / RATE
    errors = errors[np.abs(errors - np.median(errors)) < 50]
    return errors - errors.mean()


def timing_sd(found: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """SD of timing errors in ms, pooled over recordings."""
    return float(np.concatenate(list(map(timing_errors, found, truth))).std())


def timing_bound(beats: np.ndarray, leads: list[int], noise_mv: float) -> float:
    """SD in ms that no unbiased estimate beats when the shape is known: Cramér and Rao's bound.

    `beats` (n, samples, leads) are without noise; `leads` are those with noise of their own.
    """
    slope = np.gradient(beats.astype(float)[..., leads], axis=1) * RATE / 1000
    return float(np.sqrt(np.mean(noise_mv**2 / np.square(slope).sum(axis=(1, 2)))))


def phantom_timing(rr_sd_ms: float, noise_mv: float = 0.1, n: int = 200) -> dict[str, float]:
    """Time simulated people's beats: SD in ms of this alignment and of neurokit2, and the bound."""
    ecgs, truth = phantom(n, np.random.default_rng(11), noise_mv=noise_mv, rr_sd_ms=rr_sd_ms)
    clean, _ = phantom(n, np.random.default_rng(11), noise_mv=0.0, rr_sd_ms=rr_sd_ms)
    middle = [round(times[len(times) // 2]) for times in truth]
    beats = np.stack([ecg[m - 50 : m + 51] for ecg, m in zip(clean, middle, strict=True)])
    return {
        "ours": timing_sd(QRSAlignment(RATE).transform(ecgs).transforms, truth),
        "neurokit2": timing_sd([neurokit_peaks(ecg) for ecg in ecgs], truth),
        "bound": timing_bound(beats, INDEPENDENT_LEADS, noise_mv),
    }


def device_strips(
    beat: np.ndarray, rr_sd_ms: float, noise_mv: float, n: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make strips of a real beat (600, 12) at known times, with white noise on every lead."""
    rng = np.random.default_rng(12)
    shape = CubicSpline(np.arange(len(beat)), beat - beat[0])
    window = np.arange(len(beat) - 1)
    ecgs = rng.normal(0, noise_mv, (n, 5000, 12))
    truth = []
    for ecg in ecgs:
        intervals = np.maximum(rng.normal(1200, rr_sd_ms, 12), 800) * RATE / 1000
        starts = np.cumsum(intervals) - rng.uniform(0, 400)
        starts = starts[starts < len(ecg) - len(beat)]
        for start in starts:
            first = int(np.ceil(start))
            ecg[first + window] += shape(window + first - start)
        truth.append(starts + FIDUCIAL_SAMPLE)
    return ecgs, truth


def device_timing(
    beat: np.ndarray, rr_sd_ms: float, noise_mv: float = 0.1, n: int = 100
) -> dict[str, float]:
    """Time strips made of a real beat: SD in ms of this alignment and neurokit2, and the bound."""
    ecgs, truth = device_strips(beat, rr_sd_ms, noise_mv, n)
    return {
        "ours": timing_sd(QRSAlignment(RATE).transform(ecgs).transforms, truth),
        "neurokit2": timing_sd([neurokit_peaks(ecg) for ecg in ecgs], truth),
        "bound": timing_bound(beat[None], list(range(12)), noise_mv),
    }


def neurokit_peaks(ecg: np.ndarray) -> np.ndarray:
    """R peaks of lead II by neurokit2's default pipeline."""
    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaned = neurokit2.ecg_clean(ecg[:, 1], sampling_rate=RATE)
        _, found = neurokit2.ecg_peaks(cleaned, sampling_rate=RATE)
    return np.asarray(found["ECG_R_Peaks"])


def agreement(beat: np.ndarray, device: np.ndarray, largest: float = 20.0) -> np.ndarray:
    """Correlation of each lead with the device's, at the one shift that suits all leads best."""
    edge = int(largest) + 1
    inner = np.arange(edge, len(beat) - edge)
    curve = CubicSpline(np.arange(len(beat)), beat)
    shifted = (curve(inner + shift) for shift in np.arange(-largest, largest, 0.1))
    by_lead = [
        np.array([np.corrcoef(ours, theirs)[0, 1] for ours, theirs in zip(m.T, d.T, strict=True)])
        for m, d in ((moved, device[inner]) for moved in shifted)
    ]
    return max(by_lead, key=np.mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ecg/")
    data = parser.parse_args().data

    ecgs, complexes = read_ludb(data / "ecg/ludb/data")
    ours = sum(map(count_beats, detect_beats(ecgs, RATE), complexes))
    neurokit = sum(map(count_beats, map(neurokit_peaks, ecgs), complexes))
    row("", "ours", "to reach", "neurokit2, II", "lower bound")
    row(
        "LUDB beats, F1 (true/false/missed)",
        f"{f1(ours):.4f} ({'/'.join(map(str, ours))})",
        ">= 0.999",
        f"{f1(neurokit):.4f}",
    )

    recordings = cardiosoft.read(data / "ecg/cardiosoft/example1.xml")
    strip, device = (recording.signal / 1000 for recording in recordings)
    for rr_sd_ms in (40, 100):
        for name, timing in (
            ("simulated people", phantom_timing(rr_sd_ms)),
            ("CardioSoft's median beat", device_timing(device, rr_sd_ms)),
        ):
            row(
                f"timing SD, ms: {name}, RR SD {rr_sd_ms} ms",
                f"{timing['ours']:.3f}",
                "<= 0.15",
                f"{timing['neurokit2']:.3f}",
                f"{timing['bound']:.3f}",
            )

    by_lead = agreement(QRSAlignment(RATE).transform(strip[None]).tensors[0], device)
    row("device's median beat, mean correlation", f"{by_lead.mean():.5f}", ">= 0.998")
    row("device's median beat, worst lead", f"{by_lead.min():.5f}", ">= 0.99")

    started = time.process_time()
    QRSAlignment(RATE).transform(ecgs)
    each = (time.process_time() - started) * 1000 / len(ecgs)
    row("ms of one core a recording", f"{each:.1f}", "<= 15")


def row(what, *figures) -> None:
    print(f"{what:58}" + "".join(f"{figure:>22}" for figure in figures))


if __name__ == "__main__":
    main()
