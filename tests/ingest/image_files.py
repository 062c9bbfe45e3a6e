"""Small images of every format, made from random pixels, and tensor maps for them."""

import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from regreveal.tensormap import TensorMap

RNG = np.random.default_rng(0)


def a_map(name, shape, spatial):
    modality = name.partition(".")[0]
    return TensorMap(
        name, name.replace(".", "/"), shape, "grey", modality, "A map.", spatial_dimensions=spatial
    )


DXA_11 = a_map("dxa.dxa_11", (40, 20), 2)
T1_NATIVE = a_map("brain.t1_native", (12, 14, 12), 3)
LAX_4CH = a_map("cardiac.lax_4ch", (16, 16, 10), 2)


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
