"""What recordings carry beside the heart: wander, muscle, mains, and now and then a failure.

The usual sizes are those of the LUDB and CinC 2021 recordings (median and upper 5 % over people):
muscle 0.01 and 0.03 mV SD, wander 0.04 and 0.15 mV SD, mains 0.002 and 0.015 mV.
"""

import numpy as np
import pandas as pd

from regreveal.simulation.ecg_dipole import MEASURED_LEADS

MAINS_HZ = 50.0
FAILURE_SHARE = 0.003
BURST_SHARE = 0.2


def draw_noise_levels(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how noisy each recording is.

    Parameters
    ----------
    n : int
        How many recordings.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, 6)
        `wander_mv`, `muscle_mv` (SDs), `mains_mv` (amplitude), `burst` (bool: muscle noise
        swells for a second or two), `dead_lead` (name or empty) and `heavy_noise` (bool).
    """
    failed = rng.random(n) < FAILURE_SHARE
    dead = rng.random(n) < 0.5
    # A dead limb electrode would silence several leads at once; a chest electrode is the usual one.
    lead = rng.choice(MEASURED_LEADS[2:], size=n)
    heavy = failed & ~dead
    muscle = np.exp(rng.normal(np.log(0.010), 0.65, n))
    return pd.DataFrame(
        {
            "wander_mv": np.exp(rng.normal(np.log(0.04), 0.8, n)),
            "muscle_mv": np.where(heavy, rng.uniform(0.8, 1.6, n), muscle),
            "mains_mv": np.exp(rng.normal(np.log(0.002), 1.2, n)),
            "burst": rng.random(n) < BURST_SHARE,
            "dead_lead": np.where(failed & dead, lead, ""),
            "heavy_noise": heavy,
        }
    )


def add_noise(
    measured: np.ndarray,
    level,
    respiration: np.ndarray,
    sampling_rate: float,
    rng: np.random.Generator,
) -> None:
    """Add one person's noise in place, apart in each measured lead.

    Parameters
    ----------
    measured : ndarray, shape (samples, 8)
        Leads I, II, V1-V6 in mV.
    level : one row of `draw_noise_levels`
        As `DataFrame.itertuples` gives it.
    respiration : ndarray, shape (samples,)
        Breathing, between -1 and 1: part of the wander follows it.
    sampling_rate : float
        In hertz.
    rng : numpy.random.Generator
        Source of everything random.
    """
    samples, leads = measured.shape
    seconds = np.arange(samples) / sampling_rate
    phase = rng.uniform(0, 2 * np.pi, 2)
    drift = np.sin(2 * np.pi * np.outer(seconds, rng.uniform(0.03, 0.5, 2)) + phase)
    sources = np.column_stack([respiration, drift])
    # Three sines of variance 1/2: their sum has variance 1 with weights of variance 2/3.
    measured += sources @ rng.normal(0, level.wander_mv * np.sqrt(2 / 3), (3, leads))

    swell = np.ones(samples)
    if level.burst:
        centre, width = rng.uniform(0, seconds[-1]), rng.uniform(0.3, 0.8)
        swell += 3 * np.exp(-0.5 * ((seconds - centre) / width) ** 2)
    muscle = rng.standard_normal((samples, leads), dtype=np.float32)
    measured += muscle * (level.muscle_mv * swell)[:, None] * rng.uniform(0.7, 1.3, leads)

    mains = 2 * np.pi * MAINS_HZ * seconds[:, None] + rng.uniform(0, 2 * np.pi, leads)
    measured += level.mains_mv * rng.uniform(0.5, 1.5, leads) * np.sin(mains)
    if level.dead_lead:
        measured[:, MEASURED_LEADS.index(level.dead_lead)] = 0.0
