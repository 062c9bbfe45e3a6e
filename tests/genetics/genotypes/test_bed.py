import bed_reader
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from ..conftest import write_bed


def all_dosages(genotypes, **options):
    return np.concatenate([dosages for _, dosages in genotypes.blocks(**options)])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dosages=hnp.arrays(
        np.int8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=13),
        elements=st.integers(-1, 2),
    ),
    size=st.integers(1, 20),
    data=st.data(),
)
def test_any_people_rows_and_block_size_give_the_same_dosages(tmp_path, dosages, size, data):
    genotypes = open_genotypes(write_bed(tmp_path / "any.bed", dosages))
    np.testing.assert_array_equal(all_dosages(genotypes, size=size), dosages)
    people = data.draw(st.lists(st.integers(0, dosages.shape[1] - 1), max_size=20))
    rows = data.draw(st.lists(st.integers(0, len(dosages) - 1), min_size=1, max_size=20))
    samples = [genotypes.samples[i] for i in people]
    np.testing.assert_array_equal(
        all_dosages(genotypes, samples=samples, size=size, variants=rows),
        dosages[np.ix_(rows, people)],
    )


def test_the_alternate_allele_is_column_five_of_the_bim(bed_writer):
    genotypes = open_genotypes(bed_writer([[0, 1, 2, -1]]))
    variant = genotypes.variants.iloc[0]
    assert (variant["alt"], variant["ref"]) == ("A", "G")
    np.testing.assert_array_equal(genotypes.dosages(np.array([0])), [[0, 1, 2, -1]])


def test_another_reader_sees_the_same_genotypes(shared_data):
    path = shared_data / "genetics/regenie/example.bed"
    theirs = bed_reader.open_bed(path, count_A1=True).read(dtype="int8")
    theirs = np.where(theirs == -127, -1, theirs).T
    np.testing.assert_array_equal(all_dosages(open_genotypes(path), size=77), theirs)


def test_blocks_name_their_variants(bed_writer):
    genotypes = open_genotypes(bed_writer(np.zeros((5, 3), np.int8)))
    order = np.array([4, 0, 2])
    names = [list(variants["variant_id"]) for variants, _ in genotypes.blocks(None, 2, order)]
    assert names == [["rs4", "rs0"], ["rs2"]]
    assert genotypes.dosages(np.array([], dtype=int)).shape == (0, 3)


def spoil(path, how):
    bed, bim, fam = path, path.with_suffix(".bim"), path.with_suffix(".fam")
    if how == "magic":
        bed.write_bytes(b"PK\x03" + bed.read_bytes()[3:])
    elif how == "sample major":
        bed.write_bytes(b"\x6c\x1b\x00" + bed.read_bytes()[3:])
    elif how == "truncated":
        bed.write_bytes(bed.read_bytes()[:-1])
    elif how == "empty":
        bed.write_bytes(b"")
    elif how == "another bim":
        bim.write_text("".join(bim.read_text().splitlines(keepends=True)[:-1]))
    elif how == "another fam":
        fam.write_text(fam.read_text() + "".join(f"0 more{i} 0 0 0 -9\n" for i in range(4)))
    elif how == "duplicate id":
        fam.write_text(fam.read_text().replace("person1", "person0"))
    elif how == "position":
        bim.write_text(bim.read_text().replace("2000", "two"))
    elif how == "narrow bim":
        bim.write_text("1 rs0 0 1000\n")
    elif how == "ragged bim":
        bim.write_text(bim.read_text().replace("rs1\t0\t", "rs1\t"))
    elif how == "empty fam":
        fam.write_text("")
    elif how == "no bim":
        bim.unlink()
    elif how == "no bed":
        bed.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("magic", r"genome\.bed: not a PLINK 1 \.bed"),
        ("sample major", "sample-major"),
        ("truncated", r"genome\.bed: 8 bytes, but 3 variants \(\.bim\) of 5 samples"),
        ("empty", "not a PLINK 1"),
        ("another bim", "belongs to another"),
        ("another fam", "belongs to another"),
        ("duplicate id", "'person0' stands there more than once"),
        ("position", "line 2: position 'two' is not a whole number"),
        ("narrow bim", "6 columns"),
        ("ragged bim", "line 2 has 5 columns; expected at least 6 columns"),
        ("empty fam", r"genome\.fam: the file is empty"),
        ("no bim", "no such file"),
        ("no bed", "no such file"),
    ],
)
def test_damaged_files_are_refused_in_one_line(bed_writer, how, message):
    path = bed_writer(np.ones((3, 5), np.int8))
    spoil(path, how)
    with pytest.raises(InputError, match=message) as error:
        _ = open_genotypes(path).variants
    assert "\n" not in str(error.value)


def test_unknown_sample_ids_are_named(bed_writer):
    genotypes = open_genotypes(bed_writer(np.ones((3, 5), np.int8)))
    with pytest.raises(InputError, match="1 sample ids are not in the file .*'nobody'"):
        next(genotypes.blocks(["person1", "nobody"], 2))


def test_files_of_another_writer_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(5)
    dosages = rng.integers(-1, 3, (700, 61)).astype(np.int8)
    sex = rng.integers(0, 3, 61)
    written = np.where(dosages < 0, -127, dosages).T.astype(np.int8)
    properties = {"sex": sex, "iid": [f"p{i}" for i in range(61)], "bp_position": np.arange(700)}
    bed_reader.to_bed(tmp_path / "theirs.bed", written, properties=properties, count_A1=True)
    genotypes = open_genotypes(tmp_path / "theirs.bed")
    np.testing.assert_array_equal(all_dosages(genotypes, size=64), dosages)
    np.testing.assert_array_equal(genotypes.sex, sex)
    assert genotypes.samples == properties["iid"]
    assert list(genotypes.variants["position"]) == list(range(700))


def test_a_fam_needs_no_phenotype(bed_writer):
    path = bed_writer([[0, 1]])
    path.with_suffix(".fam").write_text("1 anna 0 0 2\n1 otto 0 0 1\n")
    genotypes = open_genotypes(path)
    assert genotypes.samples == ["anna", "otto"]
    np.testing.assert_array_equal(genotypes.sex, [2, 1])


def test_a_file_cut_short_while_it_is_read_is_noticed(bed_writer):
    path = bed_writer(np.ones((100, 50), np.int8))
    genotypes = open_genotypes(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"genome\.bed: has become shorter"):
        genotypes.dosages(np.arange(90))


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_any_damage_is_an_error_or_still_a_table(tmp_path, data):
    path = write_bed(tmp_path / "any.bed", np.ones((3, 5), np.int8))
    suffix = data.draw(st.sampled_from([".bed", ".bim", ".fam"]))
    content = bytearray(path.with_suffix(suffix).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    path.with_suffix(suffix).write_bytes(content)
    try:
        genotypes = open_genotypes(path)
        variants, dosages = genotypes.variants, all_dosages(genotypes)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = "none"
        assert dosages.shape == (len(variants), len(genotypes.samples)) == (3, 5)
        assert np.isin(dosages, [-1, 0, 1, 2]).all()
        assert not variants.isna().any(axis=None)
        assert len(set(genotypes.samples)) == 5
        assert len(genotypes.sex) == 5
    assert "\n" not in refusal
