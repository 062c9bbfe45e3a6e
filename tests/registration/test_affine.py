"""Affine registration: moved templates come back; what is no brain is said to be none."""

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from scipy.spatial.transform import Rotation

from regreveal.brain_atlas import brain_mask, grid, template
from regreveal.errors import InputError
from regreveal.registration import Affine
from regreveal.registration.volume_information import (
    bin_places,
    hard_bins,
    information,
    joint_histogram,
    precision_of,
    slope_and_curvature,
    surprise_of,
)
from regreveal.registration.volume_matrix import decompose
from tests.registration.harness import check_registration

SHAPE = (36, 42, 36)
SIZE = 6.0


def random_affine(rng, rotation=15.0, shift=20.0):
    """From voxels of the reference's 6 mm grid to voxels of a sample's."""
    turn = Rotation.from_euler("xyz", rng.uniform(-rotation, rotation, 3), degrees=True)
    shear = np.eye(3) + np.triu(rng.uniform(-0.05, 0.05, (3, 3)), 1)
    matrix = np.eye(4)
    matrix[:3, :3] = turn.as_matrix() @ shear @ np.diag(rng.uniform(0.9, 1.1, 3))
    centre = (np.array(grid(SIZE)[0]) - 1) / 2
    middle = (np.array(SHAPE) - 1) / 2 + rng.uniform(-shift, shift, 3) / SIZE
    matrix[:3, 3] = middle - matrix[:3, :3] @ centre
    return matrix


def moved_template(matrix, rng, values=None, order=1):
    """Sample the 2 mm template where a matrix puts it, in grey values with gain and noise."""
    fine, fine_affine = template(2)
    to_fine = np.linalg.inv(fine_affine) @ grid(SIZE)[1] @ np.linalg.inv(matrix)
    image = ndimage.gaussian_filter(fine, 1) if values is None else values
    moved = ndimage.affine_transform(
        image, to_fine[:3, :3], to_fine[:3, 3], output_shape=SHAPE, order=order
    )
    if values is not None:
        return moved
    return (rng.uniform(100, 400) * moved + rng.normal(0, 4, SHAPE)).astype(np.float32)[..., None]


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(11)
    matrices = [random_affine(rng) for _ in range(8)]
    return matrices, np.stack([moved_template(matrix, rng) for matrix in matrices])


def displacement_mm(got, expected):
    points = np.argwhere(brain_mask(SIZE))
    off = points @ (got - expected)[:3, :3].T + (got - expected)[:3, 3]
    return np.linalg.norm(off * SIZE, axis=1).mean()


def test_keeps_the_contract(people, tmp_path):
    check_registration(Affine(voxel_size=SIZE), people[1][:3], tmp_path)


def test_known_affines_come_back_to_a_fraction_of_a_voxel(people):
    matrices, x = people
    registered = Affine(voxel_size=SIZE).fit_transform(x)
    assert registered.qc["ok"].all()
    assert registered.tensors.shape == (8, 30, 36, 30, 1)
    errors = [
        displacement_mm(got, true)
        for got, true in zip(registered.transforms, matrices, strict=True)
    ]
    assert max(errors) < 0.5, errors  # a twelfth of a voxel
    assert (registered.qc["mutual_information"] > registered.qc["mutual_information_before"]).all()


def test_figures_are_those_of_the_transform(people):
    matrices, x = people
    qc = Affine(voxel_size=SIZE).fit_transform(x[:3]).qc
    for row, matrix in zip(qc.itertuples(), matrices, strict=False):
        rotation, scales, shears = decompose(matrix[:3, :3])
        np.testing.assert_allclose([row.scale_x, row.scale_y, row.scale_z], scales, atol=0.01)
        np.testing.assert_allclose(
            [row.rotation_x, row.rotation_y, row.rotation_z], rotation, atol=0.5
        )
        np.testing.assert_allclose([row.shear_xy, row.shear_xz, row.shear_yz], shears, atol=0.01)


def test_labels_come_along_with_their_image(people):
    matrices, x = people
    labels = (template(2)[0] > 0.6).astype(np.int16)
    moved = np.stack([moved_template(m, None, labels, order=0) for m in matrices[:3]])
    method = Affine(voxel_size=SIZE).fit(x)
    transforms = method.transform(x[:3]).transforms
    warped = method.warp(moved, transforms)
    home = moved_template(np.eye(4), None, labels, order=0)[:30, :36, :30]
    for one in warped:
        assert 2 * (one & home).sum() / (one.sum() + home.sum()) > 0.85
    assert warped.dtype == np.int16
    np.testing.assert_array_equal(method.warp(moved[..., None], transforms)[..., 0], warped)
    assert not method.warp(moved[:1], [np.full((4, 4), np.nan)]).any()
    with pytest.raises(InputError, match="3 transforms"):
        method.warp(moved[:2], transforms)


def test_head_on_its_side_is_found(people):
    x = people[1][:1].transpose(0, 1, 3, 2, 4)[:, :, :, ::-1]  # turned 90 degrees about x
    registered = Affine(voxel_size=SIZE).fit_transform(x)
    assert registered.qc["ok"].all()
    assert abs(abs(registered.qc["rotation_x"][0]) - 90) < 20


def knee(shape, rng):
    """A leg's two bones in soft tissue, with a joint between them."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    away = np.hypot(x - 0.1 * z, y)
    image = np.where(away < 0.7, 0.5, 0.0)
    image[away < 0.3 + 0.15 * np.exp(-((z / 0.2) ** 2))] = 0.9
    image[(abs(z) < 0.05) & (away < 0.5)] = 0.15
    return image + rng.normal(0, 0.02, shape)


def test_what_is_no_t1_weighted_brain_is_flagged(people):
    rng = np.random.default_rng(5)
    head = people[1][0, ..., 0] / np.percentile(people[1][0], 99)
    r = np.linalg.norm(
        np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")), axis=0
    )
    bad = {
        "blank": np.zeros(SHAPE),
        "noise": rng.rayleigh(1, SHAPE),
        "smooth noise": ndimage.gaussian_filter(rng.normal(size=SHAPE), 3),
        "knee": knee(SHAPE, rng),
        "ball": (r < 0.7) + rng.normal(0, 0.03, SHAPE),
        "shell": (r < 0.7) * (0.3 + r) + rng.normal(0, 0.03, SHAPE),
        "another contrast": np.where(head > 0.15, 1.3 - head, head),
        "a quarter of a brain": np.where(np.arange(36) > 18, head, 0)
        * (np.arange(42) > 20)[:, None],
        "nan": np.where(r < 0.1, np.nan, head),
    }
    x = np.stack(list(bad.values()))[..., None].astype(np.float32)
    registered = Affine(voxel_size=SIZE).fit_transform(x)
    passed = [name for name, ok in zip(bad, registered.qc["ok"], strict=True) if ok]
    assert not passed
    assert np.isnan(registered.tensors).all()


INTERIOR = (slice(4, -4),) * 3  # whose samples stay inside: at borders, ITK's half voxels differ


def mattes_by_simpleitk(fixed, moving, transform, bins):
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(bins)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetInitialTransform(transform)
    mask = np.zeros(fixed.shape, np.uint8)
    mask[INTERIOR] = 1
    images = [SimpleITK.GetImageFromArray(v.transpose(2, 1, 0)) for v in (fixed, moving, mask)]
    method.SetMetricFixedMask(images.pop())
    return -method.MetricEvaluate(*images)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(4)
    fixed = ndimage.gaussian_filter(rng.normal(size=(20, 22, 18)), 2).astype(np.float32)
    moving = (np.exp(4 * fixed) + rng.normal(0, 0.02, fixed.shape)).astype(np.float32)
    turn = Rotation.from_euler("xyz", [3, -4, 5], degrees=True).as_matrix()
    return fixed, moving, np.column_stack([turn, [0.4, -0.3, 0.6]])


def measure(fixed, moving, matrix, bins=24):
    points = np.argwhere(np.ones(fixed[INTERIOR].shape)) + 4.0
    seen = fixed[INTERIOR].ravel()
    f = hard_bins(bin_places(seen, seen.min(), seen.max(), bins), bins)
    m = bin_places(moving, moving.min(), moving.max(), bins)
    values, slopes = np.empty(len(points)), np.empty((len(points), 3))
    histogram = joint_histogram(points, f, m, matrix, bins, values, slopes)
    return histogram, (points, f, values, slopes)


def test_mutual_information_is_itks(pair):
    fixed, moving, matrix = pair
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[:, :3].ravel())
    transform.SetTranslation(matrix[:, 3])
    expected = mattes_by_simpleitk(fixed, moving, transform, 24)
    assert information(measure(fixed, moving, matrix)[0]) == pytest.approx(expected, rel=1e-5)


def test_slope_is_that_of_the_information(pair):
    fixed, moving, matrix = pair
    histogram, samples = measure(fixed, moving, matrix)
    slope, curvature = slope_and_curvature(
        *samples, surprise_of(histogram), precision_of(histogram)
    )
    step = 1e-4
    for entry in range(12):
        ends = []
        for sign in (1, -1):
            there = matrix.copy().ravel()
            there[entry] += sign * step
            ends.append(information(measure(fixed, moving, there.reshape(3, 4))[0]))
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert slope[entry] / histogram.sum() == pytest.approx(numeric, rel=1e-2, abs=1e-3)
    np.testing.assert_allclose(curvature, curvature.T)
    assert np.linalg.eigvalsh(curvature).min() > 0


def test_decomposition_is_that_of_the_factors():
    turn = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix()
    shear = np.array([[1, 0.1, -0.05], [0, 1, 0.08], [0, 0, 1]])
    rotation, scales, shears = decompose(turn @ shear @ np.diag([1.1, 0.9, 1.3]))
    np.testing.assert_allclose(rotation, [10, -20, 30])
    np.testing.assert_allclose(scales, [1.1, 0.9, 1.3])
    np.testing.assert_allclose(shears, [0.1, -0.05, 0.08])


def test_real_brain_moved_by_a_known_affine(shared_data):
    t1 = np.load(shared_data / "brain" / "voxelmorph" / "test_scan.npz")["vol"]
    t1 = t1.reshape(80, 2, 96, 2, 112, 2).mean(axis=(1, 3, 5)).astype(np.float32)
    rng = np.random.default_rng(6)
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", rng.uniform(-15, 15, 3), degrees=True).as_matrix()
    matrix[:3, :3] = turn @ np.diag(rng.uniform(0.9, 1.1, 3))
    centre = (np.array(t1.shape) - 1) / 2
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + rng.uniform(-5, 5, 3)
    back = np.linalg.inv(matrix)
    moved = ndimage.affine_transform(t1, back[:3, :3], back[:3, 3], order=1)
    moved = 300 * moved + rng.normal(0, 8, t1.shape).astype(np.float32)
    registered = Affine(t1[..., None], voxel_size=2.0).fit_transform(moved[None, ..., None])
    assert registered.qc["ok"].all()
    points = np.argwhere(t1 > 0)[::20]
    off = (registered.transforms[0] - matrix)[:3]
    assert 2 * np.linalg.norm(points @ off[:, :3].T + off[:, 3], axis=1).mean() < 0.5  # mm


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"voxel_size": -1}, "voxel_size -1"),
        ({"voxel_size": "large"}, "voxel_size large"),
        ({"voxel_size": 6, "reference_voxel_size": [6, 6, 5]}, "one size"),
        ({"reference": np.zeros((8, 8, 8, 1))}, "blank"),
        ({"reference": np.ones((8, 8))}, "shape"),
    ],
)
def test_wrong_parameters_are_told(parameters, message):
    with pytest.raises(InputError, match=message):
        Affine(**parameters).fit(np.zeros((0, *SHAPE, 1)))


def test_wrong_shapes_are_told():
    method = Affine(voxel_size=SIZE).fit(None)
    for shape in ((2, 36, 42, 36), (2, 36, 42, 36, 2), (2, 3, 42, 36, 1)):
        with pytest.raises(InputError, match="expected"):
            method.transform(np.zeros(shape))
