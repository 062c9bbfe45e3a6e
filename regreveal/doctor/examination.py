"""All checks, each where it can do no harm to the others."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path

from regreveal.doctor import machine, software, storage
from regreveal.doctor.check import Check, Status, WrongResultError

SECONDS = 120  # in which a self-test that takes ten is over on any machine
GROUP = "self-tests"
ADVICE = {
    "beat alignment": "SciPy or NumPy gives wrong results or is damaged; install RegReveal again "
    "into a new environment",
    "planar registration": "OpenCV gives wrong results or is damaged; pip install "
    "--force-reinstall opencv-python-headless",
    "training": "TensorFlow (or JAX) does not compute, save or load as it should: look at the "
    "driver and at KERAS_BACKEND, try CUDA_VISIBLE_DEVICES= (no GPU), and install RegReveal "
    "again into a new environment",
    "GWAS kernel": "do not trust results of this installation: install RegReveal again into a new "
    "environment, with the versions of constraints.txt",
}


def examine(folder: Path, quick: bool = False, dask: str | None = None) -> Iterator[Check]:
    """Look at everything; yield each finding as it is made.

    Parameters
    ----------
    folder : Path
        Where data and runs are to lie.
    quick : bool
        Load no heavy library and leave the self-tests out.
    dask : str, optional
        Address of a Dask scheduler to look at, too.
    """
    yield from software.check_software()
    yield from software.check_isolation()
    yield from machine.check_processors()
    yield from machine.check_threads()
    yield from machine.check_memory()
    yield from machine.check_driver()
    if not quick:
        yield from _devices()
    yield from storage.check_storage(folder, quick)
    yield from software.check_genotype_formats()
    if dask is not None:
        from regreveal.doctor.cluster import check_cluster

        yield from check_cluster(dask)
    if not quick:
        yield from run_self_tests()


def run_self_tests() -> Iterator[Check]:
    """Do every self-test in a process of its own: what crashes there, ends only there."""
    from regreveal.doctor.self_tests import SELF_TESTS

    for name, self_test in SELF_TESTS.items():
        started = time.perf_counter()
        result, problem = apart(self_test)
        if problem is None:
            found = f"{result} ({time.perf_counter() - started:.1f} s)"
            yield Check(GROUP, name, found)
        else:
            yield Check(GROUP, name, problem, Status.broken, ADVICE[name])


def apart(function: Callable, seconds: float = SECONDS) -> tuple[object, str | None]:
    """Call a function in a new process.

    Parameters
    ----------
    function : callable
        Without arguments, of a module.
    seconds : float
        After which it is ended.

    Returns
    -------
    result : object
        What it returned; None if it failed.
    problem : str or None
        In a line, how it failed: by an exception, by its process dying, or by taking too long.
    """
    # "spawn": a library that was loaded here must not decide about what is seen there.
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    future = pool.submit(function)
    try:
        error = future.exception(timeout=seconds)
    except TimeoutError:
        for child in active_children():
            child.kill()
        return None, f"not done within {seconds:g} s"
    finally:
        pool.shutdown()
    if error is None:
        return future.result(), None
    if isinstance(error, BrokenProcessPool):
        return None, "its process died: it crashed, or was killed because memory was at an end"
    first_line = str(error).strip().partition("\n")[0]
    if isinstance(error, WrongResultError):
        return None, first_line
    return None, f"{type(error).__name__}: {first_line}"


def _devices() -> Iterator[Check]:
    checks, problem = apart(list_devices)
    if problem is None:
        yield from checks
    else:
        advice = ADVICE["training"]
        yield Check(machine.GROUP, "networks compute on", problem, Status.broken, advice)


def list_devices() -> list[Check]:
    """Look at the devices, in a process of its own."""
    return list(machine.check_devices())
