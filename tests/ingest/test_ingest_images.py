"""An ingest of images as a whole: privacy, interruptions, several at once, bad requests."""

from multiprocessing import get_context

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from regreveal.errors import InputError
from regreveal.ingest import images
from regreveal.ingest.images import ingest_images
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map
from tests.ingest.image_files import (
    DXA_11,
    T1_NATIVE,
    a_map,
    body,
    brain,
    dicom,
    write_cine,
    write_dxa_zip,
    write_picture,
)

SECRETS = ["Quetzalcoatl", "ID-314159", "19870317", "19260101", "SERIAL-2718", "1.2.3.4.5.6.7"]


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


def test_text_burned_into_a_picture_keeps_it_out_until_it_is_allowed(tmp_path, store):
    (tmp_path / "a.dcm").write_bytes(dicom(body(), SeriesNumber=11, BurnedInAnnotation="YES"))
    with pytest.raises(InputError, match=r"a\.dcm: text burned into the picture: it may name"):
        ingest_images([tmp_path / "a.dcm"], store, DXA_11)
    assert not store.sample_ids("dxa/dxa_11")
    report = ingest_images([tmp_path / "a.dcm"], store, DXA_11, allow_burned_in_text=True)
    assert report["flags"].tolist() == ["text burned into the picture"]


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
