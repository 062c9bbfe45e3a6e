"""All checks; those that load much where they can do no harm to the others."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path

from regreveal.compute import end_with_parent, out_of_reach_of_ctrl_c
from regreveal.doctor import machine, software, storage
from regreveal.doctor.check import Check, Status, WrongResultError
from regreveal.doctor.software import NEW_ENVIRONMENT

SECONDS = 300  # in which a self-test that takes ten is over, though others keep the machine busy
GROUP = "self-tests"
ADVICE = {
    "beat alignment": f"SciPy or NumPy gives wrong results or is damaged; {NEW_ENVIRONMENT}",
    "planar registration": "OpenCV gives wrong results or is damaged; pip install "
    "--force-reinstall opencv-python-headless",
    "volume registration": "SimpleITK gives wrong results or is damaged; pip install "
    "--force-reinstall SimpleITK",
    "deformable registration": "VoxelMorph's packages do not work with this TensorFlow; pip "
    "install --force-reinstall voxelmorph==0.2 neurite==0.2 tf-keras, in the versions of "
    "constraints.txt",
    "training": "TensorFlow (or JAX) does not compute, save or load as it should: look at the "
    "driver and at KERAS_BACKEND, try CUDA_VISIBLE_DEVICES= (no GPU), and if that does not help, "
    f"{NEW_ENVIRONMENT}",
    "genotype files": "do not trust genotypes that are read here; pip install --force-reinstall "
    "bed-reader pgenlib isal pyarrow cyvcf2, in the versions of constraints.txt",
    "GWAS kernel": f"do not trust results of this installation: {NEW_ENVIRONMENT}",
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
    with Apart() as apart:
        yield from software.check_software()
        yield from software.check_isolation()
        yield from machine.check_processors()
        yield from machine.check_threads()
        yield from machine.check_memory()
        yield from machine.check_driver()
        if not quick:
            yield from _devices(apart)
        yield from storage.check_storage(folder, quick)
        yield from software.check_genotype_formats()
        if dask is not None:
            from regreveal.doctor.cluster import check_cluster

            yield from check_cluster(dask)
        if not quick:
            yield from run_self_tests(apart)


def run_self_tests(apart: "Apart") -> Iterator[Check]:
    """Do every self-test."""
    try:
        from regreveal.doctor.self_tests import SELF_TESTS
    except ImportError as error:
        found = f"cannot be done ({str(error).strip().partition(chr(10))[0]})"
        yield Check(GROUP, "all", found, Status.broken, NEW_ENVIRONMENT)
        return
    for name, self_test in SELF_TESTS.items():
        started = time.perf_counter()
        result, problem = apart.call(self_test)
        if problem is None:
            found = f"{result} ({time.perf_counter() - started:.1f} s)"
            yield Check(GROUP, name, found)
        else:
            yield Check(GROUP, name, problem, Status.broken, ADVICE[name])


class Apart:
    """A process in which functions are called in turn: what crashes there, ends only there.

    After a function that crashed or hung, the next has a new process; all others share one, since
    importing TensorFlow takes longer than most of them.
    """

    def __init__(self):
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def call(self, function: Callable, seconds: float = SECONDS) -> tuple[object, str | None]:
        """Call a function.

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
        if self._pool is None:
            # "spawn": a library that was loaded here must not decide about what is seen there.
            self._pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
            )
        with out_of_reach_of_ctrl_c():
            future = self._pool.submit(function)
        try:
            error = future.exception(timeout=seconds)
        except TimeoutError:
            for child in active_children():
                child.kill()
            self._end()
            return None, f"not done within {seconds:g} s"
        if error is None:
            return future.result(), None
        if isinstance(error, BrokenProcessPool):
            self._end()
            return None, "its process died: it crashed, or was killed because memory was at an end"
        first_line = str(error).strip().partition("\n")[0]
        if isinstance(error, WrongResultError):
            return None, first_line
        return None, f"{type(error).__name__}: {first_line}"

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _devices(apart: Apart) -> Iterator[Check]:
    checks, problem = apart.call(list_devices)
    if problem is None:
        yield from checks
    else:
        advice = ADVICE["training"]
        yield Check(machine.GROUP, "networks compute on", problem, Status.broken, advice)


def list_devices() -> list[Check]:
    """Look at the devices; a function of a module, as another process calls it."""
    return list(machine.check_devices())
