import pickle

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from ..conftest import write_bed
from .bgen_writer import write_bgen

PEOPLE = [f"p{i}" for i in range(9)]
DOSAGES = np.random.default_rng(0).integers(-1, 3, (7, 9)).astype(np.int8)


@pytest.fixture
def files(tmp_path):
    """Three variants, and four more of the same people in another order."""
    order = np.random.default_rng(1).permutation(9)
    write_bed(tmp_path / "first.bed", DOSAGES[:3], PEOPLE)
    write_bed(tmp_path / "second.bed", DOSAGES[3:][:, order], [PEOPLE[i] for i in order])
    return [tmp_path / "first.bed", tmp_path / "second.bed"]


def test_rows_go_through_all_files_in_the_order_given(files):
    genotypes = open_genotypes(files)
    assert genotypes.variant_count == 7
    assert list(genotypes.variants["variant_id"]) == [
        "rs0",
        "rs1",
        "rs2",
        "rs0",
        "rs1",
        "rs2",
        "rs3",
    ]
    assert list(genotypes.variants.index) == list(range(7))
    pd.testing.assert_frame_equal(genotypes.variant_rows(2, 5), genotypes.variants.iloc[2:5])
    assert genotypes.variant_rows(3, 3).empty
    np.testing.assert_array_equal(genotypes.dosages([6, 0, 3, 2]), DOSAGES[[6, 0, 3, 2]])
    some = ["p4", "p0", "p8"]
    np.testing.assert_array_equal(genotypes.dosages([5, 1], some), DOSAGES[[5, 1]][:, [4, 0, 8]])
    ends = (".bed", ".bim", ".fam")
    assert [path.name for path in genotypes.paths] == [
        *(f"first{end}" for end in ends),
        *(f"second{end}" for end in ends),
    ]


def test_memory_that_is_given_is_filled_from_all_files(files):
    genotypes = open_genotypes(files)
    memory = np.full((9, 9), 55, np.int8)
    for rows in ([0, 1, 2, 3, 4], [6, 0, 3, 2], [5, 5, 1]):
        np.testing.assert_array_equal(genotypes.dosages(rows, out=memory), DOSAGES[rows])
        np.testing.assert_array_equal(memory[: len(rows)], DOSAGES[rows])


def test_sex_is_known_of_whoever_has_one_in_any_file(files):
    assert (open_genotypes(files).sex == 0).all()
    for path, people in zip(files, [{"p1": 1, "p3": 2}, {"p3": 2, "p8": 1}], strict=True):
        _set_sex(path.with_suffix(".fam"), people)
    genotypes = open_genotypes(files)
    assert {p: s for p, s in zip(PEOPLE, genotypes.sex, strict=True) if s} == {
        **{"p1": 1, "p3": 2, "p8": 1}
    }
    _set_sex(files[1].with_suffix(".fam"), {"p1": 2})
    with pytest.raises(InputError, match=r"second\.bed: the sex of 'p1' is another than in"):
        open_genotypes(files)


def _set_sex(path, sex):
    fam = [line.split() for line in path.read_text().splitlines()]
    for line in fam:
        line[4] = str(sex.get(line[1], 0))
    path.write_text("\n".join(map(" ".join, fam)) + "\n")


def test_they_travel_to_other_processes(files):
    genotypes = pickle.loads(pickle.dumps(open_genotypes(files)))
    np.testing.assert_array_equal(genotypes.dosages(np.arange(7)), DOSAGES)


def test_one_file_is_itself(files):
    assert type(open_genotypes(files[:1])) is type(open_genotypes(files[0]))


def test_whole_and_fractional_dosages_go_together(files, tmp_path):
    call = {2: (2, [255, 0, 0]), 1: (2, [0, 255, 0]), 0: (2, [0, 0, 255]), -1: None}
    variant = {
        "chromosome": "2",
        "position": 5,
        "variant_id": "rs9",
        "alleles": ["A", "G"],
        "calls": [call[d] for d in DOSAGES[0]],
        "bits": 8,
        "phased": False,
    }
    write_bgen(tmp_path / "third.bgen", [variant], PEOPLE, "zlib")
    genotypes = open_genotypes([*files, tmp_path / "third.bgen"])
    found = genotypes.dosages([0, 7])
    assert found.dtype == np.float32
    wanted = np.where(DOSAGES[0] < 0, np.nan, DOSAGES[0])
    np.testing.assert_array_equal(found, [wanted, wanted])
    memory = np.zeros((3, 9), np.float32)
    np.testing.assert_array_equal(genotypes.dosages([7, 0, 7], out=memory), [wanted] * 3)
    assert genotypes.identity == [[], [], ["ref_last"]]
    # The file's own options decide its rows, and so what may be gone on with.
    assert open_genotypes([files[0], tmp_path / "third.bgen"], True).identity[1] == ["ref_first"]


def test_files_of_other_people_are_refused(files, tmp_path):
    write_bed(tmp_path / "other.bed", DOSAGES[:1], [*PEOPLE[:8], "stranger"])
    with pytest.raises(InputError, match="2 participants are only in it or only in first.bed"):
        open_genotypes([files[0], tmp_path / "other.bed"])
