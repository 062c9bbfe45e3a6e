"""Where work runs: in this process, or on this machine's cores."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from regreveal.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use (a container's limit, not the machine's size)."""
    return len(os.sched_getaffinity(0))


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    description: str,
    workers: int | None = None,
) -> Iterator[Result]:
    """Apply `function` to each item, over several processes, in the order of the items.

    At most two items a worker are in flight, so memory does not grow with their number.

    Parameters
    ----------
    function : callable
        A function of a module (worker processes import it by name).
    items : iterable
        Drawn from as results are taken.
    description : str
        For the progress shown.
    workers : int, optional
        Processes; by default one a core. With 1, everything runs in this process.

    Yields
    ------
    object
        `function(item)`, whose exceptions are raised here.
    """
    workers = workers or available_cores()
    total = len(items) if hasattr(items, "__len__") else None
    results = map(function, items) if workers == 1 else _in_processes(function, items, workers)
    yield from track(results, description, total=total)


def _in_processes(function, items, workers) -> Iterator:
    # "spawn": a process that has TensorFlow's threads running must not be forked.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread_each)
    with pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _one_thread_each() -> None:
    """Keep a worker's linear algebra to one thread: the other cores have workers of their own."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
