import pickle
import sqlite3
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from .bgen_writer import expected_dosage, genotypes_of, write_bgen

MANY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def probabilities(draw, count, bits):
    """That many integers that sum to the whole, 2 ** bits - 1."""
    whole = 2**bits - 1
    cuts = sorted(draw(st.lists(st.integers(0, whole), min_size=count - 1, max_size=count - 1)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, whole], strict=True)]


@st.composite
def calls(draw, alleles, bits, phased):
    if draw(st.integers(0, 5)) == 0:
        return None
    ploidy = draw(st.sampled_from([2, 2, 1]))
    if phased:
        return [draw(probabilities(alleles, bits)) for _ in range(ploidy)]
    return ploidy, draw(probabilities(len(genotypes_of(ploidy, alleles)), bits))


@st.composite
def variants(draw, samples, position):
    alleles = draw(st.integers(2, 4))
    bits = draw(st.sampled_from([8, 8, 16, 16, 1, 3, 13, 31, 32]))
    phased = draw(st.booleans())
    return {
        "chromosome": draw(st.sampled_from(["1", "2", "X"])),
        "position": position,
        "variant_id": f"rs{position}",
        "alleles": list("ACGT")[:alleles],
        "calls": [draw(calls(alleles, bits, phased)) for _ in range(samples)],
        "bits": bits,
        "phased": phased,
    }


@st.composite
def files(draw):
    samples = draw(st.integers(1, 9))
    count = draw(st.integers(1, 5))
    return [draw(variants(samples, 10 * place + 1)) for place in range(count)], samples


def rows_of(content):
    """Variant, place of its allele, description of each row: all alleles but the last, in order."""
    return [
        (variant, allele, (variant["chromosome"], variant["position"], variant["variant_id"]))
        for variant in content
        for allele in range(len(variant["alleles"]) - 1)
    ]


def expected(content):
    return np.array(
        [
            [
                expected_dosage(
                    call, allele, len(variant["alleles"]), variant["bits"], variant["phased"]
                )
                for call in variant["calls"]
            ]
            for variant, allele, _ in rows_of(content)
        ]
    )


def ids(count):
    return [f"person{i}" for i in range(count)]


def simple(dosages, bits=8, **changes):
    """One biallelic variant with certain diploid calls of the first allele's copies."""
    whole = 2**bits - 1
    table = {2: (2, [whole, 0, 0]), 1: (2, [0, whole, 0]), 0: (2, [0, 0, whole]), -1: None}
    variant = {
        "chromosome": "1",
        "position": 5,
        "variant_id": "rs1",
        "alleles": ["A", "G"],
        "calls": [table[d] for d in dosages],
        "bits": bits,
        "phased": False,
    }
    return variant | changes


@MANY
@given(
    file=files(),
    compression=st.sampled_from(["none", "zlib", "zstd"]),
    index=st.booleans(),
    data=st.data(),
)
def test_any_content_is_read_as_the_specification_says(tmp_path, file, compression, index, data):
    content, count = file
    path = tmp_path / "any.bgen"
    path.with_name("any.bgen.bgi").unlink(missing_ok=True)
    genotypes = open_genotypes(write_bgen(path, content, ids(count), compression, index=index))
    wanted = expected(content)
    rows = data.draw(st.lists(st.integers(0, len(wanted) - 1), min_size=1, max_size=8))
    chosen = data.draw(st.permutations(range(count)))[: data.draw(st.integers(1, count))]
    found = genotypes.dosages(np.array(rows), [f"person{i}" for i in chosen])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted[rows][:, chosen])

    assert genotypes.samples == ids(count)
    described = genotypes.variants
    assert list(described.index) == list(range(len(wanted)))
    for row, (variant, allele, where) in enumerate(rows_of(content)):
        expected_row = (*where, variant["alleles"][-1], variant["alleles"][allele])
        assert tuple(described.loc[row]) == expected_row
        assert tuple(genotypes.variant_rows(row, row + 1).loc[row]) == expected_row


@MANY
@given(file=files())
def test_the_first_allele_is_the_reference_where_it_is_said_to_be(tmp_path, file):
    content, count = file
    path = write_bgen(tmp_path / "any.bgen", content, ids(count), "zlib")
    genotypes = pickle.loads(pickle.dumps(open_genotypes(path, ref_first=True)))
    assert genotypes.identity != open_genotypes(path).identity
    found, described = genotypes.dosages(np.arange(genotypes.variant_count)), genotypes.variants
    for row, (variant, allele, _) in enumerate(rows_of(content)):
        alleles = variant["alleles"]
        assert tuple(described.loc[row, ["ref", "alt"]]) == (alleles[0], alleles[allele + 1])
        wanted = [
            expected_dosage(call, allele + 1, len(alleles), variant["bits"], variant["phased"])
            for call in variant["calls"]
        ]
        np.testing.assert_allclose(found[row], wanted, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize("haploid", [0, 0.3, 1])
@pytest.mark.parametrize("phased", [False, True])
@pytest.mark.parametrize("bits", [8, 16, 10])
@pytest.mark.parametrize("alleles", [2, 3])
def test_many_people_are_read_as_the_specification_says(tmp_path, alleles, bits, phased, haploid):
    rng = np.random.default_rng(bits)

    def numbers(count):
        cuts = np.sort(rng.integers(0, 2**bits, count - 1))
        return [int(x) for x in np.diff([0, *cuts, 2**bits - 1])]

    def call():
        if rng.random() < 0.1:
            return None
        ploidy = 1 if rng.random() < haploid else 2
        if phased:
            return [numbers(alleles) for _ in range(ploidy)]
        return ploidy, numbers(len(genotypes_of(ploidy, alleles)))

    variant = simple([], bits, phased=phased, calls=[call() for _ in range(61)])
    variant["alleles"] = list("ACG")[:alleles]
    genotypes = open_genotypes(write_bgen(tmp_path / "many.bgen", [variant], ids(61)))
    order = rng.permutation(61)[:50]
    found = genotypes.dosages(np.arange(alleles - 1), [genotypes.samples[i] for i in order])
    np.testing.assert_array_equal(found, expected([variant])[:, order])


@pytest.mark.parametrize("bits", [8, 16])
def test_every_dosage_is_the_nearest_to_its_fraction(tmp_path, bits):
    whole = 2**bits - 1
    first = np.arange(whole + 1)
    calls = [(2, [int(a), 0, whole - int(a)]) for a in first]
    calls += [(2, [int(a), whole - int(a), 0]) for a in first]
    path = write_bgen(tmp_path / "all.bgen", [simple([], bits, calls=calls)], ids(len(calls)))
    exact = np.concatenate([2 * first, first + whole]) / whole
    np.testing.assert_array_equal(open_genotypes(path).dosages([0])[0], exact.astype(np.float32))


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
@pytest.mark.parametrize("bits", [8, 11, 16])
def test_another_program_writes_and_reads_the_same(tmp_path, compression, bits):
    bgen = pytest.importorskip("bgen")
    rng = np.random.default_rng(bits)
    path = tmp_path / "theirs.bgen"
    n = 101
    with bgen.BgenWriter(path, n, ids(n), compression=compression) as writer:
        for place in range(6):
            given = rng.dirichlet([0.3, 0.3, 0.3], n)
            given[rng.random(n) < 0.1] = np.nan
            writer.add_variant("", f"rs{place}", "7", place + 1, ["A", "G"], given, bit_depth=bits)
    genotypes = open_genotypes(path)
    with bgen.BgenReader(path) as reader:
        theirs = np.array([variant.alt_dosage for variant in reader])
    found = genotypes.dosages(np.arange(6))
    np.testing.assert_allclose(found, 2 - theirs, atol=3e-7)
    assert np.isnan(found).any()
    assert list(genotypes.variants["alt"].unique()) == ["A"]


def test_ploidy_zero_is_missing(tmp_path):
    variant = simple([2, 0], calls=[(0, [255]), (2, [0, 0, 255])])
    genotypes = open_genotypes(write_bgen(tmp_path / "y.bgen", [variant], ids(2)))
    np.testing.assert_array_equal(genotypes.dosages([0]), [[np.nan, 0]])


def test_chromosomes_lose_leading_zeros(tmp_path):
    content = [simple([1], chromosome=c, position=i + 1) for i, c in enumerate(["01", "22", "0X"])]
    for index in (False, True):
        path = write_bgen(tmp_path / "zeros.bgen", content, ids(1), index=index)
        assert list(open_genotypes(path).variants["chromosome"]) == ["1", "22", "0X"]


def test_with_an_index_variants_are_described_by_it(tmp_path):
    content = [simple([1], position=i + 1, variant_id=f"rs{i}") for i in range(40)]
    path = write_bgen(tmp_path / "indexed.bgen", content, ids(1), index=True)
    with sqlite3.connect(tmp_path / "indexed.bgen.bgi") as connection:
        connection.execute("UPDATE Variant SET rsid = rsid || 'x'")
    genotypes = open_genotypes(path)
    assert list(genotypes.variant_rows(7, 9)["variant_id"]) == ["rs7x", "rs8x"]
    assert list(genotypes.variants["variant_id"]) == [f"rs{i}x" for i in range(40)]


def test_variants_out_of_order_are_described_in_the_order_of_the_file(tmp_path):
    positions = [50, 10, 30, 20, 50, 5] * 8
    content = [simple([1], position=p, variant_id=f"rs{i}") for i, p in enumerate(positions)]
    path = write_bgen(tmp_path / "mixed.bgen", content, ids(1), index=True)
    genotypes = open_genotypes(path)
    for start, stop in ((0, 4), (1, 5), (3, 4)):
        assert list(genotypes.variant_rows(start, stop)["position"]) == positions[start:stop]
    assert list(genotypes.variants["position"]) == positions


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM Variant WHERE position = 5", "UPDATE Metadata SET file_size = 7",
     "UPDATE Metadata SET first_1000_bytes = x'00'", "DROP TABLE Variant", "DROP TABLE Metadata",
     "UPDATE Variant SET file_start_position = file_start_position + 1"],
)  # fmt: skip
def test_an_index_of_another_file_is_an_error(tmp_path, change):
    path = write_bgen(tmp_path / "stale.bgen", [simple([0, 1, 2])], ids(3), index=True)
    open_genotypes(path)
    with sqlite3.connect(tmp_path / "stale.bgen.bgi") as connection:
        connection.execute(change)
    with pytest.raises(InputError, match=r"^stale.bgen.bgi: the index .*bgenix"):
        open_genotypes(path)


def test_a_file_rewritten_after_indexing_is_an_error(tmp_path):
    path = write_bgen(tmp_path / "new.bgen", [simple([0, 1, 2])], ids(3), "none", index=True)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"made for another file"):
        open_genotypes(path)


def test_the_sample_file_names_participants_and_their_sex(tmp_path):
    path = write_bgen(tmp_path / "named.bgen", [simple([0, 1, 2])], ids(3), ids=False)
    with pytest.raises(InputError, match=r"^named.bgen: holds no sample ids"):
        open_genotypes(path)
    lines = ["ID_1 ID_2 missing sex", "0 0 0 D", "f1 a 0 1", "f2 b 0 2", "f3 c 0 NA"]
    path.with_suffix(".sample").write_text("\n".join(lines) + "\n")
    genotypes = open_genotypes(path)
    assert genotypes.samples == ["a", "b", "c"]
    np.testing.assert_array_equal(genotypes.sex, [1, 2, 0])
    path.with_suffix(".sample").write_text("ID\n0\nx\ny\nz\n")
    genotypes = open_genotypes(path)
    assert genotypes.samples == ["x", "y", "z"]
    assert genotypes.sex is None
    assert [file.name for file in genotypes.paths] == ["named.bgen", "named.sample"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ID_1 ID_2 missing\n0 0 0\na a 0\n", "1 participants, but the .bgen beside it has 3"),
        ("ID_1 ID_2 missing\n0 0 0\na a 0\nb b 0\nb b 0\n", "'b' stands there more than once"),
        ("a a 0\nb b 0\nc c 0\n", "not a .sample file"),
        ("", "not a .sample file"),
        ("ID_1 ID_2 missing\n0 0 0\na a 0 1 1\nb b 0\nc c 0\n", "not a .sample file"),
    ],
)
def test_a_wrong_sample_file_is_an_error(tmp_path, text, message):
    path = write_bgen(tmp_path / "named.bgen", [simple([0, 1, 2])], ids(3), ids=False)
    path.with_suffix(".sample").write_text(text)
    with pytest.raises(InputError, match=message):
        open_genotypes(path)


def rewritten(path, at, content):
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("at", "content", "message"),
    [
        (20, struct.pack("<I", 1 << 2 | 1 << 31), "layout 1; only layout 2"),
        (20, struct.pack("<I", 3 | 2 << 2 | 1 << 31), "compression 3"),
        (16, b"vcf4", "not a BGEN file"),
        (8, struct.pack("<I", 0), "holds no variants"),
        (8, struct.pack("<I", 2), "2 variants, of which 1 are whole"),
        (8, struct.pack("<I", 2**31), "more than .* bytes can hold"),
        (12, struct.pack("<I", 4), "names 3 samples, but its header says 4"),
        (0, struct.pack("<I", 2**31), "cut short within"),
    ],
)
def test_a_damaged_header_is_an_error(tmp_path, at, content, message):
    path = write_bgen(tmp_path / "bad.bgen", [simple([0, 1, 2])], ids(3))
    with pytest.raises(InputError, match=message):
        open_genotypes(rewritten(path, at, content))


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (simple([2], calls=[(3, [255, 0, 0, 0])]), "ploidy 3 to 3; only 1 and 2"),
        (simple([2], calls=[(2, [200, 100, -45])]), "sum to more than one"),
        (simple([2], bits=16, calls=[(2, [65535, 9, -9])]), "sum to more than one"),
        (simple([2], bits=9, calls=[(2, [511, 9, -9])]), "sum to more than one"),
    ],
)
def test_impossible_genotypes_are_an_error(tmp_path, variant, message):
    genotypes = open_genotypes(write_bgen(tmp_path / "bad.bgen", [variant], ids(1)))
    with pytest.raises(InputError, match=rf"^bad.bgen: variant 1 of the file: .*{message}"):
        genotypes.dosages([0])


def test_probabilities_rounded_up_one_by_one_are_accepted(tmp_path):
    genotypes = open_genotypes(
        write_bgen(tmp_path / "up.bgen", [simple([2], calls=[(2, [128, 128, -1])])], ids(1))
    )
    np.testing.assert_allclose(genotypes.dosages([0]), [[3 * 128 / 255]], rtol=1e-7)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    rng = np.random.default_rng(3)
    content = [
        simple(rng.integers(-1, 3, 5), bits, position=i, chromosome=c)
        for i, (bits, c) in enumerate([(8, "1"), (16, "1"), (7, "2"), (8, "X")])
    ]

    def write(compression):
        path = tmp_path_factory.mktemp("whole") / "whole.bgen"
        write_bgen(path, content, ids(5), compression)
        return path.read_bytes(), expected(content)

    return {compression: write(compression) for compression in ("none", "zlib", "zstd")}


@MANY
@given(compression=st.sampled_from(["none", "zlib", "zstd"]), data=st.data())
def test_a_file_cut_anywhere_is_an_error(tmp_path, whole_file, compression, data):
    content, _ = whole_file[compression]
    path = tmp_path / "cut.bgen"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError) as error:
        open_genotypes(path)
    assert "\n" not in str(error.value)


@MANY
@given(
    compression=st.sampled_from(["none", "zlib", "zstd"]),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), min_size=1, max_size=3),
)
def test_a_damaged_file_is_an_error_or_reads_within_bounds(
    tmp_path, whole_file, compression, flips
):
    content, wanted = whole_file[compression]
    damaged = bytearray(content)
    for at, bit in flips:
        damaged[at % len(damaged)] ^= 1 << bit
    path = tmp_path / "flipped.bgen"
    path.write_bytes(damaged)
    try:
        genotypes = open_genotypes(path)
        dosages = genotypes.dosages(np.arange(genotypes.variant_count))
    except InputError:
        return
    assert dosages.shape[1] == wanted.shape[1]
    known = dosages[~np.isnan(dosages)]
    assert ((known >= 0) & (known <= 2)).all()


def test_a_block_that_claims_to_unpack_to_gigabytes_is_refused_before_it_does(tmp_path):
    path = write_bgen(tmp_path / "bomb.bgen", [simple([0, 1, 2])], ids(3))
    data = path.read_bytes()
    at = data.index(zlib.compress(b"")[:1], 60)
    path.write_bytes(data[: at - 4] + struct.pack("<I", 2**32 - 1) + data[at:])
    with pytest.raises(InputError, match="more than they can fill"):
        open_genotypes(path).dosages([0])
