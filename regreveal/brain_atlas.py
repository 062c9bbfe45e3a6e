"""The MNI152 template brain: its grids, its image, its tissues.

The template is the ICBM 2009a nonlinear symmetric average of 152 people (Fonov et al. 2011,
NeuroImage 54:313), which nilearn carries at 1 mm: the brain alone, without skull and scalp.

All grids are RAS+: x grows to the right, y to the front, z upwards, and a grid's affine takes
voxel indices to millimetres of MNI space. The 1 mm grid is the 182×218×182 one that FSL and UK
Biobank use, with x turned to grow to the right. Coarser grids have as many whole voxels as fit in
its field of view, centred on (0, -18, 18) mm; at 2 mm this is FSL's 91×109×91 grid.
"""

from functools import cache

import numpy as np

from regreveal.errors import InputError

FINE_SHAPE = (182, 218, 182)
FINE_ORIGIN_MM = (-91.0, -126.0, -72.0)
COARSE_CENTRE_MM = (0.0, -18.0, 18.0)
TISSUES = ("grey", "white")


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


@cache
def _on_grid(loader: str, voxel_size_mm: float) -> np.ndarray:
    """Give one of nilearn's MNI152 images on a grid of ours, by the mean of what a voxel covers."""
    values, origin = _load(loader)
    shape, affine = grid(voxel_size_mm)
    for axis in range(3):
        first_edge = affine[axis, 3] - voxel_size_mm / 2
        edges = first_edge + voxel_size_mm * np.arange(shape[axis] + 1)
        shares = _overlaps(edges, origin[axis], values.shape[axis])
        values = np.moveaxis(np.tensordot(values, shares, axes=(axis, 1)), -1, axis)
    values = np.ascontiguousarray(values, dtype=np.float32)
    values.flags.writeable = False
    return values


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
