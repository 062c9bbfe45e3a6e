"""Where work runs: in this process, on this machine's cores, or on a cluster."""

import contextlib
import ctypes
import math
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import TypeVar

from regreveal.cluster import (
    cluster_address,
    cluster_map,
    compute_with_one_thread,
    is_piece_of_cluster,
)
from regreveal.errors import InputError
from regreveal.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

CGROUP = Path("/sys/fs/cgroup")
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl(2)


def available_cores() -> int:
    """Cores that this process may use, at least one.

    These are the machine's, less those it is kept from: by its affinity, where the system has
    that, or by a container's quota, which the affinity does not show. A part of a core counts as
    a core. A piece of work on a Dask cluster has one: the others have workers of their own.
    """
    if is_piece_of_cluster():
        return 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _container_quota(CGROUP)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _container_quota(cgroup: Path) -> float | None:
    """Cores' worth of time that a control group is allowed; None where there is no limit.

    Version 2 says "quota period", in microseconds, with "max" for no limit; version 1 has a file
    for each, with -1 for no limit (docs.kernel.org: admin-guide/cgroup-v2, scheduler/sched-bwc).
    """
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
    except OSError:
        return None
    return None if quota in ("max", "-1") else int(quota) / int(period)


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    description: str,
    workers: int | None = None,
) -> Iterator[Result]:
    """Apply `function` to each item, over several processes, in the order of the items.

    At most two items a worker are in flight, so memory does not grow with their number. Within
    `regreveal.cluster.on_cluster` the workers of a Dask cluster do it all.

    Parameters
    ----------
    function : callable
        A function of a module (worker processes import it by name); goes to every worker once,
        with whatever data it holds.
    items : iterable
        Drawn from as results are taken.
    description : str
        For the progress shown.
    workers : int, optional
        Processes of this machine; by default one a core, and never more than there are items.
        With 1, everything runs in this process.

    Yields
    ------
    object
        `function(item)`, whose exceptions are raised here.
    """
    workers = workers or available_cores()
    total = len(items) if hasattr(items, "__len__") else None
    if total is not None:
        workers = max(1, min(workers, total))
    if address := cluster_address():
        results = cluster_map(function, items, address)
    elif workers == 1:
        results = map(function, items)
    else:
        results = _in_processes(function, items, workers)
    yield from track(results, description, total=total)


def _in_processes(function, items, workers) -> Iterator:
    # "spawn": a process that has TensorFlow's threads running must not be forked.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start_worker, initargs=(function, os.getpid())
    )
    pending, finished = deque(), False
    try:
        for item in items:
            with out_of_reach_of_ctrl_c():
                pending.append(pool.submit(_work_on, item))
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        finished = True
    except BrokenProcessPool as error:
        raise InputError(
            "a process of this command was killed, most often for want of memory; let it have "
            "more, and run the same again"
        ) from error
    finally:
        # Who breaks off, as by Ctrl-C, must not wait for what is still being worked on.
        pool.shutdown(wait=finished, cancel_futures=not finished)


@contextlib.contextmanager
def out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C, which a terminal sends to all of a command's processes, not reach new ones.

    It is for the parent to answer. From their first instruction on: a process that ignores it
    later would print a traceback of its imports until then.
    """
    # It would be started within, and undo this.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(parent: int) -> None:
    """Let this process be killed when the one that started it ends, however that comes.

    A killed process's workers would otherwise wait for ever, or go on writing. Linux only.

    Parameters
    ----------
    parent : int
        Process number of the one that started this.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before
        os._exit(1)


def _start_worker(function: Callable[[Item], Result], parent: int) -> None:
    """Keep what a worker does for every item."""
    end_with_parent(parent)
    _of_this_worker.append(function)
    compute_with_one_thread()


_of_this_worker: list[Callable] = []


def _work_on(item: Item) -> Result:
    return _of_this_worker[-1](item)
