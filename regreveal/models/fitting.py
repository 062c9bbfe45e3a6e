"""Training a Keras network: what every architecture's training has in common."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np

from regreveal.errors import InputError
from regreveal.models.ahead import Ahead
from regreveal.models.devices import backend_errors, devices_of, is_out_of_memory
from regreveal.models.hosts import own_part
from regreveal.models.logs import history_csv, tensorboard_events
from regreveal.models.loop import STATE, check_same, run_epochs
from regreveal.models.model_folder import JIT_COMPILE
from regreveal.models.plan import TrainingPlan, smaller_batch
from regreveal.models.state import TrainingState, restore

Batch = tuple  # (inputs, targets), each an array or a dict of arrays


class Batches(keras.utils.PyDataset):
    """Batches that are made when they are asked for, by their number.

    Parameters
    ----------
    numbers : range
        Which batches: steps of a training, or parts of a source.
    batch : callable
        From one of the numbers to inputs and targets.
    """

    def __init__(self, numbers: range, batch: Callable[[int], Batch]):
        super().__init__()
        self.numbers = numbers
        self.batch = batch

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch:
        return self.batch(self.numbers[index])


def unfinished_training(
    folder: Path, parameters: dict
) -> tuple[TrainingState, dict[str, np.ndarray]] | None:
    """Read the state of a training that was killed, if there is one.

    Returns
    -------
    TrainingState and dict of str to ndarray, or None
        The state, and what `fit_network` takes as `resume_from`.

    Raises
    ------
    InputError
        If the file is damaged or of a training with other parameters.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    state, arrays = TrainingState.read(path)
    check_same(parameters, state.parameters, folder)
    return state, arrays


def fit_network(
    model: keras.Model,
    learned_batch: Callable[[int], Batch],
    validation: Batches,
    state: TrainingState,
    folder: Path,
    *,
    loss: str | None = None,
    resume_from: dict[str, np.ndarray] | None = None,
    description: str = "Training",
    tensorboard: bool = False,
) -> None:
    """Train a network to its last step, keeping the state; leave it with its best weights.

    Batches are made while the network computes, by threads of their own. A network that was built
    within `devices.computing` is trained on those devices.

    Parameters
    ----------
    model : keras.Model
        Not compiled, and built in the precision of its plan (`devices.computing`). Its loss is
        `loss`, or by default what its own `compute_loss` gives. All randomness of a step must come
        with the batch (a mask, noise), so that a training that was killed and goes on is the same
        training.
    learned_batch : callable
        From the number of a step, counted from 0 over the whole training, to its inputs and
        targets: always the same for the same step. With several hosts, this one's `own_part`.
    validation : Batches
        To choose the best epoch by. Where a batch does not divide among devices, its first rows
        count twice.
    state : TrainingState
        New, or that of an unfinished training. Its parameters say `steps`, `steps_per_epoch`,
        `batch_size` and `learning_rate`, and whatever of a `TrainingPlan` is not to be as by
        default: `precision`, `accumulation`, `averaging`, `schedule`, `patience`. Losses are
        divided by its baseline while training, so that clipping and Adam's epsilon mean the same
        for every modality, and told as they are.
    folder : Path
        Where the state is kept, for as long as the caller does not delete it, and `history.csv`,
        with a row more after every epoch.
    loss : str, optional
        Keras's name of the loss.
    resume_from : dict of str to ndarray, optional
        As `unfinished_training` gives it.
    description : str
        What the progress lines begin with.
    tensorboard : bool
        Write event files into `folder`/tensorboard, too (with TensorFlow only).

    Raises
    ------
    InputError
        If the loss is not finite, the batch does not divide as the plan or the devices ask, or
        memory does not suffice.
    """
    parameters = state.parameters
    plan = TrainingPlan.of(parameters)
    devices = devices_of(model)
    plan.check_batch(parameters["batch_size"], devices)
    logs = [history_csv(folder)] + ([tensorboard_events(folder)] if tensorboard else [])
    model.compile(
        plan.optimizer(parameters["steps"], parameters["learning_rate"]),
        loss=loss,
        loss_weights=1 / state.baseline if loss else None,
        jit_compile=JIT_COMPILE,
        auto_scale_loss=False,
    )
    if resume_from is not None:
        restore(model, resume_from)
    else:
        # Else the first step would make the optimizer's variables, and be traced a second time.
        model.optimizer.build(model.trainable_variables)
    names = ", ".join(keras.distribution.list_devices()[:devices])
    print(f"{description} on {names}", file=sys.stderr, flush=True)

    with (
        Ahead(learned_batch, range(parameters["steps"])) as learned,
        Ahead(partial(_filled, validation.batch, devices), validation.numbers) as unseen,
    ):

        def run_epoch(steps: range) -> tuple[float, float, float]:
            parts = _parts(learned, steps, plan.accumulation)
            training_loss = model.fit(parts, shuffle=False, verbose=0).history["loss"][0]
            with _averaged(model, plan):
                unseen_loss = model.evaluate(
                    Batches(validation.numbers, unseen), verbose=0, return_dict=True
                )["loss"]
            scale = state.baseline if loss else 1.0
            return (
                training_loss * scale,
                unseen_loss * scale,
                float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
            )

        def best_weights() -> list[np.ndarray]:
            with _averaged(model, plan):
                return model.get_weights()

        def log(history: list[dict]) -> None:
            for write in logs:
                write(history)

        try:
            run_epochs(model, state, run_epoch, folder / STATE, description, best_weights, log)
        except backend_errors() as error:
            failure = learned.failure or unseen.failure or error
            if not is_out_of_memory(failure):
                raise failure from error
            size = parameters["batch_size"]
            raise InputError(
                f"{folder}: a batch of {size // plan.accumulation} does not fit in the memory of "
                f"{names}; try {smaller_batch(size, plan.accumulation)}"
            ) from error
    model.set_weights(state.best_weights)


def _parts(batch: Callable[[int], Batch], steps: range, count: int) -> Batches:
    """Batches of steps, each in `count` equal parts."""
    if count == 1:
        return Batches(steps, batch)

    def part(number: int) -> Batch:
        step, place = divmod(number, count)

        def cut(array: np.ndarray) -> np.ndarray:
            size = len(array) // count
            return array[place * size : (place + 1) * size]

        return keras.tree.map_structure(cut, batch(step))

    return Batches(range(steps.start * count, steps.stop * count), part)


def _filled(batch: Callable[[int], Batch], devices: int, number: int) -> Batch:
    """Fill a batch that does not divide among devices with its own first rows; take our part."""

    def fill(array: np.ndarray) -> np.ndarray:
        more = np.resize(array, (-len(array) % devices, *array.shape[1:]))
        return own_part(np.concatenate([array, more]))

    return batch(number) if devices == 1 else keras.tree.map_structure(fill, batch(number))


@contextlib.contextmanager
def _averaged(model: keras.Model, plan: TrainingPlan) -> Iterator[None]:
    """Give a model the average of its weights for a while, if there is to be one."""
    if plan.averaging is None:
        yield
        return
    weights = model.get_weights()
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    optimizer.put_average(model.trainable_variables)
    try:
        yield
    finally:
        model.set_weights(weights)
