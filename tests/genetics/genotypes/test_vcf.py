import gzip
import random
import subprocess
import sys

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from .vcf_writer import DOSAGE, HEADER, vcf_text, write_vcf

SUFFIXES = [".vcf", ".vcf.gz", ".vcf.bgz", ".bcf"]


def opened(tmp_path, records, samples=("a", "b", "c"), header=HEADER, suffix=".vcf", index=False):
    text = vcf_text(samples, records, header)
    return open_genotypes(write_vcf(tmp_path / f"some{suffix}", text, index))


def everything(genotypes):
    return genotypes.dosages(np.arange(genotypes.variant_count))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_calls_count_alternate_alleles(tmp_path, suffix):
    genotypes = opened(
        tmp_path,
        [
            "1 5 rs1 A G . . . GT 0/0 0|1 1/1",
            "X 7 . C CT . . . GT ./. ./1 .",
            "X 9 h C T . . . GT 0 1 1|0",
        ],
        suffix=suffix,
    )
    assert genotypes.hard_calls
    dosages = everything(genotypes)
    assert dosages.dtype == np.int8
    np.testing.assert_array_equal(dosages, [[0, 1, 2], [-1, -1, -1], [0, 2, 1]])
    assert genotypes.samples == ["a", "b", "c"]
    assert genotypes.sex is None
    assert [tuple(row) for row in genotypes.variants.to_numpy()] == [
        ("1", 5, "rs1", "A", "G"), ("X", 7, ".", "C", "CT"), ("X", 9, "h", "C", "T"),
    ]  # fmt: skip
    assert genotypes.variants["position"].dtype == np.int64


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sites_are_split_by_alternate_allele(tmp_path, suffix):
    genotypes = opened(
        tmp_path,
        [
            "1 5 m A G,T,<DEL> . . . GT 0/1 1|2 3/3",
            "1 6 none A . . . . GT 0/0 0/0 0/0",
            "1 7 star A *,C . . . GT 1/2 0/1 2/2",
            "1 8 any A <NON_REF> . . . GT 0/0 0/1 0/0",
            "1 9 any A C,<*> . . . GT 0/0 0/1 0/0",
        ],
        suffix=suffix,
    )
    assert list(genotypes.variants["alt"]) == ["G", "T", "<DEL>", "C", "C"]
    assert list(genotypes.variants["position"]) == [5, 5, 5, 7, 9]
    wanted = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2], [1, 0, 2], [0, 1, 0]])
    np.testing.assert_array_equal(everything(genotypes), wanted)
    np.testing.assert_array_equal(genotypes.dosages(np.array([2, 0, 2])), wanted[[2, 0, 2]])
    assert genotypes.left_out == {"no_alternate": 1, "placeholder_alternate": 3}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_dosages_come_before_calls(tmp_path, suffix):
    genotypes = opened(
        tmp_path,
        [
            "1 5 r1 A G . . . GT:DS 0/0:0.25 0/1:. ./.:.",
            "1 6 r2 A G . . . GT 0/0 0|1 ./1",
            "1 7 r3 A G,T . . . DS 0.5,1.25 1,0 .,.",
            "X 8 r4 A G . . . GT:DS 0:0.25 1:. .:0.5",
            "X 9 r5 A G . . . GT:DS 0/0:2.0004 0/0:-0.0004 1:1.0004",
        ],
        header=HEADER + DOSAGE,
        suffix=suffix,
    )
    assert not genotypes.hard_calls
    dosages = everything(genotypes)
    assert dosages.dtype == np.float32
    nan = np.nan
    wanted = [[0.25, 1, nan], [0, 1, nan], [0.5, 1, nan], [1.25, 0, nan], [0.5, 2, 0.5], [2, 0, 2]]
    np.testing.assert_array_equal(dosages, np.array(wanted, dtype=np.float32))


def test_a_contig_that_the_header_does_not_name_is_read(tmp_path):
    genotypes = opened(
        tmp_path, ["HLA:01 5 a A G . . . GT 0/0 0/1 1/1", "9 1 b A G . . . GT 0/0 0/1 1/1"]
    )
    np.testing.assert_array_equal(everything(genotypes), [[0, 1, 2], [0, 1, 2]])
    assert list(genotypes.variants["chromosome"]) == ["HLA:01", "9"]


def long_file(rng):
    """Sites at shared positions, deletions over many sites, sites without rows, several contigs."""
    records, dosages = [], []
    for contig in ("1", "2", "HLA:01", "X"):
        position = 1
        for place in range(260):
            position += int(rng.choice([0, 1, 5]))
            ref = "A" * 30 if place % 9 == 0 else "A"
            alternates = [["G"], ["G", "T"], ["."], ["*"]][place % 4]
            calls = rng.integers(0, 2 + (place % 4 == 1), (2, 3))
            if alternates == ["."]:
                calls[:] = 0
            text = " ".join(f"{a}|{b}" for a, b in calls.T)
            records.append(f"{contig} {position} . {ref} {','.join(alternates)} . . . GT {text}")
            if place % 4 < 2:
                for allele in range(1, len(alternates) + 1):
                    dosages.append((calls == allele).sum(axis=0))
    header = HEADER.replace("##contig=<ID=X", "##contig=<ID=HLA:01>\n##contig=<ID=X")
    return vcf_text("abc", records, header), np.array(dosages)


@pytest.mark.parametrize(
    ("suffix", "index"),
    [(".vcf", False), (".vcf.gz", False), (".vcf.gz", True), (".bcf", False), (".bcf", True)],
)
def test_rows_are_read_in_any_order(tmp_path, suffix, index):
    rng = np.random.default_rng(5)
    text, wanted = long_file(rng)
    genotypes = open_genotypes(write_vcf(tmp_path / f"long{suffix}", text, index))
    assert [file.name for file in genotypes.paths] == [
        f"long{suffix}",
        *([f"long{suffix}.csi"] if index else []),
    ]
    assert genotypes.variant_count == len(wanted)
    np.testing.assert_array_equal(everything(genotypes), wanted)
    for _ in range(30 if index else 5):
        rows = rng.integers(0, len(wanted), rng.integers(1, 5))
        places = rng.permutation(3)[: rng.integers(1, 4)]
        found = genotypes.dosages(rows, [genotypes.samples[i] for i in places])
        np.testing.assert_array_equal(found, wanted[rows][:, places])
    for first in (700, 3, 399, 4):
        rows = np.arange(first, first + 80)
        np.testing.assert_array_equal(genotypes.dosages(rows), wanted[rows])


def test_an_index_of_another_file_is_an_error(tmp_path):
    rng = np.random.default_rng(6)
    text, _ = long_file(rng)
    path = write_vcf(tmp_path / "one.vcf.gz", text, index=True)
    records = [f"X {i + 1} . A G . . . GT 0/0 0/1 1/1" for i in range(2000)]
    write_vcf(tmp_path / "other.vcf.gz", vcf_text("abc", records), index=True)
    (tmp_path / "other.vcf.gz.csi").replace(tmp_path / "one.vcf.gz.csi")
    genotypes = open_genotypes(path)
    with pytest.raises(InputError, match=r"^one\.vcf\.gz: .*index"):
        genotypes.dosages(np.array([genotypes.variant_count - 1]))


BROKEN_LINES = {
    "sample short": "1 6 r A G . . . GT 0/0 0/1",
    "no samples": "1 6 r A G . . .",
    "no calls": "1 6 r A G . . . GT",
    "no alternate": "1 6 r A",
    "position": "1 six r A G . . . GT 0/0 0/1 1/1",
    "call": "1 6 r A G . . . GT 0/0 zz 1/1",
    "allele": "1 6 r A G . . . GT 0/0 0/2 1/1",
    "large allele": "1 6 r A G . . . GT 0/0 0/40000 1/1",
    "three copies": "1 6 r A G . . . GT 0/0 0/0/1 1/1",
    "fields": "1 6 r A G . . . GT 0/0:1 0/0 1/1",
    "undeclared contig, call": "9 6 r A G . . . GT 0/0 zz 1/1",
    "undeclared contig, sample short": "9 6 r A G . . . GT 0/0 0/1",
    "undeclared contig, cut early": "9",
    "header again": "##INFO=<ID=R2,Number=1,Type=Float>",
    "empty": "",
}


@pytest.mark.parametrize("line", BROKEN_LINES.values(), ids=list(BROKEN_LINES))
@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
def test_a_broken_line_is_one_error_and_nothing_is_printed(tmp_path, capfd, line, suffix):
    good = "1 {} r A G . . . GT 0/0 0/1 1/1"
    text = vcf_text("abc", [good.format(5), line, good.format(7)])
    path = write_vcf(tmp_path / f"some{suffix}", text)
    capfd.readouterr()
    with pytest.raises(InputError, match=rf"^some{suffix}: ") as error:
        everything(open_genotypes(path))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("GT:DS 0/0:2.1 0/0:0 0/0:0", "1:5: a DS of 2.1, expected 0 to 2"),
        ("GT:DS 0/0:0 0/0:-1 0/0:0", "1:5: a DS of -1, expected 0 to 2"),
        ("GT:DS 0:0 1:1.5 0:0", "1:5: a DS of 1.5, expected 0 to 1 for a haploid call"),
        ("GT:DS 0/0:inf 0/0:0 0/0:0", "1:5: a DS of inf"),
        ("GT:DS 0/0:0,1 0/0:0 0/0:0", "2 DS values for 1 alternate"),
        ("GT:DS 0/0:x 0/0:0 0/0:0", "cannot be read"),
    ],
)
def test_an_impossible_dosage_is_an_error(tmp_path, fields, message):
    with pytest.raises(InputError, match=rf"^some.vcf: .*{message}"):
        everything(opened(tmp_path, [f"1 5 r A G . . . {fields}"], header=HEADER + DOSAGE))


GOOD = ["1 5 r A G . . . GT 0/0 0/1 1/1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (vcf_text("abc", []), "holds no variants"),
        (vcf_text("abc", ["1 5 r A . . . . GT 0/0 0/0 0/0"]), "holds no variants"),
        (vcf_text("aba", GOOD), "names a sample twice"),
        (vcf_text("", ["1 5 r A G . . ."]).replace("\tFORMAT\n", "\n"), "no samples"),
        (vcf_text("abc", GOOD, "##fileformat=VCFv4.3\n"), "neither GT nor DS"),
        (vcf_text("abc", GOOD, HEADER + DOSAGE.replace("Float", "String")), "DS of type String"),
        (vcf_text("abc", GOOD)[:-1], "cut short"),
        (HEADER, "lacks the #CHROM line"),
        ("", "not a VCF"),
        ("chromosome position\n", "not a VCF"),
    ],
)
def test_an_unusable_file_is_an_error(tmp_path, capfd, text, message):
    path = tmp_path / "bad.vcf"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^bad.vcf: .*{message}") as error:
        open_genotypes(path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_compression_that_cannot_tell_its_end_is_an_error(tmp_path):
    path = tmp_path / "plain.vcf.gz"
    path.write_bytes(gzip.compress(vcf_text("abc", GOOD).encode()))
    with pytest.raises(InputError, match=r"plain gzip.*bgzip"):
        open_genotypes(path)
    with pytest.raises(InputError, match="no such file"):
        open_genotypes(tmp_path / "absent.vcf")


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
def test_a_compressed_file_cut_anywhere_is_an_error(tmp_path, suffix):
    text, _ = long_file(np.random.default_rng(7))
    whole = write_vcf(tmp_path / f"whole{suffix}", text).read_bytes()
    path = tmp_path / f"cut{suffix}"
    rng = np.random.default_rng(8)
    for length in [*rng.integers(0, len(whole), 20), len(whole) - 28, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"^cut{suffix}: "):
            open_genotypes(path)


FUZZ = """
import sys
from pathlib import Path
import numpy as np
from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        genotypes = open_genotypes(path)
        dosages = genotypes.dosages(np.arange(genotypes.variant_count))
        known = dosages[~np.isnan(dosages) & (dosages != -1)]
        right = dosages.shape[1] == len(genotypes.samples) and ((known >= 0) & (known <= 2)).all()
        print("read" if right else f"WRONG {path.name}")
    except InputError as error:
        print("error" if "\\n" not in str(error) else f"LINES {path.name}")
"""


def test_damaged_files_never_crash_the_process(tmp_path):
    """In a process of its own, since what could crash is a library written in C."""
    records = []
    for place in range(12):
        alternates = ["G", "G,T", "*", "<DEL>"][place % 4]
        calls = ["0/0:0.1 0|1:. ./.:.", "0:0.5 1:0.25 .:1"][place % 2]
        calls = calls.replace("0.1", "0.1,0").replace("0.5", "0.5,1") if place % 4 == 1 else calls
        records.append(f"{'12X'[place // 4]} {place + 1} r A {alternates} . . . GT:DS {calls}")
    text = vcf_text("abc", records, HEADER + DOSAGE)
    folder = tmp_path / "damaged"
    folder.mkdir()
    draw = random.Random(9)
    for suffix in (".vcf", ".vcf.gz", ".bcf"):
        # BCF needs its contigs declared, and in VCF a contig that is not has a way of its own.
        declared = text if suffix == ".bcf" else text.replace("##contig=<ID=2,", "##other=<ID=2,")
        whole = write_vcf(tmp_path / f"whole{suffix}", declared).read_bytes()
        # Within blocks that are whole, damage reaches the parser.
        contents = {"": whole} | ({"u": gzip.decompress(whole)} if suffix == ".bcf" else {})
        for name, content in contents.items():
            for place in range(90):
                damaged = bytearray(content)
                at, length = draw.randrange(len(damaged)), draw.randrange(1, 40)
                if place % 3 == 0:
                    damaged[at] ^= 1 << draw.randrange(8)
                elif place % 3 == 1:
                    damaged[at:at] = damaged[at : at + length]
                else:
                    del damaged[at : at + length]
                (folder / f"{place}{name}{suffix}").write_bytes(damaged)
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(done.stdout.split("\n")) == {"read", "error", ""}
    assert done.stderr == ""
