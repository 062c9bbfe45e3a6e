import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.phenotypes import (
    class_names,
    given_types,
    order_of_classes,
    read_phenotype_info,
    recognise_type,
)


@pytest.mark.parametrize(
    ("values", "type_", "reason"),
    [
        ([1.0, 2.0, 3.5, None], "continuous", "numeric, 3 distinct values"),
        ([0, 1, 1], "binary", "numeric, 2 distinct values"),
        ([True, False, None], "binary", "2 distinct values"),
        (["yes", "no", "no"], "binary", "text, 2 distinct values"),
        (["a", "b", "c"], "categorical", "text, 3 distinct values"),
        ([1, 2, 3, 3, 2], "continuous", "if these are codes, name it as categorical"),
        (["1.5", "2.5", "unknown"], "categorical", "67% of the values are numbers"),
        ([4.0, 4.0], "continuous", "numeric, 1 distinct value"),
        (pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"]), "categorical", "dates, 3"),
    ],
)
def test_types_are_recognised_and_say_why(values, type_, reason):
    found = recognise_type(pd.Series(values, name="x"))
    assert found.type == type_
    assert reason in found.reason


def test_a_type_that_is_given_counts_and_is_said():
    found = recognise_type(pd.Series([1, 2, 3], name="grade"), "categorical")
    assert (found.type, found.reason) == ("categorical", "given (numeric, 3 distinct values)")


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        (["1", "2", "none"], "continuous", "'grade': given as continuous, but has .*'none'"),
        ([1, 2, 3], "binary", "'grade': given as binary, but has 3 distinct values"),
        ([1, 2, 3], "ordinal", "'grade': type 'ordinal'; expected continuous, binary, categorical"),
    ],
)
def test_a_type_that_the_values_are_not_of_is_an_error(values, given, message):
    with pytest.raises(InputError, match=message):
        recognise_type(pd.Series(values, name="grade"), given)


def test_classes_in_numbers_are_written_and_ordered_as_numbers():
    names = class_names(pd.Series([10.0, 2.0, None, 2.5]))
    assert names.dropna().tolist() == ["10", "2", "2.5"]
    assert order_of_classes(["10", "2", "2.5"]) == ["2", "2.5", "10"]
    assert order_of_classes(["b", "10", "2"]) == ["10", "2", "b"]


def test_a_description_gives_units_and_types_and_need_not_be_whole(tmp_path):
    path = tmp_path / "info.tsv"
    path.write_text("phenotype\tunits\ttype\nbmi\tkg/m2\t\ngrade\t\tcategorical\nNA\tms\t\n")
    info = read_phenotype_info(path)
    assert info.loc["bmi"].to_list() == ["kg/m2", "", ""]
    assert info.loc["NA", "units"] == "ms"
    assert given_types([], ["grade"], info) == {"grade": "continuous"}
    assert given_types(["sex"], [], info) == {"grade": "categorical", "sex": "categorical"}
    assert given_types([], [], None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tunits\na\tms\n", "no column 'phenotype'"),
        ("phenotype\ttype\na\tnumber\n", "'a' has the type 'number'; expected continuous"),
        ("phenotype\tunits\na\tms\na\ts\n", "phenotype 'a' stands in more than one row"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_description_that_is_wrong_is_named(tmp_path, text, message):
    path = tmp_path / "info.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_phenotype_info(path)
    with pytest.raises(InputError, match="no such file"):
        read_phenotype_info(tmp_path / "nowhere.tsv")
