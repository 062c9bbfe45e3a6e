"""Phecodes of codes checked by hand, on the maps that the package phetk carries.

What a code means was looked up in ICD-9-CM and ICD-10(-CM), and the phecodes that it should have in
the definitions of phecodes 1.2 and phecodeX; nothing was copied from what this package gives.
"""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.phecode_records import phecode_records
from regreveal.phenome.phecodes.status import phecode_status

# Vocabulary, code and meaning, then the phecodes of version 1.2 and of phecodeX, all levels.
CHECKED = """
10 I48.0   paroxysmal atrial fibrillation | 427 427.2 427.21 | CV_416 CV_416.2 CV_416.21 CV_416.211
10 I48.92  atrial flutter                 | 427 427.2 427.22 | CV_416 CV_416.2 CV_416.22
9  427.31  atrial fibrillation            | 427 427.2 427.21 | CV_416 CV_416.2 CV_416.21
9  427.32  atrial flutter                 | 427 427.2 427.22 | CV_416 CV_416.2 CV_416.22
10 I21.9   acute myocardial infarction    | 411 411.2        | CV_404 CV_404.1 CV_404.11
9  410     acute myocardial infarction    | 411 411.2        | CV_404 CV_404.1 CV_404.11
9  410.91  acute myocardial infarction    | 411 411.2        | CV_404 CV_404.1 CV_404.11
10 I25.10  coronary atherosclerosis       | 411 411.4        | CV_404 CV_404.2 CV_436
9  413.9   angina pectoris                | 411 411.3        | CV_403
10 I10     essential hypertension         | 401 401.1        | CV_401 CV_401.1
9  401.9   essential hypertension         | 401 401.1        | CV_401 CV_401.1
10 I50.9   heart failure                  | 428 428.1        | CV_424
10 I26.99  pulmonary embolism             | 415 415.1 415.11 | CV_440 CV_440.3
10 I63.9   cerebral infarction            | 433 433.2 433.21 | CV_431 CV_431.1 CV_431.11
9  V45.01  pacemaker in place             | 426 426.9 426.91 | CV_419 CV_419.1
10 E11.9   type 2 diabetes                | 250 250.2        | EM_202 EM_202.2
10 E10.9   type 1 diabetes                | 250 250.1        | EM_202 EM_202.1 BI_181
9  250.00  type 2 diabetes                | 250 250.2        | EM_202 EM_202.2
9  250.01  type 1 diabetes                | 250 250.1        | EM_202 EM_202.1 BI_181
9  790.29  abnormal glucose, no diabetes  | 250.4 250.42     | EM_204
10 O24.410 diabetes of pregnancy          | 649.1            | EM_202 PP_909 PP_909.1
10 E03.9   hypothyroidism                 | 244 244.4        | EM_200 EM_200.1 EM_200.12
10 E78.00  pure hypercholesterolaemia     | 272 272.1 272.11 | EM_239 EM_239.1 EM_239.11
10 M10.9   gout                           | 274 274.1        | MS_703 MS_703.1
10 E85.9   amyloidosis                    | 270.33           | EM_249
9  E850    poisoning by analgesics        | 965              |
9  V10     history of cancer              | 195 195.1        | CA_112 CA_130
10 V10.0   pedal cyclist hurt             |                  |
10 N40.0   hyperplasia of prostate        | 600              | GU_602 GU_602.1
9  600.00  hyperplasia of prostate        | 600              | GU_602 GU_602.1
10 C61     cancer of prostate             | 185              | CA_107 CA_107.2 CA_130
9  V10.46  history of prostate cancer     | 185              | CA_107 CA_107.2 CA_130
10 C50.911 breast cancer, woman           | 174 174.1 174.11 | CA_105 CA_105.1 CA_130
10 C50.921 breast cancer, man             | 174 174.2        | CA_105 CA_105.2 CA_130
10 C56.9   cancer of ovary                | 184 184.1 184.11 | CA_106 CA_106.3 CA_130
10 N80.9   endometriosis                  | 615              | GU_615
10 D25.9   leiomyoma of uterus            | 218 218.1        | CA_144 CA_144.2 CA_144.21
10 O14.90  pre-eclampsia                  | 642 642.1        | PP_908 PP_908.1
10 O80     normal delivery                |                  |
9  650     normal delivery                |                  |
10 J45.909 asthma                         | 495              | RE_475
9  493.90  asthma                         | 495              | RE_475
10 J44.9   chronic obstructive disease    | 496              | RE_474
10 K50.90  Crohn's disease                | 555 555.1        | GI_522 GI_522.1 GI_522.11 BI_181
10 G35     multiple sclerosis             | 335              | NS_326 NS_326.1 BI_181
10 G30.9   Alzheimer's disease            | 290 290.1 290.11 | NS_328 NS_328.1 NS_328.11
10 M06.9   rheumatoid arthritis           | 714 714.1        | MS_705 MS_705.1 BI_181
10 M81.0   osteoporosis                   | 743 743.1 743.11 | MS_726 MS_726.1
9  038.9   septicaemia                    | 038              | ID_089 ID_089.1 ID_092 ID_092.2
9  389.9   hearing loss                   | 389              | SO_396
9  008.45  Clostridium difficile          | 008 008.5 008.52 | ID_015 ID_015.2 ID_089 ID_089.1 \
GI_526 GI_526.1 GI_526.12
10 A04.72  Clostridium difficile          | 008 008.5 008.52 | ID_015 ID_015.2 ID_089 ID_089.1 \
GI_526 GI_526.1 GI_526.12
"""
# ICD-10 of the WHO, as hospitals in Britain write it, without dots.
CHECKED_WHO = """
10 I480  paroxysmal atrial fibrillation | CV_416 CV_416.2 CV_416.21 CV_416.211
10 I489  fibrillation or flutter        | CV_416 CV_416.2
10 I219  acute myocardial infarction    | CV_404 CV_404.1 CV_404.11
10 E119  type 2 diabetes                | EM_202 EM_202.2
10 N40   hyperplasia of prostate        | GU_602 GU_602.1
10 C509  breast cancer, either sex      | CA_105 CA_130
10 O149  pre-eclampsia                  | PP_908 PP_908.1
10 O809  normal delivery                |
10 I10X  hypertension, filled up        | CV_401 CV_401.1
10 E850  familial amyloidosis           | EM_249 GE_981 GE_981.5
10 D869  sarcoidosis                    | DE_688 DE_688.1
"""


@pytest.fixture(scope="session")
def phetk_maps(tmp_path_factory):
    """Return the folder of the package's maps; the package itself would bring an older numpy."""
    constraints = Path(__file__).parents[3] / "constraints.txt"
    pinned = re.search(r"^phetk==\S+$", constraints.read_text(), flags=re.MULTILINE)[0]
    folder = tmp_path_factory.mktemp("phetk")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--disable-pip-version-check", "--retries", "1", "--target", str(folder), pinned]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{pinned} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return folder / "phetk" / "phecode"


@pytest.fixture(scope="session")
def maps(phetk_maps):
    names = {"1.2": "phecode12.csv", "X": "phecodeX.csv", "X, WHO": "phecodeX_WHO.csv"}
    return {name: read_phecode_map(phetk_maps / file) for name, file in names.items()}


def _records(tmp_path, phecode_map, diagnoses):
    """Records of (person, vocabulary, code), by way of a file."""
    path = tmp_path / "diagnoses.csv"
    table = pd.DataFrame(diagnoses, columns=["sample_id", "flag", "code"])
    table.to_csv(path, index=False)
    return phecode_records(read_diagnoses(path), phecode_map)


def _lines(text):
    for line in text.strip().splitlines():
        code, *phecodes = line.split("|")
        vocabulary, code, _ = code.split(maxsplit=2)
        yield vocabulary, code, [sorted(part.split()) for part in phecodes]


def _found(tmp_path, phecode_map, checked):
    people = [(f"{v} {code}", v, code) for v, code, _ in checked]
    events = _records(tmp_path, phecode_map, people).events.astype(str)
    by_person = events.groupby("sample_id")["phecode"].apply(sorted).to_dict()
    return {person: by_person.get(person, []) for person, _, _ in people}


@pytest.mark.parametrize(("version", "column"), [("1.2", 0), ("X", 1)])
def test_fifty_codes_have_the_phecodes_they_should_have(maps, tmp_path, version, column):
    checked = list(_lines(CHECKED.replace("\\\n", "")))
    assert len(checked) >= 50
    expected = {f"{v} {code}": phecodes[column] for v, code, phecodes in checked}
    assert _found(tmp_path, maps[version], checked) == expected


def test_codes_of_the_who_have_the_phecodes_they_should_have(maps, tmp_path):
    checked = list(_lines(CHECKED_WHO))
    expected = {f"{v} {code}": phecodes[0] for v, code, phecodes in checked}
    assert _found(tmp_path, maps["X, WHO"], checked) == expected


@pytest.mark.parametrize(
    ("version", "of_women", "of_men"),
    [
        ("1.2", "174.1 174.11 184.11 218.1 615 626.12 642.1 634.3", "185 187.2 600 605 609.1"),
        ("X", "CA_105.1 CA_106.3 CA_144.21 GU_615 PP_908.1", "CA_107.2 CA_107.3 GU_602.1 GU_605"),
        ("X, WHO", "CA_106.3 CA_144.21 GU_615 PP_908.1", "CA_107.2 CA_107.3 GU_602.1"),
    ],
)
def test_diseases_of_one_sex_are_of_that_sex(maps, version, of_women, of_men):
    sex = maps[version].info["sex"]
    assert (sex[of_women.split()] == "female").all()
    assert (sex[of_men.split()] == "male").all()


def test_diseases_of_both_sexes_are_of_both(maps):
    # Breast cancer and gynaecomastia, hernia and infertility at large, come in both.
    assert (maps["1.2"].info.loc[["174", "612.2", "550", "411.2"], "sex"] == "both").all()
    assert (maps["X"].info.loc[["CA_105", "CA_130", "CV_404"], "sex"] == "both").all()


# Who has the first code is no control of the phecode (first list), but is of the second.
EXCLUSIONS = [
    ("10", "I49.9", "arrhythmia, not specified", "427.21 427.1 426.2", "411.2 250.2"),
    ("9", "413.9", "angina", "411.2 411.4 414", "428.1 427.21"),
    ("10", "E10.9", "type 1 diabetes", "250.2 250.24 249", "244.4 272.1"),
    ("10", "R73.09", "abnormal glucose", "250 250.1 250.2", "272.1 401.1"),
    ("10", "E05.90", "hyperthyroidism", "244.4 241.1 246", "250.2 278.1"),
    ("10", "K51.90", "ulcerative colitis", "555.1 558", "530.11 574.1"),
    ("10", "N40.0", "prostatic hyperplasia", "185 601.1", "187.2 594.1"),
    ("10", "J45.909", "asthma", "496 496.21 497", "480 502"),
]


@pytest.mark.parametrize(("vocabulary", "code", "meaning", "doubtful", "clear"), EXCLUSIONS)
def test_who_has_a_related_disease_is_no_control(
    maps, tmp_path, vocabulary, code, meaning, doubtful, clear
):
    records = _records(tmp_path, maps["1.2"], [("a", vocabulary, code)])
    status = phecode_status(records, pd.Series({"a": "male"})).status.loc["a"]
    assert status[doubtful.split()].isna().all(), meaning
    assert (status[clear.split()] == 0).all(), meaning


def test_phecodex_has_no_exclusions(maps, tmp_path):
    records = _records(tmp_path, maps["X"], [("a", "10", "E10.9"), ("b", "10", "N40.0")])
    sex = pd.Series({"a": "male", "b": "male"})
    status = phecode_status(records, sex).status
    assert status.loc["a", "EM_202.2"] == 0
    assert status.loc["b", "CA_107.2"] == 0
    assert len(maps["X"].related) == 0


@pytest.mark.parametrize("version", ["1.2", "X"])
def test_a_code_of_the_other_sex_makes_no_case(maps, tmp_path, version):
    men_only, women_only = {"1.2": ("600", "642.1"), "X": ("GU_602.1", "PP_908.1")}[version]
    people = [("man", "10", "O14.90"), ("woman", "9", "600.00"), ("other", "10", "N40.0")]
    records = _records(tmp_path, maps[version], people)
    sex = pd.Series({"man": "male", "woman": "female", "other": "male"})
    table = phecode_status(records, sex)
    assert table.status[men_only].isna().tolist() == [False, True, False]
    assert table.status[men_only][["man", "other"]].tolist() == [0, 1]
    assert table.status[women_only].isna().tolist() == [True, False, True]
    assert table.counts.loc[[men_only, women_only], "cases_of_other_sex"].tolist() == [1, 1]


def test_all_that_is_published_is_read(maps):
    # Numbers of phecodes: Wu et al. (2019), docs of phewascatalog; Shuey et al. (2023).
    assert len(maps["1.2"].info) == 1817
    assert len(maps["X"].info) == 3612
    assert maps["1.2"].info["category"].nunique() == 17
    assert maps["X"].info["category"].nunique() == 18
    assert set(maps["1.2"].codes["vocabulary"]) == set(maps["X"].codes["vocabulary"])
    # As many pairs as the table of exclusions of the R package PheWAS has rows.
    assert len(maps["1.2"].related) == 30028
