"""Numbers and words as text: what is read back is what was written, in few digits."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.output.table_text import round_digits, tsv_lines

# Near the largest double, rounding to a digit overflows.
NUMBER = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])
NUMBERS = st.lists(NUMBER, min_size=1, max_size=30)


def _fields(text: bytes) -> list[list[str]]:
    return [line.split("\t") for line in text.decode().splitlines()]


@settings(deadline=None, max_examples=300)
@given(NUMBERS, st.integers(1, 15))
def test_any_number_is_read_back_to_its_digits(values, digits):
    for (text,), value in zip(
        _fields(tsv_lines({"x": np.array(values)}, digits)), values, strict=True
    ):
        if np.isnan(value):
            assert text == "NA"
            continue
        mantissa = text.lower().split("e")[0].lstrip("-").replace(".", "").strip("0")
        assert text.strip("-") == "inf" or len(mantissa) <= digits
        assert not text.endswith(".0")
        # Half a unit of the last digit; a rounding error more where two decimals are as near.
        unit = 0.5 * 10.0 ** (1 - digits) * abs(value)
        assert float(text) == value or abs(float(text) - value) <= max(unit * (1 + 1e-6), 5e-324)


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-250, 1e250), st.integers(1, 12))
def test_rounding_is_that_of_printing(value, digits):
    nearest = float(f"{value:.{digits}g}")
    unit = 10.0 ** (np.floor(np.log10(value)) + 1 - digits)
    tie = abs(abs(value - nearest) / unit - 0.5) < 1e-3
    assert round_digits(np.array([value]), digits)[0] == nearest or tie


def test_every_kind_of_column_is_written_and_missing_values_are_na():
    table = pd.DataFrame(
        {
            "category": pd.Categorical(["1", "X", "X"]),
            "whole": [1, 20_000_000_000, -3],
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "real": [1.0, np.nan, 0.1],
            "single": np.array([0.5, np.nan, -0.0], np.float32),
            "word": ["rs1", None, "."],
        }
    )
    text = tsv_lines({name: table[name] for name in table})
    assert _fields(text) == [
        ["1", "1", "1", "1", "0.5", "rs1"],
        ["X", "20000000000", "NA", "NA", "NA", "NA"],
        ["X", "-3", "3", "0.1", "0", "."],
    ]


def test_pandas_reads_what_was_written():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"a": rng.standard_normal(500) * 10.0 ** rng.integers(-30, 30, 500), "b": np.arange(500)}
    )
    text = tsv_lines({name: table[name].to_numpy() for name in table})
    read = pd.read_csv(io.BytesIO(text), sep="\t", header=None, names=["a", "b"])
    pd.testing.assert_frame_equal(read, table, rtol=1e-11)


def test_no_rows_are_no_text():
    assert tsv_lines({"x": np.empty(0), "y": np.empty(0, object)}) == b""


@pytest.mark.parametrize("bad", ["a\tb", "a\nb", "a\rb"])
def test_text_that_would_break_the_table_is_refused(bad):
    with pytest.raises(InputError, match="column 'variant_id'"):
        tsv_lines({"variant_id": ["fine", bad]})
