"""Single-trait results in two layouts that other tools read: GWAS-SSF, and REGENIE's own.

Rows come as bytes, one text a trait, without header and uncompressed; the effect allele is the
alternate one throughout.
"""

import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from regreveal.genetics.genotypes.chromosomes import (
    HUMAN_AUTOSOMES,
    canonical_chromosome,
    chromosome_number,
)
from regreveal.genetics.output.table_text import (
    format_column,
    header_line,
    join_columns,
    join_lines,
)
from regreveal.genetics.univariate import Effects

if TYPE_CHECKING:
    import pyarrow as pa

SSF_COLUMNS = (
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "neg_log_10_p_value",
    "variant_id",
    "rsid",
    "ref_allele",
    "n",
)

REGENIE_COLUMNS = (
    *("CHROM", "GENPOS", "ID", "ALLELE0", "ALLELE1", "A1FREQ", "N", "TEST"),
    *("BETA", "SE", "CHISQ", "LOG10P", "EXTRA"),
)

# The standard's numbers of chromosomes that are no autosomes. A pseudo-autosomal "chromosome" XY
# would have to be 23 too, but stands elsewhere in the file.
_SSF_NUMBERS = {"X": "23", "Y": "24", "MT": "25"}

_SSF_MISSING = "#NA"
_SSF_DIGITS = 10  # of p to six, where it is 1e-100
_REGENIE_DIGITS = 6  # as REGENIE and PLINK 2 print


class SsfRows(NamedTuple):
    """Rows of a block of variants.

    Attributes
    ----------
    texts : list of bytes
        Lines of each trait.
    left_out : dict of str to int
        How many variants the standard has no place for: "chromosome", "position" or "alleles",
        each counted once, by the first of these.
    """

    texts: list[bytes]
    left_out: dict[str, int]


def is_below(neg_log10_p: np.ndarray, top: float | None) -> np.ndarray:
    """Which results to write: those with p below `top`, or all, also untested, without it.

    Parameters
    ----------
    neg_log10_p : ndarray
    top : float or None
        A p-value.

    Returns
    -------
    ndarray of bool
    """
    if top is None:
        return np.ones(np.shape(neg_log10_p), bool)
    return np.asarray(neg_log10_p) > -np.log10(top)


def ssf_header(info: bool = False) -> bytes:
    """Header line of a GWAS-SSF table; `info` where rows have imputation quality."""
    return header_line(_with_info(SSF_COLUMNS, "info", "n", info))


def ssf_rows(
    variants: pd.DataFrame,
    alt_frequency: np.ndarray,
    n: np.ndarray,
    effects: Effects,
    info: np.ndarray | None = None,
    top: float | None = None,
    autosomes: int = HUMAN_AUTOSOMES,
) -> SsfRows:
    """Rows of a GWAS-SSF table for each trait.

    The standard wants numbers in every row, chromosomes 1 to 25 (X is 23, Y 24, MT 25), positions
    from 1, and alleles of A, C, G and T. Variants that were not tested, or do not fit, are left
    out. `variant_id` is chromosome_position_ref_alt, and `rsid` the variant's own id where it is
    an rs number.

    Parameters
    ----------
    variants : DataFrame
        chromosome, position, variant_id, ref, alt.
    alt_frequency, n : ndarray, shape (variants,)
        Frequency of the alternate allele, and how many genotypes are known.
    effects : Effects
        Each of shape (variants, traits).
    info : ndarray, shape (variants,), optional
        Imputation quality.
    top : float, optional
        Write only results with p below this.
    autosomes : int
        Pairs of autosomes of the species, see `canonical_chromosome`.

    Returns
    -------
    SsfRows

    Raises
    ------
    InputError
        A chromosome number that the species does not have.

    References
    ----------
    https://github.com/EBISPOT/gwas-summary-statistics-standard, version 1.1.0, Table 1.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fitting = _SsfVariants(variants, autosomes)
    written = (
        np.isfinite(effects.beta)
        & np.isfinite(effects.standard_error)
        & ~np.isnan(effects.neg_log10_p)
        & is_below(effects.neg_log10_p, top)
        & fitting.fits[:, None]
    )
    rows = np.flatnonzero(written.any(axis=1))
    chromosome, ref, alt = (
        values.take(pa.array(rows)) for values in (fitting.chromosome, fitting.ref, fitting.alt)
    )
    position = format_column(variants["position"].to_numpy()[rows], "position")
    own_id = format_column(variants["variant_id"].to_numpy()[rows], "variant_id")
    before = join_columns([chromosome, position, alt, ref], "\t")
    after = [
        join_columns([chromosome, position, ref, alt], "_"),
        pc.if_else(pc.match_substring_regex(own_id, "^rs[0-9]+$"), own_id, _SSF_MISSING),
        pa.repeat("OA", len(rows)),
    ]
    if info is not None:
        after.append(format_column(info[rows], "info", _SSF_DIGITS, _SSF_MISSING))
    after = join_columns([*after, format_column(n[rows], "n")], "\t")
    frequency = format_column(alt_frequency[rows], "alt_frequency", _SSF_DIGITS)
    texts = [
        join_lines(_filtered([before, beta, error, frequency, p, after], keep), "\t")
        for (beta, error, p), keep in zip(
            _by_trait(effects, rows, _SSF_DIGITS, _SSF_MISSING), written[rows].T, strict=True
        )
    ]
    return SsfRows(texts, fitting.left_out)


class _SsfVariants:
    """A block of variants in the standard's terms, and which of them fit."""

    def __init__(self, variants: pd.DataFrame, autosomes: int):
        import pyarrow as pa
        import pyarrow.compute as pc

        names = {
            name: _ssf_chromosome(name, autosomes) for name in pd.unique(variants["chromosome"])
        }
        codes = variants["chromosome"].map(names)
        self.chromosome = pa.array(codes, pa.string(), from_pandas=True)
        self.ref, self.alt = (
            pc.utf8_upper(pa.array(variants[name], pa.string(), from_pandas=True))
            for name in ("ref", "alt")
        )
        is_letters = [
            pc.fill_null(pc.match_substring_regex(allele, "^[ACGT]+$"), False).to_numpy(
                zero_copy_only=False
            )
            for allele in (self.ref, self.alt)
        ]
        reasons = {
            "chromosome": codes.isna().to_numpy(),
            "position": variants["position"].to_numpy() < 1,
            "alleles": ~(is_letters[0] & is_letters[1]),
        }
        self.fits, self.left_out = np.ones(len(variants), bool), {}
        for reason, excluded in reasons.items():
            self.left_out[reason] = int((self.fits & excluded).sum())
            self.fits &= ~excluded


def _ssf_chromosome(name: str, autosomes: int) -> str | None:
    """Give the number of a chromosome in the standard; None if it has none."""
    canonical = canonical_chromosome(name, autosomes)
    if canonical.isdecimal():
        return canonical if 1 <= int(canonical) <= HUMAN_AUTOSOMES else None
    return _SSF_NUMBERS.get(canonical)


def ssf_metadata_path(table: str | os.PathLike) -> Path:
    """Where the standard wants a table's metadata: beside it, as NAME-meta.yaml."""
    table = Path(table)
    return table.with_name(f"{table.name}-meta.yaml")


def ssf_metadata(
    table: str | os.PathLike,
    trait: str,
    sample_size: int,
    covariates: Sequence[str] = (),
    genome_assembly: str | None = None,
    notes: str | None = None,
) -> str:
    """Metadata that belong beside a GWAS-SSF table, as YAML.

    Ancestry and genotyping technology, which nothing here knows, are "NR" (not reported), as the
    standard has it. The date of the last change, which it wants too, is left to whoever submits
    them, so that the same run gives the same bytes.

    Parameters
    ----------
    table : path-like
        The finished file, whose checksum goes into the metadata.
    trait : str
        Its description.
    sample_size : int
        Participants analysed.
    covariates : sequence of str
        What the analysis adjusted for.
    genome_assembly : str, optional
        Such as GRCh38. Without it "unknown", the word of the standard's own tools.
    notes : str, optional
        Free text, such as how many variants were left out and why.

    Returns
    -------
    str

    References
    ----------
    https://github.com/EBISPOT/gwas-summary-statistics-standard, version 1.1.0, Table 2.
    """
    import yaml

    table = Path(table)
    with table.open("rb") as file:
        checksum = hashlib.file_digest(file, "md5").hexdigest()
    fields = {
        "author_notes": notes,
        "trait_description": [trait],
        "genome_assembly": genome_assembly or "unknown",
        "coordinate_system": "1-based",
        "genotyping_technology": ["NR"],
        "samples": [
            {
                "sample_ancestry_category": ["NR"],
                "sample_size": int(sample_size),
                "case_control_study": False,
            }
        ],
        "data_file_name": table.name,
        "file_type": "GWAS-SSF v1.0",
        "data_file_md5sum": checksum,
        "analysis_software": f"RegReveal {importlib.metadata.version('regreveal')}",
        "adjusted_covariates": list(covariates) or None,
        "is_harmonised": False,
        "is_sorted": True,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return yaml.safe_dump(known, sort_keys=False, allow_unicode=True, width=1000)


def regenie_header(info: bool = False) -> bytes:
    """Header line of a table in REGENIE's layout; `info` where rows have imputation quality."""
    return header_line(_with_info(REGENIE_COLUMNS, "INFO", "N", info), " ")


def regenie_rows(
    variants: pd.DataFrame,
    alt_frequency: np.ndarray,
    n: np.ndarray,
    effects: Effects,
    info: np.ndarray | None = None,
    top: float | None = None,
    autosomes: int = HUMAN_AUTOSOMES,
) -> list[bytes]:
    """Rows of a table in REGENIE's layout (step 2, quantitative traits) for each trait.

    ALLELE1 is the effect allele, the alternate one. CHISQ is (BETA/SE)², while LOG10P is of the
    t-test. In people X is chromosome 23, Y 24, XY, PAR1 and PAR2 25, and MT 26. Variants that were
    not tested have NA.

    Parameters
    ----------
    variants, alt_frequency, n, effects, info, top, autosomes
        As of `ssf_rows`.

    Returns
    -------
    list of bytes
        Lines of each trait, spaces between fields.

    Raises
    ------
    InputError
        A variant's id or an allele holds a space.

    References
    ----------
    https://rgcgithub.github.io/regenie/options/#output-1
    """
    import pyarrow as pa

    written = is_below(effects.neg_log10_p, top)
    rows = np.flatnonzero(written.any(axis=1))
    shown = variants.iloc[rows]
    names = {name: _regenie_chromosome(name, autosomes) for name in pd.unique(shown["chromosome"])}
    shared = {
        "CHROM": shown["chromosome"].map(names),
        "GENPOS": shown["position"],
        "ID": shown["variant_id"],
        "ALLELE0": shown["ref"],
        "ALLELE1": shown["alt"],
        "A1FREQ": alt_frequency[rows],
    }
    if info is not None:
        shared["INFO"] = info[rows]
    shared |= {"N": n[rows], "TEST": pa.repeat("ADD", len(rows))}
    before = join_columns(
        [
            format_column(values, name, _REGENIE_DIGITS, separator=" ")
            for name, values in shared.items()
        ],
        " ",
    )
    extra = pa.repeat("NA", len(rows))
    with np.errstate(divide="ignore"):
        chi_square = (effects.beta / effects.standard_error) ** 2
    with_chi_square = (effects.beta, effects.standard_error, chi_square, effects.neg_log10_p)
    return [
        join_lines(_filtered([before, *columns, extra], keep), " ")
        for columns, keep in zip(
            _by_trait(with_chi_square, rows, _REGENIE_DIGITS, "NA"), written[rows].T, strict=True
        )
    ]


def _regenie_chromosome(name: str, autosomes: int) -> str:
    number = chromosome_number(name, autosomes)
    return canonical_chromosome(name, autosomes) if number is None else str(number)


def _with_info(columns: Sequence[str], info: str, before: str, wanted: bool) -> list[str]:
    place = columns.index(before)
    return [*columns[:place], *([info] if wanted else []), *columns[place:]]


def _by_trait(
    statistics: Sequence[np.ndarray], rows: np.ndarray, digits: int, missing: str
) -> Iterator[list["pa.Array"]]:
    """Statistics of (variants, traits) as text, the columns of one trait after the other."""
    # All traits of a block at once: a call for each would cost as much as the work it does.
    texts = [
        format_column(values[rows].T.ravel(), "statistics", digits, missing)
        for values in statistics
    ]
    for trait in range(statistics[0].shape[1]):
        yield [text.slice(trait * len(rows), len(rows)) for text in texts]


def _filtered(columns: list["pa.Array"], keep: np.ndarray) -> list["pa.Array"]:
    import pyarrow as pa

    if keep.all():
        return columns
    mask = pa.array(keep)
    return [column.filter(mask) for column in columns]
