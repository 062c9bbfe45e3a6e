"""Several genotype files of the same people as one, such as a file a chromosome."""

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes, Scratch


class SeveralGenotypes(Genotypes):
    """The variants of several files, one file after the other.

    Sex is known of whoever has one in any of the files.

    Parameters
    ----------
    files : sequence of Genotypes
        Participants are those of the first; the others hold the same, in any order.

    Raises
    ------
    InputError
        A file has other participants, or another sex of one.
    """

    def __init__(self, files: Sequence[Genotypes]):
        first = files[0]
        super().__init__(first.path, first.samples)
        self._files = list(files)
        self._orders = [self._order_in(file) for file in files]
        self._starts = np.cumsum([0, *(file.variant_count for file in files)])
        self.variant_count = int(self._starts[-1])
        self.hard_calls = all(file.hard_calls for file in files)
        self.sex = self._merged_sex()
        left_out = Counter()
        for file in files:
            left_out.update(file.left_out)
        self.left_out = dict(left_out)
        self._scratch = Scratch()

    def __reduce__(self):
        """Travel to other processes as the files do."""
        return SeveralGenotypes, (self._files,)

    @property
    def identity(self) -> list:
        """Those of all files, in their order."""
        return [file.identity for file in self._files]

    @property
    def paths(self) -> list[os.PathLike]:
        """Where the files are."""
        return [path for file in self._files for path in file.paths]

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:
        """Describe the variants of rows `start` to `stop`, over all files."""
        tables = []
        for file, first, last in self._spans():
            if max(start, first) < min(stop, last):
                table = file.variant_rows(max(start, first) - first, min(stop, last) - first)
                tables.append(table.set_axis(table.index + first))
        return pd.concat(tables) if tables else self._files[0].variant_rows(0, 0)

    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        for (file, first, last), order in zip(self._spans(), self._orders, strict=True):
            here = np.flatnonzero((rows >= first) & (rows < last))
            if not len(here):
                continue
            wanted = rows[here] - first, places if order is None else order[places]
            together = here[-1] - here[0] + 1 == len(here)
            if together and file.dtype == out.dtype:
                file._read(*wanted, out[here[0] : here[-1] + 1])
                continue
            read = self._scratch.array((len(here), len(places)), file.dtype)
            file._read(*wanted, read)
            for row, dosages in zip(here, read, strict=True):
                out[row] = dosages
                if file.dtype != out.dtype:
                    out[row, dosages < 0] = np.nan

    def _spans(self) -> list[tuple[Genotypes, int, int]]:
        starts = self._starts.tolist()
        return list(zip(self._files, starts[:-1], starts[1:], strict=True))

    def _merged_sex(self) -> np.ndarray | None:
        sex = None
        for file, order in zip(self._files, self._orders, strict=True):
            if file.sex is None:
                continue
            told = file.sex if order is None else file.sex[order]
            if sex is None:
                sex = np.zeros(len(self.samples), np.int8)
            conflict = (sex != 0) & (told != 0) & (sex != told)
            if conflict.any():
                raise InputError(
                    f"{file.path.name}: the sex of '{self.samples[int(conflict.argmax())]}' is "
                    "another than in the files before it; correct one of them"
                )
            sex = np.where(sex == 0, told, sex)
        return sex

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
