import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from regreveal.errors import InputError
from regreveal.registration.qrs import detect_beats
from regreveal.simulation.ecg import phantom


@pytest.fixture(scope="module")
def people():
    return phantom(12, np.random.default_rng(3), noise_mv=0.03, rr_sd_ms=100.0)


def assert_found(found, truth, tolerance):
    """Every beat but those cut by the ends is found once, and nothing else."""
    for beats, times in zip(found, truth, strict=True):
        inner = times[(times > 100) & (times < 4900)]
        assert beats.dtype.kind == "i"
        assert (np.diff(beats) > 0).all()
        distance = np.abs(beats[:, None] - times)
        assert (distance.min(axis=1) <= tolerance).all()
        assert (np.abs(inner[:, None] - beats).min(axis=1) <= tolerance).all()


def test_all_beats_and_only_beats_are_found(people):
    ecg, truth = people
    assert_found(detect_beats(ecg, 500), truth, tolerance=15)


def test_polarity_does_not_matter(people):
    ecg, _ = people
    for up, down in zip(detect_beats(ecg, 500), detect_beats(-ecg, 500), strict=True):
        np.testing.assert_array_equal(up, down)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (2, 1), (18, 25)])
def test_other_sampling_rates_find_the_same_beats(people, up, down):
    ecg, truth = people
    found = detect_beats(resample_poly(ecg, up, down, axis=1), 500 * up / down)
    back = [np.round(beats * down / up).astype(int) for beats in found]
    assert_found(back, truth, tolerance=15)


def test_one_lead_is_enough(people):
    ecg, truth = people
    assert_found(detect_beats(ecg[:, :, 10:11], 500), truth, tolerance=15)


def test_tall_t_waves_are_not_beats():
    time = np.arange(5000) / 500
    ecg = np.zeros((1, 5000, 2))
    truth = np.arange(0.5, 9.5, 0.8)
    for beat in truth:
        ecg[0] += np.exp(-0.5 * ((time - beat) / 0.012) ** 2)[:, None] * [1.0, -0.6]
        ecg[0] += np.exp(-0.5 * ((time - beat - 0.28) / 0.045) ** 2)[:, None] * [2.0, 1.5]
    assert_found(detect_beats(ecg, 500), [truth * 500], tolerance=3)


def test_a_burst_of_noise_does_not_hide_the_other_beats(people):
    ecg, truth = people
    rng = np.random.default_rng(0)
    ecg = ecg.copy()
    ecg[:, 2000:2500] += rng.normal(0, 5, (len(ecg), 500, 12))
    outside = [t[(t < 1900) | (t > 2600)] for t in truth]
    found = [b[(b < 1900) | (b > 2600)] for b in detect_beats(ecg, 500)]
    assert_found(found, outside, tolerance=15)


def test_flat_recordings_and_steady_hum_hold_no_beats():
    time = np.arange(5000)[:, None] / 500
    flat = np.full((5000, 12), 0.3)
    hum = np.sin(2 * np.pi * 17 * time) * np.ones(12)
    assert [len(beats) for beats in detect_beats(np.stack([flat, hum]), 500)] == [0, 0]


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-5, 5))
def test_neither_amplitude_nor_offset_matters(scale, offset):
    ecg, _ = phantom(1, np.random.default_rng(8), noise_mv=0.02)
    moved = detect_beats(ecg.astype(float) * scale + offset * scale, 500)
    # The mirrored ends of the filter alone could tell a large offset, by rounding.
    np.testing.assert_allclose(moved[0], detect_beats(ecg, 500)[0], atol=1)


def test_input_that_cannot_be_used_is_named(people):
    ecg, _ = people
    with pytest.raises(InputError, match="expected \\(recordings, samples, leads\\)"):
        detect_beats(ecg[0], 500)
    for rate in (50, 0, -500, np.nan):
        with pytest.raises(InputError, match="sampling_rate"):
            detect_beats(ecg, rate)
    missing = ecg.copy()
    missing[2, 7, 3] = np.nan
    with pytest.raises(InputError, match="recording 2 has missing"):
        detect_beats(missing, 500)
