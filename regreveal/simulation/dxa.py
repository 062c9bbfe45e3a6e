"""DXA images: whole body, its skeleton, hip and spine of people, as they lie and as exposed."""

import numpy as np
import pandas as pd

from regreveal.simulation.dxa_anatomy import draw_anatomy, draw_implants, draw_posture
from regreveal.simulation.dxa_exposure import (
    draw_exposures,
    draw_poses,
    draw_subtractions,
    expose,
    pose_homographies,
    unexposed,
)
from regreveal.simulation.dxa_shapes import LABELS, Solids
from regreveal.simulation.dxa_skeleton import VIEWS, build_bodies
from regreveal.simulation.recordings import Recordings

__all__ = ["LABELS", "VIEWS", "draw_bodies", "draw_poses", "pose_homographies", "record"]

# What weakens the beam: a mm of tissue, and a mm of full dense bone.
TISSUE_PER_MM, BONE_PER_MM = 0.0010, 0.026
OVERSAMPLING = 2
# Soft tissue that the subtraction of two energies leaves behind, as a share of its attenuation.
TISSUE_LEFT = 0.06
# What is found where another part of the body was to be.
MISTAKEN_FOR = {"body": "hip", "hip": "spine", "spine": "hip"}


def record(traits: pd.DataFrame, rng: np.random.Generator) -> Recordings:
    """Take everyone's DXA images.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        The DXA traits of `traits.tsv`, and `bmi` (kg/m2).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    Recordings
        Tensors `body` and `skeleton` (n, 232, 88), `hip` and `spine` (n, 96, 96), uint8; labels by
        `LABELS`, all 0 for an image that failed. Truth table `dxa`: `implant`; and for each view,
        after its name, what `draw_poses` and `draw_exposures` say, and `h00` to `h22`, the rows of
        the matrix from pixels (x, y) of the person's canonical frame to pixels of the image.

    Notes
    -----
    `skeleton` is the bone image of the same scan as `body`, by subtraction of its two energies:
    the same person in the same pose, window and labels, with noise and grey values of its own.
    """
    n = len(traits)
    anatomy, implants = draw_anatomy(traits, rng), draw_implants(n, rng)
    # A stream of its own: the other views are the same with this one and without.
    skeleton_rng = rng.spawn(1)[0]
    images, labels, truth = {}, {}, [pd.DataFrame({"implant": implants})]
    for view, properties in VIEWS.items():
        posture = draw_posture(n, rng)
        poses, exposures = draw_poses(n, rng), draw_exposures(n, rng)
        solids, origins = build_bodies(anatomy, posture, implants)
        matrices = pose_homographies(poses, properties.shape)
        tissue, bone, labels[view] = draw_view(
            solids, view, origins[view], matrices, properties.shape
        )
        for person in np.flatnonzero(exposures["failure"] == "wrong_part"):
            found = MISTAKEN_FOR[view]
            tissue[[person]], bone[[person]], _ = draw_view(
                solids.of(person),
                found,
                origins[found][[person]],
                matrices[[person]],
                properties.shape,
            )
        images[view] = expose(tissue + bone, exposures, properties.pixel_mm, rng)
        labels[view][exposures["failure"] != ""] = 0
        truth.append(_truth(view, poses, exposures, matrices))
        if view == "body":
            subtractions = draw_subtractions(exposures, skeleton_rng)
            left = TISSUE_LEFT * tissue + bone
            images["skeleton"] = expose(left, subtractions, properties.pixel_mm, skeleton_rng)
            labels["skeleton"] = labels[view]
            truth.append(_truth("skeleton", poses, subtractions, matrices))
    return Recordings(
        images,
        {"units": "grey value"},
        labels=labels,
        truth={"dxa": pd.concat(truth, axis=1)},
        voxel_sizes={
            name: (VIEWS["body" if name == "skeleton" else name].pixel_mm,) * 2 for name in images
        },
    )


def _truth(
    name: str, poses: pd.DataFrame, exposures: pd.DataFrame, matrices: np.ndarray
) -> pd.DataFrame:
    elements = [f"h{row}{column}" for row in range(3) for column in range(3)]
    flat = pd.DataFrame(matrices.reshape(-1, 9), columns=elements)
    return pd.concat([poses, exposures, flat], axis=1).add_prefix(f"{name}_")


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
        of pixels at whole numbers (`pose_homographies` of `draw_poses` gives such ones); without
        it images are in the canonical frame. It has the person upright, the middle of the hip
        joints 20 mm above the image's middle, and 2,088 mm over all rows.
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
    tissue, bone, labels = draw_view(solids, "body", origins["body"], homographies, shape)
    return unexposed(tissue + bone), labels


def draw_view(
    solids: Solids,
    view: str,
    origins: np.ndarray,
    homographies: np.ndarray,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one view of solids: what tissue and bone hold back of the beam, and the labels.

    Parameters
    ----------
    solids : Solids
        Of n people, from `build_bodies`.
    view : str
        One of `VIEWS`.
    origins : ndarray, shape (n, 2)
        What is in the middle of the canonical frame, in mm, from `build_bodies`.
    homographies : ndarray, shape (n, 3, 3)
        From the canonical frame to the image, in pixels of `shape`.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    tissue, bone : ndarray of float32, shape (n, *shape)
        Attenuation by each; they add up.
    labels : ndarray of uint8, shape (n, *shape)
    """
    from regreveal.simulation.dxa_render import draw  # imports numba

    from_mm = _canonical_frames(VIEWS[view].pixel_size(shape), origins, shape)
    tissue, bone, labels = draw(solids, homographies @ from_mm, shape, OVERSAMPLING)
    return TISSUE_PER_MM * tissue, BONE_PER_MM * bone, labels


def _canonical_frames(pixel_mm: float, origins: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Matrices from mm on the body to pixels of the canonical frame, (n, 3, 3)."""
    frames = np.zeros((len(origins), 3, 3))
    frames[:, 0, 0] = frames[:, 1, 1] = 1 / pixel_mm
    frames[:, 2, 2] = 1
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2
    frames[:, :2, 2] = middle - origins / pixel_mm
    return frames
