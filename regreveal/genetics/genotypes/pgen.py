"""PLINK 2 .pgen files."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import VARIANT_COLUMNS, Genotypes, Scratch, sex_of_codes
from regreveal.genetics.genotypes.bed import read_fam
from regreveal.genetics.genotypes.lines import LineTable
from regreveal.genetics.genotypes.pgen_header import DOSAGE, MULTIALLELIC, read_pgen_header

# Columns of a .pvar without header, by how many there are: those of a .bim.
HEADERLESS_PVAR = {
    5: ["CHROM", "ID", "POS", "ALT", "REF"],
    6: ["CHROM", "ID", "CM", "POS", "ALT", "REF"],
}
NAMES = {
    "chromosome": "CHROM",
    "position": "POS",
    "variant_id": "ID",
    "ref": "REF",
    "alt": "ALT",
}

# pgenlib's own limit.
MOST_ALLELES = 255


class PgenGenotypes(Genotypes):
    """A PLINK 2 .pgen file with its .pvar (or .pvar.zst) and .psam.

    Dosages where the file holds any, hard calls otherwise; in a file with dosages, a person without
    one has that of the hard call. Phase is not read.

    Parameters
    ----------
    path : path-like
        The .pgen file. The .pvar and .psam stand beside it under the same name; either may be
        without header line, and then has the columns of a .bim or .fam.

    Raises
    ------
    InputError
        A file is missing or malformed, sample ids repeat, or the .pgen is damaged or is not of as
        many variants and samples as the .pvar and .psam.
    """

    def __init__(self, path: str | os.PathLike):
        path = Path(path)
        header = read_pgen_header(path)
        psam = path.with_suffix(".psam")
        people = read_psam(psam)
        super().__init__(path, people["sample_id"], people["sex"])
        self.hard_calls = not (header.record_types & DOSAGE).any()
        pvar = path.with_suffix(".pvar")
        if not pvar.is_file() and pvar.with_suffix(".pvar.zst").is_file():
            pvar = pvar.with_suffix(".pvar.zst")
        self._pvar = LineTable(pvar, header=lambda line: line.startswith(b"#"))
        self._places_of_columns = _pvar_columns(self._pvar)
        if (header.variants, header.samples) != (self._pvar.count, len(self.samples)):
            raise InputError(
                f"{path.name}: {header.variants} variants of {header.samples} samples, but "
                f"{self._pvar.count} in {pvar.name} and {len(self.samples)} in {psam.name}; "
                "one of them belongs to another"
            )
        alleles = self._allele_counts()
        self._check_alleles(alleles, header.record_types)
        # Rows up to the end of each variant, needed only where there are not as many rows.
        several = (alleles > 2).any()
        self._row_ends = np.cumsum(alleles - 1, dtype=np.int64) if several else None
        self.variant_count = int(self._row_ends[-1]) if several else self._pvar.count
        self._reader = self._open(alleles if several else None)
        everyone = np.arange(len(self.samples))
        # Places asked for last; which ones pgenlib reads for them, in file order; their order then.
        self._subset = everyone, everyone, everyone
        self._in_file_order, self._of_allele = Scratch(), Scratch()

    @property
    def paths(self) -> list[Path]:
        """The .pgen, .pvar and .psam."""
        return [self.path, self._pvar.path, self.path.with_suffix(".psam")]

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:
        """Parse lines of the .pvar, each alternate allele a row, as the base class says."""
        if self._row_ends is None or start >= stop:
            return self._lines(start, stop)
        (first, last), _ = self._variants_of(np.array([start, stop - 1]))
        lines = self._lines(first, last + 1)
        table = lines.assign(alt=lines["alt"].str.split(",")).explode("alt")
        if table["alt"].eq("").any():
            line = int(table.index[table["alt"].eq("").argmax()])
            raise InputError(f"{self._pvar.path.name}: variant {line + 1} has an empty allele")
        skipped = start - int(self._row_ends[first - 1] if first else 0)
        table = table.iloc[skipped : skipped + stop - start]
        return table.set_axis(pd.RangeIndex(start, stop))

    def _lines(self, start: int, stop: int) -> pd.DataFrame:
        return self._pvar.columns(start, stop, self._places_of_columns, numbers=("position",))

    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        if not len(places):
            # pgenlib refuses to read nobody.
            return
        chosen, order = self._choose(places)
        in_order = len(order) == len(chosen) and (order == np.arange(len(order))).all()
        shape = len(rows), len(chosen)
        dosages = out if in_order else self._in_file_order.array(shape, self.dtype)
        self._fill(rows, dosages)
        if not in_order:
            _compiled_pick()(dosages, order.astype(np.uint32), out)

    def _fill(self, rows: np.ndarray, dosages: np.ndarray) -> None:
        """Read the people that pgenlib is to read, in file order."""
        variants, alleles = self._variants_of(rows)
        read = self._reader.read_list if self.hard_calls else self._reader.read_dosages_list
        try:
            if (alleles == 1).all():
                read(variants.astype(np.uint32), dosages)
            else:
                for allele in np.unique(alleles):
                    here = np.flatnonzero(alleles == allele)
                    part = self._of_allele.array((len(here), dosages.shape[1]), self.dtype)
                    read(variants[here].astype(np.uint32), part, allele_idx=int(allele))
                    dosages[here] = part
        except RuntimeError as error:
            raise InputError(
                f"{self.path.name}: a record of variants {variants.min() + 1} to "
                f"{variants.max() + 1} is damaged ({error})"
            ) from None
        if self.hard_calls:
            np.maximum(dosages, -1, out=dosages)
        else:
            for row in dosages:
                row[row < 0] = np.nan

    def _choose(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Let pgenlib read the people at these places, and tell which they are and their order."""
        asked, chosen, order = self._subset
        if not np.array_equal(places, asked):
            chosen, order = np.unique(places, return_inverse=True)
            self._reader.change_sample_subset(chosen.astype(np.uint32))
            self._subset = places, chosen, order
        return chosen, order

    def _variants_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which variant a row is of, and which of its alleles (0 the reference) it counts."""
        if self._row_ends is None:
            return rows, np.ones(len(rows), dtype=np.int64)
        variants = np.searchsorted(self._row_ends, rows, side="right")
        before = np.where(variants, self._row_ends[variants - 1], 0)
        return variants, rows - before + 1

    def _allele_counts(self) -> np.ndarray:
        """Alleles of each variant, the reference with them, by the commas in the .pvar."""
        counts = np.full(self._pvar.count, 2, dtype=np.uint8)
        column = {"alt": self._places_of_columns["alt"]}
        for start, stop, text in self._pvar.pieces():
            if b"," not in text:
                continue
            alleles = self._pvar.columns(start, stop, column)["alt"].str.count(",").to_numpy() + 2
            if alleles.max() > MOST_ALLELES:
                raise InputError(
                    f"{self._pvar.path.name}: a variant has {alleles.max()} alleles; at most "
                    f"{MOST_ALLELES} are read"
                )
            counts[start:stop] = alleles
        return counts

    def _check_alleles(self, alleles: np.ndarray, record_types: np.ndarray) -> None:
        """Refuse records that are not of as many alleles as the .pvar says."""
        untold = np.flatnonzero((alleles == 2) & (record_types & MULTIALLELIC > 0))
        if len(untold):
            raise InputError(
                f"{self.path.name}: variant {untold[0] + 1} has several alternate alleles, but one "
                f"in {self._pvar.path.name}, which belongs to another"
            )
        unread = np.flatnonzero((alleles > 2) & (record_types & DOSAGE > 0))
        if len(unread):
            raise InputError(
                f"{self.path.name}: variant {unread[0] + 1} has dosages of several alternate "
                "alleles, which pgenlib does not read; split it with 'bcftools norm -m -any'"
            )

    def _open(self, alleles: np.ndarray | None):
        import pgenlib

        offsets = None
        if alleles is not None:
            offsets = np.concatenate([[0], np.cumsum(alleles, dtype=np.uintp)]).astype(np.uintp)
        try:
            return pgenlib.PgenReader(
                os.fsencode(self.path),
                raw_sample_ct=len(self.samples),
                variant_ct=self._pvar.count,
                allele_idx_offsets=offsets,
            )
        except RuntimeError as error:
            reason = str(error.args[0].decode() if isinstance(error.args[0], bytes) else error)
            raise InputError(
                f"{self.path.name}: cannot be opened ({' '.join(reason.split())})"
            ) from None


@cache
def _compiled_pick():
    """Compile the picking of people; numpy's `take` takes twice as long."""
    import numba

    @numba.njit(nogil=True)
    def pick(dosages, order, out):
        for variant in range(out.shape[0]):
            for sample in range(order.size):
                out[variant, sample] = dosages[variant, order[sample]]

    return pick


def read_psam(path: Path) -> pd.DataFrame:
    """Read ids and sex from a .psam.

    Parameters
    ----------
    path : Path
        With a header line that starts with #IID or #FID, or without, and then as a .fam.

    Returns
    -------
    DataFrame
        Columns sample_id (str), family_id (str) where the file has it, and sex (1 male, 2 female,
        0 unknown), in file order.

    Raises
    ------
    InputError
        The file is missing or malformed, or has no column IID.
    """
    people = LineTable(path, header=lambda line: line.startswith(b"#"))
    header = [line for line in people.header if line.startswith(("#IID", "#FID"))]
    if not header:
        return read_fam(path)
    columns = header[-1].lstrip("#").split()
    if "IID" not in columns:
        raise InputError(f"{path.name}: no column IID in its header line '{header[-1]}'")
    places = {"sample_id": columns.index("IID")}
    optional = {"family_id": "FID", "sex": "SEX"}
    places |= {name: columns.index(own) for name, own in optional.items() if own in columns}
    table = people.columns(0, people.count, places)
    sex = sex_of_codes(table["sex"]) if "sex" in table else np.zeros(len(table), dtype=np.int8)
    return table.assign(sex=sex)


def _pvar_columns(pvar: LineTable) -> dict[str, int]:
    """Places of the five columns that describe a variant."""
    header = [line for line in pvar.header if line.startswith("#CHROM")]
    if header:
        columns = header[-1].lstrip("#").split()
    else:
        width = pvar.width()
        columns = HEADERLESS_PVAR.get(width)
        if columns is None:
            raise InputError(
                f"{pvar.path.name}: no header line '#CHROM POS ID REF ALT', and without one "
                f"5 or 6 columns are expected, as in a .bim; found {width}"
            )
    missing = [name for name in NAMES.values() if name not in columns]
    if missing:
        raise InputError(
            f"{pvar.path.name}: no column {missing[0]} in its header line '{header[-1][:80]}'"
        )
    return {column: columns.index(NAMES[column]) for column in VARIANT_COLUMNS}
