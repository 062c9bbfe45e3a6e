"""One training step and one embedding of every row of the paper's Table 1, at full size.

    python benchmarks/running/full_size.py    # every arm of experiments/paper_table1.toml
    python benchmarks/running/full_size.py dxa.dxa_2 --batch-size 8

Each tensor map gets a process of its own, which builds the autoencoder of the experiment, takes two
steps on random tensors (the first compiles) and embeds one participant. Memory is the peak of the
process's resident size, less what Python and its libraries take before the model is built; beside
it stands what `regreveal run --dry-run` estimates.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "paper_table1.toml"


def measure(name: str, batch_size: int, latent_size: int) -> dict:
    """Take steps on one tensor map in this process."""
    import keras

    from regreveal.experiment.estimates import measure_network
    from regreveal.models.autoencoder import build_autoencoder
    from regreveal.models.model_folder import JIT_COMPILE
    from regreveal.tensormap import find_tensor_map

    shape = find_tensor_map(name).channelled_shape
    keras.ops.zeros(1)
    before = peak_gigabytes()
    models = build_autoencoder(shape, latent_size)
    network = measure_network(models.autoencoder)
    models.autoencoder.compile(
        keras.optimizers.Adam(), "mean_squared_error", jit_compile=JIT_COMPILE
    )
    models.encoder.compile(jit_compile=JIT_COMPILE)
    tensors = np.random.default_rng(0).standard_normal((batch_size, *shape), np.float32)
    step, loss = min(timed(models.autoencoder.train_on_batch, tensors, tensors) for _ in range(2))
    after_step = peak_gigabytes()
    embedding, latents = min(
        (timed(models.encoder.predict_on_batch, tensors[:1]) for _ in range(2)),
        key=lambda measured: measured[0],
    )
    if not (np.isfinite(loss) and np.isfinite(latents).all()):
        sys.exit(f"{name}: loss or latents are not finite")
    return {
        "tensor map": name,
        "shape": " × ".join(map(str, shape)),
        "weights": f"{network.weights:,}",
        "batch": batch_size,
        "step (s)": f"{step:.2f}",
        "memory (GB)": f"{after_step - before:.2f}",
        "estimate (GB)": f"{network.training_bytes(batch_size) / 1e9:.2f}",
        "embedding (s)": f"{embedding:.3f}",
    }


def timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def rows_of_the_experiment() -> dict[str, tuple[int, int]]:
    """Batch and latent size of each tensor map that an arm's autoencoder takes."""
    from regreveal.experiment.experiment_file import load_experiment

    arms = load_experiment(EXPERIMENT).arms.values()
    return {
        arm.tensor_map: (arm.autoencoder.batch_size, arm.autoencoder.latent_size) for arm in arms
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="TENSOR_MAP", help="by default all")
    parser.add_argument("--batch-size", type=int, help="instead of the experiment's")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = rows_of_the_experiment()
    measured = []
    for name in arguments.names or rows:
        batch_size, latent_size = rows[name]
        batch_size = arguments.batch_size or batch_size
        if arguments.here:
            print(json.dumps(measure(name, batch_size, latent_size)))
            return
        command = [sys.executable, __file__, name, "--here", "--batch-size", str(batch_size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: ended with status {done.returncode}; a smaller --batch-size may fit")
        measured.append(json.loads(done.stdout.splitlines()[-1]))
        print(measured[-1], file=sys.stderr, flush=True)
    print(pd.DataFrame(measured).to_string(index=False))


if __name__ == "__main__":
    main()
