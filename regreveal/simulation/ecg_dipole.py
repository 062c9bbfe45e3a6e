"""The electrical heart: a moving dipole made of Gaussian lobes, seen through a lead matrix."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from regreveal.ecg_leads import LEADS

# Potential (mV) of each independent lead for a dipole of 1 mV along X (left), Y (down), Z (back).
# Dower, Machado and Osborne (1980), Clin. Cardiol. 3:87.
MEASURED_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
LEAD_MATRIX = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

# A wave begins and ends where its outermost lobes are this many SDs from their centres.
EDGE_SDS = 2.0
LOBES = ("P right", "P left", "septum", "free wall", "base", "notch", "ST", "T early", "T late")
P_LOBES, QRS_LOBES, ST_LOBE, T_LOBES = slice(0, 2), slice(2, 6), 6, slice(7, 9)
NOTCH_WIDTH = 0.07  # of the QRS duration
LATE_T = 0.8  # with the early lobe, the T wave peaks at about its amplitude


@dataclass
class Beats:
    """Lobes of one beat per person, times relative to the centre of the free-wall lobe (R).

    Attributes
    ----------
    centre, width : ndarray, shape (n, lobes)
        Centre and SD of each lobe in ms.
    dipole : ndarray, shape (n, lobes, 3)
        Peak of each lobe in mV along X (left), Y (down) and Z (back).
    """

    centre: np.ndarray
    width: np.ndarray
    dipole: np.ndarray


def normal_beats(traits: dict[str, np.ndarray], shape: dict[str, np.ndarray]) -> Beats:
    """Lobes whose onsets, ends, axis and sizes are exactly those the traits say.

    Parameters
    ----------
    traits : mapping of str to ndarray, shape (n,)
        `pr_interval`, `qrs_duration`, `qt_interval` (ms, at this person's own mean RR),
        `frontal_axis` (degrees), `p_amplitude`, `r_amplitude`, `t_amplitude` (mV, of the dipole).
    shape : mapping of str to ndarray, shape (n,) or (n, 3)
        What differs between people for no reason in the traits. Durations: `p_duration`,
        `t_width` (ms; SD of the late T lobe). Within the QRS duration, as shares of it: `r_place`
        (of the free wall's peak), `notch_place`, `septum_width`, `r_width`, `base_width`. Angles
        in degrees: `r_horizontal`, `t_axis`, `t_horizontal`. Dipoles, of shape (n, 3): `p_right`,
        `p_left` (per mV of P), `septum`, `base`, `notch` (per mV of R), `st` (mV), and `t_early`
        (per mV of T; along the late T wave and the two directions across it). `t_early_lead` and
        `t_early_width` are in units of `t_width`.

    Returns
    -------
    Beats
        One beat per person.
    """
    qrs = traits["qrs_duration"]
    centre = np.empty((len(qrs), len(LOBES)))
    width = np.empty_like(centre)
    dipole = np.empty((*centre.shape, 3))

    # R is time 0: the septum begins `r_place` of the complex before it, the base ends the complex.
    qrs_onset, qrs_end = -shape["r_place"] * qrs, (1 - shape["r_place"]) * qrs
    width[:, 2], width[:, 3] = shape["septum_width"] * qrs, shape["r_width"] * qrs
    width[:, 4], width[:, 5] = shape["base_width"] * qrs, NOTCH_WIDTH * qrs
    centre[:, 2], centre[:, 3] = qrs_onset + EDGE_SDS * width[:, 2], 0.0
    centre[:, 4] = qrs_end - EDGE_SDS * width[:, 4]
    centre[:, 5] = qrs_onset + shape["notch_place"] * qrs

    p_onset = qrs_onset - traits["pr_interval"]
    width[:, P_LOBES] = shape["p_duration"][:, None] * [0.17, 0.19]
    centre[:, 0] = p_onset + EDGE_SDS * width[:, 0]
    centre[:, 1] = p_onset + shape["p_duration"] - EDGE_SDS * width[:, 1]

    t_end = qrs_onset + traits["qt_interval"]
    width[:, 7], width[:, 8] = shape["t_early_width"] * shape["t_width"], shape["t_width"]
    centre[:, 8] = t_end - EDGE_SDS * width[:, 8]
    centre[:, 7] = centre[:, 8] - shape["t_early_lead"] * shape["t_width"]
    # The ST segment's lobe reaches from the end of the complex to the late T wave.
    centre[:, ST_LOBE] = (qrs_end + centre[:, 8]) / 2
    width[:, ST_LOBE] = (centre[:, 8] - qrs_end) / (2 * EDGE_SDS)

    p, r, t = (traits[f"{wave}_amplitude"][:, None] for wave in "prt")
    dipole[:, 0], dipole[:, 1] = p * shape["p_right"], p * shape["p_left"]
    dipole[:, 2], dipole[:, 4] = r * shape["septum"], r * shape["base"]
    dipole[:, 3] = r * unit_dipole(traits["frontal_axis"], shape["r_horizontal"])
    dipole[:, 5], dipole[:, ST_LOBE] = r * shape["notch"], shape["st"]
    axes = _frame(unit_dipole(shape["t_axis"], shape["t_horizontal"]))
    dipole[:, 7] = t * np.einsum("ij,ijk->ik", shape["t_early"], axes)
    dipole[:, 8] = t * LATE_T * axes[:, 0]
    return Beats(centre, width, dipole)


def unit_dipole(frontal_axis, horizontal) -> np.ndarray:
    """Give unit vectors by the axis the limb leads show, tilted back (+) or forward (-), degrees.

    The frontal part is found through the lead matrix, since the axis that a reader takes from
    leads I and aVF is not quite that of the dipole.
    """
    angle, tilt = np.broadcast_arrays(np.deg2rad(frontal_axis), np.deg2rad(horizontal))
    lead_i, lead_ii = LEAD_MATRIX[0, :2], LEAD_MATRIX[1, :2]
    limb = np.array([lead_i, (lead_ii - lead_i / 2) * 2 / np.sqrt(3)])
    seen = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    frontal = seen @ np.linalg.inv(limb).T
    frontal /= np.linalg.norm(frontal, axis=-1, keepdims=True)
    return np.concatenate([frontal * np.cos(tilt)[..., None], np.sin(tilt)[..., None]], axis=-1)


def _frame(along: np.ndarray) -> np.ndarray:
    """Give unit vectors (n, 3 vectors, 3) along the given ones, across in the frontal plane, up."""
    across = np.cross(along, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.stack([along, across, np.cross(along, across)], axis=1)


@njit(cache=True)
def add_lobes(signal, positions, centre, width, amplitude):
    """Add every lobe of every beat of one person to `signal`, in place.

    Parameters
    ----------
    signal : ndarray, shape (samples, leads)
        What is added to.
    positions : ndarray, shape (beats,)
        R of each beat, in samples, fractions allowed.
    centre, width : ndarray, shape (beats, lobes)
        In samples.
    amplitude : ndarray, shape (beats, lobes, leads)
        Peak of each lobe in each lead, mV.
    """
    samples, leads = signal.shape
    for beat in range(positions.size):
        for lobe in range(centre.shape[1]):
            middle = positions[beat] + centre[beat, lobe]
            reach = 5.0 * width[beat, lobe]
            first = max(0, int(np.ceil(middle - reach)))
            last = min(samples - 1, int(np.floor(middle + reach)))
            for sample in range(first, last + 1):
                distance = (sample - middle) / width[beat, lobe]
                value = np.exp(-0.5 * distance * distance)
                for lead in range(leads):
                    signal[sample, lead] += value * amplitude[beat, lobe, lead]


def twelve_leads(measured: np.ndarray) -> np.ndarray:
    """Derive III and the augmented leads by Einthoven's and Goldberger's relations.

    Parameters
    ----------
    measured : ndarray, shape (..., 8)
        Leads I, II, V1-V6.

    Returns
    -------
    ndarray, shape (..., 12)
        All leads in the order of `regreveal.ecg_leads.LEADS`, float32.
    """
    measured = measured.astype(np.float32)
    full = np.empty((*measured.shape[:-1], len(LEADS)), dtype=np.float32)
    lead_i, lead_ii = measured[..., 0], measured[..., 1]
    full[..., 0], full[..., 1], full[..., 2] = lead_i, lead_ii, lead_ii - lead_i
    full[..., 3] = -(lead_i + lead_ii) / 2
    full[..., 4] = lead_i - lead_ii / 2
    full[..., 5] = lead_ii - lead_i / 2
    full[..., 6:] = measured[..., 2:]
    return full
