"""Training an autoencoder on tensors of a store."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from regreveal.errors import InputError
from regreveal.models.autoencoder import build_autoencoder, standardize_by
from regreveal.models.devices import computing
from regreveal.models.fitting import Batches, fit_network, unfinished_training
from regreveal.models.hosts import is_first_host, join_hosts, own_part
from regreveal.models.loop import STATE, check_parameters, check_same, rows_of_step
from regreveal.models.model_folder import read_model_json, write_model
from regreveal.models.plan import TrainingPlan
from regreveal.models.source import Source
from regreveal.models.state import TrainingState
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

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
    precision: str = "float32",
    accumulation: int = 1,
    averaging: float | None = None,
    schedule: str = "cosine",
    patience: int | None = None,
    devices: int | str = 1,
    tensorboard: bool = False,
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
    precision, accumulation, averaging, schedule, patience
        See `TrainingPlan`; by default float32, whole batches, no averaging, the cosine, and all
        steps.
    devices : int or "all"
        How many devices share a batch; the result is about the same on any number. "all" are those
        of all hosts, where there are several (`regreveal.models.hosts`).
    tensorboard : bool
        Leave TensorBoard's event files in `folder`/tensorboard, too.
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
        or all the same, the loss is not finite, memory does not suffice, or the folder holds a
        model of other parameters.
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
        precision=precision,
        accumulation=accumulation,
        averaging=averaging,
        schedule=schedule,
        patience=patience,
        trained_on=[str(sample_id) for sample_id in train_ids],
        validated_on=[str(sample_id) for sample_id in validation_ids],
    )
    if (folder / "model.json").is_file():
        check_same(parameters, read_model_json(folder), folder)
        return folder
    plan = TrainingPlan.of(parameters)
    join_hosts(devices)
    with computing(plan.precision, devices) as device_count:
        plan.check_batch(batch_size, device_count)
        models = build_autoencoder(
            tensor_map.channelled_shape, latent_size, seed=seed, **parameters["architecture"]
        )
        unfinished = unfinished_training(folder, parameters)
        source, validation = _sources(store, tensor_map, parameters, cache_bytes)
        if unfinished is None:
            mean, baseline = source.mean_and_variance()
            if not baseline > 0:
                raise InputError(
                    f"{tensor_map.name}: all {len(source)} training participants have the same "
                    "tensor; there is nothing to learn"
                )
            standardize_by(models, mean, math.sqrt(baseline))
            state = TrainingState(parameters, baseline, validation.mean_square_about(mean))
        else:
            state = unfinished[0]

        def learned_batch(step: int) -> tuple[np.ndarray, np.ndarray]:
            rows = rows_of_step(len(source), batch_size, seed, step)
            tensors = source.load(own_part(rows, plan.accumulation))
            return tensors, tensors

        fit_network(
            keras.Model(models.autoencoder.input, models.autoencoder.output),
            learned_batch,
            everyone_once(validation, batch_size // plan.accumulation),
            state,
            folder,
            loss="mean_squared_error",
            resume_from=unfinished[1] if unfinished else None,
            description=description,
            tensorboard=tensorboard,
        )
    if not is_first_host():
        return folder
    write_model(
        models,
        state,
        folder,
        baseline_loss=state.baseline,
        validation_baseline_loss=state.validation_baseline,
        explained_variance=1 - state.best["validation_loss"] / state.validation_baseline,
    )
    (folder / STATE).unlink()
    return folder


def everyone_once(source: Source, batch_size: int) -> Batches:
    """Batches of an autoencoder that go through a source once, in its order."""

    def batch(start: int) -> tuple[np.ndarray, np.ndarray]:
        tensors = source.load(slice(start, start + batch_size))
        return tensors, tensors

    return Batches(range(0, len(source), batch_size), batch)


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
