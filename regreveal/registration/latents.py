"""Embedding a whole store by a registration that gives latents itself."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.cluster import Loaded
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.registration.base import Registered, Registration
from regreveal.registration.methods import loaded_registration, registration_class
from regreveal.registration.stage import StoredTensors, count_failures, fit_registration
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

CHUNK_BYTES = 256 * 2**20
LATENTS = "latents.parquet"


def check_gives_latents(method: str, input_map: TensorMap, output_map: TensorMap) -> None:
    """Raise InputError if a method that gives latents is asked for what it cannot give.

    Parameters
    ----------
    method : str
        One whose class says `gives_latents`.
    input_map, output_map : TensorMap
        What it takes, and what is said to come out: the same, since no tensor does.
    """
    if not hasattr(registration_class(method), "save_model"):
        raise InputError(
            f"{method} takes several modalities at once; name a fusion in the arms of an "
            "experiment file instead (docs/experiment.md)"
        )
    if input_map != output_map:
        raise InputError(
            f"{method} gives latents of what it takes, {input_map.name}, and no tensors of "
            f"{output_map.name}; name the same tensor map twice"
        )


def fit_latents(
    method: str,
    parameters: dict,
    store: TensorStore,
    tensor_map: TensorMap,
    train_ids: Sequence[str],
    validation_ids: Sequence[str],
    saved: Path,
    model: Path,
    seed: int | None = None,
) -> None:
    """Fit a registration that gives latents; save it, and its networks as a model folder.

    Parameters
    ----------
    method, parameters, store, tensor_map, seed
        As of `fit_registration`.
    train_ids, validation_ids : sequence of str
        Participants to learn from and others to choose the best epoch by, of whom those who have
        the tensor are used. Without the latter the method holds out some of the former.
    saved, model : Path
        Where the fitted registration and its networks are saved.

    Raises
    ------
    InputError
        As of `fit_registration`.
    """
    fit_registration(
        method, parameters, store, tensor_map, train_ids, saved, None, seed, validation_ids
    )
    present = set(store.sample_ids(tensor_map.path))
    registration_class(method).load(saved).save_model(
        model,
        tensor_map,
        [i for i in train_ids if i in present],
        [i for i in validation_ids if i in present],
    )


def embed_store(
    method: str, saved: Path, model: Path, source: TensorStore, tensor_map: TensorMap, folder: Path
) -> pd.DataFrame:
    """Give the latents of everyone in a store who has the tensor.

    Parameters
    ----------
    method : str
        RegReveal's or a site's, as `registration_class` looks it up.
    saved, model : Path
        Where `fit_latents` saved it and its networks.
    source : TensorStore
        Read by parts.
    tensor_map : TensorMap
    folder : Path
        Is left with `qc.parquet`, a row for everyone, and `latents.parquet`, an Embedding of those
        for whom the method says ok.

    Returns
    -------
    DataFrame
        The rows of `qc.parquet`: `sample_id`, `ok`, `reason` and the method's own figures.

    Raises
    ------
    InputError
        If the store's tensors are not as declared, or nobody's latents could be found.
    """
    from regreveal.models.model_folder import read_model_json

    tensor_map.check_stored(source)
    facts = read_model_json(model)
    ids = source.sample_ids(tensor_map.path)
    size = max(1, CHUNK_BYTES // (4 * math.prod(tensor_map.shape)))
    chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
    loaded = loaded_registration(method, saved)
    work = partial(_embed_chunk, loaded, TensorStore(source.path), tensor_map)
    latents, quality = [], []
    # One process: networks take all cores.
    for of_chunk in parallel_map(work, chunks, f"Embedding by {method}", workers=1):
        latents.append(of_chunk.tensors)
        quality.append(of_chunk.qc)
    qc = pd.concat(quality, ignore_index=True)
    qc.insert(0, "sample_id", ids)
    ok = qc["ok"].to_numpy(bool)
    if not ok.any():
        reasons = ", ".join(f"{reason}: {n}" for reason, n in count_failures(qc).items())
        raise InputError(
            f"{source.path}: {method} gives latents of none of {len(qc)} participants ({reasons})"
        )
    metadata = {
        "tensor_map": tensor_map.name,
        "model": method,
        "seed": facts.get("seed"),
        "trained_on": facts["trained_on"],
        "validated_on": facts["validated_on"],
    }
    Embedding(np.array(ids)[ok].tolist(), np.concatenate(latents)[ok], metadata).write(
        folder / LATENTS
    )
    write_table(qc, folder / "qc.parquet")
    return qc


def _embed_chunk(
    registration: Loaded[Registration],
    store: TensorStore,
    tensor_map: TensorMap,
    sample_ids: list[str],
) -> Registered:
    tensors = StoredTensors(store, tensor_map, sample_ids, normalised=True)
    return registration.value().transform(tensors[:])
