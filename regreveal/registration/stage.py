"""Registration of a whole store, over this machine's cores."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal import registration as registrations
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.store.cohort import write_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

FIT_PARTICIPANTS = 500
CHUNK = 100


def registration_class(method: str) -> type[registrations.Registration]:
    """Look up a registration by its class name.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    there = [name for name in registrations.__all__ if name not in ("Registered", "Registration")]
    if method not in there:
        raise InputError(f"no registration '{method}' (there are: {', '.join(sorted(there))})")
    return getattr(registrations, method)


def fit_registration(
    method: str,
    parameters: dict,
    store: TensorStore,
    tensor_map: TensorMap,
    sample_ids: Sequence[str],
    folder: Path,
) -> None:
    """Fit a registration and save it.

    Parameters
    ----------
    method : str
        Name of its class.
    parameters : dict
        Of the method; a sampling rate is taken from the store unless it is among them.
    store : TensorStore
    tensor_map : TensorMap
        What is registered.
    sample_ids : sequence of str
        Participants it may learn from; the first 500 of them who have the tensor are used.
    folder : Path
        Where the fitted registration is saved.

    Raises
    ------
    InputError
        If the method has no such parameter, or none of the participants has the tensor.
    """
    present = set(store.sample_ids(tensor_map.path))
    learn_from = [i for i in sample_ids if i in present][:FIT_PARTICIPANTS]
    if not learn_from:
        raise InputError(f"{store.path}: no participant to fit {method} on has {tensor_map.name}")
    sampling_rate = store.attributes(tensor_map.path).get("sampling_rate")
    if sampling_rate is not None:
        parameters = {"sampling_rate": sampling_rate, **parameters}
    try:
        registration = registration_class(method)(**parameters)
    except TypeError as error:
        raise InputError(f"{method}: {error}") from error
    registration.fit(store.read(tensor_map.path, learn_from)).save(folder)


def register_store(
    method: str,
    saved: Path,
    source: TensorStore,
    input_map: TensorMap,
    output_map: TensorMap,
    folder: Path,
) -> pd.DataFrame:
    """Register everyone in a store who has a tensor.

    Parameters
    ----------
    method : str
        Name of the registration's class.
    saved : Path
        Where `fit_registration` saved it.
    source : TensorStore
    input_map, output_map : TensorMap
        What is registered, and what comes out.
    folder : Path
        Is left with `registered/`, a TensorStore of those who could be registered, and
        `qc.parquet`, a row for everyone.

    Returns
    -------
    DataFrame
        The rows of `qc.parquet`: `sample_id`, `ok`, `reason` and the method's own figures.
    """
    target = TensorStore(folder / "registered")
    shutil.rmtree(target.path, ignore_errors=True)  # the beginnings of a killed run
    ids = source.sample_ids(input_map.path)
    chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
    tasks = [(method, saved, source.path, input_map.path, chunk) for chunk in chunks]
    quality = []
    rate = registration_class(method).output_sampling_rate
    if rate is None:
        rate = source.attributes(input_map.path).get("sampling_rate")
    results = parallel_map(_register_chunk, tasks, f"Registering by {method}")
    for chunk, (tensors, qc) in zip(chunks, results, strict=True):
        ok = qc["ok"].to_numpy()
        if ok.any():
            target.write(
                output_map.path,
                tensors[ok],
                np.array(chunk)[ok],
                units=output_map.units,
                sampling_rate=rate,
                source=method,
            )
        qc.insert(0, "sample_id", chunk)
        quality.append(qc)
    qc = pd.concat(quality, ignore_index=True)
    write_table(qc, folder / "qc.parquet")
    return qc


def _register_chunk(task: tuple) -> tuple[np.ndarray, pd.DataFrame]:
    method, saved, store, path, sample_ids = task
    registration = registration_class(method).load(saved)
    registered = registration.transform(TensorStore(store).read(path, sample_ids))
    return registered.tensors.astype(np.float32), registered.qc.reset_index(drop=True)
