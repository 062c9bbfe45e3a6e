import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regreveal.errors import InputError
from regreveal.genetics.ploidy import (
    KINDS,
    canonical_chromosome,
    chromosome_kind,
    code_males,
    read_sex,
)


def kinds(names, position=100_000_000, **options):
    return list(chromosome_kind(pd.Series(names), np.full(len(names), position), **options))


def test_names_tell_the_kind_whatever_the_file_calls_them():
    assert kinds(["1", "chr22", "07", "NC_000021.9"]) == ["autosome"] * 4
    assert kinds(["X", "chrx", "23", "0X", "NC_000023.11", "chrX_KI270880v1_alt"]) == ["x"] * 6
    assert kinds(["XY", "25", "PAR1", "chrPAR2"]) == ["par"] * 4
    assert kinds(["Y", "24", "chrY_KI270740v1_random"]) == ["y"] * 3
    assert kinds(["MT", "M", "26", "chrM", "NC_012920.1"]) == ["mt"] * 5
    assert kinds(["0", "KI270728.1", "chrUn_KI270302v1", "HLA-A"]) == ["other"] * 4


@pytest.mark.parametrize(
    ("build", "par", "x"),
    [
        ("GRCh37", [60_001, 2_699_520, 154_931_044], [2_699_521, 154_931_043, 0, -5]),
        ("GRCh38", [10_001, 2_781_479, 155_701_383], [2_781_480, 155_701_382, 0]),
        (None, [2_699_521, 2_781_479, 154_931_044], [2_781_480, 154_931_043, 0]),
    ],
)
def test_the_ends_of_x_are_pseudo_autosomal_by_build(build, par, x):
    for positions, kind in ((par, "par"), (x, "x")):
        found = chromosome_kind(pd.Series(["X"] * len(positions)), positions, build)
        assert list(found) == [kind] * len(positions)
    assert list(chromosome_kind(pd.Series(["7", "Y"]), [60_001, 60_001], build)) == [
        *("autosome", "y")
    ]


def test_numbers_after_the_autosomes_are_those_of_plink_for_any_species():
    mouse = {"autosomes": 19}
    assert kinds(["19", "20", "21", "22", "23", "X"], 1000, **mouse) == [
        *("autosome", "x", "y", "par", "mt", "x")
    ]
    assert kinds(["23", "29", "30"], autosomes=29) == ["autosome", "autosome", "x"]
    with pytest.raises(InputError, match="chromosome '27': with 22 autosomes, numbers go up to 26"):
        kinds(["1", "27"])


def test_unknown_builds_are_refused():
    with pytest.raises(InputError, match="genome build 'hg18': expected GRCh37 or GRCh38"):
        kinds(["X"], build="hg18")


@settings(max_examples=60, deadline=None)
@given(name=st.text("0123456789chCHrRXYxyMTPA_.", max_size=6))
def test_canonical_names_are_stable(name):
    try:
        canonical = canonical_chromosome(name)
    except InputError:
        return
    if not canonical.startswith("CHR"):
        assert canonical_chromosome(canonical) == canonical
    assert kinds([name])[0] in KINDS


@settings(max_examples=50, deadline=None)
@given(
    dosages=hnp.arrays(np.int8, (5, 9), elements=st.integers(-1, 2)),
    male=hnp.arrays(bool, 9),
    fractional=st.booleans(),
)
def test_heterozygous_men_become_missing_and_nothing_else_changes(dosages, male, fractional):
    given = dosages
    if fractional:
        given = np.where(dosages < 0, np.nan, dosages).astype(np.float32)
    before = given.copy()
    coded, set_missing = code_males(given, male)
    assert coded.dtype == given.dtype
    np.testing.assert_array_equal(given, before)
    expected = [
        [(-1 if man and dosage == 1 else dosage) for dosage, man in zip(row, male, strict=True)]
        for row in dosages
    ]
    as_whole = np.where(np.isnan(coded), -1, coded) if fractional else coded
    np.testing.assert_array_equal(as_whole, expected)
    assert set_missing.tolist() == [
        sum(dosage == 1 and man for dosage, man in zip(row, male, strict=True)) for row in dosages
    ]


def test_fractional_dosages_of_men_stay():
    dosages = np.array([[0.3, 1.0, 1.97, np.nan]], dtype=np.float32)
    coded, set_missing = code_males(dosages, np.array([True, True, True, True]))
    np.testing.assert_array_equal(coded, np.float32([[0.3, np.nan, 1.97, np.nan]]))
    assert set_missing.tolist() == [1]


@pytest.mark.parametrize(
    ("column", "sex"),
    [
        (["Male", "female", "F", "m", " FEMALE "], [1, 2, 2, 1, 2]),
        ([1, 2, 0, -9], [1, 2, 0, 0]),
        ([1.0, 2.0, np.nan], [1, 2, 0]),
        (["1", "2", "NA", "", None], [1, 2, 0, 0, 0]),
        (["M", "0", "unknown"], [1, 0, 0]),
        ([2, 2], [2, 2]),
    ],
)
def test_sex_is_read_from_words_letters_and_plink_codes(column, sex):
    read = read_sex(pd.Series(column, name="sex"))
    assert read.dtype == np.int8
    assert read.tolist() == sex
    assert read_sex(pd.Series(column, dtype="category")).tolist() == sex


@pytest.mark.parametrize("column", [[0, 1], ["0", "1", ""], [True, False], [1, 1], [0.0, np.nan]])
def test_zeros_and_ones_are_no_sex(column):
    with pytest.raises(InputError, match=r"column 'sex'.*could mean either; write male and female"):
        read_sex(pd.Series(column, name="sex"))


def test_other_values_are_named():
    with pytest.raises(InputError, match="column 'sex': '3' is no sex; expected male and female"):
        read_sex(pd.Series([1, 2, 3], name="sex"))
