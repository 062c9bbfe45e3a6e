"""A Dask cluster whose workers are jobs of SLURM, for the --dask option of RegReveal's commands.

    python slurm/dask_workers.py --queue cpu --account biobank --jobs 20

starts a scheduler where it runs (a login node, or a small job of its own) and prints its address;
jobs of workers are submitted as there is work, and end when there is none. It needs dask-jobqueue
(`pip install dask-jobqueue`) and what sbatch needs. Ctrl-C ends it all; --show submits
nothing and shows what a job would be.
"""

import argparse
import contextlib
import threading
from collections.abc import Sequence

from dask_jobqueue import SLURMCluster


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A Dask cluster of SLURM jobs.")
    parser.add_argument("--queue", help="partition of SLURM; by default SLURM's own default")
    parser.add_argument("--account", help="whom SLURM charges; by default SLURM's own default")
    parser.add_argument("--jobs", type=int, default=10, help="most jobs at a time (10)")
    parser.add_argument("--cores", type=int, default=16, help="of a job, a worker each (16)")
    parser.add_argument("--memory", default="128GiB", help="of a job, shared by workers (128GiB)")
    parser.add_argument("--hours", type=int, default=8, help="of a job (8)")
    parser.add_argument(
        "--first", action="append", default=[], help="line of shell a job begins with"
    )
    parser.add_argument("--scratch", default="$TMPDIR", help="folder on a node's disk ($TMPDIR)")
    parser.add_argument("--interface", help="network between nodes, such as ib0")
    # On a login node that is shared, Dask's usual one is likely to be somebody else's.
    parser.add_argument("--port", type=int, default=0, help="of the scheduler (any that is free)")
    parser.add_argument("--show", action="store_true", help="print a job's script and end")
    return parser.parse_args(arguments)


def make_cluster(options: argparse.Namespace) -> SLURMCluster:
    """Start a scheduler that can submit jobs of workers."""
    return SLURMCluster(
        queue=options.queue,
        account=options.account,
        walltime=f"{options.hours:02d}:00:00",
        cores=options.cores,
        processes=options.cores,  # of one thread each
        memory=options.memory,
        local_directory=options.scratch,
        log_directory="dask_logs",
        interface=options.interface,
        job_script_prologue=[
            *options.first,
            # Each worker has a core; TensorFlow would take all of them in every one.
            "export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1",
        ],
        # Workers leave before SLURM kills them, and not all at once.
        worker_extra_args=[
            *("--lifetime", f"{options.hours * 60 - 20}m"),
            *("--lifetime-stagger", "10m"),
        ],
        scheduler_options={"port": options.port, "dashboard_address": None},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Keep a cluster until Ctrl-C."""
    options = parse(arguments)
    with make_cluster(options) as cluster:
        if options.show:
            print(cluster.job_script())
            return
        cluster.adapt(minimum_jobs=1, maximum_jobs=options.jobs)
        print(f"--dask {cluster.scheduler_address}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
