"""Affine: every volume is brought onto a template by twelve degrees of freedom."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from regreveal.errors import InputError
from regreveal.registration.base import Registered, Registration, quality_table
from regreveal.registration.images import correlation, unusable_reason
from regreveal.registration.volume_matrix import decompose, resample
from regreveal.registration.volume_search import (
    UNIT_MM,
    Fixed,
    Moving,
    all_turns,
    search,
    shrink,
    shrink_factors,
    usual_turns,
)

# Between what images painted from ten people's labels reach on the template, heads (0.53 to 0.73)
# and brains (0.58 to 0.72), and what other images do (noise, balls, shells, a knee, other
# contrasts, halves of heads: up to 0.48, most under 0.3), at 2 mm and 6 mm alike
# (benchmarks/registration/affine.py).
LEAST_CORRELATION = 0.5
GOOD_CORRELATION = 0.55  # below it, more starts are tried
TRIED_AGAIN = 12
# Adult brains differ from the template by less; simulated and real heads lie within 0.75 to 1.3.
LIKENESS_MM, DEPTH_MM = 6.0, 6.0
SCALES = (0.6, 1.7)
MOST_SHEAR = 0.35
LEAST_OVERLAP = 0.8


@dataclass
class AffineQuality:
    """Quality figures of one volume: the columns of `qc` after `ok`, in this order.

    Attributes
    ----------
    reason : str
        Why it could not be registered; empty where it could.
    mutual_information_before, mutual_information : float
        With the reference over its foreground, in nats: centre on centre, and registered.
    correlation : float
        Pearson's, of the registered volume's values with the reference's over its foreground.
    overlap : float
        Share of the reference's foreground that lies within the sample's field of view.
    translation_x, translation_y, translation_z : float
        Of the foreground's centre, in mm, from where it would lie centre on centre.
    rotation_x, rotation_y, rotation_z : float
        In degrees, about the axes of the sample, x first.
    scale_x, scale_y, scale_z : float
        Size of the sample over that of the reference.
    shear_xy, shear_xz, shear_yz : float
    """

    reason: str = ""
    mutual_information_before: float = np.nan
    mutual_information: float = np.nan
    correlation: float = np.nan
    overlap: float = np.nan
    translation_x: float = np.nan
    translation_y: float = np.nan
    translation_z: float = np.nan
    rotation_x: float = np.nan
    rotation_y: float = np.nan
    rotation_z: float = np.nan
    scale_x: float = np.nan
    scale_y: float = np.nan
    scale_z: float = np.nan
    shear_xy: float = np.nan
    shear_xz: float = np.nan
    shear_yz: float = np.nan


class Affine(Registration):
    """Volumes brought onto a template by rotation, translation, three scales and three shears.

    The twelve numbers are those with the most mutual information (Mattes' measure) between the
    template, over its foreground, and the volume: from the best of many rotations about the centre
    of mass, over a pyramid from 8 or 12 mm to the template's own voxels, first by a similarity,
    then with all twelve. Skulls and scalps may be there or not. A volume that does not come to
    resemble the template is tried again from more places, so that one on its side is found too.

    A volume's result depends on the volume, the reference and the parameters alone: samples are
    drawn from a fixed seed and everything runs in one thread.

    Parameters
    ----------
    reference : ndarray, shape (x, y, z, 1), optional
        What volumes are registered to, RAS+; the MNI152 template (the brain alone) by default.
    voxel_size : float or sequence of 3 floats
        Of the volumes given to `transform`, in mm.
    reference_voxel_size : float or sequence of 3 floats, optional
        Of the reference, and so of what comes out; by default as `voxel_size`. The template has
        voxels of one size in all directions: the grid is 182x218x182 at 1 mm, 91x109x91 at 2 mm,
        30x36x30 at 6 mm.

    Attributes
    ----------
    reference_ : ndarray of float32, shape (x, y, z, 1)

    Notes
    -----
    `transforms` holds 4x4 matrices that take voxel indices (i, j, k, 1) of the reference to voxel
    indices of the sample: where each registered voxel was taken from. A sample is interpolated
    linearly; where the reference's voxels are two or more times larger, means of the sample's
    voxels are. Beyond its field of view it is 0. Left and right are never exchanged.
    """

    def __init__(self, reference=None, voxel_size=1.0, reference_voxel_size=None):
        self.reference = reference
        self.voxel_size = voxel_size
        self.reference_voxel_size = reference_voxel_size

    def fit(self, x):
        """Take up the reference: nothing is learned from samples.

        Raises
        ------
        InputError
            If the reference is no usable volume, or a voxel size is none.
        """
        if self.reference is None:
            from regreveal.brain_atlas import template

            size = self._reference_voxel_size()
            if np.ptp(size) > 0:
                raise InputError(
                    f"Affine: reference_voxel_size {size.tolist()} mm; the template needs one size "
                    "for all directions"
                )
            self.reference_ = np.array(template(float(size[0]))[0][..., None], np.float32)
            return self
        reference = np.asarray(self.reference, np.float32)
        if reference.ndim != 4 or reference.shape[-1] != 1:
            raise InputError(
                f"Affine: a reference of shape {reference.shape}; expected (x, y, z, 1)"
            )
        if reason := unusable_reason(reference):
            raise InputError(f"Affine: the reference cannot be used ({reason})")
        self.reference_ = reference
        return self

    def transform(self, x) -> Registered:
        """Register volumes.

        Parameters
        ----------
        x : ndarray, shape (n, x, y, z, 1)
            RAS+, voxels of `voxel_size`.

        Returns
        -------
        Registered
            `tensors` of shape (n, *reference shape, 1), float32; `transforms` as in the class's
            notes; `qc` has `ok` and the columns of `AffineQuality`.

        Raises
        ------
        InputError
            If the shape or the voxel size is wrong.
        """
        x = np.asarray(x)
        if x.ndim != 5 or x.shape[-1] != 1 or min(x.shape[1:4]) < 4:
            raise InputError(
                f"Affine: an array of shape {x.shape}; expected (n, x, y, z, 1), 4 voxels or more "
                "along each axis"
            )
        size = _sizes(self.voxel_size, "voxel_size")
        reference = np.ascontiguousarray(self.reference_[..., 0])
        fixed, likeness = prepare(
            reference.tobytes(), reference.shape, tuple(self._reference_voxel_size())
        )
        tensors = np.full((len(x), *self.reference_.shape), np.nan, np.float32)
        transforms, qualities = [], []
        for volume, tensor in zip(x[..., 0], tensors, strict=True):
            matrix, quality = np.full((4, 4), np.nan), AffineQuality(unusable_reason(volume))
            if not quality.reason:
                tensor[..., 0], matrix, quality = register(fixed, likeness, volume, size)
            transforms.append(matrix if not quality.reason else np.full((4, 4), np.nan))
            qualities.append(quality)
        return Registered(tensors, quality_table(qualities, AffineQuality), transforms)

    def warp(self, labels, transforms, order: int = 0) -> np.ndarray:
        """Carry labels, or other volumes, along with the samples that they belong to.

        Parameters
        ----------
        labels : ndarray, shape (n, x, y, z) or (n, x, y, z, 1)
            On the grids of the samples.
        transforms : sequence of n ndarrays, shape (4, 4)
            Of `transform`.
        order : int
            Of the spline: 0 for labels, 1 to interpolate linearly.

        Returns
        -------
        ndarray, shape (n, *reference shape) or (n, *reference shape, 1)
            Of the labels' type; 0 beyond the field of view, and where a sample was not registered.
        """
        labels = np.asarray(labels)
        shape = self.reference_.shape[:3]
        channelled = labels.ndim == 5
        volumes = labels[..., 0] if channelled else labels
        if volumes.ndim != 4 or len(volumes) != len(transforms):
            raise InputError(
                f"Affine: labels of shape {labels.shape} for {len(transforms)} transforms; "
                "expected (n, x, y, z) and n transforms"
            )
        warped = np.zeros((len(volumes), *shape), labels.dtype)
        for volume, matrix, out in zip(volumes, transforms, warped, strict=True):
            if np.isfinite(matrix).all():
                out[:] = resample(volume, matrix, shape, order)
        return warped[..., None] if channelled else warped

    @property
    def output_voxel_size(self) -> tuple[float, ...]:
        """Of what `transform` gives, in mm."""
        return tuple(self._reference_voxel_size().tolist())

    def _reference_voxel_size(self) -> np.ndarray:
        given = self.reference_voxel_size
        if given is None:
            return _sizes(self.voxel_size, "voxel_size")
        return _sizes(given, "reference_voxel_size")


def _sizes(value, name: str) -> np.ndarray:
    """One voxel size or three, as three."""
    try:
        sizes = np.broadcast_to(np.asarray(value, float), 3)
    except (TypeError, ValueError):
        sizes = np.zeros(3)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"Affine: {name} {value}; expected one size in mm, or three")
    return sizes


@lru_cache(maxsize=2)
def prepare(content: bytes, shape: tuple[int, ...], size: tuple[float, ...]):
    """Make a reference ready; kept, as a store is registered a few volumes at a time.

    Parameters
    ----------
    content : bytes
        Of the reference in float32.
    shape, size : tuple of length 3
        Of the reference, in voxels, and of its voxels, in mm.

    Returns
    -------
    Fixed, Likeness
    """
    reference = np.frombuffer(content, np.float32).reshape(shape)
    fixed = Fixed(reference, np.array(size))
    return fixed, Likeness(fixed, reference)


def register(fixed: Fixed, likeness: "Likeness", volume: np.ndarray, size: np.ndarray):
    """Register one volume that is finite and not blank.

    Parameters
    ----------
    fixed : Fixed
        The reference made ready.
    likeness : Likeness
        To the reference.
    volume : ndarray, shape (x, y, z)
    size : ndarray, shape (3,)
        Of the volume's voxels, in mm.

    Returns
    -------
    registered : ndarray of float32, shape of the reference
    matrix : ndarray, shape (4, 4)
        Reference voxels to sample voxels.
    quality : AffineQuality
    """
    moving = Moving(fixed, volume, size)

    def outcome(turns, **options):
        found = search(moving, turns, **options)
        matrix = _voxel_matrix(fixed, found.matrix, size)
        registered = resample(volume, matrix, fixed.shape, order=1)
        return found, matrix, registered, likeness(registered)

    best = outcome(usual_turns())
    if best[3] < GOOD_CORRELATION:
        again = outcome(all_turns(), tried=TRIED_AGAIN)
        best = max(best, again, key=lambda attempt: attempt[3])
    found, matrix, registered, alike = best

    finest = fixed.levels[-1]
    start = np.column_stack(
        [
            UNIT_MM * np.eye(3),
            fixed.centre + _centre(volume.shape, size) - _centre(fixed.shape, fixed.size),
        ]
    )
    quality = AffineQuality(
        mutual_information_before=moving.information(finest, start)[0],
        mutual_information=found.information,
        correlation=alike,
        overlap=float(found.overlap),
    )
    rotation, scales, shears = decompose(found.matrix[:, :3] / UNIT_MM)
    moved = found.matrix[:, 3] - start[:, 3]
    for name, values in (("translation", moved), ("rotation", rotation), ("scale", scales)):
        for axis, value in zip("xyz", values, strict=True):
            setattr(quality, f"{name}_{axis}", float(value))
    for axes, value in zip(("xy", "xz", "yz"), shears, strict=True):
        setattr(quality, f"shear_{axes}", float(value))
    quality.reason = _reason(quality, scales, shears)
    return registered, matrix, quality


def _centre(shape: tuple[int, ...], size: np.ndarray) -> np.ndarray:
    return (np.array(shape) - 1) / 2 * size


def _voxel_matrix(fixed: Fixed, matrix: np.ndarray, size: np.ndarray) -> np.ndarray:
    """4x4 matrix from reference voxels to sample voxels, of one from u to mm."""
    linear = matrix[:, :3] / UNIT_MM
    voxels = np.eye(4)
    voxels[:3, :3] = linear * fixed.size / size[:, None]
    voxels[:3, 3] = (matrix[:, 3] - linear @ fixed.centre) / size
    return voxels


class Likeness:
    """How much registered volumes resemble a reference in its interior, at some 6 mm.

    In the interior, since any round thing has the outline of a head; and at one resolution, since
    people's cortex differs the more the finer one looks.

    Parameters
    ----------
    fixed : Fixed
    reference : ndarray, shape (x, y, z)
    """

    def __init__(self, fixed: Fixed, reference: np.ndarray):
        self.factors = shrink_factors(LIKENESS_MM, fixed.size)
        depth = ndimage.distance_transform_edt(fixed.foreground, sampling=fixed.size)
        self.interior = shrink(depth, self.factors) > DEPTH_MM
        self.small = shrink(reference, self.factors)

    def __call__(self, registered: np.ndarray) -> float:
        """Correlate a volume on the reference's grid with it."""
        return correlation(self.small, shrink(registered, self.factors), self.interior)


def _reason(quality: AffineQuality, scales: np.ndarray, shears: np.ndarray) -> str:
    if quality.overlap < LEAST_OVERLAP:
        return "part of the reference lies outside the image"
    if not (SCALES[0] <= scales.min() and scales.max() <= SCALES[1]):
        return "implausible scale"
    if np.abs(shears).max() > MOST_SHEAR:
        return "implausible shear"
    if quality.correlation < LEAST_CORRELATION:
        return "does not resemble the reference"
    return ""
