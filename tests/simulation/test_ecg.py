import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from regreveal.ecg_leads import LEADS
from regreveal.simulation.ecg import ECTOPY_SHARE, phantom, simulate_ecgs
from regreveal.simulation.ecg_dipole import add_lobes, normal_beats, unit_dipole
from regreveal.simulation.ecg_morphology import usual_morphology
from regreveal.simulation.ecg_noise import FAILURE_SHARE, draw_noise_levels
from regreveal.simulation.traits import read_table

PER_MS = 0.5


def draw_traits(n, seed):
    rng = np.random.default_rng(seed)
    table = read_table("traits.tsv")
    z = rng.standard_normal((n, len(table))).clip(-3.5, 3.5)
    return pd.DataFrame(
        table["mean"].to_numpy() + z * table["sd"].to_numpy(), columns=table["trait"].to_list()
    )


@pytest.fixture(scope="module")
def recordings():
    traits = draw_traits(200, seed=1)
    ecgs, truth = simulate_ecgs(traits, np.random.default_rng(2))
    return traits, ecgs, truth


def lead(ecgs, name):
    return ecgs[..., LEADS.index(name)]


@pytest.mark.parametrize("source", ["recording", "phantom"])
def test_limb_leads_obey_einthoven_and_goldberger(recordings, source):
    ecgs = recordings[1] if source == "recording" else phantom(3, np.random.default_rng(0))[0]
    i, ii, iii = (lead(ecgs, name) for name in ("I", "II", "III"))
    np.testing.assert_allclose(ii, i + iii, atol=2e-6)
    np.testing.assert_allclose(lead(ecgs, "aVR"), -(i + ii) / 2, atol=2e-6)
    np.testing.assert_allclose(lead(ecgs, "aVL"), (i - iii) / 2, atol=2e-6)
    np.testing.assert_allclose(lead(ecgs, "aVF"), (ii + iii) / 2, atol=2e-6)


def test_every_phantom_beat_has_the_same_shape_at_exactly_the_stated_time():
    ecgs, beat_times = phantom(5, np.random.default_rng(3), noise_mv=0.0, rr_sd_ms=100)
    around = np.arange(-60, 61)
    for ecg, times in zip(ecgs, beat_times, strict=True):
        assert np.abs(times - times.round()).max() > 0.1
        inside = times[(times > 100) & (times < 4900)]
        curve = CubicSpline(np.arange(len(ecg)), ecg)
        beats = np.array([curve(time + around) for time in inside])
        assert np.abs(beats - beats[0]).max() < 2e-3
        half_a_sample_off = curve(inside[0] + 0.5 + around)
        assert np.abs(half_a_sample_off - beats[0]).max() > 0.02


def test_phantom_noise_is_white_and_of_the_size_asked():
    quiet, noisy = (phantom(4, np.random.default_rng(4), noise_mv=sd)[0] for sd in (0.0, 0.1))
    noise = noisy - quiet
    for name in ("I", "II", "V1", "V6"):
        values = lead(noise, name)
        assert values.std() == pytest.approx(0.1, rel=0.03)
        assert abs(np.mean(values[:, 1:] * values[:, :-1])) < 0.03 * 0.01


@pytest.mark.parametrize(("mean", "sd"), [(900, 40), (1100, 100), (700, 0)])
def test_phantom_intervals_have_the_mean_and_sd_asked(mean, sd):
    _, beat_times = phantom(60, np.random.default_rng(5), rr_mean_ms=mean, rr_sd_ms=sd)
    rr = np.concatenate([np.diff(times) for times in beat_times]) / PER_MS
    assert rr.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(len(rr)) + 1e-6)
    assert rr.std() == pytest.approx(sd, rel=0.12, abs=1e-6)
    counts = [len(times) for times in beat_times]
    assert min(counts) >= 10_000 / mean - 2


USUAL = {
    "pr_interval": 170.0,
    "qrs_duration": 90.0,
    "qt_interval": 400.0,
    "frontal_axis": 40.0,
    "p_amplitude": 0.12,
    "r_amplitude": 1.2,
    "t_amplitude": 0.36,
}


LEAD_II, LEAD_V2 = [0.235, 1.066, -0.132], [0.044, 0.164, -1.387]


def render(seen_from=LEAD_II, **changes):
    """One beat of the usual traits but for `changes`, one value a ms, R at 600 ms."""
    traits = {name: np.array([value]) for name, value in {**USUAL, **changes}.items()}
    beats = normal_beats(traits, usual_morphology(1))
    signal = np.zeros((1400, 1))
    add_lobes(
        signal,
        np.array([600.0]),
        beats.centre,
        beats.width,
        beats.dipole @ np.array(seen_from)[:, None],
    )
    return signal[:, 0]


def peak_time(signal, first, last):
    return first + int(np.argmax(signal[first:last]))


def test_intervals_move_the_waves_they_measure_and_no_other():
    usual, late_p, late_t = render(), render(pr_interval=140.0), render(qt_interval=430.0)
    assert peak_time(late_p, 300, 540) - peak_time(usual, 300, 540) == 30
    assert peak_time(late_t, 700, 1200) - peak_time(usual, 700, 1200) == 30
    np.testing.assert_allclose(late_p[560:], usual[560:], atol=2e-3)
    np.testing.assert_allclose(late_t[:640], usual[:640], atol=2e-3)


@pytest.mark.parametrize(
    ("amplitude", "first", "last"),
    [("p_amplitude", 380, 540), ("r_amplitude", 590, 640), ("t_amplitude", 800, 1000)],
)
def test_amplitudes_scale_their_own_wave(amplitude, first, last):
    usual, doubled = render(), render(**{amplitude: 2 * USUAL[amplitude]})
    np.testing.assert_allclose(doubled[first:last], 2 * usual[first:last], atol=0.02)
    others = np.r_[0 : first - 100, last + 120 : 1400]
    np.testing.assert_allclose(doubled[others], usual[others], atol=0.02)


def test_one_lobe_is_a_gaussian_of_the_size_given():
    signal = np.zeros((100, 1))
    add_lobes(signal, np.array([50.25]), *np.array([[[3.0]], [[4.0]]]), np.array([[[0.7]]]))
    expected = 0.7 * np.exp(-0.5 * ((np.arange(100) - 53.25) / 4.0) ** 2)
    np.testing.assert_allclose(signal[:, 0], expected, atol=1e-5)


def test_waves_begin_and_end_where_the_intervals_say():
    signal = render(p_amplitude=0.2)
    # From the intervals alone: QRS runs from 45 % before R to 55 % after it.
    qrs_onset, qrs_end = 600 - 0.45 * 90, 600 + 0.55 * 90
    p_onset, t_end = qrs_onset - 170, qrs_onset + 400
    slope = np.abs(np.gradient(signal))
    quiet_before, quiet_after = slope[: int(p_onset) - 25], slope[int(t_end) + 50 :]
    assert max(quiet_before.max(), quiet_after.max()) < 2e-4
    assert slope[int(p_onset) : int(p_onset) + 25].max() > 1e-3
    # The septum, with which the ventricles begin, points at the chest leads.
    steep = np.flatnonzero(np.abs(np.gradient(render(LEAD_V2)))[:750] > 0.004)
    assert steep[0] == pytest.approx(qrs_onset, abs=5)
    assert steep[-1] == pytest.approx(qrs_end, abs=8)


def test_a_longer_qrs_is_the_same_wave_stretched():
    usual, longer = render(), render(qrs_duration=108.0)
    half = np.abs(usual[500:700]) > 0.5 * usual[600]
    half_longer = np.abs(longer[500:700]) > 0.5 * longer[600]
    assert half_longer.sum() / half.sum() == pytest.approx(1.2, abs=0.08)


@pytest.mark.parametrize("axis", [-60.0, 0.0, 40.0, 95.0])
def test_axis_is_what_a_reader_takes_from_leads_i_and_avf(axis):
    lead_i, lead_ii = np.array([[0.632, -0.235, 0.059], [0.235, 1.066, -0.132]])
    dipole = unit_dipole(axis, 0.0)
    assert np.linalg.norm(dipole) == pytest.approx(1)
    avf = lead_ii @ dipole - lead_i @ dipole / 2
    # Augmented leads are smaller than the bipolar ones by sqrt(3)/2.
    seen = np.rad2deg(np.arctan2(2 / np.sqrt(3) * avf, lead_i @ dipole))
    assert seen == pytest.approx(axis, abs=1e-9)


def test_rate_and_rhythm_are_those_of_the_truth(recordings):
    traits, _, truth = recordings
    normal = truth.nuisance["ectopic_beats"].to_numpy() == 0
    rr = truth.beats.groupby("row")["r_sample"].apply(lambda r: np.diff(r).mean() / PER_MS)
    expected = 60_000 / traits["heart_rate"]
    standard_error = truth.nuisance["rr_sd_ms"] / np.sqrt(5)
    assert (np.abs(rr - expected)[normal] < 4 * standard_error[normal]).all()
    spread = truth.beats.groupby("row")["r_sample"].apply(lambda r: np.diff(r).std() / PER_MS)
    assert 20 < spread[normal].median() < 45
    phase = truth.beats.groupby("row")["r_sample"].first() / (expected * PER_MS)
    assert phase.min() < 0.05
    assert phase.max() > 0.85


def test_beats_stand_where_the_truth_says(recordings):
    _, ecgs, truth = recordings
    steepness = np.abs(np.diff(ecgs, axis=1)).max(axis=2)
    quiet = (truth.nuisance["muscle_mv"] < 0.01) & ~truth.nuisance["burst"]
    usable = quiet.to_numpy() & (truth.nuisance["mains_mv"] < 0.01).to_numpy()
    beats = truth.beats[usable[truth.beats["row"]] & ~truth.beats["is_ectopic"]]
    beats = beats[beats["r_sample"].between(60, 4940)]
    for beat in beats.sample(300, random_state=0).itertuples():
        inside = steepness[beat.row, int(beat.qrs_onset_sample) : int(beat.qrs_end_sample) + 1]
        before = steepness[beat.row, int(beat.qrs_onset_sample) - 25 :][:20]
        assert inside.max() > 1.5 * before.max()


def test_ectopic_beats_come_early_with_a_pause_and_a_wide_qrs():
    # 400 people: 20 with ectopic beats are expected, 95 % of the time 12 to 28.
    traits = draw_traits(400, seed=6)
    _, truth = simulate_ecgs(traits, np.random.default_rng(7))
    people = truth.beats.groupby("row")["is_ectopic"].any()
    assert people.mean() == pytest.approx(ECTOPY_SHARE, abs=0.03)
    for row in people.index[people]:
        beats = truth.beats[truth.beats["row"] == row].reset_index(drop=True)
        rr = np.diff(beats["r_sample"]) / PER_MS
        mean_rr = 60_000 / traits["heart_rate"][row]
        for early in beats.index[beats["is_ectopic"]]:
            before, after = rr[early - 1], rr[early]
            assert before < 0.85 * mean_rr
            assert after > 1.1 * mean_rr
            assert before + after == pytest.approx(2 * mean_rr, rel=0.3)
        length = (beats["qrs_end_sample"] - beats["qrs_onset_sample"]) / PER_MS
        assert length[beats["is_ectopic"]].min() > 130
        assert length[~beats["is_ectopic"]].max() < 135


def test_failures_are_few_known_and_visible():
    levels = draw_noise_levels(40_000, np.random.default_rng(8))
    dead = levels["dead_lead"] != ""
    failed = dead | levels["heavy_noise"]
    assert failed.mean() == pytest.approx(FAILURE_SHARE, rel=0.4)
    assert dead.any()
    assert levels["heavy_noise"].any()
    assert not (dead & levels["heavy_noise"]).any()
    assert levels.loc[levels["heavy_noise"], "muscle_mv"].min() > 0.5


def test_a_dead_lead_is_flat_and_the_others_are_not(monkeypatch):
    monkeypatch.setattr("regreveal.simulation.ecg_noise.FAILURE_SHARE", 1.0)
    ecgs, truth = simulate_ecgs(draw_traits(8, seed=9), np.random.default_rng(9))
    dead = truth.nuisance["dead_lead"]
    person = int(np.flatnonzero(dead != "")[0])
    flat = ecgs[person].std(axis=0) == 0
    assert [name for name, is_flat in zip(LEADS, flat, strict=True) if is_flat] == [dead[person]]


def test_the_same_seed_gives_the_same_recording():
    traits = draw_traits(5, seed=10)
    (one, _), (same, _), (other, _) = (
        simulate_ecgs(traits, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one.tobytes() == same.tobytes()
    assert not np.allclose(one, other, atol=0.1)


def test_nuisance_is_as_large_as_in_real_recordings(recordings, shared_data):
    import wfdb

    folder = shared_data / "ecg" / "cinc2021"
    real = [wfdb.rdrecord(str(file.with_suffix(""))).p_signal for file in folder.glob("*.hea")]
    real = [ecg for ecg in real if np.isfinite(ecg).all()]
    assert len(real) > 20

    def sizes(ecgs):
        high = butter(2, 45, "high", fs=500, output="sos")
        low = butter(2, 0.5, "low", fs=500, output="sos")
        noise = [np.median(np.abs(sosfiltfilt(high, x, axis=0)), axis=0).mean() for x in ecgs]
        wander = [sosfiltfilt(low, x, axis=0).std(axis=0).mean() for x in ecgs]
        heart = [np.percentile(np.abs(x), 99, axis=0).mean() for x in ecgs]
        return np.median([noise, wander, heart], axis=1)

    ratio = sizes(recordings[1]) / sizes(real)
    assert (ratio > 0.5).all()
    assert (ratio < 2).all()
