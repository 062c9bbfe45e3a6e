"""Which variants are tested: by place, by list, and by what their genotypes look like.

Each variant that is left out has one reason, the first that applies in the order of `REASONS`.
"""

import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.chromosomes import HUMAN_AUTOSOMES, canonical_chromosome
from regreveal.genetics.genotypes.variant_quality import hwe_exact

REASONS = (
    "outside_regions",
    "not_in_list",
    "excluded_by_list",
    "missingness",
    "maf",
    "mac",
    "info",
    "hwe",
)

KEPT = ""

LISTS = ("regions", "include", "exclude")

GENOTYPE_LIMITS = (
    "minimum_maf",
    "maximum_maf",
    "minimum_mac",
    "minimum_info",
    "hwe_p",
    "maximum_missing",
)

Region = tuple[str, int, int]

# A whole chromosome, with variants whose position is unknown (0 or below).
ANYWHERE = (-(2**62), 2**62)

REGION = re.compile(r"([A-Za-z0-9_.]+)(?::([0-9][0-9,]*)-([0-9][0-9,]*))?")

# Shares that differ from a limit by rounding only are at the limit.
SLACK = 1e-9


@dataclass(frozen=True)
class VariantFilter:
    """Limits that a variant must keep to be tested; those left at None cost nothing.

    Parameters
    ----------
    regions : sequence of (chromosome, start, end), optional
        Inclusive base pairs, from `parse_region` or `read_regions`; a variant is where its
        position is. Names of chromosomes match however they are written ("chrX", "X", "23").
    include, exclude : collection of str, optional
        Variant ids to keep, and to leave out.
    minimum_maf, maximum_maf : float, optional
        Frequency of the rarer allele.
    minimum_mac : float, optional
        Copies of the rarer allele.
    minimum_info : float, optional
        Imputation quality, see `variant_quality.dosage_info`.
    hwe_p : float, optional
        Smallest p-value of `variant_quality.hwe_exact`.
    maximum_missing : float, optional
        Share of participants whose genotype is missing.
    autosomes : int
        Pairs of autosomes of the species, see `canonical_chromosome`.

    Raises
    ------
    InputError
        A limit out of its range, a region that ends before it starts, or an empty list.

    Examples
    --------
    >>> chosen = VariantFilter(regions=[parse_region("chr17:1-2,000")])
    >>> rows = pd.DataFrame({"chromosome": ["17", "17"], "position": [1665, 2748]})
    >>> list(chosen.by_place(rows))
    ['', 'outside_regions']
    """

    regions: tuple[Region, ...] | None = None
    include: frozenset[str] | None = None
    exclude: frozenset[str] | None = None
    minimum_maf: float | None = None
    maximum_maf: float | None = None
    minimum_mac: float | None = None
    minimum_info: float | None = None
    hwe_p: float | None = None
    maximum_missing: float | None = None
    autosomes: int = HUMAN_AUTOSOMES

    def __post_init__(self):
        for name, top in (
            ("minimum_maf", 0.5),
            ("maximum_maf", 0.5),
            ("minimum_mac", np.inf),
            ("minimum_info", 1),
            ("hwe_p", 1),
            ("maximum_missing", 1),
        ):
            _check_limit(name, getattr(self, name), top)
        if None not in (self.minimum_maf, self.maximum_maf) and self.minimum_maf > self.maximum_maf:
            raise InputError(
                f"minimum_maf {self.minimum_maf} is above maximum_maf {self.maximum_maf}; "
                "no variant has such a frequency"
            )
        for name in ("regions", "include", "exclude"):
            values = getattr(self, name)
            if values is None:
                continue
            if not len(values):
                raise InputError(f"{name}: an empty list; leave the option out to use no list")
            kind = tuple if name == "regions" else frozenset
            object.__setattr__(self, name, kind(values))
        for chromosome, start, end in self.regions or ():
            canonical_chromosome(chromosome, self.autosomes)
            if start > end:
                raise InputError(f"region {chromosome}:{start}-{end} ends before it starts")

    @property
    def looks_at_genotypes(self) -> bool:
        """Whether `by_genotypes` can leave anything out."""
        return any(getattr(self, name) is not None for name in GENOTYPE_LIMITS)

    def told(self) -> dict:
        """Limits for a summary: lists by their lengths."""
        told = {name: getattr(self, name) for name in GENOTYPE_LIMITS}
        told |= {name: len(getattr(self, name) or ()) or None for name in LISTS}
        return {name: value for name, value in told.items() if value is not None} | {
            "autosomes": self.autosomes
        }

    def lists(self) -> list:
        """Regions and ids, in an order that does not depend on the process."""
        return [sorted(getattr(self, name) or ()) for name in LISTS]

    def by_place(self, rows: pd.DataFrame) -> pd.Categorical:
        """Leave variants out by position and id alone, so that they are never unpacked.

        Parameters
        ----------
        rows : DataFrame
            chromosome, position, and variant_id where a list is given.

        Returns
        -------
        Categorical, one value a row
            '' where the variant stays, else outside_regions, not_in_list or excluded_by_list.
        """
        codes = np.zeros(len(rows), dtype=np.int8)
        if self.regions is not None:
            _mark(codes, "outside_regions", ~self._inside(rows))
        if self.include is not None:
            _mark(codes, "not_in_list", ~_are_in(rows["variant_id"], self.include))
        if self.exclude is not None:
            _mark(codes, "excluded_by_list", _are_in(rows["variant_id"], self.exclude))
        return _reasons(codes)

    def include_met(self, rows: pd.DataFrame) -> frozenset[str]:
        """Ids of the include list that stand among the rows, left out for other reasons or not.

        What remains of `include` after all rows of a file was never found there.
        """
        return (self.include or frozenset()).intersection(rows["variant_id"])

    def by_genotypes(
        self,
        n_ref: np.ndarray,
        n_het: np.ndarray,
        n_hom: np.ndarray,
        alt_frequency: np.ndarray,
        participants: int,
        info: np.ndarray | None = None,
        hwe_counts: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    ) -> pd.Categorical:
        """Leave variants out by their genotypes among the analysed participants.

        Parameters
        ----------
        n_ref, n_het, n_hom : ndarray of int, shape (variants,)
            Participants by genotype. Whoever is in none of them has no known genotype.
        alt_frequency : ndarray, shape (variants,)
            From the dosages, where they are fractional; NaN where no genotype is known, which is
            within no limits of frequency or count.
        participants : int
            How many are analysed.
        info : ndarray, shape (variants,), optional
            From `variant_quality.dosage_info`. Without it all are hard calls, whose quality is 1;
            NaN is below every limit.
        hwe_counts : three ndarrays of int, shape (variants,), optional
            The counts that Hardy-Weinberg equilibrium is tested in, where they are others: those
            of women, on X.

        Returns
        -------
        Categorical, one value a variant
            '' where it stays, else missingness, maf, mac, info or hwe.
        """
        known = n_ref + n_het + n_hom
        codes = np.zeros(len(known), dtype=np.int8)
        minor = np.minimum(alt_frequency, 1 - alt_frequency)
        if self.maximum_missing is not None:
            missing = participants - known
            limit = self.maximum_missing * participants
            _mark(codes, "missingness", missing > limit * (1 + SLACK))
        if self.minimum_maf is not None:
            _mark(codes, "maf", ~(minor >= self.minimum_maf * (1 - SLACK)))
        if self.maximum_maf is not None:
            _mark(codes, "maf", ~(minor <= self.maximum_maf * (1 + SLACK)))
        if self.minimum_mac is not None:
            _mark(codes, "mac", ~(2 * known * minor >= self.minimum_mac * (1 - SLACK)))
        if self.minimum_info is not None and info is not None:
            _mark(codes, "info", ~(info >= self.minimum_info))
        if self.hwe_p is not None:
            left = np.flatnonzero(codes == 0)
            ref, het, hom = hwe_counts if hwe_counts is not None else (n_ref, n_het, n_hom)
            unlikely = np.zeros(len(codes), dtype=bool)
            unlikely[left] = hwe_exact(het[left], ref[left], hom[left]) < self.hwe_p
            _mark(codes, "hwe", unlikely)
        return _reasons(codes)

    def _inside(self, rows: pd.DataFrame) -> np.ndarray:
        chromosomes, names = pd.factorize(np.asarray(rows["chromosome"], dtype=object))
        positions = rows["position"].to_numpy()
        inside = np.zeros(len(rows), dtype=bool)
        for place, name in enumerate(names):
            merged = self._regions_by_chromosome.get(canonical_chromosome(name, self.autosomes))
            if merged is None:
                continue
            here = np.flatnonzero(chromosomes == place)
            starts, ends = merged
            before = np.searchsorted(starts, positions[here], side="right") - 1
            inside[here] = (before >= 0) & (positions[here] <= ends[before])
        return inside

    @cached_property
    def _regions_by_chromosome(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Sorted starts of each chromosome's regions, and the farthest end up to each of them."""
        table = pd.DataFrame(list(self.regions), columns=["chromosome", "start", "end"])
        table["chromosome"] = [
            canonical_chromosome(name, self.autosomes) for name in table["chromosome"]
        ]
        return {
            name: (own["start"].to_numpy(), np.maximum.accumulate(own["end"].to_numpy()))
            for name, own in table.sort_values("start").groupby("chromosome")
        }


def parse_region(text: str) -> Region:
    """Region from text like "17" or "chr6:25,000,000-34,000,000", both ends inclusive.

    Raises
    ------
    InputError
        The text is not such a region.
    """
    match = REGION.fullmatch(text.strip())
    if not match:
        raise InputError(
            f"region '{text}': expected a chromosome, such as 17, or a part of one, such as "
            "chr6:25000000-34000000"
        )
    if match[2] is None:
        return match[1], *ANYWHERE
    start, end = (int(match[place].replace(",", "")) for place in (2, 3))
    if start > end:
        raise InputError(f"region '{text}' ends before it starts")
    return match[1], start, end


def read_regions(path: str | os.PathLike) -> list[Region]:
    """Read regions from a BED file: chromosome, start and end, counted from 0, end not included.

    Parameters
    ----------
    path : path-like
        Further columns do not count, nor do lines that are empty or start with "#", "track" or
        "browser". May be compressed with gzip (.gz).

    Returns
    -------
    list of (chromosome, start, end)
        Counted from 1, both ends inclusive.

    Raises
    ------
    InputError
        No such file, no regions, or a line that is not one.
    """
    path = Path(path)
    regions = []
    for number, line in _lines(path):
        if line.startswith(("track", "browser")):
            continue
        fields = line.split()
        if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
            raise InputError(
                f"{path.name}: line {number}: expected chromosome, start and end (BED format), "
                f"found '{line[:60]}'"
            )
        start, end = int(fields[1]), int(fields[2])
        if start >= end:
            raise InputError(
                f"{path.name}: line {number}: start {start} is not below end {end}; BED counts "
                "from 0 and does not include the end"
            )
        regions.append((fields[0], start + 1, end))
    if not regions:
        raise InputError(f"{path.name}: no regions in it")
    return regions


def read_variant_list(path: str | os.PathLike) -> frozenset[str]:
    """Read variant ids: one a line, or the first column of a table without a header.

    Parameters
    ----------
    path : path-like
        Lines that are empty or start with "#" do not count. May be compressed with gzip (.gz).

    Returns
    -------
    frozenset of str

    Raises
    ------
    InputError
        No such file, or no ids in it.
    """
    path = Path(path)
    ids = frozenset(line.split(maxsplit=1)[0] for _, line in _lines(path))
    if not ids:
        raise InputError(f"{path.name}: no variant ids in it")
    return ids


def _check_limit(name: str, value: float | None, top: float) -> None:
    if value is None or 0 <= value <= top:
        return
    range_told = f"from 0 to {top:g}" if np.isfinite(top) else "at least 0"
    raise InputError(f"{name} {value}: expected a number {range_told}")


def _mark(codes: np.ndarray, reason: str, dropped: np.ndarray) -> None:
    """Give a reason to those that have none yet."""
    codes[(codes == 0) & dropped] = 1 + REASONS.index(reason)


def _reasons(codes: np.ndarray) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories=[KEPT, *REASONS])


def _are_in(ids: pd.Series, chosen: frozenset[str]) -> np.ndarray:
    # The set's hashes are there already; Series.isin would hash the whole list for every block.
    return np.fromiter(map(chosen.__contains__, ids), dtype=bool, count=len(ids))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers, stripped, less comments and empty ones."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if line and not line.startswith("#"):
                    yield number, line
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise InputError(f"{path.name}: not a text file ({error})") from None
