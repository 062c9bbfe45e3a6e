"""Names of chromosomes: which are the same, how they sort, and by which numbers programs go."""

import re

import numpy as np
import pandas as pd

from regreveal.errors import InputError

HUMAN_AUTOSOMES = 22

# PLINK numbers these after the autosomes: 23 to 26 in people.
AFTER_AUTOSOMES = ("X", "Y", "XY", "MT")

# They have positions of X, too.
PSEUDO_AUTOSOMAL = ("XY", "PAR1", "PAR2")

# GenBank's names of the human chromosomes; 23 is X and 24 is Y.
HUMAN_ACCESSION = re.compile(r"NC_0000([01]\d|2[0-4])(\.\d+)?")
HUMAN_MITOCHONDRION = re.compile(r"NC_012920(\.\d+)?")


def canonical_chromosome(name: str, autosomes: int = HUMAN_AUTOSOMES) -> str:
    """One name for a chromosome that files call differently: "chrX", "x", "0X" and "23" are "X".

    Parameters
    ----------
    name : str
    autosomes : int
        Pairs of autosomes of the species. The four numbers after them are X, Y, XY and MT, as in
        PLINK.

    Returns
    -------
    str
        "1" and so on, "X", "Y", "XY", "PAR1", "PAR2", "MT", or the plain name in capitals.

    Raises
    ------
    InputError
        A number that the species does not have.
    """
    canonical = _canonical(name, autosomes)
    if canonical.isdecimal() and int(canonical) > autosomes:
        raise InputError(
            f"chromosome '{name}': with {autosomes} autosomes, numbers go up to "
            f"{autosomes + len(AFTER_AUTOSOMES)} (MT); give the species' number of autosomes"
        )
    return canonical


def chromosome_of_positions(name: str, autosomes: int = HUMAN_AUTOSOMES) -> str:
    """Name by which positions in different tables are on the same chromosome.

    As `canonical_chromosome`, but the pseudo-autosomal parts of X, whose positions are those of X,
    are X; and a number that the species does not have, as a table of genes may, is a name.

    Parameters
    ----------
    name : str
    autosomes : int

    Returns
    -------
    str
    """
    canonical = _canonical(name, autosomes)
    return "X" if canonical in PSEUDO_AUTOSOMAL else canonical


def chromosome_number(name: str, autosomes: int = HUMAN_AUTOSOMES) -> int | None:
    """PLINK's number of a chromosome: in people X is 23, Y 24, XY, PAR1 and PAR2 25, and MT 26.

    Parameters
    ----------
    name : str
    autosomes : int

    Returns
    -------
    int or None
        None for what has no number.
    """
    canonical = _canonical(name, autosomes)
    if canonical in PSEUDO_AUTOSOMAL:
        canonical = "XY"
    if canonical in AFTER_AUTOSOMES:
        return autosomes + 1 + AFTER_AUTOSOMES.index(canonical)
    return int(canonical) if canonical.isdecimal() else None


def chromosome_rank(chromosomes: pd.Series, autosomes: int = HUMAN_AUTOSOMES) -> np.ndarray:
    """Sort key of chromosome names: 1 to 22 (or more), X, Y, XY, MT, then others by name.

    Parameters
    ----------
    chromosomes : Series of str
        However they are written: "chr1", "01" and "NC_000001.11" sort as 1.
    autosomes : int
        Pairs of autosomes of the species.

    Returns
    -------
    ndarray of int
        Equal for equal names only.
    """

    def key(name: str) -> tuple:
        number = chromosome_number(name, autosomes)
        return number is None, number or 0, str(name)

    ordered = sorted(pd.unique(chromosomes), key=key)
    rank = {name: place for place, name in enumerate(ordered)}
    return chromosomes.map(rank).to_numpy(dtype=int)


def _canonical(name: str, autosomes: int) -> str:
    """Do what `canonical_chromosome` does, and let numbers pass that the species does not have."""
    plain = str(name).upper().removeprefix("CHR")
    if HUMAN_MITOCHONDRION.fullmatch(plain):
        return "MT"
    accession = HUMAN_ACCESSION.fullmatch(plain)
    if accession:
        number = int(accession[1])
        return AFTER_AUTOSOMES[number - 23] if number > HUMAN_AUTOSOMES else str(number)
    plain = plain.lstrip("0") or "0"
    if plain == "M":
        return "MT"
    if not plain.isdecimal():
        return plain
    number = int(plain)
    if autosomes < number <= autosomes + len(AFTER_AUTOSOMES):
        return AFTER_AUTOSOMES[number - autosomes - 1]
    return str(number)
