"""Tensors of participants, read when they are needed."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from regreveal.progress import track
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

# Read at a time where the batch size of training does not matter.
BLOCK_BYTES = 32 * 2**20


class Source:
    """Normalised tensors of some participants: in memory if they fit, read by batch if not.

    Parameters
    ----------
    store : TensorStore
    tensor_map : TensorMap
    sample_ids : sequence of str, length n
    cache_bytes : int
        Tensors that take no more than this are read once and kept.
    """

    def __init__(
        self,
        store: TensorStore,
        tensor_map: TensorMap,
        sample_ids: Sequence[str],
        cache_bytes: int = 0,
    ):
        self.store = store
        self.tensor_map = tensor_map
        self.sample_ids = np.array([str(sample_id) for sample_id in sample_ids], object)
        self._cache = None
        if len(self) * self.tensor_bytes <= cache_bytes:
            cache = np.empty((len(self), *tensor_map.channelled_shape), np.float32)
            for rows in self.blocks(f"Reading {tensor_map.name}"):
                cache[rows] = self.load(rows)
            self._cache = cache

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def tensor_bytes(self) -> int:
        """Memory of one participant's tensor."""
        return 4 * math.prod(self.tensor_map.shape)

    def load(self, rows) -> np.ndarray:
        """Tensors of the participants at `rows` (indices or a slice), (len(rows), *shape)."""
        if self._cache is not None:
            return self._cache[rows]
        return self.tensor_map.load(self.store, list(self.sample_ids[rows]))

    def blocks(self, description: str) -> Iterator[slice]:
        """Slices that together cover everyone, with progress."""
        block = max(1, BLOCK_BYTES // self.tensor_bytes)
        for start in track(range(0, len(self), block), description):
            yield slice(start, start + block)

    def mean_and_variance(self) -> tuple[np.ndarray, float]:
        """Mean tensor, and the mean square of what remains when it is taken away.

        Returns
        -------
        mean : ndarray of float32, shape (*shape)
        variance : float
            Over participants and positions: the loss of a model that always answers the mean.
        """
        total = np.zeros(self.tensor_map.channelled_shape)
        for rows in self.blocks(f"Averaging {self.tensor_map.name}"):
            total += self.load(rows).sum(axis=0, dtype=np.float64)
        mean = (total / len(self)).astype(np.float32)
        return mean, self.mean_square_about(mean)

    def mean_square_about(self, mean: np.ndarray) -> float:
        """Mean square difference from `mean`, over participants and positions."""
        squares = 0.0
        for rows in self.blocks(f"Averaging {self.tensor_map.name}"):
            squares += float(np.square(self.load(rows) - mean).sum(dtype=np.float64))
        return squares / (len(self) * math.prod(self.tensor_map.shape))


class AlignedTensors:
    """Normalised tensors of a store that look like an array with a row for each of some people.

    The row of a participant whom the store does not have is NaN.

    Parameters
    ----------
    store : TensorStore
    tensor_map : TensorMap
    sample_ids : sequence of str, length n
        Of everyone, in the order of the other modalities' rows.
    cache_bytes : int
        Tensors that take no more than this are read once and kept.

    Attributes
    ----------
    shape : tuple of int
        (n, *shape, channels).
    present : ndarray of bool, shape (n,)
        Who has a tensor, so that nobody's need be read to know.
    """

    def __init__(
        self,
        store: TensorStore,
        tensor_map: TensorMap,
        sample_ids: Sequence[str],
        cache_bytes: int = 0,
    ):
        sample_ids = [str(sample_id) for sample_id in sample_ids]
        there = set(store.sample_ids(tensor_map.path))
        self.shape = (len(sample_ids), *tensor_map.channelled_shape)
        self.present = np.array([sample_id in there for sample_id in sample_ids], bool)
        self._place = np.cumsum(self.present) - 1
        self._source = Source(
            store, tensor_map, [i for i in sample_ids if i in there], cache_bytes=cache_bytes
        )

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, rows) -> np.ndarray:
        """Read some rows (a slice, or integers), (m, *shape, channels)."""
        present = self.present[rows]
        tensors = np.full((len(present), *self.shape[1:]), np.nan, np.float32)
        if present.any():
            tensors[present] = self._source.load(self._place[rows][present])
        return tensors
