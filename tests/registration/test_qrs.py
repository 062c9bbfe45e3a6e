import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from registration.harness import check_registration
from regreveal.errors import InputError
from regreveal.registration import QRSAlignment
from regreveal.registration.qrs import FIDUCIAL_SAMPLE
from regreveal.simulation.ecg import phantom

COLUMNS = [
    "ok",
    "reason",
    "n_beats",
    "n_ectopic",
    "n_used",
    "heart_rate",
    "rr_sd_ms",
    "template_correlation",
    "noise_mv",
    "dead_leads",
]
# One lobe: centre and width in ms, and its amplitude in three leads in mV.
NORMAL = ((-150, 20, (0.1, 0.15, 0.05)), (-25, 8, (-0.1, -0.2, 0.3)), (0, 11, (1.0, 0.7, -0.9)))
NORMAL = (*NORMAL, (28, 9, (-0.3, 0.4, 0.2)), (290, 45, (0.3, 0.25, -0.2)))
VENTRICULAR = ((10, 30, (-1.2, 1.5, 1.3)), (60, 25, (0.9, -1.0, 0.8)), (330, 60, (0.6, -0.7, -0.6)))


def strip(beats, noise_mv=0.0, samples=5000, rate=500, seed=0):
    """Draw beats, pairs of a time in seconds and a shape, in three leads."""
    time = np.arange(samples)[:, None] / rate
    ecg = np.random.default_rng(seed).normal(0, noise_mv, (samples, 3))
    for when, shape in beats:
        for centre, width, amplitude in shape:
            ecg += np.exp(-0.5 * ((time - when - centre / 1e3) / width * 1e3) ** 2) * amplitude
    return ecg


def regular(interval=0.8, first=0.7, last=9.4):
    return [(when, NORMAL) for when in np.arange(first, last, interval)]


def align(*ecgs, rate=500):
    return QRSAlignment(rate).transform(np.stack(ecgs))


@pytest.fixture(scope="module")
def people():
    return phantom(40, np.random.default_rng(5), noise_mv=0.1, rr_sd_ms=40.0)


def timing_errors(found, truth):
    errors = found - truth[np.argmin(np.abs(found[:, None] - truth), axis=1)]
    return (errors - errors.mean()) * 2.0


def test_it_keeps_the_contract_of_registrations(people, tmp_path):
    ecg, _ = people
    registered = check_registration(QRSAlignment(sampling_rate=500), ecg[:4], tmp_path)
    assert registered.tensors.shape == (4, 600, 12)
    assert registered.tensors.dtype == np.float32
    assert list(registered.qc.columns) == COLUMNS


@pytest.mark.parametrize("rr_sd_ms", [40.0, 100.0])
def test_beats_are_timed_as_well_as_theory_allows(rr_sd_ms):
    """Cramér and Rao's bound, for a known shape in the leads whose noise is their own."""
    noise_mv, own = 0.1, [0, 1, 6, 7, 8, 9, 10, 11]
    ecg, truth = phantom(60, np.random.default_rng(9), noise_mv=noise_mv, rr_sd_ms=rr_sd_ms)
    clean, _ = phantom(60, np.random.default_rng(9), noise_mv=0.0, rr_sd_ms=rr_sd_ms)
    registered = align(*ecg)
    errors = np.concatenate(list(map(timing_errors, registered.transforms, truth)))
    variances = []
    for shape, times in zip(clean, truth, strict=True):
        middle = round(times[len(times) // 2])
        slope = np.gradient(shape[middle - 50 : middle + 51, own].astype(float), axis=0) / 2
        variances.append(noise_mv**2 / np.square(slope).sum())
    assert registered.qc["ok"].all()
    assert errors.std() < 1.06 * np.sqrt(np.mean(variances))
    assert errors.std() < 0.22


def test_the_more_a_beat_stands_out_the_better_it_is_timed():
    ecg, truth = phantom(60, np.random.default_rng(9), noise_mv=0.05)
    errors = np.concatenate(list(map(timing_errors, align(*ecg).transforms, truth)))
    assert errors.std() < 0.15


@pytest.mark.parametrize("noise_mv", [0.3, 1.0, 5.0])
def test_a_noisy_lead_spoils_neither_the_timing_nor_the_other_leads(people, noise_mv):
    ecg, truth = people
    noisy = ecg.copy()
    noisy[:, :, 7] += np.random.default_rng(1).normal(0, noise_mv, noisy.shape[:2])
    before, after = align(*ecg), align(*noisy)
    assert after.qc["ok"].all()
    errors, with_noise = (
        np.concatenate(list(map(timing_errors, registered.transforms, truth))).std()
        for registered in (before, after)
    )
    assert with_noise < 1.5 * errors


def test_the_median_beat_is_the_beat():
    """Beats at a fixed interval make a periodic curve, and the median beat is a window of it."""
    beats = regular(interval=0.8037, first=-0.9, last=12)
    registered = align(strip(beats, noise_mv=0.02))
    first = registered.transforms[0][3] - FIDUCIAL_SAMPLE
    exact = CubicSpline(np.arange(5000), strip(beats))(first + np.arange(600))
    difference = registered.tensors[0] - exact
    # The level is the PR segment's, by definition.
    difference -= difference.mean(axis=0)
    assert np.sqrt(np.mean(np.square(difference))) < 0.012


def test_leads_keep_their_relative_timing():
    """A lead 3.3 samples late in the strip is as late in the median beat."""
    ecg = strip(regular(interval=0.8037), noise_mv=0.0)
    late = CubicSpline(np.arange(5000), ecg[:, 0])(np.arange(5000) - 3.3)
    median = align(np.column_stack([ecg, late])).tensors[0]
    middle = np.arange(150, 450)
    lags = np.arange(2.8, 3.8, 0.01)
    first = CubicSpline(np.arange(600), median[:, 0])
    misfit = [np.square(median[middle, 3] - first(middle - lag)).sum() for lag in lags]
    assert lags[np.argmin(misfit)] == pytest.approx(3.3, abs=0.02)


def test_einthoven_holds_in_the_median_beat():
    """II = I + III, where no neighbouring beat reaches into the window."""
    ecg, _ = phantom(5, np.random.default_rng(2), noise_mv=0.0)
    median = align(*ecg).tensors[:, 150:450]
    np.testing.assert_allclose(median[..., 1], median[..., 0] + median[..., 2], atol=2e-3)


def test_the_mark_is_the_centre_of_the_qrs_power():
    ecg, _ = phantom(10, np.random.default_rng(2), noise_mv=0.0)
    for median in align(*ecg).tensors.astype(float):
        window = slice(FIDUCIAL_SAMPLE - 50, FIDUCIAL_SAMPLE + 51)
        offset = np.arange(-50, 51)
        weight = (1 + np.cos(np.pi * offset / 50)) * np.square(median[window]).sum(axis=1)
        assert abs((weight * offset).sum() / weight.sum()) < 1.5


def test_the_pr_segment_is_at_zero_in_every_lead():
    median = align(strip(regular()) + np.array([3.0, -2.0, 0.5])).tensors[0]
    segment = median[FIDUCIAL_SAMPLE - 38 : FIDUCIAL_SAMPLE - 33]
    np.testing.assert_allclose(segment, 0, atol=0.01)


def test_ectopic_beats_are_left_out():
    beats = regular()
    mixed = list(beats)
    for place in (2, 5, 8):
        mixed[place] = (beats[place][0] - 0.15, VENTRICULAR)
    plain, ectopic = (align(strip(b, noise_mv=0.01)) for b in (beats, mixed))
    assert ectopic.qc["n_ectopic"][0] == 3
    assert ectopic.qc["n_beats"][0] == plain.qc["n_beats"][0] == len(beats)
    core = slice(FIDUCIAL_SAMPLE - 60, FIDUCIAL_SAMPLE + 60)
    np.testing.assert_allclose(ectopic.tensors[0, core], plain.tensors[0, core], atol=0.02)


def test_of_alternating_beats_one_kind_is_kept():
    beats = [(when, (NORMAL, VENTRICULAR)[k % 2]) for k, (when, _) in enumerate(regular())]
    qc = align(strip(beats, noise_mv=0.01)).qc
    assert qc["ok"][0]
    assert qc["n_ectopic"][0] in (len(beats) // 2, len(beats) - len(beats) // 2)


def test_irregular_rhythm_is_measured():
    rng = np.random.default_rng(4)
    intervals = rng.uniform(0.45, 1.1, 30)
    times = 0.3 + np.cumsum(intervals)
    times = times[times < 9.7]
    registered = align(strip([(when, NORMAL) for when in times], noise_mv=0.01))
    qc = registered.qc.iloc[0]
    assert qc["ok"]
    assert qc["n_beats"] == len(times)
    assert qc["n_ectopic"] == 0
    assert qc["heart_rate"] == pytest.approx(60 / np.median(np.diff(times)), rel=1e-3)
    assert qc["rr_sd_ms"] == pytest.approx(np.diff(times).std(ddof=1) * 1000, rel=1e-3)
    errors = timing_errors(registered.transforms[0], times * 500)
    assert np.abs(errors).max() < 0.2


def test_beats_cut_by_the_ends_are_not_used():
    times = [0.01, 0.4, 1.4, 2.4, 3.4, 4.4, 5.4, 6.4, 7.4, 8.4, 9.4, 9.99]
    registered = align(strip([(when, NORMAL) for when in times], noise_mv=0.01))
    assert registered.qc["ok"][0]
    # 480 ms before and 720 ms after a beat must lie in the strip.
    np.testing.assert_allclose(registered.transforms[0] / 500, times[2:-2], atol=0.01)


def test_upside_down_recordings_give_upside_down_beats():
    ecg = strip(regular(), noise_mv=0.02)
    up, down = align(ecg, -ecg).tensors
    np.testing.assert_allclose(down, -up, atol=1e-5)


@pytest.mark.parametrize("rate", [250, 1000, 360])
def test_other_sampling_rates_give_the_same_beat(rate):
    ecg = strip(regular(interval=0.83), noise_mv=0.0)
    there = strip(regular(interval=0.83), noise_mv=0.0, samples=10 * rate, rate=rate)
    one, other = align(ecg), align(there, rate=rate)
    # At 250 Hz what is above 125 Hz is gone.
    np.testing.assert_allclose(other.tensors, one.tensors, atol=0.02)
    np.testing.assert_allclose(
        other.transforms[0] / rate, one.transforms[0] / 500, atol=3e-4, rtol=0
    )
    assert other.qc["heart_rate"][0] == pytest.approx(60 / 0.83, rel=1e-3)


def test_slow_wander_leaves_the_beat_and_its_st_segment_alone():
    """At 40 beats a minute a high-pass filter would bend the ST segment; this must not."""
    raised = (*NORMAL, (130, 45, (0.3, 0.2, -0.25)))
    beats = [(when, raised) for when in np.arange(0.6, 9.6, 1.5)]
    time = np.arange(5000)[:, None] / 500
    wander = 0.3 * np.sin(2 * np.pi * 0.15 * time + [0.0, 1.0, 2.0]) + [0.5, -0.2, 0.1]
    still, moving = align(strip(beats), strip(beats) + wander).tensors
    exact = strip([(1.5, raised)])
    exact = exact - exact[:100].mean(axis=0)
    st_level = exact[750 + 50 : 750 + 80]
    first = FIDUCIAL_SAMPLE + 50
    np.testing.assert_allclose(moving, still, atol=0.05)
    np.testing.assert_allclose(still[first : first + 30], st_level, atol=0.03)
    np.testing.assert_allclose(moving[first : first + 30], st_level, atol=0.05)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.05, 20))
def test_scaling_the_recording_scales_the_beat(scale):
    ecg = strip(regular(), noise_mv=0.02)
    one, scaled = align(ecg, ecg * scale).tensors
    np.testing.assert_allclose(scaled, one * scale, atol=2e-4 * scale)


@settings(max_examples=15, deadline=None)
@given(shift=st.integers(1, 300))
def test_when_the_strip_began_does_not_matter(shift):
    beats = regular(interval=0.8)
    ecg = strip(beats, samples=5300)
    one, later = align(ecg[:5000], ecg[shift : shift + 5000]).tensors
    np.testing.assert_allclose(later, one, atol=5e-3)


def test_the_noise_reported_is_the_noise_added():
    ecg = strip(regular(), noise_mv=0.08)
    assert align(ecg).qc["noise_mv"][0] == pytest.approx(0.08, rel=0.08)


def test_recordings_without_enough_beats_are_marked():
    noise = np.random.default_rng(1).normal(0, 0.1, (3, 5000, 3))
    common = noise[:, :, :1] * [1.0, 0.5, -0.7]
    two = strip(regular()[:2], noise_mv=0.01)
    registered = align(*noise, *common, two, np.zeros((5000, 3)))
    assert not registered.qc["ok"].any()
    assert (registered.qc["reason"][:7] == "fewer than 3 usable beats").all()
    assert registered.qc["reason"][7] == "all leads flat"
    assert all(len(times) == 0 for times in registered.transforms)


@pytest.mark.parametrize("noise_mv", [0.0, 1e-4])
def test_a_dead_lead_is_named_and_the_beats_are_still_counted(people, noise_mv):
    ecg = people[0][0].copy()
    ecg[:, 8] = 0.4 + np.random.default_rng(0).normal(0, noise_mv, 5000)
    registered = align(ecg, people[0][0])
    qc = registered.qc
    assert qc["reason"].tolist() == ["dead lead V3", ""]
    assert qc["dead_leads"].tolist() == ["V3", ""]
    assert qc["heart_rate"][0] == pytest.approx(qc["heart_rate"][1], rel=1e-3)
    assert np.isnan(registered.tensors[0]).all()


def test_impossible_amplitudes_are_marked(people):
    microvolts = people[0][0] * 1000
    assert align(microvolts * 5).qc["reason"][0] == "values over 1000 mV"


def test_input_of_the_wrong_shape_or_rate_is_an_input_error(people):
    ecg, _ = people
    with pytest.raises(InputError, match="expected \\(n, samples, leads\\)"):
        QRSAlignment().transform(ecg[0])
    with pytest.raises(InputError, match="at least 1\\.2 s"):
        QRSAlignment().transform(ecg[:, :500])
    with pytest.raises(InputError, match="sampling_rate"):
        QRSAlignment(sampling_rate=20).transform(ecg)
