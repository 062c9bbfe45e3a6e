"""`regreveal ingest` of images, from the shell's side; the library's own tests say the rest."""

import io
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from pydicom.data import get_testdata_file
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.store.tensors import TensorStore


def run(*arguments):
    result = CliRunner().invoke(app, ["ingest", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    body = np.zeros((928, 352), np.uint8)
    body[100:-100, 50:-50] = np.random.default_rng(0).integers(100, 200, (728, 252))
    Picture.fromarray(body).save(folder / "a.png")
    Picture.fromarray(np.full((928, 352), 9, np.uint8)).save(folder / "blank.png")
    return folder


def test_dxa_by_the_number_of_its_series(pictures, tmp_path):
    report = tmp_path / "report.tsv"
    result = run("dxa", pictures, "--store", tmp_path / "s", "--series", 11, "--report", report)
    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    assert lines == [["read", "2"], ["kept", "1"], ["dropped", "1", "blank image"]]
    assert len(report.read_text().splitlines()) == 3
    assert TensorStore(tmp_path / "s").shape("dxa/dxa_11") == (928, 352)


@pytest.mark.parametrize("place", ["raw/a.png/report.tsv", "raw"])
@pytest.mark.parametrize("command", [("dxa", "--series", 11), ("ecg",)])
def test_a_report_that_cannot_be_written_is_refused_before_files_are_read(
    pictures, tmp_path, command, place
):
    store, report = tmp_path / "s", tmp_path / place
    with pytest.raises(InputError, match="; expected a f"):
        run(command[0], pictures, "--store", store, "--report", report, *command[1:])
    assert not store.exists()


def test_a_brain_at_the_resolution_asked_for(tmp_path):
    head = np.zeros((208, 256, 200), np.uint8)
    head[40:170, 40:210, 40:160] = 100
    nibabel.save(nibabel.Nifti1Image(head, np.eye(4)), tmp_path / "a.nii.gz")
    arguments = ("brain", tmp_path / "a.nii.gz", "--store", tmp_path / "s")
    run(*arguments, "--to", "brain.t1_native_6mm", "--voxel-size", "6")
    store = TensorStore(tmp_path / "s")
    assert store.attributes("brain/t1_native_6mm")["voxel_size"] == [6, 6, 6]
    # The head keeps its volume, and is where it was about the centre, but for half a voxel: 35, 43
    # and 33 voxels of 6 mm cover it, and an odd one goes on or comes off at the far end.
    small = store.read("brain/t1_native_6mm")[0]
    assert 216 * small.sum() == pytest.approx(head.sum(dtype=float), rel=0.01)
    centre = (np.indices(small.shape) * small).sum(axis=(1, 2, 3)) / small.sum()
    offset_mm = np.array([104.5, 124.5, 99.5]) - np.array([103.5, 127.5, 99.5])
    expected = (np.array(small.shape) - 1) / 2 + offset_mm / 6 + np.array([-0.5, 0.5, -0.5])
    np.testing.assert_allclose(centre, expected, atol=0.02)


def test_a_cine_of_frames(tmp_path):
    folder = tmp_path / "raw" / "p"
    folder.mkdir(parents=True)
    for frame in range(25):
        noise = np.random.default_rng(frame).integers(0, 255, (96, 96)).astype(np.uint8)
        Picture.fromarray(noise).save(folder / f"frame_{frame}.png")
    arguments = ("cardiac", tmp_path / "raw", "--store", tmp_path / "s")
    with pytest.raises(InputError, match="p: other number of frames: 25; expected 50"):
        run(*arguments)
    result = run(*arguments, "--resample-frames")
    assert "flagged        1  frames resampled" in result.output
    assert TensorStore(tmp_path / "s").shape("cardiac/lax_4ch") == (96, 96, 50)


def mr_file(**tags):
    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_a_cine_with_a_missing_frame_and_an_unsafe_zip_end_in_one_line(tmp_path):
    series = {"SeriesDescription": "CINE_segmented_LAX_4Ch", "SeriesInstanceUID": "1.2.3"}
    frames = {f"{n}.dcm": mr_file(InstanceNumber=n, **series) for n in range(1, 51) if n != 20}
    for name, members, message in (
        ("1000012_20208_2_0.zip", frames, "missing frames: 49 frames, numbered 1 to 50 without 20"),
        ("1000024_20208_2_0.zip", {"../a.dcm": b""}, 'unsafe archive: member 1 of 1 has ".."'),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        with pytest.raises(InputError, match=message) as caught:
            run("cardiac", tmp_path / name, "--store", tmp_path / "s")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "s").exists()


def test_text_burned_into_a_picture_is_allowed_by_name(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(mr_file(Modality="OT", SeriesNumber=11, BurnedInAnnotation="YES"))
    arguments = ("dxa", path, "--store", tmp_path / "s", "--series", 11)
    with pytest.raises(InputError, match="text burned into the picture"):
        run(*arguments)
    result = run(*arguments, "--allow-burned-in-text")
    assert "flagged        1  text burned into the picture" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dxa"], "ingest dxa: give --series or --to"),
        (["dxa", "--to", "brain.t1_mni"], "is of modality 'brain'; expected 'dxa'"),
        (["dxa", "--series", "99"], r"no tensor map 'dxa\.dxa_99'"),
        (["dxa", "--series", "11", "--voxel-size", "fine"], "--voxel-size fine: expected"),
        (["dxa", "--series", "11", "--voxel-size", "1,1,1"], "expected 2 lengths in millimetres"),
        (["brain", "--to", "brain.t1_mni"], "none of 2 files could be used: 2 not a known image"),
        (["dxa", "--to", "dxa.dxa_11", "--package", "nowhere"], "'nowhere' cannot be imported"),
    ],
)
def test_bad_requests_are_one_line_and_leave_no_store(pictures, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        run(arguments[0], pictures, "--store", tmp_path / "s", *arguments[1:])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s").exists()
