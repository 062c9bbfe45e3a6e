"""How files of a run folder are read: strictly, and what is wrong is said in one line."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.table_files import check_unpacked

# The last two where an array promises more than there is memory, and of what is nested too deep.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, MemoryError, RecursionError)

ROWS_AT_ONCE = 2**18


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Turn whatever a reader says of a missing or damaged file into one line."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; the run is not whole, let `regreveal run` go on")
    try:
        yield path
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        what = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read ({what}); delete it and let `regreveal run` make it again"
        ) from error


@contextlib.contextmanager
def reading_arrays(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Open what `numpy.savez` wrote; raise InputError where it is damaged or has no measure."""
    with reading(path):
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, sum(entry.file_size for entry in archive.infolist()))
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays


def read_json(path: Path, *keys: str) -> dict:
    """Read a JSON file that has certain keys."""
    with reading(path):
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no names and values")
    for key in keys:
        if key not in content:
            raise InputError(f"{path}: no '{key}' in it; made by another version of RegReveal?")
    return content


def read_tsv(path: Path, columns: str | Sequence[str], dtype: dict | None = None) -> pd.DataFrame:
    """Read a table that has certain columns; text that is not there is empty, not NaN."""
    columns = columns.split() if isinstance(columns, str) else list(columns)
    separator = "," if path.suffix == ".csv" else "\t"
    with reading(path):
        there = _columns_with(path, separator, columns)
        texts = [name for name in _TEXT if name in there and name not in (dtype or {})]
        table = pd.read_csv(path, sep=separator, dtype=dict.fromkeys(texts, str) | (dtype or {}))
    return table.fillna(dict.fromkeys(texts, ""))


def tsv_parts(path: Path, columns: str, dtype: dict) -> Iterator[pd.DataFrame]:
    """Read certain columns of a table that may be too long for memory, some rows at a time."""
    wanted = columns.split()
    with reading(path):
        _columns_with(path, "\t", wanted)
        yield from pd.read_csv(path, sep="\t", usecols=wanted, dtype=dtype, chunksize=ROWS_AT_ONCE)


def _columns_with(path: Path, separator: str, needed: Sequence[str]) -> pd.Index:
    """Columns of a table, which must have some."""
    there = pd.read_csv(path, sep=separator, nrows=0).columns
    for column in needed:
        if column not in there:
            raise InputError(
                f"{path}: no column '{column}' (there are: {', '.join(map(str, there))})"
            )
    return there


_TEXT = (
    "arm", "from", "to", "target", "metric", "reason", "stage", "chromosome", "variant_id", "ref",
    "alt", "nearest_gene", "gene", "trait", "phecode", "name", "category",
)  # fmt: skip
