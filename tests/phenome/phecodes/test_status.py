import datetime

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.phecode_records import phecode_records
from regreveal.phenome.phecodes.status import phecode_status

MAP = """icd10\tphecode
I48\t427.2
I48.0\t427.21
I48.3\t
I10\t401.1
I49.9\t427
C61\t185
E11\t250.2
E11\t250
R73.0\t250.4
E85.0\t270.33
"""
OLD_MAP = """icd9\tphecode
427.31\t427.21
401\t401.1
008.45\t008.5
E850.0\t965.1
"""
INFO = """phecode\tname\tcategory\texclude_from\texclude_to\tsex\trollup
401.1\tHypertension\tcirculatory\t401\t405.99\tboth\t1
427\tDysrhythmia\tcirculatory\t426\t427.99\tboth\t1
427.2\tAtrial fibrillation and flutter\tcirculatory\t426\t427.99\tboth\t1
427.21\tAtrial fibrillation\tcirculatory\t426\t427.99\tboth\t1
185\tProstate cancer\tneoplasms\t\t\tmale\t1
250\tDiabetes\tendocrine\t249\t250.99\t\t1
250.2\tType 2 diabetes\tendocrine\t249\t250.99\tboth\t1
270.33\tAmyloidosis\tendocrine\t\t\tboth\t0
965.1\tOpiates\tinjuries\t\t\tboth\t1
250.4\tAbnormal glucose\tendocrine\t249\t250.99\tboth\t0
008.5\tBacterial enteritis\tinfectious\t\t\tboth\t1
"""


@pytest.fixture
def phecode_map(tmp_path):
    for name, text in (("map.tsv", MAP), ("old.tsv", OLD_MAP), ("info.tsv", INFO)):
        (tmp_path / name).write_text(text)
    return read_phecode_map(*(tmp_path / name for name in ("map.tsv", "old.tsv", "info.tsv")))


@pytest.fixture
def records(phecode_map, tmp_path):
    """Return a function that gives the records of lines "person icd10 icd9 date"."""

    def of(*lines, participants=None):
        path = tmp_path / "diagnoses.tsv"
        rows = ["\t".join(line.split(" ")) for line in ("sample_id icd10 icd9 date", *lines)]
        path.write_text("\n".join(rows) + "\n")
        diagnoses = read_diagnoses(path, until=datetime.date(2023, 1, 1))
        return phecode_records(diagnoses, phecode_map, participants)

    return of


def _sex(**sexes):
    return pd.Series(sexes, name="sex")


def _phecodes(found, person):
    events = found.events
    return events.loc[events["sample_id"] == person, "phecode"].tolist()


@pytest.mark.parametrize(
    ("code", "phecodes"),
    [
        ("I48.0", ["427", "427.2", "427.21"]),
        ("i48", ["427", "427.2"]),
        ("I48.91", ["427", "427.2"]),
        ("I489X", ["427", "427.2"]),
        ("E11.9", ["250", "250.2"]),
        ("I10X", ["401.1"]),
        ("I4900", []),
        ("I4", []),
    ],
)
def test_a_code_takes_the_phecodes_of_the_longest_mapped_beginning(records, code, phecodes):
    assert _phecodes(records(f"a {code}  2010-01-01"), "a") == phecodes


def test_a_code_that_the_map_gives_no_phecode_does_not_take_those_of_a_shorter_one(records):
    found = records("a I48.3  2010-01-01", "a I48.39  2010-01-01", "b I48  2010-01-01")
    assert _phecodes(found, "a") == []
    assert found.counts["unmapped"] == 2


def test_a_phecode_that_is_not_rolled_up_stays_below(records):
    assert _phecodes(records("a R73.09  2010-01-01"), "a") == ["250.4"]


def test_codes_of_icd9_and_icd10_that_look_alike_are_told_apart(records):
    found = records("a  401 2010-01-01", "b 401  2010-01-01", "c  I10 2010-01-01")
    assert _phecodes(found, "a") == ["401.1"]
    assert _phecodes(found, "b") == _phecodes(found, "c") == []
    # E85.00 is shortened to the amyloidosis E85.0, although ICD-9 has a poisoning E850.0.
    found = records("a  E850.0 2010-01-01", "b E85.00  2010-01-01", "c  E850 2010-01-01")
    assert _phecodes(found, "a") == ["965.1"]
    assert _phecodes(found, "b") == ["270.33"]
    assert _phecodes(found, "c") == []


def test_leading_zeros_of_icd9_are_kept_and_put_back_where_the_dot_tells(records):
    found = records("a  00845 2010-01-01", "b  8.45 2010-01-01", "c  845 2010-01-01")
    assert _phecodes(found, "a") == _phecodes(found, "b") == ["008.5"]
    assert _phecodes(found, "c") == []


def test_codes_are_counted_by_how_they_are_mapped(records):
    found = records(
        "a I48.0  2010-01-01",
        "a I48.01  2010-01-01",
        "a Z00.0  2010-01-01",
        "b Z000  2010-01-01",
        "b Q99  2010-01-01",
        "c I48  2010-01-01",
        participants=["a", "b", "nobody"],
    )
    assert found.unmapped.to_numpy().tolist() == [["icd10", "Z000", 2], ["icd10", "Q99", 1]]
    chosen = ("mapped", "mapped_by_shorter_code", "unmapped", "diagnoses_of_others")
    assert [found.counts[name] for name in chosen] == [2, 1, 3, 1]
    assert found.people.tolist() == ["a", "b"]


def test_records_count_different_days_and_keep_the_first(records):
    found = records(
        "a I48.0  2012-05-01",
        "a I48.0  2010-03-01",
        "a I48.9  2010-03-01",
        "a I48.9  2009-01-01",
        "a I10  ",
        "a I10  1900-01-01",
        "b I10  2011-01-01",
        "b I10  ",
    )
    events = found.events.set_index(["sample_id", "phecode"])
    assert events["n_dates"].to_dict() == {
        ("a", "427"): 3,
        ("a", "427.2"): 3,
        ("a", "427.21"): 2,
        ("a", "401.1"): 1,
        ("b", "401.1"): 1,
    }
    assert events.loc[("a", "427.2"), "first_date"] == pd.Timestamp("2009-01-01")
    assert events.loc[("a", "427.21"), "first_date"] == pd.Timestamp("2010-03-01")
    assert pd.isna(events.loc[("a", "401.1"), "first_date"])
    assert events["undated"].tolist() == [phecode == "401.1" for _, phecode in events.index]
    assert found.last_date == np.datetime64("2012-05-01")


def test_many_events_in_blocks_give_what_they_give_at_once(records, monkeypatch):
    generator = np.random.default_rng(4)
    codes = generator.choice(["I48.0", "I10", "E11.2", "C61", "Z99", "I49.9"], 500)
    days = generator.integers(1, 29, 500)
    lines = [
        f"p{person} {code}  2010-02-{day:02d}"
        for person, code, day in zip(generator.integers(40, size=500), codes, days, strict=True)
    ]
    whole = records(*lines).events
    monkeypatch.setattr("regreveal.phenome.phecodes.phecode_records.EVENTS_AT_ONCE", 37)
    pd.testing.assert_frame_equal(records(*lines).events, whole)
    assert len(whole) > 150


def test_people_with_a_related_phecode_are_neither_cases_nor_controls(records):
    found = records("a I48.0  2010-01-01", "b I49.9  2010-01-01", "c I10  2010-01-01")
    table = phecode_status(found, _sex(a="male", b="male", c="male", d="male"))
    assert table.status["427.21"].to_numpy() == pytest.approx([1, np.nan, 0, 0], nan_ok=True)
    assert table.status.loc["b", "427"] == 1
    assert table.counts.loc["427.21", ["cases", "controls", "related"]].tolist() == [1, 2, 1]


def test_a_phecode_of_one_sex_leaves_the_other_out_and_counts_its_cases(records):
    found = records("a C61  2010-01-01", "b C61  2010-01-01", "c I10  2010-01-01")
    table = phecode_status(found, _sex(a="male", b="female", c="male", d="female"))
    assert table.status["185"].to_numpy() == pytest.approx([1, np.nan, 0, np.nan], nan_ok=True)
    counts = table.counts.loc["185"]
    assert (counts["other_sex"], counts["cases_of_other_sex"]) == (2, 1)


def test_people_without_a_diagnosis_are_controls_and_strangers_are_left_aside(records):
    found = records("a I10  2010-01-01", "stranger I10  2010-01-01")
    table = phecode_status(found, _sex(b="female", a="female"))
    assert table.status.index.tolist() == ["b", "a"]
    assert table.status["401.1"].tolist() == [0, 1]
    by_category = ["008.5", "185", "250", "250.2", "250.4", "270.33"]
    by_category += ["401.1", "427", "427.2", "427.21", "965.1"]
    assert table.status.columns.tolist() == by_category


def test_fewer_days_than_the_minimum_make_neither_a_case_nor_a_control(records):
    found = records(
        "a I48.0  2010-01-01",
        "a I48.0  2011-01-01",
        "b I48.0  2010-01-01",
        "b I48.9  2010-01-01",
        "d I49.9  2010-01-01",
    )
    table = phecode_status(found, _sex(a="male", b="male", c="male", d="male"), minimum_count=2)
    expected = [1, np.nan, 0, np.nan]
    assert table.status["427.21"].to_numpy() == pytest.approx(expected, nan_ok=True)
    counts = table.counts.loc["427.21"]
    assert (counts["cases"], counts["few_codes"], counts["related"]) == (1, 1, 1)
    # A single code of a related phecode is enough for doubt.
    assert table.status.loc["d", "427.2":"427.21"].isna().all()


VISITS = pd.Series(pd.to_datetime(["2015-01-01"] * 6 + [None]), index=list("abcdefg"))
ALL_MEN = _sex(**dict.fromkeys("abcdefg", "male"))


def _timed(records, timing, **options):
    """Status of a before, b after, c never, d related before, e related after, f undated."""
    found = records(
        "a I48.0  2014-12-31",
        "a I48.0  2016-01-01",
        "b I48.0  2015-02-01",
        "d I49.9  2010-01-01",
        "e I49.9  2016-01-01",
        "f I48.0  ",
        "g I48.0  2010-01-01",
    )
    table = phecode_status(found, ALL_MEN, timing=timing, visit=VISITS, **options)
    return table, table.status["427.21"].to_numpy()


def test_prevalent_cases_had_it_by_the_visit(records):
    table, status = _timed(records, "prevalent")
    nan = np.nan
    assert status == pytest.approx([1, nan, 0, nan, nan, nan, nan], nan_ok=True)
    assert table.counts.loc["427.21", ["later", "related", "time_unknown"]].tolist() == [1, 2, 2]


def test_incident_cases_had_it_later_and_only_the_visit_decides_who_is_at_risk(records):
    table, status = _timed(records, "incident")
    nan = np.nan
    assert status == pytest.approx([nan, 1, 0, nan, 0, nan, nan], nan_ok=True)
    assert table.counts.loc["427.21", ["earlier", "related", "time_unknown"]].tolist() == [1, 1, 2]
    assert table.first_date("427.21")["b"] == pd.Timestamp("2015-02-01")
    assert pd.isna(table.first_date("427.21")[["c", "d", "e", "f"]]).all()


def test_a_code_without_a_day_leaves_open_whether_somebody_had_it_at_the_visit(records):
    found = records("a I48.0  2016-01-01", "a I48.0  ", "b I48.0  2010-01-01", "b I48.0  ")
    sex = _sex(a="male", b="male")
    for timing, expected in (("incident", [np.nan, np.nan]), ("prevalent", [np.nan, 1])):
        table = phecode_status(found, sex, timing=timing, visit=VISITS)
        assert table.status["427.21"].to_numpy() == pytest.approx(expected, nan_ok=True)
        assert table.counts.loc["427.21", "time_unknown"] == 1
    assert phecode_status(found, sex).status["427.21"].tolist() == [1, 1]


def test_days_after_the_visit_may_belong_to_it(records):
    _, status = _timed(records, "incident", window_days=31)
    assert np.isnan(status[1])
    _, status = _timed(records, "incident", window_days=30)
    assert status[1] == 1
    _, status = _timed(records, "prevalent", window_days=31)
    assert status[1] == 1


def test_an_incident_case_with_a_related_disease_before_is_not_at_risk(records):
    found = records("a I49.9  2010-01-01", "a I48.0  2016-01-01", "b I10  2016-01-01")
    sex = _sex(a="male", b="male")
    incident = phecode_status(found, sex, timing="incident", visit=VISITS)
    assert np.isnan(incident.status.loc["a", "427.21"])
    assert phecode_status(found, sex).status.loc["a", "427.21"] == 1


@pytest.mark.parametrize("timing", ["ever", "prevalent", "incident"])
def test_counts_add_up_to_everybody(records, timing):
    table, _ = _timed(records, timing)
    whole = table.counts.drop(columns="cases_of_other_sex").sum(axis=1)
    assert (whole == 7).all()
    assert (table.counts["cases"] == (table.status == 1).sum()).all()
    assert (table.counts["controls"] == (table.status == 0).sum()).all()


def test_what_does_not_fit_together_is_named(records):
    found = records("x I10  2010-01-01")
    with pytest.raises(InputError, match="none of 1 people"):
        phecode_status(found, _sex(a="male"))
    with pytest.raises(InputError, match="none of 1 people"):
        records("x I10  2010-01-01", participants=["a"])
    with pytest.raises(InputError, match="female or male"):
        phecode_status(found, _sex(x="M"))
    with pytest.raises(InputError, match="timing 'before'"):
        phecode_status(found, _sex(x="male"), timing="before")
    with pytest.raises(InputError, match="needs the date of the visit"):
        phecode_status(found, _sex(x="male"), timing="incident")
    with pytest.raises(InputError, match="none of 1 participants has the date"):
        phecode_status(found, _sex(x="male"), timing="incident", visit=VISITS)
    with pytest.raises(InputError, match="minimum_count 0"):
        phecode_status(found, _sex(x="male"), minimum_count=0)
    with pytest.raises(InputError, match="none has a date"):
        phecode_status(records("x I10  "), _sex(x="male"), minimum_count=2)
