import datetime
import gzip

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import read_diagnoses

HESIN_DIAG = (
    "eid\tins_index\tarr_index\tlevel\tdiag_icd9\tdiag_icd9_nb\tdiag_icd10\tdiag_icd10_nb\n"
    "1000011\t0\t0\t1\t\t\tI480\t\n"
    "1000011\t0\t1\t2\t\t\tI10X\t\n"
    "1000011\t1\t0\t1\t4109\t\t\t\n"
    "1000022\t0\t0\t1\t\t\tE850\t\n"
    "1000022\t1\t0\t1\tE8500\t\t\t\n"
    "1000033\t0\t0\t1\t\t\t\t\n"
    "1000033\t2\t0\t1\t\t\tN40\t\n"
)
HESIN = (
    "eid\tins_index\tdsource\tepistart\tepiend\tadmidate\n"
    "1000011\t0\tHES\t03/02/2010\t04/02/2010\t01/02/2010\n"
    "1000011\t1\tSMR\t\t\t05/03/1990\n"
    "1000022\t0\tHES\t01/01/1900\t\t\n"
    "1000022\t1\tHES\t\t\t\n"
    "1000033\t0\tHES\t07/07/2037\t\t\n"
)
END = datetime.date(2023, 3, 31)


def _rows(diagnoses):
    events = diagnoses.events.assign(date=diagnoses.events["date"].dt.strftime("%Y-%m-%d"))
    events = events.astype(object).where(events.notna(), None)
    return sorted(events.itertuples(index=False, name=None), key=str)


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a text and gives its path."""

    def written(name, text):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return written


EXPECTED = [
    ("1000011", "icd10", "I10X", "2010-02-03"),
    ("1000011", "icd10", "I480", "2010-02-03"),
    ("1000011", "icd9", "4109", "1990-03-05"),
    ("1000022", "icd10", "E850", None),
    ("1000022", "icd9", "E8500", None),
    ("1000033", "icd10", "N40", None),
]


def test_hospital_records_are_joined_with_the_dates_of_their_episodes(file):
    diagnoses = read_diagnoses(file("d.txt", HESIN_DIAG), file("h.txt", HESIN), until=END)
    assert _rows(diagnoses) == EXPECTED
    assert diagnoses.counts == {
        "rows": 7,
        "rows_without_code": 1,
        "rows_of_other_vocabularies": 0,
        "diagnoses": 6,
        "dated": 2,
        "dated_by_admission": 1,
        "date_missing": 1,
        "date_impossible": 1,
        "episode_missing": 1,
    }
    assert diagnoses.last_date == np.datetime64("2010-02-03")


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "txt.gz", "parquet"])
def test_the_format_makes_no_difference(file, tmp_path, suffix):
    paths = []
    for name, text in (("diag", HESIN_DIAG), ("hesin", HESIN)):
        if suffix == "parquet":
            table = pd.read_csv(file(f"{name}.txt", text), sep="\t", dtype={"diag_icd9": str})
            if name == "hesin":
                days = pd.to_datetime(table["epistart"], format="%d/%m/%Y")
                table = table.assign(epistart=days.dt.date, eid=table["eid"].astype(float))
            paths.append(tmp_path / f"{name}.parquet")
            table.to_parquet(paths[-1])
        else:
            separated = text.replace("\t", ",") if "csv" in suffix else text
            paths.append(file(f"{name}.{suffix}", separated))
    assert _rows(read_diagnoses(*paths, until=END)) == EXPECTED


def test_the_time_of_a_day_does_not_matter_on_the_last_day_of_the_records_either(tmp_path):
    times = ["2023-03-31 12:30", "2023-04-01 00:00", "1960-01-02 23:00"]
    table = pd.DataFrame({"eid": ["1", "2", "3"], "icd10": "I48", "date": pd.to_datetime(times)})
    for name, dates in (("plain", table["date"]), ("zoned", table["date"].dt.tz_localize("UTC"))):
        table.assign(date=dates).to_parquet(tmp_path / f"{name}.parquet")
        diagnoses = read_diagnoses(tmp_path / f"{name}.parquet", until=END)
        assert diagnoses.events["date"].astype(str).tolist() == ["2023-03-31", "NaT", "1960-01-02"]
        assert diagnoses.counts["date_impossible"] == 1


def test_one_merged_table_is_read_and_the_order_of_files_does_not_matter(file):
    merged = (
        "eid,ins_index,diag_icd10,epistart\n7,0,I48.0,2010-02-03\n7,1,i10,2011-12-31 00:00:00\n"
    )
    assert _rows(read_diagnoses(file("merged.csv", merged))) == [
        ("7", "icd10", "I10", "2011-12-31"),
        ("7", "icd10", "I480", "2010-02-03"),
    ]
    paths = file("h.txt", HESIN), file("d.txt", HESIN_DIAG)
    assert _rows(read_diagnoses(*paths, until=END)) == EXPECTED


def test_a_column_says_which_classification_a_code_is_of(file):
    text = (
        "sample_id\tcode\tvocabulary_id\tdate\n"
        "007\tE85.0\tICD10CM\t2010-02-03\n"
        "007\tE850.0\tICD9CM\t2010-02-03\n"
        "NA\t8.45\tICD-9-CM\t2010-02-03\n"
        "NA\tX1\tSNOMED\t2010-02-03\n"
    )
    diagnoses = read_diagnoses(file("d.tsv", text))
    assert _rows(diagnoses) == [
        ("007", "icd10", "E850", "2010-02-03"),
        ("007", "icd9", "E8500", "2010-02-03"),
        ("NA", "icd9", "00845", "2010-02-03"),
    ]
    assert diagnoses.counts["rows_of_other_vocabularies"] == 1


def test_several_tables_with_codes_add_up(file):
    first = file("a.tsv", "sample_id\ticd10\tdate\na\tI48\t2010-02-03\n")
    second = file("b.csv", "sample_id,icd9,date\nb,410,1990-02-03\na,411,1991-02-03\n")
    diagnoses = read_diagnoses(first, second)
    assert [row[:3] for row in _rows(diagnoses)] == [
        ("a", "icd10", "I48"),
        ("a", "icd9", "411"),
        ("b", "icd9", "410"),
    ]
    assert diagnoses.counts["rows"] == 3


def test_dates_that_cannot_be_are_counted_and_not_used(file):
    dates = ["31/02/2010", "09/09/1909", "01/04/2023", "31/03/2023", "", "NA", "01/01/1910"]
    text = "sample_id\ticd10\tdate\n" + "".join(f"p\tI48\t{date}\n" for date in dates)
    diagnoses = read_diagnoses(file("d.tsv", text), until=END)
    names = ("dated", "date_missing", "date_impossible")
    assert [diagnoses.counts[name] for name in names] == [2, 2, 3]
    assert diagnoses.events["date"].dropna().tolist() == [
        pd.Timestamp("2023-03-31"),
        pd.Timestamp("1910-01-01"),
    ]


def test_records_without_dates_are_read_and_counted(file):
    diagnoses = read_diagnoses(file("d.tsv", "sample_id\ticd10\na\tI48\nb\tI10\n"))
    assert diagnoses.counts["date_missing"] == 2
    assert np.isnat(diagnoses.last_date)


def test_many_rows_in_several_blocks_are_joined_as_pandas_joins_them(file, monkeypatch):
    monkeypatch.setattr("regreveal.phenome.phecodes.record_tables.BLOCK_BYTES", 1 << 12)
    rng = np.random.default_rng(5)
    n = 3000
    diag = pd.DataFrame({"eid": rng.integers(1, 400, n), "ins_index": rng.integers(0, 6, n)})
    diag["diag_icd10"] = rng.choice(["I48.0", "I480", "E11.9", "", "n40"], n)
    hesin = diag[["eid", "ins_index"]].drop_duplicates().sample(frac=0.9, random_state=1)
    days = pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 8000, len(hesin)), "D")
    hesin["epistart"] = days.strftime("%d/%m/%Y")
    paths = [file("d.csv", diag.to_csv(index=False)), file("h.csv", hesin.to_csv(index=False))]
    diagnoses = read_diagnoses(*paths)
    merged = diag[diag["diag_icd10"] != ""].merge(hesin, how="left")
    expected = pd.DataFrame(
        {
            "sample_id": merged["eid"].astype(str),
            "code": merged["diag_icd10"].str.upper().str.replace(".", ""),
            "date": pd.to_datetime(merged["epistart"], format="%d/%m/%Y").astype("datetime64[s]"),
        }
    )
    found = diagnoses.events.drop(columns="vocabulary").astype({"sample_id": str, "code": str})
    pd.testing.assert_frame_equal(found, expected)
    assert diagnoses.counts["episode_missing"] == merged["epistart"].isna().sum() > 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\ticd10\n1\tI48\n", "no column 'sample_id' or 'eid'"),
        ("sample_id\tcode\n1\tI48\n", "nothing says whether of ICD-9 or ICD-10"),
        ("sample_id\tname\n1\tI48\n", "no ICD codes"),
        ("sample_id\ticd10\n1\tI48\n\tI10\n", "row 2 has no sample_id"),
        ("sample_id\ticd10\n1\t\n", "no row has an ICD code"),
        ("sample_id\ticd10\n", "no row has an ICD code"),
        ("sample_id\ticd10\tdate\n1\tI48\t3 Feb 2010\n", "another format than yyyy-mm-dd"),
        ("sample_id\ticd10\tdate\n1\tI48\t12/25/2010\n", "month first"),
        ("sample_id\ticd10\n1\tI48\tmore\n", "cannot be read as a table .*got 3.$"),
        ("", "no column"),
    ],
)
def test_records_that_cannot_be_used_are_named_in_one_line(file, text, message):
    with pytest.raises(InputError, match=message) as raised:
        read_diagnoses(file("d.tsv", text))
    assert "\n" not in str(raised.value)


def test_episodes_that_cannot_be_joined_are_named(file, tmp_path):
    twice = HESIN + HESIN.splitlines()[1] + "\n"
    with pytest.raises(InputError, match="1 rows repeat the eid and ins_index of another"):
        read_diagnoses(file("d.txt", HESIN_DIAG), file("h.txt", twice))
    with pytest.raises(InputError, match="no ICD codes"):
        read_diagnoses(file("h.txt", HESIN))
    with pytest.raises(InputError, match="nowhere.txt: no such file"):
        read_diagnoses(tmp_path / "nowhere.txt")
    table = pd.DataFrame({"eid": [1], "diag_icd9": [845]})
    table.to_parquet(tmp_path / "d.parquet")
    with pytest.raises(InputError, match="'diag_icd9' holds numbers, which have no leading zeros"):
        read_diagnoses(tmp_path / "d.parquet")
