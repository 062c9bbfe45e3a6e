"""Whole runs on a Dask cluster whose workers die, hang and lose their scheduler: the same tables.

    python benchmarks/running/cluster_faults.py FOLDER [quiet|deaths|slow|restart ...]

makes a small experiment on this machine and, once for each kind of fault, by `regreveal run --dask`
on a scheduler and two worker processes of its own. It prints what happened and whether every table,
embedding and registered tensor holds the same bytes or, where not, the largest difference.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from distributed import Client

from regreveal.compute import available_cores

EXPERIMENT = """
title = "Small, on a cluster"
seed = 3

[data.simulate]
participants = 240
variants = 1000

[splits]
train = 0.2
validation = 0.1
analysis = 0.7

[autoencoder]
latent_size = 4
steps = 8
batch_size = 16

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }

[comparisons.alignment]
baseline = "native"
against = "registered"

[gwas]
covariates = ["age", "sex", "pc_1"]

[phewas]
covariates = ["age", "sex"]
null = ["labels"]
null_repeats = 10
"""

PORT = 8796
ADDRESS = f"tcp://127.0.0.1:{PORT}"
SECONDS_BETWEEN_FAULTS = 4.0
# These tell how long the run took.
TIMES = {"table2.tsv", "table-05-what-it-took.tsv"}


class Cluster:
    """A scheduler and workers as a user would start them."""

    def __init__(self, folder: Path):
        self.log = (folder / "cluster.log").open("a")
        self.folder = folder
        self.start()
        self.client = Client(ADDRESS, timeout=30, set_as_default=False)
        self.client.wait_for_workers(2, timeout=60)

    def start(self) -> None:
        """Start scheduler and workers."""
        self.scheduler = self._start("scheduler", "--port", str(PORT), "--no-dashboard")
        time.sleep(2)
        self.workers = self._start(
            "worker", ADDRESS, "--nworkers", "2", "--nthreads", "1", "--no-dashboard",
            "--local-directory", str(self.folder),
        )  # fmt: skip

    def _start(self, *arguments: str) -> subprocess.Popen:
        command = [Path(sys.executable).with_name("dask"), *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def processes(self) -> list[int]:
        """Numbers of the workers' processes."""
        return list(self.client.run(os.getpid).values())

    def restart_scheduler(self) -> None:
        """Kill the scheduler, with which its workers end, and start anew at the same address."""
        self.scheduler.kill()
        self.scheduler.wait()
        self.workers.wait()
        self.start()

    def is_at_work(self) -> bool:
        """Say whether workers have pieces to do."""
        return any(self.client.processing().values())

    def close(self) -> None:
        """End all of it."""
        self.client.close(timeout=1)
        for process in (self.workers, self.scheduler):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.log.close()


def run(experiment: Path, out: Path, *options: str) -> tuple[int, str, float]:
    """Run `regreveal run`; give its status, the last line it said and its seconds."""
    started = time.monotonic()
    command = [Path(sys.executable).with_name("regreveal"), "run", experiment, "--out", out]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    (out.parent / f"{out.name}.log").open("a").write(done.stdout + done.stderr)
    return done.returncode, (done.stderr or "\n").splitlines()[-1], time.monotonic() - started


def make_faults(
    kind: str, cluster: Cluster, out: Path, stop: threading.Event, told: list[str]
) -> None:
    """Make faults of a kind until told to stop.

    Kill a worker every four seconds, hold one of them for two of every four, or start the scheduler
    anew, once, while workers are at the analyses of a comparison.
    """
    if kind == "restart":
        while not stop.wait(0.02):
            if (out / "comparisons").exists() and cluster.is_at_work():
                cluster.restart_scheduler()
                told.append("scheduler started anew")
                return
        return
    chosen = random.Random(1)
    held = cluster.processes()[0]
    while not stop.wait(SECONDS_BETWEEN_FAULTS / 2):
        try:
            if kind == "deaths":
                stop.wait(SECONDS_BETWEEN_FAULTS / 2)
                os.kill(chosen.choice(cluster.processes()), signal.SIGKILL)
                told.append("killed")
            elif kind == "slow":
                os.kill(held, signal.SIGSTOP)
                stop.wait(SECONDS_BETWEEN_FAULTS / 2)
                os.kill(held, signal.SIGCONT)
                told.append("held")
        except (OSError, IndexError, KeyError):  # it is being started again
            continue


def compare(here: Path, there: Path) -> str:
    """Say how many files are the same, and name those that are not."""
    files = {p.relative_to(here) for p in here.rglob("*") if wanted(p.relative_to(here))}
    others = {p.relative_to(there) for p in there.rglob("*") if wanted(p.relative_to(there))}
    told = [f"{len(files)} files"]
    for name in sorted(files ^ others):
        told.append(f"only in one: {name}")
    same = 0
    for name in sorted(files & others):
        if (here / name).read_bytes() == (there / name).read_bytes():
            same += 1
        else:
            told.append(f"{name}: {difference(here / name, there / name)}")
    return "; ".join([told[0], f"{same} the same bytes", *told[1:]])


def wanted(name: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    tables = {".tsv", ".gz", ".parquet", ".h5", ".tbi"}
    return name.suffix in tables and not hidden and name.name not in TIMES


def difference(one: Path, other: Path) -> str:
    """Largest difference of two files' numbers, where that can be told."""
    if one.suffix == ".h5":
        with h5py.File(one) as a, h5py.File(other) as b:
            same = all(np.array_equal(a[key][()], b[key][()], equal_nan=False) for key in a)
            return "same arrays in another container" if same else "arrays differ"
    if one.suffix == ".parquet":
        a, b = pd.read_parquet(one), pd.read_parquet(other)
    else:
        a, b = (pd.read_csv(path, sep="\t") for path in (one, other))
    if a.shape != b.shape:
        return f"{a.shape} and {b.shape}"
    numbers = a.select_dtypes("number").columns
    texts = a.drop(columns=numbers).equals(b.drop(columns=numbers))
    largest = np.nanmax(np.abs(a[numbers].to_numpy(float) - b[numbers].to_numpy(float)), initial=0)
    return f"largest difference {largest:.2g}{'' if texts else ', and texts differ'}"


def main(folder: Path, kinds: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    experiment = folder / "small.toml"
    experiment.write_text(EXPERIMENT)
    print(f"{available_cores()} cores")
    here = folder / "here"
    if not (here / "report.html").exists():
        status, last, seconds = run(experiment, here)
        print(f"this machine: status {status}, {seconds:.0f} s; {last}", flush=True)
    for kind in kinds:
        out = folder / kind
        shutil.rmtree(out, ignore_errors=True)
        cluster, stop, told = Cluster(folder), threading.Event(), []
        faults = threading.Thread(target=make_faults, args=(kind, cluster, out, stop, told))
        if kind != "quiet":
            faults.start()
        status, last, seconds = run(experiment, out, "--dask", ADDRESS)
        print(f"{kind}: status {status}, {seconds:.0f} s; {last}", flush=True)
        if status:
            status, last, seconds = run(experiment, out, "--dask", ADDRESS)
            print(f"{kind}, run again: status {status}, {seconds:.0f} s; {last}", flush=True)
        stop.set()
        if faults.ident:
            faults.join()
            print(f"{kind}: {len(told)} times {told[0] if told else 'nothing'}")
        cluster.close()
        print(f"{kind}: {compare(here, out)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2:] or ["quiet", "deaths", "slow", "restart"])
