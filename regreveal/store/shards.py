"""Shards of a TensorStore, opened without leaving the file or believing what it promises.

A store may come from elsewhere. HDF5 can have its values in other files, by links, virtual datasets
and external storage, and can claim any size: neither is what `TensorStore.write` leaves, so both
are refused before a value is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from regreveal.errors import InputError

# What damaged bytes make of h5py: it checks little before it reads.
_ERRORS = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)
# Tensors of real people compress little; what is mostly blank and so small does no harm.
HIGHEST_RATIO = 100
RATIO_MATTERS_FROM = 1 << 26


@contextmanager
def open_shard(path: Path) -> Iterator[h5py.File]:
    """Open a shard; raise InputError where it is none."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except _ERRORS as error:
        raise unreadable(path, str(error)) from error


def tensor_of(path: Path, file: h5py.File) -> h5py.Dataset:
    """Give the tensors of an open shard: numbers, each in this very file.

    Raises
    ------
    InputError
        If they are something else, lie elsewhere, or are more than the file can hold.
    """
    dataset = _dataset(path, file, "tensor")
    if dataset.dtype.kind not in "biuf" or not dataset.ndim or 0 in dataset.shape:
        raise unreadable(path, f"its tensors are {dataset.dtype} of shape {dataset.shape}")
    return dataset


def ids_of(path: Path, file: h5py.File) -> list[str]:
    """Give the sample ids of an open shard, one for each of its tensors.

    Raises
    ------
    InputError
        If they are no text, or of another number.
    """
    tensor, dataset = tensor_of(path, file), _dataset(path, file, "sample_id")
    is_text = dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None
    if not is_text or dataset.shape != tensor.shape[:1]:
        raise unreadable(
            path, f"{len(tensor)} tensors; sample ids are {dataset.dtype} of shape {dataset.shape}"
        )
    return [sample_id.decode() for sample_id in dataset[:]]


def unreadable(path: Path, why: str) -> InputError:
    """Make the error of a shard that cannot be used."""
    return InputError(f"{path}: not a readable HDF5 shard ({why})")


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    link = file.get(name, getlink=True)
    if link is None:
        raise unreadable(path, f"no '{name}' in it")
    if not isinstance(link, h5py.HardLink):
        raise unreadable(path, f"'{name}' is a link; copy what it leads to into the file")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise unreadable(path, f"'{name}' is no dataset")
    if dataset.external or dataset.is_virtual:
        raise unreadable(path, f"'{name}' has its values in other files; copy them into this one")
    # A chunk may be larger than all there is of a dataset, and is unpacked whole.
    counts = (math.prod(dataset.shape), math.prod(dataset.chunks or (0,)))
    promised = max(counts) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    packed = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() > 0
    most = max(HIGHEST_RATIO * stored, RATIO_MATTERS_FROM) if packed else stored
    if promised > most:
        raise unreadable(
            path, f"'{name}' promises {promised / 2**20:,.1f} MB; {stored / 2**20:,.1f} are there"
        )
    return dataset
