"""Training state: all that is needed to go on after a kill, in one file."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path


@dataclass
class TrainingState:
    """How far a training is.

    Attributes
    ----------
    parameters : dict
        What is trained, how and on whom.
    baseline, validation_baseline : float
        Loss of the mean tensor, over the training and the validation participants.
    history : list of dict
        One row an epoch.
    best_weights : list of ndarray
        The autoencoder's weights after the epoch with the least validation loss.
    """

    parameters: dict
    baseline: float
    validation_baseline: float
    history: list[dict] = field(default_factory=list)
    best_weights: list[np.ndarray] = field(default_factory=list)

    @property
    def best(self) -> dict:
        """Row of the epoch with the least validation loss."""
        return min(self.history, key=lambda row: row["validation_loss"])

    def write(self, path: Path, model: keras.Model) -> None:
        """Write this state with the weights and the optimizer of a model, whole or not at all."""
        plain = {
            "parameters": self.parameters,
            "baseline": self.baseline,
            "validation_baseline": self.validation_baseline,
            "history": self.history,
        }
        arrays = {"state": np.array(json.dumps(plain))}
        arrays |= _numbered("weight", model.get_weights())
        arrays |= _numbered("drawn", map(keras.ops.convert_to_numpy, _generators(model)))
        arrays |= _numbered("best_weight", self.best_weights)
        arrays |= _numbered("optimizer", map(keras.ops.convert_to_numpy, model.optimizer.variables))
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)

    @classmethod
    def read(cls, path: Path) -> tuple["TrainingState", dict[str, np.ndarray]]:
        """Read a state and, for `restore`, the arrays stored with it.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        try:
            with np.load(path) as file:
                arrays = dict(file)
            plain = json.loads(str(arrays.pop("state")))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: not a training state ({error}); delete it to train from the start"
            ) from error
        return cls(**plain, best_weights=_in_order("best_weight", arrays)), arrays


def restore(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give a compiled model the weights, random generators and optimizer of a stored state."""
    model.set_weights(_in_order("weight", arrays))
    for generator, value in zip(_generators(model), _in_order("drawn", arrays), strict=True):
        generator.assign(value)
    model.optimizer.build(model.trainable_variables)
    stored = _in_order("optimizer", arrays)
    for variable, value in zip(model.optimizer.variables, stored, strict=True):
        variable.assign(value)


def _generators(model: keras.Model) -> list:
    """How far the random numbers of a model's layers are drawn: what it holds beside weights."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _numbered(name: str, values: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}


def _in_order(name: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    count = sum(key.rpartition("_")[0] == name for key in arrays)
    return [arrays[f"{name}_{number}"] for number in range(count)]
