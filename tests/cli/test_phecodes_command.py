import json
import shutil

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from regreveal.cli.phecodes import phecodes
from regreveal.errors import InputError

app = typer.Typer()
app.command()(phecodes)


@pytest.fixture
def files(tmp_path):
    texts = {
        "hesin_diag.txt": "eid\tins_index\tarr_index\tlevel\tdiag_icd9\tdiag_icd10\n"
        "1\t0\t0\t1\t\tI480\n"
        "2\t0\t0\t1\t4273\t\n"
        "2\t1\t0\t1\t\tZ000\n"
        "3\t0\t0\t1\t\tI48\n"
        "9\t0\t0\t1\t\tI48\n",
        "hesin.txt": "eid\tins_index\tepistart\tadmidate\n"
        "1\t0\t05/03/2019\t\n2\t0\t\t01/02/1990\n2\t1\t01/01/2020\t\n3\t0\t01/01/1900\t\n"
        "9\t0\t02/02/2012\t\n",
        "map.csv": "phecode,ICD,flag,phecode_string,phecode_category,sex\n"
        "427.2,I48,10,Atrial fibrillation,circulatory,Both\n"
        "427.2,427.3,9,Atrial fibrillation,circulatory,Both\n"
        "185,C61,10,Cancer of prostate,neoplasms,Male\n",
        "people.tsv": "sample_id\tsex\tvisit\n"
        "1\tmale\t2015-01-01\n2\tfemale\t2015-01-01\n3\tmale\t2015-01-01\n4\tmale\t\n5\t\t\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _run(files, *options):
    arguments = ["--diagnoses", "hesin_diag.txt", "--diagnoses", "hesin.txt"]
    arguments += ["--phecodes", "map.csv", "--participants", "people.tsv", "--out", "out"]
    arguments = [str(files / a) if not a.startswith("--") else a for a in arguments]
    shutil.rmtree(files / "out", ignore_errors=True)
    return CliRunner().invoke(app, [*arguments, *options])


def _status(files):
    table = pd.read_parquet(files / "out" / "phecode_status.parquet").set_index("sample_id")
    return table.astype("Int8").astype(object).where(table.notna(), None)


def test_hospital_records_become_cases_controls_and_others(files):
    result = _run(files)
    assert result.exit_code == 0, result.output
    assert "1 of 2 phecodes have cases" in result.output
    status = _status(files)
    assert status["427.2"].to_dict() == {"1": 1, "2": 1, "3": 1, "4": 0}
    assert status["185"].to_dict() == {"1": 0, "2": None, "3": 0, "4": 0}
    counts = pd.read_csv(files / "out/phecodes.tsv", sep="\t", dtype={"phecode": str})
    assert counts.set_index("phecode").loc["427.2", ["cases", "controls"]].tolist() == [3, 1]
    unmapped = pd.read_csv(files / "out/unmapped_icd.tsv", sep="\t")
    assert unmapped.to_dict("records") == [{"vocabulary": "icd10", "code": "Z000", "events": 1}]
    told = json.loads((files / "out/phecodes.json").read_text())
    expected = {"participants": 4, "participants_without_sex": 1, "participants_with_diagnoses": 3}
    expected |= {"rows": 5, "diagnoses": 5, "dated_by_admission": 1, "date_impossible": 1}
    expected |= {"diagnoses_of_others": 1, "mapped": 3, "mapped_by_shorter_code": 1, "unmapped": 1}
    assert {name: told[name] for name in expected} == expected


def test_dates_tell_who_had_it_before_the_visit(files):
    assert _run(files, "--timing", "incident", "--visit-column", "visit").exit_code == 0
    assert _status(files)["427.2"].to_dict() == {"1": 1, "2": None, "3": None, "4": None}
    assert _run(files, "--timing", "prevalent", "--visit-column", "visit").exit_code == 0
    assert _status(files)["427.2"].to_dict() == {"1": None, "2": 1, "3": None, "4": None}
    dates = pd.read_parquet(files / "out/phecode_dates.parquet").set_index("sample_id")
    assert dates.loc["1", "first_date"] == pd.Timestamp("2019-03-05")
    assert dates["undated"].to_dict() == {"1": False, "2": False, "3": True}


@pytest.mark.parametrize("options", [(), ("--timing", "prevalent", "--visit-column", "visit")])
def test_people_in_blocks_give_the_same(files, monkeypatch, options):
    # In the last block nobody has a diagnosis, nor, of those here, a visit that counts.
    assert _run(files, *options).exit_code == 0
    whole, counts = _status(files), (files / "out/phecodes.tsv").read_text()
    monkeypatch.setattr("regreveal.phenome.phecodes.run.PEOPLE_AT_ONCE", 3)
    assert _run(files, *options).exit_code == 0
    pd.testing.assert_frame_equal(_status(files), whole)
    assert (files / "out/phecodes.tsv").read_text() == counts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visit-column", "seen"], "no column 'seen'"),
        (["--timing", "incident"], "needs the date of the visit"),
        (
            ["--timing", "incident", "--visit-column", "sex"],
            "column 'sex' has 4 values that are no dates",
        ),
        (["--phecodes", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(files, options, message):
    result = _run(files, *options)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (files / "out" / "phecodes.tsv").exists()
