"""What every genotype reader gives: participants, variants, and blocks of dosages."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError

VARIANT_COLUMNS = ["chromosome", "position", "variant_id", "ref", "alt"]

# Rows nearer to each other than this are read together and the ones between them dropped; one by
# one, filtered variants would each cost a seek and a parser.
NEARBY_ROWS = 256


class Scratch:
    """Memory that is kept from one call to the next and only grows.

    The first touch of fresh memory costs several times as much as reading a .bed into it.
    """

    def __init__(self):
        self._bytes = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """Give a C-contiguous array of whatever was there before; it is valid until the next."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > len(self._bytes):
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size].view(dtype).reshape(shape)


class Genotypes(ABC):
    """A genotype file, read in blocks of variants; the base of every format's reader.

    A row is one alternate allele: a site with several gives a row each, in file order and then
    allele order, whose dosage counts that allele only. A reader sets `variant_count` and
    `hard_calls` and implements `variant_rows` and `_read`. It can be opened again, in another
    process too, from `path` alone; it is used by one thread at a time.

    Parameters
    ----------
    path : path-like
        The genotype file.
    samples : sequence of str
        Individual ids, in file order.
    sex : array-like of int, optional
        1 male, 2 female, 0 unknown, in file order; None where the format has none.

    Attributes
    ----------
    path : Path
    samples : list of str
    sex : ndarray of int8, shape (samples,), or None
    hard_calls : bool
        Whether dosages are int8 0, 1, 2 with -1 missing, or float32 0 to 2 with NaN missing.
        A haploid call counts 0 or 2.
    variant_count : int
        Number of rows.
    left_out : dict of str to int
        How many records and alleles of the file have no row, by reason, where a format has such.

    Raises
    ------
    InputError
        An id repeats, or there is none.
    """

    hard_calls: bool
    variant_count: int

    def __init__(
        self, path: str | os.PathLike, samples: Sequence[str], sex: np.ndarray | None = None
    ):
        self.path = Path(path)
        self.samples = list(samples)
        self.left_out: dict[str, int] = {}
        self._last_asked: tuple[Sequence[str] | None, np.ndarray] = None, np.empty(0, np.int64)
        self.sex = None if sex is None else np.asarray(sex, dtype=np.int8)
        if not self.samples:
            raise InputError(f"{self.path.name}: no samples in it; a scan needs participants")
        repeated = self._sample_index.duplicated()
        if repeated.any():
            raise InputError(
                f"{self.path.name}: individual id '{self.samples[int(repeated.argmax())]}' stands "
                "there more than once; ids must be unique"
            )

    @property
    def paths(self) -> list[Path]:
        """The files that are read: with any of them changed, so are results."""
        return [self.path]

    @property
    def identity(self) -> list:
        """Options of the format that decide results, beside the files: empty where it has none."""
        return []

    @property
    def dtype(self) -> np.dtype:
        """Type of dosages, int8 or float32."""
        return np.dtype(np.int8 if self.hard_calls else np.float32)

    def __reduce__(self):
        """Travel to other processes as the path, and be opened again there."""
        from regreveal.genetics.genotypes import open_genotypes

        return open_genotypes, (self.path,)

    @abstractmethod
    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:
        """Describe the variants of rows `start` to `stop`, without loading any others.

        Parameters
        ----------
        start, stop : int
            The first row and the one after the last.

        Returns
        -------
        DataFrame
            Columns chromosome (str), position (int64), variant_id, ref, alt; the index is the row
            number.

        Raises
        ------
        InputError
            A line of the file is malformed.
        """

    @abstractmethod
    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Fill `out` (rows, places) with dosages of the samples at `places` of the file.

        Both are int64, in any order, and valid; `out` is C-contiguous, of type `dtype`.
        """

    @cached_property
    def variants(self) -> pd.DataFrame:
        """All of `variant_rows`, kept from first use on."""
        return self.variant_rows(0, self.variant_count)

    def blocks(
        self,
        samples: Sequence[str] | None = None,
        size: int = 1024,
        variants: np.ndarray | None = None,
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Go through consecutive blocks of variants with the dosages of their alternate alleles.

        Parameters
        ----------
        samples : sequence of str, optional
            Whose genotypes, in this order; everyone in file order without it.
        size : int
            Variants a block.
        variants : ndarray of int, optional
            Row numbers to read, in this order; all of them without it.

        Returns
        -------
        iterator of (DataFrame, ndarray)
            The block's variants, as from `variant_rows`, and their dosages, shape (variants,
            samples), int8 or float32 as `hard_calls` says.

        Raises
        ------
        InputError
            A sample id is not in the file, or the file is damaged.
        IndexError
            A row number is outside the file.
        """
        places = self._places(samples)
        if variants is None:
            count = self.variant_count
        else:
            variants = self._checked(variants)
            count = len(variants)

        def read():
            for start in range(0, count, size):
                stop = min(start + size, count)
                rows = np.arange(start, stop) if variants is None else variants[start:stop]
                dosages = np.empty((len(rows), len(places)), self.dtype)
                self._read(rows, places, dosages)
                yield self._described(rows), dosages

        return read()

    def dosages(
        self,
        rows: np.ndarray,
        samples: Sequence[str] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Dosages of some variants at once.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers of the variants.
        samples : sequence of str, optional
            Whose genotypes, in this order; everyone in file order without it.
        out : ndarray of type `dtype`, shape (at least as many rows, samples), optional
            C-contiguous; its first rows are filled and returned. Memory that was used before is
            read into many times as fast as the new array made without it.

        Returns
        -------
        ndarray of int8 or float32, shape (rows, samples)

        Raises
        ------
        InputError
            A sample id is not in the file, or the file is damaged.
        IndexError
            A row number is outside the file.
        ValueError
            `out` is of another type or shape.
        """
        places = self._places(samples)
        rows = self._checked(rows)
        shape = len(rows), len(places)
        if out is None:
            out = np.empty(shape, self.dtype)
        else:
            self._check_out(out, shape)
        dosages = out[: len(rows)]
        if len(rows):
            self._read(rows, places, dosages)
        return dosages

    def _check_out(self, out: np.ndarray, shape: tuple[int, int]) -> None:
        fits = out.ndim == 2 and out.shape[0] >= shape[0] and out.shape[1] == shape[1]
        if not fits or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out: {out.dtype} of shape {out.shape}; expected C-contiguous {self.dtype} of "
                f"shape {shape}, or with more rows"
            )

    @cached_property
    def _sample_index(self) -> pd.Index:
        return pd.Index(self.samples, dtype=object)

    def _places(self, samples: Sequence[str] | None) -> np.ndarray:
        """Where in the file each of the samples is."""
        if samples is None:
            return np.arange(len(self.samples))
        # A scan asks for the same people with every block; a tuple cannot have changed since.
        if isinstance(samples, tuple) and samples is self._last_asked[0]:
            return self._last_asked[1]
        asked = samples
        samples = pd.Index(list(samples), dtype=object)
        places = self._sample_index.get_indexer(samples)
        unknown = np.flatnonzero(places < 0)
        if len(unknown):
            raise InputError(
                f"{self.path.name}: {len(unknown)} sample ids are not in the file "
                f"(first: '{samples[unknown[0]]}'); ask only for ids that it holds"
            )
        self._last_asked = asked, places.astype(np.int64)
        return self._last_asked[1]

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.variant_count:
            raise IndexError(
                f"{self.path.name}: rows {rows.min()} to {rows.max()} asked for, "
                f"it has 0 to {self.variant_count - 1}"
            )
        return rows

    def _described(self, rows: np.ndarray) -> pd.DataFrame:
        """Variants of any rows in any order, read in few ranges."""
        if "variants" in self.__dict__:
            return self.variants.iloc[rows]
        wanted = np.unique(rows)
        groups = np.split(wanted, np.flatnonzero(np.diff(wanted) > NEARBY_ROWS) + 1)
        tables = [
            self.variant_rows(group[0], group[-1] + 1).iloc[group - group[0]] for group in groups
        ]
        table = tables[0] if len(tables) == 1 else pd.concat(tables)
        in_order = len(wanted) == len(rows) and (wanted == rows).all()
        return table if in_order else table.iloc[np.searchsorted(wanted, rows)]


def sex_of_codes(codes: pd.Series) -> np.ndarray:
    """Sex as files write it (1, 2, M, F, male, female) as 1 male, 2 female, 0 all else.

    Parameters
    ----------
    codes : Series of str

    Returns
    -------
    ndarray of int8
    """
    meaning = {"1": 1, "m": 1, "male": 1, "2": 2, "f": 2, "female": 2}
    return codes.str.lower().map(meaning).fillna(0).to_numpy(dtype=np.int8)
