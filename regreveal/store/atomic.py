"""Files appear whole or not at all, and one writer at a time makes what must be made by one."""

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from regreveal.errors import InputError
from regreveal.store.faults import NO_LOCKS, explained, explaining

# Twelve random digits, as `atomic_path`, the shards of a store and a biobank in the making have
# them; what the report draws into; folders in the making (but ".unfinished", a GWAS that goes on).
UNFINISHED = re.compile(r"\.(.+\.)?[0-9a-f]{12}(\..+)?|\.figures-\w{8}|\..+\.unfinished")
WHOLE, DECIDED_BY = "whole", "decided_by"  # in a folder that a killed process is to go on with


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there; raise InputError where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder}: is a file; expected a folder") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None


def check_folder(folder: Path) -> None:
    """Raise InputError where results cannot be put, before the hours that they may take.

    Parameters
    ----------
    folder : Path
        That they are to lie in; it may not be there yet.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{there}: is a file; expected a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there}: cannot be written to ({os.strerror(errno.EACCES)})")


def check_file(path: Path) -> None:
    """Raise InputError where a file of results cannot be put, before the hours that it may take."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write")
    check_folder(path.parent)


@contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` if the block succeeds.

    A killed process leaves at most a hidden temporary file, which no reader looks at; the suffix
    is kept, for writers that choose the format by it.

    Parameters
    ----------
    target : path-like
        Where the finished file is to be. Its folder is created.

    Yields
    ------
    Path
        The temporary file to write.

    Raises
    ------
    InputError
        There can be no such file: a folder has its name, a file that of its folder, the disk is
        full, or the folder cannot be written to.
    """
    target = Path(target)
    if target.is_dir():
        raise InputError(f"{target}: is a folder; expected a file to write")
    make_folder(target.parent)
    suffix = "".join(target.suffixes)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}{suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        # Before the free space is told: how much there was for the file.
        temporary.unlink(missing_ok=True)
        if error.filename in (str(temporary), temporary):
            error.filename = str(target)
        raise explained(error, target) or error from None
    finally:
        temporary.unlink(missing_ok=True)


def write_json(content: object, path: str | os.PathLike) -> None:
    """Write a small JSON file, whole or not at all, that people can read, too."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


@contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder beside `target`; let it take the place of `target` on success.

    Another process that makes the same meanwhile is refused; what a killed one left is removed.

    Parameters
    ----------
    target : path-like
        Where the finished folder is to be. What is there stays until the block succeeds.

    Yields
    ------
    Path
        The temporary folder, which does not exist yet.

    Raises
    ------
    InputError
        The disk is full, the folder cannot be written to, or another process makes it.
    """
    target = Path(target)
    temporary, lock = (target.with_name(f".{target.name}.{end}") for end in ("unfinished", "lock"))
    with locked(lock, wait=False, place=target):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with explaining(target):
                yield temporary
                if target.exists():
                    shutil.rmtree(target)
                os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            lock.unlink(missing_ok=True)


def resumable(target: Path) -> Path:
    """Where what is to be a folder grows, and is kept if the process that makes it is killed."""
    return target.with_name(f".{target.name}.resumable")


@contextmanager
def resumed_folder(target: str | os.PathLike, decided_by: str) -> Iterator[Path]:
    """Make a folder as `atomic_folder` does, from where a process that was killed had come to.

    Parameters
    ----------
    target : path-like
        Where the finished folder is to be. What is there stays until the block succeeds.
    decided_by : str
        Fingerprint of everything that decides the content: what was begun of another is removed.

    Yields
    ------
    Path
        A folder, in which `WHOLE` is the folder that is to become `target`; whatever else is put
        beside that goes when it does. If the block does not succeed, it is left for the next
        process, unless it holds no file yet.

    Raises
    ------
    InputError
        As `atomic_folder` does.
    """
    target = Path(target)
    work, lock = resumable(target), target.with_name(f".{target.name}.lock")
    with locked(lock, wait=False, place=target):
        try:
            with explaining(target):
                _begin_or_go_on(work, target, decided_by)
                yield work
                if target.exists():
                    os.replace(target, work / "earlier")
                os.replace(work / WHOLE, target)
                shutil.rmtree(work)
        finally:
            if not any(path.is_file() for path in work.glob("*/**/*")):
                shutil.rmtree(work, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _begin_or_go_on(work: Path, target: Path, decided_by: str) -> None:
    whole, noted = work / WHOLE, work / DECIDED_BY
    same = noted.is_file() and noted.read_bytes() == decided_by.encode()
    if same and not whole.exists() and target.exists():
        os.replace(target, whole)  # it had been finished, which nobody came to know
    if same and whole.exists():
        remove_unfinished(work)
        return
    if work.exists():
        warnings.warn(
            f"{target}: what was begun there is of other inputs or options; it is begun anew",
            stacklevel=4,
        )
        shutil.rmtree(work)
    whole.mkdir(parents=True)
    with atomic_path(noted) as temporary:
        temporary.write_text(decided_by)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    Nobody may be writing into it.
    """
    for path in list(folder.rglob(".*")):
        if not UNFINISHED.fullmatch(path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with its folder


def place_for_folder(target: Path) -> Path:
    """Say where a folder is to be made, links followed, that takes the place of an empty one.

    Raises
    ------
    InputError
        It is one that cannot be replaced, which would be noticed only after the work.
    """
    if target.is_symlink():
        target = target.resolve()
    if target.is_dir() and (os.path.ismount(target) or target.samefile(Path.cwd())):
        raise InputError(
            f"{target}: is the working directory, or where a disk is mounted; name a folder in it"
        )
    return target


@contextmanager
def new_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Give a folder to write results into; it becomes `target`, whole, if the block succeeds.

    Parameters
    ----------
    target : path-like
        Not there yet, or an empty folder: beside files of an earlier call, nobody could tell which
        belong together.

    Yields
    ------
    Path
        The folder to write into.

    Raises
    ------
    InputError
        There is something already, or nothing can be written there.
    """
    target = place_for_folder(Path(target))
    make_folder(target.parent)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file; expected a folder for the results")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target}: holds files already; choose another folder, or empty it")
    with atomic_folder(target) as folder:
        folder.mkdir()
        yield folder


@contextmanager
def locked(path: str | os.PathLike, wait: bool = True, place: Path | None = None) -> Iterator[None]:
    """Hold a lock; the system releases it if the process dies.

    Parameters
    ----------
    path : path-like
        The lock file, by custom a hidden one. Its folder is created.
    wait : bool
        Wait for whoever holds it.
    place : Path, optional
        What it is of; by default its folder.

    Raises
    ------
    InputError
        As `take_lock` does.
    """
    with take_lock(path, wait, place) as lock:
        yield
        lock.truncate(0)


def take_lock(path: str | os.PathLike, wait: bool = True, place: Path | None = None) -> TextIO:
    """Take a lock, which is held until the file that is given back is closed.

    The lock is not the file, which stays and says who has it, but the system's, which releases it
    when the process ends, however that comes: none is ever stale.

    Parameters
    ----------
    path, wait, place
        As of `locked`.

    Raises
    ------
    InputError
        The folder cannot be written to, or its file system has no locks; or another process holds
        the lock, and `wait` is False.
    """
    path = Path(path)
    make_folder(path.parent)
    try:
        lock = path.open("a+")
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written to ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        with lock:
            lock.seek(0)
            holder = lock.read().strip() or "its number is not known"
        raise InputError(
            f"{place or path.parent}: another process is writing there ({holder}); wait for it, "
            "or choose another folder"
        ) from None
    except OSError as error:
        lock.close()
        if error.errno not in NO_LOCKS:
            raise
        raise InputError(
            f"{path.parent}: this file system has no locks ({error.strerror}); choose a folder on "
            "another, or have it mounted with them (Lustre: -o flock)"
        ) from None
    if not _is_still_there(lock, path):
        lock.close()
        return take_lock(path, wait, place)
    with explaining(path):
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
    return lock


def _is_still_there(lock: TextIO, path: Path) -> bool:
    """Say whether a lock is of the file that others find: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False
