"""Faults of disks and of permissions, which a user can put right: one line each."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regreveal.errors import InputError

# Of writing more than there may be: on the disk, by the user's quota, in a single file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
# What file systems without locks answer: Lustre mounted without "flock", NFS without its daemon.
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


def explained(error: OSError, path: str | os.PathLike | None = None) -> InputError | None:
    """Say in one line what a user can do about an error of the system.

    Parameters
    ----------
    error : OSError
    path : path-like, optional
        What was being written, where the error does not say: a full disk is noticed in the middle
        of a file, whose name the system no longer tells.

    Returns
    -------
    InputError or None
        None for an error that is neither of space nor of permissions.
    """
    path = path or error.filename
    if path is None and error.errno in FULL:
        return InputError(
            f"a file cannot be written ({os.strerror(error.errno)}); make room where results go, "
            f"and in {tempfile.gettempdir()}, and run the same again: what is finished is kept"
        )
    if path is None:
        return None
    if error.errno in FULL:
        return InputError(
            f"{path}: cannot be written ({os.strerror(error.errno)}, {_free(Path(path))}); make "
            "room and run the same again: what is finished is kept"
        )
    if error.errno in DENIED:
        return InputError(
            f"{error.filename or path}: {os.strerror(error.errno)}; get access to it, or name "
            "another"
        )
    return None


@contextmanager
def explaining(path: str | os.PathLike) -> Iterator[None]:
    """Raise InputError for what `explained` explains of the block, which writes `path`."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) or error from None
    except RuntimeError as error:
        # What HDF5 raises where it fails to close a file, citing the error of the system.
        cited = re.search(r"errno = (\d+)", str(error))
        if cited is None:
            raise
        raise explained(OSError(int(cited[1]), ""), path) or error from None


def _free(path: Path) -> str:
    """Room on the disk that a file is on, or was to be on, in a unit that suits."""
    path = path.absolute()
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if free >= size:
            return f"{free / size:.1f} {unit} free"
    return f"{free / 1e3:.0f} kB free"
