"""Sums of participants' columns over genotypes: compiled loops, numpy or Keras.

A backend holds the columns, phenotypes and covariates side by side, and answers two questions about
a block of variants: `indicators` for whole dosages, `centred` for fractional ones.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regreveal.errors import InputError
from regreveal.genetics.dosages import in_parts, in_threads, no_whole_dosages

BACKENDS = ("numpy", "keras")

# Where a set holds more than this share of the participants, tables of subset sums are cheaper than
# adding participants one by one (benchmarks/gwas_kernel.py).
SPARSE_SHARE = 1 / 8

# Columns whose tables of subset sums fit into a core's second-level cache, with room to spare.
CHUNK_COLUMNS = 144

# Rows of a dense design made at a time: enough for a product at full speed.
DESIGN_ROWS = 512


def make_product(
    columns: np.ndarray, dtype: str, backend: str, threads: int | None
) -> "SetSums | KerasProduct":
    """Choose the backend, see `BlockProjector`."""
    if str(dtype) not in ("float64", "float32"):
        raise InputError(f"dtype '{dtype}': expected float64 or float32")
    if backend not in BACKENDS:
        raise InputError(f"backend '{backend}': expected {' or '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads}: expected at least 1")
    threads = threads or len(os.sched_getaffinity(0))
    if backend == "numpy":
        return SetSums(columns, str(dtype), threads)
    if str(dtype) != "float32":
        raise InputError("backend 'keras' computes in float32; ask for that, or for backend numpy")
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
    def means(self) -> np.ndarray:
        """Shares of heterozygotes and rarer homozygotes among the known, shape (variants, 2)."""
        known = np.maximum(self.counts.sum(axis=1), 1)
        return self.sizes[:, :2] / known[:, None]


def genotype_sets(dosages: np.ndarray, threads: int) -> GenotypeSets:
    """Pack dosages of int8 into sets; InputError if they are not 0, 1, 2 or -1."""
    from regreveal.genetics import kernels

    variants, n = dosages.shape
    bits = np.zeros((variants, 3, _padded(n) // 8), dtype=np.uint8)
    counts = np.empty((variants, 3), dtype=np.int64)
    right = in_parts(
        lambda first, last: kernels.pack(dosages, first, last, bits, counts), variants, threads
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

    def centred(self, dosages: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of dosages less their mean, and the sums of their squares.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)
        mean : ndarray, shape (variants,)

        Returns
        -------
        products : ndarray, shape (variants, columns)
        squares : ndarray, shape (variants,)
        """
        return _centred_products(
            dosages, mean, self._chunks.dtype, self.threads, lambda design: design @ self._columns
        )

    def _sums(self, sets: GenotypeSets) -> np.ndarray:
        """Sum the columns over each set, (variants, 3, columns)."""
        from regreveal.genetics import kernels

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
            kernels.list_members(bits.view(np.uint64), sparse[chosen], begins[chosen], people)

        def add(job):
            chunk, part = job
            share = slice(part, None, parts)
            columns, out = self._chunks[chunk], sums[chunk]
            kernels.add_sparse(
                columns,
                people,
                *(np.ascontiguousarray(values[share]) for values in (begins, ends, sparse)),
                out,
            )
            rows = np.ascontiguousarray(dense[share])
            if len(rows):
                words = np.ascontiguousarray(bits[rows].view(np.uint32).T)
                kernels.add_dense(columns, words, rows, out)

        in_parts(list_sparse, len(sparse), self.threads)
        jobs = [(chunk, part) for chunk in range(len(self._chunks)) for part in range(parts)]
        in_threads(add, jobs, self.threads)
        joined = np.concatenate(sums, axis=1)[:, : self._width]
        return joined.reshape(len(sets.bits), 3, self._width)


class KerasProduct:
    """Dense products in single precision through Keras's backend, on its default device.

    On the CPU designs are made by compiled loops and share their memory with TensorFlow or JAX. On
    an accelerator int8 dosages are sent and designs made there.

    Parameters
    ----------
    columns : ndarray, shape (n, columns)
    threads : int
        Of the loops that make designs.
    send_dosages : bool, optional
        Make designs where the product is; if there is an accelerator, without it.
    """

    def __init__(self, columns: np.ndarray, threads: int, send_dosages: bool | None = None):
        import keras

        self._ops = keras.ops
        self.threads = threads
        self._send_dosages = _has_accelerator() if send_dosages is None else send_dosages
        self._columns = keras.ops.convert_to_tensor(columns.astype(np.float32))

    def indicators(self, sets: GenotypeSets) -> np.ndarray:
        """Products of both indicators, missing at their means, (variants, 2, columns)."""
        ref, _, hom = sets.counts.T
        rarer = np.where(ref < hom, 0, 2).astype(np.int8)
        make = self._sent_design if self._send_dosages else self._shared_design
        products = [
            self._product(design)
            for design in make(sets.dosages, rarer, sets.means.astype(np.float32))
        ]
        return np.concatenate(products).reshape(len(rarer), 2, -1)

    def centred(self, dosages: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of dosages less their mean, and the sums of their squares, as of `SetSums`."""
        return _centred_products(
            dosages, mean, np.float32, self.threads, lambda design: self._product(_shared(design))
        )

    def _product(self, design) -> np.ndarray:
        with _full_precision():
            product = self._ops.matmul(design, self._columns)
        return np.asarray(self._ops.convert_to_numpy(product), dtype=np.float64)

    def _shared_design(self, dosages: np.ndarray, rarer: np.ndarray, means: np.ndarray) -> Iterator:
        from regreveal.genetics import kernels

        step = DESIGN_ROWS // 2
        design = _aligned((min(step, len(dosages)), 2, dosages.shape[1]), np.float32)
        for start in range(0, len(dosages), step):
            count = min(step, len(dosages) - start)

            def fill(first, last, start=start):
                kernels.fill_indicators(
                    dosages, rarer, means, start + first, start + last, design[first:]
                )

            in_parts(fill, count, self.threads)
            yield _shared(design[:count].reshape(2 * count, -1))

    def _sent_design(self, dosages: np.ndarray, rarer: np.ndarray, means: np.ndarray) -> Iterator:
        ops = self._ops
        for start in range(0, len(dosages), DESIGN_ROWS // 2):
            block = slice(start, start + DESIGN_ROWS // 2)
            sent = ops.convert_to_tensor(dosages[block])[:, None]
            tested = np.stack([np.ones_like(rarer[block]), rarer[block]], axis=1)[:, :, None]
            design = ops.where(
                sent < 0,
                ops.convert_to_tensor(means[block, :, None]),
                ops.cast(ops.equal(sent, ops.convert_to_tensor(tested)), "float32"),
            )
            yield ops.reshape(design, (-1, dosages.shape[1]))


def _centred_products(
    dosages: np.ndarray,
    mean: np.ndarray,
    dtype: np.dtype,
    threads: int,
    product: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    from regreveal.genetics import kernels

    variants, n = dosages.shape
    squares = np.empty(variants)
    design = _aligned((min(DESIGN_ROWS, variants), n), dtype)
    products = []
    for start in range(0, variants, DESIGN_ROWS):
        count = min(DESIGN_ROWS, variants - start)

        def fill(first, last, start=start):
            kernels.centre(dosages, mean, start + first, start + last, design[first:], squares)

        in_parts(fill, count, threads)
        products.append(np.asarray(product(design[:count]), dtype=np.float64))
    return np.concatenate(products), squares


def _padded(participants: int) -> int:
    """Participants in whole words of 64 bits."""
    return -(-participants // 64) * 64


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Uninitialised memory that starts at a multiple of 64 bytes, which frameworks can share."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _shared(design: np.ndarray):
    """Share memory as a tensor of Keras's backend; copy it to where that is not on the CPU."""
    import keras

    if not _has_accelerator() and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(design.__dlpack__())
    if not _has_accelerator() and keras.backend.backend() == "jax":
        import jax

        return jax.dlpack.from_dlpack(design)
    return keras.ops.convert_to_tensor(design)


def _has_accelerator() -> bool:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False


@contextmanager
def _full_precision() -> Iterator[None]:
    """Without the reduced precision (TF32) that GPUs use for float32 products by default."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    elif keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    else:
        yield
