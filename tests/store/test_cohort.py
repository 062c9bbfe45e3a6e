import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.store.cohort import (
    design_matrix,
    make_splits,
    read_rows,
    read_splits,
    read_table,
    write_table,
)

FRACTIONS = {"train": 0.2, "validation": 0.1, "analysis": 0.7}


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    index = pd.Index([f"p{i}" for i in range(60)], name="sample_id")
    return pd.DataFrame(
        {
            "age": rng.normal(55, 8, 60),
            "sex": rng.choice(["female", "male"], 60),
            "centre": rng.choice(["A", "B", "C"], 60),
        },
        index=index,
    )


@given(st.sets(st.integers(0, 10**6), min_size=20, max_size=300), st.integers(0, 2**32 - 1))
def test_a_split_depends_only_on_who_takes_part_and_the_seed(numbers, seed):
    ids = [str(i) for i in numbers]
    splits = make_splits(ids, FRACTIONS, seed)
    pd.testing.assert_frame_equal(splits, make_splits(ids[::-1], FRACTIONS, seed))
    assert sorted(ids) == splits["sample_id"].tolist()
    counts = splits["split"].value_counts()
    for split, fraction in FRACTIONS.items():
        assert abs(counts.get(split, 0) - fraction * len(ids)) <= 1
    folds = splits[splits["split"] == "analysis"]["fold"].value_counts()
    assert folds.max() - folds.min() <= 1


def test_different_seeds_give_different_splits():
    ids = [str(i) for i in range(100)]
    first, second = (make_splits(ids, FRACTIONS, seed)["split"] for seed in (1, 2))
    assert (first != second).any()


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_tables_come_back_as_written(tmp_path, table, suffix):
    path = tmp_path / f"table.{suffix}"
    write_table(table, path)
    pd.testing.assert_frame_equal(read_table(path), table)


def test_numeric_looking_ids_stay_text(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("sample_id,age\n0012,50\n12,51\n")
    assert read_table(path).index.tolist() == ["0012", "12"]


def test_an_id_may_look_like_a_missing_value(tmp_path):
    path = tmp_path / "cohort.tsv"
    path.write_text("sample_id\tage\nNA\t50\nnull\tNA\n")
    table = read_table(path)
    assert table.index.tolist() == ["NA", "null"]
    assert table["age"].isna().tolist() == [False, True]


def test_splits_come_back_as_written(tmp_path):
    splits = make_splits([str(i) for i in range(50)], FRACTIONS, 0)
    write_table(splits, tmp_path / "splits.parquet")
    back = read_splits(tmp_path / "splits.parquet").reset_index()
    pd.testing.assert_frame_equal(back, splits)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tage\n1\t50\n", "no column 'sample_id'"),
        ("sample_id\tage\n1\t50\n1\t51\n", "'1' stands in more than one row"),
        ("sample_id\tage\n\t50\n", "row 1 has no sample id"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path, text, message):
    path = tmp_path / "cohort.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        read_table(path)
    assert "\n" not in str(raised.value)
    assert "cohort.tsv" in str(raised.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.tsv: no such file"):
        read_rows(tmp_path / "nowhere.tsv")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("split", "test", "'test'; expected one of train"), ("fold", 7, "'7'; expected one of 0")],
)
def test_a_bad_split_file_names_column_and_value(tmp_path, column, value, message):
    splits = make_splits([str(i) for i in range(50)], FRACTIONS, 0)
    splits.loc[3, column] = value
    write_table(splits, tmp_path / "splits.tsv")
    with pytest.raises(InputError, match=message):
        read_splits(tmp_path / "splits.tsv")


def test_fractions_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="add up to 1"):
        make_splits(["a"], {"train": 0.5, "validation": 0.1, "analysis": 0.1}, 0)


def test_a_design_matrix_spans_what_the_columns_say(table):
    matrix, names = design_matrix(table, ["age", "centre", "sex"], table.index)
    assert names == ["age", "centre=B", "centre=C", "sex=male"]
    np.testing.assert_array_equal(matrix[:, 0], table["age"])
    np.testing.assert_array_equal(matrix[:, 1], table["centre"] == "B")
    np.testing.assert_array_equal(matrix[:, 3], table["sex"] == "male")


def test_no_columns_make_a_design_matrix_of_none(table):
    matrix, names = design_matrix(table, [], table.index)
    assert matrix.shape == (len(table), 0)
    assert names == []


def test_a_design_matrix_follows_the_order_of_the_ids(table):
    forward, _ = design_matrix(table, ["age", "sex"], table.index)
    backward, _ = design_matrix(table, ["age", "sex"], table.index[::-1])
    np.testing.assert_array_equal(forward, backward[::-1])


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (lambda t: t.assign(twice=2 * t["age"] + 3), ["age", "twice"], "'twice' is constant or a"),
        (lambda t: t.assign(one=1.0), ["age", "one"], "'one' is constant"),
        (lambda t: t.assign(age=t["age"].mask(t.index == "p3")), ["age"], "missing for 1 of 60"),
        (lambda t: t.assign(age=np.inf), ["age"], "not finite"),
        (lambda t: t, ["height"], r"no column 'height' \(there are: age, sex, centre\)"),
        (lambda t: t.iloc[1:], ["age"], "1 participants are not in the table"),
    ],
)
def test_covariates_that_cannot_be_used_are_named(table, change, columns, message):
    with pytest.raises(InputError, match=message):
        design_matrix(change(table), columns, table.index)


def test_a_date_is_no_covariate():
    days = pd.date_range("2014-05-01", periods=250).strftime("%Y-%m-%d")
    people = pd.DataFrame({"age": np.arange(500.0), "visit": np.tile(days, 2)})
    with pytest.raises(InputError, match="'visit' has 250 different values that are no numbers"):
        design_matrix(people, ["age", "visit"], people.index)


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".tsv.gz", ".parquet"])
def test_a_copy_that_broke_off_is_one_line(tmp_path, table, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    write_table(table, whole)
    content = whole.read_bytes()
    last_line = content.rstrip().rfind(b"\n") + 3  # within its first column, of text
    places = [last_line, content.find(b"\n") + 3]
    for end in places if suffix in (".tsv", ".csv") else [0, 30, len(content) // 2, -1]:
        cut.write_bytes(content[:end])
        with pytest.raises(InputError, match=rf"cut{suffix}: (cannot be read|the last line ends)"):
            read_table(cut)
    cut.write_bytes(content.removesuffix(b"\n"))
    pd.testing.assert_frame_equal(read_table(cut), read_table(whole))


def test_ids_kept_as_categories_are_read_without_a_copy_of_each(tmp_path):
    ids = pd.Categorical.from_codes(np.zeros(100_000, int), ["a" * 1000])
    pd.DataFrame({"sample_id": ids}).to_parquet(tmp_path / "t.parquet")
    tracemalloc.start()
    rows = read_rows(tmp_path / "t.parquet")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows["sample_id"].tolist() == ["a" * 1000] * 100_000
    assert peak < 20e6
