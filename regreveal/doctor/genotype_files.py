"""The same genotypes in files of every format: whether they are read as they were written."""

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

from regreveal.doctor.check import WrongResultError

BITS = 8  # of a probability in the BGEN file


def reading() -> str:
    """Write genotypes in every format, read them, and compare."""
    from regreveal.genetics.genotypes import open_genotypes

    dosages = np.random.default_rng(5).integers(0, 3, (5, 40)).astype(np.int8)
    people = [f"p{number}" for number in range(dosages.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write in WRITERS.items():
            path = Path(folder) / f"genotypes{suffix}"
            write(path, dosages, people)
            read = open_genotypes(path).dosages(np.arange(len(dosages)), people)
            if not np.array_equal(read, dosages):
                raise WrongResultError(f"genotypes of a {suffix} file are not those written")
    return f"read as written: {', '.join(WRITERS)}"


def write_bed(path: Path, dosages: np.ndarray, people: list[str]) -> None:
    """Write PLINK 1 files of dosages, variants × people."""
    from bed_reader import to_bed

    to_bed(path, dosages.T, {"fid": people, "iid": people})


def write_pgen(path: Path, dosages: np.ndarray, people: list[str]) -> None:
    """Write PLINK 2 files."""
    import pgenlib

    variants, samples = dosages.shape
    with pgenlib.PgenWriter(
        os.fsencode(path), samples, variant_ct=variants, nonref_flags=False
    ) as writer:
        writer.append_biallelic_batch(np.ascontiguousarray(dosages))
    path.with_suffix(".psam").write_text("#IID\n" + "".join(f"{person}\n" for person in people))
    lines = [f"1\t{position}\t.\tA\tG\n" for position in range(1, variants + 1)]
    path.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "".join(lines))


def write_bgen(path: Path, dosages: np.ndarray, people: list[str]) -> None:
    """Write a BGEN file: version 1.2, compressed by zlib, unphased.

    References
    ----------
    Band and Marchini (2018), the BGEN format: https://www.chg.ox.ac.uk/~gav/bgen_format/
    """
    variants, samples = dosages.shape
    names = b"".join(_text(person, "<H") for person in people)
    header = struct.pack("<III4sI", 20, variants, samples, b"bgen", 1 | 2 << 2 | 1 << 31)
    content = header + struct.pack("<II", 8 + len(names), samples) + names
    content = struct.pack("<I", len(content)) + content
    certain = 2**BITS - 1
    for position, genotypes in enumerate(dosages, start=1):
        # The reference is the last allele. Probabilities of two of the first and of one; that of
        # none is what remains.
        probabilities = np.stack([genotypes == 2, genotypes == 1], axis=1) * certain
        data = struct.pack("<IHBB", samples, 2, 2, 2) + bytes([2] * samples)
        data += bytes([0, BITS]) + probabilities.astype(np.uint8).tobytes()
        packed = zlib.compress(data)
        content += b"".join(_text(text, "<H") for text in (".", ".", "1"))
        content += struct.pack("<IH", position, 2) + _text("G", "<I") + _text("A", "<I")
        content += struct.pack("<II", 4 + len(packed), len(data)) + packed
    path.write_bytes(content)


def write_vcf(path: Path, dosages: np.ndarray, people: list[str]) -> None:
    """Write a VCF file, compressed by htslib."""
    import pysam

    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]
    lines = [
        "##fileformat=VCFv4.3",
        "##contig=<ID=1>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(columns),
    ]
    for position, genotypes in enumerate(dosages, start=1):
        calls = [("0/0", "0/1", "1/1")[genotype] for genotype in genotypes]
        lines.append("\t".join(["1", str(position), *".AG...", "GT", *calls]))
    plain = path.with_suffix("")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path), force=True)


def _text(text: str, length: str) -> bytes:
    return struct.pack(length, len(text)) + text.encode()


WRITERS = {".bed": write_bed, ".pgen": write_pgen, ".bgen": write_bgen, ".vcf.gz": write_vcf}
