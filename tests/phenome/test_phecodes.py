import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.phecodes import (
    map_diagnoses,
    phecode_status,
    read_diagnoses,
    read_phecode_map,
    unmapped_codes,
)

MAP = """icd10\tphecode
I48\t427.2
I48.0\t427.21
I10\t401.1
I49.9\t427
C61\t185
E11\t250.2
E11\t250
"""
INFO = """phecode\tname\tcategory\texclude_from\texclude_to\tsex
401.1\tHypertension\tcirculatory\t401\t405.99\tboth
427\tDysrhythmia\tcirculatory\t426\t427.99\tboth
427.2\tAtrial fibrillation and flutter\tcirculatory\t426\t427.99\tboth
427.21\tAtrial fibrillation\tcirculatory\t426\t427.99\tboth
185\tProstate cancer\tneoplasms\t\t\tmale
250\tDiabetes\tendocrine\t249\t250.99\t
250.2\tType 2 diabetes\tendocrine\t249\t250.99\tboth
"""


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "phecodes.tsv").write_text(MAP)
    (tmp_path / "phecode_info.tsv").write_text(INFO)
    return tmp_path


@pytest.fixture
def phecode_map(tables):
    return read_phecode_map(tables / "phecodes.tsv", tables / "phecode_info.tsv")


def _diagnoses(**codes):
    rows = [(person, code) for person, of_person in codes.items() for code in of_person]
    return pd.DataFrame(rows, columns=["sample_id", "icd10"])


def _sex(**sexes):
    return pd.Series(sexes, name="sex")


def test_a_code_takes_the_phecodes_of_the_longest_mapped_beginning(phecode_map):
    diagnoses = _diagnoses(a=["I48.0", "I489", "i48", "I48.91", "I4900", "E11.9", "I10X"])
    mapped = map_diagnoses(diagnoses, phecode_map).set_index("icd10")["phecode"]
    assert mapped["I480"] == "427.21"
    assert mapped["I489"] == mapped["I48"] == mapped["I4891"] == "427.2"
    assert pd.isna(mapped["I4900"])
    assert set(mapped["E119"]) == {"250.2", "250"}
    assert mapped["I10X"] == "401.1"


def test_codes_without_a_phecode_are_counted(phecode_map):
    diagnoses = _diagnoses(a=["Z00.0", "I48", "Z000"], b=["Q99", "Z00.0"])
    counted = unmapped_codes(diagnoses, phecode_map)
    assert counted.to_dict() == {"Z000": 3, "Q99": 1}


def test_a_case_of_a_phecode_is_a_case_of_those_above_it(phecode_map):
    status = phecode_status(
        _diagnoses(a=["I48.0"], b=["I48.9"]), phecode_map, _sex(a="male", b="male")
    )
    assert status.loc["a", ["427", "427.2", "427.21"]].tolist() == [1, 1, 1]
    assert status.loc["b", ["427", "427.2"]].tolist() == [1, 1]


def test_people_with_a_related_phecode_are_neither_cases_nor_controls(phecode_map):
    diagnoses = _diagnoses(a=["I48.0"], b=["I49.9"], c=["I10"])
    sex = _sex(a="male", b="male", c="male", d="male")
    status = phecode_status(diagnoses, phecode_map, sex)
    assert status.loc["a", "427.21"] == 1
    assert np.isnan(status.loc["b", "427.21"])
    assert status.loc["c", "427.21"] == 0
    assert status.loc["d", "427.21"] == 0
    assert status.loc["b", "427"] == 1


def test_a_phecode_of_one_sex_leaves_the_other_out(phecode_map):
    diagnoses = _diagnoses(a=["C61"], b=["C61"], c=["I10"])
    sex = _sex(a="male", b="female", c="male", d="female")
    status = phecode_status(diagnoses, phecode_map, sex)["185"]
    assert status["a"] == 1
    assert status["c"] == 0
    assert status[["b", "d"]].isna().all()


def test_people_without_a_diagnosis_are_controls_and_strangers_are_left_aside(phecode_map):
    diagnoses = _diagnoses(a=["I10"], stranger=["I10"])
    status = phecode_status(diagnoses, phecode_map, _sex(b="female", a="female"))
    assert status.index.tolist() == ["b", "a"]
    assert status["401.1"].tolist() == [0, 1]
    assert status.columns.tolist() == ["401.1", "427", "427.2", "427.21", "185", "250", "250.2"]


def test_phecodes_are_text(tables):
    (tables / "phecodes.tsv").write_text("icd10\tphecode\nA00\t250.10\nA01\t250.1\n")
    (tables / "phecode_info.tsv").write_text(
        "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
        "250.1\tone\tx\t\t\tboth\n250.10\tother\tx\t\t\tboth\n"
    )
    phecode_map = read_phecode_map(tables / "phecodes.tsv", tables / "phecode_info.tsv")
    status = phecode_status(_diagnoses(a=["A01"]), phecode_map, _sex(a="male"))
    assert status.loc["a"].to_dict() == {"250.1": 1, "250.10": 0}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("phecodes.tsv", "icd10\tcode\nI10\t401\n", "no column 'phecode'"),
        ("phecodes.tsv", "icd10\tphecode\nI10\t999\n", "phecode '999'"),
        ("phecodes.tsv", "", "cannot be read"),
        ("phecode_info.tsv", INFO + INFO.splitlines()[1] + "\n", "more than one row"),
        ("phecode_info.tsv", INFO.replace("405.99", "many"), "exclude_to 'many'"),
        ("phecode_info.tsv", INFO.replace("401\t405.99", "401\t"), "one end"),
        ("phecode_info.tsv", INFO.replace("\tmale", "\tmen"), "sex 'men'"),
    ],
)
def test_a_faulty_table_is_named(tables, file, content, message):
    (tables / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_phecode_map(tables / "phecodes.tsv", tables / "phecode_info.tsv")


def test_faulty_diagnoses_are_named(tables, phecode_map):
    with pytest.raises(InputError, match="no such file"):
        read_phecode_map(tables / "nowhere.tsv", tables / "phecode_info.tsv")
    path = tables / "diagnoses.tsv"
    path.write_text("sample_id\tcode\n1\tI10\n")
    with pytest.raises(InputError, match="no column 'icd10'"):
        read_diagnoses(path)
    path.write_text("sample_id\ticd10\n1\tI10\n2\t\n")
    with pytest.raises(InputError, match="row 2"):
        read_diagnoses(path)
    with pytest.raises(InputError, match="none of 1 people"):
        phecode_status(_diagnoses(x=["I10"]), phecode_map, _sex(a="male"))
    with pytest.raises(InputError, match="female or male"):
        phecode_status(_diagnoses(a=["I10"]), phecode_map, _sex(a="M"))
