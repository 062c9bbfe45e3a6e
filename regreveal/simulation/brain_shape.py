"""How one brain differs from the template in shape: smooth invertible deformations.

A deformation is the flow of a velocity field over unit time, exp(v), so it can be inverted,
exp(−v), and never folds. A person's field has a part that grows the ventricles, one that grows the
cerebellum, and a smooth random one of their own. A field that grows a region is the gradient of
a potential whose Laplacian is 1 in the region and, so that nothing moves far away, as much less
than 0 around it.

By the divergence theorem a field v makes a region of volume V grow at rate ∫ div v / V. What
the random part makes a region grow by is taken off, so that volumes are those of the traits.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from regreveal import brain_atlas
from regreveal.simulation.brain_sampling import compose, region_volume

STEP_MM = 5.0
ORIGIN_MM = np.array([-90.0, -130.0, -90.0])
SHAPE = (37, 46, 39)
REGIONS = {
    "ventricles": ("ventricles",),
    "cerebellum": ("cerebellar_grey", "cerebellar_white"),
    "brain": tuple(name for name in brain_atlas.LABELS if name != "ventricles"),
    "cerebellar_white": ("cerebellar_white",),
    "cortex": ("cortex",),
    "cortex_and_white": ("cortex", "white_matter"),
}
GROWN = ("ventricles", "cerebellum")
# How far around a region gives up what the region takes.
SURROUNDINGS_MM = {"ventricles": 14.0, "cerebellum": 12.0}
# Spacing of the knots of the random field and the spread of its velocities, mm.
RANDOM_PARTS = ((32.0, 2.0), (16.0, 0.5))
# The random field fades to nothing over this far from the edge of its grid.
FADING_MM = 20.0
DOUBLINGS = 4
GROWTHS_TRIED = np.linspace(-1.6, 1.6, 9)


@dataclass(frozen=True)
class Shapes:
    """Fields that grow regions, and what any field makes regions grow by.

    Attributes
    ----------
    fields : ndarray of float32, shape (2, *SHAPE, 3)
        Velocities (mm) that grow the regions of `GROWN`, each at rate 1, and not each other.
    growth_of : ndarray, shape (6, prod(SHAPE) * 3)
        Times a velocity field, raveled: growth rates of `REGIONS`.
    volumes : dict of str to float
        Of the template's regions, in ml.
    reached : dict of str to ndarray, shape (9,)
        For each region of `GROWN`, logarithm of what its volume is multiplied by at each of
        `GROWTHS_TRIED`.
    """

    fields: np.ndarray
    growth_of: np.ndarray
    volumes: dict[str, float]
    reached: dict[str, np.ndarray]


@cache
def shapes() -> Shapes:
    """Fields of the template's regions, made once."""
    masks = {name: _region_on_grid(labels) for name, labels in REGIONS.items()}
    growth_of = np.stack([_growth_of(mask) for mask in masks.values()])
    fields = np.stack([_growing(masks[name], SURROUNDINGS_MM[name]) for name in GROWN])
    # Each at rate 1, none growing another's region.
    rates = growth_of[: len(GROWN)] @ fields.reshape(len(GROWN), -1).T
    fields = np.tensordot(np.linalg.inv(rates).T, fields, axes=1).astype(np.float32)
    volumes = {
        name: float(brain_atlas.label_mask(labels).sum()) / 1000 for name, labels in REGIONS.items()
    }
    reached = {
        name: _reached(field, REGIONS[name]) for name, field in zip(GROWN, fields, strict=True)
    }
    return Shapes(fields, growth_of, volumes, reached)


def draw_shape(
    growths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """Draw a person's deformation.

    Parameters
    ----------
    growths : ndarray, shape (2,)
        Logarithms of what the volumes of `GROWN` are to be multiplied by, beside the brain's.
    rng : numpy.random.Generator

    Returns
    -------
    displacement : ndarray of float32, shape (*SHAPE, 3)
        From a point of the person's brain to the template's, mm, where both are in MNI space.
    grown : dict of str to float
        Logarithm of what the volume of each of `REGIONS` is multiplied by on the way.
    """
    made = shapes()
    own = _random_field(rng)
    own_growths = dict(zip(REGIONS, made.growth_of @ own.ravel(), strict=True))
    velocity = own
    for name, growth, field in zip(GROWN, growths, made.fields, strict=True):
        wanted = np.interp(growth, made.reached[name], GROWTHS_TRIED)
        rate = wanted + own_growths["brain"] - own_growths[name]
        velocity = velocity + np.float32(rate) * field
    grown = made.growth_of @ velocity.ravel()
    return flow(-velocity), dict(zip(REGIONS, map(float, grown), strict=True))


def flow(velocity: np.ndarray) -> np.ndarray:
    """Displacement of the flow of a velocity field over unit time, by scaling and squaring.

    Parameters
    ----------
    velocity : ndarray of float32, shape (*SHAPE, 3)
        In mm.

    Returns
    -------
    ndarray of float32, same shape

    References
    ----------
    Arsigny et al. 2006, MICCAI 9:924.
    """
    displacement = velocity / np.float32(2**DOUBLINGS * STEP_MM)
    for _ in range(DOUBLINGS):
        displacement = compose(displacement)
    return displacement * np.float32(STEP_MM)


def _random_field(rng: np.random.Generator) -> np.ndarray:
    """Smooth random velocities, (*SHAPE, 3), of parts each with its own fineness."""
    total = np.zeros((*SHAPE, 3), np.float32)
    for bases, spread in _random_bases():
        knots = rng.standard_normal((*(basis.shape[1] for basis in bases), 3), dtype=np.float32)
        for axis, basis in enumerate(bases):
            knots = np.moveaxis(np.tensordot(basis, knots, axes=(1, axis)), 0, axis)
        total += spread * knots
    return total * _fading()


@cache
def _random_bases() -> list[tuple[list[np.ndarray], float]]:
    """Cubic B-splines along each axis, scaled for values of variance 1, and spreads."""
    parts = []
    for spacing, spread in RANDOM_PARTS:
        bases = []
        for count in SHAPE:
            at = STEP_MM * np.arange(count) / spacing
            knots = np.arange(-1, np.ceil(at[-1]) + 2)
            away = np.abs(at[:, None] - knots)
            inner = 2 / 3 - away**2 + away**3 / 2
            outer = np.clip(2 - away, 0, None) ** 3 / 6
            basis = np.where(away < 1, inner, outer)
            bases.append((basis / np.sqrt((basis**2).sum(axis=1).mean())).astype(np.float32))
        parts.append((bases, spread))
    return parts


@cache
def _fading() -> np.ndarray:
    """1 within the grid, falling to 0 at its edge, (*SHAPE, 1)."""
    window = np.ones(SHAPE, np.float32)
    for axis, count in enumerate(SHAPE):
        inwards = STEP_MM * np.minimum(np.arange(count), np.arange(count)[::-1])
        along = np.sin(np.pi / 2 * np.clip(inwards / FADING_MM, 0, 1)) ** 2
        window *= along.reshape([-1 if other == axis else 1 for other in range(3)])
    return window[..., None]


def _growing(mask: np.ndarray, surroundings_mm: float) -> np.ndarray:
    """Velocities whose divergence is that of a region that grows into what lies around it."""
    from scipy import ndimage

    around = ndimage.gaussian_filter(mask, surroundings_mm / STEP_MM)
    source = mask - around * (mask.sum() / around.sum())
    frequencies = np.meshgrid(
        *(2 * np.pi * np.fft.fftfreq(2 * count, STEP_MM) for count in SHAPE), indexing="ij"
    )
    squared = sum(frequency**2 for frequency in frequencies)
    squared[0, 0, 0] = 1
    spectrum = np.fft.fftn(source, [2 * count for count in SHAPE]) / -squared
    inner = tuple(slice(0, count) for count in SHAPE)
    slopes = [np.fft.ifftn(1j * frequency * spectrum).real[inner] for frequency in frequencies]
    return np.stack(slopes, axis=-1) * _fading()


def _growth_of(mask: np.ndarray) -> np.ndarray:
    """Weights of velocities in a region's rate of growth: ∫ m div v = −∫ ∇m·v."""
    slopes = np.stack(np.gradient(mask, STEP_MM), axis=-1)
    return (-slopes / mask.sum()).ravel().astype(np.float32)


def _region_on_grid(labels: tuple[str, ...]) -> np.ndarray:
    """Share of a region in the voxels of the velocities' grid."""
    from scipy import ndimage

    fine = brain_atlas.label_mask(labels).astype(np.float32)
    smooth = ndimage.uniform_filter(fine, round(STEP_MM))
    offset = ORIGIN_MM - brain_atlas.grid(1)[1][:3, 3]
    return ndimage.affine_transform(smooth, np.full(3, STEP_MM), offset, SHAPE, order=1)


def _reached(field: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Measure what a region's volume is multiplied by (log), at each of `GROWTHS_TRIED`."""
    mask = brain_atlas.label_mask(labels)
    origin = brain_atlas.grid(1)[1][:3, 3]
    volumes = [
        region_volume(mask, origin, flow(np.float32(-growth) * field), ORIGIN_MM, STEP_MM)
        for growth in GROWTHS_TRIED
    ]
    return np.log(np.array(volumes) / volumes[len(volumes) // 2])
