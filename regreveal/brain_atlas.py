"""The MNI152 template brain: its grids, its image, its tissues, its anatomy.

The template is the ICBM 2009a nonlinear symmetric average of 152 people (Fonov et al. 2011,
NeuroImage 54:313), which nilearn carries at 1 mm: the brain alone, without skull and scalp.

All grids are RAS+: x grows to the right, y to the front, z upwards, and a grid's affine takes
voxel indices to millimetres of MNI space. The 1 mm grid is the 182×218×182 one that FSL and UK
Biobank use, with x turned to grow to the right. Coarser grids have as many whole voxels as fit in
its field of view, centred on (0, -18, 18) mm; at 2 mm this is FSL's 91×109×91 grid.

No atlas comes with the project, for want of one whose licence lets it. The seven labels of `labels`
follow from the template and its tissue maps by the rules of brain_labels.py; `read_labels` takes an
atlas of the user's own instead.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

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
BRAIN = "brain"


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
    """
    fine = _fine_labels()
    if voxel_size_mm == 1:
        return fine
    return _coarse_labels(voxel_size_mm)


def label_mask(names: tuple[str, ...], voxel_size_mm: float = 1) -> np.ndarray:
    """Voxels of the grid that have any of the labels named; "brain" is all within `brain_mask`.

    Raises
    ------
    InputError
        If there is no such label.
    """
    unknown = [name for name in names if name not in (*LABELS, BRAIN)]
    if unknown:
        there = ", ".join((*LABELS, BRAIN))
        raise InputError(f"no brain label '{unknown[0]}' (there are: {there})")
    if BRAIN in names:
        return brain_mask(voxel_size_mm)
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
    from scipy import ndimage

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


@dataclass(frozen=True)
class Region:
    """A part of a brain in MNI space: a box around it, and what of the box belongs to it.

    Parameters
    ----------
    labels : tuple of str or int
        Names of `LABELS`, or "brain" for all of it, or numbers of `atlas`.
    corner : tuple of int, length 3
        First voxel of the box in the grid.
    voxel_size_mm : float
        Of the grid.
    atlas : str, optional
        NIfTI file of an atlas of the user's own.
    """

    labels: tuple[str | int, ...]
    corner: tuple[int, int, int]
    voxel_size_mm: float = 1
    atlas: str | None = None

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """Shape of the whole volume that the region is a part of."""
        return grid(self.voxel_size_mm)[0]

    def cut(self, volumes: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Cut the region's box out of whole volumes, and put 0 where the region is not.

        Parameters
        ----------
        volumes : ndarray, shape (n, *stored_shape)
        shape : tuple of int, length 3
            Of the box.

        Returns
        -------
        ndarray, shape (n, *shape)

        Raises
        ------
        InputError
            If the box reaches beyond the volume or none of it belongs to the region.
        """
        box = tuple(
            slice(first, first + count) for first, count in zip(self.corner, shape, strict=True)
        )
        return np.where(self._inside(shape, box), volumes[:, *box], volumes.dtype.type(0))

    def _inside(self, shape: tuple[int, int, int], box: tuple[slice, ...]) -> np.ndarray:
        inside = _region_mask(self)[box]
        if inside.shape != tuple(shape) or not inside.any():
            raise InputError(
                f"region {self.labels}: box of shape {tuple(shape)} at voxel {self.corner} is not "
                f"within the grid of shape {self.stored_shape}, or holds nothing of the region"
            )
        return inside


@cache
def _region_mask(region: Region) -> np.ndarray:
    if region.atlas is None:
        return label_mask(region.labels, region.voxel_size_mm)
    return np.isin(read_labels(region.atlas, region.voxel_size_mm), region.labels)


@cache
def _fine_labels() -> np.ndarray:
    from regreveal.brain_labels import label_template

    fine = label_template(template()[0], tissue("grey"), tissue("white"), brain_mask(), grid(1)[1])
    fine.flags.writeable = False
    return fine


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
