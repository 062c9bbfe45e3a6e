"""Tabix indexes, by which any genetics tool can look into a table of variants."""

import os


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
