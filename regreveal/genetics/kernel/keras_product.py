"""Products with genotypes through Keras's backend, TensorFlow or JAX, for accelerators."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from regreveal.genetics.kernel.products import (
    GenotypeSets,
    centred_designs,
    indicator_designs,
    slices,
)
from regreveal.models import keras


class KerasProduct:
    """Dense products in single precision on the default device of Keras's backend.

    On the CPU designs are made by compiled loops and share their memory with TensorFlow or JAX. To
    an accelerator int8 dosages are sent, and designs made there. With TensorFlow, making one keeps
    the whole process from the reduced precision (TF32) that GPUs use for float32 products by
    default: that is a switch of the process, which threads at work must not turn on again.

    Parameters
    ----------
    columns : ndarray, shape (n, columns)
    threads : int
        Of the loops that make designs.
    send_dosages : bool, optional
        Make designs where the product is made; if there is an accelerator, without it.
    """

    def __init__(self, columns: np.ndarray, threads: int, send_dosages: bool | None = None):
        self.threads = threads
        self._width = columns.shape[1]
        self._send_dosages = _has_accelerator() if send_dosages is None else send_dosages
        self._columns = keras.ops.convert_to_tensor(columns.astype(np.float32))
        _forbid_tf32()

    def __setstate__(self, state: dict) -> None:
        """Set the precision of the process this comes to, too."""
        vars(self).update(state)
        _forbid_tf32()

    def indicators(self, sets: GenotypeSets) -> np.ndarray:
        """Products of both indicators, missing at their means, (variants, 2, columns)."""
        products = np.empty((len(sets.dosages), 2, self._width))
        if self._send_dosages:
            designs = _sent_designs(sets)
        else:
            designs = (
                (block, shared_tensor(design))
                for block, design in indicator_designs(sets, np.float32, self.threads)
            )
        for block, design in designs:
            products[block] = self._product(design).reshape(-1, 2, self._width)
        return products

    def centred(
        self, dosages: np.ndarray, mean: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Products of dosages less their mean, and sums of their powers, as of `SetSums`."""
        products = np.empty((len(dosages), self._width))
        squares, cubes = np.empty((2, len(dosages)))
        for block, design in centred_designs(
            dosages, mean, squares, cubes, np.float32, self.threads
        ):
            products[block] = self._product(shared_tensor(design))
        return products, squares, cubes

    def _product(self, design) -> np.ndarray:
        with _full_precision_of_jax():
            return keras.ops.convert_to_numpy(keras.ops.matmul(design, self._columns))


def shared_tensor(values: np.ndarray):
    """Tensor of Keras's backend in the same memory; a copy where that is not on the CPU.

    Parameters
    ----------
    values : ndarray
        Starting at a multiple of 64 bytes, or frameworks copy it.
    """
    if _has_accelerator():
        return keras.ops.convert_to_tensor(values)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
    if keras.backend.backend() == "jax":
        import jax

        return jax.dlpack.from_dlpack(values)
    return keras.ops.convert_to_tensor(values)


def _sent_designs(sets: GenotypeSets) -> Iterator[tuple]:
    """Yield slices of variants with both indicators, made where the product is."""
    ops = keras.ops
    participants = sets.dosages.shape[1]
    counted = np.stack([np.ones_like(sets.rarer), sets.rarer], axis=1)[:, :, None]
    means = sets.means.astype(np.float32)[:, :, None]
    for block in slices(len(sets.dosages), 2):
        dosages = ops.convert_to_tensor(sets.dosages[block])[:, None]
        indicators = ops.cast(ops.equal(dosages, ops.convert_to_tensor(counted[block])), "float32")
        design = ops.where(dosages < 0, ops.convert_to_tensor(means[block]), indicators)
        yield block, ops.reshape(design, (-1, participants))


def _has_accelerator() -> bool:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_logical_devices("GPU"))
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    return False


def _forbid_tf32() -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


def _full_precision_of_jax() -> AbstractContextManager:
    """Without reduced precision for this thread's products; other backends are not changed."""
    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    return jax.default_matmul_precision("highest")
