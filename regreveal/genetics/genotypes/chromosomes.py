"""Names of chromosomes: how they sort, and which are the same."""

import numpy as np
import pandas as pd


def chromosome_rank(chromosomes: pd.Series) -> np.ndarray:
    """Sort key of chromosome names: 1 to 22 (or more), X, Y, XY, MT, then others by name.

    A leading "chr" does not count.

    Parameters
    ----------
    chromosomes : Series of str

    Returns
    -------
    ndarray of int
        Equal for equal names only.
    """
    names = pd.unique(chromosomes)
    special = {"X": 0, "Y": 1, "XY": 2, "MT": 3, "M": 3}

    def key(name: str) -> tuple:
        plain = plain_chromosome(name)
        if plain.isdecimal():
            return 0, int(plain), name
        return (1, special[plain], name) if plain in special else (2, 0, name)

    rank = {name: place for place, name in enumerate(sorted(names, key=key))}
    return chromosomes.map(rank).to_numpy(dtype=int)


def plain_chromosome(name: str) -> str:
    """Chromosome name without a leading "chr", in capitals: "chrX" and "x" are both "X"."""
    name = str(name)
    return (name[3:] if name.lower().startswith("chr") else name).upper()
