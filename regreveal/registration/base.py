"""What every registration method is to the rest of RegReveal."""

import hashlib
import inspect
import io
import json
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path, write_json

DESCRIPTION_FILE = "registration.json"
ARRAYS_FILE = "arrays.npz"
LARGEST_ARRAYS = 1 << 31  # bytes; a brain and its mask have 0.1 GB


@dataclass(frozen=True)
class Registered:
    """Registered samples, what came of each, and how each was moved.

    A sample that could not be registered is NaN throughout, whatever the method left there, so
    that nothing after it can take it for registered.

    Parameters
    ----------
    tensors : ndarray of float, shape (n, *shape)
        Registered samples, or the latent vectors of methods that give those.
    qc : DataFrame, n rows
        `ok` (bool), `reason` (why not; empty where ok), and the method's own quality figures.
    transforms : list of length n
        What was done to each sample, in the method's own terms.

    Raises
    ------
    ValueError
        If the parts contradict each other: a defect of the method.
    """

    tensors: np.ndarray
    qc: pd.DataFrame
    transforms: list

    def __post_init__(self):
        if not len(self.tensors) == len(self.qc) == len(self.transforms):
            raise ValueError(
                f"registered: {len(self.tensors)} tensors, {len(self.qc)} rows of qc and "
                f"{len(self.transforms)} transforms; expected the same number"
            )
        ok = self.qc["ok"].to_numpy(bool)
        if ((self.qc["reason"] == "").to_numpy(bool) != ok).any():
            raise ValueError("registered: a reason must be given exactly where ok is False")
        self.tensors[~ok] = np.nan


class Registration(ABC):
    """A registration method: scikit-learn's habit.

    A method keeps the arguments of its `__init__` under their own names and does nothing else
    there; `fit` leaves what it learns in attributes whose names end in an underscore, as arrays;
    `transform` does not change the method, and what it makes of a sample does not depend on the
    samples beside it, so that work can be divided.

    Attributes
    ----------
    output_sampling_rate : float or None
        Of what `transform` gives, in Hz; None where it is that of the input, or there is none.
    output_voxel_size : tuple of float or None
        Likewise, in mm.
    output_units : str or None
        Of what `transform` gives; None where they are those of the input.
    uses_all_cores : bool
        Whether `transform` itself keeps all cores busy, so that one process is best.
    gives_latents : bool
        Whether `transform` gives latent vectors, so that no autoencoder is trained after it; such
        a method has `save_model`, or `save_models`, which writes its networks as model folders.
    """

    output_sampling_rate: float | None = None
    output_voxel_size: tuple[float, ...] | None = None
    output_units: str | None = None
    uses_all_cores: bool = False
    gives_latents: bool = False

    @abstractmethod
    def fit(self, x):
        """Learn what there is to learn from samples.

        Parameters
        ----------
        x : ndarray, shape (n, *shape, channels)

        Returns
        -------
        Registration
            This one.
        """

    @abstractmethod
    def transform(self, x) -> Registered:
        """Register samples.

        Parameters
        ----------
        x : ndarray, shape (n, *shape, channels)
            Not changed. A sample that cannot be registered is marked so in the result.

        Returns
        -------
        Registered

        Raises
        ------
        InputError
            If `x` as a whole is not what the method takes.
        """

    def fit_transform(self, x) -> Registered:
        """`fit`, then `transform` of the same samples."""
        return self.fit(x).transform(x)

    def get_params(self) -> dict:
        """Give the arguments of `__init__` by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def save(self, folder: str | os.PathLike) -> None:
        """Write parameters and learned arrays to a folder, for `load`.

        The description is renamed into place last and holds the arrays' checksum, so a folder
        that a killed process left half-written does not load.
        """
        folder = Path(folder)
        parameters, arrays = {}, {}
        for name, value in self.get_params().items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
            else:
                parameters[name] = value.item() if isinstance(value, np.generic) else value
        for name, value in vars(self).items():
            if name.endswith("_") and not name.startswith("_"):
                arrays[name] = np.asarray(value)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        description = {
            "class": type(self).__name__,
            "parameters": parameters,
            "arrays": sorted(arrays),
            "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        }
        with atomic_path(folder / ARRAYS_FILE) as temporary:
            temporary.write_bytes(buffer.getvalue())
        write_json(description, folder / DESCRIPTION_FILE)

    @classmethod
    def load(cls, folder: str | os.PathLike):
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the folder holds another class of registration, or is missing, damaged or of a
            version with other parameters.
        """
        folder = Path(folder)
        description = _read_description(folder / DESCRIPTION_FILE)
        if description["class"] != cls.__name__:
            raise InputError(f"{folder}: holds a {description['class']}; expected {cls.__name__}")
        arrays = _read_arrays(folder / ARRAYS_FILE, description["sha256"])
        expected = set(inspect.signature(cls).parameters)
        found = set(description["parameters"]) | (set(arrays) & expected)
        if found != expected:
            raise InputError(
                f"{folder}: has the parameters {sorted(found)}; this version's {cls.__name__} has "
                f"{sorted(expected)}: fit it again"
            )
        learned = {name: arrays.pop(name) for name in set(arrays) - expected}
        registration = cls(**description["parameters"], **arrays)
        for name, value in learned.items():
            setattr(registration, name, value)
        return registration


def quality_table(qualities: Sequence, of: type) -> pd.DataFrame:
    """Make the table `qc` of samples' quality figures.

    Parameters
    ----------
    qualities : sequence of `of`
        One for each sample.
    of : type
        A dataclass whose first field is `reason`: why not registered; empty where it was.

    Returns
    -------
    DataFrame
        `ok`, then the fields of `of`; the same columns where there are no samples.
    """
    names = [field.name for field in fields(of)]
    qc = pd.DataFrame([vars(quality) for quality in qualities], columns=names)
    qc.insert(0, "ok", qc["reason"] == "")
    return qc


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: not found; expected a saved registration") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); save the registration again") from error
    if not isinstance(description, dict) or not {"class", "parameters", "sha256"} <= set(
        description
    ):
        raise InputError(f"{path}: not the description of a saved registration")
    return description


def _read_arrays(path: Path, sha256: str) -> dict[str, np.ndarray]:
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path}: missing or damaged; save the registration again")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > LARGEST_ARRAYS:
            raise InputError(f"{path}: unpacks to more than {LARGEST_ARRAYS / 2**30:.0f} GB")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except InputError:
        raise
    # A folder from elsewhere has whatever checksum fits it.
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); save the registration again"
        ) from error
