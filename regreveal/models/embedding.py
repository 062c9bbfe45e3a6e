"""Latents and reconstructions of a trained model."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np

from regreveal.cluster import Loaded
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.models.model_folder import load_model, read_model_json, trained_tensor_map
from regreveal.models.source import BLOCK_BYTES
from regreveal.models.weights import weights_sha256
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

BATCH_SIZE = 64
# A dimension that varies this little beside the widest one carries no more than rounding.
COLLAPSED = 1e-6


def embed(
    model_folder: str | Path,
    store: TensorStore,
    sample_ids: Sequence[str],
    *,
    tensor_map: TensorMap | None = None,
) -> Embedding:
    """Latents of participants under a trained encoder.

    Parameters
    ----------
    model_folder : path-like
        Where `train` left the model.
    store : TensorStore
        Read by batch.
    sample_ids : sequence of str, length n
    tensor_map : TensorMap, optional
        What to read; by default what the model was trained on.

    Returns
    -------
    Embedding
        Latents (n, latent_size), with the tensor map's name, a fingerprint of the encoder, the
        seed, and the ids the model was `trained_on` and `validated_on`.

    Raises
    ------
    InputError
        If there is no model, tensors are not as declared, or a latent dimension is the same for
        everybody: the model has collapsed.
    """
    facts = read_model_json(model_folder)
    trained_map = trained_tensor_map(facts)
    tensor_map = tensor_map or trained_map
    if tensor_map.shape != trained_map.shape:
        raise InputError(
            f"{model_folder}: trained on {trained_map.name} of shape {trained_map.shape}; "
            f"{tensor_map.name} has shape {tensor_map.shape}"
        )
    encoder = Loaded(partial(load_model, Path(model_folder), "encoder"))
    work = partial(_embed_block, encoder, TensorStore(store.path), tensor_map)
    ids = [str(sample_id) for sample_id in sample_ids]
    size = max(1, BLOCK_BYTES // (4 * math.prod(tensor_map.shape)))
    blocks = [ids[start : start + size] for start in range(0, len(ids), size)]
    # One process: networks take all cores.
    embedded = parallel_map(work, blocks, f"Embedding {tensor_map.name}", workers=1)
    latents = np.concatenate([np.empty((0, facts["latent_size"]), np.float32), *embedded])
    _check_not_collapsed(latents, model_folder)
    metadata = {
        "tensor_map": tensor_map.name,
        "model": weights_sha256(encoder.value()),
        "seed": facts["seed"],
        "trained_on": facts["trained_on"],
        "validated_on": facts["validated_on"],
    }
    return Embedding(ids, latents, metadata)


def _embed_block(
    encoder: Loaded, store: TensorStore, tensor_map: TensorMap, sample_ids: list[str]
) -> np.ndarray:
    return predict(encoder.value(), tensor_map.load(store, sample_ids))


def reconstruct(model_folder: str | Path, tensors: np.ndarray) -> np.ndarray:
    """Reconstruct tensors by a trained autoencoder.

    Parameters
    ----------
    model_folder : path-like
        Where `train` left the model.
    tensors : ndarray, shape (n, *shape)
        Normalised, as `TensorMap.load` gives them.

    Returns
    -------
    ndarray of float32, shape (n, *shape)
        Normalised, too.

    Raises
    ------
    InputError
        If there is no model, or the shape or a value of the tensors is not what it was trained on.
    """
    trained_map = trained_tensor_map(read_model_json(model_folder))
    if tensors.shape[1:] != trained_map.channelled_shape:
        raise InputError(
            f"{model_folder}: trained on tensors of shape {trained_map.channelled_shape}; "
            f"got {tensors.shape[1:]}"
        )
    trained_map.check_finite(tensors, [f"in row {row}" for row in range(len(tensors))])
    return predict(load_model(model_folder, "autoencoder"), tensors)


def predict(model: keras.Model, tensors: np.ndarray, batch_size: int = BATCH_SIZE):
    """Give the outputs of a model, by batches all of one size.

    The last batch is filled with zeros: another size would compile the network anew, and might
    change the last digits of a participant's outputs with who else is in the batch.

    Parameters
    ----------
    model : keras.Model
    tensors : ndarray, shape (n, *shape)
    batch_size : int
        At most; large tensors go in smaller ones.

    Returns
    -------
    ndarray, shape (n, *output shape), or dict of str to ndarray
        As the model gives one output or several by name.
    """
    batch_size = max(1, min(batch_size, BLOCK_BYTES // (4 * math.prod(tensors.shape[1:]))))
    outputs = []
    # One batch of nobody at least: nothing else says what shape the outputs have.
    for start in range(0, max(1, len(tensors)), batch_size):
        batch = tensors[start : start + batch_size]
        filled = np.zeros((batch_size, *tensors.shape[1:]), np.float32)
        filled[: len(batch)] = batch
        outputs.append(keras.tree.map_structure(np.asarray, model.predict_on_batch(filled)))
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts)[: len(tensors)], *outputs)


def _check_not_collapsed(latents: np.ndarray, model_folder: str | Path) -> None:
    if not np.isfinite(latents).all():
        raise InputError(f"{model_folder}: latents are not finite; train the model again")
    if len(latents) < 2:
        return
    spread = latents.std(axis=0, dtype=np.float64)
    constant = spread <= COLLAPSED * spread.max()
    if constant.any():
        raise InputError(
            f"{model_folder}: {constant.sum()} of {len(spread)} latent dimensions (the first: "
            f"latent_{int(np.argmax(constant))}) are the same for all {len(latents)} participants; "
            "train longer, with another learning_rate or a smaller latent_size"
        )
