"""The figures of `benchmarks/registration/ecg_alignment.py` on real recordings."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from regreveal.ingest import cardiosoft
from regreveal.registration import QRSAlignment
from regreveal.registration.qrs import detect_beats

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks/registration/ecg_alignment.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("ecg_alignment", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ludb(shared_data, benchmark):
    return benchmark.read_ludb(shared_data / "ecg/ludb/data")


@pytest.fixture(scope="module")
def strip_and_device_median(shared_data):
    recordings = cardiosoft.read(shared_data / "ecg/cardiosoft/example1.xml")
    return [recording.signal / 1000 for recording in recordings]


def test_beats_lie_within_the_complexes_that_cardiologists_marked(ludb, benchmark):
    ecgs, complexes = ludb
    counts = sum(map(benchmark.count_beats, detect_beats(ecgs, 500), complexes))
    assert sum(map(len, complexes)) == 903
    assert benchmark.f1(counts) >= 0.999


def test_noise_adds_few_false_beats(ludb, benchmark):
    ecgs, complexes = ludb
    noisy = ecgs + np.random.default_rng(0).normal(0, 0.05, ecgs.shape).astype(np.float32)
    counts = sum(map(benchmark.count_beats, detect_beats(noisy, 500), complexes))
    assert benchmark.f1(counts) >= 0.999


def test_every_real_recording_aligns_with_its_qrs_at_the_mark(ludb):
    ecgs, complexes = ludb
    registered = QRSAlignment().transform(ecgs)
    assert registered.qc["ok"].all()
    middles = [
        np.mean(spans, axis=1)[np.argmin(np.abs(times[1] - np.mean(spans, axis=1)))] - times[1]
        for times, spans in zip(registered.transforms, complexes, strict=True)
    ]
    # ms from the mark to the middle of the annotated complex, which readers place to some 10 ms.
    assert np.std(middles) * 2 < 8


def test_the_median_beat_is_the_devices(strip_and_device_median, benchmark):
    strip, device = strip_and_device_median
    beat = QRSAlignment().transform(strip[None]).tensors[0]
    by_lead = benchmark.agreement(beat, device)
    assert by_lead.mean() >= 0.998
    assert by_lead.min() >= 0.99


def test_strips_made_of_a_real_beat_are_timed_to_a_tenth_of_a_ms(
    strip_and_device_median, benchmark
):
    _, device = strip_and_device_median
    for rr_sd_ms in (40, 100):
        ecgs, truth = benchmark.device_strips(device, rr_sd_ms, noise_mv=0.1, n=20)
        found = QRSAlignment().transform(ecgs).transforms
        assert benchmark.timing_sd(found, truth) <= 0.15
