r"""Step rates of training: every autoencoder of an experiment, with its tensors read from a store.

    python benchmarks/models/step_rates.py                     # the demo's, on the processor
    export KERAS_BACKEND=jax                                   # full size, on a GPU
    python benchmarks/models/step_rates.py experiments/paper_table1.toml --largest-batch \
        --precision float32 mixed_bfloat16

For each tensor map and precision a process of its own writes random tensors into a store and trains
the experiment's autoencoder on them as `train` does: batches read ahead, Adam. The first epoch,
which compiles, does not count. `waiting` is the share of the time in which a batch was asked for
that was not made yet; on TensorFlow, which asks ahead of the network, that is more than the network
waits. `--largest-batch` doubles the batch until memory is at an end and gives the last that fitted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from random_tensors import chosen_names, rows_of_the_experiment, write_random

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "demo.toml"
BYTES = 1e9
OUT_OF_MEMORY = 3


def measure(name: str, batch_size: int, latent_size: int, precision: str, steps: int) -> dict:
    """Train on one tensor map in this process."""
    import keras

    from regreveal.models.ahead import Ahead
    from regreveal.models.autoencoder import build_autoencoder
    from regreveal.models.devices import backend_errors, computing, is_out_of_memory
    from regreveal.models.fitting import Batches
    from regreveal.models.loop import rows_of_step
    from regreveal.models.model_folder import JIT_COMPILE
    from regreveal.models.plan import TrainingPlan
    from regreveal.models.source import Source
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import find_tensor_map

    tensor_map = find_tensor_map(name)
    plan = TrainingPlan(precision=precision)
    with tempfile.TemporaryDirectory() as folder, computing(precision):
        store = TensorStore(folder)
        write_random(store, tensor_map, BYTES)
        source = Source(store, tensor_map, store.sample_ids(tensor_map.path))
        built = build_autoencoder(tensor_map.channelled_shape, latent_size, seed=1).autoencoder
        model = keras.Model(built.input, built.output)
        model.compile(
            plan.optimizer(2 * steps, 1e-3),
            "mean_squared_error",
            jit_compile=JIT_COMPILE,
            auto_scale_loss=False,
        )

        def batch(step: int):
            tensors = source.load(rows_of_step(len(source), batch_size, 1, step))
            return tensors, tensors

        with Ahead(batch, range(2 * steps)) as batches:
            try:
                for first in (0, steps):
                    batches.waited = 0.0
                    started = time.perf_counter()
                    model.fit(
                        Batches(range(first, first + steps), batches), shuffle=False, verbose=0
                    )
                    seconds = time.perf_counter() - started
            except backend_errors() as error:
                if not is_out_of_memory(error):
                    raise
                sys.exit(OUT_OF_MEMORY)
    return {
        "tensor map": name,
        "shape": " × ".join(map(str, tensor_map.channelled_shape)),
        "precision": precision,
        "device": keras.distribution.list_devices()[0],
        "batch": batch_size,
        "steps/s": f"{steps / seconds:.2f}",
        "samples/s": f"{steps * batch_size / seconds:.1f}",
        "waiting": f"{batches.waited / seconds:.1%}",
    }


def run(row: dict) -> dict | None:
    """Measure in a process of its own; None if memory did not suffice."""
    command = [sys.executable, __file__, "--here", json.dumps(row)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    # The system ends what takes more memory than there is without asking.
    if done.returncode in (OUT_OF_MEMORY, -9):
        return None
    if done.returncode:
        sys.exit(f"{row['name']}: ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def largest_batch(row: dict) -> int | None:
    """Double the batch until memory is at an end; None if not even one sample fits."""
    fitted, row = None, {**row, "batch_size": 1, "steps": 2}
    while run(row):
        fitted = row["batch_size"]
        row["batch_size"] *= 2
    return fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", type=Path, default=EXPERIMENT)
    parser.add_argument("--names", nargs="+", metavar="TENSOR_MAP", help="by default all")
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--steps", type=int, default=20, help="that are timed")
    parser.add_argument("--largest-batch", action="store_true")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(**json.loads(arguments.here))))
        return
    # All of a GPU's memory is asked for when it is needed, not at the start.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    rows = rows_of_the_experiment(arguments.experiment)
    measured = []
    for name in chosen_names(parser, arguments.names, rows):
        for precision in arguments.precision:
            row = {"name": name, **rows[name], "precision": precision, "steps": arguments.steps}
            found = run(row) or {"tensor map": name, "precision": precision, "steps/s": "no memory"}
            if arguments.largest_batch:
                found["largest batch"] = largest_batch(row)
            measured.append(found)
            print(found, file=sys.stderr, flush=True)
    print(pd.DataFrame(measured).to_string(index=False))


if __name__ == "__main__":
    main()
