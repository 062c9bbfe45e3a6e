from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest import wfdb
from regreveal.ingest.normalisation import is_clipped, normalise, resample, standard_lead
from regreveal.ingest.recording import Recording

SPELLINGS = {
    "I": ["I", "i", "Lead I", "Lead I (Einthoven)", "MDC_ECG_LEAD_I", "DI", "MLI"],
    "II": ["II", "ii", "MLII", "Lead II", "MDC_ECG_LEAD_II", "DII"],
    "III": ["III", "iii", "Lead III", "MLIII", "DIII"],
    "aVR": ["aVR", "AVR", "avr", "Lead aVR", "MDC_ECG_LEAD_AVR"],
    "aVL": ["aVL", "AVL", "avl", "Lead aVL"],
    "aVF": ["aVF", "AVF", "avf", "lead avf"],
    **{
        f"V{n}": [f"V{n}", f"v{n}", f"C{n}", f"Lead V{n}", f"MDC_ECG_LEAD_V{n}"]
        for n in range(1, 7)
    },
}


@pytest.fixture
def recording(microvolts):
    return Recording(microvolts, LEADS, ("uV",) * 12, 500.0, "a", "rest_10s")


def without(recording, *leads):
    kept = [n for n, lead in enumerate(recording.leads) if lead not in leads]
    return replace(
        recording,
        signal=recording.signal[:, kept],
        leads=tuple(recording.leads[n] for n in kept),
        units=tuple(recording.units[n] for n in kept),
    )


def with_column(recording, lead, column):
    signal = recording.signal.copy()
    signal[:, LEADS.index(lead)] = column
    return replace(recording, signal=signal)


def test_twelve_leads_in_microvolts_become_millivolts(recording, microvolts):
    tensor, flags = normalise(recording)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    assert flags == ()


RNG_SIGNAL = np.random.default_rng(8).normal(0, 300, (5000, 12))


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(12)), st.data())
def test_any_order_and_spelling_of_leads_gives_the_same_tensor(order, data):
    names = tuple(data.draw(st.sampled_from(SPELLINGS[LEADS[n]])) for n in order)
    shuffled = Recording(RNG_SIGNAL[:, order], names, ("uV",) * 12, 500.0, "a", "rest_10s")
    np.testing.assert_array_equal(normalise(shuffled)[0], (RNG_SIGNAL / 1000).astype(np.float32))


def test_names_that_are_no_standard_lead():
    for name in ("V7", "X", "VR", "", "resp", "V4R", "IV", "12"):
        assert standard_lead(name) is None
    assert standard_lead("-aVR") == ("aVR", -1)


@pytest.mark.parametrize(
    ("units", "factor"), [("V", 1e-6), ("mV", 1e-3), ("mv", 1e-3), ("nV", 1e3), ("µV", 1)]
)
def test_units(recording, microvolts, units, factor):
    other = replace(recording, signal=microvolts * factor, units=(units,) * 12)
    np.testing.assert_allclose(normalise(other)[0], microvolts / 1000, atol=1e-6)


def test_each_lead_may_have_its_own_units(recording, microvolts):
    signal = microvolts.copy()
    signal[:, 3] /= 1000
    mixed = replace(recording, signal=signal, units=("uV", "uV", "uV", "mV", *("uV",) * 8))
    np.testing.assert_allclose(normalise(mixed)[0], microvolts / 1000, atol=1e-6)


@pytest.mark.parametrize("rate", [100, 128, 250, 257, 360, 1000, 2000])
def test_a_sine_is_the_same_sine_at_500_hz(rate):
    at = np.arange(round(10 * rate)) / rate
    tones = np.array([1.0, 8.3, 0.4 * min(rate, 500) / 2])
    resampled = resample(0.3 + np.sin(2 * np.pi * at[:, None] * tones), rate)
    assert resampled.shape == (5000, 3)
    expected = 0.3 + np.sin(2 * np.pi * np.arange(5000)[:, None] / 500 * tones)
    inner = slice(250, -250)
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=0.01)


def test_what_500_hz_cannot_hold_is_removed_rather_than_folded_down():
    at = np.arange(20_000) / 2000
    resampled = resample(np.sin(2 * np.pi * 430 * at)[:, None], 2000)
    # Taking every fourth sample instead would leave a full sine at 500 − 430 = 70 Hz.
    assert np.abs(resampled[250:-250]).max() < 0.01


def test_an_offset_does_not_bend_at_the_ends():
    resampled = resample(np.full((10_000, 1), 2.5), 1000)
    np.testing.assert_allclose(resampled, 2.5, atol=1e-9)


def test_missing_limb_leads_are_derived_exactly(recording, microvolts):
    tensor, flags = normalise(without(recording, "III", "aVR", "aVL", "aVF"))
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-5)
    assert flags == ("limb lead derived: III aVR aVL aVF",)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(LEADS[:6]), min_size=2, max_size=2))
def test_any_two_limb_leads_give_the_other_four(known):
    i, ii = np.random.default_rng(1).normal(0, 0.4, (2, 5000))
    limb = dict(zip(LEADS, [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], strict=False))
    names = (*sorted(known), *LEADS[6:])
    signal = np.stack([limb.get(name, i) for name in names], axis=1)
    tensor, _ = normalise(Recording(signal, names, ("mV",) * 8, 500.0, "a", "rest_10s"))
    np.testing.assert_allclose(tensor[:, :6], np.stack(list(limb.values()), axis=1), atol=1e-5)


def test_a_missing_chest_lead_is_refused_by_name(recording):
    with pytest.raises(InputError, match="missing lead: V3 V5"):
        normalise(without(recording, "V3", "V5"))


def test_one_limb_lead_is_too_few(recording):
    with pytest.raises(InputError, match="missing lead: I III aVR aVL aVF"):
        normalise(without(recording, "I", "III", "aVR", "aVL", "aVF"))


@pytest.mark.parametrize("level", [0.0, -1234.0])
def test_a_dead_chest_lead_is_flagged(recording, level):
    tensor, flags = normalise(with_column(recording, "V2", level))
    assert flags == ("dead lead: V2",)
    np.testing.assert_allclose(tensor[:, 7], level / 1000)


def test_a_dead_lead_with_converter_noise_is_still_dead(recording):
    noise = np.random.default_rng(0).integers(-1, 2, 5000) * 5.0
    _, flags = normalise(with_column(recording, "V6", noise))
    assert flags == ("dead lead: V6",)


def test_a_recording_without_a_live_lead_is_refused(recording):
    with pytest.raises(InputError, match="dead lead: I II III"):
        normalise(replace(recording, signal=np.zeros((5000, 12))))


def test_a_dead_limb_lead_is_derived(recording, microvolts):
    tensor, flags = normalise(with_column(recording, "aVF", 0.0))
    assert flags == ("limb lead derived: aVF",)
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-5)


@pytest.mark.parametrize(("share", "seen"), [(0.4, 0.9), (0.6, 0.85), (0.8, 0.6)])
def test_clipped_waves_of_real_leads_are_seen_and_true_waves_are_not(shared_data, share, seen):
    clipped, intact, leads = 0, 0, 0
    for path in sorted((shared_data / "ecg/cinc2021").glob("*.hea"))[:12]:
        for samples in wfdb.read(path)[0].signal.T:
            top = np.median(samples) + share * (np.quantile(samples, 0.999) - np.median(samples))
            leads += 1
            intact += is_clipped(samples, 500)
            clipped += is_clipped(np.minimum(samples, top), 500)
    assert intact == 0
    assert clipped / leads > seen


def test_coarse_quantisation_of_real_leads_is_not_clipping(shared_data):
    for path in sorted((shared_data / "ecg/cinc2021").glob("*.hea"))[:12]:
        millivolts = wfdb.read(path)[0].signal
        for step in (0.002, 0.005, 0.01, 0.02, 0.05):
            coarse = np.round(millivolts / step) * step
            assert not any(is_clipped(column, 500) for column in coarse.T)


def test_a_lead_that_rests_at_a_rail_is_clipped():
    samples = np.sin(np.arange(5000) / 40)
    samples[2000:2150] = 1.7
    assert is_clipped(samples, 500)


def test_clipped_and_flat_leads_are_kept_and_flagged(recording, microvolts):
    noise = np.random.default_rng(4).normal(0, 3, 5000)
    column = np.round(np.minimum(microvolts[:, 8] + noise, 0.5 * microvolts[:, 8].max()))
    _, flags = normalise(with_column(recording, "V3", column))
    assert flags == ("clipped lead: V3",)
    column = microvolts[:, 9].copy()
    column[1000:2100] = column[1000]
    _, flags = normalise(with_column(recording, "V4", column))
    assert flags == ("flat for over 2 s: V4",)


def test_a_short_recording_is_refused_and_of_a_long_one_the_start_is_used(recording, microvolts):
    with pytest.raises(InputError, match=r"shorter than 10 s: 9\.99 s"):
        normalise(replace(recording, signal=microvolts[:4995]))
    long = np.concatenate([microvolts, microvolts[::-1] * 2])
    tensor, flags = normalise(replace(recording, signal=long))
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    assert flags == ("longer than 10 s: its start is used",)


def test_missing_samples_unknown_units_and_wrong_scale_are_refused(recording, microvolts):
    column = microvolts[:, 6].copy()
    column[77] = np.nan
    with pytest.raises(InputError, match="missing samples: in lead V1"):
        normalise(with_column(recording, "V1", column))
    with pytest.raises(InputError, match="unknown units: lead I is in 'NU'"):
        normalise(replace(recording, units=("NU",) * 12))
    with pytest.raises(InputError, match="implausible amplitude: lead I spans"):
        normalise(replace(recording, units=("mV",) * 12))


def test_a_lead_given_twice_is_refused(recording, microvolts):
    doubled = replace(
        recording,
        signal=np.concatenate([microvolts, microvolts[:, :1]], axis=1),
        leads=(*LEADS, "MLII"),
        units=("uV",) * 13,
    )
    with pytest.raises(InputError, match="lead given twice: II"):
        normalise(doubled)


def test_leads_beyond_the_twelve_are_left_out_and_flagged(recording, microvolts):
    more = replace(
        recording,
        signal=np.concatenate([microvolts[:, :1], microvolts], axis=1),
        leads=("V7", *LEADS),
        units=("adu", *("uV",) * 12),
    )
    tensor, flags = normalise(more)
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    assert flags == ("other leads left out",)


def test_minus_avr_is_turned_over(recording, microvolts):
    cabrera = with_column(recording, "aVR", -microvolts[:, 3])
    cabrera = replace(cabrera, leads=(*LEADS[:3], "-aVR", *LEADS[4:]))
    np.testing.assert_allclose(normalise(cabrera)[0], microvolts / 1000, atol=1e-6)


def test_a_median_of_another_length_is_refused(recording, microvolts):
    median = replace(recording, kind="median", signal=microvolts[:500])
    with pytest.raises(InputError, match=r"shorter than 1\.2 s"):
        normalise(median)
    with pytest.raises(InputError, match="median of another length"):
        normalise(replace(median, signal=microvolts[:700]))
    assert normalise(replace(median, signal=microvolts[:600]))[0].shape == (600, 12)
