"""Sums of participants' columns over genotypes.

A backend holds the columns, phenotypes and covariates side by side, and gives two kinds of products
with a block of variants: `indicators` for whole dosages, `centred` for fractional ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.genetics.kernel.dosages import in_parts, in_threads, no_whole_dosages

BACKENDS = ("numpy", "keras")

# Where a set holds more than this share of the participants, tables of subset sums are cheaper than
# adding participants one by one (benchmarks/genetics/kernel.py).
SPARSE_SHARE = 1 / 8

# Columns whose tables of subset sums fit into a core's second-level cache, with room to spare.
CHUNK_COLUMNS = 144

# Rows of a dense design made at a time: enough for a product at full speed.
DESIGN_ROWS = 512


def make_product(columns: np.ndarray, dtype: str, backend: str, threads: int | None):
    """Give a `SetSums` or `KerasProduct`, see `BlockProjector`."""
    if str(dtype) not in ("float64", "float32"):
        raise InputError(f"dtype '{dtype}': expected float64 or float32")
    if backend not in BACKENDS:
        raise InputError(f"backend '{backend}': expected {' or '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads}: expected at least 1")
    threads = threads or available_cores()
    if backend == "numpy":
        return SetSums(columns, str(dtype), threads)
    if str(dtype) != "float32":
        raise InputError("backend 'keras' computes in float32; ask for that, or for backend numpy")
    from regreveal.genetics.kernel.keras_product import KerasProduct

    return KerasProduct(columns, threads)


@dataclass(frozen=True)
class GenotypeSets:
    """Who is heterozygous, homozygous for the rarer homozygotes' allele, and missing.

    Attributes
    ----------
    dosages : ndarray of int8, shape (variants, n)
    bits : ndarray of uint8, shape (variants, 3, bytes)
        Participant i is bit i % 8 of byte i // 8.
    counts : ndarray of int64, shape (variants, 3)
        Numbers of dosages 0, 1 and 2.
    """

    dosages: np.ndarray
    bits: np.ndarray
    counts: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Participants of each set, shape (variants, 3)."""
        ref, het, hom = self.counts.T
        return np.column_stack([het, np.minimum(ref, hom), self.dosages.shape[1] - ref - het - hom])

    @property
    def rarer(self) -> np.ndarray:
        """Dosage of the rarer homozygotes, 0 or 2, as int8, shape (variants,)."""
        return np.where(self.counts[:, 0] < self.counts[:, 2], 0, 2).astype(np.int8)

    def select(self, rows: np.ndarray) -> "GenotypeSets":
        """Select variants by row number."""
        return GenotypeSets(self.dosages[rows], self.bits[rows], self.counts[rows])

    @property
    def means(self) -> np.ndarray:
        """Shares of heterozygotes and rarer homozygotes among the known, shape (variants, 2)."""
        known = np.maximum(self.counts.sum(axis=1), 1)
        return self.sizes[:, :2] / known[:, None]


def genotype_sets(dosages: np.ndarray, threads: int) -> GenotypeSets:
    """Pack dosages of int8 into sets; InputError if they are not 0, 1, 2 or -1."""
    from regreveal.genetics.kernel import loops

    variants, n = dosages.shape
    bits = np.zeros((variants, 3, _padded(n) // 8), dtype=np.uint8)
    counts = np.empty((variants, 3), dtype=np.int64)
    right = in_parts(
        lambda first, last: loops.pack(dosages, first, last, bits, counts), variants, threads
    )
    if not all(right):
        raise no_whole_dosages(dosages)
    return GenotypeSets(dosages, bits, counts)


class SetSums:
    """Compiled sums over sets of participants, and numpy's products for fractional dosages.

    Parameters
    ----------
    columns : ndarray, shape (n, columns)
    dtype : "float64" or "float32"
    threads : int
        Of the compiled loops. The result does not depend on it.
    """

    def __init__(self, columns: np.ndarray, dtype: str, threads: int):
        self._participants, self._width = columns.shape
        self.threads = threads
        chunks = -(-self._width // CHUNK_COLUMNS)
        # A multiple of eight, which fills vector registers.
        width = -(-self._width // (8 * chunks)) * 8
        self._chunks = np.zeros((chunks, _padded(self._participants), width), dtype)
        for chunk in range(chunks):
            part = columns[:, chunk * width : (chunk + 1) * width]
            self._chunks[chunk, : self._participants, : part.shape[1]] = part

    @cached_property
    def _columns(self) -> np.ndarray:
        joined = np.concatenate(self._chunks[:, : self._participants], axis=1)
        return np.ascontiguousarray(joined[:, : self._width])

    def indicators(self, sets: GenotypeSets) -> np.ndarray:
        """Products of both indicators, missing at their means, (variants, 2, columns)."""
        sums = self._sums(sets)
        products = sums[:, :2].astype(np.float64)
        incomplete = np.flatnonzero(sets.sizes[:, 2])
        products[incomplete] += sets.means[incomplete, :, None] * sums[incomplete, 2:]
        return products

    def __getstate__(self) -> dict:
        """Without the second copy of the columns, which is made where it is needed."""
        return {name: value for name, value in vars(self).items() if name != "_columns"}

    def centred(
        self, dosages: np.ndarray, mean: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Products of dosages less their mean, and the sums of their squares and cubes.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)
        mean : ndarray, shape (variants,)

        Returns
        -------
        products : ndarray, shape (variants, columns)
        squares, cubes : ndarray, shape (variants,)
        """
        products = np.empty((len(dosages), self._width))
        squares, cubes = np.empty((2, len(dosages)))
        for block, design in centred_designs(
            dosages, mean, squares, cubes, self._chunks.dtype, self.threads
        ):
            products[block] = design @ self._columns
        return products, squares, cubes

    def _sums(self, sets: GenotypeSets) -> np.ndarray:
        """Sum the columns over each set, (variants, 3, columns)."""
        from regreveal.genetics.kernel import loops

        bits, sizes = sets.bits.reshape(-1, sets.bits.shape[2]), sets.sizes.ravel()
        few = sizes <= SPARSE_SHARE * self._participants
        dense, sparse = np.flatnonzero(~few), np.flatnonzero(few & (sizes > 0))
        ends = np.cumsum(sizes[sparse])
        begins = ends - sizes[sparse]
        people = np.empty(sizes[sparse].sum(), dtype=np.uint32)
        sums = np.zeros((len(self._chunks), len(bits), self._chunks.shape[2]), self._chunks.dtype)
        parts = -(-self.threads // len(self._chunks))

        def list_sparse(first, last):
            chosen = slice(first, last)
            loops.list_members(bits.view(np.uint64), sparse[chosen], begins[chosen], people)

        def add(job):
            chunk, part = job
            share = slice(part, None, parts)
            columns, out = self._chunks[chunk], sums[chunk]
            loops.add_sparse(
                columns,
                people,
                *(np.ascontiguousarray(values[share]) for values in (begins, ends, sparse)),
                out,
            )
            rows = np.ascontiguousarray(dense[share])
            if len(rows):
                words = np.ascontiguousarray(bits[rows].view(np.uint32).T)
                loops.add_dense(columns, words, rows, out)

        in_parts(list_sparse, len(sparse), self.threads)
        jobs = [(chunk, part) for chunk in range(len(self._chunks)) for part in range(parts)]
        in_threads(add, jobs, self.threads)
        joined = np.concatenate(sums, axis=1)[:, : self._width]
        return joined.reshape(len(sets.bits), 3, self._width)


def centred_designs(
    dosages: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    cubes: np.ndarray,
    dtype: np.dtype,
    threads: int,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of variants with their dosages less the mean; fill in their sums of powers.

    Parameters
    ----------
    dosages : ndarray, shape (variants, n)
    mean : ndarray, shape (variants,)
    squares, cubes : ndarray of float64, shape (variants,)
        Have a slice's sums of squares and cubes once that is yielded.
    dtype : "float64" or "float32"
    threads : int

    Yields
    ------
    slice
    design : ndarray, shape (variants of the slice, n)
        Memory that the next one will take.
    """
    from regreveal.genetics.kernel import loops

    def fill(first, last, out):
        loops.centre(dosages, mean, first, last, out, squares, cubes)

    yield from _designs(fill, len(dosages), 1, dosages.shape[1], dtype, threads)


def indicator_designs(
    sets: GenotypeSets, dtype: np.dtype, threads: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of variants with both indicators, missing at their means, like the above.

    The design's rows are both indicators of the first variant, then both of the second.
    """
    from regreveal.genetics.kernel import loops

    def fill(first, last, out):
        loops.fill_indicators(
            sets.dosages, sets.rarer, sets.means, first, last, out.reshape(-1, 2, out.shape[1])
        )

    variants, participants = sets.dosages.shape
    yield from _designs(fill, variants, 2, participants, dtype, threads)


def slices(variants: int, rows: int) -> Iterator[slice]:
    """Yield slices of variants, given how many rows each has in the design."""
    step = DESIGN_ROWS // rows
    for start in range(0, variants, step):
        yield slice(start, min(start + step, variants))


def _designs(
    fill: Callable[[int, int, np.ndarray], None],
    variants: int,
    rows: int,
    participants: int,
    dtype: np.dtype,
    threads: int,
) -> Iterator[tuple[slice, np.ndarray]]:
    memory = _aligned((min(DESIGN_ROWS, rows * variants), participants), dtype)
    for block in slices(variants, rows):

        def fill_part(first, last, start=block.start):
            fill(start + first, start + last, memory[rows * first : rows * last])

        in_parts(fill_part, block.stop - block.start, threads)
        yield block, memory[: rows * (block.stop - block.start)]


def _padded(participants: int) -> int:
    """Participants in whole words of 64 bits."""
    return -(-participants // 64) * 64


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Uninitialised memory that starts at a multiple of 64 bytes, which frameworks can share."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
