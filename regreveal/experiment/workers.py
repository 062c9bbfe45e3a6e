"""Processes that run stages of a run which do not build on each other, two at a time.

A small network's step is divided badly over many cores: two trainings side by side, each with half
of the cores, are done well before the same two one after the other. On a GPU they would be in each
other's way, and there everything stays in the run's own process.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from regreveal.cluster import cluster_address, use_cluster
from regreveal.compute import available_cores, end_with_parent, out_of_reach_of_ctrl_c
from regreveal.errors import InputError
from regreveal.experiment.memory import forget_peak, peak_memory

AT_ONCE = 2


class Workers:
    """Two processes, started when they are first needed, that end with the block.

    They end, too, when the run is killed: an orphan would go on to write into a folder that a
    resumed run works in.
    """

    def __init__(self):
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[Future, str] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error) -> None:
        if self._pool is None:
            return
        for child in multiprocessing.active_children():
            child.kill()
        self._pool.shutdown(cancel_futures=True)

    def alone_is_better(self, accelerated: bool) -> bool:
        """Say whether stages should rather run one by one in the run's own process.

        Parameters
        ----------
        accelerated : bool
            Whether they use an accelerator if there is one.
        """
        if available_cores() < AT_ONCE:
            return True
        return accelerated and self._submit(_has_accelerator).result()

    @property
    def free(self) -> bool:
        """Whether a process has nothing to do."""
        return len(self._running) < AT_ONCE

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Let a process do a piece of work.

        Parameters
        ----------
        name : str
        work : callable
            What a process can be sent: a function of a module, a method, or a partial of these.
        """
        self._running[self._submit(measured, work)] = name

    def finished(self) -> Iterator[tuple[str, float, int | None]]:
        """Wait until some work is done; yield the name, seconds and peak MiB of each piece.

        Raises
        ------
        InputError
            If a process was killed. Whatever a piece of work raises is raised here.
        """
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            name = self._running.pop(future)
            yield name, *_result(future, name)

    def _submit(self, function: Callable, *arguments) -> Future:
        with out_of_reach_of_ctrl_c():
            return self._executor().submit(function, *arguments)

    def _executor(self) -> ProcessPoolExecutor:
        if self._pool is None:
            threads = max(1, available_cores() // AT_ONCE)
            # "spawn": a process that has TensorFlow's threads running must not be forked.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                AT_ONCE,
                context,
                initializer=_start_worker,
                initargs=(threads, os.getpid(), cluster_address()),
            )
        return self._pool


def _result(future: Future, name: str) -> tuple[float, int | None]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise InputError(
            f"{name}: a process of this run was killed, most often for want of memory; let it have "
            "more, or smaller batches, and run again: finished stages are kept"
        ) from error


def _start_worker(threads: int, parent: int, cluster: str | None) -> None:
    """End with the parent, and compute where it does, with half the cores."""
    end_with_parent(parent)
    use_cluster(cluster)
    # Read by the libraries when they are imported, which in this process is later.
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def _has_accelerator() -> bool:
    from regreveal.models import keras

    return not keras.distribution.list_devices()[0].startswith("cpu")


def measured(work: Callable[[], object]) -> tuple[float, int | None]:
    """Do a piece of work; give its seconds and, where the system tells, its peak in MiB."""
    known, started = forget_peak(), time.monotonic()
    work()
    return time.monotonic() - started, peak_memory() if known else None
