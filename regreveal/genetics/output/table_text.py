"""Columns to lines of text, fast: what tables of millions of variants spend their time on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from regreveal.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

# Powers of ten up to this one are exact in double precision, so that a number scaled by one of
# them, rounded, and scaled back is the double nearest to the rounded decimal.
_EXACT_POWER = 22


def header_line(names: Sequence[str], separator: str = "\t") -> bytes:
    """First line of a table, with its newline."""
    return (separator.join(names) + "\n").encode()


def tsv_lines(columns: Mapping[str, ArrayLike], digits: int = 12) -> bytes:
    """Write columns as tab-separated lines, without a header.

    Parameters
    ----------
    columns : mapping of str to array
        By name, all of one length: numpy arrays, Series, pyarrow arrays or sequences of str.
        Missing values (NaN, None) are written NA and whole numbers without a decimal point.
    digits : int
        Significant digits of floating-point numbers, at most; 1 to 15.

    Returns
    -------
    bytes
        Each line with its newline.

    Raises
    ------
    InputError
        A text holds a tab or a line break.
    """
    return join_lines(
        [format_column(values, name, digits) for name, values in columns.items()], "\t"
    )


def format_column(
    values: ArrayLike, name: str, digits: int = 12, missing: str = "NA", separator: str = "\t"
) -> "pa.Array":
    """Values as text, ready for `join_lines`; parameters as of `tsv_lines`.

    Parameters
    ----------
    values : array
    name : str
        For the error message.
    digits : int
    missing : str
        What stands for a missing value.
    separator : str
        What text must not contain, beside line breaks.

    Returns
    -------
    pyarrow.Array of string
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    array = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
    if pa.types.is_floating(array.type):
        array = pa.array(
            round_digits(array.to_numpy(zero_copy_only=False), digits), from_pandas=True
        )
    is_number = pa.types.is_floating(array.type) or pa.types.is_integer(array.type)
    text = pc.cast(array, pa.string())
    if not is_number:
        _refuse_breaks(text, name, separator)
    return pc.fill_null(text, missing) if text.null_count else text


def join_columns(columns: Sequence["pa.Array"], separator: str) -> "pa.Array":
    """Several formatted columns as one, so that tables that share them join them only once."""
    import pyarrow.compute as pc

    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, separator)


def join_lines(columns: Sequence["pa.Array"], separator: str) -> bytes:
    """Lines of formatted columns, each with its newline."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(columns[0]):
        return b""
    # The newline goes with the last column: as a column of its own it would get a separator.
    last = pc.binary_join_element_wise(columns[-1], "\n", "")
    lines = join_columns([*columns[:-1], last], separator).cast(pa.large_string())
    _, offsets, text = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[[lines.offset, lines.offset + len(lines)]]
    return memoryview(text)[ends[0] : ends[1]].tobytes()


def round_digits(values: np.ndarray, digits: int) -> np.ndarray:
    """Round to significant digits, to the doubles nearest to those decimals.

    The shortest text that gives such a double back then has no more than `digits` digits.

    Parameters
    ----------
    values : ndarray of float
    digits : int
        From 1 to 15.

    Returns
    -------
    ndarray of float64
        A zero has no sign; NaN and infinities stay.
    """
    values = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = digits - 1 - np.floor(np.log10(np.abs(values)))
    usual = np.abs(power) <= _EXACT_POWER
    power = np.where(usual, power, 0).astype(np.int64)
    scale = _POWERS[np.abs(power)]
    up = power >= 0
    with np.errstate(over="ignore"):
        rounded = np.where(up, np.rint(values * scale) / scale, np.rint(values / scale) * scale)
    rounded[~usual] = values[~usual]
    for place in np.flatnonzero(~usual & np.isfinite(values) & (values != 0)):
        rounded[place] = float(f"{values[place]:.{digits}g}")
    return rounded + 0.0


_POWERS = np.array([float(10**power) for power in range(_EXACT_POWER + 1)])


def _refuse_breaks(text: "pa.Array", name: str, separator: str) -> None:
    import pyarrow.compute as pc

    broken = pc.match_substring_regex(text, f"[{separator}\r\n]")
    row = pc.index(broken, True).as_py()
    if row >= 0:
        raise InputError(
            f"column '{name}': {text[row].as_py()!r} has a tab, space or line break that would "
            "break the table; rename it in the genotype files"
        )
