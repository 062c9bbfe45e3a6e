"""What lies around the template brain in a scan: skull, scalp, face and neck, painted.

The MNI152 template is a brain alone; a scan as it comes from the scanner shows a head. Shapes and
intensities are those of a T1-weighted scan in rough: fat is brightest, muscle grey, bone and air
dark. Coordinates are millimetres of MNI space, intensities the template's, white matter 0.87.
"""

from functools import cache

import numpy as np

from regreveal import brain_atlas
from regreveal.brain_labels import ellipsoid

STEP_MM = 2.0
ORIGIN_MM = (-110.0, -144.0, -150.0)
SHAPE = (111, 132, 131)

FLUID, BONE, MARROW, MUSCLE, CORD, AIR = 0.22, 0.07, 0.40, 0.42, 0.70, 0.02
CAVITY_CLOSING_MM = 10.0
DURA_MM, SKULL_MM, SCALP_MM = 2.0, 8.0, 14.5
SKIN_MM, FAT_MM = 1.5, 5.0
TEXTURE_SEED, TEXTURE = 152, 0.12


@cache
def paint_head() -> tuple[np.ndarray, np.ndarray]:
    """Paint the head around the template brain, which is left out.

    Returns
    -------
    tissue : ndarray of float32, shape (111, 132, 131)
        Intensity of all but fat, on a grid of 2 mm from `ORIGIN_MM` on.
    fat : ndarray of float32, same shape
        Share of fat, whose brightness differs from scanner to scanner.
    """
    from scipy import ndimage

    x, y, z = (
        axis * STEP_MM + start
        for axis, start in zip(
            np.ogrid[tuple(slice(0, count) for count in SHAPE)], ORIGIN_MM, strict=True
        )
    )
    place = (np.abs(x), y, z)
    brain = _brain_share()
    closing = round(CAVITY_CLOSING_MM / STEP_MM)
    away = ndimage.distance_transform_edt(brain < 0.5, sampling=STEP_MM)
    grown = away <= closing * STEP_MM
    cavity = ndimage.distance_transform_edt(grown, sampling=STEP_MM) > closing * STEP_MM
    beyond = ndimage.distance_transform_edt(~cavity, sampling=STEP_MM)

    face = (
        ellipsoid(place, (0, 42, -55), (62, 58, 62))
        | ellipsoid(place, (0, 92, -52), (13, 20, 20))
        | ellipsoid(place, (0, 62, -95), (38, 36, 22))
        | ellipsoid(place, (78, -22, -42), (10, 18, 26))
    )
    neck = ellipsoid((*place[:2], 0 * z), (0, -22, 0), (60, 62, 1)) & (z < -45)
    body = (beyond < SCALP_MM) | face | neck
    body = ndimage.gaussian_filter(body.astype(np.float32), 2.0) > 0.5
    depth = ndimage.distance_transform_edt(body, sampling=STEP_MM)

    tissue = np.where(body, np.float32(MUSCLE), np.float32(0))
    # The muscles of the neck and the face lie in fat.
    ripples = np.sin(place[0] / 6 + y / 11) * np.sin(y / 8 - z / 23)
    fat = (body & (depth > SKIN_MM) & (depth < FAT_MM)) | (body & (z < -25) & (ripples > 0.62))
    _paint_face(place, tissue, fat)
    _paint_neck(place, tissue, fat)
    _paint_skull(beyond, z, tissue, fat)
    tissue[cavity], fat[cavity] = FLUID, False
    tissue[fat] = 0

    rng = np.random.default_rng(TEXTURE_SEED)
    texture = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5)
    texture = 1 + TEXTURE * np.clip(texture / texture.std(), -2, 2)
    outside = (1 - brain).astype(np.float32)
    return (tissue * texture * outside).astype(np.float32), fat * texture.astype("f4") * outside


def _paint_skull(beyond: np.ndarray, z: np.ndarray, tissue: np.ndarray, fat: np.ndarray) -> None:
    """Lay two tables of bone with marrow between them around the cavity, thicker at the base."""
    skull = SKULL_MM - 2 * np.clip((-z - 30) / 20, 0, 1)
    bone = (beyond > 0) & (beyond <= skull)
    tissue[bone], fat[bone] = BONE, False
    tissue[bone & (beyond > DURA_MM + 1.5) & (beyond < skull - 1)] = MARROW
    tissue[(beyond > 0) & (beyond <= DURA_MM)] = FLUID


def _paint_face(place: tuple, tissue: np.ndarray, fat: np.ndarray) -> None:
    """Paint orbits with their eyes, the air of nose and sinuses, jaws."""
    parts = (
        ((32, 52, -34), (19, 24, 18), None),
        ((32, 61, -34), (12, 12, 12), FLUID),
        ((32, 71, -34), (5, 3, 5), MUSCLE),
        ((0, 62, -50), (9, 26, 17), 0.25),
        ((6, 60, -50), (2.5, 25, 14), AIR),
        ((24, 50, -58), (12, 14, 14), AIR),
        ((0, 34, -28), (12, 11, 9), AIR),
        ((9, 74, 2), (9, 4, 9), AIR),
        ((58, -25, -40), (10, 12, 14), BONE),
        ((0, 55, -76), (26, 26, 5), BONE),
        ((0, 48, -86), (24, 28, 9), 0.5),
        ((0, 12, -80), (11, 7, 24), AIR),
    )
    for centre, radii, intensity in parts:
        inside = ellipsoid(place, centre, radii)
        fat[inside] = intensity is None
        if intensity is not None:
            tissue[inside] = intensity
    jaw = (
        (place[1] > 20)
        & ellipsoid(place, (0, 45, -98), (42, 42, 9))
        & ~ellipsoid(place, (0, 42, -98), (33, 34, 14))
    )
    tissue[jaw], fat[jaw] = BONE, False


def _paint_neck(place: tuple, tissue: np.ndarray, fat: np.ndarray) -> None:
    """Paint the spine with its cord, and the windpipe, all running down from the skull."""
    side, y, z = place
    down = z < -64
    columns = (
        ((0, -24), (13, 10), MARROW + 0.1),
        ((0, -47), (11, 9), FLUID),
        ((0, -47), (6, 4.5), CORD),
        ((0, -68), (5, 11), MARROW),
        ((0, 10), (9, 8), AIR),
    )
    for (_, middle), (wide, deep), intensity in columns:
        inside = down & (((side / wide) ** 2 + ((y - middle) / deep) ** 2) < 1)
        tissue[inside], fat[inside] = intensity, False


def _brain_share() -> np.ndarray:
    """Share of the template brain in each voxel of the head's grid."""
    from scipy import ndimage

    fine = brain_atlas.brain_mask(1).astype(np.float32)
    smooth = ndimage.uniform_filter(fine, 2)
    affine = brain_atlas.grid(1)[1]
    offset = np.array(ORIGIN_MM) - affine[:3, 3]
    return ndimage.affine_transform(smooth, np.full(3, STEP_MM), offset, SHAPE, order=1)
