"""BGZF: gzip in blocks, so that tabix can jump into a table and parts can be joined end to end."""

import struct
import zlib

# Fewer bytes than a block may hold (2¹⁶), so that even what does not compress fits; as htslib's.
_BLOCK_BYTES = 0xFF00

# zlib's fastest. On tables of statistics, which are mostly random digits, the usual level 6 takes
# six times as long and saves 7 to 10 %.
_LEVEL = 1

# Fixed part of a block's header: gzip's, without time or system, then the extra field "BC" of two
# bytes, whose value is the block's size less one.
_HEADER = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"

BGZF_END = _HEADER + struct.pack("<H", 27) + b"\x03\0" + bytes(8)
"""The empty block that says that a file is whole; nothing may come after it."""


def bgzf(text: bytes) -> bytes:
    """Compress into whole BGZF blocks, without the end marker.

    What is compressed in parts, wherever that is, can be joined end to end: `BGZF_END` closes the
    file. The same text always gives the same bytes.

    Parameters
    ----------
    text : bytes

    Returns
    -------
    bytes
        Empty where `text` is.

    References
    ----------
    SAM/BAM format specification, section 4.1.
    """
    return b"".join(
        _block(text[start : start + _BLOCK_BYTES]) for start in range(0, len(text), _BLOCK_BYTES)
    )


def _block(text: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(text) + compressor.flush()
    size = len(_HEADER) + 2 + len(packed) + 8
    return (
        _HEADER
        + struct.pack("<H", size - 1)
        + packed
        + struct.pack("<II", zlib.crc32(text), len(text))
    )
