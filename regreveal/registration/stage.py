"""Registration of a whole store, over this machine's cores."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal import registration as registrations
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.store.atomic import atomic_folder
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
        Of the method; the sampling rate of one that has such a parameter is taken from the store
        unless it is among them.
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
        If the method has no such parameter, the store's tensors are not as declared, or none of
        the participants has one.
    """
    method_class = registration_class(method)
    tensor_map.check_stored(store)
    present = set(store.sample_ids(tensor_map.path))
    learn_from = [i for i in sample_ids if i in present][:FIT_PARTICIPANTS]
    if not learn_from:
        raise InputError(f"{store.path}: no participant to fit {method} on has {tensor_map.name}")
    signature = inspect.signature(method_class)
    sampling_rate = store.attributes(tensor_map.path).get("sampling_rate")
    if sampling_rate is not None and "sampling_rate" in signature.parameters:
        parameters = {"sampling_rate": sampling_rate, **parameters}
    try:
        signature.bind(**parameters)
    except TypeError as error:
        there = ", ".join(signature.parameters) or "none"
        raise InputError(f"{method}: {error} (its parameters: {there})") from error
    method_class(**parameters).fit(tensor_map.read(store, learn_from)).save(folder)


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
        `qc.parquet`, a row for everyone. `registered/` appears last and whole, in the place of an
        earlier one.

    Returns
    -------
    DataFrame
        The rows of `qc.parquet`: `sample_id`, `ok`, `reason` and the method's own figures.

    Raises
    ------
    InputError
        If `registered/` is where the source lies, the source's tensors are not as declared, what
        comes out is not of the output map's shape or units, or nobody could be registered.
    """
    target = folder / "registered"
    if target.resolve() in (source.path.resolve(), *source.path.resolve().parents):
        raise InputError(f"{target}: is where the tensors come from; choose another folder")
    units = registration_class(method).output_units or input_map.units
    if output_map.units != units:
        raise InputError(
            f"{method} gives tensors in {units}; {output_map.name} declares {output_map.units}"
        )
    input_map.check_stored(source)
    ids = source.sample_ids(input_map.path)
    chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
    tasks = [(method, saved, source.path, input_map.path, chunk) for chunk in chunks]
    rate = registration_class(method).output_sampling_rate
    if rate is None:
        rate = source.attributes(input_map.path).get("sampling_rate")
    results = parallel_map(_register_chunk, tasks, f"Registering by {method}")
    quality = []
    with atomic_folder(target) as unfinished:
        registered = TensorStore(unfinished)
        for chunk, (tensors, qc) in zip(chunks, results, strict=True):
            if tensors.shape[1:] != output_map.shape:
                raise InputError(
                    f"{method} gives tensors of shape {tensors.shape[1:]}; {output_map.name} "
                    f"declares {output_map.shape}"
                )
            ok = qc["ok"].to_numpy()
            if ok.any():
                registered.write(
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
        if not qc["ok"].any():
            reasons = ", ".join(f"{reason}: {n}" for reason, n in count_failures(qc).items())
            raise InputError(
                f"{source.path}: none of {len(qc)} participants could be registered by {method} "
                f"({reasons})"
            )
        write_table(qc, folder / "qc.parquet")
    return qc


def count_failures(qc: pd.DataFrame) -> pd.Series:
    """Count those who could not be registered by reason, the most frequent first."""
    return qc.loc[~qc["ok"], "reason"].value_counts()


def _register_chunk(task: tuple) -> tuple[np.ndarray, pd.DataFrame]:
    method, saved, store, path, sample_ids = task
    registration = registration_class(method).load(saved)
    registered = registration.transform(_read(TensorStore(store), path, sample_ids))
    return registered.tensors.astype(np.float32), registered.qc.reset_index(drop=True)


def _read(store: TensorStore, path: str, sample_ids: Sequence[str]) -> np.ndarray:
    """Read tensors as they are: what is wrong with one of them, its row of quality says."""
    return store.read(path, sample_ids).astype(np.float32, copy=False)
