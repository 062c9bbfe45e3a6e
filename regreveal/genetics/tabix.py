"""Variant tables that any genetics tool can look into: bgzip-compressed, tabix-indexed TSV."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from regreveal.store.atomic import atomic_path


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
    import pysam

    path = Path(path)
    index = path.with_name(path.name + ".tbi")
    with atomic_path(index) as new_index, atomic_path(path) as new_table:
        with pysam.BGZFile(str(new_table), "w") as compressed:
            started = False

            def append(block: pd.DataFrame) -> None:
                nonlocal started
                text = block.to_csv(
                    sep="\t", index=False, header=not started, na_rep="NA", float_format="%.12g"
                )
                compressed.write(text.encode())
                started = True

            yield append
        # htslib warns at every variant of unknown position (0 or below), which are wanted here.
        verbosity = pysam.set_verbosity(0)
        try:
            pysam.tabix_index(
                str(new_table),
                force=True,
                seq_col=0,
                start_col=1,
                end_col=1,
                line_skip=1,
                index=str(new_index),
            )
        finally:
            pysam.set_verbosity(verbosity)
