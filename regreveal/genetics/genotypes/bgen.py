"""BGEN files, versions 1.2 and 1.3 (layout 2)."""

import os
import sqlite3
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import VARIANT_COLUMNS, Genotypes, sex_of_codes
from regreveal.genetics.genotypes.bgen_blocks import (
    COMPRESSIONS,
    DamagedError,
    alternate_dosages,
    find_variants,
    unpacked,
)

LAYOUT = 2
SAMPLES_INSIDE = 1 << 31

# Enough for identifiers and alleles of nearly every variant; others are read whole.
DESCRIPTION_BYTES = 256

# Variants a thread decodes at a time: long enough to outweigh handing them over.
CHUNK = 16
MAX_THREADS = 8

INDEX_COLUMNS = "chromosome, position, rsid, number_of_alleles, allele1, allele2"


class BgenGenotypes(Genotypes):
    """A BGEN file of layout 2: any number of bits, uncompressed, zlib or Zstandard.

    The *last* allele of a variant is its reference and each of the others an alternate allele, as
    REGENIE and `plink2 --export bgen-1.x` have it unless told `ref-first`. The format does not say
    which is which; with `ref_first` it is the first one, as in UK Biobank's imputed data.

    Participants are those of NAME.sample beside NAME.bgen (column ID_2, and sex where there is a
    column of that name) or, without one, those the file names itself. With NAME.bgen.bgi beside it
    the file need not be gone through on opening, and variants are described by the index alone.

    Phased and unphased calls of one or two chromosomes are read; ploidy 0 counts as missing.
    Chromosomes named 01 to 09 are 1 to 9. Where the rsid is empty, the variant id stands in.

    Parameters
    ----------
    path : path-like
        The .bgen file.
    ref_first : bool
        The first allele is the reference, not the last.

    Raises
    ------
    InputError
        The file is damaged, cut short or of layout 1, participants have no ids, or the .bgi or
        .sample belongs to another file.

    References
    ----------
    BGEN specification, www.chg.ox.ac.uk/~gav/bgen_format
    """

    hard_calls = False

    def __init__(self, path: str | os.PathLike, ref_first: bool = False):
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        self._ref_first = ref_first
        self._size = path.stat().st_size
        with path.open("rb") as file:
            self._header = _read_header(file, path.name, self._size)
            ids = _read_ids(file, path.name, self._header)
        sex = None
        sample = path.with_suffix(".sample")
        self._sample = sample if sample.is_file() else None
        if self._sample:
            ids, sex = read_sample(self._sample, self._header.samples)
        elif ids is None:
            raise InputError(
                f"{path.name}: holds no sample ids, and there is no {path.stem}.sample beside it; "
                "put the .sample file of this .bgen there"
            )
        super().__init__(path, ids, sex)
        index = path.with_name(path.name + ".bgi")
        self._index = index if index.is_file() else None
        self._offsets, alleles = self._from_index() if self._index else self._from_file()
        # Row after the last of each variant, needed only where there are not as many rows.
        self._row_ends = None if (alleles == 2).all() else np.cumsum(alleles - 1, dtype=np.int64)
        self.variant_count = len(alleles) if self._row_ends is None else int(self._row_ends[-1])

    @property
    def identity(self) -> list:
        """Which allele is the reference."""
        return ["ref_first" if self._ref_first else "ref_last"]

    @property
    def paths(self) -> list[Path]:
        """The .bgen, and the .sample and .bgi where there are any."""
        return [path for path in (self.path, self._sample, self._index) if path is not None]

    def __reduce__(self):
        """Travel to other processes as the path, and how to read it."""
        return BgenGenotypes, (self.path, self._ref_first)

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:  # noqa: D102
        if start >= stop:
            table = pd.DataFrame(columns=VARIANT_COLUMNS, dtype=object)
            return table.astype({"position": np.int64})
        places, _ = self._variants_of(np.array([start, stop - 1]))
        first, last = int(places[0]), int(places[1])
        described = self._described_by_index(first, last) if self._index else None
        if described is None:
            with self.path.open("rb", buffering=0) as file:
                described = [self._describe(file, v) for v in range(first, last + 1)]
        rows = [
            (chromosome, position, name, alleles[0 if self._ref_first else -1], alternate)
            for chromosome, position, name, alleles in described
            for alternate in (alleles[1:] if self._ref_first else alleles[:-1])
        ]
        skipped = start - self._first_row(first)
        table = pd.DataFrame(rows[skipped : skipped + stop - start], columns=VARIANT_COLUMNS)
        table["chromosome"] = table["chromosome"].map(_without_zeros)
        table.index = pd.RangeIndex(start, stop)
        return table

    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        variants, alleles = self._variants_of(rows)
        # Rows of the same variant stand together and are unpacked once.
        breaks = np.flatnonzero(np.diff(variants)) + 1
        runs = list(zip([0, *breaks], [*breaks, len(rows)], strict=True))
        with self.path.open("rb", buffering=0) as file:

            def decode(chunk):
                for first, last in chunk:
                    variant = int(variants[first])
                    try:
                        block = self._block(file, variant)
                        for row in range(first, last):
                            allele = int(alleles[row]) + self._ref_first
                            alternate_dosages(block, allele, places, out[row])
                    except DamagedError as error:
                        raise InputError(self._message(variant, error)) from None

            chunks = [runs[i : i + CHUNK] for i in range(0, len(runs), CHUNK)]
            with ThreadPoolExecutor(min(len(chunks), MAX_THREADS, available_cores())) as pool:
                list(pool.map(decode, chunks))

    def _from_file(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets of all variants and their end, and numbers of alleles, by walking the file."""
        try:
            return find_variants(self.path, self._header.start, self._header.variants)
        except DamagedError as error:
            raise InputError(f"{self.path.name}: {error}") from None

    def _from_index(self) -> tuple[np.ndarray, np.ndarray]:
        """Do the same by the .bgi, which must describe this very file."""
        origin = "SELECT file_size, first_1000_bytes FROM Metadata"
        query = (
            "SELECT file_start_position, size_in_bytes, number_of_alleles FROM Variant "
            "ORDER BY file_start_position"
        )
        try:
            connection = self._connection()
            # A view may compute rows without end.
            listed = dict(connection.execute("SELECT name, type FROM sqlite_master"))
            if {listed.get("Metadata"), listed.get("Variant")} != {"table"}:
                raise self._index_error("is not one that bgenix makes")
            described = connection.execute(origin).fetchone()
            rows = np.fromiter(
                connection.execute(query),
                dtype=[("start", np.int64), ("size", np.int64), ("alleles", np.uint16)],
            )
        except InputError:
            raise
        except (sqlite3.Error, TypeError, OverflowError, ValueError) as error:
            raise self._index_error(f"cannot be read ({error})") from None
        with self.path.open("rb") as file:
            beginning = file.read(1000)
        if described != (self._size, beginning):
            raise self._index_error("was made for another file")
        offsets = np.append(rows["start"], self._size)
        if len(rows) != self._header.variants:
            raise self._index_error(
                f"lists {len(rows)} variants, the .bgen holds {self._header.variants}"
            )
        if offsets[0] != self._header.start or (np.diff(offsets) != rows["size"]).any():
            raise self._index_error("places variants where the .bgen has none")
        return offsets, rows["alleles"]

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._index.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

    def _index_error(self, problem: str) -> InputError:
        return InputError(
            f"{self._index.name}: the index {problem}; remove it or make it anew ('bgenix -index')"
        )

    def _variants_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place of each row's variant in the file, and which of its alleles the row counts."""
        if self._row_ends is None:
            return rows, np.zeros(len(rows), dtype=np.int64)
        variants = np.searchsorted(self._row_ends, rows, side="right")
        return variants, rows - np.append(0, self._row_ends)[variants]

    def _first_row(self, variant: int) -> int:
        if self._row_ends is None or not variant:
            return variant
        return int(self._row_ends[variant - 1])

    def _alleles(self, variant: int) -> int:
        return self._first_row(variant + 1) - self._first_row(variant) + 1

    def _described_by_index(self, first: int, last: int) -> list[tuple] | None:
        """Describe variants from the .bgi, or not where it says too little.

        Its rows are in order of place on the genome, so a range of them is found quickly only
        within a chromosome; of more than two alleles it names two.
        """
        start, stop = int(self._offsets[first]), int(self._offsets[last + 1])
        where, values = "file_start_position >= ? AND file_start_position < ?", (start, stop)
        if last - first < len(self._offsets) // 8:
            with self.path.open("rb", buffering=0) as file:
                (chromosome, begin, *_), (_, end, *_) = (
                    self._describe(file, variant) for variant in (first, last)
                )
            where = f"chromosome = ? AND position BETWEEN ? AND ? AND {where}"
            values = (chromosome, begin, end, start, stop)
        query = f"SELECT {INDEX_COLUMNS} FROM Variant WHERE {where} ORDER BY file_start_position"
        try:
            found = self._connection().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._index_error(f"cannot be read ({error})") from None
        if len(found) != last + 1 - first or any(not row[2] or row[3] != 2 for row in found):
            return None
        return [
            (chromosome, position, rsid, alleles)
            for chromosome, position, rsid, _, *alleles in found
        ]

    def _describe(self, file: BinaryIO, variant: int) -> tuple[str, int, str, list[str]]:
        """Chromosome, position, id and alleles, read from the variant itself."""
        start, stop = int(self._offsets[variant]), int(self._offsets[variant + 1])
        try:
            try:
                described, _ = _description(
                    os.pread(file.fileno(), min(stop - start, DESCRIPTION_BYTES), start)
                )
            except struct.error:
                described, _ = _description(os.pread(file.fileno(), stop - start, start))
            variant_id, rsid, chromosome = (text.decode() for text in described.texts)
            alleles = [allele.decode() for allele in described.alleles]
        except (struct.error, UnicodeDecodeError):
            raise InputError(self._message(variant, "its description is damaged")) from None
        if len(alleles) != self._alleles(variant):
            raise InputError(self._message(variant, "its number of alleles is not as indexed"))
        return chromosome, described.position, rsid or variant_id, alleles

    def _block(self, file: BinaryIO, variant: int):
        """Genotype data of a variant, unpacked."""
        start, stop = int(self._offsets[variant]), int(self._offsets[variant + 1])
        data = os.pread(file.fileno(), stop - start, start)
        try:
            described, end = _description(data)
            (size,) = struct.unpack_from("<I", data, end)
        except struct.error:
            raise DamagedError("its description is damaged") from None
        if end + 4 + size != len(data) or len(described.alleles) != self._alleles(variant):
            raise DamagedError("its size is not that of its place in the file")
        return unpacked(
            memoryview(data)[end + 4 :],
            self._header.compression,
            self._header.samples,
            len(described.alleles),
        )

    def _message(self, variant: int, problem: object) -> str:
        return f"{self.path.name}: variant {variant + 1} of the file: {problem}"


class _Header(NamedTuple):
    start: int
    variants: int
    samples: int
    compression: str
    ids_at: int | None


class _Description(NamedTuple):
    texts: list[bytes]
    position: int
    alleles: list[bytes]


def read_sample(path: str | os.PathLike, count: int) -> tuple[list[str], np.ndarray | None]:
    """Read an Oxford .sample file: a line of names, a line of types, a line a participant.

    Parameters
    ----------
    path : path-like
    count : int
        Participants of the genotypes that it belongs to.

    Returns
    -------
    ids : list of str
        Column ID_2 where there is one, as PLINK 2 writes individual ids; else the first.
    sex : ndarray of int8, shape (count,), or None
        1 male, 2 female, 0 unknown; None without a column "sex".

    Raises
    ------
    InputError
        Not such a file, or of another number of participants.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, sep=r"\s+", dtype=str, keep_default_na=False, quoting=3)
    except (ValueError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path.name}: not a .sample file ({reason})") from None
    if not len(table) or table.iloc[0, 0] != "0" or table.isna().any(axis=None):
        raise InputError(
            f"{path.name}: not a .sample file; expected a line of column names, a line of types "
            "that starts with 0, and as many columns in every line"
        )
    table = table.iloc[1:]
    if len(table) != count:
        raise InputError(
            f"{path.name}: {len(table)} participants, but the .bgen beside it has {count}"
        )
    names = {name.lower(): name for name in table.columns}
    sex = sex_of_codes(table[names["sex"]]) if "sex" in names else None
    return table[names.get("id_2", table.columns[0])].tolist(), sex


def _read_header(file: BinaryIO, name: str, size: int) -> _Header:
    beginning = file.read(20)
    if len(beginning) < 20 or beginning[16:] not in (b"bgen", b"\0\0\0\0"):
        raise InputError(f"{name}: not a BGEN file, or cut short within its header")
    offset, length, variants, samples = struct.unpack("<IIII", beginning[:16])
    if not 20 <= length <= offset <= size - 4:
        raise InputError(f"{name}: the header is damaged, or the file is cut short within it")
    file.seek(length)
    (flags,) = struct.unpack("<I", file.read(4))
    layout, compression = flags >> 2 & 15, flags & 3
    if layout != LAYOUT:
        raise InputError(
            f"{name}: BGEN layout {layout}; only layout 2 (versions 1.2 and 1.3) is read, "
            "so convert it with 'plink2 --export bgen-1.2' or qctool"
        )
    if compression >= len(COMPRESSIONS):
        raise InputError(f"{name}: compression {compression} is none that BGEN knows")
    if not variants:
        raise InputError(f"{name}: holds no variants")
    ids_at = length + 4 if flags & SAMPLES_INSIDE else None
    return _Header(offset + 4, variants, samples, COMPRESSIONS[compression], ids_at)


def _read_ids(file: BinaryIO, name: str, header: _Header) -> list[str] | None:
    if header.ids_at is None:
        return None
    file.seek(header.ids_at)
    block = file.read(header.start - header.ids_at)
    ids, at = [], 8
    try:
        _, count = struct.unpack_from("<II", block)
        if count != header.samples:
            raise InputError(f"{name}: names {count} samples, but its header says {header.samples}")
        for _ in range(count):
            (length,) = struct.unpack_from("<H", block, at)
            ids.append(block[at + 2 : at + 2 + length].decode())
            at += 2 + length
        if at > len(block):
            raise struct.error
    except (struct.error, UnicodeDecodeError):
        raise InputError(f"{name}: the sample ids are damaged") from None
    return ids


def _description(data: bytes) -> tuple[_Description, int]:
    """Read what stands before a variant's genotypes, and where they begin; struct.error if cut."""
    texts, alleles, at = [], [], 0
    for _ in range(3):
        (length,) = struct.unpack_from("<H", data, at)
        texts.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    position, count = struct.unpack_from("<IH", data, at)
    at += 6
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, at)
        alleles.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at > len(data):
        raise struct.error
    return _Description(texts, position, alleles), at


def _without_zeros(chromosome: str) -> str:
    return str(int(chromosome)) if chromosome.isdecimal() else chromosome
