"""Training of VoxelMorph's network to bring samples to one reference."""

import hashlib
import math
import tempfile
from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.progress import track
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.images import unusable_reason

# Standardised samples are kept in memory if they take no more than this, and read when needed
# otherwise.
CACHE_BYTES = 512 * 2**20
BLOCK_BYTES = 32 * 2**20
LOW_PERCENT, HIGH_PERCENT = 1, 99.5
HELD_OUT_SHARE = 0.1


def standardise(sample: np.ndarray) -> np.ndarray:
    """Bring a sample's values to 0..1: its 1st percentile to 0, its 99.5th to 1, and clip.

    Neither the scanner's scale nor a few bright voxels change what the network sees. Where the
    two percentiles are the same, the least and the greatest value take their place.

    Parameters
    ----------
    sample : ndarray, shape (*shape, channels)

    Returns
    -------
    ndarray of float32, shape (*shape, channels)
    """
    low, high = np.percentile(sample, (LOW_PERCENT, HIGH_PERCENT))
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    return np.clip((sample - low) / (high - low), 0, 1).astype(np.float32)


class Padding:
    """Sizes that the network can halve, and the way back.

    Parameters
    ----------
    shape : tuple of int
        Of the images.
    levels : int
        How many times the network halves.
    """

    def __init__(self, shape: tuple[int, ...], levels: int):
        self.shape = tuple(math.ceil(size / 2**levels) * 2**levels for size in shape)
        missing = [padded - size for padded, size in zip(self.shape, shape, strict=True)]
        self._around = [(more // 2, more - more // 2) for more in missing]
        self._inside = tuple(
            slice(before, before + size)
            for (before, _), size in zip(self._around, shape, strict=True)
        )

    def images(self, sample: np.ndarray) -> np.ndarray:
        """Make a sample, (*shape, channels), images of their own, (channels, *padded, 1).

        Values beyond the edge are those of the edge.
        """
        images = np.moveaxis(sample, -1, 0)
        return np.pad(images, [(0, 0), *self._around], mode="edge")[..., None]

    def crop(self, images: np.ndarray) -> np.ndarray:
        """Cut (channels, *padded, ...) to (channels, *shape, ...)."""
        return images[(slice(None), *self._inside)]


class Images:
    """Images of samples as the network sees them; unusable ones are the reference itself.

    Parameters
    ----------
    x : array-like, shape (n, *shape, channels)
        Indexed by sorted rows.
    reference : ndarray, shape (*shape, channels)
        Standardised.
    padding : Padding
    """

    def __init__(self, x, reference: np.ndarray, padding: Padding):
        self._x = x
        self._reference = reference
        self._padding = padding
        self.fixed = padding.images(reference)
        self._cache = None
        if len(x) * reference.nbytes <= CACHE_BYTES:
            cache = np.empty((len(x), *reference.shape), np.float32)
            block = max(1, BLOCK_BYTES // reference.nbytes)
            for start in track(range(0, len(x), block), "Reading images"):
                rows = slice(start, start + block)
                cache[rows] = [self._standardised(sample) for sample in x[rows]]
            self._cache = cache

    def pairs(self, rows: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give moving and fixed images, (b, *padded, 1), of some channels of some rows."""
        if self._cache is not None:
            samples = self._cache[rows, ..., channels]
        else:
            needed, places = np.unique(rows, return_inverse=True)
            read = np.stack([self._standardised(sample) for sample in self._x[needed]])
            samples = read[places, ..., channels]
        return self._padding.images(np.moveaxis(samples, 0, -1)), self.fixed[channels]

    def _standardised(self, sample: np.ndarray) -> np.ndarray:
        return self._reference if unusable_reason(sample) else standardise(sample)


def train(
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
        `features`, `integration_steps`, `similarity`, `smoothness`, `steps`, `steps_per_epoch`,
        `batch_size`, `learning_rate` and `seed`.
    checkpoint : Path, optional
        Folder where the state of the training is kept; one that was killed goes on from there.

    Returns
    -------
    weights : ndarray of float32, 1-D
        Of the epoch with the least loss on the held-out samples; see `set_weights`.
    losses : ndarray, shape (epochs, 2)
        Of training and of the held-out samples.

    Raises
    ------
    InputError
        If the checkpoint is of another training, or the loss is not finite.
    """
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as folder:
            return train(x, reference, parameters, Path(folder))

    from regreveal.models.loop import STATE, check_same, learning_rates, rows_of_step, run_epochs
    from regreveal.models.state import TrainingState, restore

    asked = {
        **parameters,
        "samples": [len(x), *reference.shape],
        "reference": hashlib.sha256(reference.tobytes()).hexdigest(),
    }
    path = checkpoint / STATE
    started_before = path.is_file()
    if started_before:
        state, arrays = TrainingState.read(path)
        check_same(asked, state.parameters, checkpoint)

    seed, batch_size = parameters["seed"], parameters["batch_size"]
    channels = reference.shape[-1]
    order = np.random.default_rng((seed, len(x))).permutation(len(x))
    held_out = max(1, round(HELD_OUT_SHARE * len(x)))
    learned, unseen = order[held_out:], order[:held_out]
    padding = Padding(reference.shape[:-1], len(parameters["features"]))
    images = Images(x, reference, padding)
    model = adapter.network(
        padding.shape, tuple(parameters["features"]), parameters["integration_steps"]
    )
    field_shape = model.output_shape[1][1:]
    schedule = learning_rates(parameters["steps"], parameters["learning_rate"])
    adapter.compile_network(model, parameters["similarity"], parameters["smoothness"], schedule)

    # Looking at those held out is to take no more than some tenth of the time.
    every = np.random.default_rng((seed, 1)).permutation(len(unseen) * channels)
    every = every[: max(batch_size, parameters["steps_per_epoch"] * batch_size // 10)]

    def unseen_pairs(index: int):
        drawn = every[index * batch_size : (index + 1) * batch_size]
        return images.pairs(unseen[drawn // channels], drawn % channels)

    validation = adapter.batches(math.ceil(len(every) / batch_size), unseen_pairs, field_shape)

    def run_epoch(steps: range) -> tuple[float, float, float]:
        def learned_pairs(index: int):
            drawn = rows_of_step(len(learned) * channels, batch_size, seed, steps[index])
            return images.pairs(learned[drawn // channels], drawn % channels)

        training = adapter.batches(len(steps), learned_pairs, field_shape)
        losses = model.fit(training, validation_data=validation, shuffle=False, verbose=0).history
        rate = float(model.optimizer.learning_rate.numpy())
        return losses["loss"][0], losses["val_loss"][0], rate

    if started_before:
        restore(model, arrays)
    else:
        model.set_weights(adapter.initial_weights(model, np.random.default_rng(seed)))
        unmoved = model.evaluate(validation, verbose=0)[0]
        state = TrainingState(asked, unmoved, unmoved)
    run_epochs(model, state, run_epoch, path, "Training VoxelMorph")
    weights = np.concatenate([weight.ravel() for weight in state.best_weights])
    return weights, np.array([[row["loss"], row["validation_loss"]] for row in state.history])


def set_weights(model, weights: np.ndarray) -> None:
    """Give a network the weights that `train` returned."""
    sizes = [math.prod(weight.shape) for weight in model.weights]
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    shaped = [part.reshape(w.shape) for part, w in zip(parts, model.weights, strict=True)]
    model.set_weights(shaped)


def check_trainable(x) -> None:
    """Raise InputError unless there are samples to learn from and others to choose an epoch by."""
    if len(x) < 2:
        raise InputError(f"voxelmorph: {len(x)} samples to learn from; expected at least 2")
