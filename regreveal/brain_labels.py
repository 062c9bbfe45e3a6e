"""Anatomy of the MNI152 template, by rules of intensity and place in MNI millimetres."""

import numpy as np
from scipy import ndimage

from regreveal.brain_atlas import LABELS

# Midway between fluid and white matter in the template's intensities.
FLUID_BELOW = 0.55
# The arbor of the cerebellum is finer than what 152 people have in common, so its white matter
# shows in part only. From this share on it makes up 21 % of the cerebellum, what FreeSurfer finds.
CEREBELLAR_WHITE_FROM = 0.27
# A box that has the tentorium and all below it in it, in voxels of the 1 mm grid.
HINDBRAIN_BOX = (slice(None), slice(0, 150), slice(0, 100))


def label_template(
    image: np.ndarray,
    grey: np.ndarray,
    white: np.ndarray,
    brain: np.ndarray,
    affine: np.ndarray,
) -> np.ndarray:
    """Label the template brain.

    Parameters
    ----------
    image, grey, white : ndarray, shape (182, 218, 182)
        The template's T1 intensities, from 0 to 1, and shares of tissue.
    brain : ndarray of bool, same shape
    affine : ndarray, shape (4, 4)
        Voxel indices to MNI millimetres.

    Returns
    -------
    ndarray of uint8, same shape
        Values of `regreveal.brain_atlas.LABELS`, 0 elsewhere.

    Notes
    -----
    The hindbrain is parted from the rest by a watershed of the template's intensities, so that
    the border is the dark tentorium; brain stem and cerebellum part at a surface through the
    fourth ventricle and at |x| = 17 mm. Ventricles are fluid within envelopes, what hangs together
    with the lateral ones and the fourth. Deep grey is thalamus, caudate, putamen and pallidum:
    what is not white within an ellipsoid each.
    """
    x, y, z = np.ogrid[tuple(slice(0, count) for count in image.shape)]
    x, y, z = (axis + start for axis, start in zip((x, y, z), affine[:3, 3], strict=True))
    place = (np.abs(x), y, z)
    solid = brain & (grey + white > 0.5)

    hindbrain = _hindbrain(place, image, brain)
    before_fourth_ventricle = y > np.interp(z, [-72, -50, -30, -8], [-52, -46, -38, -35])
    front = before_fourth_ventricle & (place[0] < 17)
    stem = solid & hindbrain & front & (z < -4)
    cerebellum = solid & hindbrain & ~front
    cerebrum = solid & ~hindbrain

    found = np.zeros(image.shape, np.uint8)
    found[cerebrum & (grey >= white)] = LABELS["cortex"]
    found[cerebrum & (grey < white)] = LABELS["white_matter"]
    found[cerebrum & _deep_grey(place, white)] = LABELS["deep_grey"]
    found[cerebellum & (white < CEREBELLAR_WHITE_FROM)] = LABELS["cerebellar_grey"]
    found[cerebellum & (white >= CEREBELLAR_WHITE_FROM)] = LABELS["cerebellar_white"]
    found[stem] = LABELS["brain_stem"]
    found[_ventricles(place, brain & (image < FLUID_BELOW))] = LABELS["ventricles"]
    return found


def _hindbrain(place: tuple, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Cerebellum and brain stem, with the fluid around them, from the cerebrum by watershed."""
    side, y, z = place
    below = (
        ellipsoid(place, (26, -62, -38), (20, 20, 13))
        | ellipsoid(place, (38, -62, -34), (10, 14, 8))
        | ellipsoid(place, (18, -40, -34), (8, 10, 8))
        | ellipsoid(place, (0, -62, -24), (8, 14, 12))
        | ellipsoid(place, (0, -28, -32), (14, 9, 12))
        | ellipsoid(place, (0, -26, -12), (9, 6, 6))
        | ellipsoid(place, (0, -40, -55), (7, 6, 14))
    )
    above = (
        (z > np.where(side < 14, 14 - 0.6 * side, 4))
        | (y > -14)
        | (y < -97)
        | ((side > 56) & (z > -30) & (y > -55))
        | ((side > 18) & (side < 45) & (z > -22) & (y > -28))
        | ((side > 5) & (z > -4) & (y > -30))
    )
    seeds = np.zeros(image.shape, np.int8)
    seeds[above & ~below & brain] = 1
    seeds[below & brain] = 2
    seeds[~brain] = 3
    smooth = ndimage.gaussian_filter(image[HINDBRAIN_BOX], 0.7)
    darkness = (255 * (1 - smooth)).clip(0, 255).astype(np.uint8)
    flooded = ndimage.watershed_ift(darkness, seeds[HINDBRAIN_BOX]) == 2
    hindbrain = np.zeros(image.shape, bool)
    # Opening takes away what crept along the rim of the brain, a voxel or two thick.
    hindbrain[HINDBRAIN_BOX] = ndimage.binary_opening(flooded, iterations=2)
    return hindbrain


def _ventricles(place: tuple, fluid: np.ndarray) -> np.ndarray:
    """Lateral, third and fourth ventricles."""
    _, y, z = place
    horns_and_bodies = _box(place, (1, 24), (-45, 38), (0, 30)) & ((z > 8) | (y > -2))
    atria = _box(place, (13, 38), (-75, -24), (-3, 24))
    temporal_horns = _box(place, (25, 38), (-42, -8), (-24, 0))
    third = _box(place, (0, 4), (-26, 2), (-8, 12))
    fourth = _box(place, (0, 10), (-52, -32), (-46, -20))
    parts, _ = ndimage.label(fluid & (horns_and_bodies | atria | temporal_horns | third))
    lateral = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    return lateral | (fluid & fourth)


def _deep_grey(place: tuple, white: np.ndarray) -> np.ndarray:
    """Thalamus, caudate, putamen and pallidum."""
    thalamus = ellipsoid(place, (11, -18, 8), (12, 17, 11)) & (white < 0.85)
    caudate = ellipsoid(place, (13, 13, 8), (9, 16, 15)) & (white < 0.5)
    caudate_body = _box(place, (9, 21), (-20, 4), (14, 26)) & (white < 0.5)
    putamen = ellipsoid(place, (26, 2, 1), (8, 21, 13)) & (white < 0.75)
    pallidum = ellipsoid(place, (19, -3, -1), (7, 11, 7))
    return thalamus | caudate | caudate_body | putamen | pallidum


def ellipsoid(place: tuple, centre: tuple, radii: tuple) -> np.ndarray:
    """Both of a pair of ellipsoids, which are aligned with the axes.

    Parameters
    ----------
    place : tuple of three ndarrays
        MNI millimetres that broadcast together; the first is the distance from the midline.
    centre, radii : tuple of float, length 3

    Returns
    -------
    ndarray of bool
        What lies inside.
    """
    return (
        sum(
            ((axis - middle) / radius) ** 2
            for axis, middle, radius in zip(place, centre, radii, strict=True)
        )
        < 1
    )


def _box(place: tuple, *limits: tuple) -> np.ndarray:
    inside = True
    for axis, (low, high) in zip(place, limits, strict=True):
        inside = inside & (axis >= low) & (axis <= high)
    return inside
