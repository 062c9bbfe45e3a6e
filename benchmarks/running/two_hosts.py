"""One training by two processes, as on two hosts: what one process learns, and what is left of it.

    python benchmarks/running/two_hosts.py FOLDER

trains an autoencoder of simulated ECGs by `regreveal train` on JAX: for some steps, and to the end,
in one process and in two that share each batch; and in two again that are killed after their first
epoch and started anew. One and two add up in other orders: rounding, which grows with steps.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

REGREVEAL = Path(sys.executable).with_name("regreveal")
ADDRESS = "127.0.0.1:12377"
FEW, ALL = (1, 5, 20), 200  # steps


def prepare(folder: Path) -> list[str]:
    """Simulate people, divide and register them; give the arguments of the training."""
    data, splits, registered = folder / "data", folder / "splits.tsv", folder / "ecg"
    shares = ["--train", "0.6", "--validation", "0.2", "--analysis", "0.2"]
    medians = ["--from", "ecg.rest_10s", "--to", "ecg.median", "--out", registered]
    if not registered.exists():
        commands = [
            ["simulate", data, "--participants", "150", "--variants", "200", "--modality", "ecg"],
            ["split", "--cohort", data / "cohort.tsv", "--out", splits, *shares],
            ["register", "QRSAlignment", "--store", data / "tensors", *medians],
        ]
        for command in commands:
            subprocess.run([REGREVEAL, *command], check=True)
    store = ["--store", registered / "registered", "--splits", splits]
    return ["train", "ecg.median", *store, "--batch-size", "16"]


def start(training: list[str], out: Path, hosts: int) -> list[subprocess.Popen]:
    """Start a training in so many processes."""
    processes = []
    for place in range(hosts):
        environment = os.environ | {
            "KERAS_BACKEND": "jax",
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": ADDRESS,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(hosts),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(place),
        }
        devices = ["--devices", "all" if hosts > 1 else "1"]
        log = (out.parent / f"{out.name}-{place}.log").open("a")
        processes.append(
            subprocess.Popen(
                [REGREVEAL, *training, "--out", out, *devices],
                env=environment, stdout=log, stderr=log,
            )
        )  # fmt: skip
    return processes


def train(training: list[str], out: Path, hosts: int) -> None:
    """Train to the end."""
    started = time.monotonic()
    statuses = [process.wait() for process in start(training, out, hosts)]
    seconds = time.monotonic() - started
    print(f"{out.name}: {hosts} processes, status {statuses}, {seconds:.0f} s", flush=True)


def difference(one: Path, other: Path) -> str:
    """Say how far two trainings' losses and best weights are apart."""
    from regreveal.models.model_folder import load_model

    histories = [pd.read_csv(path / "history.csv") for path in (one, other)]
    losses = [table[["loss", "validation_loss"]].to_numpy() for table in histories]
    apart = np.max(np.abs(losses[1] / losses[0] - 1))
    models = [load_model(path, "autoencoder") for path in (one, other)]
    flat = [np.concatenate([w.ravel() for w in model.get_weights()]) for model in models]
    largest, size = np.max(np.abs(flat[1] - flat[0])), np.sqrt(np.mean(flat[0] ** 2))
    return f"losses differ by up to {apart:.1e} of them, weights by {largest:.1e} (rms {size:.2g})"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    training = prepare(folder)
    for steps in FEW:
        one, two = folder / f"one-{steps}", folder / f"two-{steps}"
        train([*training, "--steps", str(steps)], one, 1)
        train([*training, "--steps", str(steps)], two, 2)
        print(f"two for one, {steps} steps: {difference(one, two)}", flush=True)
    training += ["--steps", str(ALL)]
    one, two, killed = (folder / name for name in ("one", "two", "killed"))
    train(training, one, 1)
    train(training, two, 2)
    processes = start(training, killed, 2)
    while not (killed / "history.csv").exists():
        time.sleep(0.05)
    for process in processes:
        process.kill()
        process.wait()
    epochs = len(pd.read_csv(killed / "history.csv"))
    print(f"killed: both processes, after epoch {epochs}")
    train(training, killed, 2)
    print(f"two for one, {ALL} steps: {difference(one, two)}")
    print(f"killed for two: {difference(two, killed)}")
    facts = [json.loads((path / "model.json").read_text()) for path in (one, two)]
    print(f"explained variance: {[round(each['explained_variance'], 5) for each in facts]}")
    print(f"files of two: {sorted(path.name for path in two.iterdir())}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
