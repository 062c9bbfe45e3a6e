"""Images of every format and orientation become the tensor that a tensor map declares."""

import h5py
import nibabel
import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.ingest.images import ingest_images
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap
from tests.ingest.image_files import (
    DXA_11,
    LAX_4CH,
    RNG,
    T1_NATIVE,
    a_map,
    body,
    brain,
    dicom,
    write_brain,
    write_cine,
    write_dxa_zip,
    write_picture,
    write_zip,
)


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


def test_a_map_with_a_channel_takes_an_image_without(tmp_path, store):
    channel = TensorMap("dxa.x", "dxa/x", (40, 20, 1), "grey", "dxa", "With a channel.")
    pixels = body()
    write_picture(tmp_path / "a.png", pixels)
    ingest_images([tmp_path / "a.png"], store, channel)
    np.testing.assert_array_equal(store.read("dxa/x")[0, ..., 0], pixels)
