"""A small BGEN writer (layout 2), from the specification alone, as an oracle for the reader.

Probabilities are given as the integers that are stored, so that what a file says is known exactly.
"""

import sqlite3
import struct
import zlib
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np
import pyarrow as pa

COMPRESS = {
    0: lambda data: data,
    1: zlib.compress,
    2: lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
COMPRESSION = {"none": 0, "zlib": 1, "zstd": 2}


def genotypes_of(ploidy, alleles):
    """Counts of each allele for every unordered genotype, ordered by those of the last alleles."""
    every = combinations_with_replacement(range(alleles), ploidy)
    counts = [[genotype.count(a) for a in range(alleles)] for genotype in every]
    return sorted(counts, key=lambda row: row[::-1])


def packed(values, bits):
    """Integers as consecutive groups of bits, the least significant first."""
    values = np.array(values, dtype=np.int64).reshape(-1, 1)
    return np.packbits(values >> np.arange(bits) & 1, bitorder="little").tobytes()


def block(calls, alleles, bits, phased):
    """Uncompressed genotype data.

    A call is None (diploid, missing) or a list: of one list of integers for each haplotype if
    phased, else (ploidy, integers for every genotype). Integers of a list sum to 2 ** bits - 1, and
    the last is not stored.
    """
    states, stored = [], []
    for call in calls:
        if call is None:
            states.append(2 | 0x80)
            width = 2 * (alleles - 1) if phased else len(genotypes_of(2, alleles)) - 1
            stored += [0] * width
        elif phased:
            states.append(len(call))
            stored += [value for haplotype in call for value in haplotype[:-1]]
        else:
            states.append(call[0])
            stored += call[1][:-1]
    lowest, highest = (bound(state & 63 for state in states) for bound in (min, max))
    return (
        struct.pack("<IHBB", len(calls), alleles, lowest, highest)
        + bytes(states)
        + bytes([phased, bits])
        + packed(stored, bits)
    )


def expected_dosage(call, allele, alleles, bits, phased):
    """Copies of an allele, 0 to 2 whatever the ploidy, by the definition of an expectation."""
    if call is None:
        return np.float32(np.nan)
    if phased:
        ploidy, copies = len(call), sum(haplotype[allele] for haplotype in call)
    else:
        ploidy, values = call
        counts = genotypes_of(ploidy, alleles)
        copies = sum(v * count[allele] for v, count in zip(values, counts, strict=True))
    return np.float32(Fraction(2 * copies, ploidy * (2**bits - 1)))


def write_bgen(path, variants, samples, compression="zlib", ids=True, index=False):
    """Write variants, dicts of chromosome, position, variant_id, alleles, calls, bits, phased."""
    flag = COMPRESSION[compression]
    names = [sample.encode() for sample in samples]
    body = b"".join(struct.pack("<H", len(name)) + name for name in names)
    inside = struct.pack("<II", 8 + len(body), len(names)) + body if ids else b""
    header = struct.pack("<III", 20, len(variants), len(samples)) + b"bgen"
    header += struct.pack("<I", flag | 2 << 2 | ids << 31)
    content = [struct.pack("<I", len(header) + len(inside)) + header + inside]
    places, at = [], len(content[0])
    for variant in variants:
        alleles = [allele.encode() for allele in variant["alleles"]]
        texts = [b"", variant["variant_id"].encode(), variant["chromosome"].encode()]
        raw = block(variant["calls"], len(alleles), variant["bits"], variant["phased"])
        data = COMPRESS[flag](raw)
        size = struct.pack("<I", len(raw)) if flag else b""
        record = b"".join(struct.pack("<H", len(text)) + text for text in texts)
        record += struct.pack("<IH", variant["position"], len(alleles))
        record += b"".join(struct.pack("<I", len(allele)) + allele for allele in alleles)
        record += struct.pack("<I", len(size) + len(data)) + size + data
        content.append(record)
        places.append((at, len(record)))
        at += len(record)
    path.write_bytes(b"".join(content))
    if index:
        write_index(path, variants, places)
    return path


def write_index(path, variants, places):
    """The .bgi that bgenix would write."""
    target = path.with_name(path.name + ".bgi")
    target.unlink(missing_ok=True)
    connection = sqlite3.connect(target)
    connection.execute(
        "CREATE TABLE Variant (chromosome TEXT NOT NULL, position INT NOT NULL, "
        "rsid TEXT NOT NULL, number_of_alleles INT NOT NULL, "
        "allele1 TEXT NOT NULL, allele2 TEXT NULL, "
        "file_start_position INT NOT NULL, size_in_bytes INT NOT NULL, PRIMARY KEY (chromosome, "
        "position, rsid, allele1, allele2, file_start_position)) WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TABLE Metadata (filename TEXT NOT NULL, file_size INT NOT NULL, "
        "last_write_time INT NOT NULL, first_1000_bytes BLOB NOT NULL, "
        "index_creation_time INT NOT NULL)"
    )
    data = path.read_bytes()
    connection.execute(
        "INSERT INTO Metadata VALUES (?, ?, 0, ?, 0)", (path.name, len(data), data[:1000])
    )
    rows = [
        (v["chromosome"], v["position"], v["variant_id"], len(v["alleles"]), *v["alleles"][:2], *p)
        for v, p in zip(variants, places, strict=True)
    ]
    connection.executemany("INSERT INTO Variant VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
