"""Training of DropFuse's networks on participants of whom some lack a modality."""

import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from regreveal.errors import InputError
from regreveal.models import keras
from regreveal.models.autoencoder import Autoencoder, build_autoencoder, joined, standardize_by
from regreveal.models.devices import computing
from regreveal.models.fitting import Batches, fit_network, unfinished_training
from regreveal.models.fusion import FusionNetwork, drawn_shares, mean_shares
from regreveal.models.loop import rows_of_step
from regreveal.models.model_folder import JIT_COMPILE, load_model
from regreveal.models.plan import TrainingPlan
from regreveal.models.source import BLOCK_BYTES
from regreveal.models.state import TrainingState
from regreveal.models.weights import weights_sha256
from regreveal.progress import track
from regreveal.registration.images import spread

FINGERPRINTED = 8  # participants of each modality


class Participants:
    """Some participants of a mapping from modality to array-like.

    Parameters
    ----------
    x : mapping of str to array-like, shape (n, *shape)
        A missing tensor is a row of NaN, or one that an attribute `present` denies.
    present : ndarray of bool, shape (n, modalities)
    rows : ndarray of int
        Sorted, who of them.
    """

    def __init__(self, x: Mapping, present: np.ndarray, rows: np.ndarray):
        self.x = x
        self.present = present[rows]
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """SHA-256 of who has what, and of some tensors, spread evenly over those there are."""
        digest = hashlib.sha256(self.present.tobytes())
        for number, values in enumerate(self.x.values()):
            rows = self.rows[self.present[:, number]]
            if len(rows):
                read = values[rows[spread(len(rows), FINGERPRINTED)]]
                digest.update(np.asarray(read, np.float32).tobytes())
        return digest.hexdigest()

    def inputs(self, wanted: np.ndarray) -> dict[str, np.ndarray]:
        """Tensors of some participants by `tensor_0` and so on: zeros where there is none.

        Parameters
        ----------
        wanted : ndarray of int, shape (m,)
            Places among these participants, in any order, also repeated.
        """
        tensors = {}
        for number, values in enumerate(self.x.values()):
            there = self.present[wanted, number]
            read, back = np.unique(self.rows[wanted[there]], return_inverse=True)
            batch = np.zeros((len(wanted), *values.shape[1:]), np.float32)
            if len(read):
                batch[there] = values[read][back]
            tensors[f"tensor_{number}"] = batch
        return tensors

    def blocks(self, number: int, description: str) -> Iterator[np.ndarray]:
        """Tensors of those who have a modality, in blocks, with progress.

        Raises
        ------
        InputError
            Naming the row, if a value is not finite.
        """
        name, values = list(self.x.items())[number]
        rows = self.rows[self.present[:, number]]
        block = max(1, BLOCK_BYTES // (4 * math.prod(values.shape[1:])))
        for start in track(range(0, len(rows), block), f"{description} {name}"):
            read = rows[start : start + block]
            tensors = np.asarray(values[read], np.float32)
            finite = np.isfinite(tensors).reshape(len(read), -1).all(axis=1)
            if not finite.all():
                raise InputError(
                    f"dropfuse: row {read[np.argmin(finite)]} of {name} has values that are not "
                    "finite; leave it out, or make all of it NaN if it is missing"
                )
            yield tensors

    def check_finite(self, number: int) -> None:
        """Raise InputError, naming the row, if a value of a modality is not finite."""
        for _ in self.blocks(number, "Checking"):
            pass

    def mean_and_variance(self, number: int) -> tuple[np.ndarray, float]:
        """Mean tensor of a modality, and the mean square of what remains without it.

        Raises
        ------
        InputError
            If a value is not finite, or everybody has the same tensor.
        """
        name, count = list(self.x)[number], int(self.present[:, number].sum())
        total = sum(
            tensors.sum(axis=0, dtype=np.float64) for tensors in self.blocks(number, "Averaging")
        )
        mean = (total / count).astype(np.float32)
        squares = sum(
            float(np.square(tensors - mean).sum(dtype=np.float64))
            for tensors in self.blocks(number, "Averaging")
        )
        if not squares > 0:
            raise InputError(
                f"dropfuse: all {count} tensors of {name} are the same; there is nothing to learn"
            )
        return mean, squares / (count * mean.size)


class Fitted(NamedTuple):
    """What comes of a training.

    Attributes
    ----------
    network : FusionNetwork
        With the weights of the epoch with the least validation loss.
    state : TrainingState
    """

    network: FusionNetwork
    state: TrainingState


def build_network(shapes: Mapping[str, tuple[int, ...]], parameters: Mapping) -> FusionNetwork:
    """Build the networks of some modalities.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        One participant's tensor by modality, in order.
    parameters : mapping
        `latent_size`, `contrast_weight`, `seed` and `architectures`, as of `DropFuse`.
    """
    autoencoders = [
        build_autoencoder(
            shape,
            parameters["latent_size"],
            seed=parameters["seed"],
            **parameters["architectures"].get(name, {}),
        )
        for name, shape in shapes.items()
    ]
    return FusionNetwork(autoencoders, parameters["contrast_weight"])


def modality_models(network: FusionNetwork, number: int) -> Autoencoder:
    """Give one modality's encoder and decoder, joined to an autoencoder of its own."""
    models = joined(network.encoders[number], network.decoders[number])
    for model in models:
        # Not by `compile`: an optimizer would be saved with the model.
        model.jit_compile = JIT_COMPILE
    return models


def fit_fusion(
    learned: Participants,
    validation: Participants,
    parameters: dict,
    checkpoint: Path | None,
) -> Fitted:
    """Train all modalities' networks together, from the start or from where a killed run was.

    Each step draws anew which modality each latent coordinate of each participant comes from, by
    (seed, step). The validation loss takes the mean of a participant's modalities instead, and
    looks at everyone in the same batches: there is no chance in it.

    Parameters
    ----------
    learned, validation : Participants
        To learn from, and others to choose the best epoch by.
    parameters : dict
        Those of `DropFuse`, its warm start as folders by modality, and what else says who is
        learned from.
    checkpoint : Path, optional
        Folder of the training's state.

    Raises
    ------
    InputError
        If the checkpoint is of another training, a model to start from does not fit, a tensor
        cannot be learned from or the loss is not finite.
    """
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as folder:
            return fit_fusion(learned, validation, parameters, Path(folder))
    shapes = {name: tuple(values.shape[1:]) for name, values in learned.x.items()}
    folders = parameters["warm_start"]
    starts = {
        name: [load_model(folder, part) for part in ("encoder", "decoder")]
        for name, folder in folders.items()
    }
    # By what they hold: the folder may be called otherwise when a killed training goes on.
    known = {name: weights_sha256(*halves) for name, halves in starts.items()}
    parameters = {**parameters, "warm_start": known}
    plan = TrainingPlan.of(parameters)
    plan.check_batch(parameters["batch_size"])
    with computing(plan.precision):
        network = build_network(shapes, parameters)
    unfinished = unfinished_training(checkpoint, parameters)
    if unfinished is None:
        for number, name in enumerate(shapes):
            models = modality_models(network, number)
            validation.check_finite(number)
            if name in starts:
                learned.check_finite(number)
                _take_over(models, name, starts[name], folders[name])
                continue
            mean, variance = learned.mean_and_variance(number)
            standardize_by(models, mean, math.sqrt(variance))
        # The loss is relative to each modality's baseline already.
        state = TrainingState(parameters, 1.0, 1.0)
    else:
        state = unfinished[0]
    size, seed = parameters["batch_size"], parameters["seed"]

    def learned_batch(step: int) -> tuple[dict, dict]:
        wanted = rows_of_step(len(learned), size, seed, step)
        # Apart from the streams of `rows_of_step`, which are (seed, pass).
        rng = np.random.default_rng((seed, step, 1))
        present = learned.present[wanted]
        return _batch(learned, wanted, drawn_shares(present, parameters["latent_size"], rng))

    part = size // plan.accumulation  # what there is memory for

    def validation_batch(start: int) -> tuple[dict, dict]:
        wanted = np.arange(start, min(start + part, len(validation)))
        present = validation.present[wanted]
        return _batch(validation, wanted, mean_shares(present, parameters["latent_size"]))

    fit_network(
        network,
        learned_batch,
        Batches(range(0, len(validation), part), validation_batch),
        state,
        checkpoint,
        resume_from=unfinished[1] if unfinished else None,
        description=f"Training {' + '.join(shapes)}",
    )
    return Fitted(network, state)


def _batch(source: Participants, wanted: np.ndarray, shares: np.ndarray) -> tuple[dict, dict]:
    """Make inputs and targets of a `FusionNetwork`."""
    tensors = source.inputs(wanted)
    present = source.present[wanted].astype(np.float32)
    # Where one pass over everyone ends within a batch, a participant can be in it twice, and
    # cannot be told from themselves.
    first = np.zeros(len(wanted), np.float32)
    first[np.unique(wanted, return_index=True)[1]] = 1
    masks = {"share": shares, "present": present, "contrasted": present * first[:, None]}
    return tensors | masks, tensors


def _take_over(models: Autoencoder, name: str, start: list[keras.Model], folder: str) -> None:
    """Start from the weights of another encoder and decoder."""
    for model, given in zip((models.encoder, models.decoder), start, strict=True):
        weights = given.get_weights()
        found, expected = ([w.shape for w in held] for held in (weights, model.weights))
        if found != [tuple(shape) for shape in expected]:
            raise InputError(
                f"dropfuse: {folder}: its {model.name} is not that of {name} with latent_size "
                f"{models.encoder.output.shape[1]}; expected a model of the same tensor shape, "
                "latent size and architecture"
            )
        model.set_weights(weights)
