import nibabel
import numpy as np
import pytest
from scipy import ndimage

from regreveal import brain_atlas
from regreveal.brain_atlas import LABELS
from regreveal.errors import InputError


def at(volume, affine, place):
    return volume[tuple(np.round(np.linalg.inv(affine)[:3] @ [*place, 1]).astype(int))]


@pytest.mark.parametrize(
    ("voxel_size", "shape", "first"),
    [
        (1, (182, 218, 182), (-91, -126, -72)),
        (2, (91, 109, 91), (-90, -126, -72)),
        (6, (30, 36, 30), (-87, -123, -69)),
    ],
)
def test_grids_lie_where_they_are_said_to(voxel_size, shape, first):
    image, affine = brain_atlas.template(voxel_size)
    assert image.shape == brain_atlas.grid(voxel_size)[0] == shape
    np.testing.assert_array_equal(affine[:3, 3], first)
    np.testing.assert_array_equal(affine[:3, :3], voxel_size * np.eye(3))


def test_the_template_is_nilearns_own_on_the_fine_grid():
    from nilearn.datasets import load_mni152_template

    theirs = load_mni152_template(resolution=1)
    image, affine = brain_atlas.template()
    places = np.random.default_rng(1).integers(20, 160, (500, 3))
    to_theirs = np.linalg.inv(theirs.affine) @ affine
    found = np.round(places @ to_theirs[:3, :3].T + to_theirs[:3, 3]).astype(int)
    values = theirs.get_fdata()[tuple(found.T)]
    np.testing.assert_allclose(image[tuple(places.T)], values, atol=1e-6)


@pytest.mark.parametrize("voxel_size", [2, 3, 6])
def test_coarse_grids_show_the_same_brain_in_the_same_place(voxel_size):
    fine, fine_affine = brain_atlas.template()
    coarse, affine = brain_atlas.template(voxel_size)
    assert coarse.sum() * voxel_size**3 == pytest.approx(fine.sum(), rel=1e-3)
    centres = [
        (matrix @ [*ndimage.center_of_mass(image), 1])[:3]
        for image, matrix in ((fine, fine_affine), (coarse, affine))
    ]
    np.testing.assert_allclose(centres[1], centres[0], atol=0.05)


def test_known_places_have_their_labels():
    labels, affine = brain_atlas.labels(), brain_atlas.grid()[1]
    # Places as published atlases give them, in MNI millimetres.
    for place, name in [
        ((12, -18, 8), "deep_grey"),
        ((-12, -18, 8), "deep_grey"),
        ((26, 4, 2), "deep_grey"),
        ((0, -26, -32), "brain_stem"),
        ((7, 10, 18), "ventricles"),
        ((0, -42, -32), "ventricles"),
        ((0, 30, 6), "white_matter"),
        ((38, -22, 52), "cortex"),
        ((40, -64, -44), "cerebellar_grey"),
        ((22, -54, -36), "cerebellar_white"),
    ]:
        assert at(labels, affine, place) == LABELS[name], (place, name)


def test_the_anatomy_is_symmetric_and_of_plausible_size():
    labels = brain_atlas.labels()
    # x runs from -91 to 90 mm: all but the first plane mirrors.
    for name, value in LABELS.items():
        region = labels[1:] == value
        shared = (region & region[::-1]).sum() / region.sum()
        assert shared > 0.97, name
    ml = {name: (labels == value).sum() / 1000 for name, value in LABELS.items()}
    cerebellum = ml["cerebellar_grey"] + ml["cerebellar_white"]
    assert 130 < cerebellum < 200
    assert 0.19 < ml["cerebellar_white"] / cerebellum < 0.24
    assert 15 < ml["ventricles"] < 40
    assert 20 < ml["brain_stem"] < 32


def test_coarse_labels_are_what_most_of_a_voxel_has():
    # A voxel of 3 mm covers 27 of 1 mm or parts of them, so its label is there among them.
    fine, fine_affine = brain_atlas.labels(), brain_atlas.grid()[1]
    coarse, affine = brain_atlas.labels(6), brain_atlas.grid(6)[1]
    for name, value in LABELS.items():
        volume = (coarse == value).sum() * 216 / (fine == value).sum()
        assert 0.8 < volume < 1.1, name
    inside = np.argwhere(coarse == LABELS["deep_grey"])
    places = inside @ affine[:3, :3].T + affine[:3, 3] - fine_affine[:3, 3]
    near = fine[tuple(np.round(places).astype(int).T)]
    assert (near == LABELS["deep_grey"]).mean() > 0.85


@pytest.mark.parametrize("voxel_size", [0.5, 0, 100, float("nan")])
def test_voxel_sizes_out_of_range_are_refused(voxel_size):
    with pytest.raises(InputError, match="expected 1 to 30 mm"):
        brain_atlas.template(voxel_size)


def test_names_that_are_not_there_are_named():
    with pytest.raises(InputError, match="no tissue 'bone'"):
        brain_atlas.tissue("bone")
    with pytest.raises(InputError, match="no brain label 'pons'"):
        brain_atlas.label_mask(("pons",))


def test_what_is_no_atlas_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a NIfTI file"):
        brain_atlas.read_labels(tmp_path / "none.nii.gz")
    (tmp_path / "text.nii").write_text("labels")
    with pytest.raises(InputError, match="not a NIfTI file"):
        brain_atlas.read_labels(tmp_path / "text.nii")
    shares = np.full((4, 4, 4), 0.5, np.float32)
    nibabel.save(nibabel.Nifti1Image(shares, np.eye(4)), tmp_path / "shares.nii")
    with pytest.raises(InputError, match="one whole number a voxel"):
        brain_atlas.read_labels(tmp_path / "shares.nii")
