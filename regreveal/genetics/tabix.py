"""Variant tables that any genetics tool can look into: bgzip-compressed, tabix-indexed TSV."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from regreveal.genetics.bgzf import BGZF_END, bgzf
from regreveal.genetics.table_text import header_line, tsv_lines
from regreveal.store.atomic import atomic_path


def index_table(path: str | os.PathLike, index_path: str | os.PathLike) -> None:
    """Make the tabix index of a table.

    Parameters
    ----------
    path : path-like
        A whole BGZF file of tab-separated lines, one of them a header; chromosome and position
        (from 1) are the first two columns. Lines of a chromosome stand together, sorted.
    index_path : path-like
        The .tbi to write.

    Raises
    ------
    OSError
        The lines are not sorted, or the file is no BGZF.
    """
    import pysam

    # htslib warns at every variant of unknown position (0 or below), which are wanted here.
    verbosity = pysam.set_verbosity(0)
    try:
        pysam.tabix_index(
            str(path),
            force=True,
            seq_col=0,
            start_col=1,
            end_col=1,
            line_skip=1,
            index=str(index_path),
        )
    finally:
        pysam.set_verbosity(verbosity)


@contextmanager
def variant_table(path: str | os.PathLike) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table of variants block by block, with its index beside it.

    Parameters
    ----------
    path : path-like
        The .tsv.gz; the index is the same name with .tbi. Both appear only once whole.

    Yields
    ------
    callable
        Appends a DataFrame. Chromosome and position are its first two columns; rows come sorted by
        them, over all calls. Missing values are written NA.
    """
    path = Path(path)
    index = path.with_name(path.name + ".tbi")
    with atomic_path(index) as new_index, atomic_path(path) as new_table:
        with new_table.open("wb") as table:

            def append(block: pd.DataFrame) -> None:
                if not table.tell():
                    table.write(bgzf(header_line(block.columns)))
                table.write(bgzf(tsv_lines({name: block[name] for name in block})))

            yield append
            table.write(BGZF_END)
        index_table(new_table, new_index)
