import io
import zipfile
from multiprocessing import get_context
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from regreveal.errors import InputError
from regreveal.ingest import images
from regreveal.ingest.image_tensors import default_series
from regreveal.ingest.images import ingest_images
from regreveal.ingest.outcomes import summarise
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap, find_tensor_map

SECRETS = ["Quetzalcoatl", "ID-314159", "19870317", "19260101", "SERIAL-2718", "1.2.3.4.5.6.7"]
RNG = np.random.default_rng(0)


def a_map(name, shape, spatial):
    modality = name.partition(".")[0]
    return TensorMap(
        name, name.replace(".", "/"), shape, "grey", modality, "A map.", spatial_dimensions=spatial
    )


DXA_11 = a_map("dxa.dxa_11", (40, 20), 2)
T1_NATIVE = a_map("brain.t1_native", (12, 14, 12), 3)
LAX_4CH = a_map("cardiac.lax_4ch", (16, 16, 10), 2)


@pytest.fixture
def store(tmp_path):
    return TensorStore(tmp_path / "store")


def body(rows=40, columns=20):
    pixels = np.zeros((rows, columns), np.uint16)
    pixels[5:-5, 5:-5] = RNG.integers(500, 1000, (rows - 10, columns - 10))
    return pixels


def dicom(pixels, **tags):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3.4.5.6.7.8"
    dataset.PatientName, dataset.PatientID = "Quetzalcoatl^Name", "ID-314159"
    dataset.PatientBirthDate, dataset.StudyDate = "19260101", "19870317"
    dataset.DeviceSerialNumber, dataset.SeriesInstanceUID = "SERIAL-2718", "1.2.3.4.5.6.7.1"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.Modality, dataset.SeriesNumber = "OT", 11
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def write_zip(path, members):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_dxa_zip(path, pixels=None, **tags):
    pixels = body() if pixels is None else pixels
    members = {"a.dcm": dicom(pixels, **tags), "b.dcm": dicom(body(18, 19), SeriesNumber=2)}
    return write_zip(path, {**members, "manifest.csv": b"ID-314159,19870317"})


def write_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path)
    return path


def brain(shape):
    volume = np.zeros(shape, np.int16)
    inside = tuple(slice(n // 4, n - n // 4) for n in shape)
    volume[inside] = RNG.integers(200, 900, volume[inside].shape)
    return volume


def write_brain(path, volume, affine=None):
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4) if affine is None else affine), path)
    return path


def write_cine(folder, frames=10, **tags):
    folder.mkdir(parents=True)
    cine = RNG.integers(0, 900, (20, 16, frames)).astype(np.uint16)
    for frame in range(frames):
        described = {
            "Modality": "MR",
            "SeriesDescription": "CINE_segmented_LAX_4Ch",
            "TriggerTime": 30.0 * frame,
            "InstanceNumber": frame + 1,
        }
        content = dicom(cine[..., frame], **(described | tags))
        (folder / f"IM{(7 * frame) % frames:03}.dcm").write_bytes(content)
    return cine


def multi_frame_cine(frames):
    pixels = RNG.integers(0, 900, (frames * 20, 16)).astype(np.uint16)
    described = {"Modality": "MR", "SeriesDescription": "CINE_segmented_LAX_4Ch"}
    return dicom(pixels, Rows=20, NumberOfFrames=frames, **described)


def reasons(report):
    dropped = report[report["outcome"] == "dropped"]
    return {Path(row.file).name: row.reason for row in dropped.itertuples()}


def test_every_format_of_a_dxa_gives_the_same_tensor(tmp_path, store):
    pixels = body()
    raw = tmp_path / "raw"
    write_dxa_zip(raw / "1000012_20158_2_0.zip", pixels)
    (raw / "loose.dcm").write_bytes(dicom(pixels))
    write_picture(raw / "picture.png", pixels)
    write_picture(raw / "P7" / "dxa_11.png", pixels)
    with h5py.File(raw / "1000024.hd5", "w") as file:
        file["ukb_dxa/dxa_1_11/instance_0"] = pixels
    report = ingest_images([raw], store, DXA_11)
    assert report["format"].value_counts().to_dict() == {
        "png": 2,
        "dicom zip": 1,
        "dicom image": 1,
        "ml4h": 1,
    }
    assert set(report["outcome"]) == {"kept"}
    people = store.sample_ids("dxa/dxa_11")
    assert sorted(people) == ["1000012", "1000024", "P7", "loose", "picture"]
    for tensor in DXA_11.read(store, people):
        np.testing.assert_array_equal(tensor[..., 0], pixels)
    assert store.read("dxa/dxa_11").dtype == np.float32
    assert store.attributes("dxa/dxa_11")["units"] == "grey"


def test_brains_of_any_orientation_are_cropped_and_padded_alike(tmp_path, store):
    volume = brain((16, 12, 12))
    write_brain(tmp_path / "raw" / "a.nii.gz", volume)
    flipped = np.diag([-1.0, 1, 1, 1])
    write_brain(
        tmp_path / "raw" / "b.nii", volume[::-1].transpose(2, 0, 1), flipped[:, [2, 0, 1, 3]]
    )
    report = ingest_images([tmp_path / "raw"], store, T1_NATIVE)
    assert set(report["outcome"]) == {"kept"}
    first, second = store.read("brain/t1_native", ["a", "b"])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, 1:13], volume[2:14])
    assert not first[:, [0, 13]].any()
    assert store.attributes("brain/t1_native")["voxel_size"] == [1, 1, 1]
    row = read_table(store.path / "brain_t1_native_images.tsv").loc["a"]
    assert row[["source", "series", "voxel_size", "shape", "cropped", "padded"]].tolist() == [
        "nifti",
        "native",
        "1 × 1 × 1",
        "16 × 12 × 12",
        "4 × 0 × 0",
        "0 × 2 × 0",
    ]


def test_a_cine_comes_in_as_a_folder_of_dicom_or_png_frames_a_zip_or_hd5(tmp_path, store):
    raw = tmp_path / "raw"
    cine = write_cine(raw / "dicom")
    frames = {f.name: f.read_bytes() for f in (raw / "dicom").iterdir()}
    write_zip(raw / "1000012_20208_2_0.zip", frames)
    for frame in range(10):
        write_picture(raw / "png" / f"frame_{frame}.png", cine[..., frame])
    with h5py.File(raw / "hd5.hd5", "w") as file:
        file["ukb_cardiac_mri/cine_segmented_lax_4ch/2/instance_0"] = cine
    report = ingest_images([raw], store, LAX_4CH)
    assert set(report["outcome"]) == {"kept"}, report
    people = ["dicom", "1000012", "png", "hd5"]
    assert sorted(store.sample_ids("cardiac/lax_4ch")) == sorted(people)
    for tensor in store.read("cardiac/lax_4ch", people):
        np.testing.assert_array_equal(tensor, cine[2:18])


def test_multi_frame_files_in_one_folder_are_people_of_their_own(tmp_path, store):
    for name in "ab":
        cine = RNG.integers(0, 900, (16 * 10, 16)).astype(np.uint16)
        content = dicom(
            cine,
            Modality="MR",
            NumberOfFrames=10,
            Rows=16,
            SeriesDescription="CINE_segmented_LAX_4Ch",
        )
        (tmp_path / f"{name}.dcm").write_bytes(content)
    ingest_images([tmp_path], store, LAX_4CH)
    assert store.sample_ids("cardiac/lax_4ch") == ["a", "b"]
    np.testing.assert_array_equal(
        store.read("cardiac/lax_4ch", ["b"])[0], np.moveaxis(cine.reshape(10, 16, 16), 0, -1)
    )


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_nothing_personal_reaches_store_report_or_table(tmp_path, store):
    raw = tmp_path / "raw"
    write_dxa_zip(raw / "1000012_20158_2_0.zip")
    (raw / "a.dcm").write_bytes(dicom(body(), ProtocolName="Quetzalcoatl"))
    (raw / "b.dcm").write_bytes(dicom(body())[:900])
    (raw / "c.dcm").write_bytes(dicom(body(), PhotometricInterpretation="Quetzalcoatl"))
    text = PngInfo()
    text.add_text("Author", "Quetzalcoatl")
    Picture.fromarray(body()).save(raw / "d.png", pnginfo=text)
    assert ingest_images([raw], store, DXA_11)["outcome"].value_counts()["kept"] == 3
    cine = tmp_path / "cine" / "p"
    write_cine(cine, SeriesDescription="Quetzalcoatl")
    lax = a_map("cardiac.any", (16, 16, 10), 2)
    assert ingest_images([cine.parent], store, lax)["outcome"].tolist() == ["kept"]
    volume = nibabel.Nifti1Image(brain((12, 14, 12)), np.eye(4))
    volume.header["descrip"], volume.header["db_name"] = b"Quetzalcoatl", b"ID-314159"
    nibabel.save(volume, tmp_path / "e.nii")
    report = ingest_images([tmp_path / "e.nii"], store, T1_NATIVE)
    written = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    written += report.to_csv().replace(str(tmp_path), "").encode()
    assert b"1000012" in written
    for secret in SECRETS:
        assert secret.encode() not in written


def test_the_zip_of_a_brain_gives_what_the_tensor_map_asks_for(tmp_path, store):
    mni = np.zeros((91, 109, 91), np.uint8)
    mni[30:60, 30:60, 30:60] = 9
    fsl = np.array([[-2, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(mni, fsl)
    image.set_sform(fsl, 4)
    nibabel.save(image, tmp_path / "mni.nii.gz")
    native = brain((12, 14, 12))
    members = {
        "T1/T1.nii.gz": write_brain(tmp_path / "t1.nii.gz", native).read_bytes(),
        "T1/T1_brain_to_MNI.nii.gz": (tmp_path / "mni.nii.gz").read_bytes(),
    }
    path = write_zip(tmp_path / "1000012_20252_2_0.zip", members)
    ingest_images([path], store, T1_NATIVE)
    np.testing.assert_array_equal(store.read("brain/t1_native")[0], native)
    t1_mni = a_map("brain.t1_mni", (91, 109, 91), 3)
    ingest_images([path], store, t1_mni)
    np.testing.assert_array_equal(store.read("brain/t1_mni")[0], mni[::-1])
    table = read_table(store.path / "brain_t1_mni_images.tsv")
    assert table.loc["1000012", "member"] == "T1/T1_brain_to_MNI.nii.gz"
    # Padding to a grid of smaller voxels would put the brain where it is not.
    fine = a_map("brain.t1_mni", (182, 218, 182), 3)
    with pytest.raises(InputError, match="on another MNI152 grid: 91 × 109 × 91 voxels"):
        ingest_images([path], TensorStore(tmp_path / "fine"), fine)


def test_images_that_cannot_be_used_are_counted_by_reason(tmp_path, store):
    raw = tmp_path / "raw"
    write_picture(raw / "good.png", body().astype(np.uint8))
    write_picture(raw / "blank.png", np.full((40, 20), 7, np.uint8))
    write_picture(raw / "P" / "dxa_5.png", body().astype(np.uint8))
    (raw / "README").write_text("about")
    (raw / "empty.dcm").write_bytes(b"")
    (raw / "torn.png").write_bytes((raw / "good.png").read_bytes()[:60])
    large = np.zeros((400, 200), np.uint8)
    large[10:-10, 10:-10] = 200
    write_picture(raw / "large.png", large)
    report = ingest_images([raw], store, DXA_11)
    assert reasons(report) == {
        "blank.png": "blank image",
        "P": "no such series",
        "README": "not a known image format",
        "empty.dcm": "not a known image format",
        "torn.png": "unreadable file",
        "large.png": "most of it would be cut off",
    }
    counts = summarise(report).set_index(["outcome", "reason"])["count"]
    assert counts["read", ""] == 7
    assert counts["kept", ""] == 1
    assert counts["dropped", "not a known image format"] == 2


def test_values_that_are_not_finite_drop_an_image(tmp_path, store):
    volume = brain((12, 14, 12)).astype(np.float32)
    write_brain(tmp_path / "raw" / "a.nii", volume)
    volume[0, 0, 0] = np.nan
    write_brain(tmp_path / "raw" / "b.nii", volume)
    assert reasons(ingest_images([tmp_path / "raw"], store, T1_NATIVE)) == {
        "b.nii": "values not finite"
    }


def test_tissue_that_is_cut_off_is_flagged(tmp_path, store):
    volume = np.zeros((12, 14, 20), np.int16)
    volume[3:9, 3:11, 2:18] = 500
    write_brain(tmp_path / "a.nii", volume)
    [flags] = ingest_images([tmp_path / "a.nii"], store, T1_NATIVE)["flags"]
    assert flags == "tissue cut off: 25%"
    row = read_table(store.path / "brain_t1_native_images.tsv").loc["a"]
    assert row[["cropped", "tissue_cut", "flags"]].tolist() == ["0 × 0 × 8", 0.25, flags]


def test_another_voxel_size_drops_an_image_or_has_it_resampled(tmp_path, store):
    raw = tmp_path / "raw"
    write_brain(raw / "a.nii", brain((12, 14, 12)))
    write_brain(raw / "b.nii", brain((12, 14, 12)), np.diag([1.005, 1, 1, 1]))
    write_brain(raw / "c.nii", brain((6, 7, 6)), np.diag([2.0, 2, 2, 1]))
    report = ingest_images([raw], store, T1_NATIVE)
    assert reasons(report) == {"c.nii": "other voxel size"}
    assert "2 × 2 × 2 mm; the others have 1 × 1 × 1" in report["detail"].tolist()

    other = TensorStore(tmp_path / "other")
    report = ingest_images([raw], other, T1_NATIVE, voxel_size=(1, 1, 1))
    assert set(report["outcome"]) == {"kept"}
    flags = report.set_index("sample_id")["flags"]
    assert flags["c"] == "resampled: from voxels of 2 × 2 × 2 mm"
    with pytest.raises(InputError, match="holds voxels of 1 × 1 × 1 mm, not 2 × 2 × 2"):
        ingest_images([raw], other, T1_NATIVE, voxel_size=(2, 2, 2))
    # What the store holds decides, also where the first file would say otherwise.
    write_brain(tmp_path / "more" / "d.nii", brain((6, 7, 6)), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(InputError, match="could be used|other voxel size"):
        ingest_images([tmp_path / "more"], other, T1_NATIVE)


def test_an_image_without_a_voxel_size_among_others_is_flagged(tmp_path, store):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.dcm").write_bytes(dicom(body(), PixelSpacing=[2.0, 2.0]))
    write_picture(raw / "b.png", body())
    flags = ingest_images([raw], store, DXA_11).set_index("sample_id")["flags"]
    assert flags.to_dict() == {"a": "", "b": "voxel size not known"}
    assert store.attributes("dxa/dxa_11")["voxel_size"] == [2, 2]


def test_cines_of_another_number_of_frames_are_dropped_or_resampled(tmp_path, store):
    raw = tmp_path / "raw"
    write_cine(raw / "a")
    write_cine(raw / "b", frames=25)
    report = ingest_images([raw], store, LAX_4CH)
    assert reasons(report) == {"b": "other number of frames"}
    assert "25; expected 10" in report["detail"].tolist()
    other = TensorStore(tmp_path / "other")
    report = ingest_images([raw], other, LAX_4CH, resample_frames=True)
    assert report.set_index("sample_id").loc["b", "flags"].startswith("frames resampled: from 25")


@pytest.mark.parametrize("name", ["../../escape.dcm", "/absolute.dcm"])
def test_a_hostile_zip_is_dropped_and_writes_nothing(tmp_path, store, name):
    raw = tmp_path / "raw"
    write_zip(raw / "evil.zip", {name: dicom(body())})
    write_dxa_zip(raw / "good.zip")
    report = ingest_images([raw], store, DXA_11)
    assert reasons(report) == {"evil.zip": "unsafe archive"}
    assert {p.name for p in tmp_path.iterdir()} == {"raw", "store"}


def test_a_bomb_and_a_torn_zip_are_dropped(tmp_path, store):
    raw = tmp_path / "raw"
    raw.mkdir()
    with zipfile.ZipFile(raw / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(70_000_000))
    write_dxa_zip(raw / "good.zip")
    content = (raw / "good.zip").read_bytes()
    (raw / "torn.zip").write_bytes(content[: len(content) // 2])
    assert reasons(ingest_images([raw], store, DXA_11)) == {
        "bomb.zip": "archive too large",
        "torn.zip": "unreadable file",
    }


def test_files_named_by_their_uid_take_the_name_of_their_folder(tmp_path, store):
    folder = tmp_path / "raw" / "1000012_20158_2_0"
    folder.mkdir(parents=True)
    for number, series in ((1, 11), (2, 2)):
        name = f"1.2.840.113619.2.110.{number}.dcm"
        (folder / name).write_bytes(dicom(body(), SeriesNumber=series))
    report = ingest_images([tmp_path / "raw"], store, DXA_11)
    assert report[["sample_id", "outcome"]].to_numpy().tolist() == [["1000012", "kept"]]


def test_without_a_series_several_are_refused_by_name(tmp_path, store):
    hip = a_map("dxa.hip", (40, 20), 2)
    path = write_dxa_zip(tmp_path / "a.zip")
    with pytest.raises(InputError, match="several series: 2, 11; choose one by its name"):
        ingest_images([path], store, hip)
    assert ingest_images([path], store, hip, "11")["outcome"].tolist() == ["kept"]


@pytest.mark.parametrize("dies_after", ["table", "tensors"])
def test_a_run_killed_between_writes_is_completed_by_the_next(
    tmp_path, store, monkeypatch, dies_after
):
    monkeypatch.setattr(images, "SHARD_BYTES", 2 * 4 * 40 * 20)
    for number in range(5):
        write_picture(tmp_path / "raw" / f"{number}.png", body())
    written = []

    def write(self, name, *arguments, **keywords):
        if len(written) == 1 and dies_after == "table":
            raise KeyboardInterrupt
        written.append(whole_write(self, name, *arguments, **keywords))
        if len(written) == 2:
            raise KeyboardInterrupt

    whole_write = TensorStore.write
    with monkeypatch.context() as patch:
        patch.setattr(TensorStore, "write", write)
        with pytest.raises(KeyboardInterrupt):
            ingest_images([tmp_path / "raw"], store, DXA_11)
    before = store.sample_ids("dxa/dxa_11")
    assert len(before) in (2, 4)
    report = ingest_images([tmp_path / "raw"], store, DXA_11)
    assert (report["outcome"] == "skipped").sum() == len(before)
    assert sorted(store.sample_ids("dxa/dxa_11")) == list("01234")
    assert sorted(read_table(store.path / "dxa_dxa_11_images.tsv").index) == list("01234")


def ingest_one_a_shard(barrier, folder, store_path):
    images.SHARD_BYTES = 1
    barrier.wait()
    ingest_images([folder], TensorStore(store_path), DXA_11)


def test_ingests_at_the_same_time_into_one_store_add_up(tmp_path, store):
    people = {"shared0", "shared1"}
    for folder in ("a", "b"):
        names = [f"{folder}{number}" for number in range(4)]
        people |= set(names)
        for name in ("shared0", *names, "shared1"):
            write_picture(tmp_path / folder / f"{name}.png", body())
    spawn = get_context("spawn")
    barrier = spawn.Barrier(2)
    ingests = [
        spawn.Process(target=ingest_one_a_shard, args=(barrier, tmp_path / folder, store.path))
        for folder in ("a", "b")
    ]
    for ingest in ingests:
        ingest.start()
    for ingest in ingests:
        ingest.join()
    assert [ingest.exitcode for ingest in ingests] == [0, 0]
    assert sorted(store.sample_ids("dxa/dxa_11")) == sorted(people)
    assert sorted(read_table(store.path / "dxa_dxa_11_images.tsv").index) == sorted(people)


def test_worker_processes_give_the_same_store(tmp_path, store):
    for number in range(4):
        write_picture(tmp_path / "raw" / f"{number}.png", body())
    ingest_images([tmp_path / "raw"], store, DXA_11)
    other = TensorStore(tmp_path / "other")
    ingest_images([tmp_path / "raw"], other, DXA_11, workers=2)
    assert other.sample_ids("dxa/dxa_11") == store.sample_ids("dxa/dxa_11")
    np.testing.assert_array_equal(other.read("dxa/dxa_11"), store.read("dxa/dxa_11"))


def test_the_first_visit_is_kept_and_one_id_twice_is_an_error(tmp_path, store):
    for visit in (3, 2):
        write_dxa_zip(tmp_path / "raw" / f"1000012_20158_{visit}_0.zip")
    report = ingest_images([tmp_path / "raw"], store, DXA_11).set_index("outcome")
    assert report.loc["kept", "file"].endswith("_2_0.zip")
    assert report.loc["dropped", ["reason", "detail"]].tolist() == [
        "later visit",
        "visit 3; kept 2",
    ]
    write_picture(tmp_path / "raw" / "1000012_20158_2_0.png", body())
    with pytest.raises(InputError, match="both have the sample id '1000012'"):
        ingest_images([tmp_path / "raw"], TensorStore(tmp_path / "other"), DXA_11)
    assert not (tmp_path / "other").exists()


def test_a_map_with_a_channel_takes_an_image_without(tmp_path, store):
    channel = TensorMap("dxa.x", "dxa/x", (40, 20, 1), "grey", "dxa", "With a channel.")
    pixels = body()
    write_picture(tmp_path / "a.png", pixels)
    ingest_images([tmp_path / "a.png"], store, channel)
    np.testing.assert_array_equal(store.read("dxa/x")[0, ..., 0], pixels)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dxa.dxa_11", "11"),
        ("dxa.body", None),
        ("brain.t1_native", "native"),
        ("brain.t1_mni", "mni"),
        ("brain.t1_mni_6mm", "mni"),
        ("cardiac.lax_4ch", "cine_segmented_lax_4ch"),
        ("cardiac.lax_4ch_small", "cine_segmented_lax_4ch"),
    ],
)
def test_the_name_of_a_tensor_tells_the_series(name, expected):
    assert default_series(find_tensor_map(name)) == expected


def test_bad_requests_end_in_one_line_and_leave_no_store(tmp_path, store):
    write_picture(tmp_path / "a.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match=r"ecg\.rest_10s is of modality 'ecg'"):
        ingest_images([tmp_path], store, find_tensor_map("ecg.rest_10s"))
    with pytest.raises(InputError, match="voxel size 1 × 0: expected 2 lengths"):
        ingest_images([tmp_path], store, DXA_11, voxel_size=(1, 0))
    with pytest.raises(InputError, match=r"a\.png: blank image"):
        ingest_images([tmp_path / "a.png"], store, DXA_11)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files found; expected NIfTI"):
        ingest_images([tmp_path / "empty"], store, T1_NATIVE)
    assert not store.path.exists()


def test_pictures_of_several_series_of_one_participant_are_told_apart(tmp_path, store):
    eleven, five = body().astype(np.uint8), body().astype(np.uint8)
    write_picture(tmp_path / "raw" / "1000012" / "dxa_11.png", eleven)
    write_picture(tmp_path / "raw" / "1000012" / "dxa_5.png", five)
    ingest_images([tmp_path / "raw"], store, DXA_11)
    np.testing.assert_array_equal(store.read("dxa/dxa_11", ["1000012"])[0], eleven)
    dxa_5 = a_map("dxa.dxa_5", (40, 20), 2)
    ingest_images([tmp_path / "raw"], store, dxa_5)
    np.testing.assert_array_equal(store.read("dxa/dxa_5", ["1000012"])[0], five)


@pytest.mark.parametrize("name", ["P/dxa_11.png", "P/1.2.840.113619.2.110.5.20150608.1.11.dcm"])
def test_a_folder_given_as_the_working_one_still_names_the_participant(
    tmp_path, store, monkeypatch, name
):
    path = tmp_path / name
    if path.suffix == ".png":
        write_picture(path, body().astype(np.uint8))
    else:
        path.parent.mkdir()
        path.write_bytes(dicom(body(), SeriesNumber=11))
    monkeypatch.chdir(path.parent)
    ingest_images(["."], store, DXA_11)
    assert store.sample_ids("dxa/dxa_11") == ["P"]


def test_a_uid_never_becomes_a_sample_id(tmp_path, store):
    uid = "1.2.840.113619.2.110.210419.20150608101010.1.11.12.1"
    write_picture(tmp_path / "raw" / f"{uid}.png", body().astype(np.uint8))
    write_picture(tmp_path / "raw" / "P.png", body().astype(np.uint8))
    report = ingest_images([tmp_path / "raw"], store, DXA_11)
    assert reasons(report) == {f"{uid}.png": "no sample id"}
    assert store.sample_ids("dxa/dxa_11") == ["P"]
    assert not report["sample_id"].str.contains("2015").any()


def test_text_burned_into_a_picture_keeps_it_out_until_it_is_allowed(tmp_path, store):
    (tmp_path / "a.dcm").write_bytes(dicom(body(), SeriesNumber=11, BurnedInAnnotation="YES"))
    with pytest.raises(InputError, match=r"a\.dcm: text burned into the picture: it may name"):
        ingest_images([tmp_path / "a.dcm"], store, DXA_11)
    assert not store.sample_ids("dxa/dxa_11")
    report = ingest_images([tmp_path / "a.dcm"], store, DXA_11, allow_burned_in_text=True)
    assert report["flags"].tolist() == ["text burned into the picture"]


def test_a_damaged_file_among_cines_costs_only_itself(tmp_path, store):
    for name in ("b", "c"):
        (tmp_path / f"{name}.dcm").write_bytes(multi_frame_cine(10))
    (tmp_path / "a.dcm").write_bytes(multi_frame_cine(10)[:200])
    report = ingest_images([tmp_path], store, LAX_4CH)
    assert list(reasons(report)) == ["a.dcm"]
    assert store.sample_ids("cardiac/lax_4ch") == ["b", "c"]


def test_an_unknown_voxel_size_is_never_passed_off_as_one_that_was_asked_for(tmp_path, store):
    write_picture(tmp_path / "P.png", body().astype(np.uint8))
    with pytest.raises(InputError, match=r"voxel size not known: cannot be resampled to 2 × 2 mm"):
        ingest_images([tmp_path / "P.png"], store, DXA_11, voxel_size=[2, 2])
    ingest_images([tmp_path / "P.png"], store, DXA_11)
    (tmp_path / "a.dcm").write_bytes(dicom(body(), SeriesNumber=11, PixelSpacing=[2, 2]))
    report = ingest_images([tmp_path / "a.dcm"], store, DXA_11)
    assert report["flags"].tolist() == ["voxel size of the others not known"]


def test_a_damaged_spacing_does_not_ask_for_terabytes(tmp_path, store):
    (tmp_path / "a.dcm").write_bytes(dicom(body(), SeriesNumber=11, PixelSpacing=[1e6, 1e6]))
    with pytest.raises(InputError, match="too large to resample"):
        ingest_images([tmp_path / "a.dcm"], store, DXA_11, voxel_size=[1, 1])
