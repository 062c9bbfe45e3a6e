"""TensorMap: one declared view of a stored tensor, found by name."""

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from regreveal.brain_atlas import Region
from regreveal.errors import InputError
from regreveal.site_code import import_of_site, importable
from regreveal.store.tensors import TensorStore

PACKAGE = "package of tensor maps"
BLOCK = 8192  # values of a tensor that are summed up in single precision


@dataclass(frozen=True)
class Standardize:
    """Subtract `mean` and divide by `standard_deviation`.

    Parameters
    ----------
    mean, standard_deviation : float or tuple of float
        One number, or one a channel.
    """

    mean: float | tuple[float, ...] = 0.0
    standard_deviation: float | tuple[float, ...] = 1.0

    def __call__(self, tensors: np.ndarray) -> np.ndarray:
        """Normalise tensors, (n, *shape)."""
        mean, deviation = self._as_arrays()
        normalised = tensors - mean
        normalised /= deviation
        return normalised

    def inverse(self, tensors: np.ndarray) -> np.ndarray:
        """Undo the normalisation, for pictures in the tensor's own units."""
        mean, deviation = self._as_arrays()
        return tensors * deviation + mean

    def _as_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.mean, np.float32), np.asarray(self.standard_deviation, np.float32)


@dataclass(frozen=True)
class StandardizeEach:
    """Bring every participant's own tensor to mean 0 and standard deviation 1.

    For images whose grey values have no unit: exposure, coil and scanner set their scale.
    """

    def __call__(self, tensors: np.ndarray) -> np.ndarray:
        """Normalise tensors, (n, *shape); one that is the same everywhere becomes zeros."""
        normalised = np.empty(tensors.shape, np.float32)
        for tensor, result in zip(tensors, normalised, strict=True):
            _standardize(tensor.reshape(-1), result.reshape(-1))
        return normalised

    def inverse(self, tensors: np.ndarray) -> np.ndarray:
        """Leave tensors in standard deviations: what they were cannot be known."""
        return tensors


def _standardize(values: np.ndarray, result: np.ndarray) -> None:
    """Bring values to mean 0 and deviation 1, as exactly as double precision would, but in single.

    The mean is taken in double precision; what float32 cannot hold of it is taken away second.
    """
    mean = values.mean(dtype=np.float64)
    single = np.float32(mean)
    rest = mean - float(single)
    np.subtract(values, single, out=result, casting="unsafe")
    # Blocks are short, so that their sums in single precision are as good as exact.
    starts = range(0, len(result), BLOCK)
    blocks = (result[start : start + BLOCK] for start in starts)
    variance = sum(float(np.dot(block, block)) for block in blocks) / len(result) - rest**2
    if variance > 0:
        result -= np.float32(rest)
        result *= np.float32(variance**-0.5)
    else:
        result[:] = 0


@dataclass(frozen=True)
class TensorMap:
    """A declared view of one tensor of a TensorStore.

    Parameters
    ----------
    name : str
        `modality.view`, such as "ecg.rest_10s"; the module and the variable that declare it.
    path : str
        Name of the tensor in the store, such as "ecg/rest_10s".
    shape : tuple of int
        One participant's tensor: space (or time) first, then channels, if any. It is as stored,
        unless there is a region.
    units : str
        Units of the stored values.
    modality : str
        Module of the tensor maps it is declared in.
    description : str
        A sentence for the listing.
    normalize : Standardize or StandardizeEach, optional
        What is done to tensors before a model sees them.
    spatial_dimensions : int, optional
        How many of the shape's axes are space or time; by default all but the last. An image of
        one channel has as many as its shape is long, and models see it with a channels axis.
    region : Region, optional
        Of a stored brain in MNI space, only this part, in a box of `shape`.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    units: str
    modality: str
    description: str
    normalize: Standardize | StandardizeEach = Standardize()
    spatial_dimensions: int | None = None
    region: Region | None = None

    def __post_init__(self):
        spatial = (
            len(self.shape) - 1 if self.spatial_dimensions is None else self.spatial_dimensions
        )
        if spatial not in (len(self.shape), len(self.shape) - 1) or not 1 <= spatial <= 3:
            raise InputError(
                f"{self.name}: shape {self.shape} with spatial_dimensions {spatial}; expected 1 to "
                "3 of them, and at most one axis of channels after them"
            )

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of one participant's tensor in the store."""
        return self.shape if self.region is None else self.region.stored_shape

    @property
    def channelled_shape(self) -> tuple[int, ...]:
        """Shape of one participant's tensor as registrations and models see it, channels last."""
        has_channels = self.spatial_dimensions is None or len(self.shape) > self.spatial_dimensions
        return self.shape if has_channels else (*self.shape, 1)

    def load(self, store: TensorStore, sample_ids: Sequence[str]) -> np.ndarray:
        """Read, validate and normalise tensors.

        Parameters
        ----------
        store : TensorStore
        sample_ids : sequence of str, length n

        Returns
        -------
        ndarray of float32, shape (n, *channelled_shape)

        Raises
        ------
        InputError
            Naming the tensor, the participant and the rule, if a tensor is not as declared.
        """
        tensors = self.read(store, sample_ids)
        self.check_finite(tensors, sample_ids)
        return self.normalize(tensors)

    def read(self, store: TensorStore, sample_ids: Sequence[str]) -> np.ndarray:
        """Read tensors as they are, in their units and whether finite or not.

        Returns
        -------
        ndarray of float32, shape (n, *channelled_shape)
        """
        self.check_stored(store)
        tensors = store.read(self.path, sample_ids).astype(np.float32, copy=False)
        if self.region is not None:
            tensors = self.region.cut(tensors, self.shape)
        return tensors.reshape(len(tensors), *self.channelled_shape)

    def check_stored(self, store: TensorStore) -> None:
        """Raise InputError unless a store has the tensor, in the declared shape and units."""
        stored_shape = store.shape(self.path)
        if stored_shape != self.stored_shape:
            raise InputError(
                f"{store.path}: '{self.path}' has shape {stored_shape}; "
                f"{self.name} declares {self.stored_shape}"
            )
        units = store.attributes(self.path)["units"]
        if units != self.units:
            raise InputError(
                f"{store.path}: '{self.path}' is in {units}; {self.name} declares {self.units}"
            )

    def check_finite(self, tensors: np.ndarray, sample_ids: Sequence[str]) -> None:
        """Raise InputError, naming the participant, if any value is not finite."""
        finite = np.isfinite(tensors.reshape(len(tensors), -1)).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            raise InputError(
                f"{self.name}: tensor of participant '{sample_ids[first]}' has values that are not "
                f"finite ({(~finite).sum()} of {len(finite)} participants do); drop or repair them"
            )


def find_tensor_map(name: str, package: str = "tensormaps") -> TensorMap:
    """Look up a tensor map by name in a package of declarations.

    Parameters
    ----------
    name : str
        Such as "ecg.rest_10s": variable `rest_10s` of module `ecg`.
    package : str
        A package that is installed or lies in the working directory; a site's own modality is one
        more module in its own package.

    Returns
    -------
    TensorMap

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are.
    """
    by_name = {tensor_map.name: tensor_map for tensor_map in list_tensor_maps(package)}
    if name not in by_name:
        raise InputError(
            f"no tensor map '{name}' in package '{package}' (there are: {', '.join(by_name)})"
        )
    return by_name[name]


def list_tensor_maps(package: str = "tensormaps") -> list[TensorMap]:
    """Every tensor map a package declares, by module and in the order declared.

    Raises
    ------
    InputError
        If the package cannot be imported or is a single module, or a tensor map's name is not
        where it stands.
    """
    found = []
    for name, module in _modules(package).items():
        for variable, value in vars(module).items():
            if not isinstance(value, TensorMap):
                continue
            if value.name != f"{name}.{variable}":
                raise InputError(
                    f"{package}.{name}.{variable} is named '{value.name}'; "
                    f"expected '{name}.{variable}'"
                )
            found.append(value)
    return found


def _modules(package: str) -> dict[str, ModuleType]:
    """Import the modules of a package, by their names in it."""
    with importable(package, PACKAGE):
        parent = import_of_site(package, PACKAGE)
        if not hasattr(parent, "__path__"):
            raise InputError(
                f"{PACKAGE} '{package}' is a single module; expected a folder of modules, one a "
                "modality"
            )
        names = [module.name for module in pkgutil.iter_modules(parent.__path__)]
        return {name: import_of_site(f"{package}.{name}", PACKAGE) for name in names}
