"""A small training, for the tests and for a process of its own that a test can kill."""

import sys
import time

import numpy as np

from regreveal.models.fitting import Batches
from regreveal.models.training import train
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import Standardize, TensorMap

SHAPE = (45, 2)
IDS = [f"p{number}" for number in range(120)]
TENSOR_MAP = TensorMap(
    name="toy.wave",
    path="toy/wave",
    shape=SHAPE,
    units="mV",
    modality="toy",
    description="Two bumps of varying height on a mean wave.",
    normalize=Standardize(0.5, 2.0),
)


def draw_heights():
    """What differs between participants, (n, 2)."""
    return np.random.default_rng(5).standard_normal((len(IDS), 2))


def write_store(folder):
    """120 participants in two shards."""
    time = np.arange(SHAPE[0])[:, None]
    bumps = np.stack(
        [np.exp(-(((time - at) / 4) ** 2)) * [1, side] for at, side in [(12, 1), (30, -1)]]
    )
    tensors = np.sin(time / 7) * 3 + np.einsum("nb,btc->ntc", draw_heights(), bumps)
    tensors += 0.02 * np.random.default_rng(6).standard_normal(tensors.shape)
    store = TensorStore(folder)
    for rows in (slice(0, 70), slice(70, None)):
        store.write(TENSOR_MAP.path, tensors[rows], IDS[rows], units="mV")
    return store


def train_toy(store, folder, train_ids=IDS[:80], validation_ids=IDS[80:96], **changes):
    """Train on the first 80 participants and validate on the next 16, unless told otherwise."""
    arguments = {
        "latent_size": 2,
        "steps": 150,
        "steps_per_epoch": 50,
        "batch_size": 16,
        "seed": 3,
        "architecture": {"channels": 8, "growth": 4, "blocks": 1, "block_depth": 1},
    }
    return train(store, TENSOR_MAP, train_ids, validation_ids, folder, **{**arguments, **changes})


def _train_slowly(store_folder, model_folder):
    """Leave whoever watches the time to kill this process between the first epoch and the last.

    It never ends: its last steps wait.
    """

    def read_slowly(self, index):
        time.sleep(0.02 if self.numbers[index] < 140 else 600)
        return read(self, index)

    read = Batches.__getitem__
    Batches.__getitem__ = read_slowly
    train_toy(TensorStore(store_folder), model_folder)


if __name__ == "__main__":
    _train_slowly(*sys.argv[1:])
