import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regreveal.errors import InputError
from regreveal.genetics.genotypes.chromosomes import (
    canonical_chromosome,
    chromosome_number,
    chromosome_of_positions,
)
from regreveal.genetics.genotypes.ploidy import (
    KINDS,
    chromosome_kind,
    code_males,
    read_sex,
)
from regreveal.genetics.univariate import TraitSpace


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


def test_names_stand_for_the_numbers_that_plink_has_for_them():
    names = ["chr7", "NC_000007.14", "X", "24", "PAR2", "chrM", "HLA-A"]
    assert [chromosome_number(name) for name in names] == [7, 7, 23, 24, 25, 26, None]
    assert [chromosome_number(name, 19) for name in ("X", "23", "19")] == [20, 23, 19]


def test_positions_of_the_pseudo_autosomal_parts_are_those_of_x():
    for name in ("XY", "25", "chrPAR1", "NC_000023.11", "23"):
        assert chromosome_of_positions(name) == "X"
    assert chromosome_of_positions("25", 29) == "25"
    assert [chromosome_of_positions(name) for name in ("27", "chrun_1")] == ["27", "UN_1"]


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


def test_x_with_sex_as_a_covariate_is_what_plink2_does(bed_writer, tmp_path):
    if shutil.which("plink2") is None:
        pytest.skip("plink2 is not installed (Debian: apt-get install plink2)")
    rng = np.random.default_rng(3)
    male = rng.random(300) < 0.45
    frequency = rng.uniform(0.1, 0.9, (20, 1))
    dosages = np.where(male, 2, 1) * rng.binomial(np.where(male, 1, 2), frequency, (20, 300))
    dosages[::4, male] = np.where(rng.random(male.sum()) < 0.05, 1, dosages[::4, male])
    sites = {"id": [f"x{i}" for i in range(20)], "cm": 0, "position": 5_000_000 + np.arange(20)}
    variants = pd.DataFrame({"chromosome": "X", **sites, "alt": "A", "ref": "G"})
    path = bed_writer(dosages, variants=variants)
    fam = pd.read_csv(path.with_suffix(".fam"), sep=" ", header=None)
    fam[4] = np.where(male, 1, 2)
    fam.to_csv(path.with_suffix(".fam"), sep=" ", header=False, index=False)
    age, trait = rng.normal(0, 1, 300), rng.normal(0, 1, 300) + 0.5 * male
    table = pd.DataFrame({"#IID": fam[1], "trait": trait, "age": age})
    table.to_csv(tmp_path / "table.txt", sep="\t", index=False, float_format="%.17g")
    genome, table = str(path.with_suffix("")), str(tmp_path / "table.txt")
    for command in (
        f"--bfile {genome} --set-hh-missing --make-bed --out {genome}",
        f"--bfile {genome} --pheno {table} --pheno-name trait --covar {table} --covar-name age "
        f"--glm omit-ref hide-covar --out {genome}",
    ):
        command = ["plink2", "--threads", "1", *command.split()]
        subprocess.run(command, check=True, capture_output=True)
    theirs = pd.read_csv(f"{genome}.trait.glm.linear", sep="\t")

    coded, set_missing = code_males(dosages.astype(np.int8), male)
    assert set_missing.sum() > 0
    ours = []
    for variant in coded:
        known = variant >= 0
        space = TraitSpace(trait[known, None], np.column_stack([age, male])[known])
        effects = space.effects(space.project(variant[None, known]))
        ours.append([known.sum(), effects.beta[0, 0], effects.standard_error[0, 0]])
    np.testing.assert_allclose(ours, theirs[["OBS_CT", "BETA", "SE"]], rtol=5.1e-6)


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
