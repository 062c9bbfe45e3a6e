"""HDF5 files that others wrote, read without leaving them.

A link in HDF5 may lead to another file, a dataset may have its values in one, and a group may hold
itself. ml4h writes none of these: items are reached by hard links alone, and each is checked before
its values are read.
"""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from regreveal.ingest.files import PARSER_ERRORS, UnusableFileError

MAGIC = b"\x89HDF\r\n\x1a\n"


def holds(path: Path, names: Iterable[str]) -> bool:
    """Tell whether a file is HDF5 and has one of these at its root.

    A damaged HDF5 file that ends in .hd5 is taken to have one: reading it says what is wrong.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        with h5py.File(path, "r") as file:
            return any(file.get(name, getlink=True) is not None for name in names)
    except PARSER_ERRORS:
        return path.suffix == ".hd5"


def item(path: Path, parent: h5py.HLObject, name: str) -> h5py.HLObject | None:
    """Group or dataset below a group, None where there is none.

    Parameters
    ----------
    path : Path
        The file, for errors.
    parent : Group
    name : str
        With "/" between groups.

    Raises
    ------
    UnusableFileError
        If it is only linked to, from elsewhere in the file or from another file.
    """
    found = parent
    for part in name.split("/"):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise UnusableFileError(
                path, "unsafe file", "an HDF5 link; copy what it leads to into the file"
            )
        found = found[part]
    return found


def has_values(found: h5py.HLObject | None, most: int) -> bool:
    """Tell whether something is a dataset of 1 to `most` values in this file, of any type."""
    # The size of a dataset without a shape is None.
    return (
        isinstance(found, h5py.Dataset)
        and 0 < (found.size or 0) <= most
        and not found.external
        and not found.is_virtual
    )


def numbers(path: Path, found: h5py.HLObject, most: int) -> np.ndarray:
    """Values of a dataset of numbers.

    Parameters
    ----------
    path : Path
        The file, for errors.
    found : HLObject
    most : int
        Values it may have: a damaged or hostile size asks for terabytes.

    Raises
    ------
    UnusableFileError
        If it is something else, or has its values in another file.
    """
    if not has_values(found, most) or found.dtype.kind not in "iuf":
        raise UnusableFileError(
            path, "unreadable file", f"{found.name} is no dataset of 1 to {most} numbers"
        )
    return found[()]
