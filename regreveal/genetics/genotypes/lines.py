"""Tables of one variant a line (.bim, .pvar), read a range of lines at a time.

They can have 40 million lines, of which a block needs a thousand: one pass remembers where every
4,096th line begins, and only lines that are asked for are parsed.
"""

import io
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.faults import FULL, explained

STRIDE = 4096
PIECE = 1 << 22

# Of so few lines, only they are parsed: splitting the others off costs less than parsing them.
FEW_LINES = 64

NEWLINE = 10


class LineTable:
    """A text table of whitespace-separated columns, indexed by line.

    Blank lines at the end do not count; the last line needs no newline, and lines may end in CRLF.

    Parameters
    ----------
    path : path-like
        A text file, or one compressed by Zstandard with a name ending in .zst, which is unpacked
        into a temporary file.
    header : callable, optional
        Given each line (bytes) from the first on, tells whether it belongs to the header, before
        the table; the header ends where it says no.

    Attributes
    ----------
    path : Path
    header : list of str
        Lines of the header.
    count : int
        Lines of the table.

    Raises
    ------
    InputError
        There is no such file, it cannot be unpacked, or it holds no line of a table.
    """

    def __init__(self, path: str | os.PathLike, header=lambda line: False):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file; it must stand beside the genotypes")
        self._file = self._unpacked() if self.path.suffix == ".zst" else self.path.open("rb")
        weakref.finalize(self, self._file.close)
        self._end = _end_of_text(self._file)
        self.header, begin = self._read_header(header)
        if begin >= self._end:
            raise InputError(f"{self.path.name}: the file is empty")
        self.count, self._starts = self._index(begin)
        self._kept = (None, None)

    def pieces(self) -> Iterator[tuple[int, int, bytes]]:
        """Go through the whole table: first line, line after the last, and their text."""
        for place in range(len(self._starts) - 1):
            start = place * STRIDE
            yield start, min(start + STRIDE, self.count), self._bytes(place)

    def width(self) -> int:
        """Columns of the first line."""
        return len(_fields(self._bytes(0).split(b"\n", 1)[0]))

    def columns(
        self, start: int, stop: int, places: dict[str, int], numbers: tuple[str, ...] = ()
    ) -> pd.DataFrame:
        """Parse some columns of a range of lines.

        Parameters
        ----------
        start, stop : int
            First line of the table and the one after the last, from 0.
        places : dict of str to int
            Name and place, from 0, of each column wanted.
        numbers : tuple of str
            Which of them are whole numbers (int64); others are text.

        Returns
        -------
        DataFrame
            Columns in the order of `places`; the index is the line.

        Raises
        ------
        InputError
            A line has too few columns, is not text, or its number is none; with its line number.
        """
        if start >= stop:
            types = {name: np.int64 if name in numbers else object for name in places}
            return pd.DataFrame({name: pd.Series(dtype=types[name]) for name in places})
        if stop - start <= FEW_LINES and not self._keeps(start // STRIDE, places, numbers):
            return self._parsed(start, stop, places, numbers)
        parts = []
        for stride in range(start // STRIDE, -(-stop // STRIDE)):
            first = stride * STRIDE
            table = self._stride(stride, places, numbers)
            parts.append(table.iloc[max(start - first, 0) : stop - first])
        # A copy, so that nobody's changes reach the lines that are kept.
        return parts[0].copy() if len(parts) == 1 else pd.concat(parts)

    def _unpacked(self) -> BinaryIO:
        import pyarrow as pa

        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        try:
            with pa.input_stream(str(self.path), compression="zstd") as packed:
                while piece := packed.read(PIECE):
                    unpacked.write(piece)
            unpacked.flush()
        except (OSError, pa.ArrowInvalid) as error:
            unpacked.close()
            if isinstance(error, OSError) and error.errno in FULL:
                raise explained(error, tempfile.gettempdir()) from None
            raise InputError(
                f"{self.path.name}: cannot be unpacked ({str(error).splitlines()[0]}); "
                "the file is damaged or not compressed by Zstandard"
            ) from None
        return unpacked

    def _read_header(self, belongs) -> tuple[list[str], int]:
        """Header lines, and the byte at which the table begins."""
        lines, begin = [], 0
        self._file.seek(0)
        while begin < self._end:
            line = self._file.readline(PIECE)
            if not belongs(line):
                break
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            begin += len(line)
        return lines, begin

    def _index(self, begin: int) -> tuple[int, np.ndarray]:
        """Lines from byte `begin` on, and where every `STRIDE`th begins, and where all end."""
        count, starts = 0, [np.array([begin])]
        for offset in range(begin, self._end, PIECE):
            piece = _read_at(self._file, offset, min(offset + PIECE, self._end))
            ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == NEWLINE)
            starts.append(offset + 1 + ends[-(count + 1) % STRIDE :: STRIDE])
            count += len(ends)
        # The text ends within a line, whose newline was left out.
        starts.append(np.array([self._end]))
        return count + 1, np.concatenate(starts)

    def _bytes(self, stride: int) -> bytes:
        return _read_at(self._file, int(self._starts[stride]), int(self._starts[stride + 1]))

    def _stride(
        self, stride: int, places: dict[str, int], numbers: tuple[str, ...]
    ) -> pd.DataFrame:
        """Parse `STRIDE` lines, or take them from the last call: blocks come in file order."""
        if not self._keeps(stride, places, numbers):
            start, stop = stride * STRIDE, min((stride + 1) * STRIDE, self.count)
            table = self._parsed(start, stop, places, numbers)
            self._kept = ((stride, tuple(places.items()), numbers), table)
        return self._kept[1]

    def _keeps(self, stride: int, places: dict[str, int], numbers: tuple[str, ...]) -> bool:
        """Whether the last lines parsed were those of this stride."""
        return self._kept[0] == (stride, tuple(places.items()), numbers)

    def _lines(self, start: int, stop: int) -> bytes:
        """Text of some lines."""
        first = start // STRIDE
        text = b"".join(self._bytes(stride) for stride in range(first, -(-stop // STRIDE)))
        if start == first * STRIDE and stop in (self.count, (first + 1) * STRIDE):
            return text
        lines = text.split(b"\n")[start - first * STRIDE : stop - first * STRIDE]
        # Each with its end, which may be of two characters.
        return b"\n".join([*lines, b""])

    def _parsed(
        self, start: int, stop: int, places: dict[str, int], numbers: tuple[str, ...]
    ) -> pd.DataFrame:
        in_order = sorted(places, key=places.get)
        text = self._lines(start, stop).replace(b"\r\n", b"\n")
        try:
            if b"\r" in text or b"\0" in text:
                raise ValueError("not text")
            table = pd.read_csv(
                io.BytesIO(text),
                sep=r"\s+",
                header=None,
                names=in_order,
                usecols=sorted(places.values()),
                dtype={name: np.int64 if name in numbers else str for name in places},
                na_filter=False,
                quoting=3,
                skip_blank_lines=False,
                low_memory=False,
            )
            texts = table[[name for name in places if name not in numbers]]
            # Where all lines lack a column, it is NaN throughout; where some do, it is empty there.
            if len(table) != stop - start or (texts.isna() | texts.eq("")).any(axis=None):
                raise ValueError("lines of unequal length")
            if any(table[name].dtype != np.int64 for name in numbers):
                raise ValueError("a number beyond 64 bits")
        except (ValueError, OverflowError):
            self._explain(text, start, places, numbers)
        table.index = pd.RangeIndex(start, stop)
        return table[list(places)]

    def _explain(
        self, text: bytes, start: int, places: dict[str, int], numbers: tuple[str, ...]
    ) -> None:
        """Raise the InputError that names the first line that cannot be read."""
        width = max(places.values()) + 1
        for line, content in enumerate(text.split(b"\n"), start + len(self.header) + 1):
            where = f"{self.path.name}: line {line}"
            try:
                content.decode()
            except UnicodeDecodeError:
                raise InputError(f"{where} is not UTF-8 text") from None
            if b"\r" in content or b"\0" in content:
                raise InputError(f"{where} has a control character; the file is damaged")
            fields = [field.decode() for field in _fields(content)]
            if len(fields) < width:
                raise InputError(
                    f"{where} has {len(fields)} columns; expected at least {width} columns "
                    "in every line"
                )
            for name in numbers:
                value = fields[places[name]]
                if not _is_int64(value):
                    raise InputError(f"{where}: {name} '{value}' is not a whole number")
        raise InputError(
            f"{self.path.name}: lines from {start + len(self.header) + 1} on are damaged"
        )


def _fields(line: bytes) -> list[bytes]:
    """Split a line at blanks and tabs, as the parser does; other white space is part of a field."""
    return [field for field in line.strip(b"\r\n").replace(b"\t", b" ").split(b" ") if field]


def _is_int64(value: str) -> bool:
    try:
        number = int(value)
    except ValueError:
        try:
            number = float(value)
        except ValueError:
            return False
        if not number.is_integer():
            return False
    return -(1 << 63) <= number < 1 << 63


def _read_at(file: BinaryIO, start: int, stop: int) -> bytes:
    return os.pread(file.fileno(), stop - start, start)


def _end_of_text(file: BinaryIO) -> int:
    """Size of the file without white space at its end."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(end - PIECE, 0)
        kept = len(_read_at(file, start, end).rstrip())
        if kept:
            return start + kept
        end = start
    return 0
