import io
import logging
import zipfile
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from regreveal.errors import InputError
from regreveal.ingest import archive, dicom_image

GE_LUNAR = "1.2.840.113619.2.110.210419.20150928115733.{scan}.{view}.12.1"
PERSONAL = {
    "PatientName": "Lovelace^Ada",
    "PatientID": "NHS9434765919",
    "PatientBirthDate": "18151210",
    "StudyDate": "20150928",
    "DeviceSerialNumber": "SN-77310X",
    "InstitutionName": "Cheadle Imaging",
    "OperatorsName": "Babbage^Charles",
    "StudyDescription": "whole body of Ada",
}


def write(path, pixels, view=11, scan=1, **tags):
    """One DXA image as GE's scanners write it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = GE_LUNAR.format(scan=scan, view=view)
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "OT", scan, view
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    for keyword, value in tags.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def content(pixels, **tags):
    file = io.BytesIO()
    write(file, pixels, **tags)
    return file.getvalue()


@pytest.fixture
def body():
    return np.random.default_rng(0).integers(0, 256, (20, 7), dtype=np.uint8)


@pytest.fixture
def write_zip(tmp_path):
    def write(members):
        path = tmp_path / "1234567_20158_2_0.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, one in members.items():
                file.writestr(name, one)
        return path

    return write


def read_zip(path, series=None):
    return dicom_image.read_files(archive.read_members(path), path, series)


def test_one_file_is_one_image(tmp_path, body):
    path = write(tmp_path / "1000012_20158_3_0.dcm", body, PixelSpacing=[0.6, 0.3])
    assert dicom_image.recognises(path)
    [image] = dicom_image.read(path)
    np.testing.assert_array_equal(image.pixels, body)
    assert image.pixels.dtype == np.float32
    assert image.voxel_size == (0.6, 0.3)
    assert (image.kind, image.sample_id, image.visit) == ("dxa", "1000012", 3)
    assert (image.series, image.flags) == ("11", ())


def test_a_zip_as_delivered_gives_one_image_a_view(write_zip):
    rng = np.random.default_rng(2)
    views = {view: rng.integers(0, 256, (view + 4, 9), dtype=np.uint8) for view in (12, 2, 5, 11)}
    members = {
        f"{GE_LUNAR.format(scan=1, view=view)}.dcm": content(pixels, view=view)
        for view, pixels in views.items()
    }
    path = write_zip({"manifest.cvs": "1234567,20150928", "note.txt": "x", **members})
    images = read_zip(path)
    assert [image.series for image in images] == ["2", "5", "11", "12"]
    assert {(image.sample_id, image.visit) for image in images} == {("1234567", 2)}
    for image in images:
        np.testing.assert_array_equal(image.pixels, views[int(image.series)])


def test_a_folder_reads_as_its_zip_does(tmp_path, write_zip, body):
    names = {view: f"{GE_LUNAR.format(scan=1, view=view)}.dcm" for view in (2, 12)}
    path = write_zip({name: content(body, view=view) for view, name in names.items()})
    folder = tmp_path / "1234567_20158_2_0"
    folder.mkdir()
    files = [(name, write(folder / name, body, view=view)) for view, name in names.items()]
    for from_zip, from_folder in zip(
        read_zip(path), dicom_image.read_files(files, folder), strict=True
    ):
        np.testing.assert_array_equal(from_zip.pixels, from_folder.pixels)
        assert astuple(from_zip)[1:] == astuple(from_folder)[1:]
    assert dicom_image.read(files[0][1])[0].sample_id == "1234567"


def test_of_a_repeated_view_the_first_scan_is_kept_and_the_other_counted(write_zip, body):
    path = write_zip(
        {"b.dcm": content(body, view=2, scan=1), "a.dcm": content(255 - body, view=2, scan=2)}
    )
    [image] = read_zip(path)
    np.testing.assert_array_equal(image.pixels, body)
    assert image.flags == ("other images of the series left out: 1",)


def test_images_of_several_people_are_refused(write_zip, body):
    people = [content(body, view=2, PatientID=patient) for patient in ("A17", "A17", "B42")]
    path = write_zip({f"{number}.dcm": one for number, one in enumerate(people)})
    with pytest.raises(
        InputError, match="images of several people: more than one patient id"
    ) as said:
        read_zip(path)
    assert "B42" not in str(said.value)
    assert len(read_zip(write_zip({"a.dcm": people[0], "b.dcm": people[1]}))) == 1


def test_other_devices_images_are_told_apart_by_the_series_number(write_zip, body):
    path = write_zip(
        {
            "a.dcm": content(body, SOPInstanceUID="1.2.3.4.5", SeriesNumber=7),
            "b.dcm": content(body, SOPInstanceUID="1.2.3.4.6", SeriesNumber=None),
        }
    )
    assert [image.series for image in read_zip(path)] == ["", "7"]


def test_only_the_series_asked_for_need_be_good(write_zip, body):
    path = write_zip({"a.dcm": content(body, view=7, Rows=900), "b.dcm": content(body, view=11)})
    [image] = read_zip(path, series=["11", "12"])
    assert image.series == "11"
    with pytest.raises(InputError, match=r"zip, file 1 of 2: truncated pixel data"):
        read_zip(path)
    with pytest.raises(InputError, match=r"zip: no such series: there are 7, 11$"):
        read_zip(path, series=["12"])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (["L", "F"], lambda pixels: pixels),
        (["L", "H"], lambda pixels: pixels[::-1]),
        (["R", "F"], lambda pixels: pixels[:, ::-1]),
        (["R", "H"], lambda pixels: pixels[::-1, ::-1]),
        (["A", "FL"], lambda pixels: pixels),
    ],
)
def test_bodies_are_turned_head_up_and_left_on_the_right(tmp_path, body, orientation, turn):
    upright = write(tmp_path / "a.dcm", turn(body).copy(), PatientOrientation=orientation)
    [image] = dicom_image.read(upright)
    np.testing.assert_array_equal(image.pixels, body)
    assert bool(image.flags) == (orientation[0] == "R" or orientation[1] == "H")


def test_text_burned_into_a_picture_is_flagged(tmp_path, body):
    [image] = dicom_image.read(write(tmp_path / "a.dcm", body, BurnedInAnnotation="YES"))
    assert image.flags == ("text burned into the picture",)
    assert not dicom_image.read(write(tmp_path / "a.dcm", body, BurnedInAnnotation="NO"))[0].flags


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"Modality": "CT"}, "another kind of image: modality CT; expected BMD, CR, DX, OT"),
        ({"Modality": None}, "another kind of image: modality unknown"),
        ({"Modality": "MR"}, "no cine: no MR series of several frames"),
        ({"NumberOfFrames": 2}, "several frames: 2, of a DXA image one"),
    ],
)
def test_other_images_are_refused(tmp_path, body, tags, found):
    path = write(tmp_path / "a.dcm", body, **tags)
    with pytest.raises(InputError, match=rf"a\.dcm: {found}"):
        dicom_image.read(path)


def test_an_image_of_several_planes_is_refused():
    path = Path(get_testdata_file("SC_rgb_rle_2frame.dcm", download=False))
    with pytest.raises(InputError, match="several frames: 2"):
        dicom_image.read(path)


def test_secondary_captures_in_colour_are_read():
    # The background of pydicom's test image is in bands, of which the first is a red (76).
    path = Path(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm", download=False))
    [image] = dicom_image.read(path)
    assert image.pixels.shape == (100, 100)
    assert image.pixels[0, 0] == pytest.approx(76, abs=1)


def test_a_file_that_is_not_dicom_is_damaged_only_if_it_says_it_is(write_zip, body):
    assert len(read_zip(write_zip({"a.dcm": content(body), "readme": "x"}))) == 1
    with pytest.raises(InputError, match="file 2 of 2: unreadable file"):
        read_zip(write_zip({"a.dcm": content(body), "b.dcm": "x"}))
    with pytest.raises(InputError, match="no image: none of 1 files is an image in DICOM"):
        read_zip(write_zip({"readme": "x"}))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.dcm: unreadable file: FileNotFoundError"):
        dicom_image.read(tmp_path / "a.dcm")


def traces(text):
    return [value for value in (*PERSONAL.values(), "210419", "115733") if value in text]


def test_nothing_personal_comes_out(tmp_path, body, write_zip):
    [image] = dicom_image.read(write(tmp_path / "a.dcm", body, **PERSONAL))
    assert not traces(repr(image))
    names = [f"{GE_LUNAR.format(scan=1, view=view)}.dcm" for view in (2, 5)]
    good = content(body, view=2, **PERSONAL)
    path = write_zip({names[0]: good, names[1]: content(body, view=5, **PERSONAL)})
    assert not traces(repr(read_zip(path)))


def test_damaged_bytes_end_in_one_line_without_anything_personal(tmp_path, body, caplog, recwarn):
    caplog.set_level(logging.DEBUG)
    rng = np.random.default_rng(5)
    good = content(body, **PERSONAL, ExposedArea=[70, 400], PatientOrientation=["L", "F"])
    path = tmp_path / "a.dcm"
    refused = 0
    for trial in range(300):
        damaged = bytearray(good)
        if trial % 3 == 0:
            del damaged[rng.integers(len(damaged)) :]
        else:
            # Where the elements are, since damaged pixels are pixels.
            for place in rng.integers(128, len(good) - body.size, rng.integers(1, 6)):
                damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            said = repr(dicom_image.read(path))
        except InputError as error:
            said, refused = str(error), refused + 1
            assert "\n" not in said
        assert not traces(said), said
    assert refused > 100
    assert not traces(caplog.text)
    assert not [one for one in recwarn if traces(str(one.message))]


def test_files_are_not_gathered_beyond_the_size_of_one_participant(body, write_zip, monkeypatch):
    path = write_zip({f"{number}.dcm": content(body) for number in range(9)})
    monkeypatch.setattr("regreveal.ingest.dicom_files.LARGEST_TOTAL", 3 * len(content(body)))
    with pytest.raises(InputError, match="image too large: files of more than"):
        read_zip(path)
