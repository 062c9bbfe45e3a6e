"""What displacement fields do, against closed forms, SciPy and SimpleITK."""

import numpy as np
import pytest
import SimpleITK
from scipy.linalg import expm
from scipy.ndimage import affine_transform

from regreveal.registration.deformation import (
    compose,
    field_statistics,
    integrate,
    jacobian_determinant,
    smooth_velocity,
    warp,
)


def grid(shape):
    return np.moveaxis(np.indices(shape, float), 0, -1)


@pytest.mark.parametrize("shape", [(9, 11), (7, 8, 9)])
def test_the_jacobian_of_a_linear_map_is_its_determinant(shape, rng):
    matrix = np.eye(len(shape)) + 0.2 * rng.standard_normal((len(shape),) * 2)
    displacement = grid(shape) @ matrix.T - grid(shape)
    expected = np.full(shape, np.linalg.det(matrix))
    np.testing.assert_allclose(jacobian_determinant(displacement), expected)


def test_the_jacobian_is_that_of_simpleitk_inside(rng):
    displacement = smooth_velocity((12, 13, 14), rng, 1.0, 2.0).astype(float)
    # SimpleITK's axes are x, y, z; its arrays' are z, y, x.
    image = SimpleITK.GetImageFromArray(displacement[..., ::-1], isVector=True)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.DisplacementFieldJacobianDeterminant(image))
    inside = (slice(1, -1),) * 3
    found = jacobian_determinant(displacement)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-6)


def test_several_fields_are_as_one_by_one(rng):
    fields = np.stack([smooth_velocity((8, 9), rng, 1.0, 2.0) for _ in range(3)])
    expected = np.stack([jacobian_determinant(field) for field in fields])
    np.testing.assert_allclose(jacobian_determinant(fields), expected)


def test_no_movement_is_even_and_does_not_fold():
    found = field_statistics(np.zeros((5, 6, 2)))
    assert vars(found) == {"folds_percent": 0, "sd_log_jacobian": 0, "largest_displacement": 0}


def test_folds_are_counted_and_the_largest_displacement_measured():
    displacement = np.zeros((20, 10, 2))
    displacement[..., 0] = np.interp(np.arange(20), [0, 5, 9, 19], [0, 0, -8, -8])[:, None]
    found = field_statistics(displacement)
    # The slope is -2 a voxel at voxels 6, 7 and 8, and -1 (central differences) at 5 and 9.
    assert found.folds_percent == pytest.approx(25)
    assert found.largest_displacement == pytest.approx(8)


def test_stretching_unevenly_shows_in_the_log_jacobian():
    displacement = np.zeros((40, 30, 2))
    displacement[:20, :, 0] = np.arange(20)[:, None]
    displacement[20:, :, 0] = 19 + 3 * np.arange(1, 21)[:, None]
    found = field_statistics(displacement)
    # Rows are stretched by 2 in one half and by 4 in the other.
    assert found.sd_log_jacobian == pytest.approx(np.log(2) / 2, rel=0.02)


def test_warp_is_scipys_for_an_affine_map(rng):
    image = rng.standard_normal((12, 14))
    matrix, shift = np.array([[1.1, 0.1], [-0.2, 0.9]]), np.array([0.3, -1.2])
    displacement = grid(image.shape) @ matrix.T + shift - grid(image.shape)
    expected = affine_transform(image, matrix, shift, order=1, mode="nearest")
    np.testing.assert_allclose(warp(image, displacement), expected, atol=1e-12)


def test_labels_stay_labels(rng):
    labels = rng.integers(0, 4, (10, 11)).astype(np.uint8)
    moved = warp(labels, smooth_velocity(labels.shape, rng, 2.0, 2.0), order=0)
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) <= set(np.unique(labels))


def test_a_composition_moves_an_image_as_one_after_the_other():
    image = np.add.outer(np.arange(30.0), 2 * np.arange(32.0))
    first, second = np.zeros((2, 30, 32, 2))
    first[..., 0], second[..., 1] = 1.5, -2.25
    step_by_step = warp(warp(image, first), second)
    inside = (slice(3, -3),) * 2
    together = warp(image, compose(first, second))
    np.testing.assert_allclose(together[inside], step_by_step[inside])


def test_integration_of_a_linear_velocity_is_the_matrix_exponential():
    shape, middle = (41, 41), 20
    generator = np.array([[0.05, -0.2], [0.2, -0.1]])
    places = grid(shape) - middle
    found = integrate(places @ generator.T, steps=8)
    expected = places @ expm(generator).T - places
    inside = (slice(12, -12),) * 2
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.02)


def test_the_negative_velocity_gives_the_inverse(rng):
    velocity = smooth_velocity((40, 44), rng, 2.0, 5.0)
    there_and_back = compose(integrate(velocity), integrate(-velocity))
    inside = (slice(8, -8),) * 2
    assert np.abs(there_and_back[inside]).max() < 0.1
    assert np.abs(integrate(velocity)).max() > 3


def test_smooth_velocities_are_of_the_size_asked_for_and_their_deformations_do_not_fold(rng):
    velocity = smooth_velocity((24, 26, 28), rng, 1.5, 5.0)
    size = np.sqrt(np.square(velocity).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(size, 1.5, rtol=1e-5)
    assert field_statistics(integrate(velocity)).folds_percent == 0


@pytest.fixture
def rng():
    return np.random.default_rng(5)
