"""One training on several hosts: each is a process of its own and takes a part of every batch.

Which process it is of how many, and where the first of them is, each is told by Keras' own
environment variables (keras.distribution.initialize). Every process does the same; the first alone
writes.
"""

import os
import sys

import keras
import numpy as np

from regreveal.errors import InputError

ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
PLACE = "KERAS_DISTRIBUTION_PROCESS_ID"


def host_count() -> int:
    """Count the processes of a training."""
    return _number(COUNT, 1)


def is_first_host() -> bool:
    """Say whether this process is the one that writes."""
    return _number(PLACE, 0) == 0


def join_hosts(devices: int | str) -> None:
    """Wait for the other processes of this training, if it has several.

    Before anything is computed: the devices of all are this process's from then on.

    Parameters
    ----------
    devices : int or "all"
        What the training is asked to use.

    Raises
    ------
    InputError
        If Keras does not run on JAX, not all devices are asked for, the variables do not fit each
        other, or processes have different numbers of devices.
    """
    count = host_count()
    if count == 1 and is_first_host():
        return
    place = _number(PLACE, -1)
    if not os.environ.get(ADDRESS) or not 0 <= place < count:
        raise InputError(
            f"training: {COUNT} is {count}, {PLACE} {place} and {ADDRESS} "
            f"'{os.environ.get(ADDRESS, '')}'; expected 0 to {count - 1}, and host:port of 0"
        )
    if keras.backend.backend() != "jax":
        raise InputError(
            f"training: {COUNT} is {count}, and Keras runs on {keras.backend.backend()}; several "
            "hosts need KERAS_BACKEND=jax"
        )
    if devices != "all":
        raise InputError(
            f"training: devices is {devices}; several hosts ({COUNT} is {count}) need 'all'"
        )
    import jax

    if not jax.distributed.is_initialized():
        # JAX ends a process that waits in vain itself, with lines of its own: this explains them.
        print(
            f"Waiting for all {count} processes of this training at {os.environ[ADDRESS]}, "
            "5 minutes at most",
            file=sys.stderr,
            flush=True,
        )
        keras.distribution.initialize()
    if jax.local_device_count() * count != jax.device_count():
        raise InputError(
            f"training: this process has {jax.local_device_count()} of {jax.device_count()} "
            f"devices; expected the same number in each of {count}"
        )


def own_part(samples: np.ndarray, parts: int = 1) -> np.ndarray:
    """Take this host's samples of a batch.

    Parameters
    ----------
    samples : ndarray, shape (n, …)
        A batch, or its rows: n is a multiple of hosts and parts.
    parts : int
        In how many parts, one after another, the batch is taken.

    Returns
    -------
    ndarray, shape (n / hosts, …)
        Its share of every part.
    """
    divided = samples.reshape(parts, host_count(), -1, *samples.shape[1:])
    return divided[:, _number(PLACE, 0)].reshape(-1, *samples.shape[1:])


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name, str(otherwise))
    try:
        return int(value)
    except ValueError:
        raise InputError(f"training: {name} is '{value}'; expected a whole number") from None
