"""Participants' tensors of one modality, where not everyone has been examined in it."""

from collections.abc import Sequence

import numpy as np

from regreveal.models.source import Source
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap


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
