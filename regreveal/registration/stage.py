"""Registration of a whole store."""

import inspect
import math
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal import registration as registrations
from regreveal.cluster import Loaded
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.registration.methods import (
    check_parameters,
    loaded_registration,
    registration_class,
)
from regreveal.registration.pieces import Pieces, fingerprint
from regreveal.store.atomic import WHOLE, atomic_path, resumed_folder
from regreveal.store.cohort import write_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

FIT_PARTICIPANTS, FIT_BYTES = 500, 2**28
CHUNK, CHUNK_BYTES = 100, 64 * 2**20
FROM_THE_STORE = ("sampling_rate", "voxel_size")
CHECKPOINT = "checkpoint"
LARGEST_MATRIX = 16


def fit_registration(
    method: str,
    parameters: dict,
    store: TensorStore,
    tensor_map: TensorMap,
    sample_ids: Sequence[str],
    folder: Path,
    reference: np.ndarray | None = None,
    seed: int | None = None,
    validation_ids: Sequence[str] = (),
) -> None:
    """Fit a registration and save it.

    Parameters
    ----------
    method : str
        RegReveal's or a site's, as `registration_class` looks it up.
    parameters : dict
        Of the method. One that has a parameter of that name gets the sampling rate or voxel size
        from the store, and the `reference` and `seed` below, unless it is among them.
    store : TensorStore
    tensor_map : TensorMap
        What is registered.
    sample_ids : sequence of str
        Participants it may learn from, of whom those who have the tensor are used: all of them by
        a method that trains a network, which reads them by batch, and the first 500, or as many
        as fit into 256 MiB, by one that does not.
    folder : Path
        Where the fitted registration is saved. What a training that was killed left there lets it
        go on.
    reference : ndarray, shape (*shape, channels), optional
        What to register to; methods choose it themselves if it is not given.
    seed : int, optional
        Of a training.
    validation_ids : sequence of str
        Others by whom a method that takes them chooses its best epoch; by default it holds some of
        the `sample_ids` out.

    Raises
    ------
    InputError
        If the method has no such parameter or takes no reference, the store's tensors are not as
        declared, or none of the participants has one.
    """
    method_class = registration_class(method)
    tensor_map.check_stored(store)
    present = set(store.sample_ids(tensor_map.path))
    learn_from = [i for i in sample_ids if i in present]
    if not learn_from:
        raise InputError(f"{store.path}: no participant to fit {method} on has {tensor_map.name}")
    signature = inspect.signature(method_class)
    attributes = store.attributes(tensor_map.path)
    known = {name: attributes[name] for name in FROM_THE_STORE if name in attributes}
    if reference is not None:
        if "reference" not in signature.parameters:
            raise InputError(f"{method}: takes no reference; leave the exemplar or reference out")
        known["reference"] = reference
    if seed is not None:
        known["seed"] = seed
    parameters = {**{n: v for n, v in known.items() if n in signature.parameters}, **parameters}
    check_parameters(method, parameters)
    registration = method_class(**parameters)
    normalised = method_class.gives_latents
    tensors = StoredTensors(store, tensor_map, learn_from, normalised)
    accepted = inspect.signature(method_class.fit).parameters
    others = [i for i in validation_ids if i in present]
    if "validation" in accepted and others:
        validation = StoredTensors(store, tensor_map, others, normalised)
        registration.fit(tensors, checkpoint=folder / CHECKPOINT, validation=validation)
    elif "checkpoint" in accepted:
        registration.fit(tensors, checkpoint=folder / CHECKPOINT)
    else:
        registration.fit(tensors[: _rows_of(tensor_map, FIT_BYTES, FIT_PARTICIPANTS)])
    registration.save(folder)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def fit_once(saved: Path, decided_by: str, fit: Callable[[], None]) -> None:
    """Fit, unless a command that was killed after it had fitted the same has left it.

    Parameters
    ----------
    saved : Path
        Where `fit` saves the registration.
    decided_by : str
        Fingerprint of what decides the fit.
    fit : callable
    """
    noted = _fitted(saved)
    if noted.is_file() and noted.read_bytes() == decided_by.encode() and saved.is_dir():
        return
    noted.unlink(missing_ok=True)
    fit()
    with atomic_path(noted) as temporary:
        temporary.write_text(decided_by)


def forget_fit(saved: Path) -> None:
    """Let the next command fit anew: what was fitted for is done."""
    _fitted(saved).unlink(missing_ok=True)


def _fitted(saved: Path) -> Path:
    return saved.with_name(f".{saved.name}.fitted")


class StoredTensors:
    """Tensors of a store that look like an array of samples and are read when rows are asked for.

    Parameters
    ----------
    store : TensorStore
    tensor_map : TensorMap
    sample_ids : sequence of str, length n
    normalised : bool
        As models see them, or as they are stored.
    """

    def __init__(
        self,
        store: TensorStore,
        tensor_map: TensorMap,
        sample_ids: Sequence[str],
        normalised: bool = False,
    ):
        self.store = store
        self.tensor_map = tensor_map
        self.normalised = normalised
        self.sample_ids = np.array(sample_ids, object)
        self.shape = (len(self.sample_ids), *tensor_map.channelled_shape)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, rows) -> np.ndarray:
        """Read some rows, (m, *shape, channels), or the one of an integer, (*shape, channels)."""
        chosen = np.atleast_1d(self.sample_ids[rows])
        # Read as they are: what is wrong with one of them, its row of quality says.
        tensors = self.tensor_map.read(self.store, chosen.tolist())
        if self.normalised:
            tensors = self.tensor_map.normalize(tensors)
        return tensors[0] if np.ndim(self.sample_ids[rows]) == 0 else tensors


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
        RegReveal's or a site's, as `registration_class` looks it up.
    saved : Path
        Where `fit_registration` saved it.
    source : TensorStore
    input_map, output_map : TensorMap
        What is registered, and what comes out; of an output map that is a region, the whole.
    folder : Path
        Is left with `registered/`, a TensorStore of those who could be registered, and
        `qc.parquet`, a row for everyone. Where the method moves by matrices, the store also holds
        `transforms.parquet`: everyone's matrix, by rows. `registered/` appears last and whole, in
        the place of an earlier one. Until then pieces gather in a hidden folder, where the next
        call of the same goes on if this one is killed.

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
    loaded = loaded_registration(method, saved)
    registration = loaded.value()
    if registration.gives_latents:
        raise InputError(f"{method} gives latents, not tensors; nothing can be registered by it")
    units = registration.output_units or input_map.units
    if output_map.units != units:
        raise InputError(
            f"{method} gives tensors in {units}; {output_map.name} declares {output_map.units}"
        )
    input_map.check_stored(source)
    ids = source.sample_ids(input_map.path)
    size = _rows_of(input_map, CHUNK_BYTES, CHUNK)
    chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
    attributes = source.attributes(input_map.path)
    of_all = {
        "units": output_map.units,
        "sampling_rate": registration.output_sampling_rate or attributes.get("sampling_rate"),
        "voxel_size": registration.output_voxel_size or attributes.get("voxel_size"),
        "source": method,
    }
    work = partial(_register_chunk, loaded, TensorStore(source.path), input_map)
    decided_by = fingerprint(
        method,
        [repr(input_map), repr(output_map), ids, size],
        source.shards(input_map.path),
        [path.read_bytes() for path in sorted(saved.iterdir()) if path.is_file()],
    )
    with resumed_folder(target, decided_by) as unfinished:
        pieces = Pieces(unfinished, output_map.path)
        to_do, description = chunks[pieces.done :], f"Registering by {method}"
        if pieces.done:
            description += f" ({pieces.done} of {len(chunks)} pieces are done)"
        workers = 1 if registration.uses_all_cores else None
        done = parallel_map(work, to_do, description, workers)
        for chunk, (tensors, qc, matrices) in zip(to_do, done, strict=True):
            stored = (len(tensors), *output_map.stored_shape)
            if tensors.shape not in (stored, (*stored, 1)):
                raise InputError(
                    f"{method} gives tensors of shape {tensors.shape[1:]}; {output_map.name} "
                    f"declares {output_map.stored_shape}"
                )
            pieces.add(chunk, tensors.reshape(stored), qc, matrices, **of_all)
        qc, matrices = pieces.tables()
        if not qc["ok"].any():
            shutil.rmtree(unfinished)
            reasons = ", ".join(f"{reason}: {n}" for reason, n in count_failures(qc).items())
            raise InputError(
                f"{source.path}: none of {len(qc)} participants could be registered by {method} "
                f"({reasons})"
            )
        write_table(qc, folder / "qc.parquet")
        if matrices is not None:
            write_table(matrices, unfinished / WHOLE / "transforms.parquet")
    return qc


def count_failures(qc: pd.DataFrame) -> pd.Series:
    """Count those who could not be registered by reason, the most frequent first."""
    return qc.loc[~qc["ok"], "reason"].value_counts()


def _rows_of(tensor_map: TensorMap, most_bytes: int, most: int) -> int:
    """How many tensors fit, at least one."""
    return max(1, min(most, most_bytes // (4 * math.prod(tensor_map.shape))))


def _register_chunk(
    registration: Loaded[registrations.Registration],
    store: TensorStore,
    input_map: TensorMap,
    sample_ids: list[str],
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray | None]:
    registered = registration.value().transform(input_map.read(store, sample_ids))
    small = all(np.ndim(t) == 2 and np.size(t) <= LARGEST_MATRIX for t in registered.transforms)
    matrices = np.stack(registered.transforms) if small and registered.transforms else None
    return (
        registered.tensors.astype(np.float32, copy=False),
        registered.qc.reset_index(drop=True),
        matrices,
    )
