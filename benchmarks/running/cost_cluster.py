"""How long a GWAS takes on a cluster: its blocks simulated one by one, as queues serve them.

    python benchmarks/running/cost_cluster.py simulate FOLDER  # with the constants of cost.py
    python benchmarks/running/cost_cluster.py check FOLDER     # beside a cluster of 1 and 2 workers

A block is drawn up by the head once fewer than four a worker are under way, its genotypes come from
a file server that all workers share, its sums are made by a worker, and its lines go back to the
head, which writes blocks in their order. Each worker first gets the latents: one from the head, the
others from those that have them. Workers die at random; a dead one's block goes to the next that is
free, and it comes back after a while and is sent the latents again.
"""

import argparse
import heapq
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cost import COVARIATES, Constants, bed_bytes, shipped_bytes, variant_seconds

from regreveal.cluster import AHEAD
from regreveal.genetics.scan import unit_size

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.genetics.speed import write_genotypes, write_people

HOUR = 3600.0


@dataclass(frozen=True)
class Cluster:
    """What a cluster has.

    Attributes
    ----------
    workers : int
        Processes of one thread each.
    disk, network : float
        Bytes a second: of the file server, for all workers together; and of the head's own line.
    deaths : float
        Of a worker, an hour.
    away : float
        Seconds until a dead worker is back.
    latency : float
        Seconds of scheduler and line that a block takes beside its bytes.
    """

    workers: int
    disk: float = 1.25e9
    network: float = 1.25e9
    deaths: float = 0.0
    away: float = 60.0
    latency: float = 0.01


@dataclass(frozen=True)
class Work:
    """What a GWAS asks of it: `blocks`, and of each seconds and bytes.

    Attributes
    ----------
    blocks : int
    read, result : float
        Bytes of a block's genotypes, and of what comes back.
    sums, written : float
        Seconds of a worker, and of the head.
    latents : float
        Bytes that each worker is sent first.
    """

    blocks: int
    read: float
    result: float
    sums: float
    written: float
    latents: float

    @classmethod
    def of(cls, constants: Constants, people: int, dimensions: int, variants: int) -> "Work":
        """Give the work of a scan."""
        size = unit_size(people)
        return cls(
            -(-variants // size),
            bed_bytes(people, size),
            constants.row * size,
            size * variant_seconds(constants, people, dimensions),
            constants.head,
            shipped_bytes(constants, people, dimensions),
        )


class Line:
    """What serves one after the other: a file server, a network line, the head."""

    def __init__(self):
        self.free, self.busy = 0.0, 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Tell when what comes now, and takes so long, is done."""
        self.free = max(self.free, now) + seconds
        self.busy += seconds
        return self.free


def simulate(work: Work, cluster: Cluster, seed: int = 0) -> dict[str, float]:
    """Follow every block of a scan.

    Parameters
    ----------
    work : Work
    cluster : Cluster
    seed : int
        Of the workers' deaths.

    Returns
    -------
    dict
        seconds, and those until the first block is written; the share of them that disk, network,
        head and workers are busy; and blocks that were done again.
    """
    generator = np.random.default_rng(seed)
    disk, network, head = Line(), Line(), Line()
    lives = HOUR / cluster.deaths if cluster.deaths else np.inf
    sending = work.latents / cluster.network
    free = []  # of each worker: when it is free, its number, when it dies
    for worker in range(cluster.workers):
        # Those that have the latents give them on: each round twice as many have them.
        ready = sending * (1 + int(np.log2(worker + 1)))
        free.append((ready, worker, ready + _lifetime(generator, lives)))
    heapq.heapify(free)
    most, following, redo = AHEAD * cluster.workers, iter(range(work.blocks)), []
    back: dict[int, float] = {}
    taken: list[float] = []  # when the head took each block's lines, which lets it draw another up
    worked = again = 0
    while len(taken) < work.blocks:
        now, worker, dies = heapq.heappop(free)
        lost_at, block = redo.pop() if redo else (0.0, next(following))
        drawn_up = taken[block - most] if block >= most else 0.0
        started = max(now, lost_at, drawn_up) + cluster.latency
        done = disk.serve(started, work.read / cluster.disk) + work.sums
        if done > dies:
            again += 1
            redo.append((dies, block))
            ready = dies + cluster.away + sending
            heapq.heappush(free, (ready, worker, ready + _lifetime(generator, lives)))
            continue
        heapq.heappush(free, (done, worker, dies))
        worked += work.sums
        back[block] = network.serve(done, work.result / cluster.network)
        while len(taken) in back:
            taken.append(head.serve(back.pop(len(taken)), work.written))
    seconds = head.free
    return {
        "seconds": seconds,
        "first": taken[0],
        "disk": disk.busy / seconds,
        "network": network.busy / seconds,
        "head": head.busy / seconds,
        "workers": worked / seconds / cluster.workers,
        "again": again,
    }


def _lifetime(generator: np.random.Generator, mean: float) -> float:
    return generator.exponential(mean) if np.isfinite(mean) else np.inf


def show(of: Constants, people: int, variants: int, dimensions: int) -> None:
    """Print time against workers, for two file servers, and with workers that die."""
    work = Work.of(of, people, dimensions, variants)
    print(work)
    print("workers  GB/s  deaths/h   hours  workers busy  disk  network   head  again")
    for disk in (1.25e9, 5e9):
        for workers in (2, 16, 32, 64, 128, 256, 512, 1024):
            for deaths in (0.0, 0.1):
                result = simulate(work, Cluster(workers, disk=disk, deaths=deaths))
                shares = [100 * result[name] for name in ("workers", "disk", "network", "head")]
                print(
                    f"{workers:7}  {disk / 1e9:4.2f}  {deaths:8}  {result['seconds'] / HOUR:6.2f}"
                    f"  {shares[0]:10.0f} %  {shares[1]:3.0f} %  {shares[2]:5.1f} % "
                    f"{shares[3]:5.1f} %  {result['again']:5}"
                )


def measured(folder: Path, workers: int) -> tuple[float, int]:
    """Seconds from the first block that is written to the last, on a cluster of this machine."""
    from distributed import LocalCluster

    from regreveal.cluster import on_cluster
    from regreveal.genetics.gwas import run_gwas
    from regreveal.genetics.output.files import ResultFiles

    written, add_unit = [], ResultFiles.add_unit

    def note(files, parts, counts):
        add_unit(files, parts, counts)
        written.append(time.perf_counter())

    ResultFiles.add_unit = note
    (genotypes,) = folder.glob("*.bed")
    files = folder / "embedding.parquet", genotypes, folder / "covariates.parquet"
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        LocalCluster(**options) as cluster,
        on_cluster(cluster.scheduler_address),
        tempfile.TemporaryDirectory(dir=folder) as out,
    ):
        run_gwas(*files, out, dtype="float32", examine=False)
    ResultFiles.add_unit = add_unit
    return written[-1] - written[0], len(written)


SPIN = """
import time
started = time.perf_counter()
while time.process_time() < 3:
    sum(range(10_000))
print((time.perf_counter() - started) / 3)
"""


def pace(processes: int) -> float:
    """Seconds that so many processes wait for one of a core: more than 1 where others work."""
    spinning = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return float(np.mean([float(process.communicate()[0]) for process in spinning]))


def check(of: Constants, people: int, dimensions: int, variants: int) -> None:
    """Print what is simulated of a cluster of this machine beside what it took.

    Cores are taken to be as fast as others leave them, just before and after.
    """
    work = Work.of(of, people, dimensions, variants)
    with tempfile.TemporaryDirectory() as folder:
        write_people(Path(folder), people, dimensions, COVARIATES)
        write_genotypes(Path(folder), people, variants, "population")
        for workers in (1, 2):
            paces = [pace(workers)]
            took, blocks = measured(Path(folder), workers)
            paces.append(pace(workers))
            slow = float(np.mean(paces))
            slowed = replace(work, sums=slow * work.sums, written=slow * work.written)
            result = simulate(slowed, Cluster(workers))
            expected = result["seconds"] - result["first"]
            print(
                f"{workers} workers, {blocks} blocks: simulated {expected:.1f} s, measured "
                f"{took:.1f} s, {100 * (expected / took - 1):+.0f} %; a second of a core takes "
                f"{paces[0]:.1f} and {paces[1]:.1f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["simulate", "check"])
    parser.add_argument("folder", type=Path, help="with constants.json of cost.py")
    parser.add_argument("--people", type=int)
    parser.add_argument("--dimensions", type=int)
    parser.add_argument("--variants", type=int)
    options = parser.parse_args()
    constants = Constants(**json.loads((options.folder / "constants.json").read_text()))
    if options.what == "simulate":
        people, dimensions = options.people or 500_000, options.dimensions or 256
        show(constants, people, options.variants or 40_000_000, dimensions)
    else:
        people, dimensions = options.people or 20_000, options.dimensions or 64
        check(constants, people, dimensions, options.variants or 65_536)


if __name__ == "__main__":
    main()
