"""Training of VoxelMorph's network to bring samples to one reference."""

import hashlib
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.models.loop import STATE, check_same, rows_of_step, run_epochs
from regreveal.models.state import TrainingState, restore
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.images import held_out_rows
from regreveal.registration.voxelmorph_images import Images, Padding


def train_to_reference(
    x, reference: np.ndarray, parameters: dict, checkpoint: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Train a network to bring samples to a reference.

    A tenth of the samples are held out, to choose the best epoch by.

    Parameters
    ----------
    x : array-like, shape (n, *shape, channels)
        At least two samples.
    reference : ndarray, shape (*shape, channels)
        Standardised.
    parameters : dict
        Those of `train`, and `features`, `integration_steps`, `similarity` and `smoothness`.
    checkpoint : Path, optional
        See `train`.

    Returns
    -------
    weights, losses
        See `train`.

    Raises
    ------
    InputError
        If there is one sample only, the checkpoint is of another training, or the loss is not
        finite.
    """
    if len(x) < 2:
        raise InputError(f"voxelmorph: {len(x)} samples to learn from; expected at least 2")
    seed, batch_size = parameters["seed"], parameters["batch_size"]
    channels = reference.shape[-1]
    learned, unseen = held_out_rows(len(x), seed)
    # Looking at those held out is to take no more than some tenth of the time.
    looked_at = np.random.default_rng((seed, 1)).permutation(len(unseen) * channels)
    looked_at = looked_at[: max(batch_size, parameters["steps_per_epoch"] * batch_size // 10)]

    padding = Padding(reference.shape[:-1], len(parameters["features"]))
    images = Images(x, reference, padding)
    model = adapter.network(
        padding.shape, tuple(parameters["features"]), parameters["integration_steps"]
    )
    adapter.compile_network(model, parameters)

    def batch(rows, drawn):
        moving, fixed = images.pairs(rows[drawn // channels], drawn % channels)
        return (moving, fixed), (fixed, np.zeros((len(fixed), *model.output_shape[1][1:])))

    def learned_batch(step: int):
        return batch(learned, rows_of_step(len(learned) * channels, batch_size, seed, step))

    def unseen_batch(index: int):
        return batch(unseen, looked_at[index * batch_size : (index + 1) * batch_size])

    return train(
        model,
        learned_batch,
        adapter.batches(math.ceil(len(looked_at) / batch_size), unseen_batch),
        parameters
        | {
            "samples": [len(x), *reference.shape],
            "reference": hashlib.sha256(reference.tobytes()).hexdigest(),
        },
        checkpoint,
    )


def train(
    model,
    learned_batch: Callable[[int], tuple],
    validation,
    parameters: dict,
    checkpoint: Path | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Train a compiled network, from a start that the seed draws, by the loop all networks share.

    Parameters
    ----------
    model : tf_keras.Model
        Is left with the weights of its last epoch.
    learned_batch : callable
        From the number of a step to inputs and targets.
    validation : tf_keras.utils.Sequence
        Batches to choose the best epoch by.
    parameters : dict
        `steps`, `steps_per_epoch`, `batch_size`, `learning_rate`, `seed`, and whatever else says
        what is trained.
    checkpoint : Path, optional
        Folder where the state of the training is kept; one that was killed goes on from there.

    Returns
    -------
    weights : ndarray of float32, 1-D
        Of the epoch with the least validation loss; see `set_weights`.
    losses : ndarray, shape (epochs, 2)
        Of training and of validation.

    Raises
    ------
    InputError
        If the checkpoint is of another training, or the loss is not finite.
    """
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as folder:
            return train(model, learned_batch, validation, parameters, Path(folder))
    path = checkpoint / STATE
    if path.is_file():
        state, arrays = TrainingState.read(path)
        check_same(parameters, state.parameters, checkpoint)
        restore(model, arrays)
    else:
        rng = np.random.default_rng(parameters["seed"])
        model.set_weights(adapter.initial_weights(model, rng))
        unmoved = model.evaluate(validation, verbose=0, return_dict=True)["loss"]
        state = TrainingState(parameters, unmoved, unmoved)

    def run_epoch(steps: range) -> tuple[float, float, float]:
        training = adapter.batches(len(steps), lambda index: learned_batch(steps[index]))
        losses = model.fit(training, validation_data=validation, shuffle=False, verbose=0).history
        rate = float(model.optimizer.learning_rate.numpy())
        return losses["loss"][0], losses["val_loss"][0], rate

    run_epochs(model, state, run_epoch, path, "Training VoxelMorph")
    weights = np.concatenate([weight.ravel() for weight in state.best_weights])
    return weights, np.array([[row["loss"], row["validation_loss"]] for row in state.history])


def set_weights(model, weights: np.ndarray) -> None:
    """Give a network the weights that `train` returned."""
    sizes = [math.prod(weight.shape) for weight in model.weights]
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    shaped = [part.reshape(w.shape) for part, w in zip(parts, model.weights, strict=True)]
    model.set_weights(shaped)
