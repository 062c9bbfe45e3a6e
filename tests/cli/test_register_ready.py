"""Ready transforms from the shell's side: two folders of files in, a store of brains out."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from regreveal.brain_atlas import template
from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore

NAME = "1000012_20252_2_0"
TO = ["--to", "brain.t1_mni_6mm", "--voxel-size", "6"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["register-ready", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folders(tmp_path):
    """A head that is turned and shifted, with ITK's transform of it: as UK Biobank names files."""
    volumes, transforms = tmp_path / "volumes", tmp_path / "transforms"
    volumes.mkdir()
    transforms.mkdir()
    brain, affine = template(2)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [5, -8, 10], degrees=True).as_matrix()
    turn[:3, 3] = 6, -4, 9  # from MNI to the scanner, in RAS mm
    to_template = np.linalg.inv(affine) @ np.linalg.inv(turn) @ affine
    head = ndimage.affine_transform(brain, to_template[:3, :3], to_template[:3, 3], order=1)
    nibabel.Nifti1Image(100 * head, affine).to_filename(volumes / f"{NAME}.nii.gz")
    flip = np.diag([-1.0, -1, 1, 1])
    lps = flip @ turn @ flip
    numbers = " ".join(repr(float(v)) for v in [*lps[:3, :3].ravel(), *lps[:3, 3]])
    (transforms / f"{NAME}.txt").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )
    return volumes, transforms


def test_brains_are_taken_to_the_template_by_the_transforms_of_their_name(folders, tmp_path):
    volumes = folders[0]
    (volumes / "someone.else.nii.gz").write_bytes((volumes / f"{NAME}.nii.gz").read_bytes())
    (volumes / "notes.txt").write_text("not a volume")
    output = run(*folders, *TO, "--out", tmp_path / "out")
    assert "1 of 2 registered" in output
    assert "left out       1  no transform" in output
    qc = read_table(tmp_path / "out" / "qc.parquet")
    assert qc["ok"].to_dict() == {"1000012": True, "someone.else": False}
    store = TensorStore(tmp_path / "out" / "registered")
    assert store.sample_ids("brain/t1_mni_6mm") == ["1000012"]
    got = store.read("brain/t1_mni_6mm")[0]
    assert np.corrcoef(got.ravel(), template(6)[0].ravel())[0, 1] > 0.97
    assert store.attributes("brain/t1_mni_6mm")["voxel_size"] == [6, 6, 6]
    with pytest.raises(InputError, match="already holds a registration"):
        run(*folders, *TO, "--out", tmp_path / "out")


def test_transforms_the_wrong_way_round_leave_nothing_that_looks_registered(folders, tmp_path):
    transforms = folders[1]
    upside_down = np.diag([1.0, -1, -1])
    numbers = " ".join(repr(float(v)) for v in [*upside_down.ravel(), 0, 0, 0])
    text = (transforms / f"{NAME}.txt").read_text().splitlines()
    text[3] = f"Parameters: {numbers}"
    (transforms / f"{NAME}.txt").write_text("\n".join(text) + "\n")
    with pytest.raises(InputError, match=r"none of 1 volumes .*does not resemble the reference: 1"):
        run(*folders, *TO, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "registered").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda volumes, transforms: (volumes / f"{NAME}.nii").touch(), "also has"),
        (lambda volumes, transforms: (transforms / f"{NAME}.txt").unlink(), "no file that ends in"),
        (lambda volumes, transforms: volumes.rename(volumes.with_name("moved")), "no such folder"),
        (lambda volumes, transforms: (volumes / f"{NAME}.nii.gz").write_bytes(b"x"), "not a read"),
    ],
)
def test_folders_that_cannot_be_used_are_named(folders, tmp_path, damage, message):
    damage(*folders)
    with pytest.raises(InputError, match=message):
        run(*folders, *TO, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "registered").exists()


def test_a_tensor_map_of_another_grid_is_refused(folders, tmp_path):
    with pytest.raises(InputError, match=r"brain.t1_mni: of shape \(182, 218, 182\).*\(30, 36, 30"):
        run(*folders, "--voxel-size", 6, "--out", tmp_path / "out")
