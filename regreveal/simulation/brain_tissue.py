"""What a simulated brain is sampled from: tissue, head and labels of the template, as maps.

A scan's intensity is a sum over maps, weighted by the person's own contrast:

    I = T + Δgrey G + Δfluid F + (fluid − grey) w S + (white − grey) (s₁ D₁ + s₂ D₂) + H + f·fat

T is the template, G and F are shares of tissue, H and fat the head around them. S is the share of
fluid within the cortex, in sulci too fine for the template; it grows by w where the cortex thins.
D₁ and D₂ are what the share of white matter changes by where its border moves outwards by a
millimetre, its gradient's length, in the cerebrum and in the cerebellum; s₁ and s₂ are how far it
moves.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from regreveal import brain_atlas
from regreveal.brain_atlas import LABELS
from regreveal.brain_labels import CEREBELLAR_WHITE_FROM
from regreveal.simulation import brain_head

# Intensities of the template's own tissues.
GREY, WHITE, FLUID = 0.65, 0.87, 0.25
CHANNELS = ("template", "grey", "fluid", "sulci", "cerebral_border", "cerebellar_border")
# Grey and white matter of each part of the brain.
PARTS = {
    "cerebrum": (LABELS["cortex"], LABELS["white_matter"]),
    "cerebellum": (LABELS["cerebellar_grey"], LABELS["cerebellar_white"]),
}
SHARES = np.linspace(0, 1, 1001)
# Gradients lower than this, per mm, belong to no border.
FLAT = 0.02


@dataclass(frozen=True)
class Maps:
    """Maps with a voxel's last axis for channels, and where their voxels lie.

    Attributes
    ----------
    values : ndarray of float32, shape (x, y, z, channels)
    origin : ndarray, shape (3,)
        MNI millimetres of the first voxel's centre.
    step : float
        Millimetres from voxel to voxel.
    """

    values: np.ndarray
    origin: np.ndarray
    step: float


@dataclass(frozen=True)
class Anatomy:
    """Labels of the template at 1 mm, and where they change as borders move.

    Attributes
    ----------
    labels : ndarray of uint8, shape (182, 218, 182)
    level : ndarray of float32, same shape
        How far (mm) the border between grey and white matter has to move outwards for the voxel
        to be white, in cerebrum and cerebellum.
    origin : ndarray, shape (3,)
    """

    labels: np.ndarray
    level: np.ndarray
    origin: np.ndarray


@cache
def anatomy() -> Anatomy:
    """Anatomy of the template."""
    grey, white = brain_atlas.tissue("grey"), brain_atlas.tissue("white")
    labels = brain_atlas.labels()
    in_cerebellum = np.isin(labels, PARTS["cerebellum"])
    excess = np.where(in_cerebellum, white - CEREBELLAR_WHITE_FROM, white - grey)
    # Across the border, grey falls as fast as white rises.
    steepness = np.where(in_cerebellum, 1, 2) * _border(white)
    level = -excess / np.maximum(steepness, FLAT)
    return Anatomy(labels, level.astype(np.float32), brain_atlas.grid(1)[1][:3, 3])


def border_shift(part: str, white_share: float) -> float:
    """How far out the border of white matter has to move for white matter to be of a share.

    Parameters
    ----------
    part : str
        "cerebrum" (cortex and white matter) or "cerebellum".
    white_share : float
        Of the part's volume, between 0 and 1.

    Returns
    -------
    float
        In mm; 0 leaves the template as it is.
    """
    return float(np.interp(white_share, SHARES, _levels(part)))


def white_share(part: str) -> float:
    """Share of white matter in a part of the template."""
    return float(np.interp(0, _levels(part), SHARES))


@cache
def _levels(part: str) -> np.ndarray:
    found = anatomy()
    return np.quantile(found.level[np.isin(found.labels, PARTS[part])], SHARES)


@cache
def brain_maps(voxel_size_mm: float) -> Maps:
    """Make maps of the brain, `CHANNELS`, as blurred as voxels of a size see them."""
    labels = brain_atlas.labels()
    template = brain_atlas.template()[0]
    grey, white = brain_atlas.tissue("grey"), brain_atlas.tissue("white")
    fluid = np.clip(brain_atlas.brain_mask() - grey - white, 0, 1)
    border = _border(white)
    cerebral = border * np.isin(labels, PARTS["cerebrum"])
    cerebellar = border * np.isin(labels, PARTS["cerebellum"])
    sulci = fluid * (labels == LABELS["cortex"])
    volumes = (template, grey, fluid, sulci, cerebral, cerebellar)
    origin = brain_atlas.grid(1)[1][:3, 3]
    return _as_seen(volumes, origin, 1.0, voxel_size_mm)


@cache
def head_maps(voxel_size_mm: float) -> Maps:
    """Make maps of the head around it, all but fat and fat, as blurred as voxels see them."""
    origin = np.array(brain_head.ORIGIN_MM)
    return _as_seen(brain_head.paint_head(), origin, brain_head.STEP_MM, voxel_size_mm)


def _as_seen(volumes: tuple, origin: np.ndarray, step: float, voxel_size_mm: float) -> Maps:
    """Blur maps to the variance of a voxel's box, and thin them to no more than is left to see."""
    from scipy import ndimage

    sigma_mm = np.sqrt(max(voxel_size_mm**2 - step**2, 0) / 12)
    every = max(1, int(voxel_size_mm / 2 / step))
    seen = [
        ndimage.gaussian_filter(volume, sigma_mm / step, truncate=3)[::every, ::every, ::every]
        if sigma_mm > 0
        else volume
        for volume in volumes
    ]
    return Maps(np.stack(seen, axis=-1).astype(np.float32), origin, step * every)


def _border(white: np.ndarray) -> np.ndarray:
    """Length of the gradient of white matter's share, per mm."""
    return np.sqrt(sum(slope**2 for slope in np.gradient(white)))
