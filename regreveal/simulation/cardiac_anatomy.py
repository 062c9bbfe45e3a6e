"""Hearts from traits: sizes of chambers and walls of each person, over the cycle.

The heart has coordinates of its own, in mm: s runs along the left ventricle's long axis from the
mitral valve (at end-diastole) to the apex, u at right angles to it towards the lateral wall. So the
right heart lies at negative u and the atria at negative s.

The left ventricle is a prolate ellipsoid that the mitral valve cuts off, its wall the space to a
larger one, of the same volume throughout the cycle: as the cavity empties the wall thickens. The
left atrium is such an ellipsoid, too. The right ventricle is a crescent along the septum, whose
depth through the plane is `RV_DEPTH` times its width.
"""

import numpy as np
import pandas as pd

from regreveal.simulation.cardiac_cycle import Cycle

LV_CUT = 0.5  # mitral valve's distance from the ellipsoid's centre, in half axes
LA_CUT = 0.6
RA_CUT = 0.6
APEX_THINNING = 0.6  # the wall at the apex, as a share of that at the equator
APEX_INWARD_MM = 2.0  # how far the apex's inside comes towards the base in systole
RV_DEPTH = 2.2
RV_REACH = 0.86  # of the way to the left ventricle's outer apex
RV_EF_BELOW_LV = 4.0  # percentage points
TRICUSPID_APICAL_MM = 4.0  # the tricuspid valve lies nearer to the apex than the mitral one
USUAL_EF = 60.0
SECANT_STEPS = 12
PROFILE_POINTS = 201


def draw_anatomy(traits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw each heart's sizes: those the traits give, and those in which people differ besides.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        `lv_volume`, `rv_volume` (end-diastolic), `la_volume` (at its largest; ml),
        `wall_thickness` (mm, end-diastolic, at the equator), `ejection_fraction` (percent).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, ...)
        Volumes in mm³, lengths in mm, and shapes without a unit.
    """
    n = len(traits)

    def vary(mean, sd):
        return mean + sd * rng.standard_normal(n).clip(-2.5, 2.5)

    ejection_fraction = traits["ejection_fraction"].to_numpy()
    # Hearts that eject little shorten even less.
    shortening = (ejection_fraction / USUAL_EF) ** 1.3
    return pd.DataFrame(
        {
            "lv_volume": 1000 * traits["lv_volume"].to_numpy(),
            "rv_volume": 1000 * traits["rv_volume"].to_numpy(),
            "la_volume": 1000 * traits["la_volume"].to_numpy(),
            "ra_volume": 1000 * np.exp(vary(np.log(80.0), 0.12)),
            "wall_thickness": traits["wall_thickness"].to_numpy(),
            "lv_ejected": ejection_fraction / 100,
            "rv_ejected": (ejection_fraction - RV_EF_BELOW_LV + vary(0.0, 2.0)) / 100,
            "la_emptied": vary(0.58, 0.04),
            "ra_emptied": vary(0.50, 0.04),
            "kick_share": vary(0.22, 0.04),
            "lv_roundness": vary(0.40, 0.018),  # half width over half length of the ellipsoid
            "la_roundness": vary(0.72, 0.04),
            "ra_roundness": vary(0.80, 0.04),
            "mitral_excursion": shortening * vary(13.5, 0.8),
            "tricuspid_excursion": shortening * vary(20.0, 1.2),
            "rv_taper": vary(0.75, 0.05),
            "rv_bulge": vary(1.3, 0.18),
            "bend": vary(0.0, 1.5),  # of the long axis, mm at 60 mm from the valve
            "la_lean": vary(-0.12, 0.05),
            "ra_lean": vary(0.05, 0.05),
            "papillary": vary(0.50, 0.06),  # where along the ventricle
            "atrial_septum": vary(3.0, 0.5),
            "fat_extra": vary(0.0, 0.8),  # mm around the heart, beside what weight brings
            "chest_extra": vary(0.0, 3.0),
            "chest_width": vary(1.0, 0.03),
            "aorta_radius": vary(12.0, 1.2),
        }
    )


def shapes_over_cycle(
    anatomy: pd.DataFrame, cycle: Cycle, phase: np.ndarray
) -> dict[str, np.ndarray]:
    """Sizes of everything that moves, at each phase.

    Parameters
    ----------
    anatomy : DataFrame, shape (n, ...)
    cycle : Cycle
    phase : ndarray, shape (n, frames)

    Returns
    -------
    dict of str to ndarray, shape (n, frames)
        `mitral`, `tricuspid` (s of the valves, mm), `valves_open` (0 to 1); of the left ventricle
        `lv_centre` (s), `lv_length`, `lv_width` (half axes of the cavity), `lv_wall` (mm);
        of the right one `rv_apex` (s) and `rv_width`; and half axes `la_length`, `la_width`,
        `ra_length`, `ra_width`.
    """
    own = {name: anatomy[name].to_numpy()[:, None] for name in anatomy}
    ejected, filling = cycle.ejected(phase), cycle.atrial_filling(phase)
    mitral = own["mitral_excursion"] * ejected

    length_at_rest = half_length(own["lv_volume"], own["lv_roundness"], LV_CUT)
    lv_length = length_at_rest - (mitral + APEX_INWARD_MM * ejected) / (1 + LV_CUT)
    lv_volume = own["lv_volume"] * (1 - own["lv_ejected"] * ejected)
    lv_width = half_width(lv_volume, lv_length, LV_CUT)
    muscle = _muscle_volume(
        length_at_rest, own["lv_roundness"] * length_at_rest, own["wall_thickness"]
    )
    lv_wall = _wall_of(muscle, lv_length, lv_width, own["wall_thickness"])

    tricuspid = TRICUSPID_APICAL_MM + own["tricuspid_excursion"] * ejected
    outer_apex = (1 + LV_CUT) * length_at_rest + APEX_THINNING * own["wall_thickness"]
    rv_apex = RV_REACH * outer_apex - APEX_INWARD_MM * ejected
    rv_volume = own["rv_volume"] * (1 - own["rv_ejected"] * ejected)
    discs = np.pi / 4 * RV_DEPTH * (rv_apex - tricuspid) * _profile_square(anatomy)[:, None]

    shapes = {
        "mitral": mitral,
        "tricuspid": tricuspid,
        "valves_open": cycle.valves_open(phase),
        "lv_centre": mitral + LV_CUT * lv_length,
        "lv_length": lv_length,
        "lv_width": lv_width,
        "lv_wall": lv_wall,
        "rv_apex": rv_apex,
        "rv_width": np.sqrt(rv_volume / discs),
    }
    for atrium, cut, excursion in (
        ("la", LA_CUT, own["mitral_excursion"]),
        ("ra", RA_CUT, own["tricuspid_excursion"]),
    ):
        volume = own[f"{atrium}_volume"] * (1 - own[f"{atrium}_emptied"] * (1 - filling))
        # The back wall keeps its place in the chest, so a valve that moves lengthens the atrium.
        longest = half_length(own[f"{atrium}_volume"], own[f"{atrium}_roundness"], cut)
        length = longest - excursion * (1 - ejected) / (1 + cut)
        shapes[f"{atrium}_length"] = length
        shapes[f"{atrium}_width"] = half_width(volume, length, cut)
    return shapes


def rv_profile(along: np.ndarray, taper, bulge) -> np.ndarray:
    """Width of the right ventricle from its valve (0) to its apex (1), relative to the valve's."""
    return (1 - along) ** taper * (1 + bulge * along)


def half_length(volume: np.ndarray, roundness: np.ndarray, cut: float) -> np.ndarray:
    """Half length of a cut ellipsoid of this volume whose half width is `roundness` times it."""
    return np.cbrt(volume / (np.pi * roundness**2 * _cut_integral(cut)))


def half_width(volume: np.ndarray, length: np.ndarray, cut: float) -> np.ndarray:
    """Half width of a cut ellipsoid of this volume and half length."""
    return np.sqrt(volume / (np.pi * length * _cut_integral(cut)))


def _cut_integral(cut):
    """Integral of 1 - t² from -cut to 1: a cut ellipsoid's volume over π length width²."""
    return (1 + cut) - (1 + cut**3) / 3


def _muscle_volume(length: np.ndarray, width: np.ndarray, wall: np.ndarray) -> np.ndarray:
    """Volume between the cavity and the outer ellipsoid, cut off by the same plane."""
    outer = length + APEX_THINNING * wall
    outer_volume = outer * (width + wall) ** 2 * _cut_integral(LV_CUT * length / outer)
    return np.pi * (outer_volume - length * width**2 * _cut_integral(LV_CUT))


def _wall_of(
    muscle: np.ndarray, length: np.ndarray, width: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Thickness at the equator of a wall of this volume, by the secant method."""
    before = np.broadcast_to(start, length.shape)
    wall = 1.05 * before
    error_before = _muscle_volume(length, width, before) - muscle
    for _ in range(SECANT_STEPS):
        error = _muscle_volume(length, width, wall) - muscle
        rise = error - error_before
        step = np.divide(error * (wall - before), rise, where=rise != 0, out=np.zeros_like(rise))
        before, error_before, wall = wall, error, wall - step
    return wall


def _profile_square(anatomy: pd.DataFrame) -> np.ndarray:
    """Mean square of each right ventricle's profile, shape (n,)."""
    along = np.linspace(0, 1, PROFILE_POINTS)
    taper, bulge = (anatomy[name].to_numpy()[:, None] for name in ("rv_taper", "rv_bulge"))
    return np.trapezoid(rv_profile(along, taper, bulge) ** 2, along, axis=1)
