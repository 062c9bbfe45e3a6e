import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import autoencoder_toy
import keras
import numpy as np
import pandas as pd
import pytest
from autoencoder_toy import IDS, SHAPE, TENSOR_MAP, train_toy

from regreveal.errors import InputError
from regreveal.models import training
from regreveal.models.embedding import reconstruct
from regreveal.models.model_folder import load_model, read_model_json
from regreveal.models.state import TrainingState
from regreveal.models.training import train
from regreveal.store.tensors import TensorStore

FILES = {"autoencoder.keras", "encoder.keras", "decoder.keras", "history.csv", "model.json"}


def weights(folder, name="autoencoder"):
    return load_model(folder, name).get_weights()


def assert_same_model(one, two):
    for first, second in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_folder_holds_what_is_promised(model_folder):
    assert {path.name for path in model_folder.iterdir()} == FILES
    history = pd.read_csv(model_folder / "history.csv")
    assert list(history) == [
        "epoch",
        "steps",
        "seconds",
        "loss",
        "validation_loss",
        "learning_rate",
    ]
    assert history["steps"].tolist() == [50, 100, 150]
    facts = json.loads((model_folder / "model.json").read_text())
    assert facts["tensor_map"]["name"] == "toy.wave"
    assert facts["trained_on"] == IDS[:80]
    assert facts["validated_on"] == IDS[80:96]
    assert facts["seed"] == 3
    assert {"python", "keras", "regreveal"} <= facts["versions"].keys()


def test_encoder_gives_the_same_latents_as_the_autoencoder(model_folder, store):
    tensors = TENSOR_MAP.load(store, IDS)
    encoder, decoder, autoencoder = (
        load_model(model_folder, name) for name in ("encoder", "decoder", "autoencoder")
    )
    latents = encoder.predict(tensors, verbose=0)
    inside = autoencoder.get_layer("encoder")
    np.testing.assert_array_equal(inside.predict(tensors, verbose=0), latents)
    np.testing.assert_allclose(
        autoencoder.predict(tensors, verbose=0), decoder.predict(latents, verbose=0), atol=1e-5
    )


def test_losses_are_those_of_the_saved_model(model_folder, store):
    facts = json.loads((model_folder / "model.json").read_text())
    learned = TENSOR_MAP.load(store, facts["trained_on"])
    unseen = TENSOR_MAP.load(store, facts["validated_on"])
    mean = learned.mean(axis=0, dtype=np.float64)
    loss = np.mean((reconstruct(model_folder, unseen) - unseen) ** 2)
    assert facts["validation_loss"] == pytest.approx(loss, rel=1e-4)
    assert facts["baseline_loss"] == pytest.approx(np.mean((learned - mean) ** 2), rel=1e-4)
    baseline = np.mean((unseen - mean) ** 2)
    assert facts["validation_baseline_loss"] == pytest.approx(baseline, rel=1e-4)
    assert facts["explained_variance"] == pytest.approx(1 - loss / baseline, abs=1e-4)


def test_learns_far_more_than_the_mean(model_folder):
    assert json.loads((model_folder / "model.json").read_text())["explained_variance"] > 0.9


def test_the_best_epoch_is_kept_not_the_last(store, tmp_path, monkeypatch):
    after_epoch = []

    def evaluate(self, *arguments, **named):
        after_epoch.append(self.get_weights())
        return {"loss": [3.0, 1.0, 2.0][len(after_epoch) - 1]}

    monkeypatch.setattr(keras.Model, "evaluate", evaluate)
    folder = train_toy(store, tmp_path / "model", steps=6, steps_per_epoch=2)
    assert read_model_json(folder)["best_epoch"] == 2
    models = [load_model(folder, name) for name in ("autoencoder", "encoder", "decoder")]
    for kept in (models[0].get_weights(), models[1].get_weights() + models[2].get_weights()):
        for weight, best in zip(kept, after_epoch[1], strict=True):
            np.testing.assert_array_equal(weight, best)


def test_progress_tells_losses_and_rate(store, tmp_path, capsys):
    train_toy(store, tmp_path / "model", steps=3, steps_per_epoch=2, description="Training toy")
    first, *_, line = capsys.readouterr().err.strip().splitlines()
    assert "on cpu:0" in first or "on gpu:0" in first
    assert line.startswith("Training toy: epoch 2/2, loss ")
    assert "samples/s, 0 s left" in line


def test_another_seed_is_another_model(model_folder, other_model_folder):
    assert not np.allclose(weights(other_model_folder)[2], weights(model_folder)[2])


def test_same_seed_same_model_whether_or_not_tensors_fit_in_memory(
    model_folder, store, tmp_path, monkeypatch
):
    read = []

    def load(self, rows):
        tensors = original(self, rows)
        read.append(len(tensors))
        return tensors

    original = training.Source.load
    monkeypatch.setattr(training.Source, "load", load)
    monkeypatch.setattr("regreveal.models.source.BLOCK_BYTES", 16 * 4 * SHAPE[0] * SHAPE[1])
    folder = train_toy(store, tmp_path / "model", cache_bytes=0)
    assert max(read) == 16
    assert_same_model(folder, model_folder)


def test_a_killed_training_ends_as_if_it_had_not_been(model_folder, store, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, autoencoder_toy.__file__, store.path, folder], env=environment
    )
    while not (folder / training.STATE).exists():
        assert process.poll() is None
        time.sleep(0.01)
    # In the middle of a later epoch, another one each time.
    time.sleep(np.random.default_rng().uniform(0, 1))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "model.json").exists()
    history = TrainingState.read(folder / training.STATE)[0].history

    steps = []

    def fit(self, batches, **arguments):
        steps.extend(batches.numbers)
        return original(self, batches, **arguments)

    original = keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", fit)
    train_toy(store, folder)
    assert steps == list(range(history[-1]["steps"], 150))
    assert {path.name for path in folder.iterdir()} == FILES
    for one, other in zip(weights(folder), weights(model_folder), strict=True):
        np.testing.assert_array_equal(one, other)
    columns = ["epoch", "steps", "loss", "validation_loss", "learning_rate"]
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "history.csv")[columns],
        pd.read_csv(model_folder / "history.csv")[columns],
        check_exact=True,
    )


def test_a_finished_folder_is_left_alone(store, model_folder):
    before = {path: path.stat().st_mtime_ns for path in model_folder.iterdir()}
    assert train_toy(store, model_folder) == model_folder
    assert {path: path.stat().st_mtime_ns for path in model_folder.iterdir()} == before


@pytest.mark.parametrize(
    "change", [{"latent_size": 3}, {"learning_rate": 0.1}, {"train_ids": IDS[:79]}, {"seed": 9}]
)
def test_a_folder_of_another_model_is_refused(store, model_folder, change):
    with pytest.raises(InputError, match="another folder"):
        train_toy(store, model_folder, **change)


def test_an_unfinished_folder_of_another_model_is_refused(store, tmp_path, monkeypatch):
    def stop(*arguments, **facts):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_model", stop)
    with pytest.raises(KeyboardInterrupt):
        train_toy(store, tmp_path / "model", steps=1)
    with pytest.raises(InputError, match="another folder"):
        train_toy(store, tmp_path / "model", steps=2)
    (tmp_path / "model" / training.STATE).write_bytes(b"PK broken")
    with pytest.raises(InputError, match="delete it"):
        train_toy(store, tmp_path / "model", steps=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_size": 0}, "latent_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5; expected a whole number"),
        ({"batch_size": "many"}, "batch_size is 'many'; expected a whole number"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"seed": -1}, "seed is -1; expected a whole number"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"train_ids": []}, "no training participants"),
        ({"validation_ids": []}, "no validation participants"),
        ({"train_ids": ["p1", "p1"]}, "given twice"),
        ({"train_ids": IDS[:81]}, "1 participants are in training and validation"),
        ({"train_ids": ["stranger"]}, "stranger"),
    ],
)
def test_unusable_parameters_are_named_and_nothing_is_written(store, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train_toy(store, tmp_path / "model", **change)
    assert not (tmp_path / "model").exists()


def test_tensors_that_cannot_be_learned_are_named(tmp_path):
    tensors = np.ones((6, *SHAPE), np.float32)
    same = TensorStore(tmp_path / "same")
    same.write(TENSOR_MAP.path, tensors, IDS[:6], units="mV")
    ids = {"train_ids": IDS[:4], "validation_ids": IDS[4:6]}
    with pytest.raises(InputError, match="the same tensor"):
        train_toy(same, tmp_path / "model", **ids)
    tensors[2, 0, 0] = np.nan
    broken = TensorStore(tmp_path / "broken")
    broken.write(TENSOR_MAP.path, tensors, IDS[:6], units="mV")
    with pytest.raises(InputError, match="p2"):
        train_toy(broken, tmp_path / "model", **ids)


def test_a_loss_that_explodes_is_an_error(store, tmp_path):
    with pytest.raises(InputError, match="no longer finite"):
        train_toy(store, tmp_path / "model", learning_rate=1e30)
    assert not (tmp_path / "model" / "model.json").exists()


def test_volumes_train_too(tmp_path):
    rng = np.random.default_rng(1)
    volume = dataclasses.replace(TENSOR_MAP, shape=(9, 8, 7, 1))
    store = TensorStore(tmp_path / "store")
    store.write(volume.path, rng.standard_normal((12, *volume.shape)), IDS[:12], units="mV")
    folder = train(
        store,
        volume,
        IDS[:8],
        IDS[8:12],
        tmp_path / "model",
        latent_size=2,
        steps=4,
        batch_size=4,
        architecture={"channels": 4, "growth": 2, "blocks": 1, "stem_stride": 2},
    )
    assert reconstruct(folder, volume.load(store, IDS[8:12])).shape == (4, 9, 8, 7, 1)
