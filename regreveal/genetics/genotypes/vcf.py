"""VCF and BCF files, with called genotypes (GT) or imputed dosages (DS)."""

import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes
from regreveal.progress import track

# Alternates that stand for no allele of the site: "deleted here by another variant", and "any".
PLACEHOLDERS = frozenset({"*", "<*>", "<NON_REF>"})

GZIP_MAGIC = b"\x1f\x8b"
BGZF_SUBFIELD = slice(12, 14), b"BC"
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

FORMAT_FIELD = 2
MAX_THREADS = 4

# Sites held as Python objects before they are packed.
PACKED_SITES = 1 << 16

# Records that are rather read and dropped than jumped over, which starts a new compressed block.
NEAR = 100

# Imputation programs print three or four decimals; more beyond the bounds is damage.
DOSAGE_TOLERANCE = 1e-3

# What `_compiled_count` finds wrong with a record.
NO_SUCH_ALLELE = 1
TOO_MANY_COPIES = 2


class VcfGenotypes(Genotypes):
    """A VCF, bgzipped VCF or BCF file.

    Where the header declares DS, dosages are float32: a sample's DS if it has one, otherwise from
    its GT. In other files they are the calls, int8. A call with a missing allele (./1) is missing;
    phase does not matter. A haploid call counts 0 or 2, and its DS, which then goes to 1, is
    doubled.

    Every alternate allele has a row, except `*`, `<*>` and `<NON_REF>`, which stand for none;
    records without an alternate have no row. `left_out` counts both.

    Opening goes through the file once for its sites, which stay in memory packed (under 100 bytes
    a row). Blocks are then read in order; to go back, or on by far, needs a .tbi or .csi index, and
    without one goes through all genotypes in between.

    Parameters
    ----------
    path : path-like
        The .vcf, .vcf.gz, .vcf.bgz or .bcf file, an index beside it if there is one.

    Raises
    ------
    InputError
        The file is damaged, cut short, compressed by plain gzip, without samples, or has neither
        GT nor DS.
    """

    def __init__(self, path: str | os.PathLike):
        path = Path(path)
        _check_whole(path)
        header = _open(path)
        try:
            samples = header.samples
        except UnicodeDecodeError:
            raise InputError(f"{path.name}: its sample ids are not UTF-8 text") from None
        super().__init__(path, samples)
        has_calls, has_dosages = (_declares(header, name, path) for name in ("GT", "DS"))
        if not has_calls and not has_dosages:
            raise InputError(
                f"{path.name}: its header declares neither GT nor DS; genotypes are read from these"
            )
        self.hard_calls = not has_dosages
        indexes = [path.with_name(path.name + end) for end in (".tbi", ".csi")]
        self._indexes = [index for index in indexes if index.is_file()]
        self._sites, self.left_out = _read_sites(path)
        self.variant_count = len(self._sites.position)
        self._start_over()

    @property
    def paths(self) -> list[Path]:
        """The file, and its indexes."""
        return [self.path, *self._indexes]

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:  # noqa: D102
        sites = self._sites
        texts = sites.texts.slice(start, stop - start)
        return pd.DataFrame(
            {
                "chromosome": sites.names[sites.chromosome[start:stop]],
                "position": sites.position[start:stop].astype(np.int64),
                **{name: _as_objects(texts[name]) for name in ("variant_id", "ref", "alt")},
            },
            index=pd.RangeIndex(start, stop),
        )

    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        order = np.argsort(rows, kind="stable")
        previous, values = -1, None
        for row in order:
            if previous >= 0 and rows[row] == rows[previous]:
                out[row] = out[previous]
                continue
            record = int(self._sites.record[rows[row]])
            if previous < 0 or record != self._sites.record[rows[previous]]:
                values = self._values(self._record(record), int(rows[row]))
            out[row] = self._row_dosages(values, int(rows[row]), places)
            previous = row

    def _start_over(self) -> None:
        """Stand before the first record."""
        self._vcf = _open(self.path)
        _declare_contigs(self._vcf, self._sites.names, self.path)
        self._records = iter(self._vcf)
        self._next, self._from, self._within = 0, -1, None

    def _record(self, number: int):
        """Read the record of that number among those with rows, from wherever the reader stands."""
        row = int(np.searchsorted(self._sites.record, number))
        chromosome = int(self._sites.chromosome[row])
        elsewhere = self._within is not None and self._within != chromosome
        far = number - self._next > NEAR
        if self._indexes and (number < self._next or far or elsewhere):
            self._jump(row)
        elif number < self._next:
            self._start_over()
        while True:
            record = _next(self._records, self.path, self._next)
            if record is None:
                raise InputError(
                    f"{self.path.name}: its {number + 1}th site is not where it was before; the "
                    "file has changed or its index belongs to another"
                )
            if self._from > record.POS or not _alternates(record)[0]:
                continue
            self._next += 1
            if self._next > number:
                return record

    def _jump(self, row: int) -> None:
        """Stand before the first record at the row's position, by the index."""
        sites = self._sites
        chromosome, position = sites.chromosome[row], sites.position[row]
        while row and (sites.chromosome[row - 1], sites.position[row - 1]) == (
            chromosome,
            position,
        ):
            row -= 1
        # Braces let a name hold a colon. Deletions that begin earlier overlap the region, too.
        region = f"{{{sites.names[chromosome]}}}:{max(int(position), 1)}"
        self._records = self._vcf(region)
        self._next, self._from, self._within = int(sites.record[row]), position, int(chromosome)

    def _values(self, record, row: int) -> tuple[np.ndarray | None, np.ndarray | None, int]:
        """Take calls, dosages and number of alternates of a record, which must be the row's."""
        alternates = record.ALT
        ref, alt = (self._sites.texts[name][row].as_py() for name in ("ref", "alt"))
        found = f"{record.CHROM}:{record.POS} {record.REF}"
        expected = f"{self._where(row)} {ref}"
        if found != expected or alt not in alternates:
            raise InputError(
                f"{self.path.name}: {found} stands where {expected} was before; "
                "the file has changed or its index belongs to another"
            )
        fields = record.FORMAT
        if not fields:
            raise self._error(row, "no genotypes in its line; the file is damaged")
        calls = record.genotype.array() if "GT" in fields else None
        values = record.format("DS") if "DS" in fields and not self.hard_calls else None
        if values is not None and values.shape[1] != len(alternates):
            raise self._error(
                row, f"{values.shape[1]} DS values for {len(alternates)} alternate alleles"
            )
        return calls, values, len(alternates)

    def _row_dosages(self, values: tuple, row: int, places: np.ndarray) -> np.ndarray:
        calls, imputed, alternates = values
        allele = int(self._sites.allele[row])
        counts = np.full(len(places), -1, dtype=np.int8)
        haploid = np.zeros(len(places), dtype=bool)
        if calls is not None:
            wrong = _compiled_count()(calls, places, allele, alternates, counts, haploid)
            if wrong == NO_SUCH_ALLELE:
                raise self._error(
                    row, f"a GT names an allele beyond the {alternates + 1} there are"
                )
            if wrong == TOO_MANY_COPIES:
                raise self._error(row, "a GT has more than two alleles; only 1 and 2 can be read")
        if self.hard_calls:
            return counts
        dosages = np.where(counts < 0, np.float32(np.nan), counts.astype(np.float32))
        if imputed is not None:
            imputed = imputed[places, allele - 1].astype(np.float32, copy=False)
            most = np.where(haploid, np.float32(1), np.float32(2))
            given = ~np.isnan(imputed)
            outside = given & ~(np.abs(imputed - most / 2) <= most / 2 + DOSAGE_TOLERANCE)
            if outside.any():
                first = int(outside.argmax())
                raise self._error(
                    row,
                    f"a DS of {imputed[first]:g}, expected 0 to {most[first]:g} "
                    f"for a {'haploid' if haploid[first] else 'diploid'} call",
                )
            dosages[given] = (np.clip(imputed, 0, most) * (2 / most))[given]
        return dosages

    def _error(self, row: int, problem: str) -> InputError:
        return InputError(f"{self.path.name}: {self._where(row)}: {problem}")

    def _where(self, row: int) -> str:
        sites = self._sites
        return f"{sites.names[sites.chromosome[row]]}:{sites.position[row]}"


class _Sites(NamedTuple):
    """What is known of each row without reading genotypes."""

    names: np.ndarray
    chromosome: np.ndarray
    position: np.ndarray
    texts: object
    record: np.ndarray
    allele: np.ndarray


def _check_whole(path: Path) -> None:
    """Refuse what htslib would read to a premature end without an error."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        beginning = file.read(18)
        file.seek(max(path.stat().st_size - len(BGZF_END), 0))
        end = file.read()
    if beginning.startswith(GZIP_MAGIC):
        where, subfield = BGZF_SUBFIELD
        if beginning[where] != subfield:
            raise InputError(
                f"{path.name}: compressed by plain gzip; unpack it and compress it with 'bgzip'"
            )
        if end != BGZF_END:
            raise InputError(
                f"{path.name}: cut short (its last block, which marks the end, is missing)"
            )
    elif beginning.startswith(b"##") and not end.endswith(b"\n"):
        raise InputError(f"{path.name}: cut short (its last line does not end)")


def _open(path: Path, samples: list[str] | None = None):
    """Open by cyvcf2, with decompression in threads of its own."""
    import cyvcf2

    # htslib would print what is raised here as one line.
    ctypes.CDLL(cyvcf2.cyvcf2.__file__).hts_set_log_level(0)
    threads = min(available_cores(), MAX_THREADS)
    try:
        return cyvcf2.VCF(str(path), samples=samples, threads=threads)
    # cyvcf2 raises bare exceptions.
    except Exception as error:
        raise InputError(
            f"{path.name}: not a VCF or BCF file, or its header is damaged, lacks the #CHROM line "
            f"or names a sample twice ({_first_line(error)})"
        ) from None


def _declares(vcf, name: str, path: Path) -> bool:
    try:
        kind = vcf.get_header_type(name, order=[FORMAT_FIELD])["Type"]
    except KeyError:
        return False
    expected = {"GT": ("String",), "DS": ("Float", "Integer")}[name]
    if kind not in expected:
        raise InputError(
            f"{path.name}: its header declares {name} of type {kind}, expected {expected[0]}"
        )
    return True


def _declare_contigs(vcf, names: np.ndarray, path: Path) -> None:
    """Add contigs that the header lacks.

    htslib would do so at the first record of each, and cyvcf2 then passes that record on whatever
    else is wrong with it.
    """
    for name in names:
        try:
            vcf.add_to_header(f"##contig=<ID={name}>")
        # cyvcf2 raises bare exceptions.
        except Exception:
            raise InputError(f"{path.name}: '{name}' cannot be a chromosome's name") from None


def _next(records: Iterator, path: Path, done: int):
    """Take the next record, None at the end; `done` sites with variants came before."""
    try:
        return next(records, None)
    # cyvcf2 raises bare exceptions for whatever htslib cannot parse.
    except Exception as error:
        raise InputError(
            f"{path.name}: the record after {done} sites with variants cannot be read "
            f"({_first_line(error)}); the file or its index is damaged"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _alternates(record) -> tuple[list[int], int]:
    """Find the alternate alleles that get a row, by number from 1, and count the others."""
    alternates = record.ALT
    kept = [place for place, text in enumerate(alternates, 1) if text not in PLACEHOLDERS]
    return kept, len(alternates) - len(kept)


def _read_sites(path: Path) -> tuple[_Sites, dict[str, int]]:
    """Go through all records without their genotypes."""
    left_out = {"no_alternate": 0, "placeholder_alternate": 0}
    chromosomes, parts, rows, count = {}, [], [], 0
    records = iter(lambda: _next(vcf, path, count), None)
    vcf = _open(path, samples=[])
    for record in track(records, f"Listing the variants of {path.name}"):
        try:
            kept, placeholders = _alternates(record)
            # Without a reference allele: what became of a broken line; to ask for it would crash.
            if record.end == record.start:
                raise InputError(
                    f"{path.name}: the record after {count} sites with variants has no alleles; "
                    "the file is damaged"
                )
            chromosome, position, alternates = record.CHROM, record.POS, record.ALT
            texts = record.ID or ".", record.REF
        except UnicodeDecodeError:
            raise InputError(
                f"{path.name}: the record after {count} sites with variants is not UTF-8 text; "
                "the file is damaged"
            ) from None
        left_out["placeholder_alternate"] += placeholders
        if not kept:
            left_out["no_alternate"] += not placeholders
            continue
        place = chromosomes.setdefault(chromosome, len(chromosomes))
        rows.extend(
            (place, position, count, allele, *texts, alternates[allele - 1]) for allele in kept
        )
        count += 1
        if len(rows) >= PACKED_SITES:
            parts.append(_packed(rows))
            rows = []
    if not count:
        raise InputError(f"{path.name}: holds no variants with an alternate allele")
    if rows:
        parts.append(_packed(rows))
    import pyarrow as pa

    *numbers, texts = zip(*parts, strict=True)
    chromosome, position, record, allele = (np.concatenate(part) for part in numbers)
    names = np.array(list(chromosomes), dtype=object)
    return _Sites(names, chromosome, position, pa.concat_tables(texts), record, allele), left_out


def _packed(rows: list[tuple]) -> tuple:
    """Turn rows of Python objects into arrays, and a table of the three texts."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True))
    types = (np.int32, np.int32, np.int32, np.uint16)
    numbers = [np.array(c, dtype=kind) for c, kind in zip(columns[:4], types, strict=True)]
    names = ("variant_id", "ref", "alt")
    texts = {name: pa.array(c, pa.string()) for name, c in zip(names, columns[4:], strict=True)}
    return *numbers, pa.table(texts)


def _as_objects(column) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


@cache
def _compiled_count():
    """Compile the counting loop; numba is imported only where genotypes are read."""
    import numba

    @numba.njit(nogil=True)
    def count(calls, places, allele, alternates, counts, haploid):
        # cyvcf2: allele numbers, -1 missing, -2 where a call is shorter; then a column of phase.
        for i in range(places.size):
            copies = 0
            found = 0
            missing = False
            for j in range(calls.shape[1] - 1):
                called = calls[places[i], j]
                if called == -2:
                    break
                if called < -2 or called > alternates:
                    return NO_SUCH_ALLELE
                copies += 1
                missing |= called == -1
                found += called == allele
            if copies > 2:
                return TOO_MANY_COPIES
            haploid[i] = copies == 1 and not missing
            if missing or copies == 0:
                counts[i] = -1
            else:
                counts[i] = found * (2 // copies)
        return 0

    return count
