"""Median beats of simulated people against those of the healthier of LUDB and CinC 2021."""

import re

import numpy as np
import pytest

from regreveal.ecg_leads import LEADS
from regreveal.registration import QRSAlignment
from regreveal.registration.qrs import FIDUCIAL_SAMPLE
from regreveal.simulation.ecg import simulate_ecgs
from regreveal.simulation.ecg_dipole import EDGE_SDS, QRS_LOBES, T_LOBES, normal_beats
from regreveal.simulation.ecg_morphology import draw_morphology

from .test_ecg import draw_traits

# What LUDB's readers write, and SNOMED CT codes of CinC 2021: right bundle branch block, inverted
# T, conduction delay, ventricular hypertrophy (four), and sinus tachycardia, in which T meets P.
UNHEALTHY = re.compile(
    "STEMI|Ischemia|Scar|omplete (left|right) bundle|hemiblock|pacing|III degree AV|fibrillation"
    "|flutter|conduction delay|Left ventricular overload|Right ventricular hyper|59118001|59931005"
    "|698252002|89792004|164873001|55827005|427084000"
)
T_WINDOW = slice(FIDUCIAL_SAMPLE + 60, FIDUCIAL_SAMPLE + 230)


@pytest.fixture(scope="module")
def real_beats(shared_data):
    import wfdb

    ecgs = []
    for folder in (shared_data / "ecg/ludb/data", shared_data / "ecg/cinc2021"):
        for header in sorted(folder.glob("*.hea")):
            record = wfdb.rdrecord(str(header.with_suffix("")))
            said = "\n".join(record.comments)
            in_rhythm = "Sinus" in said or "Dx" in said
            ecg = record.p_signal
            if in_rhythm and not UNHEALTHY.search(said) and len(ecg) == 5000:
                places = [name.upper() for name in record.sig_name]
                ecgs.append(ecg[:, [places.index(name.upper()) for name in LEADS]])
    registered = QRSAlignment().transform(np.stack(ecgs))
    return registered.tensors[registered.qc["ok"]]


@pytest.fixture(scope="module")
def simulated_beats():
    ecgs, _ = simulate_ecgs(draw_traits(170, seed=3), np.random.default_rng(4))
    registered = QRSAlignment().transform(ecgs)
    return registered.tensors[registered.qc["ok"]]


def t_axes(beats):
    """Frontal axis of the T wave at its largest, from leads I and aVF."""
    t_wave = beats[:, T_WINDOW]
    peaks = np.square(t_wave).sum(axis=2).argmax(axis=1)
    around = np.clip(peaks[:, None] + np.arange(-15, 16), 0, t_wave.shape[1] - 1)
    lead_i, avf = (
        np.take_along_axis(t_wave[..., LEADS.index(name)], around, axis=1).mean(axis=1)
        for name in ("I", "aVF")
    )
    return np.arctan2(2 / np.sqrt(3) * avf, lead_i)


def spread_of_angles(angles):
    """Circular SD and interquartile range, in degrees."""
    mean = np.exp(1j * angles).mean()
    from_mean = np.rad2deg(np.angle(np.exp(1j * angles) / mean))
    circular_sd = np.rad2deg(np.sqrt(-2 * np.log(np.abs(mean))))
    return np.array([circular_sd, np.ptp(np.percentile(from_mean, [25, 75]))])


def explained(beats, folds=5):
    """Share of the variance of those held out that 4, 8 and 16 components of the others explain."""
    rows = np.random.default_rng(0).permutation(len(beats))
    flat = beats.reshape(len(beats), -1)
    kept, total = np.zeros(3), 0.0
    for fold in range(folds):
        held_out, others = flat[rows[fold::folds]], flat[np.setdiff1d(rows, rows[fold::folds])]
        components = np.linalg.svd(others - others.mean(axis=0), full_matrices=False)[2][:16]
        centred = held_out - others.mean(axis=0)
        of_each = np.square(centred @ components.T).sum(axis=0).cumsum()
        kept += of_each[[3, 7, 15]]
        total += np.square(centred).sum()
    return kept / total


def test_t_axes_spread_as_in_real_people(simulated_beats, real_beats):
    assert len(real_beats) > 30
    simulated, real = (spread_of_angles(t_axes(beats)) for beats in (simulated_beats, real_beats))
    # 34 people's spread is known to some 15 %, more where a few are far out.
    assert (simulated / real > 0.65).all(), (simulated, real)
    assert (simulated / real < 1.5).all(), (simulated, real)


def test_beats_differ_as_much_as_in_real_people(simulated_beats, real_beats):
    ratio = simulated_beats.var(axis=0).mean() / real_beats.var(axis=0).mean()
    assert 0.7 < ratio < 1.4


def test_beats_differ_in_as_many_ways_as_in_real_people(simulated_beats, real_beats):
    n = len(real_beats)
    simulated = np.mean(
        [explained(simulated_beats[first : first + n]) for first in range(0, 4 * n, n)], axis=0
    )
    np.testing.assert_allclose(simulated, explained(real_beats), atol=0.13)


def test_whatever_the_shape_waves_stay_in_their_order_and_within_their_intervals():
    n = 2000
    traits = {name: values.to_numpy() for name, values in draw_traits(n, seed=8).items()}
    beats = normal_beats(traits, draw_morphology(n, np.random.default_rng(9)))
    onset, end = (beats.centre + side * EDGE_SDS * beats.width for side in (-1, 1))
    qrs_onset, qrs_end = onset[:, QRS_LOBES].min(axis=1), end[:, QRS_LOBES].max(axis=1)
    np.testing.assert_allclose(qrs_end - qrs_onset, traits["qrs_duration"], atol=0.05 * 92)
    np.testing.assert_allclose(end[:, T_LOBES][:, 1] - qrs_onset, traits["qt_interval"], atol=4.6)
    assert (np.diff(beats.centre[:, :2], axis=1) > 0).all()
    assert (beats.centre[:, T_LOBES] > qrs_end[:, None]).all()
    assert (beats.centre[:, 1] < qrs_onset).all()
