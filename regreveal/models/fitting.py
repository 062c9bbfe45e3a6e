"""Training a Keras network: what every architecture's training has in common."""

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from regreveal.models.loop import STATE, check_same, learning_rates, run_epochs
from regreveal.models.model_folder import JIT_COMPILE
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
    validation: keras.utils.PyDataset,
    state: TrainingState,
    folder: Path,
    *,
    loss: str | None = None,
    resume_from: dict[str, np.ndarray] | None = None,
    description: str = "Training",
) -> None:
    """Train a network to its last step, keeping the state; leave it with its best weights.

    Parameters
    ----------
    model : keras.Model
        Not compiled. Its loss is `loss`, or by default what its own `compute_loss` gives. All
        randomness of a step must come with the batch (a mask, noise), so that a training that
        was killed and goes on is the same training.
    learned_batch : callable
        From the number of a step, counted from 0 over the whole training, to its inputs and
        targets: always the same for the same step.
    validation : PyDataset
        Batches to choose the best epoch by.
    state : TrainingState
        New, or that of an unfinished training. Its parameters say `steps`, `steps_per_epoch`,
        `batch_size` and `learning_rate`. Losses are divided by its baseline while training, so
        that clipping and Adam's epsilon mean the same for every modality, and told as they are.
    folder : Path
        Where the state is kept, for as long as the caller does not delete it.
    loss : str, optional
        Keras's name of the loss.
    resume_from : dict of str to ndarray, optional
        As `unfinished_training` gives it.
    description : str
        What the progress lines begin with.

    Raises
    ------
    InputError
        If the loss is not finite.
    """
    steps, learning_rate = state.parameters["steps"], state.parameters["learning_rate"]
    schedule = keras.optimizers.schedules.CosineDecay(**learning_rates(steps, learning_rate))
    model.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=1.0),
        loss=loss,
        loss_weights=1 / state.baseline if loss else None,
        jit_compile=JIT_COMPILE,
    )
    if resume_from is not None:
        restore(model, resume_from)
    devices = ", ".join(keras.distribution.list_devices())
    print(f"{description} on {devices}", file=sys.stderr, flush=True)

    def run_epoch(steps: range) -> tuple[float, float, float]:
        losses = model.fit(
            Batches(steps, learned_batch),
            validation_data=validation,
            shuffle=False,
            verbose=0,
        ).history
        scale = state.baseline if loss else 1.0
        return (
            losses["loss"][0] * scale,
            losses["val_loss"][0] * scale,
            float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        )

    run_epochs(model, state, run_epoch, folder / STATE, description)
    model.set_weights(state.best_weights)
