"""Files appear whole or not at all, and one writer at a time makes what must be made by one."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regreveal.errors import InputError


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there; raise InputError where there can be none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder}: is a file; expected a folder") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None


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
        There can be no such file: a folder has its name, or a file that of its folder.
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
    finally:
        temporary.unlink(missing_ok=True)


def write_json(content: object, path: str | os.PathLike) -> None:
    """Write a small JSON file, whole or not at all, that people can read, too."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


@contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder beside `target`; let it take the place of `target` on success.

    What a killed process left of it is removed, so only one process at a time may make a target.

    Parameters
    ----------
    target : path-like
        Where the finished folder is to be. What is there stays until the block succeeds.

    Yields
    ------
    Path
        The temporary folder, which does not exist yet.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        yield temporary
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    target = Path(target)
    make_folder(target.parent)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file; expected a folder for the results")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target}: holds files already; choose another folder, or empty it")
    with atomic_folder(target) as folder:
        folder.mkdir()
        yield folder


@contextmanager
def locked(path: str | os.PathLike, wait: bool = True) -> Iterator[None]:
    """Hold a lock; the system releases it if the process dies.

    Parameters
    ----------
    path : path-like
        The lock file, by custom a hidden one. Its folder is created.
    wait : bool
        Wait for whoever holds it.

    Raises
    ------
    InputError
        The folder cannot be written to; or another process holds the lock, and `wait` is False.
    """
    path = Path(path)
    make_folder(path.parent)
    try:
        path.touch()
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written to ({error.strerror})") from None
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InputError(
                f"{path.parent}: another process is writing there; wait for it, or choose "
                "another folder"
            ) from None
        yield
