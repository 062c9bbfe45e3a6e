import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.registration import QRSAlignment
from regreveal.registration.stage import fit_registration, register_store, registration_class
from regreveal.simulation.ecg import phantom
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

STRIP, MEDIAN = find_tensor_map("ecg.rest_10s"), find_tensor_map("ecg.median")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> TensorStore:
    """Twelve strips, the fourth of which is flat."""
    ecg, _ = phantom(12, np.random.default_rng(0))
    ecg[3] = 0
    store = TensorStore(tmp_path_factory.mktemp("store"))
    ids = [f"p{i}" for i in range(12)]
    store.write("ecg/rest_10s", ecg, ids, units="mV", sampling_rate=500)
    return store


def test_a_registered_store_holds_who_could_be_registered_and_a_row_for_everyone(store, tmp_path):
    saved = tmp_path / "registration"
    fit_registration("QRSAlignment", {}, store, STRIP, store.sample_ids(STRIP.path), saved)
    quality = register_store("QRSAlignment", saved, store, STRIP, MEDIAN, tmp_path)
    assert read_table(tmp_path / "qc.parquet").index.tolist() == store.sample_ids(STRIP.path)
    assert quality.loc[~quality["ok"], "sample_id"].tolist() == ["p3"]
    registered = TensorStore(tmp_path / "registered")
    assert "p3" not in registered.sample_ids(MEDIAN.path)
    assert registered.attributes(MEDIAN.path)["sampling_rate"] == 500
    directly = QRSAlignment(500).fit_transform(store.read(STRIP.path, ["p7"])).tensors
    np.testing.assert_allclose(registered.read(MEDIAN.path, ["p7"]), directly, atol=1e-6)


def test_the_sampling_rate_of_the_store_is_what_the_method_is_told(store, tmp_path):
    slower = TensorStore(tmp_path / "slower")
    strips = store.read(STRIP.path, ["p1"])[:, ::2]
    slower.write(STRIP.path, strips, ["p1"], units="mV", sampling_rate=250)
    fit_registration("QRSAlignment", {}, slower, STRIP, ["p1"], tmp_path / "registration")
    assert QRSAlignment.load(tmp_path / "registration").sampling_rate == 250
    register_store("QRSAlignment", tmp_path / "registration", slower, STRIP, MEDIAN, tmp_path)
    registered = TensorStore(tmp_path / "registered")
    assert registered.shape(MEDIAN.path) == MEDIAN.shape
    assert registered.attributes(MEDIAN.path)["sampling_rate"] == 500


@pytest.mark.parametrize(
    ("method", "parameters", "ids", "message"),
    [
        ("Sorting", {}, ["p1"], r"no registration 'Sorting' \(there are: .*QRSAlignment"),
        ("QRSAlignment", {"speed": 3}, ["p1"], "QRSAlignment: .*speed"),
        ("QRSAlignment", {}, ["nobody"], "no participant to fit QRSAlignment on"),
    ],
)
def test_what_cannot_be_fitted_is_named(store, tmp_path, method, parameters, ids, message):
    with pytest.raises(InputError, match=message):
        fit_registration(method, parameters, store, STRIP, ids, tmp_path / "registration")
    assert not (tmp_path / "registration").exists()


def test_the_contract_itself_is_no_method():
    with pytest.raises(InputError, match="no registration 'Registration'"):
        registration_class("Registration")
