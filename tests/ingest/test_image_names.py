"""Whose image a file is, and of which series, is read from names."""

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.ingest.image_tensors import default_series
from regreveal.ingest.images import ingest_images
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map
from tests.ingest.image_files import (
    DXA_11,
    a_map,
    body,
    dicom,
    reasons,
    write_dxa_zip,
    write_picture,
)


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
