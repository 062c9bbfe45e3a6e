"""The header of a PLINK 2 .pgen file, checked before pgenlib reads by it.

pgenlib trusts the record lengths of a header. Here they must add up to the file, so that one cut
short is known as such before anything is read.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regreveal.errors import InputError

MAGIC = b"\x6c\x1b"
FIXED_LAYOUT = struct.Struct("<IIB")

# Storage modes, by the third byte.
PLINK_1 = (0x00, 0x01)
FIXED_WIDTH_BYTES_PER_SAMPLE = {0x02: 0, 0x03: 2, 0x04: 4}
FIXED_WIDTH_RECORD_TYPE = {0x02: 0x00, 0x03: 0x40, 0x04: 0xC0}
VARIABLE_WIDTH = 0x10
WITH_EXTENSIONS = 0x11
EXTERNAL_INDEX = (0x20, 0x21)
INDEX = (0x30, 0x31)

# The header describes records in blocks of this many.
HEADER_BLOCK = 1 << 16

# Bits of a record's type.
MULTIALLELIC = 0x08
DOSAGE = 0x60


@dataclass(frozen=True)
class PgenHeader:
    """What a .pgen says of itself.

    Attributes
    ----------
    variants, samples : int
        How many it holds.
    record_types : ndarray of uint8, shape (variants,)
        With `MULTIALLELIC` where a record tells several alternate alleles apart, `DOSAGE` where it
        holds dosages and not hard calls alone.
    """

    variants: int
    samples: int
    record_types: np.ndarray


def read_pgen_header(path: Path) -> PgenHeader:
    """Read the header and check that the records it describes fill the file.

    Parameters
    ----------
    path : Path
        The .pgen file.

    Returns
    -------
    PgenHeader

    Raises
    ------
    InputError
        It is no .pgen, its index is in another file, it is cut short or its header is damaged.

    References
    ----------
    PLINK 2 binary format, "The actual format" in pgenlib_misc.h of pgenlib 0.95.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(3)
        if len(start) < 3 or not start.startswith(MAGIC):
            raise InputError(
                f"{path.name}: not a PLINK 2 .pgen (starts with bytes {start.hex(' ')}, "
                f"expected {MAGIC.hex(' ')})"
            )
        mode = start[2]
        _check_mode(path, mode)
        counts = file.read(FIXED_LAYOUT.size)
        if len(counts) < FIXED_LAYOUT.size:
            raise _cut_short(path, size)
        variants, samples, control = FIXED_LAYOUT.unpack(counts)
        if not 0 < variants < 2**31 - 2 or not 0 < samples < 2**31 - 1:
            raise InputError(
                f"{path.name}: the header counts {variants} variants and {samples} samples; "
                "the file is empty or damaged"
            )
        if mode in FIXED_WIDTH_BYTES_PER_SAMPLE:
            flags = -(-variants // 8) if control >> 6 == 3 else 0
            width = -(-samples // 4) + samples * FIXED_WIDTH_BYTES_PER_SAMPLE[mode]
            _check_end(path, file.tell() + flags + variants * width, size, exact=True)
            types = np.full(variants, FIXED_WIDTH_RECORD_TYPE[mode], dtype=np.uint8)
            return PgenHeader(variants, samples, types)
        return _variable_width(path, file, mode, variants, samples, control, size)


def _check_mode(path: Path, mode: int) -> None:
    if mode in PLINK_1:
        raise InputError(f"{path.name}: a PLINK 1 .bed by its first bytes; name it .bed")
    if mode in EXTERNAL_INDEX:
        raise InputError(
            f"{path.name}: a .pgen with an external index (.pgen.pgi), which is not read; "
            "rewrite it with 'plink2 --make-pgen'"
        )
    if mode in INDEX:
        raise InputError(f"{path.name}: an index (.pgen.pgi), not the .pgen itself")
    if mode not in (*FIXED_WIDTH_BYTES_PER_SAMPLE, VARIABLE_WIDTH, WITH_EXTENSIONS):
        raise InputError(
            f"{path.name}: unknown storage mode {mode:#04x}; the file is damaged or of a newer "
            "version of the format"
        )


def _variable_width(
    path: Path, file: BinaryIO, mode: int, variants: int, samples: int, control: int, size: int
) -> PgenHeader:
    if control & 0x08 or control >> 4 & 3 > 1:
        raise InputError(
            f"{path.name}: header byte 12 is {control:#04x}, a layout that is not read; "
            "rewrite the file with 'plink2 --make-pgen'"
        )
    blocks = -(-variants // HEADER_BLOCK)
    starts = np.frombuffer(_read(path, file, 8 * blocks, size), dtype="<u8")
    place = int(starts[0])
    record_types = []
    for block, (types, lengths) in enumerate(_records(path, file, variants, control, size)):
        if int(starts[block]) != place:
            raise InputError(f"{path.name}: the header places records where none are; damaged")
        if types[0] & 0x06 == 0x02:
            raise InputError(f"{path.name}: the header's first record needs one before; damaged")
        record_types.append(types)
        place += int(lengths.sum(dtype=np.int64))
    if int(starts[0]) < file.tell():
        raise InputError(f"{path.name}: the header reaches into the records; damaged")
    _check_end(path, place, size, exact=mode == VARIABLE_WIDTH)
    return PgenHeader(variants, samples, np.concatenate(record_types))


def _records(
    path: Path, file: BinaryIO, variants: int, control: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Types and lengths of the records, block by block."""
    length_bytes = 1 + (control & 3)
    for first in range(0, variants, HEADER_BLOCK):
        count = min(HEADER_BLOCK, variants - first)
        if control & 4:
            types = np.frombuffer(_read(path, file, count, size), dtype=np.uint8)
        else:
            pairs = np.frombuffer(_read(path, file, -(-count // 2), size), dtype=np.uint8)
            types = np.column_stack([pairs & 15, pairs >> 4]).ravel()[:count]
        lengths = np.zeros((count, 4), dtype=np.uint8)
        stored = np.frombuffer(_read(path, file, count * length_bytes, size), dtype=np.uint8)
        lengths[:, :length_bytes] = stored.reshape(count, length_bytes)
        if control >> 4 & 3:
            file.seek(count, os.SEEK_CUR)
        if control >> 6 == 3:
            file.seek(-(-count // 8), os.SEEK_CUR)
        yield types, lengths.view("<u4")[:, 0]


def _read(path: Path, file: BinaryIO, count: int, size: int) -> bytes:
    if file.tell() + count > size:
        raise _cut_short(path, size)
    return file.read(count)


def _check_end(path: Path, end: int, size: int, *, exact: bool) -> None:
    if end > size:
        raise _cut_short(path, size)
    if exact and end != size:
        raise InputError(
            f"{path.name}: {size} bytes, but its records end at byte {end}; the file is damaged"
        )


def _cut_short(path: Path, size: int) -> InputError:
    return InputError(f"{path.name}: ends after {size} bytes, before its records do; cut short")
