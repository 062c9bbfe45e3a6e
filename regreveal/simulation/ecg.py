"""Ten-second 12-lead ECGs: rhythm, breathing and noise around the dipole of each beat."""

import numpy as np

from regreveal.simulation.ecg_dipole import (
    LEAD_MATRIX,
    add_lobes,
    normal_beats,
    twelve_leads,
)

SAMPLING_RATE = 500
SAMPLES = 5000


def phantom(
    n: int,
    rng: np.random.Generator,
    noise_mv: float = 0.1,
    rr_mean_ms: float = 900.0,
    rr_sd_ms: float = 40.0,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """ECGs with exactly known beats: every beat of a person has the same shape in every lead.

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
    beats = normal_beats(traits, _draw_shape(n, rng))
    to_samples = SAMPLING_RATE / 1000
    measured = np.zeros((n, SAMPLES, len(LEAD_MATRIX)))
    beat_times = []
    for person in range(n):
        intervals = rng.normal(rr_mean_ms, rr_sd_ms, int(12_000 / rr_mean_ms * 2) + 8)
        positions = np.cumsum(np.maximum(intervals, 300.0)) * to_samples
        positions -= rng.uniform(1.0, 3.0) * rr_mean_ms * to_samples
        positions = positions[(positions > -SAMPLING_RATE) & (positions < SAMPLES + SAMPLING_RATE)]
        repeat = np.ones((len(positions), 1))
        amplitude = beats.dipole[person] @ LEAD_MATRIX.T
        add_lobes(
            measured[person],
            positions,
            repeat * beats.centre[person] * to_samples,
            repeat * beats.width[person] * to_samples,
            repeat[..., None] * amplitude,
        )
        beat_times.append(positions[(positions >= 0) & (positions <= SAMPLES - 1)])
    measured += rng.normal(0.0, noise_mv, measured.shape)
    return twelve_leads(measured), beat_times


def _draw_shape(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shape that no trait determines, modest beside what the traits do."""
    return {
        "p_duration": rng.normal(105.0, 6.0, n),
        "t_width": rng.normal(34.0, 2.5, n),
        "t_axis": rng.normal(42.0, 10.0, n),
        "t_horizontal": rng.normal(-25.0, 8.0, n),
        "r_horizontal": rng.normal(22.0, 8.0, n),
        "septum": rng.normal(0.22, 0.04, n).clip(0.05),
        "base": rng.normal(0.35, 0.06, n).clip(0.05),
    }
