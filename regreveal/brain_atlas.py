"""The MNI152 template brain: its grids, its image, its tissues, its anatomy.

The template is the ICBM 2009a nonlinear symmetric average of 152 people (Fonov et al. 2011,
NeuroImage 54:313), which nilearn carries at 1 mm: the brain alone, without skull and scalp.

All grids are RAS+: x grows to the right, y to the front, z upwards, and a grid's affine takes
voxel indices to millimetres of MNI space. The 1 mm grid is the 182×218×182 one that FSL and UK
Biobank use, with x turned to grow to the right. Coarser grids have as many whole voxels as fit in
its field of view, centred on (0, -18, 18) mm; at 2 mm this is FSL's 91×109×91 grid.

No atlas comes with the project, for want of one whose licence lets it. The seven labels of `labels`
follow from the template and its tissue maps by rules in MNI millimetres; `read_labels` takes an
atlas of the user's own instead.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from regreveal.errors import InputError

FINE_SHAPE = (182, 218, 182)
FINE_ORIGIN_MM = (-91.0, -126.0, -72.0)
COARSE_CENTRE_MM = (0.0, -18.0, 18.0)
TISSUES = ("grey", "white")
LABELS = {
    "ventricles": 1,
    "cortex": 2,
    "white_matter": 3,
    "deep_grey": 4,
    "cerebellar_grey": 5,
    "cerebellar_white": 6,
    "brain_stem": 7,
}

# Midway between fluid and white matter in the template's intensities.
FLUID_BELOW = 0.55
# The arbor of the cerebellum is finer than what 152 people have in common, so its white matter
# shows in part only. From this share on it makes up 21 % of the cerebellum, what FreeSurfer finds.
CEREBELLAR_WHITE_FROM = 0.27
# A box that has the tentorium and all below it in it, in voxels of the 1 mm grid.
HINDBRAIN_BOX = (slice(None), slice(0, 150), slice(0, 100))


def grid(voxel_size_mm: float = 1) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of the MNI grid of a voxel size.

    Parameters
    ----------
    voxel_size_mm : float
        1 mm to 30 mm.

    Returns
    -------
    shape : tuple of int, length 3
    affine : ndarray, shape (4, 4)
        Voxel indices to MNI millimetres.

    Raises
    ------
    InputError
        If the voxel size is out of range.
    """
    if not 1 <= voxel_size_mm <= 30:
        raise InputError(f"voxel size {voxel_size_mm} mm: expected 1 to 30 mm")
    affine = np.diag([voxel_size_mm] * 3 + [1.0]).astype(np.float64)
    if voxel_size_mm == 1:
        affine[:3, 3] = FINE_ORIGIN_MM
        return FINE_SHAPE, affine
    shape = tuple(int(count / voxel_size_mm + 1e-6) for count in FINE_SHAPE)
    half_extent = (np.array(shape) - 1) * voxel_size_mm / 2
    affine[:3, 3] = COARSE_CENTRE_MM - half_extent
    return shape, affine


def template(voxel_size_mm: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """T1-weighted template brain on the MNI grid of a voxel size.

    Parameters
    ----------
    voxel_size_mm : float

    Returns
    -------
    image : ndarray of float32, grid shape
        Between 0 (outside the brain) and 1; a coarse voxel is the mean of what it covers. Not to
        be written to: everyone gets the same array.
    affine : ndarray, shape (4, 4)
        Voxel indices to MNI millimetres.
    """
    return _on_grid("load_mni152_template", voxel_size_mm), grid(voxel_size_mm)[1]


def brain_mask(voxel_size_mm: float = 1) -> np.ndarray:
    """Voxels that lie in the template brain by at least half, shape of the grid."""
    return _on_grid("load_mni152_brain_mask", voxel_size_mm) >= 0.5


def tissue(name: str, voxel_size_mm: float = 1) -> np.ndarray:
    """Share of a tissue, "grey" or "white", in each voxel of the grid, between 0 and 1."""
    if name not in TISSUES:
        raise InputError(f"no tissue '{name}' (there are: {', '.join(TISSUES)})")
    loader = {"grey": "load_mni152_gm_template", "white": "load_mni152_wm_template"}[name]
    return _on_grid(loader, voxel_size_mm)


def labels(voxel_size_mm: float = 1) -> np.ndarray:
    """Anatomy of the template brain on the MNI grid of a voxel size.

    Parameters
    ----------
    voxel_size_mm : float

    Returns
    -------
    ndarray of uint8, grid shape
        Values of `LABELS`, 0 elsewhere (also fluid outside the ventricles); a coarse voxel has the
        label that most of it has. Not to be written to.

    Notes
    -----
    The hindbrain is parted from the rest by a watershed of the template's intensities, so that
    the border is the dark tentorium; brain stem and cerebellum part at a surface through the
    fourth ventricle and at |x| = 17 mm. Ventricles are fluid within envelopes, what hangs together
    with the lateral ones and the fourth. Deep grey is thalamus, caudate, putamen and pallidum:
    what is not white within an ellipsoid each.
    """
    fine = _fine_labels()
    if voxel_size_mm == 1:
        return fine
    return _coarse_labels(voxel_size_mm)


def label_mask(names: tuple[str, ...], voxel_size_mm: float = 1) -> np.ndarray:
    """Voxels of the grid that have any of the labels named.

    Raises
    ------
    InputError
        If there is no such label.
    """
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise InputError(f"no brain label '{unknown[0]}' (there are: {', '.join(LABELS)})")
    return np.isin(labels(voxel_size_mm), [LABELS[name] for name in names])


def read_labels(path: str | os.PathLike, voxel_size_mm: float = 1) -> np.ndarray:
    """Labels of an atlas of the user's own, in MNI space, on the grid of a voxel size.

    Parameters
    ----------
    path : path-like
        A NIfTI file of whole numbers, on whatever grid; its affine says where in MNI space.
    voxel_size_mm : float

    Returns
    -------
    ndarray of int32, grid shape
        The label at each voxel's centre, 0 beyond the atlas.

    Raises
    ------
    InputError
        If the file cannot be read or is no three-dimensional image of whole numbers.
    """
    import nibabel

    try:
        image = nibabel.load(Path(path))
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path}: not a NIfTI file that can be read ({error})") from error
    if values.ndim != 3 or not np.array_equal(values, np.round(values)):
        raise InputError(
            f"{path}: shape {values.shape}, {values.dtype}; expected one whole number a voxel"
        )
    shape, affine = grid(voxel_size_mm)
    to_atlas = np.linalg.inv(image.affine) @ affine
    return ndimage.affine_transform(
        values.astype(np.int32), to_atlas[:3, :3], to_atlas[:3, 3], shape, order=0
    )


@cache
def _fine_labels() -> np.ndarray:
    """Anatomy on the 1 mm grid; see `labels`."""
    shape, affine = grid(1)
    x, y, z = np.ogrid[tuple(slice(0, count) for count in shape)]
    x, y, z = (axis + start for axis, start in zip((x, y, z), affine[:3, 3], strict=True))
    place = (np.abs(x), y, z)
    brain, image = brain_mask(), template()[0]
    grey, white = tissue("grey"), tissue("white")
    solid = brain & (grey + white > 0.5)

    hindbrain = _hindbrain(place, image, brain)
    before_fourth_ventricle = y > np.interp(z, [-72, -50, -30, -8], [-52, -46, -38, -35])
    front = before_fourth_ventricle & (place[0] < 17)
    stem = solid & hindbrain & front & (z < -4)
    cerebellum = solid & hindbrain & ~front
    cerebrum = solid & ~hindbrain

    found = np.zeros(shape, np.uint8)
    found[cerebrum & (grey >= white)] = LABELS["cortex"]
    found[cerebrum & (grey < white)] = LABELS["white_matter"]
    found[cerebrum & _deep_grey(place, white)] = LABELS["deep_grey"]
    found[cerebellum & (white < CEREBELLAR_WHITE_FROM)] = LABELS["cerebellar_grey"]
    found[cerebellum & (white >= CEREBELLAR_WHITE_FROM)] = LABELS["cerebellar_white"]
    found[stem] = LABELS["brain_stem"]
    found[_ventricles(place, brain & (image < FLUID_BELOW))] = LABELS["ventricles"]
    found.flags.writeable = False
    return found


def _hindbrain(place: tuple, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Cerebellum and brain stem, with the fluid around them, from the cerebrum by watershed."""
    side, y, z = place
    below = (
        _ellipsoid(place, (26, -62, -38), (20, 20, 13))
        | _ellipsoid(place, (38, -62, -34), (10, 14, 8))
        | _ellipsoid(place, (18, -40, -34), (8, 10, 8))
        | _ellipsoid(place, (0, -62, -24), (8, 14, 12))
        | _ellipsoid(place, (0, -28, -32), (14, 9, 12))
        | _ellipsoid(place, (0, -26, -12), (9, 6, 6))
        | _ellipsoid(place, (0, -40, -55), (7, 6, 14))
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
    thalamus = _ellipsoid(place, (11, -18, 8), (12, 17, 11)) & (white < 0.85)
    caudate = _ellipsoid(place, (13, 13, 8), (9, 16, 15)) & (white < 0.5)
    caudate_body = _box(place, (9, 21), (-20, 4), (14, 26)) & (white < 0.5)
    putamen = _ellipsoid(place, (26, 2, 1), (8, 21, 13)) & (white < 0.75)
    pallidum = _ellipsoid(place, (19, -3, -1), (7, 11, 7))
    return thalamus | caudate | caudate_body | putamen | pallidum


def _ellipsoid(place: tuple, centre: tuple, radii: tuple) -> np.ndarray:
    """Both of a pair: the first coordinate is the distance from the midline."""
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


@cache
def _coarse_labels(voxel_size_mm: float) -> np.ndarray:
    fine = _fine_labels()
    affine = grid(1)[1]
    shares = [
        _average((fine == value).astype(np.float32), affine[:3, 3], voxel_size_mm)
        for value in range(max(LABELS.values()) + 1)
    ]
    coarse = np.argmax(shares, axis=0).astype(np.uint8)
    coarse.flags.writeable = False
    return coarse


@cache
def _on_grid(loader: str, voxel_size_mm: float) -> np.ndarray:
    """Give one of nilearn's MNI152 images on a grid of ours, by the mean of what a voxel covers."""
    values = _average(*_load(loader), voxel_size_mm)
    values.flags.writeable = False
    return values


def _average(values: np.ndarray, origin: np.ndarray, voxel_size_mm: float) -> np.ndarray:
    """Mean of 1 mm values over each voxel of a grid, whatever the two grids' places."""
    shape, affine = grid(voxel_size_mm)
    for axis in range(3):
        first_edge = affine[axis, 3] - voxel_size_mm / 2
        edges = first_edge + voxel_size_mm * np.arange(shape[axis] + 1)
        shares = _overlaps(edges, origin[axis], values.shape[axis])
        values = np.moveaxis(np.tensordot(values, shares, axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(values, dtype=np.float32)


def _overlaps(edges: np.ndarray, origin: float, count: int) -> np.ndarray:
    """Share of each coarse voxel that each of `count` fine ones, 1 mm apart, takes up."""
    fine = origin + np.arange(count)
    low, high = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(high, fine + 0.5) - np.maximum(low, fine - 0.5)
    return (np.maximum(overlap, 0) / (high - low)).astype(np.float32)


@cache
def _load(loader: str) -> tuple[np.ndarray, np.ndarray]:
    """Load one of nilearn's bundled images at 1 mm, with the millimetres of its first voxel."""
    from nilearn import datasets

    image = getattr(datasets, loader)(resolution=1)
    if not np.array_equal(image.affine[:3, :3], np.eye(3)):
        raise InputError(f"nilearn's {loader} is not on a 1 mm grid; install nilearn 0.14.1")
    return np.asarray(image.dataobj, dtype=np.float32), image.affine[:3, 3]
