"""Which chromosomes come in pairs: autosomes, X and its pseudo-autosomal ends, Y, MT, by name.

What each kind means for a test is in docs/gwas.md, "Sex chromosomes".
"""

import re

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.chromosomes import (
    HUMAN_AUTOSOMES,
    PSEUDO_AUTOSOMAL,
    canonical_chromosome,
)

KINDS = ("autosome", "x", "par", "y", "mt", "other")

# Last base pair of PAR1 and first of PAR2 on X (Genome Reference Consortium, "pseudoautosomal
# regions"; also where 'plink2 --split-par b37' and 'b38' cut).
PAR_LIMITS = {"GRCh37": (2_699_520, 154_931_044), "GRCh38": (2_781_479, 155_701_383)}

KIND_OF_NAME = {"X": "x", "Y": "y", "MT": "mt"} | dict.fromkeys(PSEUDO_AUTOSOMAL, "par")

# Contigs that are known to belong to a chromosome: chrY_KI270740v1_random.
PLACED_CONTIG = re.compile(r"(X|Y|MT?)_.+")

SEX_OF_TEXT = {
    **dict.fromkeys(("m", "male", "1"), 1),
    **dict.fromkeys(("f", "female", "2"), 2),
    **dict.fromkeys(("", "u", "unknown", "na", "nan", "0", "-9"), 0),
}


def chromosome_kind(
    chromosomes: pd.Series,
    positions: np.ndarray,
    build: str | None = None,
    autosomes: int = HUMAN_AUTOSOMES,
) -> pd.Categorical:
    """Kind of chromosome that each variant lies on.

    Parameters
    ----------
    chromosomes : Series of str, length m
    positions : array_like of int, length m
        Base pairs; on X they tell the pseudo-autosomal regions. Below 1 is unknown.
    build : "GRCh37", "GRCh38" or None
        Genome build. Without it, X is pseudo-autosomal where either build says so: treating a
        pseudo-autosomal variant as one of X would take every heterozygous man out of the test,
        while the other way round nobody's dosage changes.
    autosomes : int
        Pairs of autosomes of the species, see `canonical_chromosome`. With any number but 22,
        positions do not count.

    Returns
    -------
    Categorical, length m
        "autosome"; "x" and "y" outside the pseudo-autosomal regions; "par" inside them, by name
        or position; "mt"; "other" for contigs and unplaced variants.

    Raises
    ------
    InputError
        Unknown build, or a chromosome number that the species does not have.
    """
    if build is not None and build not in PAR_LIMITS:
        raise InputError(f"genome build '{build}': expected {' or '.join(PAR_LIMITS)}")
    places, names = pd.factorize(np.asarray(chromosomes, dtype=object))
    kind_of_name = np.array(
        [KINDS.index(_kind_of_name(name, autosomes)) for name in names], dtype=np.int8
    )
    codes = kind_of_name[places]
    if autosomes == HUMAN_AUTOSOMES:
        limits = np.array([PAR_LIMITS[name] for name in ([build] if build else PAR_LIMITS)])
        positions = np.asarray(positions)
        ends = (positions <= limits[:, 0].max()) | (positions >= limits[:, 1].min())
        codes[(codes == KINDS.index("x")) & (positions >= 1) & ends] = KINDS.index("par")
    return pd.Categorical.from_codes(codes, categories=list(KINDS))


def _kind_of_name(name: str, autosomes: int) -> str:
    canonical = canonical_chromosome(name, autosomes)
    contig = PLACED_CONTIG.fullmatch(canonical)
    if contig:
        canonical = "MT" if contig[1] == "M" else contig[1]
    if canonical.isdecimal():
        return "autosome" if canonical != "0" else "other"
    return KIND_OF_NAME.get(canonical, "other")


def code_males(dosages: np.ndarray, male: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code men on X, outside the pseudo-autosomal regions: their one allele counts 0 or 2.

    That is how the readers give haploid calls; what is left to do are men called heterozygous,
    which cannot be and become missing. Fractional dosages of men stay, on the same scale from 0
    to 2; a dosage of exactly 1 is a heterozygous call in either type of array.

    Parameters
    ----------
    dosages : ndarray of int8 or float32, shape (variants, n)
        Missing is -1 or NaN.
    male : ndarray of bool, shape (n,)

    Returns
    -------
    dosages : ndarray, shape (variants, n)
        Of the same type; the array given where there is nothing to change.
    set_missing : ndarray of int, shape (variants,)
        Heterozygous men of each variant.
    """
    heterozygous = (dosages == 1) & male
    set_missing = heterozygous.sum(axis=1)
    if not set_missing.any():
        return dosages, set_missing
    missing = np.nan if np.issubdtype(dosages.dtype, np.floating) else -1
    return np.where(heterozygous, dosages.dtype.type(missing), dosages), set_missing


def read_sex(column: pd.Series) -> np.ndarray:
    """Sex from a column of a table.

    Parameters
    ----------
    column : Series
        male and female, M and F, or PLINK's 1 and 2, in any case; unknown where empty, 0, -9,
        "unknown" or "U".

    Returns
    -------
    ndarray of int8
        1 male, 2 female, 0 unknown.

    Raises
    ------
    InputError
        Anything else, or a column of zeros and ones, where either could be male.
    """
    text = column.map(_as_text).to_numpy(dtype=object)
    seen = set(text)
    unknown = sorted(seen - set(SEX_OF_TEXT))
    if unknown:
        raise InputError(
            f"column '{column.name}': '{unknown[0]}' is no sex; expected male and female, M and F, "
            "or 1 (male) and 2 (female)"
        )
    if seen & {"0", "1"} and "2" not in seen and not seen & {"m", "male", "f", "female"}:
        raise InputError(
            f"column '{column.name}': a sex of {' and '.join(sorted(seen & {'0', '1'}))} could "
            "mean either; write male and female, or PLINK's 1 (male) and 2 (female)"
        )
    return np.array([SEX_OF_TEXT[value] for value in text], dtype=np.int8)


def _as_text(value: object) -> str:
    """Lower case, numbers without the ".0" that missing values in a column bring about."""
    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lower()
