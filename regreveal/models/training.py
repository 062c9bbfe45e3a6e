"""Training an autoencoder on tensors of a store."""

import dataclasses
import importlib
import importlib.metadata
import json
import math
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import pandas as pd

from regreveal.errors import InputError
from regreveal.models.autoencoder import Autoencoder, build_autoencoder, standardize_by
from regreveal.models.batches import EveryoneOnce, Source, TrainingBatches
from regreveal.models.loop import (
    STATE,
    check_parameters,
    check_same,
    learning_rates,
    run_epochs,
)
from regreveal.models.state import TrainingState, restore
from regreveal.store.atomic import atomic_path
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

# TensorFlow's own kernels for small convolutions beat those XLA makes for CPUs on long signals,
# and need no compiling; JAX has nothing else than XLA.
JIT_COMPILE = False if keras.backend.backend() == "tensorflow" else "auto"
CACHE_BYTES = 512 * 2**20


def train(
    store: TensorStore,
    tensor_map: TensorMap,
    train_ids: Sequence[str],
    validation_ids: Sequence[str],
    folder: str | Path,
    *,
    latent_size: int = 16,
    steps: int = 2000,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    seed: int = 1,
    steps_per_epoch: int = 100,
    architecture: dict | None = None,
    cache_bytes: int = CACHE_BYTES,
    description: str = "Training",
) -> Path:
    """Train an autoencoder and leave the best of it in a folder.

    The loss is the mean squared error of the normalised tensors; Adam's step size rises during
    the first twentieth of the steps and then falls along half a cosine. An epoch is a fixed
    number of steps, whatever the number of participants, so arms of a comparison get the same
    training. After each epoch the loss on the validation participants is taken and the state of
    the training written down: a run that was killed goes on after its last whole epoch, to the
    result it would have had.

    Parameters
    ----------
    store : TensorStore
        Read by batch, while training.
    tensor_map : TensorMap
        What is read from it, and how it is normalised.
    train_ids, validation_ids : sequence of str
        Participants to learn from, and others to choose the best epoch by.
    folder : path-like
        Is left with `autoencoder.keras`, `encoder.keras` and `decoder.keras`, all of the epoch
        with the least validation loss, `history.csv` and `model.json`.
    latent_size : int
        Dimensions of the latent space.
    steps, batch_size : int
        How many batches, of how many participants.
    learning_rate : float
        Largest step size of Adam.
    seed : int
        Of the initial weights and the order of participants.
    steps_per_epoch : int
        Steps between two looks at the validation participants.
    architecture : dict, optional
        Further arguments of `build_autoencoder`, such as {"blocks": 3}.
    cache_bytes : int
        Tensors are kept in memory if they take no more than this in all.
    description : str
        What the progress lines begin with.

    Returns
    -------
    Path
        The folder. If it holds a model trained with the same parameters, nothing is done.

    Raises
    ------
    InputError
        If a parameter is out of range, participants are in both sets, tensors are not as declared
        or all the same, the loss is not finite, or the folder holds a model of other parameters.
    """
    folder = Path(folder)
    parameters = _parameters(
        tensor_map=dataclasses.asdict(tensor_map),
        latent_size=latent_size,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        steps_per_epoch=steps_per_epoch,
        architecture=architecture or {},
        trained_on=[str(sample_id) for sample_id in train_ids],
        validated_on=[str(sample_id) for sample_id in validation_ids],
    )
    if (folder / "model.json").is_file():
        check_same(parameters, read_model_json(folder), folder)
        return folder
    models = build_autoencoder(
        tensor_map.channelled_shape, latent_size, seed=seed, **parameters["architecture"]
    )
    started_before = (folder / STATE).is_file()
    if started_before:
        state, arrays = TrainingState.read(folder / STATE)
        check_same(parameters, state.parameters, folder)
    source, validation = _sources(store, tensor_map, parameters, cache_bytes)
    if not started_before:
        mean, baseline = source.mean_and_variance()
        if not baseline > 0:
            raise InputError(
                f"{tensor_map.name}: all {len(source)} training participants have the same "
                "tensor; there is nothing to learn"
            )
        standardize_by(models, mean, math.sqrt(baseline))
        state = TrainingState(parameters, baseline, validation.mean_square_about(mean))
    trainer = _compiled(models, state)
    if started_before:
        restore(trainer, arrays)

    _run_epochs(trainer, state, source, validation, folder, description)
    trainer.set_weights(state.best_weights)
    _write_results(models, state, folder)
    return folder


def read_model_json(folder: str | Path) -> dict:
    """Read what `model.json` says of a trained model.

    Raises
    ------
    InputError
        If it is not there or not readable.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the folder of a trained autoencoder")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); train the model again") from error


def _parameters(**parameters) -> dict:
    """Check the parameters of a training, and return them as JSON would read them back."""
    numbers = ("latent_size", "steps", "batch_size", "steps_per_epoch", "learning_rate")
    parameters = check_parameters(parameters, numbers)
    for name, role in (("trained_on", "training"), ("validated_on", "validation")):
        ids = parameters[name]
        if not ids:
            raise InputError(f"training: there are no {role} participants")
        if len(set(ids)) < len(ids):
            raise InputError(f"training: a {role} participant is given twice")
    shared = set(parameters["trained_on"]) & set(parameters["validated_on"])
    if shared:
        raise InputError(
            f"training: {len(shared)} participants are in training and validation; "
            "the best epoch must be chosen by others than those learned from"
        )
    return parameters


def _compiled(models: Autoencoder, state: TrainingState) -> keras.Model:
    """Return a model to train, which shares its layers with those that are saved."""
    steps, learning_rate = state.parameters["steps"], state.parameters["learning_rate"]
    schedule = keras.optimizers.schedules.CosineDecay(**learning_rates(steps, learning_rate))
    trainer = keras.Model(models.autoencoder.input, models.autoencoder.output)
    trainer.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=1.0),
        loss="mean_squared_error",
        # Errors relative to the mean tensor's, whatever the units: clipping and Adam's epsilon
        # then mean the same for every modality.
        loss_weights=1 / state.baseline,
        jit_compile=JIT_COMPILE,
    )
    return trainer


def _sources(store, tensor_map, parameters, cache_bytes) -> tuple[Source, Source]:
    """Training and validation participants, in memory if both fit."""
    everyone = len(parameters["trained_on"]) + len(parameters["validated_on"])
    bytes_each = 4 * math.prod(tensor_map.shape)
    cache_bytes = cache_bytes if everyone * bytes_each <= cache_bytes else 0
    source, validation = (
        Source(store, tensor_map, parameters[name], cache_bytes)
        for name in ("trained_on", "validated_on")
    )
    return source, validation


def _run_epochs(
    trainer: keras.Model,
    state: TrainingState,
    source: Source,
    validation: Source,
    folder: Path,
    description: str,
) -> None:
    """Train from where `state` is to the last step, writing the state down after each epoch."""
    batch_size, seed = state.parameters["batch_size"], state.parameters["seed"]
    devices = ", ".join(keras.distribution.list_devices())
    print(f"{description} on {devices}", file=sys.stderr, flush=True)

    def run_epoch(steps: range) -> tuple[float, float, float]:
        losses = trainer.fit(
            TrainingBatches(source, batch_size, seed, steps),
            validation_data=EveryoneOnce(validation, batch_size),
            shuffle=False,
            verbose=0,
        ).history
        return (
            losses["loss"][0] * state.baseline,
            losses["val_loss"][0] * state.baseline,
            float(keras.ops.convert_to_numpy(trainer.optimizer.learning_rate)),
        )

    run_epochs(trainer, state, run_epoch, folder / STATE, description)


def _write_results(models: Autoencoder, state: TrainingState, folder: Path) -> None:
    """Write the models and what is to be known of them; `model.json` last, as the sign of it."""
    for name, model in models._asdict().items():
        with atomic_path(folder / f"{name}.keras") as temporary:
            model.save(temporary)
    with atomic_path(folder / "history.csv") as temporary:
        pd.DataFrame(state.history).to_csv(temporary, index=False)
    best = state.best
    content = {
        **state.parameters,
        "weights": models.autoencoder.count_params(),
        "best_epoch": best["epoch"],
        "loss": best["loss"],
        "validation_loss": best["validation_loss"],
        "baseline_loss": state.baseline,
        "validation_baseline_loss": state.validation_baseline,
        "explained_variance": 1 - best["validation_loss"] / state.validation_baseline,
        "versions": _versions(),
    }
    with atomic_path(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1))
    (folder / STATE).unlink()


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    # The distribution may be called tensorflow-cpu or the like; the module is not.
    versions = {backend: importlib.import_module(backend).__version__}
    versions |= {name: importlib.metadata.version(name) for name in ("regreveal", "keras", "numpy")}
    return {"python": platform.python_version(), "backend": backend, **versions}
