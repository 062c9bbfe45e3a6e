"""Trained models by name or folder, and what has to be true before one is used."""

import difflib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from regreveal.errors import InputError
from regreveal.models.embedding import predict
from regreveal.models.model_folder import load_model, read_model_json, trained_tensor_map
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

PREFIX = "zoo:"
PACKAGE = "model_zoo"


@dataclass(frozen=True)
class LoadedModel:
    """An encoder and its decoder, with what they take.

    Parameters
    ----------
    folder : Path
    encoder, decoder : keras.Model
    tensor_map : TensorMap
        What the encoder takes. `tensor_map.load(store, sample_ids)` reads it from a store, checks
        shape, units and values, and normalises it.
    facts : dict
        All that `model.json` says.
    """

    folder: Path
    encoder: keras.Model
    decoder: keras.Model
    tensor_map: TensorMap
    facts: dict

    def embed(self, tensors: np.ndarray) -> np.ndarray:
        """Latents of tensors.

        Parameters
        ----------
        tensors : ndarray, shape (n, *shape, channels)
            Normalised, as `tensor_map.load` gives them.

        Returns
        -------
        ndarray of float32, shape (n, latent_size)

        Raises
        ------
        InputError
            If the shape is not what the encoder takes, or a value is not finite.
        """
        return predict(self.encoder, self._checked(tensors))

    def reconstruct(self, tensors: np.ndarray) -> np.ndarray:
        """Tensors as the decoder draws them from their latents, normalised as they came.

        Parameters, shapes and errors are those of `embed`.
        """
        return predict(self.decoder, self.embed(tensors))

    def _checked(self, tensors: np.ndarray) -> np.ndarray:
        tensors = np.asarray(tensors)
        shape = self.tensor_map.channelled_shape
        if tensors.shape[1:] != shape or not len(tensors):
            raise InputError(
                f"{self.folder}: takes {self.tensor_map.name}, tensors of shape (n, "
                f"{', '.join(map(str, shape))}) with n ≥ 1; got {tensors.shape}"
            )
        self.tensor_map.check_finite(tensors, [f"in row {row}" for row in range(len(tensors))])
        return tensors


def load(model: str | os.PathLike) -> LoadedModel:
    """Load a model of the zoo or of a folder, running no code from its files.

    Parameters
    ----------
    model : str or path-like
        Such as "zoo:ecg_median", or the folder of a trained model.

    Returns
    -------
    LoadedModel

    Raises
    ------
    InputError
        If there is no such model, a file is missing, damaged, changed or holds code, or the encoder
        does not take what `model.json` says.
    """
    folder = find_model(model)
    facts = read_model_json(folder)
    tensor_map = trained_tensor_map(facts)
    encoder, decoder = (load_model(folder, name) for name in ("encoder", "decoder"))
    if encoder.input_shape[1:] != tensor_map.channelled_shape:
        raise InputError(
            f"{folder}: the encoder takes tensors of shape {encoder.input_shape[1:]}; model.json "
            f"declares {tensor_map.name} of shape {tensor_map.channelled_shape}"
        )
    return LoadedModel(folder, encoder, decoder, tensor_map, facts)


def find_model(model: str | os.PathLike) -> Path:
    """Folder of a model: itself, or that of "zoo:NAME".

    Raises
    ------
    InputError
        If the zoo has no model of that name; the message lists those it has.
    """
    text = os.fspath(model)
    if not text.startswith(PREFIX):
        return Path(text)
    name = text.removeprefix(PREFIX)
    there = zoo_names()
    # Only a name of the list: what is joined to the zoo's path can never lead out of it.
    if name not in there:
        close = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise InputError(
            f"no model '{name}' in the zoo{hint} (there are: {', '.join(there) or 'none'})"
        )
    return zoo_folder() / name


def zoo_names() -> list[str]:
    """Names of the zoo's models, sorted."""
    return sorted(path.parent.name for path in zoo_folder().glob("*/model.json"))


def zoo_folder() -> Path:
    """Folder of the zoo.

    Raises
    ------
    InputError
        If it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError(f"the package '{PACKAGE}' is not installed; install RegReveal again")
    return Path(found.origin).parent


def check_registered(folder: str | Path, store: TensorStore) -> None:
    """Raise InputError unless a store's tensors are registered as a model of the zoo needs them.

    Where registered and unregistered tensors have the same name in a store, its `source` tells
    which they are. A model that does not say how its tensors were registered is not looked at.

    Parameters
    ----------
    folder : path-like
        Of the model.
    store : TensorStore
    """
    steps = read_model_json(folder).get("registrations", [])
    if not steps:
        return
    first, last = steps[0]["input"]["path"], steps[-1]["output"]["path"]
    method, there = steps[-1]["method"], store.names()
    how = f"regreveal zoo register {Path(folder).name} --store {store.path} --out DIR"
    if last not in there and first in there:
        raise InputError(
            f"{store.path}: holds '{first}'; the model takes '{last}', which {method} makes of it: "
            f"{how}"
        )
    ambiguous = last in (step["input"]["path"] for step in steps)
    if ambiguous and last in there and store.attributes(last).get("source") != method:
        raise InputError(
            f"{store.path}: '{last}' is not registered by {method}, as the model needs it: {how}"
        )
