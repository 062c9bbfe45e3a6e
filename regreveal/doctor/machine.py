"""The machine: processors, memory, accelerators, and the variables that tell libraries of them."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from regreveal.compute import CGROUP, available_cores
from regreveal.doctor.check import Check, Status

GROUP = "machine"
GIB = 2**30
# The demo at its full size takes up to 6 GiB.
LITTLE_MEMORY = 6 * GIB
NVIDIA = Path("/proc/driver/nvidia/version")
# What each variable does, for those that are set.
THREAD_VARIABLES = {
    "OMP_NUM_THREADS": "threads of matrix products and of TensorFlow's operations",
    "OPENBLAS_NUM_THREADS": "threads of NumPy's matrix products, before OMP_NUM_THREADS",
    "MKL_NUM_THREADS": "threads of NumPy's matrix products where it has MKL",
    "NUMBA_NUM_THREADS": "most threads of the loops that Numba compiles",
    "TF_NUM_INTRAOP_THREADS": "threads within one operation of TensorFlow",
    "TF_NUM_INTEROP_THREADS": "operations of TensorFlow at once",
    "OPENCV_FOR_THREADS_NUM": "threads of OpenCV",
}
OTHER_VARIABLES = {
    "KERAS_BACKEND": "what networks compute with",
    "CUDA_VISIBLE_DEVICES": "GPUs that may be used; empty for none",
    "HDF5_USE_FILE_LOCKING": "whether HDF5 locks the files of a store",
}


def check_processors() -> Iterator[Check]:
    """Look at the cores this process may use: of the machine, by affinity, by quota."""
    machine, usable = os.cpu_count() or 1, available_cores()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    found = f"{usable} cores to use, of {machine}"
    if usable < affinity:
        found += " (a container's quota)"
    elif affinity < machine:
        found += " (by affinity)"
    yield Check(GROUP, "processors", found)
    if usable < affinity and "OMP_NUM_THREADS" not in os.environ:
        yield Check(
            GROUP,
            "threads and quota",
            f"libraries start {affinity} threads for {usable} cores' worth of time",
            Status.warning,
            f"set OMP_NUM_THREADS={usable}: libraries see the machine's cores, not the quota, and "
            "threads without a core wait for each other",
        )


def check_threads(environment: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Look at the variables that say how many threads there are, and where networks compute."""
    cores = available_cores()
    for name, meaning in THREAD_VARIABLES.items():
        if name not in environment:
            continue
        value = environment[name]
        found = f"{value}: {meaning}"
        if not value.isdigit() or int(value) < 1:
            advice = f"unset {name}, or set it to a number from 1 to {cores}"
            yield Check(GROUP, name, found, Status.warning, advice)
        elif int(value) > cores:
            advice = f"set {name}={cores}: more threads than cores wait for each other"
            yield Check(GROUP, name, found, Status.warning, advice)
        elif name == "OMP_NUM_THREADS" and int(value) == 1 < cores:
            advice = (
                f"unset it for one training or one GWAS at a time, which then use {cores} cores; "
                "leave it where a scheduler starts a process for each core"
            )
            yield Check(GROUP, name, found, Status.warning, advice)
        else:
            yield Check(GROUP, name, found)
    for name, meaning in OTHER_VARIABLES.items():
        if name in environment:
            yield Check(GROUP, name, f"{environment[name] or 'empty'}: {meaning}")


def check_memory() -> Iterator[Check]:
    """Look at the machine's memory, and at what a control group leaves of it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    usable = machine if limit is None else min(machine, limit)
    found = f"{usable / GIB:.1f} GiB"
    if usable < machine:
        found += f" (a control group's limit; the machine has {machine / GIB:.1f})"
    if usable < LITTLE_MEMORY:
        advice = (
            "the demo and images need 6 GiB: allow this process more, or look before a run at what "
            "each stage would take, with `regreveal run EXPERIMENT --out RUN --dry-run`"
        )
        yield Check(GROUP, "memory", found, Status.warning, advice)
    else:
        yield Check(GROUP, "memory", found)


def memory_limit(cgroup: Path = CGROUP, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that this process's control groups allow it; None where there is no limit.

    A group's limit holds for those within it, so the least of a group and those around it counts.
    A container sees its own group as the root; a scheduler's job is named by its membership.

    Parameters
    ----------
    cgroup : Path
        Where control groups are mounted.
    membership : Path
        A file as /proc/self/cgroup: lines of number, controllers and path, with ":" between.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    limits = []
    for _, controllers, path in lines:
        if controllers == "":  # version 2
            root, file = cgroup, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = cgroup / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        for group in (own, *own.parents):
            if not group.is_relative_to(root):
                break
            if (group / file).is_file():
                text = (group / file).read_text().strip()
                limits.append(math.inf if text == "max" else int(text))
    least = min(limits, default=math.inf)
    # Version 1 writes the largest number of whole pages where there is no limit.
    return None if least >= 2**62 else int(least)


def check_driver() -> Iterator[Check]:
    """Look whether there is a driver of NVIDIA, without loading any library."""
    if NVIDIA.is_file():
        version = NVIDIA.read_text().partition("\n")[0].removeprefix("NVRM version: ")
        yield Check(GROUP, "GPU driver", " ".join(version.split()))


def check_devices() -> Iterator[Check]:
    """Look at the devices that Keras's backend computes on; loads the backend."""
    from regreveal.models import keras

    backend = keras.backend.backend()
    devices = keras.distribution.list_devices()
    found = f"{', '.join(devices)} ({backend})"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if NVIDIA.is_file() and not hidden and all(name.startswith("cpu") for name in devices):
        package = "jax[cuda12]" if backend == "jax" else "tensorflow[and-cuda]"
        advice = (
            f"the machine has a GPU that {backend} does not see: pip install '{package}' of the "
            "version installed, and look whether `nvidia-smi` lists it (in a container, start that "
            "with --gpus all)"
        )
        yield Check(GROUP, "networks compute on", found, Status.warning, advice)
    else:
        yield Check(GROUP, "networks compute on", found)
