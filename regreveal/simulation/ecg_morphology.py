"""How hearts, chests and electrodes differ between people for no reason in their traits.

The spreads are set so that the median beats of `QRSAlignment` differ as those of the healthier part
of LUDB and CinC 2021 do: the 34 recordings in sinus rhythm of up to 100 beats a minute without
infarction, ischaemia, bundle branch block or hemiblock, pacing or inverted T waves in the header.
(Left ventricular hypertrophy by LUDB's readers is left in: they find it in two people of three.)

| of median beats                                       | those 34         | simulated        |
| ----------------------------------------------------- | ---------------- | ---------------- |
| circular SD and interquartile range of the T axis     | 27°, 26°         | 24°, 27°         |
| variance between people, mV²                          | 0.0061           | 0.0063           |
| its share in 4, 8, 16 components of 27 other people's | 0.35, 0.50, 0.67 | 0.38, 0.54, 0.68 |

Noise and wander leave little in a median beat; what spreads over so many components is the torso,
through which each lead sees every lobe a little differently, and the shapes of QRS and T.
"""

import numpy as np

from regreveal.simulation.ecg_dipole import LEAD_MATRIX

# What each is, and by how much people differ: see `regreveal.simulation.ecg_dipole.normal_beats`.
MORPHOLOGY = {
    "p_duration": (105.0, 7.0),
    "p_right": ([0.67, 0.34, -0.27], 0.06),
    "p_left": ([0.58, 0.26, 0.30], 0.06),
    "r_horizontal": (20.0, 10.0),
    "r_place": (0.45, 0.035),
    "r_width": (0.12, 0.014),
    "septum_width": (0.09, 0.013),
    "base_width": (0.14, 0.02),
    "septum": ([-0.11, -0.04, -0.19], 0.06),
    "base": ([-0.05, -0.07, 0.25], 0.08),
    "notch_place": (0.5, 0.14),
    "notch": ([0.0, 0.0, 0.0], 0.11),
    "st": ([0.0, 0.0, 0.0], 0.03),
    "t_width": (34.0, 2.5),
    "t_axis": (42.0, 12.0),
    "t_horizontal": (-25.0, 12.0),
    "t_early": ([0.45, 0.0, 0.0], 0.13),
    "t_early_lead": (1.3, 0.2),
    "t_early_width": (1.5, 0.15),
}
FARTHEST_SDS = 2.5  # nobody is farther off: it keeps lobes in their order
# T waves of one person in ten point elsewhere, as flat and half-inverted ones do.
UNUSUAL_T_SHARE, UNUSUAL_T_SPREAD = 0.1, 3.5

# No two torsos conduct alike: SD of each entry of the lead matrix, relative to the lead's length.
CHEST_TORSO_SD, LIMB_TORSO_SD = 0.18, 0.05
GAIN_SD = 0.03


def usual_morphology(n: int) -> dict[str, np.ndarray]:
    """Give `n` people the usual shape, as `draw_morphology` does a shape of their own."""
    return {name: np.stack([np.array(usual)] * n) for name, (usual, _) in MORPHOLOGY.items()}


def draw_morphology(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the shape of everyone's beat, but for what the traits determine.

    Parameters
    ----------
    n : int
        How many people.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    dict of str to ndarray, shape (n,) or (n, 3)
        The `shape` of `regreveal.simulation.ecg_dipole.normal_beats`.
    """
    shape = usual_morphology(n)
    unusual_t = np.where(rng.random(n) < UNUSUAL_T_SHARE, UNUSUAL_T_SPREAD, 1.0)
    for name, values in shape.items():
        z = rng.standard_normal(values.shape).clip(-FARTHEST_SDS, FARTHEST_SDS)
        if name in ("t_axis", "t_horizontal"):
            z *= unusual_t
        values += MORPHOLOGY[name][1] * z
    return shape


def draw_leads(shift: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one person's lead matrix: chest leads off along their row, in a torso of their own.

    Parameters
    ----------
    shift : float
        By how many places the chest leads are off.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    ndarray, shape (8, 3)
        As `LEAD_MATRIX`.
    """
    leads = LEAD_MATRIX.copy()
    leads[2:] += shift * np.gradient(LEAD_MATRIX[2:], axis=0)
    torso = np.array([LIMB_TORSO_SD] * 2 + [CHEST_TORSO_SD] * 6)[:, None]
    length = np.linalg.norm(LEAD_MATRIX, axis=1, keepdims=True)
    leads += torso * length * rng.standard_normal(leads.shape)
    return leads * (1 + rng.normal(0.0, GAIN_SD, (len(leads), 1)))
