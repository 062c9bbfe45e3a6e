"""What is inside a BGEN file of layout 2: where variants lie, and probabilities as dosages.

Sizes are checked before anything is read by them, so damaged files end in `DamagedError`.
"""

import math
import mmap
import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

COMPRESSIONS = ("none", "zlib", "zstd")

PREAMBLE = struct.Struct("<IHBB")
MISSING = 0x80
MAX_PLOIDY = 2

# Identifiers, position, number of alleles and block length, all texts empty.
SHORTEST_VARIANT = 16


class DamagedError(Exception):
    """A part of the file is not what the specification says, in words that follow a colon."""


class Block(NamedTuple):
    """Genotype data of one variant, unpacked but not decoded."""

    alleles: int
    ploidy: np.ndarray
    lowest: int
    highest: int
    phased: bool
    bits: int
    packed: np.ndarray


def find_variants(path: Path, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Walk from variant to variant over their genotypes.

    Parameters
    ----------
    path : Path
    start : int
        Byte at which the first variant begins.
    count : int
        Variants in the file.

    Returns
    -------
    offsets : ndarray of int64, shape (count + 1,)
        Where each begins, and the end of the file.
    alleles : ndarray of uint16, shape (count,)
        How many alleles each has.

    Raises
    ------
    DamagedError
        The file ends within a variant, or goes on after the last.
    """
    size = path.stat().st_size
    if count > (size - start) // SHORTEST_VARIANT:
        raise DamagedError(
            f"its header speaks of {count} variants, more than {size} bytes can hold"
        )
    offsets = np.empty(count + 1, dtype=np.int64)
    alleles = np.empty(count, dtype=np.uint16)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # Reading ahead would load the genotypes that the walk leaves out.
        data.madvise(mmap.MADV_RANDOM)
        bytes_ = np.frombuffer(data, np.uint8)
        found = _compiled()[0](bytes_, start, offsets, alleles)
        del bytes_
    if found < count or offsets[-1] > size:
        raise DamagedError(
            f"cut short or damaged: the header speaks of {count} variants, "
            f"of which {min(found, count - 1)} are whole"
        )
    if offsets[-1] < size:
        raise DamagedError(
            f"damaged: {size - offsets[-1]} bytes follow the last of the {count} variants that its "
            "header speaks of"
        )
    return offsets, alleles


def unpacked(data: memoryview, compression: str, samples: int, alleles: int) -> Block:
    """Decompress a variant's genotype data and check that it is as long as it must be.

    Parameters
    ----------
    data : memoryview
        What follows the length field of the block.
    compression : str
        One of `COMPRESSIONS`.
    samples, alleles : int
        As the file's header and the variant's description say.

    Returns
    -------
    Block

    Raises
    ------
    DamagedError
    """
    raw = _decompressed(data, compression, samples, alleles)
    if len(raw) < PREAMBLE.size + samples + 2:
        raise DamagedError("its genotypes are cut short")
    found_samples, found_alleles, lowest, highest = PREAMBLE.unpack_from(raw)
    if (found_samples, found_alleles) != (samples, alleles):
        raise DamagedError(
            f"its genotypes are of {found_samples} samples and {found_alleles} alleles, "
            f"expected {samples} and {alleles}"
        )
    if not lowest <= highest <= MAX_PLOIDY:
        raise DamagedError(f"ploidy {lowest} to {highest}; only 1 and 2 can be read")
    at = PREAMBLE.size + samples
    ploidy = np.frombuffer(raw, np.uint8, samples, PREAMBLE.size)
    phased, bits = raw[at], raw[at + 1]
    if phased > 1 or not 1 <= bits <= 32:
        raise DamagedError(f"phasing {phased} and {bits} bits a probability do not exist")
    packed = np.frombuffer(raw, np.uint8, offset=at + 2)
    return Block(alleles, ploidy, lowest, highest, bool(phased), bits, packed)


def alternate_dosages(block: Block, allele: int, places: np.ndarray, out: np.ndarray) -> None:
    """Fill in the expected copies of one allele, 0 to 2, with NaN where missing.

    A haploid call counts double. The sum is made from the stored integers and divided once, so
    that a dosage is the nearest float32 to what the file says; of the second of two alleles it is
    two less that of the first.

    Parameters
    ----------
    block : Block
    allele : int
        Which allele, from 0.
    places : ndarray of int64
        Samples wanted, by their place in the file.
    out : ndarray of float32, shape (places,)
        Filled with the dosages.

    Raises
    ------
    DamagedError
        Ploidies are not as stated, data are missing, or probabilities sum to more than one.
    """
    copies = block.ploidy & 63
    if copies.min() < block.lowest or copies.max() > block.highest:
        raise DamagedError(
            f"a sample has ploidy {copies.max()}, not within {block.lowest} to {block.highest}"
        )
    width = _stored_values(block.highest, block.alleles, block.phased)
    if block.lowest == block.highest:
        starts, total = np.empty(0, dtype=np.int64), width * len(copies)
    else:
        widths = [_stored_values(ploidy, block.alleles, block.phased) for ploidy in range(3)]
        counts = np.array(widths)[copies]
        ends = np.cumsum(counts)
        starts, total = ends - counts, int(ends[-1])
    if len(block.packed) < math.ceil(total * block.bits / 8):
        raise DamagedError("its genotypes are cut short")
    _, decode, decode_biallelic = _compiled()
    if block.alleles == 2 and block.bits in (8, 16):
        size = block.bits // 8
        # Copied, since numbers of two bytes need not lie at an even place.
        values = block.packed[: total * size].copy().view(f"<u{size}")
        right = decode_biallelic(block.ploidy, values, block.phased, starts, width, places, out)
        if allele == 1:
            np.subtract(2, out, out=out)
    else:
        right = decode(block, allele, starts, width, places, out)
    if not right:
        raise DamagedError("probabilities of a sample sum to more than one")


def _stored_values(ploidy: int, alleles: int, phased: bool) -> int:
    """Count the probabilities of a sample: all but the last of a haplotype, or of genotypes."""
    if phased:
        return ploidy * (alleles - 1)
    return math.comb(ploidy + alleles - 1, alleles - 1) - 1


def _decompressed(data: memoryview, compression: str, samples: int, alleles: int) -> bytes:
    if compression == "none":
        return bytes(data)
    if len(data) < 4:
        raise DamagedError("its genotypes are cut short")
    (size,) = struct.unpack_from("<I", data)
    most = max(_stored_values(MAX_PLOIDY, alleles, phased) for phased in (False, True))
    # Checked before memory is asked for: 32 bits a probability is the most there can be.
    if size > PREAMBLE.size + samples + 2 + 4 * samples * most:
        raise DamagedError(f"its genotypes would unpack to {size} bytes, more than they can fill")
    # ISA-L unpacks the same format at twice the speed of zlib, which bounds how fast BGEN is read.
    from isal import isal_zlib
    from pyarrow import ArrowException, Codec

    try:
        if compression == "zlib":
            raw = isal_zlib.decompress(data[4:], bufsize=max(size, 1))
        else:
            raw = Codec("zstd").decompress(data[4:], size, asbytes=True)
    except (isal_zlib.error, ArrowException, OSError) as error:
        raise DamagedError(f"its genotypes cannot be unpacked ({error})") from None
    if len(raw) != size:
        raise DamagedError(f"its genotypes unpack to {len(raw)} bytes, not to {size}")
    return raw


@cache
def _compiled():
    """Compile the loops; numba is imported only where genotypes are read."""
    import numba

    @numba.njit(nogil=True)
    def number(data, at, width):
        value = 0
        for i in range(width):
            value |= np.int64(data[at + i]) << (8 * i)
        return value

    @numba.njit(nogil=True)
    def walk(data, start, offsets, alleles):
        """Fill in offsets and numbers of alleles; the number of variants within the file."""
        at = start
        for variant in range(alleles.size):
            offsets[variant] = at
            for _ in range(3):
                if at + 2 > data.size:
                    return variant
                at += 2 + number(data, at, 2)
            if at + 6 > data.size:
                return variant
            count = number(data, at + 4, 2)
            at += 6
            for _ in range(count):
                if at + 4 > data.size:
                    return variant
                at += 4 + number(data, at, 4)
            if at + 4 > data.size or count == 0:
                return variant
            at += 4 + number(data, at, 4)
            alleles[variant] = count
        offsets[alleles.size] = at
        return alleles.size

    @numba.njit(nogil=True)
    def stored(packed, place, bits):
        if bits == 8:
            return np.int64(packed[place])
        if bits == 16:
            return np.int64(packed[2 * place]) | np.int64(packed[2 * place + 1]) << 8
        bit = place * bits
        shift = bit & 7
        value = number(packed, bit >> 3, (shift + bits + 7) >> 3)
        return (value >> shift) & ((np.int64(1) << bits) - 1)

    @numba.njit(nogil=True)
    def last_of(total, used, genotypes):
        """Give the last genotype, not stored, what is left; -1 if others take too much of one.

        Each stored value may have been rounded up by half a step, not by more.
        """
        left = total - used
        if left >= 0:
            return left
        return 0 if -left <= genotypes else -1

    @numba.njit(nogil=True)
    def decode(block, allele, starts, width, places, out):
        packed, bits, alleles = block.packed, block.bits, block.alleles
        whole = (np.int64(1) << bits) - 1
        genotypes = alleles * (alleles + 1) // 2
        for i in range(places.size):
            sample = places[i]
            copies = block.ploidy[sample] & 63
            if block.ploidy[sample] & MISSING or copies == 0:
                out[i] = np.nan
                continue
            place = starts[sample] if starts.size else sample * width
            dosage = 0
            if block.phased or copies == 1:
                for _ in range(copies):
                    used = 0
                    for a in range(alleles - 1):
                        value = stored(packed, place, bits)
                        place += 1
                        used += value
                        dosage += value * (a == allele)
                    left = last_of(whole, used, alleles)
                    if left < 0:
                        return False
                    dosage += left * (allele == alleles - 1)
                dosage *= MAX_PLOIDY // copies
            else:
                used = 0
                for b in range(alleles):
                    for a in range(b + 1):
                        if a == alleles - 1:
                            value = last_of(whole, used, genotypes)
                            if value < 0:
                                return False
                        else:
                            value = stored(packed, place, bits)
                            place += 1
                            used += value
                        dosage += value * ((a == allele) + (b == allele))
            out[i] = min(dosage / whole, 2.0)
        return True

    @numba.njit(nogil=True)
    def decode_biallelic(ploidy, values, phased, starts, width, places, out):
        """Do the same for copies of the first of two alleles, whose numbers are whole bytes."""
        whole = (np.int64(1) << (8 * values.itemsize)) - 1
        # In float64; the product differs from the quotient far below what float32 keeps.
        step = 1.0 / whole
        right = True
        for i in range(places.size):
            sample = places[i]
            state = ploidy[sample]
            place = starts[sample] if starts.size else sample * width
            if state & MISSING or state == 0:
                out[i] = np.nan
            elif state == 1:
                out[i] = 2 * np.int64(values[place]) * step
            else:
                first, second = np.int64(values[place]), np.int64(values[place + 1])
                right &= phased or first + second <= whole + 3
                out[i] = min((first + second if phased else 2 * first + second) * step, 2.0)
        return right

    return walk, decode, decode_biallelic
