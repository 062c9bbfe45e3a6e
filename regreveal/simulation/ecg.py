"""Ten-second 12-lead ECGs: rhythm, breathing and noise around the dipole of each beat."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.simulation.ecg_dipole import (
    EDGE_SDS,
    LEAD_MATRIX,
    P_LOBES,
    QRS_LOBES,
    ST_LOBE,
    T_LOBES,
    add_lobes,
    normal_beats,
    twelve_leads,
    unit_dipole,
)
from regreveal.simulation.ecg_morphology import draw_leads, draw_morphology, usual_morphology
from regreveal.simulation.ecg_noise import add_noise, draw_noise_levels
from regreveal.simulation.recordings import Recordings

SAMPLING_RATE = 500
SAMPLES = 5000
PER_MS = SAMPLING_RATE / 1000

SHORTEST_RR_MS = 300.0
ECTOPY_SHARE = 0.05
# The interval that people's QT is quoted at, and its slope with RR: Framingham (Sagie 1992).
QT_REFERENCE_RR_MS = 1000.0
QT_SLOPE = 0.154
# A change of RR from one beat to the next reaches QT only in part at once.
QT_BEAT_SHARE = 0.3


@dataclass
class EcgTruth:
    """What was put into simulated ECGs.

    Attributes
    ----------
    beats : DataFrame
        One row per beat whose R lies within the strip: `row` of the person, `r_sample`,
        `qrs_onset_sample`, `qrs_end_sample` (fractions of samples), `is_ectopic`.
    nuisance : DataFrame
        One row per person: rhythm, breathing, electrodes, noise levels and failures.
    """

    beats: pd.DataFrame
    nuisance: pd.DataFrame


def record(traits: pd.DataFrame, rng: np.random.Generator) -> Recordings:
    """Record everyone's resting ECG, as every modality does; see `simulate_ecgs`."""
    ecgs, truth = simulate_ecgs(traits, rng)
    return Recordings(
        {"rest_10s": ecgs},
        {"units": "mV", "sampling_rate": SAMPLING_RATE},
        truth={"beats": truth.beats, "ecg": truth.nuisance},
    )


def simulate_ecgs(traits: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, EcgTruth]:
    """Record a resting ECG of each person.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        `heart_rate` (per minute), `pr_interval`, `qrs_duration`, `qt_interval` (ms, the last at
        an RR of 1 s), `frontal_axis` (degrees), `p_amplitude`, `r_amplitude`, `t_amplitude` (mV).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    ecgs : ndarray, shape (n, 5000, 12)
        In mV at 500 Hz, float32.
    truth : EcgTruth
        Beats and nuisance.
    """
    n = len(traits)
    nuisance = pd.concat([_draw_nuisance(n, rng), draw_noise_levels(n, rng)], axis=1)
    mean_rr = 60_000 / traits["heart_rate"].to_numpy()
    own = {name: traits[name].to_numpy() for name in traits.columns}
    own["qt_interval"] = own["qt_interval"] + QT_SLOPE * (mean_rr - QT_REFERENCE_RR_MS)
    beats = normal_beats(own, draw_morphology(n, rng))

    ecgs = np.empty((n, SAMPLES, 12), dtype=np.float32)
    truth = []
    for person, level in enumerate(nuisance.itertuples()):
        positions, rr, ectopic = _draw_rhythm(mean_rr[person], level, rng)
        centre = np.tile(beats.centre[person], (len(rr), 1))
        centre[:, T_LOBES] += (QT_SLOPE * QT_BEAT_SHARE * (rr - mean_rr[person]))[:, None]
        width = np.tile(beats.width[person], (len(rr), 1))
        dipole = np.tile(beats.dipole[person], (len(rr), 1, 1))
        _make_ectopic(centre, width, dipole, ectopic, rng)

        leads = draw_leads(level.electrode_shift, rng)
        amplitude = _breathe(dipole, positions, level) @ leads.T
        measured = np.zeros((SAMPLES, len(leads)))
        add_lobes(measured, positions, centre * PER_MS, width * PER_MS, amplitude)
        breathing = _respiration(np.arange(SAMPLES), level)
        add_noise(measured, level, breathing, SAMPLING_RATE, rng)
        ecgs[person] = twelve_leads(measured)
        truth.append(_beat_table(person, positions, centre, width, ectopic))
    return ecgs, EcgTruth(pd.concat(truth, ignore_index=True), nuisance)


def phantom(
    n: int,
    rng: np.random.Generator,
    noise_mv: float = 0.1,
    rr_mean_ms: float = 900.0,
    rr_sd_ms: float = 40.0,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make ECGs with exactly known beats, all beats of a person of the same shape.

    Parameters
    ----------
    n : int
        How many ECGs; each has its own intervals, axis and amplitudes.
    rng : numpy.random.Generator
        Source of everything random.
    noise_mv : float
        SD of the white noise on the measured leads I, II and V1-V6, in mV; the other leads
        derive from these.
    rr_mean_ms, rr_sd_ms : float
        Mean and SD of the independent RR intervals, in ms; none is shorter than 300 ms.

    Returns
    -------
    ecgs : ndarray, shape (n, 5000, 12)
        In mV at 500 Hz, float32.
    beat_times : list of n ndarrays of float
        R of each beat within the strip, in samples; not at whole samples.
    """
    traits = {
        "pr_interval": rng.normal(160.0, 20.0, n),
        "qrs_duration": rng.normal(92.0, 10.0, n),
        "qt_interval": rng.normal(400.0, 20.0, n),
        "frontal_axis": rng.normal(40.0, 25.0, n),
        "p_amplitude": rng.uniform(0.06, 0.16, n),
        "r_amplitude": rng.uniform(0.7, 1.7, n),
        "t_amplitude": rng.uniform(0.15, 0.55, n),
    }
    beats = normal_beats(traits, _phantom_shape(n, rng))
    ecgs = np.empty((n, SAMPLES, 12), dtype=np.float32)
    beat_times = []
    for person in range(n):
        # Enough beats to reach past both ends of the strip whatever the intervals come out as.
        rr = rng.normal(rr_mean_ms, rr_sd_ms, int(2 * SAMPLES / PER_MS / rr_mean_ms) + 8)
        positions = np.cumsum(np.maximum(rr, SHORTEST_RR_MS)) * PER_MS
        positions -= rng.uniform(2.0, 3.0) * rr_mean_ms * PER_MS
        repeat = np.ones((len(positions), 1))
        measured = rng.normal(0.0, noise_mv, (SAMPLES, len(LEAD_MATRIX)))
        add_lobes(
            measured,
            positions,
            repeat * beats.centre[person] * PER_MS,
            repeat * beats.width[person] * PER_MS,
            repeat[..., None] * (beats.dipole[person] @ LEAD_MATRIX.T),
        )
        ecgs[person] = twelve_leads(measured)
        beat_times.append(positions[_within_strip(positions)])
    return ecgs, beat_times


def _phantom_shape(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw shapes that differ but a little: what a phantom tests is timing."""
    drawn = {
        "p_duration": rng.normal(105.0, 6.0, n),
        "t_width": rng.normal(34.0, 2.0, n),
        "t_axis": rng.normal(42.0, 10.0, n),
        "t_horizontal": rng.normal(-25.0, 8.0, n),
        "r_horizontal": rng.normal(22.0, 8.0, n),
    }
    septum, base = rng.normal(0.22, 0.04, (n, 1)), rng.normal(0.35, 0.06, (n, 1))
    drawn["septum"] = septum.clip(0.05) * [-0.5, -0.2, -0.84]
    drawn["base"] = base.clip(0.05) * [-0.35, -0.45, 0.82]
    return usual_morphology(n) | drawn


def _draw_nuisance(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw rhythm, breathing and electrodes of each recording."""
    has_ectopy = rng.random(n) < ECTOPY_SHARE
    return pd.DataFrame(
        {
            "rr_sd_ms": np.exp(rng.normal(np.log(35.0), 0.4, n)).clip(12.0, 100.0),
            "first_beat_phase": rng.random(n),
            "respiration_hz": rng.uniform(0.18, 0.33, n),
            "respiration_phase": rng.uniform(0, 2 * np.pi, n),
            "respiration_degrees": np.abs(rng.normal(4.0, 2.0, n)),
            "respiration_gain": np.abs(rng.normal(0.05, 0.02, n)),
            "electrode_shift": rng.normal(0.0, 0.3, n),
            "ectopic_beats": np.where(has_ectopy, rng.integers(1, 3, n), 0),
        }
    )


def _respiration(samples: np.ndarray, level) -> np.ndarray:
    """Breathing between -1 and 1 at the given samples."""
    cycles = level.respiration_hz * samples / SAMPLING_RATE
    return np.sin(2 * np.pi * cycles + level.respiration_phase)


def _draw_rhythm(mean_rr: float, level, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R positions (samples) from before the strip to after it, the RR before each, and ectopy.

    Half of the variance of RR follows breathing, half wanders slowly; an ectopic beat comes early
    and the pause after it makes up for that.
    """
    count = int(SAMPLES / PER_MS / mean_rr * 1.5) + 8
    shock = rng.standard_normal(count) * np.sqrt(1 - 0.6**2)
    rr = np.empty(count)
    slow, now = rng.standard_normal(), -(2 + level.first_beat_phase) * mean_rr
    for beat in range(count):
        slow = 0.6 * slow + shock[beat]
        breath = np.sqrt(2) * _respiration(now * PER_MS, level)
        rr[beat] = max(mean_rr + level.rr_sd_ms * np.sqrt(0.5) * (breath + slow), SHORTEST_RR_MS)
        now += rr[beat]
    start = -(2 + level.first_beat_phase) * mean_rr
    positions = (start + np.cumsum(rr)) * PER_MS

    ectopic = np.zeros(count, dtype=bool)
    inside = np.flatnonzero(_within_strip(positions))[1:-1]
    # Every other beat at most, or two early beats would run into each other.
    chosen = rng.choice(inside[::2], size=min(level.ectopic_beats, len(inside[::2])), replace=False)
    ectopic[chosen] = True
    early = rng.uniform(0.28, 0.4, len(chosen)) * rr[chosen]
    positions[chosen] -= early * PER_MS
    rr[chosen] -= early
    return positions, rr, ectopic


def _within_strip(positions: np.ndarray) -> np.ndarray:
    return (positions >= 0) & (positions <= SAMPLES - 1)


def _make_ectopic(centre, width, dipole, ectopic, rng) -> None:
    """Turn the marked beats into ventricular ones, in place: wide, no P, T against the QRS."""
    if not ectopic.any():
        return
    axis, tilt = rng.uniform(60, 300), rng.uniform(-50, 50)
    main = rng.uniform(1.2, 2.0) * unit_dipole(axis, tilt)
    across = 0.5 * np.linalg.norm(main) * unit_dipole(axis + rng.uniform(40, 90), -tilt)
    centre[ectopic, QRS_LOBES] = [-30.0, 0.0, 45.0, 0.0]
    width[ectopic, QRS_LOBES] = [22.0, 25.0, 24.0, 10.0]
    centre[ectopic, T_LOBES] = [240.0, 290.0]
    width[ectopic, T_LOBES] = [55.0, 40.0]
    dipole[ectopic, P_LOBES] = dipole[ectopic, ST_LOBE] = 0.0
    dipole[ectopic, QRS_LOBES] = [across, main, -0.4 * across, 0 * main]
    dipole[ectopic, T_LOBES] = [-0.2 * main, -0.3 * main]


def _breathe(dipole: np.ndarray, positions: np.ndarray, level) -> np.ndarray:
    """Turn and scale each beat's dipole with breathing, in the frontal and horizontal planes."""
    breath = _respiration(positions, level)
    angle = np.deg2rad(level.respiration_degrees) * breath
    cosine, sine = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    frontal = np.array([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])
    horizontal = np.array([[cosine, zero, -sine], [zero, one, zero], [sine, zero, cosine]])
    turn = np.einsum("ijb,jkb->bik", frontal, horizontal)
    gain = 1 + level.respiration_gain * breath
    return gain[:, None, None] * np.einsum("bij,blj->bli", turn, dipole)


def _beat_table(person, positions, centre, width, ectopic) -> pd.DataFrame:
    inside = _within_strip(positions)
    onset = (centre - EDGE_SDS * width)[:, QRS_LOBES].min(axis=1) * PER_MS
    end = (centre + EDGE_SDS * width)[:, QRS_LOBES].max(axis=1) * PER_MS
    table = pd.DataFrame(
        {
            "row": person,
            "r_sample": positions,
            "qrs_onset_sample": positions + onset,
            "qrs_end_sample": positions + end,
            "is_ectopic": ectopic,
        }
    )
    return table[inside]
