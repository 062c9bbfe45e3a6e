"""The folder of data and runs: room, rights, locks, and how fast a store is written and read."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from regreveal.doctor.check import Check, Status
from regreveal.doctor.software import install_again
from regreveal.errors import InputError

GROUP = "storage"
GIB, MIB = 2**30, 2**20
LITTLE_ROOM = {"folder": 20 * GIB, "temporary": GIB}
# MiB a second below which a training that reads by batch waits for the disk.
SLOW = 50
SIZE, QUICK_SIZE = 64 * MIB, 4 * MIB


def check_storage(folder: Path, quick: bool) -> Iterator[Check]:
    """Look at a folder that is to hold data and runs, and at the one for temporary files.

    Parameters
    ----------
    folder : Path
        A store is written into a temporary folder within, read, and removed.
    quick : bool
        Write little, which tells whether it works but hardly how fast.
    """
    yield _room("folder", folder, "choose another with --folder, or make room")
    yield _temporary()
    yield from _store(folder, QUICK_SIZE if quick else SIZE, tell_speed=not quick)


def _room(name: str, folder: Path, advice: str) -> Check:
    title = f"room in {folder.resolve()}"
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(GROUP, title, f"cannot be read ({error.strerror})", Status.broken, advice)
    found = f"{free / GIB:.1f} GiB free"
    if free < LITTLE_ROOM[name]:
        expected = f"; expected {LITTLE_ROOM[name] / GIB:.0f} or more"
        return Check(GROUP, title, found + expected, Status.warning, advice)
    return Check(GROUP, title, found)


def _temporary() -> Check:
    advice = "set TMPDIR to a folder with room that you may write to"
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:  # what Python says where none of the usual ones can be written to
        found = "no folder that can be written to"
        return Check(GROUP, "temporary files", found, Status.broken, advice)
    return _room("temporary", folder, advice)


def _store(folder: Path, size: int, tell_speed: bool) -> Iterator[Check]:
    try:
        with tempfile.TemporaryDirectory(prefix=".regreveal-doctor-", dir=folder) as temporary:
            written, read, same = measure_store(Path(temporary), size)
    except InputError as error:  # the disk is full
        advice = f"make room in {folder.resolve()}, or choose another with --folder"
        found = str(error).partition(": ")[2].partition("; ")[0]
        yield Check(GROUP, "store", found, Status.broken, advice)
        return
    except ImportError as error:
        found = f"h5py or NumPy cannot be imported ({str(error).strip().partition(chr(10))[0]})"
        yield Check(GROUP, "store", found, Status.broken, install_again("numpy", "h5py"))
        return
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        advice = (
            "choose a folder that you may write to, with --folder; if it is one of a network file "
            "system without locks, mount it with them (or set HDF5_USE_FILE_LOCKING=FALSE where "
            "only HDF5 complains)"
        )
        yield Check(GROUP, "store", f"cannot be written ({reason})", Status.broken, advice)
        return
    if not same:
        advice = "what was read is not what was written: use no such disk; ask who runs it"
        yield Check(GROUP, "store", "damaged while written or read", Status.broken, advice)
    elif not tell_speed:
        yield Check(GROUP, "store", "written and read")
    else:
        found = f"written at {written:.0f} MiB/s, read at {read:.0f} MiB/s"
        if min(written, read) < SLOW:
            advice = (
                f"below {SLOW} MiB/s trainings wait for tensors: copy the store to a local disk, "
                "or let the training keep them in memory"
            )
            yield Check(GROUP, "store", found, Status.warning, advice)
        else:
            yield Check(GROUP, "store", found)


def measure_store(folder: Path, size: int) -> tuple[float, float, bool]:
    """Write and read a store of ECG-like tensors.

    Parameters
    ----------
    folder : Path
        An empty one.
    size : int
        Bytes of all tensors together.

    Returns
    -------
    written, read : float
        MiB a second, to the disk and from it, not from what the system keeps in memory.
    same : bool
        Whether what was read is what was written.
    """
    import numpy as np

    from regreveal.store.tensors import TensorStore

    shape = (2500, 8)
    people = max(2, size // (4 * shape[0] * shape[1]))
    tensors = np.random.default_rng(0).standard_normal((people, *shape), dtype=np.float32)
    ids = [f"p{number}" for number in range(people)]
    store = TensorStore(folder / "store")
    started = time.perf_counter()
    shard = store.write("doctor/noise", tensors, ids, units="mV")
    with shard.open("rb") as file:
        os.fsync(file.fileno())
        written = time.perf_counter() - started
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    started = time.perf_counter()
    found = store.read("doctor/noise", ids)
    read = time.perf_counter() - started
    mebibytes = tensors.nbytes / MIB
    return mebibytes / written, mebibytes / read, bool(np.array_equal(found, tensors))
