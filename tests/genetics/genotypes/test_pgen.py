import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pgenlib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from ..conftest import write_bed

# A dosage is stored as a whole number of these.
DOSAGE_STEP = 1 / 16384

few_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
small_shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=13)


def write_companions(path, samples, alternates):
    """Write .psam and .pvar for people of both sexes and the alternate alleles given."""
    people = "".join(f"p{i}\t{1 + i % 2}\n" for i in range(samples))
    path.with_suffix(".psam").write_text("#IID\tSEX\n" + people)
    lines = [f"1\t{10 * i}\trs{i}\tG\t{alternate}\n" for i, alternate in enumerate(alternates)]
    path.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "".join(lines))
    return path


def writer(path, variants, samples, **options):
    return pgenlib.PgenWriter(
        os.fsencode(path), samples, variant_ct=variants, nonref_flags=False, **options
    )


def write_hard_calls(path, dosages):
    dosages = np.asarray(dosages, dtype=np.int8)
    with writer(path, *dosages.shape) as pgen:
        pgen.append_biallelic_batch(np.where(dosages < 0, -9, dosages).astype(np.int8))
    return write_companions(path, dosages.shape[1], ["A"] * len(dosages))


def write_dosages(path, dosages):
    with writer(path, *dosages.shape, dosage_present=True) as pgen:
        pgen.append_dosages_batch(np.nan_to_num(dosages, nan=-9).astype(np.float32))
    return write_companions(path, dosages.shape[1], ["A"] * len(dosages))


def write_alleles(path, alleles, counts):
    """Write pairs of alleles (variants, samples, 2), -1 missing, of sites with any number."""
    limit = {"allele_ct_limit": max(*counts, 2)}
    with writer(path, *alleles.shape[:2], **limit) as pgen:
        for pairs, count in zip(alleles, counts, strict=True):
            codes = np.where(pairs < 0, -9, pairs).astype(np.int32).ravel()
            pgen.append_alleles(codes, all_phased=False, allele_ct=int(count))
    alternates = [",".join("ACGT"[i % 4] * (1 + i // 4) for i in range(c - 1)) for c in counts]
    return write_companions(path, alleles.shape[1], alternates)


def random_calls(variants, samples, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-1, 3, (variants, samples)).astype(np.int8)


@few_examples
@given(
    dosages=hnp.arrays(np.int8, small_shapes, elements=st.integers(-1, 2)),
    size=st.integers(1, 20),
    data=st.data(),
)
def test_any_hard_calls_of_any_people_and_rows_are_exact(tmp_path, dosages, size, data):
    genotypes = open_genotypes(write_hard_calls(tmp_path / "any.pgen", dosages))
    assert genotypes.hard_calls
    rows = data.draw(st.lists(st.integers(0, len(dosages) - 1), min_size=1, max_size=20))
    # The people are changed between blocks, and everyone asked for again.
    for _ in range(2):
        people = data.draw(st.lists(st.integers(0, dosages.shape[1] - 1)))
        samples = [genotypes.samples[i] for i in people]
        read = [block for _, block in genotypes.blocks(samples, size, rows)]
        np.testing.assert_array_equal(np.concatenate(read), dosages[np.ix_(rows, people)])
        memory = np.full((len(rows) + 1, len(people)), 55, np.int8)
        genotypes.dosages(rows, samples, out=memory)
        np.testing.assert_array_equal(memory[:-1], dosages[np.ix_(rows, people)])
        assert (memory[-1] == 55).all()
        read = genotypes.dosages(np.arange(len(dosages)))
        np.testing.assert_array_equal(read, dosages)
        assert read.dtype == np.int8


@few_examples
@given(
    steps=hnp.arrays(np.int32, small_shapes, elements=st.integers(-1, 32768)),
    data=st.data(),
)
def test_any_dosages_are_exact(tmp_path, steps, data):
    dosages = np.where(steps < 0, np.nan, steps * DOSAGE_STEP).astype(np.float32)
    # Without one dosage that is no hard call the file would hold none.
    dosages[0, 0] = 0.75
    genotypes = open_genotypes(write_dosages(tmp_path / "any.pgen", dosages))
    assert not genotypes.hard_calls
    people = data.draw(st.permutations(range(dosages.shape[1])))
    samples = [genotypes.samples[i] for i in people]
    read = genotypes.dosages(np.arange(len(dosages)), samples)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, dosages[:, people])
    memory = np.full_like(dosages, 55)
    for start in range(len(dosages)):
        read = genotypes.dosages(np.arange(start, len(dosages)), samples, out=memory)
        assert np.shares_memory(read, memory)
        np.testing.assert_array_equal(read, dosages[start:, people])


@few_examples
@given(data=st.data())
def test_every_alternate_allele_is_a_row_of_its_own(tmp_path, data):
    counts = data.draw(st.lists(st.integers(2, 7), min_size=1, max_size=6))
    samples = data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    alleles = np.stack([rng.integers(0, count, (samples, 2)) for count in counts])
    alleles[rng.random((len(counts), samples)) < 0.2] = -1
    genotypes = open_genotypes(write_alleles(tmp_path / "any.pgen", alleles, counts))
    expected = [
        np.where(pairs[:, 0] < 0, -1, (pairs == allele).sum(axis=1))
        for pairs, count in zip(alleles, counts, strict=True)
        for allele in range(1, count)
    ]
    assert genotypes.variant_count == len(expected)
    rows = data.draw(st.permutations(range(len(expected))))
    np.testing.assert_array_equal(genotypes.dosages(rows), np.array(expected)[rows])
    memory = np.full((len(expected), samples), 55, np.int8)
    for _ in range(2):
        genotypes.dosages(rows, genotypes.samples[::-1], out=memory)
        np.testing.assert_array_equal(memory, np.array(expected)[rows][:, ::-1])
    names = [f"rs{i}" for i, count in enumerate(counts) for _ in range(count - 1)]
    alternates = [(*"ACGT", "AA", "CC")[i] for count in counts for i in range(count - 1)]
    assert list(genotypes.variants["variant_id"]) == names
    assert list(genotypes.variants["alt"]) == alternates
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert genotypes.variant_rows(start, stop).equals(genotypes.variants.iloc[start:stop])


def test_multi_allelic_hard_calls_stand_beside_dosages(tmp_path):
    path = tmp_path / "mixed.pgen"
    with writer(path, 2, 3, dosage_present=True, allele_ct_limit=3) as pgen:
        pgen.append_dosages(np.array([0.25, 2, -9], dtype=np.float32))
        pgen.append_alleles(np.array([0, 1, 1, 2, 2, 2], dtype=np.int32), allele_ct=3)
    genotypes = open_genotypes(write_companions(path, 3, ["A", "C,T"]))
    np.testing.assert_array_equal(
        genotypes.dosages([0, 1, 2]), [[0.25, 2, np.nan], [1, 1, 0], [0, 1, 2]]
    )


def test_the_same_data_read_alike_as_bed_and_pgen(shared_data):
    bed, pgen = (
        open_genotypes(shared_data / f"genetics/regenie/example.{kind}") for kind in ("bed", "pgen")
    )
    assert pgen.variants.equals(bed.variants)
    assert pgen.samples == bed.samples
    order = np.random.default_rng(1).permutation(bed.samples)[:300]
    for (first, ours), (second, theirs) in zip(
        bed.blocks(order, 130), pgen.blocks(order, 130), strict=True
    ):
        assert first.equals(second)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.skipif(shutil.which("plink2") is None, reason="plink2 is not installed")
@pytest.mark.parametrize("options", [[], ["vzs"], ["format=2"]])
def test_what_plink2_writes_of_a_bed_reads_as_the_bed(tmp_path, options):
    rng = np.random.default_rng(3)
    dosages = rng.binomial(2, rng.uniform(0, 0.6, (300, 1)), (300, 83)).astype(np.int8)
    # Neighbours alike are stored as differences, rare alleles as lists.
    dosages[1::3] = dosages[::3]
    dosages[rng.random(dosages.shape) < 0.02] = -1
    bed = write_bed(tmp_path / "genome.bed", dosages)
    subprocess.run(
        ["plink2", "--bfile", "genome", "--make-pgen", *options, "--out", "genome"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    pgen = open_genotypes(tmp_path / "genome.pgen")
    np.testing.assert_array_equal(pgen.dosages(np.arange(300)), dosages)
    assert pgen.variants.equals(open_genotypes(bed).variants)
    assert pgen.samples == open_genotypes(bed).samples


@pytest.mark.parametrize(("mode", "steps"), [(2, None), (3, [[0, 16384, 24000], [1, 32768, 0]])])
def test_fixed_width_files_read_by_the_specification(tmp_path, mode, steps):
    # Two bits a person, the first lowest: 0, 1, 2 copies and 3 missing; then 16 bits a dosage.
    records = [bytes([0b10_01_00]), bytes([0b11_00_10])]
    if steps:
        records = [r + struct.pack("<3H", *s) for r, s in zip(records, steps, strict=True)]
    header = b"\x6c\x1b" + struct.pack("<BIIB", mode, 2, 3, 0x40)
    (tmp_path / "fixed.pgen").write_bytes(header + b"".join(records))
    genotypes = open_genotypes(write_companions(tmp_path / "fixed.pgen", 3, "AC"))
    expected = np.multiply(steps, DOSAGE_STEP) if steps else [[0, 1, 2], [2, 0, -1]]
    np.testing.assert_array_equal(genotypes.dosages([0, 1]), np.float32(expected))


def test_more_variants_than_a_block_of_the_header_holds(tmp_path):
    dosages = random_calls(2 * 65536 + 5, 3)
    genotypes = open_genotypes(write_hard_calls(tmp_path / "long.pgen", dosages))
    rows = np.array([65535, 65536, 131071, 131072, 131076, 0])
    np.testing.assert_array_equal(genotypes.dosages(rows), dosages[rows])
    assert list(genotypes.variant_rows(131072, 131074)["position"]) == [1310720, 1310730]


@pytest.mark.parametrize(
    "text",
    [
        "#CHROM\tPOS\tID\tREF\tALT\n2\t5\ta\tG\tA\n2\t6\tb,c\tGT\tA,CC\nX\t7\t.\tA\tT\n",
        "##fileformat=PVARv1.0\n##INFO=<ID=AF,Number=A>\r\n"
        "#CHROM POS ID REF ALT QUAL FILTER INFO\r\n"
        "2 5 a G A . PASS AF=.1,.2\r\n2 6 b,c GT A,CC . . AF=.1\r\nX 7 . A T . . .",
        "#CHROM\tID\tALT\tCM\tREF\tPOS\n2\ta\tA\t0\tG\t5\n2\tb,c\tA,CC\t0\tGT\t6\nX\t.\tT\t0\tA\t7",
        "2\ta\t0.1\t5\tA\tG\n2\tb,c\t0.1\t6\tA,CC\tGT\nX\t.\t0\t7\tT\tA\n",
        "2 a 5 A G\n2 b,c 6 A,CC GT\nX . 7 T A\n\n",
    ],
)
def test_a_pvar_of_any_layout_says_the_same(tmp_path, text):
    alleles = np.array([[[0, 1]], [[1, 2]], [[0, 0]]])
    path = write_alleles(tmp_path / "any.pgen", alleles, [2, 3, 2])
    path.with_suffix(".pvar").write_bytes(text.encode())
    variants = open_genotypes(path).variants
    assert [" ".join(map(str, row)) for row in variants.to_numpy()] == [
        *("2 5 a G A", "2 6 b,c GT A", "2 6 b,c GT CC", "X 7 . A T")
    ]


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("#FID\tIID\tSID\tPAT\tMAT\tSEX\nf\tanna\t0\t0\t0\t2\nf\totto\t0\t0\t0\t1\n", [2, 1]),
        ("##note\n#IID SEX PHENO1\nanna F 1\notto M 2\n", [2, 1]),
        ("#IID\nanna\notto", [0, 0]),
        ("#IID\tSEX\nanna\tNA\notto\t1\n", [0, 1]),
        ("f anna 0 0 2 -9\nf otto 0 0 1 -9\n", [2, 1]),
    ],
)
def test_a_psam_of_any_layout_says_the_same(tmp_path, text, sex):
    path = write_hard_calls(tmp_path / "any.pgen", [[0, 1]])
    path.with_suffix(".psam").write_text(text)
    genotypes = open_genotypes(path)
    assert genotypes.samples == ["anna", "otto"]
    np.testing.assert_array_equal(genotypes.sex, sex)


def replace_in(suffix, old, new):
    def spoil(path):
        file = path.with_suffix(suffix)
        content = file.read_bytes()
        if old not in content:
            raise AssertionError(f"{old} is not in {file.name}")
        file.write_bytes(content.replace(old, new, 1))

    return spoil


def set_byte(place, value):
    def spoil(path):
        content = bytearray(path.read_bytes())
        content[place] = value
        path.write_bytes(content)

    return spoil


def cut(end):
    return lambda path: path.write_bytes(path.read_bytes()[:end])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut(0), r"g\.pgen: not a PLINK 2 \.pgen"),
        (cut(8), "cut short"),
        (cut(30), "cut short"),
        (cut(-1), "cut short"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "its records end at byte"),
        (set_byte(0, 0x50), r"not a PLINK 2 \.pgen \(starts with bytes 50 1b"),
        (set_byte(2, 0x01), r"a PLINK 1 \.bed by its first bytes"),
        (set_byte(2, 0x20), r"external index \(\.pgen\.pgi\), which is not read"),
        (set_byte(2, 0x30), r"an index \(\.pgen\.pgi\), not the \.pgen"),
        (set_byte(2, 0x77), "unknown storage mode 0x77"),
        (set_byte(3, 39), "600 bytes, but its records end at byte 587"),
        (set_byte(7, 49), r"40 variants of 49 samples, but 40 in g\.pvar and 50 in g\.psam"),
        (set_byte(11, 0x4F), r"header byte 12 is 0x4f"),
        (set_byte(12, 5), "the header reaches into the records"),
        (set_byte(20, 0x22), "first record needs one before"),
        (lambda path: path.unlink(), r"g\.pgen: no such file"),
        (lambda path: path.with_suffix(".pvar").unlink(), r"g\.pvar: no such file"),
        (lambda path: path.with_suffix(".psam").unlink(), r"g\.psam: no such file"),
        (replace_in(".psam", b"#IID", b"#FID"), "no column IID in its header line '#FID SEX'"),
        (replace_in(".psam", b"p3\t", b"p2\t"), "'p2' stands there more than once"),
        (replace_in(".psam", b"p3\t2\n", b""), r"but 40 in g\.pvar and 49 in g\.psam"),
        (replace_in(".pvar", b"\tREF", b"\tRAF"), "no column REF in its header line"),
        (replace_in(".pvar", b"\t70\t", b"\tx\t"), "line 9: position 'x' is not a whole number"),
        (
            replace_in(".pvar", b"#CHROM\tPOS\tID\tREF\tALT\n", b"1 1 "),
            "5 or 6 columns are expected",
        ),
        (replace_in(".pvar", b"rs8\tG\tA", b"rs8\tG"), "line 10 has 4 columns"),
        (replace_in(".pvar", b"rs8\tG\tA", b"rs8\tG\tA,,C"), "variant 9 has an empty allele"),
        (replace_in(".pvar", b"\tA\n", b"\t" + b",".join([b"A"] * 255) + b"\n"), "256 alleles"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, spoil, message):
    path = write_hard_calls(tmp_path / "g.pgen", random_calls(40, 50))
    spoil(path)
    with pytest.raises(InputError, match=message) as error:
        _ = open_genotypes(path).variants
    assert "\n" not in str(error.value)


def test_a_pvar_of_other_alleles_is_refused(tmp_path):
    alleles = np.array([[[0, 2], [1, 2]]])
    path = write_alleles(tmp_path / "g.pgen", alleles, [3])
    replace_in(".pvar", b"A,C", b"A")(path)
    with pytest.raises(InputError, match=r"variant 1 has several alternate alleles, but one in"):
        open_genotypes(path)


def test_dosages_of_several_alleles_are_refused(tmp_path):
    path = write_dosages(tmp_path / "g.pgen", np.array([[0.3, 1.5]]))
    replace_in(".pvar", b"G\tA", b"G\tA,C")(path)
    with pytest.raises(InputError, match=r"variant 1 has dosages of several alternate alleles"):
        open_genotypes(path)


def read_damaged(folder: Path, seed: int, times: int) -> None:
    """Damage each .pgen of a folder again and again: an InputError, or dosages that can be."""
    rng = np.random.default_rng(seed)
    for path in sorted(folder.glob("*.pgen")):
        whole = path.read_bytes()
        for _ in range(times):
            content = bytearray(whole)
            place = rng.integers(len(content))
            match rng.integers(5):
                case 0:
                    del content[place:]
                case 1:
                    content[rng.integers(min(60, len(content)))] = rng.integers(256)
                case 2:
                    content[place] ^= 1 << rng.integers(8)
                case 3:
                    content[place : place + 8] = b"\xff" * len(content[place : place + 8])
                case 4:
                    for each in rng.integers(12, len(content), 9):
                        content[each] = rng.integers(256)
            path.write_bytes(content)
            try:
                genotypes = open_genotypes(path)
                count = rng.integers(1, len(genotypes.samples) + 1)
                samples = list(rng.permutation(genotypes.samples)[:count])
                dosages = genotypes.dosages(rng.permutation(genotypes.variant_count), samples)
            except InputError as error:
                if "\n" in str(error):
                    raise AssertionError(str(error)) from None
                continue
            known = dosages[dosages >= 0] if genotypes.hard_calls else dosages[~np.isnan(dosages)]
            if not ((known >= 0) & (known <= 2)).all() or dosages.min(initial=0) < -1:
                raise AssertionError(f"dosages out of range from damaged {path.name}")


def test_any_damage_is_an_error_or_dosages_but_never_a_crash(tmp_path):
    rng = np.random.default_rng(9)
    calls = rng.binomial(2, rng.uniform(0, 0.3, (25, 1)), (25, 200))
    calls[1::3] = calls[0:-1:3]
    calls[rng.random(calls.shape) < 0.02] = -1
    write_hard_calls(tmp_path / "hard.pgen", calls)
    dosages = np.clip(calls + rng.normal(0, 0.2, calls.shape) * (rng.random((25, 1)) < 0.5), 0, 2)
    write_dosages(tmp_path / "dosages.pgen", dosages)
    counts = rng.integers(2, 20, 10)
    alleles = np.stack([rng.integers(0, count, (90, 2)) for count in counts])
    alleles[rng.random((10, 90)) < 0.6] = 0
    write_alleles(tmp_path / "alleles.pgen", alleles, counts)
    # In a process of its own: a fault in the library must not end the tests with it.
    code = (
        "from pathlib import Path; from tests.genetics.genotypes.test_pgen import read_damaged;"
        f"read_damaged(Path({str(tmp_path)!r}), 1, 150)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
