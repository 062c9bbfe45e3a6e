import h5py
import numpy as np
import pytest

from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest import cardiosoft, ml4h
from regreveal.ingest.normalisation import normalise


def test_values_are_those_written_at_five_microvolts_a_unit(tmp_path, write_ml4h, microvolts):
    path = write_ml4h(tmp_path / "7.hd5")
    strip, median = ml4h.read(path)
    tensor, flags = normalise(strip)
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    np.testing.assert_allclose(normalise(median)[0], microvolts[:600] / 1000, atol=1e-6)
    assert (strip.sample_id, flags) == ("7", ())
    assert (strip.facts.heart_rate, strip.facts.rhythm) == (66, "other")


def test_a_cardiosoft_file_and_what_ml4h_makes_of_it_read_alike(
    tmp_path, shared_data, values_in_cardiosoft
):
    source = shared_data / "ecg/cardiosoft/example1.xml"
    path = tmp_path / "1.hd5"
    with h5py.File(path, "w") as file:
        for lead in LEADS:
            for prefix, block in (("strip", "StripData"), ("median", "MedianSamples")):
                samples = values_in_cardiosoft(source, block, lead).astype(float)
                file[f"/ukb_ecg_rest/{prefix}_{lead}/instance_0"] = samples
    for theirs, ours in zip(ml4h.read(path), cardiosoft.read(source), strict=True):
        np.testing.assert_array_equal(normalise(theirs)[0], normalise(ours)[0])


def test_the_first_of_several_recordings_is_used_and_flagged(tmp_path, write_ml4h, microvolts):
    strip, _ = ml4h.read(write_ml4h(tmp_path / "7.hd5", instances=2))
    tensor, flags = normalise(strip)
    np.testing.assert_allclose(tensor, microvolts / 1000, atol=1e-6)
    assert strip.facts.heart_rate == 66
    assert flags == ("later recordings left out",)


def test_other_hdf5_is_not_recognised(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["tensor"] = [1.0]
    assert not ml4h.recognises(path)


def test_a_file_with_measurements_only_is_refused(tmp_path):
    path = tmp_path / "a.hd5"
    with h5py.File(path, "w") as file:
        file["/ukb_ecg_rest/VentricularRate/instance_0"] = [60.0]
    with pytest.raises(InputError, match=r"a\.hd5: no 10 s strip"):
        ml4h.read(path)


def test_a_truncated_file_is_refused_in_one_line(tmp_path, write_ml4h):
    path = write_ml4h(tmp_path / "a.hd5")
    path.write_bytes(path.read_bytes()[:20_000])
    assert ml4h.recognises(path)
    with pytest.raises(InputError, match=r"a\.hd5: unreadable file") as caught:
        ml4h.read(path)
    assert "\n" not in str(caught.value)


def test_instances_of_another_name_are_passed_over(tmp_path, write_ml4h, microvolts):
    path = write_ml4h(tmp_path / "a.hd5")
    with h5py.File(path, "a") as file:
        file["ukb_ecg_rest/strip_I/instance_x"] = [1.0]
        file["ukb_ecg_rest/strip_I/note"] = "a note"
    strip, _ = ml4h.read(path)
    np.testing.assert_allclose(normalise(strip)[0], microvolts / 1000, atol=1e-6)
    assert strip.flags == ()


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("strip_V2", [1.0], "strip_V2 is no group"),
        ("strip_V2/instance_0/deeper", [1.0], "strip_V2/instance_0 is no dataset"),
        ("strip_V2/instance_0", h5py.Empty("f8"), "strip_V2/instance_0 is no dataset of 1 to"),
        ("strip_V2/instance_0", "text", "strip_V2/instance_0 is no dataset of 1 to"),
        ("strip_V2/instance_0", [1.0], "strip_leads differ in length"),
    ],
)
def test_another_layout_is_refused(tmp_path, write_ml4h, name, value, found):
    path = write_ml4h(tmp_path / "a.hd5")
    with h5py.File(path, "a") as file:
        del file["/".join(["ukb_ecg_rest", *name.split("/")[:2]])]
        file[f"ukb_ecg_rest/{name}"] = value
    with pytest.raises(InputError, match=f"unreadable file: .*{found}"):
        ml4h.read(path)


def test_a_dataset_in_place_of_the_whole_group_is_refused(tmp_path):
    path = tmp_path / "a.hd5"
    with h5py.File(path, "w") as file:
        file["ukb_ecg_rest"] = [1.0]
    with pytest.raises(InputError, match="unreadable file: ukb_ecg_rest is no group"):
        ml4h.read(path)


def test_a_size_that_asks_for_terabytes_is_refused_unread(tmp_path, write_ml4h):
    path = write_ml4h(tmp_path / "a.hd5")
    with h5py.File(path, "a") as file:
        del file["ukb_ecg_rest/strip_V2/instance_0"]
        file.create_dataset(
            "ukb_ecg_rest/strip_V2/instance_0", (2**40,), "f8", chunks=(1000,), fillvalue=0
        )
    with pytest.raises(InputError, match="strip_V2/instance_0 is no dataset of 1 to"):
        ml4h.read(path)


@pytest.mark.parametrize("value", [[], h5py.Empty("f8"), "text"])
def test_a_measurement_without_a_number_is_missing(tmp_path, write_ml4h, value):
    path = write_ml4h(tmp_path / "a.hd5")
    with h5py.File(path, "a") as file:
        for name in ("VentricularRate", "ecg_rest_text"):
            del file[f"ukb_ecg_rest/{name}"]
            file[f"ukb_ecg_rest/{name}/instance_0"] = value
        file["ukb_ecg_rest/PQInterval"] = [160.0]
    facts = ml4h.read(path)[0].facts
    assert (facts.heart_rate, facts.rhythm, facts.pr_interval) == (None, None, None)
