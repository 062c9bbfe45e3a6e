"""Where and in which precision networks compute."""

import contextlib
from collections.abc import Iterator

import keras

from regreveal.errors import InputError


@contextlib.contextmanager
def computing(precision: str = "float32", devices: int | str = 1) -> Iterator[int]:
    """Build and train networks in a precision, on one device or several.

    On several devices each takes an equal part of every batch and the mean of their gradients is
    the step: Keras' DataParallel on JAX, a MirroredStrategy on TensorFlow. What was set before is
    set again afterwards.

    Parameters
    ----------
    precision : str
        "float32", "mixed_float16" or "mixed_bfloat16".
    devices : int or "all"
        How many of those of the backend's first kind (GPUs, or else processors).

    Yields
    ------
    int
        How many devices there are to be used.

    Raises
    ------
    InputError
        If there are fewer devices.
    """
    present = keras.distribution.list_devices()
    if devices != "all" and not (isinstance(devices, int) and 1 <= devices <= len(present)):
        raise InputError(
            f"training: devices is {devices}; expected 'all' or 1 to {len(present)} "
            f"(there are: {', '.join(present)})"
        )
    used = present if devices == "all" else present[:devices]
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with _distribution(used):
            yield len(used)
    finally:
        keras.config.set_dtype_policy(policy)


def devices_of(model: keras.Model) -> int:
    """Count the devices that a model is trained on."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.device_mesh.devices.size if distribution else 1


def _distribution(names: list[str]) -> contextlib.AbstractContextManager:
    if len(names) == 1:
        return contextlib.nullcontext()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.MirroredStrategy([f"/{name}" for name in names]).scope()
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope()


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of Python, TensorFlow or JAX is that memory is at an end."""
    if isinstance(error, MemoryError):
        return True
    return type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error)


def backend_errors() -> tuple[type[Exception], ...]:
    """Errors by which a backend says that a step could not be computed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return MemoryError, tf.errors.OpError
    return MemoryError, RuntimeError
