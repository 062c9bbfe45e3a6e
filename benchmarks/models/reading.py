"""Reading against learning: whether a network at full size would ever wait for its tensors.

    python benchmarks/models/reading.py                       # all of experiments/paper_table1.toml
    python benchmarks/models/reading.py ecg.rest_10s --gigabytes 0.5

For each tensor map a process of its own writes a store of random tensors, as many as the disk space
allowed for holds (400 at most), and takes, in turns, the samples a second of the batches of a
training without a network, as `train` reads them (random rows, checked, normalised), and of steps
of the experiment's autoencoder on a batch that is there; at last those of reading where the pages
of the files are not in memory. The first step, which compiles, does not count.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from random_tensors import chosen_names, rows_of_the_experiment, write_random

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "paper_table1.toml"
SECONDS = 2.0


def measure(name: str, batch_size: int, latent_size: int, gigabytes: float) -> dict:
    """Measure one tensor map in this process."""
    from regreveal.models.source import Source
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import find_tensor_map

    tensor_map = find_tensor_map(name)
    each = 4 * math.prod(tensor_map.stored_shape)
    with tempfile.TemporaryDirectory() as folder:
        store = TensorStore(folder)
        count = write_random(store, tensor_map, gigabytes * 1e9)
        source = Source(store, tensor_map, store.sample_ids(tensor_map.path))
        step = compile_step(tensor_map, batch_size, latent_size)
        warm, taken = [], []
        for _ in range(3):
            warm.append(reading_rate(source, batch_size))
            taken.append(batch_size / timed(step))
        forget_pages(Path(folder))
        cold = reading_rate(source, batch_size, once=True)
    read, learned = max(warm), max(taken)
    return {
        "tensor map": name,
        "stored": " × ".join(map(str, tensor_map.stored_shape)),
        "tensors": count,
        "batch": batch_size,
        "read (samples/s)": f"{read:.0f}",
        "MB/s": f"{read * each / 1e6:.0f}",
        "not in memory": f"{cold:.0f}",
        "learned (samples/s)": f"{learned:.2f}",
        "ratio": f"{read / learned:.0f}",
    }


def reading_rate(source, batch_size: int, once: bool = False) -> float:
    """Give the samples a second of a training's batches; `once`: of a pass over everyone."""
    from regreveal.models.ahead import Ahead
    from regreveal.models.loop import rows_of_step

    def batch(step: int) -> np.ndarray:
        return source.load(rows_of_step(len(source), batch_size, 1, step))

    steps = len(source) // batch_size if once else 10**9
    with Ahead(batch, range(steps)) as batches:
        if not once:
            batches(0)
        done, started = 0, time.perf_counter()
        while done < steps and (once or time.perf_counter() - started < SECONDS):
            batches(done if once else done + 1)
            done += 1
        return done * batch_size / (time.perf_counter() - started)


def forget_pages(folder: Path) -> None:
    """Have the system drop what it keeps of the files in memory."""
    os.sync()
    for path in folder.rglob("*.h5"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compile_step(tensor_map, batch_size: int, latent_size: int):
    import keras

    from regreveal.models.autoencoder import build_autoencoder
    from regreveal.models.model_folder import JIT_COMPILE

    model = build_autoencoder(tensor_map.channelled_shape, latent_size).autoencoder
    model.compile(keras.optimizers.Adam(), "mean_squared_error", jit_compile=JIT_COMPILE)
    shape = (batch_size, *tensor_map.channelled_shape)
    tensors = np.random.default_rng(0).standard_normal(shape, np.float32)

    def step() -> None:
        model.train_on_batch(tensors, tensors)

    step()
    return step


def timed(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="TENSOR_MAP", help="by default all")
    parser.add_argument("--gigabytes", type=float, default=1.5, help="of disk, at most")
    parser.add_argument("--batch-size", type=int, help="at most; by default the experiment's")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = rows_of_the_experiment(EXPERIMENT)
    measured = []
    for name in chosen_names(parser, arguments.names, rows):
        batch_size, latent_size = rows[name]["batch_size"], rows[name]["latent_size"]
        batch_size = min(batch_size, arguments.batch_size or batch_size)
        if arguments.here:
            print(json.dumps(measure(name, batch_size, latent_size, arguments.gigabytes)))
            return
        command = [sys.executable, __file__, name, "--here", "--batch-size", str(batch_size)]
        command += ["--gigabytes", str(arguments.gigabytes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: ended with status {done.returncode}")
        measured.append(json.loads(done.stdout.splitlines()[-1]))
        print(measured[-1], file=sys.stderr, flush=True)
    print(pd.DataFrame(measured).to_string(index=False))


if __name__ == "__main__":
    main()
