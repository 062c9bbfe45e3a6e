from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.cluster import on_cluster
from regreveal.errors import InputError
from regreveal.registration import QRSAlignment, Registered, Registration, stage
from regreveal.registration.methods import registration_class
from regreveal.registration.stage import fit_registration, register_store
from regreveal.simulation.ecg import phantom
from regreveal.store import atomic
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap, find_tensor_map

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
    shorter = replace(STRIP, shape=(2500, 12))
    fit_registration("QRSAlignment", {}, slower, shorter, ["p1"], tmp_path / "registration")
    assert QRSAlignment.load(tmp_path / "registration").sampling_rate == 250
    register_store("QRSAlignment", tmp_path / "registration", slower, shorter, MEDIAN, tmp_path)
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


class Negative(Registration):
    """A method that knows nothing of signals."""

    def fit(self, x):
        return self

    def transform(self, x) -> Registered:
        qc = pd.DataFrame({"ok": True, "reason": ""}, index=range(len(x)))
        return Registered(-x, qc, [None] * len(x))


NEGATIVE = f"{__name__}:Negative"


def test_a_method_without_a_sampling_rate_is_not_told_one(store, tmp_path):
    fit_registration(NEGATIVE, {}, store, STRIP, ["p1"], tmp_path / "registration")
    register_store(NEGATIVE, tmp_path / "registration", store, STRIP, STRIP, tmp_path)
    registered = TensorStore(tmp_path / "registered")
    np.testing.assert_array_equal(
        registered.read(STRIP.path, ["p2"]), -store.read(STRIP.path, ["p2"])
    )
    assert registered.attributes(STRIP.path)["sampling_rate"] == 500


def test_of_a_region_the_whole_is_registered_and_stored(tmp_path):
    brain, part = (find_tensor_map(f"brain.{name}_6mm") for name in ("t1_mni", "t1_brain"))
    volumes = np.random.default_rng(0).random((2, *brain.shape), np.float32)
    scans = TensorStore(tmp_path / "scans")
    scans.write(brain.path, volumes, ["a", "b"], units=brain.units, voxel_size=(6.0,) * 3)
    fit_registration(NEGATIVE, {}, scans, brain, ["a"], tmp_path / "registration")
    register_store(NEGATIVE, tmp_path / "registration", scans, brain, part, tmp_path)
    registered = TensorStore(tmp_path / "registered")
    np.testing.assert_array_equal(registered.read(brain.path, ["b"])[0], -volumes[1])
    assert part.read(registered, ["b"]).shape == (1, *part.shape, 1)


@pytest.fixture
def saved(tmp_path):
    QRSAlignment().save(tmp_path / "registration")
    return tmp_path / "registration"


@pytest.mark.parametrize(
    ("stored", "declared", "message"),
    [
        ({"units": "uV"}, STRIP, "is in uV; ecg.rest_10s declares mV"),
        ({}, replace(STRIP, shape=(2500, 12)), r"has shape \(5000, 12\); ecg.rest_10s declares"),
        ({}, replace(STRIP, path="ecg/none"), "no tensor 'ecg/none'"),
    ],
)
def test_tensors_other_than_declared_are_neither_fitted_nor_registered(
    store, saved, tmp_path, stored, declared, message
):
    other = TensorStore(tmp_path / "other")
    other.write(
        STRIP.path,
        store.read(STRIP.path, ["p1"]),
        ["p1"],
        **({"units": "mV", "sampling_rate": 500} | stored),
    )
    with pytest.raises(InputError, match=message):
        fit_registration("QRSAlignment", {}, other, declared, ["p1"], tmp_path / "fitted")
    with pytest.raises(InputError, match=message):
        register_store("QRSAlignment", saved, other, declared, MEDIAN, tmp_path / "out")
    assert not (tmp_path / "fitted").exists()
    assert not (tmp_path / "out").exists()


def test_an_empty_store_is_an_error(saved, tmp_path):
    nothing = TensorStore(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no tensor 'ecg/rest_10s' \(there are: none\)"):
        register_store("QRSAlignment", saved, nothing, STRIP, MEDIAN, tmp_path / "out")


def test_what_comes_out_must_be_as_declared(store, saved, tmp_path):
    other = replace(MEDIAN, shape=(500, 12))
    with pytest.raises(InputError, match=r"shape \(600, 12\); ecg.median declares \(500, 12\)"):
        register_store("QRSAlignment", saved, store, STRIP, other, tmp_path)
    assert sorted(tmp_path.iterdir()) == [saved]


def test_if_nobody_can_be_registered_the_reasons_are_counted(saved, tmp_path):
    flat = TensorStore(tmp_path / "flat")
    strips = np.zeros((3, 5000, 12), np.float32)
    strips[2, 0, 0] = np.nan
    flat.write(STRIP.path, strips, ["a", "b", "c"], units="mV", sampling_rate=500)
    reasons = r"\(all leads flat: 2, missing or infinite values: 1\)"
    with pytest.raises(InputError, match=f"none of 3 participants could be registered .*{reasons}"):
        register_store("QRSAlignment", saved, flat, STRIP, MEDIAN, tmp_path / "out")
    assert not (tmp_path / "out/registered").exists()


def test_a_store_is_never_registered_onto_itself(saved, tmp_path, monkeypatch):
    source = TensorStore(tmp_path / "registered")
    source.write(STRIP.path, np.zeros((1, 5000, 12)), ["a"], units="mV", sampling_rate=500)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, Path()):
        with pytest.raises(InputError, match="is where the tensors come from"):
            register_store("QRSAlignment", saved, source, STRIP, MEDIAN, folder)
    assert source.sample_ids(STRIP.path) == ["a"]


def test_what_a_killed_run_left_is_in_nobodys_way(store, saved, tmp_path, monkeypatch):
    def killed_after_the_tensors(*_):
        raise KeyboardInterrupt

    # A process that is killed does not tidy up after itself.
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(stage, "write_table", killed_after_the_tensors)
    with pytest.raises(KeyboardInterrupt):
        register_store("QRSAlignment", saved, store, STRIP, MEDIAN, tmp_path)
    leftover = [folder for folder in tmp_path.iterdir() if folder != saved]
    assert len(leftover) == 1
    assert leftover[0].name != "registered"
    monkeypatch.undo()
    for _ in range(2):  # The second time, what is finished is made again: its record was lost.
        quality = register_store("QRSAlignment", saved, store, STRIP, MEDIAN, tmp_path)
        registered = TensorStore(tmp_path / "registered").sample_ids(MEDIAN.path)
        assert registered == quality.loc[quality["ok"], "sample_id"].tolist()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"registration", "registered", "qc.parquet"}


def test_an_earlier_result_outlives_a_failed_attempt(store, saved, tmp_path):
    register_store("QRSAlignment", saved, store, STRIP, MEDIAN, tmp_path)
    other = replace(MEDIAN, shape=(500, 12))
    with pytest.raises(InputError, match="declares"):
        register_store("QRSAlignment", saved, store, STRIP, other, tmp_path)
    assert len(TensorStore(tmp_path / "registered").sample_ids(MEDIAN.path)) == 11


def test_the_contract_itself_is_no_method():
    with pytest.raises(InputError, match="no registration 'Registration'"):
        registration_class("Registration")


def test_tensors_are_not_given_units_they_are_not_in(store, tmp_path):
    saved = tmp_path / "registration"
    fit_registration("QRSAlignment", {}, store, STRIP, ["p1"], saved)
    microvolts = replace(MEDIAN, units="uV")
    with pytest.raises(InputError, match=r"gives tensors in mV; ecg\.median declares uV"):
        register_store("QRSAlignment", saved, store, STRIP, microvolts, tmp_path)
    assert not (tmp_path / "registered").exists()


SCAN = TensorMap("site.scan", "site/scan", (4, 3), "grey", "site", "A.", spatial_dimensions=2)


class Shift(Registration):
    """Moves images by matrices, to a reference, and learns from its tensors by batch."""

    output_voxel_size = (2.0, 2.0)

    def __init__(self, reference=None, voxel_size=None):
        self.reference = reference
        self.voxel_size = voxel_size

    def fit(self, x, checkpoint=None):
        self.seen_ = np.array([len(x), *x[np.array([1, 0])].shape])
        self.checkpoint_was_free_ = not checkpoint.exists()
        checkpoint.mkdir(parents=True)
        return self

    def transform(self, x) -> Registered:
        qc = pd.DataFrame({"ok": x[:, 0, 0, 0] != 0, "reason": ""})
        qc.loc[~qc["ok"], "reason"] = "blank"
        return Registered(x + self.reference, qc, [np.eye(3) * i for i in range(len(x))])


SHIFT = f"{__name__}:Shift"


@pytest.fixture
def scans(tmp_path) -> TensorStore:
    scans = TensorStore(tmp_path / "scans")
    tensors = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    scans.write("site/scan", tensors, list("abcde"), units="grey", voxel_size=(1.0, 1.0))
    return scans


def test_images_get_channels_a_reference_and_their_voxel_size(scans, tmp_path):
    reference = np.ones((4, 3, 1), np.float32)
    saved = tmp_path / "registration"
    fit_registration(SHIFT, {}, scans, SCAN, list("abc"), saved, reference)
    fitted = Shift.load(saved)
    assert fitted.seen_.tolist() == [3, 2, 4, 3, 1]
    assert fitted.voxel_size == [1.0, 1.0]
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.npz", "registration.json"]

    quality = register_store(SHIFT, saved, scans, SCAN, SCAN, tmp_path / "out")
    assert quality["ok"].tolist() == [False, True, True, True, True]
    registered = TensorStore(tmp_path / "out" / "registered")
    assert registered.attributes("site/scan")["voxel_size"] == [2.0, 2.0]
    np.testing.assert_array_equal(
        registered.read("site/scan", ["e"]), scans.read("site/scan", ["e"]) + 1.0
    )
    matrices = read_table(registered.path / "transforms.parquet")
    assert matrices.index.tolist() == list("abcde")
    assert matrices["m_11"].tolist() == [0, 1, 2, 3, 4]


def test_a_method_that_takes_no_reference_is_not_given_one(store, tmp_path):
    with pytest.raises(InputError, match="QRSAlignment: takes no reference"):
        fit_registration(
            "QRSAlignment", {}, store, STRIP, ["p1"], tmp_path / "saved", np.ones((5000, 12))
        )
    assert not (tmp_path / "saved").exists()


def test_a_cluster_registers_as_this_machine_does(scans, tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(stage, "CHUNK", 2)

    saved = tmp_path / "registration"
    fit_registration(SHIFT, {}, scans, SCAN, list("abc"), saved, np.ones((4, 3, 1)))
    here = register_store(SHIFT, saved, scans, SCAN, SCAN, tmp_path / "here")
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        there = register_store(SHIFT, saved, scans, SCAN, SCAN, tmp_path / "there")
    pd.testing.assert_frame_equal(here, there)
    np.testing.assert_array_equal(
        TensorStore(tmp_path / "here" / "registered").read("site/scan"),
        TensorStore(tmp_path / "there" / "registered").read("site/scan"),
    )
