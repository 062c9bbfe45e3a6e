"""The training loop that all networks share: epochs of fixed steps, the best kept, resumable."""

import json
import math
import numbers
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.models.hosts import is_first_host
from regreveal.models.plan import out_of_patience
from regreveal.models.state import TrainingState
from regreveal.progress import LOG_EVERY_SECONDS

STATE = "training_state.npz"


def check_parameters(parameters: dict, names: tuple[str, ...]) -> dict:
    """Check that numbers of a training are in range; return all as JSON would read them back.

    Raises
    ------
    InputError
        If one of `names` is no whole number from 1 on (of the learning rate: no number above 0), or
        the seed none from 0 on.
    """
    seed = parameters["seed"]
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise InputError(f"training: seed is {seed!r}; expected a whole number, at least 0")
    for name in names:
        value = parameters[name]
        kind = numbers.Real if name == "learning_rate" else numbers.Integral
        if not isinstance(value, kind) or not 0 < value < math.inf:
            wanted = "a number above 0" if kind is numbers.Real else "a whole number, at least 1"
            raise InputError(f"training: {name} is {value!r}; expected {wanted}")
    # numpy's numbers are numbers, too.
    return json.loads(json.dumps(parameters, default=np.generic.item))


def check_same(parameters: dict, there: dict, folder: Path) -> None:
    """Raise InputError if the model in a folder was trained with other parameters."""
    for name, value in parameters.items():
        if there.get(name) == value:
            continue
        if isinstance(value, (list, dict)):
            difference = f"another {name}"
        else:
            difference = f"{name} {there.get(name)} (asked for: {value})"
        raise InputError(
            f"{folder}: holds a model with {difference}; give another folder, or delete this one"
        )


def rows_of_step(count: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Rows in the batch of a step, of an endless stream that depends on the seed alone.

    The stream is one random order of all rows after another. Where a pass over them ends within a
    batch the next one fills it, so all batches are full, and a step is the same step whether or
    not training was interrupted before it.

    Parameters
    ----------
    count : int
        How many rows there are.
    batch_size : int
    seed : int
    step : int
        Counted from 0.

    Returns
    -------
    ndarray of int, shape (batch_size,)
    """
    drawn = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, places = np.divmod(drawn, count)
    rows = np.empty(batch_size, int)
    for number in np.unique(passes):
        order = np.random.default_rng((seed, number)).permutation(count)
        rows[passes == number] = order[places[passes == number]]
    return rows


def run_epochs(
    model,
    state: TrainingState,
    run_epoch: Callable[[range], tuple[float, float, float]],
    path: Path,
    description: str,
    best_weights: Callable[[], list[np.ndarray]] | None = None,
    log: Callable[[list[dict]], None] | None = None,
) -> None:
    """Train from where `state` is to the last step, writing the state down after each epoch.

    Of several hosts, the first writes and shows progress.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        Compiled.
    state : TrainingState
        Its parameters say `steps`, `steps_per_epoch`, `batch_size` and `learning_rate`, and
        perhaps `patience`; what comes of the epochs is added to it.
    run_epoch : callable
        Takes the steps to train; returns training loss, validation loss and learning rate.
    path : Path
        Where the state is written.
    description : str
        What the progress lines begin with.
    best_weights : callable, optional
        Gives the weights to keep of an epoch that is the best so far; by default the model's.
    log : callable, optional
        Is given the history after each epoch.

    Raises
    ------
    InputError
        If the loss is not finite.
    """
    parameters = state.parameters
    steps, per_epoch = parameters["steps"], parameters["steps_per_epoch"]
    epochs = math.ceil(steps / per_epoch)
    report = _Progress(description, epochs)
    patience = parameters.get("patience")
    for epoch in range(len(state.history) + 1, epochs + 1):
        if out_of_patience(state.history, patience):
            report.stopped(state.best, patience)
            return
        done = range((epoch - 1) * per_epoch, min(epoch * per_epoch, steps))
        started = time.monotonic()
        loss, validation_loss, learning_rate = run_epoch(done)
        row = {
            "epoch": epoch,
            "steps": done.stop,
            "seconds": time.monotonic() - started,
            "loss": loss,
            "validation_loss": validation_loss,
            "learning_rate": learning_rate,
        }
        if not np.isfinite([loss, validation_loss]).all():
            raise InputError(
                f"{path.parent}: the loss is no longer finite in epoch {epoch} of {epochs}; "
                f"train with a learning_rate below {parameters['learning_rate']}"
            )
        state.history.append(row)
        if state.best is row:
            state.best_weights = (best_weights or model.get_weights)()
        if not is_first_host():
            continue
        state.write(path, model)
        if log:
            log(state.history)
        seconds_a_step = row["seconds"] / len(done)
        rate = parameters["batch_size"] / seconds_a_step
        report(row, rate, (steps - done.stop) * seconds_a_step)


class _Progress:
    """Lines on standard error: the epoch, its losses, its rate and the time left."""

    def __init__(self, description: str, epochs: int):
        self.description = description
        self.epochs = epochs
        self._last = time.monotonic()

    def __call__(self, row: dict, samples_a_second: float, seconds_left: float) -> None:
        now = time.monotonic()
        soon = now - self._last < LOG_EVERY_SECONDS and row["epoch"] < self.epochs
        if soon and not sys.stderr.isatty():
            return
        self._last = now
        print(
            f"{self.description}: epoch {row['epoch']}/{self.epochs}, loss {row['loss']:.4g}, "
            f"validation {row['validation_loss']:.4g}, {samples_a_second:.3g} samples/s, "
            f"{seconds_left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def stopped(self, best: dict, patience: int) -> None:
        print(
            f"{self.description}: stopped, validation {best['validation_loss']:.4g} of epoch "
            f"{best['epoch']} was not bettered in {patience} epochs",
            file=sys.stderr,
            flush=True,
        )
