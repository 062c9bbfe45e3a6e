"""What benchmarks of reading and of training share: an experiment's rows, random tensors."""

import math
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

MOST = 400  # tensors; no network needs more to be fed at random
AT_ONCE_BYTES = 64e6


def rows_of_the_experiment(path: Path) -> dict[str, dict[str, int]]:
    """Batch and latent size of the autoencoder that an arm has for each tensor map."""
    from regreveal.experiment.experiment_file import load_experiment

    arms = [arm for arm in load_experiment(path).arms.values() if arm.autoencoder]
    return {
        arm.tensor_map: {
            "batch_size": arm.autoencoder.batch_size,
            "latent_size": arm.autoencoder.latent_size,
        }
        for arm in arms
    }


def chosen_names(parser: ArgumentParser, names: list[str] | None, rows: dict) -> list[str]:
    """Names asked for, or all; one that the experiment does not have ends the program."""
    unknown = [name for name in names or [] if name not in rows]
    if unknown:
        parser.error(f"no autoencoder takes '{unknown[0]}' (there are: {', '.join(rows)})")
    return names or list(rows)


def write_random(store, tensor_map, most_bytes: float) -> int:
    """Write as many random tensors as the bytes allow, 8 at least; return how many."""
    rng = np.random.default_rng(0)
    each = 4 * math.prod(tensor_map.stored_shape)
    count = max(8, min(MOST, int(most_bytes / each)))
    block = max(1, int(AT_ONCE_BYTES / each))
    for first in range(0, count, block):
        ids = [f"p{number}" for number in range(first, min(first + block, count))]
        tensors = rng.standard_normal((len(ids), *tensor_map.stored_shape), np.float32)
        store.write(tensor_map.path, tensors, ids, units=tensor_map.units)
    return count
