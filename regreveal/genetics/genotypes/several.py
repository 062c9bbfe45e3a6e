"""Several genotype files of the same people as one, such as a file a chromosome."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes


class SeveralGenotypes(Genotypes):
    """The variants of several files, one file after the other.

    Parameters
    ----------
    files : sequence of Genotypes
        Participants are those of the first; the others hold the same, in any order.

    Raises
    ------
    InputError
        A file has other participants.
    """

    def __init__(self, files: Sequence[Genotypes]):
        first = files[0]
        super().__init__(first.path, first.samples, first.sex)
        self._files = list(files)
        self._orders = [self._order_in(file) for file in files]
        self._starts = np.cumsum([0, *(file.variant_count for file in files)])
        self.variant_count = int(self._starts[-1])
        self.hard_calls = all(file.hard_calls for file in files)

    def __reduce__(self):
        """Travel to other processes as the files do."""
        return SeveralGenotypes, (self._files,)

    @property
    def paths(self) -> list[os.PathLike]:
        """Where the files are."""
        return [path for file in self._files for path in file.paths]

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:
        """Describe the variants of rows `start` to `stop`, over all files."""
        tables = [
            file.variant_rows(max(start, first) - first, min(stop, last) - first).rename(
                index=lambda row, first=first: row + first
            )
            for file, first, last in self._spans()
            if max(start, first) < min(stop, last)
        ]
        return pd.concat(tables) if tables else self._files[0].variant_rows(0, 0)

    def _read(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        dosages = np.empty((len(rows), len(places)), np.int8 if self.hard_calls else np.float32)
        for (file, first, last), order in zip(self._spans(), self._orders, strict=True):
            inside = (rows >= first) & (rows < last)
            if not inside.any():
                continue
            read = file._read(rows[inside] - first, places if order is None else order[places])
            if read.dtype == np.int8 and not self.hard_calls:
                read = np.where(read < 0, np.float32(np.nan), read)
            dosages[inside] = read
        return dosages

    def _spans(self) -> list[tuple[Genotypes, int, int]]:
        starts = self._starts.tolist()
        return list(zip(self._files, starts[:-1], starts[1:], strict=True))

    def _order_in(self, file: Genotypes) -> np.ndarray | None:
        """Places of the first file's participants in another; None where they are the same."""
        if file.samples == self.samples:
            return None
        if len(file.samples) != len(self.samples) or set(file.samples) != set(self.samples):
            differ = len(set(file.samples) ^ set(self.samples))
            raise InputError(
                f"{file.path.name}: {differ} participants are only in it or only in "
                f"{self.path.name}; files of one scan hold the same people"
            )
        return file._places(self.samples)
