"""T1-weighted brain scans: the MNI152 template in people's shapes, poses and scanners.

A point p of a scan, in millimetres from the centre of the field of view (RAS+), lies at
q = A p in MNI space, where A is the person's affine, and shows what the template has at
q + u(q), where u is the person's deformation (brain_shape.py). Image and labels are sampled there
once. What differs between people and is no trait: pose, the head's proportions, a smooth random
deformation, the contrast of tissues, the receiving coil's bias field, gain and Rician noise.

Traits are those of the average head: a person's ventricles and cerebellum have their volume, and
the cortex its thickness, after the whole is scaled to a brain (all labels but the ventricles) of
1,500 ml, as UK Biobank's volumes "normalised for head size" are. So an affine alignment, which
takes the size of the brain away, leaves the other traits as they are.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from regreveal.brain_atlas import LABELS
from regreveal.simulation import brain_tissue
from regreveal.simulation.recordings import Recordings

FIELD_OF_VIEW_MM = (216, 256, 216)
VOXEL_SIZE_MM = 6
# What of MNI space is in the middle of the field of view.
CENTRE_MM = np.array([0.0, -10.0, 0.0])
AVERAGE_BRAIN_ML, AVERAGE_THICKNESS_MM = 1500.0, 2.5

LARGEST_ROTATION, ROTATION_SD = (
    15.0,
    np.array([5.0, 3.0, 3.5]),
)  # degrees: nodding, tilting, turning
LARGEST_TRANSLATION, TRANSLATION_SD = 20.0, np.array([4.0, 6.0, 7.0])  # mm
# The template is an average: sulci and the folia of the cerebellum are blurred in it, and at 6 mm
# what moves at their borders all but cancels out. So that what people differ in can be seen, sulci
# widen by this much more, in proportion, than the cortex thins, and the cerebellum's white matter
# shows by this much more than its border moves.
SULCI_PER_THICKNESS, FOLIA_PER_SHIFT = 8.0, 4.0
PROPORTIONS_SD, SHEAR_SD = 0.02, 0.01
GREY_CONTRAST_SD, FLUID_CONTRAST_SD = 0.008, 0.02
FAT, FAT_SD, HEAD_SD = 0.95, 0.08, 0.05
WEAKEST_BIAS, STRONGEST_BIAS = 0.02, 0.20
WHITE_LEVEL, GAIN_SD = 125.0, 0.12  # grey value of white matter before gain
LOWEST_NOISE, HIGHEST_NOISE = 0.01, 0.02  # of white matter
BIAS_DEGREE = 2

FAILURE_SHARE = 0.005
FAILURES = ("blank", "noise only", "wrong body part")


@dataclass(frozen=True)
class Person:
    """All that makes one person's scan.

    Attributes
    ----------
    native_to_mni : ndarray, shape (4, 4)
        Affine from millimetres of the scan, RAS+ from the centre of the field of view, to
        millimetres of MNI space: what a registration to the template is to find.
    displacement : ndarray of float32, shape (..., 3)
        From there to the template, mm, on the grid of brain_shape.py.
    cortex_shift, cerebellum_shift : float
        How far (mm) the border of white matter lies further out than in the template.
    sulcal_widening : float
        What the share of fluid within the cortex is greater by, in proportion.
    facts : dict
        Pose, contrast and scanner, by the columns of the truth table.
    bias : ndarray, shape (degree + 1,) * 3
        Coefficients of the bias field's logarithm in Legendre polynomials of the field of view.
    noise_seed : int
    """

    native_to_mni: np.ndarray
    displacement: np.ndarray
    cortex_shift: float
    cerebellum_shift: float
    sulcal_widening: float
    facts: dict
    bias: np.ndarray
    noise_seed: int


def record(traits: pd.DataFrame, rng: np.random.Generator) -> Recordings:
    """Scan everyone's brain at 6 mm.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        `brain_volume`, `ventricle_volume`, `cerebellum_volume` (ml), `cortical_thickness` (mm),
        `cerebellar_white_matter` (percent of the cerebellum).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    Recordings
        `t1_native_6mm` (n, 36, 42, 36), grey values; the same of labels (`LABELS`); the table
        "brain" with each person's pose, scanner, kind of failure and `native_to_mni_00` to
        `native_to_mni_33`, the affine from millimetres of the scan to those of MNI space, by rows.
    """
    shape = native_grid(VOXEL_SIZE_MM)[0]
    images = np.zeros((len(traits), *shape), np.uint8)
    labels = np.zeros_like(images)
    failed = np.where(
        rng.random(len(traits)) < FAILURE_SHARE, rng.choice(FAILURES, len(traits)), ""
    )
    rows = []
    for row, (_, own) in enumerate(traits.iterrows()):
        person = draw_person(own, rng)
        if failed[row]:
            images[row] = _failed_scan(failed[row], shape, person)
        else:
            images[row], labels[row] = scan(person, VOXEL_SIZE_MM)
        rows.append(person.facts | {"failure": failed[row]} | _affine_columns(person))
    return Recordings(
        {"t1_native_6mm": images},
        {"units": "intensity", "voxel_size": (VOXEL_SIZE_MM,) * 3},
        {"t1_native_6mm": labels},
        {"brain": pd.DataFrame(rows)},
    )


def native_grid(voxel_size_mm: float) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of the scans of a voxel size: 216×256×216 mm, or what fits of it.

    Returns
    -------
    shape : tuple of int, length 3
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres from the centre of the field of view.
    """
    shape = tuple(int(extent / voxel_size_mm) for extent in FIELD_OF_VIEW_MM)
    affine = np.diag([voxel_size_mm] * 3 + [1.0])
    affine[:3, 3] = -voxel_size_mm * (np.array(shape) - 1) / 2
    return shape, affine


def draw_person(traits: pd.Series, rng: np.random.Generator) -> Person:
    """Draw all that makes a person's scan.

    Parameters
    ----------
    traits : Series
        As a row of the traits of `record`.
    rng : numpy.random.Generator

    Returns
    -------
    Person
    """
    from regreveal.simulation.brain_shape import GROWN, draw_shape, shapes

    template_ml = shapes().volumes
    enlarged = template_ml["brain"] / AVERAGE_BRAIN_ML
    wanted = np.array([traits[f"{name.removesuffix('s')}_volume"] for name in GROWN]) * enlarged
    growths = np.log(wanted / [template_ml[name] for name in GROWN])
    displacement, grown = draw_shape(growths, rng)

    brain_ml = template_ml["brain"] * np.exp(grown["brain"])
    linear, pose = _draw_pose(np.cbrt(traits["brain_volume"] / brain_ml), rng)
    translation = np.array([pose[f"translation_{axis}_mm"] for axis in "xyz"])
    mni_to_native = np.eye(4)
    mni_to_native[:3, :3] = linear
    mni_to_native[:3, 3] = translation - linear @ CENTRE_MM

    # Most coils are corrected for well; a few leave all of their field.
    strength = WEAKEST_BIAS + (STRONGEST_BIAS - WEAKEST_BIAS) * rng.beta(1, 4)
    scanner = {
        "bias_field": strength,
        "gain": np.exp(rng.normal(0, GAIN_SD)),
        "noise": rng.uniform(LOWEST_NOISE, HIGHEST_NOISE),
        "grey_contrast": rng.normal(0, GREY_CONTRAST_SD),
        "fluid_contrast": rng.normal(0, FLUID_CONTRAST_SD),
        "fat": max(rng.normal(FAT, FAT_SD), 0.5),
        "head": rng.normal(1, HEAD_SD),
    }
    return Person(
        np.linalg.inv(mni_to_native),
        displacement,
        *_border_shifts(traits, grown),
        max(SULCI_PER_THICKNESS * (1 - traits["cortical_thickness"] / AVERAGE_THICKNESS_MM), -0.95),
        pose | scanner,
        _draw_bias(strength, rng),
        int(rng.integers(2**63)),
    )


def scan(person: Person, voxel_size_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Scan a person.

    Parameters
    ----------
    person : Person
    voxel_size_mm : float
        1 to 6 mm or so: the same head, seen more or less finely.

    Returns
    -------
    image, labels : ndarray of uint8, shape of `native_grid`
        Grey values, and the anatomy (values of `regreveal.brain_atlas.LABELS`) at the centre of
        each voxel.
    """
    from regreveal.simulation import brain_sampling
    from regreveal.simulation.brain_shape import ORIGIN_MM, STEP_MM

    shape, affine = native_grid(voxel_size_mm)
    brain, head = brain_tissue.brain_maps(voxel_size_mm), brain_tissue.head_maps(voxel_size_mm)
    anatomy = brain_tissue.anatomy()
    image, labels = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    brain_sampling.sample(
        (person.native_to_mni @ affine)[:3],
        person.displacement,
        ORIGIN_MM,
        STEP_MM,
        brain.values,
        brain.origin,
        brain.step,
        _brain_weights(person),
        head.values,
        head.origin,
        head.step,
        np.array([person.facts["head"], person.facts["fat"]], np.float32),
        anatomy.labels,
        anatomy.level,
        anatomy.origin,
        np.array([person.cortex_shift, person.cerebellum_shift]),
        np.array([LABELS["cortex"], LABELS["cerebellar_grey"]]),
        np.array([LABELS["white_matter"], LABELS["cerebellar_white"]]),
        image,
        labels,
    )
    return _receive(image, person), labels


def _border_shifts(traits: pd.Series, grown: dict[str, float]) -> tuple[float, float]:
    """How far out the borders of white matter lie for cortex and cerebellum to be as wanted.

    The cortex's volume goes with its thickness. What the deformation does to the shares of grey
    and white matter is made up for.
    """
    cortex = 1 - brain_tissue.white_share("cerebrum")
    cortex *= traits["cortical_thickness"] / AVERAGE_THICKNESS_MM
    cortex *= np.exp(grown["cortex_and_white"] - grown["cortex"])
    white = traits["cerebellar_white_matter"] / 100
    white *= np.exp(grown["cerebellum"] - grown["cerebellar_white"])
    return (
        brain_tissue.border_shift("cerebrum", 1 - cortex),
        brain_tissue.border_shift("cerebellum", white),
    )


def _brain_weights(person: Person) -> np.ndarray:
    """Weights of the maps of the brain, by `brain_tissue.CHANNELS`."""
    grey = person.facts["grey_contrast"]
    step = brain_tissue.WHITE - brain_tissue.GREY - grey
    weights = {
        "template": 1,
        "grey": grey,
        "fluid": person.facts["fluid_contrast"],
        "sulci": -(brain_tissue.GREY + grey - brain_tissue.FLUID) * person.sulcal_widening,
        "cerebral_border": step * person.cortex_shift,
        "cerebellar_border": step * FOLIA_PER_SHIFT * person.cerebellum_shift,
    }
    return np.array([weights[channel] for channel in brain_tissue.CHANNELS], np.float32)


def _receive(image: np.ndarray, person: Person) -> np.ndarray:
    """Give a scan what coil and receiver do to it: bias field, gain, noise, grey values."""
    level = WHITE_LEVEL * person.facts["gain"]
    signal = image * _bias_field(person.bias, image.shape) * (level / brain_tissue.WHITE)
    rng = np.random.default_rng(person.noise_seed)
    noise = np.float32(person.facts["noise"] * level)
    in_phase = signal + noise * rng.standard_normal(image.shape, dtype=np.float32)
    quadrature = noise * rng.standard_normal(image.shape, dtype=np.float32)
    received = np.sqrt(in_phase**2 + quadrature**2)
    return np.clip(np.round(received), 0, 255).astype(np.uint8)


def _draw_pose(size: float, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """Linear part of the affine from MNI space to the scan, of determinant size³, and the pose."""
    angles = _truncated(ROTATION_SD, LARGEST_ROTATION, rng)
    translation = _truncated(TRANSLATION_SD, LARGEST_TRANSLATION, rng)
    proportions = rng.normal(0, PROPORTIONS_SD, 3)
    shape = np.diag(size * np.exp(proportions - proportions.mean()))
    shape[np.triu_indices(3, 1)] = size * rng.normal(0, SHEAR_SD, 3)
    pose = {f"translation_{axis}_mm": x for axis, x in zip("xyz", translation, strict=True)}
    pose |= {f"rotation_{axis}_degrees": x for axis, x in zip("xyz", angles, strict=True)}
    pose["size"] = size
    return _rotation(np.deg2rad(angles)) @ shape, pose


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation about x, then y, then z."""
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[other, one], turn[one, other] = np.sin(angle), -np.sin(angle)
        rotation = turn @ rotation
    return rotation


def _truncated(sd: np.ndarray, largest: float, rng: np.random.Generator) -> np.ndarray:
    """Draw normal values of mean 0, three, drawn again where they are beyond `largest`."""
    values = rng.normal(0, sd)
    while (beyond := np.abs(values) > largest).any():
        values[beyond] = rng.normal(0, sd)[beyond]
    return values


def _draw_bias(strength: float, rng: np.random.Generator) -> np.ndarray:
    """Coefficients of a smooth field whose logarithm reaches `strength` either way."""
    degrees = sum(np.ogrid[(slice(0, BIAS_DEGREE + 1),) * 3])
    coefficients = np.where(
        (degrees > 0) & (degrees <= BIAS_DEGREE), rng.standard_normal(degrees.shape), 0
    ) / np.maximum(degrees, 1)
    field = np.log(_bias_field(coefficients, (9, 9, 9)))
    return coefficients * strength / np.abs(field).max()


def _bias_field(coefficients: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    field = coefficients.astype(np.float32)
    for axis, count in enumerate(shape):
        field = np.moveaxis(np.tensordot(_legendre(count), field, axes=(1, axis)), 0, axis)
    return np.exp(field)


@cache
def _legendre(count: int) -> np.ndarray:
    along = np.linspace(-1, 1, count)
    return np.polynomial.legendre.legvander(along, BIAS_DEGREE).astype(np.float32)


def _failed_scan(failure: str, shape: tuple[int, int, int], person: Person) -> np.ndarray:
    """Make a scan that shows no brain: nothing at all, noise, or a pair of legs."""
    if failure == "blank":
        return np.zeros(shape, np.uint8)
    image = np.zeros(shape, np.float32)
    if failure == "noise only":
        return _receive(image + np.float32(0.1), person)
    x, y, _ = np.ogrid[tuple(slice(-1, 1, count * 1j) for count in shape)]
    from_axis = np.hypot((np.abs(x) - 0.42) / 0.38, y / 0.36) + np.zeros(shape)
    for within, intensity in ((1, 0.95), (0.85, 0.42), (0.32, 0.07), (0.22, 0.9)):
        image[from_axis < within] = intensity
    return _receive(image, person)


def _affine_columns(person: Person) -> dict:
    return {
        f"native_to_mni_{row}{column}": person.native_to_mni[row, column]
        for row in range(4)
        for column in range(4)
    }
