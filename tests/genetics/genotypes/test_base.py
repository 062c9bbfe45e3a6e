import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.genotypes import Genotypes, chromosome_rank, open_genotypes
from regreveal.genetics.genotypes.base import sex_of_codes


class ListedGenotypes(Genotypes):
    """Dosages that encode who and which variant they are of."""

    def __init__(self, variants, samples, hard_calls=False):
        super().__init__("listed.test", [f"s{i}" for i in range(samples)])
        self.hard_calls = hard_calls
        self.variant_count = variants
        self.rows_described = 0

    def variant_rows(self, start, stop):
        self.rows_described += stop - start
        rows = pd.RangeIndex(start, stop)
        names = [f"rs{row}" for row in rows]
        return pd.DataFrame(
            {"chromosome": "1", "position": rows, "variant_id": names, "ref": "A", "alt": "C"},
            index=rows,
        )

    def _read(self, rows, places, out):
        np.add.outer(rows, places, out=out, casting="unsafe")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_rows_and_samples_come_in_the_order_asked_for(data):
    count = data.draw(st.sampled_from([1, 5, 700]))
    genotypes = ListedGenotypes(count, 7)
    rows = data.draw(st.none() | st.lists(st.integers(0, count - 1), max_size=30))
    places = data.draw(st.none() | st.lists(st.integers(0, 6), max_size=9))
    samples = None if places is None else [f"s{i}" for i in places]
    if data.draw(st.booleans()):
        assert len(genotypes.variants) == count
    expected = np.add.outer(
        np.arange(count) if rows is None else np.array(rows, dtype=int),
        np.arange(7) if places is None else np.array(places, dtype=int),
    )
    size = data.draw(st.integers(1, 40))
    blocks = list(genotypes.blocks(samples, size, rows))
    assert [len(dosages) for _, dosages in blocks[:-1]] == [size] * (len(blocks) - 1)
    np.testing.assert_array_equal(
        np.concatenate([np.empty((0, expected.shape[1])), *[dosages for _, dosages in blocks]]),
        expected,
    )
    described = [row for variants, _ in blocks for row in variants.index]
    assert described == list(range(count) if rows is None else rows)
    for variants, _ in blocks:
        assert list(variants["variant_id"]) == [f"rs{row}" for row in variants.index]


def test_variants_far_apart_are_described_without_those_between():
    genotypes = ListedGenotypes(1_000_000, 3)
    list(genotypes.blocks(variants=np.array([999_999, 3, 500_000])))
    assert genotypes.rows_described == 3


def test_reading_blocks_keeps_no_table_of_variants():
    genotypes = ListedGenotypes(100, 3)
    list(genotypes.blocks())
    assert "variants" not in vars(genotypes)


@pytest.mark.parametrize(("hard_calls", "dtype"), [(True, np.int8), (False, np.float32)])
def test_no_rows_give_no_dosages_of_the_right_type(hard_calls, dtype):
    dosages = ListedGenotypes(5, 3, hard_calls).dosages([], ["s1", "s0"])
    assert dosages.shape == (0, 2)
    assert dosages.dtype == dtype


def test_dosages_go_into_the_first_rows_of_memory_that_is_given():
    memory = np.full((4, 2), 99, np.float32)
    genotypes = ListedGenotypes(50, 3, hard_calls=False)
    found = genotypes.dosages([7, 40], ["s1", "s0"], out=memory)
    assert np.shares_memory(found, memory)
    np.testing.assert_array_equal(memory, [[8, 7], [41, 40], [99, 99], [99, 99]])
    assert genotypes.dosages([], ["s1", "s0"], out=memory).shape == (0, 2)
    np.testing.assert_array_equal(found, genotypes.dosages([7, 40], ["s1", "s0"]))


@pytest.mark.parametrize(
    "memory",
    [
        np.empty((1, 3), np.float32),
        np.empty((2, 4), np.float32),
        np.empty((2, 3), np.int8),
        np.empty(6, np.float32),
        np.empty((3, 2), np.float32).T,
    ],
)
def test_memory_of_another_shape_or_type_is_refused(memory):
    with pytest.raises(ValueError, match=r"expected C-contiguous float32 of shape \(2, 3\)"):
        ListedGenotypes(5, 3, hard_calls=False).dosages([0, 1], out=memory)


def test_unknown_samples_are_named_before_anything_is_read():
    genotypes = ListedGenotypes(5, 3)
    with pytest.raises(InputError, match=r"listed\.test: 2 sample ids are not in .*'nobody'"):
        genotypes.blocks(["s0", "nobody", "noone"])


@pytest.mark.parametrize("row", [-1, 5])
def test_rows_outside_the_file_are_refused(row):
    with pytest.raises(IndexError, match="0 to 4"):
        ListedGenotypes(5, 3).dosages([0, row])


def test_repeated_and_missing_samples_are_refused():
    class NamedGenotypes(ListedGenotypes):
        __init__ = Genotypes.__init__

    with pytest.raises(InputError, match="'b' stands there more than once"):
        NamedGenotypes("x.test", ["a", "b", "c", "b"])
    with pytest.raises(InputError, match="no samples"):
        NamedGenotypes("x.test", [])


def test_a_reader_must_say_how_it_reads():
    with pytest.raises(TypeError, match="abstract methods"):
        Genotypes("x.test", ["a"])


def test_samples_are_matched_in_linear_time():
    genotypes = ListedGenotypes(1, 300_000)
    samples = genotypes.samples[::-1]
    assert genotypes.dosages([0], samples)[0, 0] == 299_999


def test_sex_is_understood_as_files_write_it():
    codes = pd.Series(["1", "2", "M", "F", "male", "Female", "0", "NA", "-9", "3"])
    np.testing.assert_array_equal(sex_of_codes(codes), [1, 2, 1, 2, 1, 2, 0, 0, 0, 0])


def test_other_formats_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"genome\.xyz: genotypes are read from \.bed, \.pgen, "):
        open_genotypes(tmp_path / "genome.xyz")


def test_readers_and_their_libraries_load_only_when_needed():
    code = (
        "import sys, regreveal.genetics.genotypes;"
        "print(sorted({'numba', 'pgenlib', 'pysam', 'cyvcf2', 'pyarrow.csv'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_chromosomes_sort_as_people_expect():
    names = pd.Series(["chrX", "10", "2", "MT", "1", "KI270728", "Y"])
    assert list(names.iloc[np.argsort(chromosome_rank(names))]) == [
        *("1", "2", "10", "chrX", "Y", "MT", "KI270728")
    ]
    names = pd.Series(["NC_000023.11", "26", "24", "PAR1", "chr9", "NC_000010.11", "02", "2"])
    assert list(names.iloc[np.argsort(chromosome_rank(names))]) == [
        *("02", "2", "chr9", "NC_000010.11", "NC_000023.11", "24", "PAR1", "26")
    ]
    names = pd.Series(["X", "29", "23", "31"])
    assert list(names.iloc[np.argsort(chromosome_rank(names, autosomes=29))]) == [
        *("23", "29", "X", "31")
    ]
