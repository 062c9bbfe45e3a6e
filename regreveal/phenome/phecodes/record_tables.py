"""Large tables of text, read so that each distinct text is kept and worked on once."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from regreveal.errors import InputError

BLOCK_BYTES = 1 << 24  # of a text file, read at once


def column_names(path: str | os.PathLike) -> list[str]:
    """Read the names of a table's columns.

    Parameters
    ----------
    path : path-like
        Comma- or tab-separated, also compressed, or parquet.

    Raises
    ------
    InputError
        If there is no such file, or it is no table.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if ".parquet" in path.suffixes:
            return pa.parquet.read_schema(path).names
        return _header(path)[0]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({_in_short(error)})") from error


def read_categories(
    path: str | os.PathLike, columns: Sequence[str], as_text: Sequence[str] = ()
) -> pd.DataFrame:
    """Read some columns, each as codes of its distinct values.

    Parameters
    ----------
    path : path-like
        As in `column_names`.
    columns : sequence of str
    as_text : sequence of str
        Those of them that must not be numbers, which would have lost leading zeros.

    Returns
    -------
    DataFrame of category
        The categories are texts, or dates where a parquet file has dates.

    Raises
    ------
    InputError
        If it cannot be read, or a column of `as_text` holds numbers.
    """
    path = Path(path)
    try:
        if ".parquet" in path.suffixes:
            table = pa.parquet.read_table(path, columns=list(columns))
        else:
            table = _read_text(path, columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({_in_short(error)})") from error
    numeric = [name for name in as_text if pa.types.is_primitive(table.schema.field(name).type)]
    if numeric:
        raise InputError(
            f"{path}: column '{numeric[0]}' holds numbers, which have no leading zeros; write its "
            "codes as text"
        )
    return pd.DataFrame({name: _categories(table[name]) for name in columns}, copy=False)


def _header(path: Path) -> tuple[list[str], str]:
    """Read the names of a text table's columns, and what separates them."""
    with pa.input_stream(path, compression="detect") as stream:
        line = stream.read(BLOCK_BYTES // 16).split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")
    separator = "\t" if "\t" in line else ","
    return [name.strip().strip('"') for name in line.split(separator)], separator


def _read_text(path: Path, columns: Sequence[str]) -> pa.Table:
    names, separator = _header(path)
    with pa.input_stream(path, compression="detect") as stream:
        return pa.csv.read_csv(
            stream,
            pa.csv.ReadOptions(block_size=BLOCK_BYTES, column_names=names, skip_rows=1),
            pa.csv.ParseOptions(delimiter=separator),
            pa.csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict.fromkeys(columns, pa.dictionary(pa.int32(), pa.string())),
            ),
        )


def _categories(column: pa.ChunkedArray) -> pd.Categorical:
    if pa.types.is_floating(
        column.type
    ):  # as pandas writes whole numbers of which some are missing
        column = column.cast(pa.int64())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if not column.num_chunks:
        return pd.Categorical([])
    categories = column.chunk(0).dictionary
    if not pa.types.is_temporal(categories.type):
        categories = categories.cast(pa.string())
    codes = pa.chunked_array([chunk.indices for chunk in column.chunks])
    codes = codes.fill_null(-1).to_numpy().astype("int32", copy=False)
    return pd.Categorical.from_codes(codes, categories.to_pandas())


def _in_short(error: Exception) -> str:
    """Give the first line of a message, without the row of a participant that it may quote."""
    return re.sub(r"(got \d+).*", r"\1", str(error).split("\n", 1)[0])
