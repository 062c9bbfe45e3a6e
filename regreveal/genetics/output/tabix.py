"""Tabix indexes, by which any genetics tool can look into a table of variants."""

import os
from pathlib import Path

from regreveal.errors import InputError


def index_table(path: str | os.PathLike, index_path: str | os.PathLike) -> Path:
    """Make the tabix index of a table.

    Parameters
    ----------
    path : path-like
        A whole BGZF file of tab-separated lines, one of them a header; chromosome and position
        (from 1) are the first two columns. Lines of a chromosome stand together, sorted.
    index_path : path-like
        The .tbi to write. It goes up to position 2²⁹; with any beyond, a .csi is written instead,
        under the same name but for its end.

    Returns
    -------
    Path
        The index that was written.

    Raises
    ------
    InputError
        The lines are not sorted, the file is damaged, or the index cannot be written.
    """
    path, index_path = Path(path), Path(index_path)
    if _index(path, index_path, csi=False) is None:
        return index_path
    index_path.unlink(missing_ok=True)
    index_path = index_path.with_suffix(".csi")
    error = _index(path, index_path, csi=True)
    if error is not None:
        index_path.unlink(missing_ok=True)
        raise InputError(
            f"{path.name}: cannot be indexed ({error}); expected a whole BGZF file whose lines of "
            "a chromosome stand together, by position, and room to write the index"
        )
    return index_path


def _index(path: Path, index_path: Path, csi: bool) -> OSError | None:
    """Write an index; what prevents it where something does."""
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
            csi=csi,
        )
    except OSError as error:
        return error
    finally:
        pysam.set_verbosity(verbosity)
    return None
