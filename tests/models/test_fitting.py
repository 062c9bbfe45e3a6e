import csv
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from regreveal.errors import InputError
from regreveal.models.devices import computing
from regreveal.models.fitting import Batches, fit_network, unfinished_training
from regreveal.models.loop import STATE
from regreveal.models.plan import learning_rates
from regreveal.models.state import TrainingState

SIZE = 6
BASE = {"steps": 12, "steps_per_epoch": 3, "batch_size": 8, "learning_rate": 0.05}
X = np.random.default_rng(0).standard_normal((40, SIZE)).astype(np.float32)
Y = np.tanh(X @ np.random.default_rng(1).standard_normal((SIZE, 2))).astype(np.float32)


def network(dropout=0.0, layer=None):
    """Build a network that learns 2 numbers from 6."""
    inputs = keras.Input((SIZE,))
    x = keras.layers.Dense(
        8, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=1)
    )(inputs)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=3)(x)
    if layer:
        x = layer(x)
    x = keras.layers.Dense(
        2, kernel_initializer=keras.initializers.GlorotUniform(seed=2), dtype="float32"
    )(x)
    return keras.Model(inputs, x)


def learned_batch(step):
    rows = np.random.default_rng(step).integers(0, 32, BASE["batch_size"])
    return X[rows], Y[rows]


def fit(folder, batch=learned_batch, dropout=0.0, layer=None, tensorboard=False, **plan):
    """Train from where a training in the folder is; return the network and the state."""
    parameters = BASE | plan
    unfinished = unfinished_training(folder, parameters)
    state, resume_from = unfinished or (TrainingState(parameters, 0.5, 0.5), None)
    with computing(plan.get("precision", "float32")):
        model = network(dropout, layer)
        fit_network(
            model,
            batch,
            Batches(range(32, 40, 4), lambda row: (X[row : row + 4], Y[row : row + 4])),
            state,
            folder,
            loss="mean_squared_error",
            resume_from=resume_from,
            tensorboard=tensorboard,
        )
    return model, state


def figures(state):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in state.history]


def stop_at(step):
    """Make batches, but an error that nobody foresaw instead of one of them."""

    def batch(number):
        if number == step:
            raise KeyError("power cut")
        return learned_batch(number)

    return batch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "mixed_float16"},
        {"accumulation": 4},
        {"averaging": 0.9},
        {"precision": "mixed_float16", "accumulation": 2, "averaging": 0.9},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_a_training_stopped_at_any_step_ends_with_the_same_bits(tmp_path, options):
    whole, expected = fit(tmp_path / "whole", **options)
    step = int(np.random.default_rng(len(str(options))).integers(4, 12))
    with pytest.raises(KeyError, match="power cut"):
        fit(tmp_path / "stopped", stop_at(step), **options)
    resumed, state = fit(tmp_path / "stopped", **options)
    assert figures(state) == figures(expected)
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    arrays = [unfinished_training(tmp_path / name, BASE)[1] for name in ("whole", "stopped")]
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(arrays[1][name], array)


def test_parts_of_batches_give_what_whole_batches_give(tmp_path):
    whole, expected = fit(tmp_path / "whole")
    parts, state = fit(tmp_path / "parts", accumulation=4)
    for one, other in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for row, other in zip(state.history, expected.history, strict=True):
        assert row["learning_rate"] == other["learning_rate"]
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_the_average_is_validated_and_kept_but_not_trained_on(tmp_path, monkeypatch):
    weights = []

    def write(self, path, model):
        weights.append(model.get_weights())
        original(self, path, model)

    original = TrainingState.write
    monkeypatch.setattr(TrainingState, "write", write)
    fit(tmp_path / "without", steps_per_epoch=1)
    without = weights.copy()
    weights.clear()
    model, state = fit(tmp_path / "with", steps_per_epoch=1, averaging=0.7)
    averages = weights[:1]
    for step, after in enumerate(weights):
        for one, other in zip(after, without[step], strict=True):
            np.testing.assert_array_equal(one, other)
        if step:
            averages.append([0.7 * a + 0.3 * w for a, w in zip(averages[-1], after, strict=True)])
    for average, row in zip(averages, state.history, strict=True):
        model.set_weights(average)
        loss = np.mean((model.predict_on_batch(X[32:40]) - Y[32:40]) ** 2)
        assert row["validation_loss"] == pytest.approx(loss, rel=1e-4)
    best = averages[state.best["epoch"] - 1]
    for one, other in zip(state.best_weights, best, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_half_precision_is_for_the_training_alone(tmp_path):
    options = {"steps": 60, "steps_per_epoch": 20, "learning_rate": 0.01}
    model, state = fit(tmp_path / "half", precision="mixed_float16", **options)
    assert keras.config.dtype_policy().name == "float32"
    assert model.layers[1].compute_dtype == "float16"
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    _, single = fit(tmp_path / "single", **options)
    assert state.best["validation_loss"] == pytest.approx(single.best["validation_loss"], rel=0.05)


def test_the_scale_of_the_loss_falls_when_half_precision_overflows(tmp_path):
    scales = []

    def overflow(step):
        x, y = learned_batch(step)
        return x, y * 1e5 if step < 3 else y

    for name, batch in (("calm", learned_batch), ("overflow", overflow)):
        model, _ = fit(tmp_path / name, batch, precision="mixed_float16", steps=6)
        scales.append(float(model.optimizer.dynamic_scale.numpy()))
    assert scales[0] > scales[1]


@pytest.mark.parametrize(("schedule", "share"), [("cosine", 0.99), ("constant", 0.0)])
def test_the_step_size_rises_and_then_falls_or_stays(schedule, share):
    rates = keras.optimizers.schedules.CosineDecay(**learning_rates(200, 0.3, schedule))
    for step in (0, 5, 10):
        assert float(rates(step)) == pytest.approx(0.3 * (0.05 + 0.95 * step / 10))
    for step in (60, 105, 200):
        fallen = share * (1 - np.cos(np.pi * (step - 10) / 190)) / 2
        assert float(rates(step)) == pytest.approx(0.3 * (1 - fallen))


def test_training_ends_when_patience_does_and_is_not_taken_up_again(tmp_path, capsys):
    options = {"steps": 300, "learning_rate": 1e-9, "patience": 2, "batch": lambda step: (X, -Y)}
    _, state = fit(tmp_path, **options, schedule="constant")
    assert len(state.history) - state.best["epoch"] == 2 < 100 - state.best["epoch"]
    assert "not bettered in 2 epochs" in capsys.readouterr().err
    _, again = fit(tmp_path, **options, schedule="constant")
    assert figures(again) == figures(state)


def test_history_is_written_after_every_epoch(tmp_path):
    with pytest.raises(KeyError):
        fit(tmp_path, stop_at(7))
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["steps"] for row in rows] == ["3", "6"]
    history = TrainingState.read(tmp_path / STATE)[0].history
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in history]


def test_tensorboard_sees_each_epoch(tmp_path):
    _, state = fit(tmp_path, tensorboard=True)
    (path,) = (tmp_path / "tensorboard").iterdir()
    seen = {}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            seen[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    for row in state.history:
        for name in ("loss", "validation_loss", "learning_rate"):
            assert seen[row["steps"], name] == pytest.approx(row[name], rel=1e-6)


def test_a_batch_that_cannot_be_read_says_why(tmp_path):
    def batch(step):
        if step == 5:
            raise InputError("store: tensor of participant 'p5' is broken")
        return learned_batch(step)

    with pytest.raises(InputError, match="'p5' is broken"):
        fit(tmp_path, batch)


@keras.saving.register_keras_serializable(package="regreveal_tests")
class Huge(keras.layers.Layer):
    """Asks for 2^48 bytes."""

    def call(self, x):
        return x + keras.ops.sum(keras.ops.exp(keras.ops.broadcast_to(x[:1, :1], (2**23, 2**23))))


def test_memory_at_an_end_names_a_batch_to_try(tmp_path):
    with pytest.raises(InputError, match="a batch of 8 does not fit") as raised:
        fit(tmp_path / "new", layer=Huge())
    assert "accumulation = 2" in str(raised.value)
    assert "batch_size = 4" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "plan", "message"),
    [
        (MemoryError("no memory"), {}, "batch_size = 4"),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("f4")), {}, "batch_size = 4"),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
            {"accumulation": 8},
            "a batch of 1 does not fit.*batch_size = 4",
        ),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
            {"accumulation": 2},
            "accumulation = 4",
        ),
    ],
    ids=["python", "numpy", "tensorflow", "jax"],
)
def test_memory_at_an_end_is_one_line_whoever_says_it(tmp_path, error, plan, message):
    def batch(step):
        if step == 4:
            raise error
        return learned_batch(step)

    with pytest.raises(InputError, match=message):
        fit(tmp_path, batch, **plan)
    assert len(TrainingState.read(tmp_path / STATE)[0].history) == 1


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"precision": "float16"}, "expected float32 or mixed_float16 or mixed_bfloat16"),
        ({"schedule": "staircase"}, "expected cosine or constant"),
        ({"accumulation": 0}, "accumulation is 0"),
        ({"accumulation": 3}, "batch_size is 8; expected a multiple of 3"),
        ({"averaging": 1.0}, "averaging is 1.0"),
        ({"patience": 0}, "patience is 0"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, plan, message):
    with pytest.raises(InputError, match=message):
        fit(tmp_path, **plan)


def test_more_devices_than_there_are_is_an_error():
    message = r"devices is 99; expected 'all' or 1 to \d"
    with pytest.raises(InputError, match=message), computing(devices=99):
        pass


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_does(tmp_path, backend):
    losses = subprocess.run(
        [sys.executable, Path(__file__).with_name("two_devices.py"), tmp_path],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KERAS_BACKEND": backend,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert losses.returncode == 0, losses.stderr
    one, two, refused, *others = losses.stdout.splitlines()
    np.testing.assert_allclose(np.fromstring(two, sep=" "), np.fromstring(one, sep=" "), rtol=1e-3)
    assert "expected a multiple of" in refused
    assert [line.partition(";")[0] for line in others] == (
        ["training: accumulation is 2 on 2 devices"] if backend == "tensorflow" else []
    )
