"""Embedding a whole store by a registration that gives latents."""

import json

import numpy as np
import pandas as pd
import pytest

from regreveal import registration
from regreveal.errors import InputError
from regreveal.registration import Registered, Registration, latents
from regreveal.registration.latents import check_gives_latents, embed_store, fit_latents
from regreveal.registration.stage import register_store
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

CINE, BODY = find_tensor_map("cardiac.lax_4ch_small"), find_tensor_map("dxa.body")
IDS = [f"p{number}" for number in range(10)]


class Brightness(Registration):
    """Latents are the mean brightness of each frame; a cine that does not move is refused."""

    gives_latents = True

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, x, checkpoint=None, validation=None):
        self.seen_ = np.array([len(x), 0 if validation is None else len(validation), self.seed])
        self.spread_ = np.std(x[:])
        return self

    def transform(self, x) -> Registered:
        ok = np.isfinite(x).all(axis=(1, 2, 3)) & (x[:, 0, 0, 0] != x[:, 0, 0, 1])
        qc = pd.DataFrame({"ok": ok, "reason": np.where(ok, "", "no motion"), "frames": 16})
        return Registered(x.mean(axis=(1, 2)), qc, [None] * len(x))

    def save_model(self, folder, tensor_map, trained_on, validated_on):
        folder.mkdir(parents=True)
        facts = {
            "tensor_map": {"name": tensor_map.name},
            "latent_size": 16,
            "seed": self.seed,
            "trained_on": trained_on,
            "validated_on": validated_on,
        }
        (folder / "model.json").write_text(json.dumps(facts))


@pytest.fixture
def store(tmp_path, monkeypatch) -> TensorStore:
    """Ten cines, the fourth of which is not finite and the sixth of which does not move."""
    monkeypatch.setattr(registration, "Brightness", Brightness, raising=False)
    monkeypatch.setattr(registration, "__all__", [*registration.__all__, "Brightness"])
    cines = np.random.default_rng(0).random((10, *CINE.shape), np.float32)
    cines[3, 5, 5] = np.nan
    cines[5, 0, 0] = 1
    store = TensorStore(tmp_path / "store")
    store.write(CINE.path, cines, IDS, units=CINE.units)
    return store


@pytest.fixture
def fitted(store, tmp_path):
    saved, model = tmp_path / "registration", tmp_path / "model"
    known = [*IDS[:3], "nobody"], ["p8", "stranger"]
    fit_latents("Brightness", {}, store, CINE, *known, saved, model, seed=4)
    return saved, model


def test_it_learns_from_those_who_have_the_tensor_and_sees_it_as_models_do(fitted):
    saved, model = fitted
    assert Brightness.load(saved).seen_.tolist() == [3, 1, 4]
    # Each cine is brought to the standard deviation 1, as its tensor map says.
    assert Brightness.load(saved).spread_ == pytest.approx(1, abs=1e-3)
    facts = json.loads((model / "model.json").read_text())
    assert (facts["trained_on"], facts["validated_on"]) == (IDS[:3], ["p8"])


def test_everyone_has_a_row_of_quality_and_those_who_are_ok_have_latents(fitted, store, tmp_path):
    quality = embed_store("Brightness", *fitted, store, CINE, tmp_path / "arm")
    assert read_table(tmp_path / "arm/qc.parquet").index.tolist() == IDS
    assert quality.loc[~quality["ok"], "sample_id"].tolist() == ["p3", "p5"]
    embedding = Embedding.read(tmp_path / "arm/latents.parquet")
    assert embedding.sample_ids == [i for i in IDS if i not in ("p3", "p5")]
    cine = store.read(CINE.path, ["p7"])[0].astype(float)
    expected = (cine - cine.mean()) / cine.std()
    np.testing.assert_allclose(
        embedding.select(["p7"])[0], expected.mean(axis=(0, 1)), rtol=1e-4, atol=1e-5
    )
    assert embedding.metadata["trained_on"] == IDS[:3]
    assert embedding.unseen_ids() == ["p4", "p6", "p7", "p9"]


def test_latents_do_not_depend_on_who_is_embedded_together(fitted, store, tmp_path, monkeypatch):
    embed_store("Brightness", *fitted, store, CINE, tmp_path / "together")
    monkeypatch.setattr(latents, "CHUNK_BYTES", 1)
    embed_store("Brightness", *fitted, store, CINE, tmp_path / "alone")
    together, alone = (
        Embedding.read(tmp_path / name / "latents.parquet") for name in ("together", "alone")
    )
    assert together.sample_ids == alone.sample_ids
    np.testing.assert_allclose(together.latents, alone.latents, atol=1e-6)


def test_nobody_embedded_is_an_error_with_the_reasons(fitted, store, tmp_path):
    still = TensorStore(tmp_path / "still")
    still.write(CINE.path, np.ones((2, *CINE.shape), np.float32), ["a", "b"], units=CINE.units)
    with pytest.raises(InputError, match=r"latents of none of 2 participants \(no motion: 2\)"):
        embed_store("Brightness", *fitted, still, CINE, tmp_path / "arm")
    assert not (tmp_path / "arm").exists()


def test_latents_are_not_written_as_registered_tensors(fitted, store, tmp_path):
    with pytest.raises(InputError, match="Brightness gives latents, not tensors"):
        register_store("Brightness", fitted[0], store, CINE, CINE, tmp_path / "out")
    with pytest.raises(InputError, match="no tensors of dxa.body; name the same tensor map twice"):
        check_gives_latents("Brightness", CINE, BODY)
    check_gives_latents("Brightness", CINE, CINE)
