"""Images that cannot be used, or not as they are, are dropped, resampled or flagged."""

import zipfile

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.ingest.images import ingest_images
from regreveal.ingest.outcomes import summarise
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from tests.ingest.image_files import (
    DXA_11,
    LAX_4CH,
    T1_NATIVE,
    body,
    brain,
    dicom,
    multi_frame_cine,
    reasons,
    write_brain,
    write_cine,
    write_dxa_zip,
    write_picture,
    write_zip,
)


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


def test_a_damaged_file_among_cines_costs_only_itself(tmp_path, store):
    for name in ("b", "c"):
        (tmp_path / f"{name}.dcm").write_bytes(multi_frame_cine(10))
    (tmp_path / "a.dcm").write_bytes(multi_frame_cine(10)[:200])
    report = ingest_images([tmp_path], store, LAX_4CH)
    assert list(reasons(report)) == ["a.dcm"]
    assert store.sample_ids("cardiac/lax_4ch") == ["b", "c"]


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
