"""Genotypes whose headers count more than the files hold."""

import struct

from .cases import case


def read_genotypes(path):
    from regreveal.genetics.genotypes import open_genotypes

    genotypes = open_genotypes(path)
    return genotypes.dosages([0]), genotypes.variants


@case("BGEN that counts 2³¹ variants", "bytes can hold")
def bgen_variants(folder):
    read_bgen(folder, variants=1 << 31)


@case("BGEN that counts 2³² − 1 samples", "1 participants, but the .bgen beside it has 4294967295")
def bgen_samples(folder):
    read_bgen(folder, samples=(1 << 32) - 1)


@case(
    "BGEN that counts 2³² − 1 of both, without ids",
    "1 participants, but the .bgen beside it has 4294967295",
)
def bgen_both(folder):
    read_bgen(folder, (1 << 32) - 1, (1 << 32) - 1)


def read_bgen(folder, variants=1, samples=1):
    header = struct.pack("<IIII4sI", 20, 20, variants, samples, b"bgen", 1 | 2 << 2)
    (folder / "g.bgen").write_bytes(header + bytes(64))
    (folder / "g.sample").write_text("ID_1 ID_2 missing\n0 0 0\na a 0\n")
    return read_genotypes(folder / "g.bgen")


@case("BGEN index whose table is a view without end", "is not one that bgenix makes")
def bgen_index(folder):
    import sqlite3

    with sqlite3.connect(folder / "g.bgen.bgi") as connection:
        connection.execute("CREATE TABLE Metadata (file_size, first_1000_bytes)")
        connection.execute(
            "CREATE VIEW Variant AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS file_start_position, 1 AS size_in_bytes, 2 AS number_of_alleles FROM n"
        )
    read_bgen(folder)


@case("PGEN that counts 2³¹ − 3 variants and 2³¹ − 2 samples", "cut short")
def pgen_counts(folder):
    read_pgen(folder, 0x10, (1 << 31) - 3, (1 << 31) - 2)


@case("PGEN of fixed width that counts as many", "cut short")
def pgen_fixed_width(folder):
    read_pgen(folder, 0x02, (1 << 31) - 3, (1 << 31) - 2)


def read_pgen(folder, mode, variants, samples):
    header = b"\x6c\x1b" + struct.pack("<BIIB", mode, variants, samples, 0)
    (folder / "g.pgen").write_bytes(header + bytes(64))
    (folder / "g.psam").write_text("#IID\na\n")
    (folder / "g.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n1\t1\trs1\tA\tG\n")
    return read_genotypes(folder / "g.pgen")


@case("BED with a .bim of positions beyond any number", "position")
def bed_positions(folder):
    (folder / "g.bed").write_bytes(b"\x6c\x1b\x01\x00")
    (folder / "g.fam").write_text("a a 0 0 0 -9\n")
    (folder / "g.bim").write_text(f"1 rs1 0 {'9' * 30} A G\n")
    read_genotypes(folder / "g.bed")


@case("BCF whose header claims 4 GB", "g.bcf")
def bcf_header(folder):
    import pysam

    with pysam.BGZFile(str(folder / "g.bcf"), "wb") as file:
        file.write(b"BCF\2\2" + struct.pack("<I", 0xFFFFFFF0) + b"##fileformat=VCFv4.2\n")
    read_genotypes(folder / "g.bcf")


@case("VCF with a sample id that commands the terminal", "g.vcf")
def vcf_escapes(folder):
    ids = "\x1b[2Ja\t\x1b[2Ja"
    (folder / "g.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=1>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{ids}\n"
        "1\t1\trs1\tA\tG\t.\t.\t.\tGT\t0/1\t0/0\n"
    )
    read_genotypes(folder / "g.vcf")
