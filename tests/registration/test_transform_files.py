"""Transforms of other programs: each read as a matrix that is worked out here by other means."""

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from regreveal.brain_atlas import template
from regreveal.errors import InputError
from regreveal.registration.pieces import Pieces
from regreveal.registration.transform_files import apply_transform, read_transform
from regreveal.registration.volume_ready import register_files

SMALL_TURN = Rotation.from_euler("xyz", [4, -7, 11], degrees=True).as_matrix()


def affine_of(linear, offset):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, offset
    return matrix


PULL = affine_of(SMALL_TURN @ np.diag([1.1, 0.95, 1.02]), [5.0, -8.0, 12.0])
LAS = affine_of(np.diag([-2.0, 2, 2]), [90, -126, -72])
RAS = affine_of(np.diag([1.5, 1, 1.2]), [-70, -90, -60])
SHAPES = (91, 109, 91), (96, 190, 110)


def fsl_millimetres(ras, shape, affine):
    """FSL's coordinates of a point: from voxels, by the words of FLIRT's FAQ."""
    voxel = np.linalg.solve(affine, [*ras, 1])[:3]
    if np.linalg.det(affine[:3, :3]) > 0:
        voxel[0] = shape[0] - 1 - voxel[0]
    return voxel * np.linalg.norm(affine[:3, :3], axis=0)


@pytest.mark.parametrize("moving_affine", [LAS, RAS])
@pytest.mark.parametrize("fixed_affine", [LAS, RAS])
def test_fsl_matrix_connects_the_same_points(tmp_path, moving_affine, fixed_affine):
    moving, fixed = (SHAPES[0], moving_affine), (SHAPES[1], fixed_affine)
    rng = np.random.default_rng(1)
    ends = rng.uniform(-60, 60, (8, 3))
    starts = ends @ PULL[:3, :3].T + PULL[:3, 3]
    sources = np.array([[*fsl_millimetres(point, *moving), 1] for point in starts])
    targets = np.array([fsl_millimetres(point, *fixed) for point in ends])
    flirt = np.vstack([np.linalg.lstsq(sources, targets, rcond=None)[0].T, [0, 0, 0, 1]])
    np.savetxt(tmp_path / "a.mat", flirt, fmt="%.12f  ")
    for name, (shape, affine) in (("moving", moving), ("fixed", fixed)):
        nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine).to_filename(tmp_path / f"{name}.nii")
    got = read_transform(tmp_path / "a.mat", tmp_path / "moving.nii", tmp_path / "fixed.nii")
    np.testing.assert_allclose(got, PULL, atol=1e-5)
    np.testing.assert_allclose(read_transform(tmp_path / "a.mat", moving, fixed), PULL, atol=1e-8)


def test_fsl_identity_between_two_grids_of_one_scanner_is_a_shift_by_hand(tmp_path):
    # Both LAS: FSL's coordinates are voxels times sizes, so equal ones differ by the origins.
    np.savetxt(tmp_path / "a.mat", np.eye(4))
    other = LAS.copy()
    other[:3, 3] += [-4, 6, 10]
    got = read_transform(tmp_path / "a.mat", (SHAPES[0], other), (SHAPES[0], LAS))
    np.testing.assert_allclose(got, affine_of(np.eye(3), [-4, 6, 10]), atol=1e-12)


def volume_info(name, shape, image):
    sizes = np.linalg.norm(image[:3, :3], axis=0)
    axes = image[:3, :3] / sizes
    centre = (image @ [*(np.array(shape) / 2), 1])[:3]
    rows = [f"{name} volume info", "valid = 1  # volume info valid", "filename = a.mgz"]
    rows += [
        "volume = " + " ".join(map(str, shape)),
        "voxelsize = " + " ".join(map(repr, map(float, sizes))),
    ]
    rows += [
        f"{key} = " + " ".join(map(repr, map(float, values)))
        for key, values in zip(("xras", "yras", "zras", "cras"), [*axes.T, centre], strict=True)
    ]
    return rows


def lta(kind, matrix):
    rows = [" ".join(f"{value:.15e}" for value in row) for row in matrix]
    head = ["# transform file", f"type      = {kind} # comment", "nxforms   = 1"]
    head += ["mean      = 0.0 0.0 0.0", "sigma     = 1.0", "1 4 4", *rows]
    oblique = affine_of(SMALL_TURN @ LAS[:3, :3], LAS[:3, 3])
    info = [*volume_info("src", SHAPES[0], oblique), *volume_info("dst", SHAPES[1], RAS)]
    return "\n".join(head + info) + "\n", oblique


def test_lta_between_ras_and_between_voxels_say_the_same(tmp_path):
    push = np.linalg.inv(PULL)
    text, oblique = lta(1, push)
    (tmp_path / "ras.lta").write_text(text)
    (tmp_path / "vox.lta").write_text(lta(0, np.linalg.inv(RAS) @ push @ oblique)[0])
    np.testing.assert_allclose(read_transform(tmp_path / "ras.lta"), PULL, atol=1e-10)
    np.testing.assert_allclose(read_transform(tmp_path / "vox.lta"), PULL, atol=1e-10)


def test_xfm_is_turned_round(tmp_path):
    rows = "\n".join(" ".join(f"{v:.12f}" for v in row) for row in np.linalg.inv(PULL)[:3])
    (tmp_path / "talairach.xfm").write_text(
        "MNI Transform File\n% avi2talxfm\n\nTransform_Type = Linear;\nLinear_Transform = \n"
        f"{rows};\n"
    )
    np.testing.assert_allclose(read_transform(tmp_path / "talairach.xfm"), PULL, atol=1e-9)


@pytest.mark.parametrize("kind", ["AffineTransform", "MatrixOffsetTransformBase"])
def test_itk_text_by_its_own_formula(tmp_path, kind):
    # y = A (x - c) + t + c, in LPS.
    linear, shift, centre = PULL[:3, :3], np.array([3.0, 4, -5]), np.array([10.0, -20, 30])
    numbers = " ".join(map(repr, map(float, [*linear.ravel(), *shift])))
    (tmp_path / "a.tfm").write_text(
        f"#Insight Transform File V1.0\n#Transform 0\nTransform: {kind}_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 10 -20 30\n"
    )
    got = read_transform(tmp_path / "a.tfm")
    point = np.array([7.0, 8, 9])
    lps = linear @ (point * [-1, -1, 1] - centre) + shift + centre
    np.testing.assert_allclose((got @ [*point, 1])[:3], lps * [-1, -1, 1], atol=1e-10)


def test_ants_binary_matrix(tmp_path):
    # What ANTs leaves as 0GenericAffine.mat: MATLAB 4 with the parameters and the centre.
    linear, shift, centre = PULL[:3, :3], np.array([3.0, 4, -5]), np.array([10.0, -20, 30])
    savemat(
        tmp_path / "0GenericAffine.mat",
        {
            "AffineTransform_double_3_3": np.r_[linear.ravel(), shift][:, None],
            "fixed": centre[:, None],
        },
        format="4",
    )
    got = read_transform(tmp_path / "0GenericAffine.mat")
    lps = linear @ (-centre) + shift + centre
    np.testing.assert_allclose(got[:3, 3], lps * [-1, -1, 1], atol=1e-10)


def test_itk_euler_similarity_and_composites_are_affine_too(tmp_path):
    euler = SimpleITK.Euler3DTransform((1.0, 2, 3), 0.1, -0.2, 0.3, (4.0, 5, 6))
    similar = SimpleITK.Similarity3DTransform(1.2, (0.0, 0, 1), 0.4, (7.0, 8, 9), (1.0, 1, 1))
    SimpleITK.WriteTransform(SimpleITK.CompositeTransform([euler, similar]), str(tmp_path / "a.h5"))
    got = read_transform(tmp_path / "a.h5")
    point = (11.0, -12.0, 13.0)
    expected = euler.TransformPoint(similar.TransformPoint(point))
    ras = got @ [-point[0], -point[1], point[2], 1]
    np.testing.assert_allclose(ras[:3] * [-1, -1, 1], expected, atol=1e-9)


def test_volume_is_resampled_as_simpleitk_does(tmp_path):
    rng = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(rng.normal(size=(30, 34, 28)), 2).astype(np.float32)
    affine = affine_of(np.diag([2.0, 2, 2]), [-30, -34, -28])
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix((SMALL_TURN @ np.diag([1.05, 0.95, 1])).ravel())
    transform.SetTranslation((3, -2, 1))
    SimpleITK.WriteTransform(transform, str(tmp_path / "a.txt"))
    image = SimpleITK.GetImageFromArray(volume.transpose(2, 1, 0))
    image.SetSpacing((2, 2, 2))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # RAS axes, in ITK's LPS
    image.SetOrigin((30, 34, -28))
    expected = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, transform)).transpose(2, 1, 0)
    got = apply_transform(volume, affine, read_transform(tmp_path / "a.txt"), volume.shape, affine)
    inside = ndimage.binary_erosion(expected != 0, iterations=2)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mat", "1 0 0 0\n0 1 0 0\n", "4 rows of 4 numbers"),
        ("a.mat", "1 0 0 0\n0 1 0 0\n0 0 1 x\n0 0 0 1\n", "not a transform|4 rows"),
        ("a.mat", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "give moving and fixed"),
        ("a.mat", "", "not a transform"),
        ("a.tfm", "hello", "not a transform"),
        ("a.lta", "type = 14\n", "type 14"),
        ("a.lta", "type = 1\nnxforms = 1\n", "no matrix"),
        ("a.lta", lta(1, np.zeros((4, 4)))[0], "cannot be inverted"),
        ("a.lta", lta(0, np.eye(4))[0].replace("xras", "yyy"), "src volume info"),
        ("a.xfm", "MNI Transform File\nTransform_Type = Grid_Transform;\n", "not one linear"),
        ("a.xfm", "nothing", "does not begin"),
        ("a.xyz", "1", "suffix"),
    ],
)
def test_bad_file_ends_in_one_line_that_names_it(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_transform(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_deformations_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_transform(tmp_path / "none.lta")
    SimpleITK.WriteTransform(
        SimpleITK.Transform(SimpleITK.BSplineTransform(3)), str(tmp_path / "b.tfm")
    )
    with pytest.raises(InputError, match="expected an affine transform in 3"):
        read_transform(tmp_path / "b.tfm")
    SimpleITK.WriteTransform(SimpleITK.AffineTransform(2), str(tmp_path / "c.tfm"))
    with pytest.raises(InputError, match="in 2 dimensions"):
        read_transform(tmp_path / "c.tfm")


def test_files_are_brought_to_the_template_and_wrong_transforms_are_told(tmp_path):
    volumes, transforms = {}, {}
    fine, fine_affine = template(2)
    turned = SMALL_TURN @ np.diag([-2.0, 2, 2])
    middle = PULL @ [0, -18, 18, 1]  # where the template's middle lies in the scan
    native = affine_of(turned, middle[:3] - turned @ [50, 60, 50])
    to_voxels = np.linalg.inv(fine_affine) @ np.linalg.inv(PULL) @ native
    head = ndimage.affine_transform(
        fine, to_voxels[:3, :3], to_voxels[:3, 3], output_shape=(100, 120, 100), order=1
    )
    push = np.linalg.inv(PULL)
    for name, matrix in (("a", push), ("wrong way", PULL), ("b", push)):
        nibabel.Nifti1Image(100 * head, native).to_filename(tmp_path / f"{name}.nii.gz")
        (tmp_path / f"{name}.lta").write_text(lta(1, matrix)[0])
        volumes[name], transforms[name] = tmp_path / f"{name}.nii.gz", tmp_path / f"{name}.lta"
    del transforms["b"]
    pieces = Pieces(tmp_path / "made", "brain/t1_mni_6mm")
    qc = register_files(volumes, transforms, pieces, voxel_size=6, workers=1)
    qc, store = qc.set_index("sample_id"), pieces.store
    assert qc["ok"].to_dict() == {"a": True, "wrong way": False, "b": False}
    assert qc.loc["b", "reason"] == "no transform"
    assert store.sample_ids("brain/t1_mni_6mm") == ["a"]
    got = store.read("brain/t1_mni_6mm", ["a"])[0] / 100
    # Interpolated twice, so smoother than the template, but neither moved nor stretched.
    np.testing.assert_allclose(moments(got), moments(template(6)[0]), atol=0.1)
    assert np.corrcoef(got.ravel(), template(6)[0].ravel())[0, 1] > 0.98


def moments(image):
    """Centre of mass and spread along each axis, in voxels."""
    places = np.argwhere(image > -1)
    centre = np.average(places, axis=0, weights=image.ravel())
    return centre, np.sqrt(np.average((places - centre) ** 2, axis=0, weights=image.ravel()))
