"""Tables as files may be, read without letting them grow far beyond what lies on disk.

Text packs to a tenth, and a column of parquet that says one thing of everybody to nearly nothing;
a file made to fill the memory packs to less than a thousandth of itself.
"""

import bz2
import gzip
import io
import lzma
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HIGHEST_RATIO = 100
RATIO_MATTERS_FROM = 1 << 28
PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a parquet file; raise ValueError once it has grown beyond all measure."""
    there, batches = 0, []
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                there += batch.nbytes
                check_unpacked(path, there)
                batches.append(batch)
            return pa.Table.from_batches(batches, file.schema_arrow).to_pandas()
    # Of text that is none, Arrow raises no error of Python's own.
    except pa.ArrowException as error:
        raise ValueError(f"{error}") from error


def read_text(path: Path, **options) -> pd.DataFrame:
    """Read a table of text, packed or not; raise ValueError once it has grown beyond all measure.

    Parameters
    ----------
    path : Path
    **options
        Of `pandas.read_csv`.
    """
    if path.suffix not in PACKED:
        return pd.read_csv(path, compression=None, **options)
    with PACKED[path.suffix](path) as stream:
        return pd.read_csv(io.BufferedReader(_Unpacked(stream, path)), **options)


class _Unpacked(io.RawIOBase):
    """What a packed file gives, as far as that is allowed."""

    def __init__(self, stream: io.BufferedIOBase, path: Path):
        self._stream, self._path, self._there = stream, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        count = self._stream.readinto(buffer)
        self._there += count
        check_unpacked(self._path, self._there)
        return count


def check_unpacked(path: Path, unpacked: int) -> None:
    """Raise ValueError if a file has given, or is to give, far more bytes than it has itself."""
    packed = path.stat().st_size
    if unpacked > max(RATIO_MATTERS_FROM, HIGHEST_RATIO * packed):
        raise ValueError(
            f"it unpacks to {unpacked / 2**20:,.0f} MB or more, from {packed / 2**20:,.1f} MB"
        )
