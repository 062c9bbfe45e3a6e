"""DXA images: whole body, hip and spine of people's skeletons, as they lie and as exposed."""

import numpy as np
import pandas as pd

from regreveal.simulation.dxa_anatomy import draw_anatomy, draw_posture
from regreveal.simulation.dxa_shapes import LABELS, Solids
from regreveal.simulation.dxa_skeleton import VIEWS, build_bodies

__all__ = ["LABELS", "VIEWS", "draw_bodies"]

# What weakens the beam: a mm of tissue, a mm of dense bone; and what is shown as white.
TISSUE_PER_MM, BONE_PER_MM = 0.0011, 0.022
WHITE = 1.0
OVERSAMPLING = 2


def draw_bodies(
    traits: pd.DataFrame,
    rng: np.random.Generator,
    homographies: np.ndarray | None = None,
    shape: tuple[int, int] = VIEWS["body"].shape,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw whole bodies as they are, without exposure, noise or table: phantoms of any size.

    Every body has an anatomy of its own and its limbs lie as they happen to. The same `rng` seed
    gives the same people at any `shape` and with any `homographies`, so a second call with others
    gives the same bodies moved.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        The DXA traits of `traits.tsv`, and `bmi` (kg/m2).
    rng : numpy.random.Generator
        Source of everything random.
    homographies : ndarray, shape (n, 3, 3), optional
        From pixels (x, y) of the canonical frame to pixels of the image, both of `shape`, centres
        of pixels at whole numbers; without it images are in the canonical frame. It has the
        middle of the hip joints 20 mm above the image's middle and the person upright, 2,088 mm
        over all rows.
    shape : tuple of int
        Rows and columns: (928, 352) is full size, (464, 176) half, (232, 88) a quarter.

    Returns
    -------
    images : ndarray of float32, shape (n, *shape)
        Grey values from 0 to 255, brighter where more of the beam is held back.
    labels : ndarray of uint8, shape (n, *shape)
        Anatomy, by the numbers of `LABELS`; 0 is air.
    """
    anatomy, posture = draw_anatomy(traits, rng), draw_posture(len(traits), rng)
    solids, origins = build_bodies(anatomy, posture)
    if homographies is None:
        homographies = np.tile(np.eye(3), (len(traits), 1, 1))
    attenuation, labels = draw_view(solids, "body", origins["body"], homographies, shape)
    return np.clip(255 * attenuation / WHITE, 0, 255), labels


def draw_view(
    solids: Solids,
    view: str,
    origins: np.ndarray,
    homographies: np.ndarray,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what is held back of the beam, and the labels, of one view; see `draw_bodies`."""
    # Importing this imports numba.
    from regreveal.simulation.dxa_render import draw

    from_mm = canonical_frame(view, origins, shape)
    tissue, bone, labels = draw(solids, homographies @ from_mm, shape, OVERSAMPLING)
    return TISSUE_PER_MM * tissue + BONE_PER_MM * bone, labels


def canonical_frame(view: str, origins: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Give the matrices from mm on the body to pixels of the canonical frame, (n, 3, 3)."""
    frames = np.zeros((len(origins), 3, 3))
    frames[:, 0, 0] = frames[:, 1, 1] = 1 / VIEWS[view].pixel_size(shape)
    frames[:, 2, 2] = 1
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2
    frames[:, :2, 2] = middle - origins / VIEWS[view].pixel_size(shape)
    return frames
