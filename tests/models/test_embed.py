import dataclasses
import json

import numpy as np
import pytest
from autoencoder_toy import IDS, SHAPE, TENSOR_MAP, draw_heights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regreveal.cluster import on_cluster
from regreveal.errors import InputError
from regreveal.models.embedding import embed, reconstruct
from regreveal.models.model_folder import load_model
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore


@pytest.fixture(scope="module")
def embedding(model_folder, store):
    return embed(model_folder, store, IDS)


def test_latents_know_what_differs_between_participants(embedding):
    # The toy is linear with two numbers a person, and so are the two latents.
    heights = draw_heights()
    latents = np.column_stack([embedding.latents, np.ones(len(IDS))])
    fitted = latents @ np.linalg.lstsq(latents, heights, rcond=None)[0]
    unexplained = np.square(heights - fitted).sum(axis=0) / np.square(heights).sum(axis=0)
    assert (unexplained < 0.1).all()


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(IDS), min_size=2, max_size=100, unique=True))
def test_company_and_order_do_not_change_latents(model_folder, store, embedding, ids):
    np.testing.assert_allclose(
        embed(model_folder, store, ids).latents, embedding.select(ids), rtol=1e-5, atol=1e-5
    )


def test_latents_are_the_encoders(model_folder, store, embedding):
    latents = load_model(model_folder, "encoder").predict(TENSOR_MAP.load(store, IDS), verbose=0)
    np.testing.assert_allclose(embedding.latents, latents, rtol=1e-5, atol=1e-5)


def test_metadata_tell_where_latents_come_from(embedding, other_model_folder, store, tmp_path):
    metadata = embedding.metadata
    assert metadata["tensor_map"] == "toy.wave"
    assert metadata["trained_on"] == IDS[:80]
    assert metadata["validated_on"] == IDS[80:96]
    assert metadata["seed"] == 3
    embedding.write(tmp_path / "embedding.parquet")
    read = Embedding.read(tmp_path / "embedding.parquet")
    assert read.metadata == metadata
    np.testing.assert_array_equal(read.latents, embedding.latents)
    other = embed(other_model_folder, store, IDS)
    assert other.metadata["model"] != metadata["model"]


def test_one_participant_can_be_embedded(model_folder, store, embedding):
    latents = embed(model_folder, store, ["p7"]).latents
    np.testing.assert_allclose(latents, embedding.select(["p7"]), rtol=1e-5, atol=1e-5)


def test_another_tensor_of_the_same_shape_can_be_embedded(model_folder, store, embedding, tmp_path):
    other = TensorStore(tmp_path)
    other.write("toy/other", store.read("toy/wave", IDS[:3]), ["a", "b", "c"], units="mV")
    renamed = dataclasses.replace(TENSOR_MAP, name="toy.other", path="toy/other")
    found = embed(model_folder, other, ["a", "b", "c"], tensor_map=renamed)
    np.testing.assert_allclose(found.latents, embedding.latents[:3], rtol=1e-5, atol=1e-5)
    assert found.metadata["tensor_map"] == "toy.other"
    wrong = dataclasses.replace(TENSOR_MAP, shape=(600, 12))
    with pytest.raises(InputError, match=r"shape \(600, 12\)"):
        embed(model_folder, store, IDS, tensor_map=wrong)


def test_constant_latents_are_refused(model_folder, tmp_path):
    same = TensorStore(tmp_path)
    same.write(TENSOR_MAP.path, np.ones((4, *SHAPE), np.float32), list("abcd"), units="mV")
    with pytest.raises(InputError, match="2 of 2 latent dimensions .* same for all 4"):
        embed(model_folder, same, list("abcd"))


def test_unusable_models_and_participants_are_named(model_folder, store, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        embed(model_folder, store, ["p1", "nobody"])
    with pytest.raises(InputError, match=r"model\.json: no such file"):
        embed(tmp_path, store, IDS)
    (tmp_path / "model.json").write_text((model_folder / "model.json").read_text())
    encoder = (model_folder / "encoder.keras").read_bytes()
    for broken in (None, b"not a model", encoder[: len(encoder) // 2]):
        if broken is not None:
            (tmp_path / "encoder.keras").write_bytes(broken)
        with pytest.raises(InputError, match=r"encoder\.keras: missing or damaged"):
            embed(tmp_path, store, IDS)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        embed(tmp_path, store, IDS)


def test_reconstructions_are_close_and_in_order(model_folder, store):
    tensors = TENSOR_MAP.load(store, IDS)
    made = reconstruct(model_folder, tensors)
    assert made.shape == tensors.shape
    error = np.square(made - tensors).mean(axis=(1, 2))
    shuffled = np.square(made - np.roll(tensors, 1, axis=0)).mean(axis=(1, 2))
    assert np.median(error) < 0.2 * np.median(shuffled)
    facts = json.loads((model_folder / "model.json").read_text())
    assert error[80:96].mean() == pytest.approx(facts["validation_loss"], rel=1e-3)


def test_tensors_that_cannot_be_reconstructed_are_named(model_folder):
    with pytest.raises(InputError, match=r"\(45, 2\); got \(44, 2\)"):
        reconstruct(model_folder, np.zeros((3, 44, 2), np.float32))
    tensors = np.zeros((3, *SHAPE), np.float32)
    tensors[1, 5] = np.inf
    with pytest.raises(InputError, match="in row 1"):
        reconstruct(model_folder, tensors)


def test_a_cluster_embeds_as_this_machine_does(model_folder, store, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("regreveal.models.embedding.BLOCK_BYTES", 10 * 4 * int(np.prod(SHAPE)))
    here = embed(model_folder, store, IDS)
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        there = embed(model_folder, store, IDS)
    np.testing.assert_array_equal(here.latents, there.latents)
    assert (here.sample_ids, here.metadata) == (there.sample_ids, there.metadata)
