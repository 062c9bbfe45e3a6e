"""Genotype files as one stream of variant blocks, oriented to the alternate allele.

Every reader gives the same three things: `samples`, `variants` and `blocks`. What differs between
formats stays inside its class.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError

VARIANT_COLUMNS = ["chromosome", "position", "variant_id", "ref", "alt"]

BED_MAGIC = b"\x6c\x1b\x01"
BED_SAMPLE_MAJOR = b"\x6c\x1b\x00"

# Two bits a genotype: homozygous for .bim column 5, missing, heterozygous, homozygous for column 6.
ALT_DOSAGE_OF_BED_CODE = np.array([2, -1, 1, 0], dtype=np.int8)


class BedGenotypes:
    """A PLINK 1 .bed file with its .bim and .fam.

    The alternate allele is column 5 of the .bim (PLINK's A1) and the reference allele column 6,
    as PLINK 2 reads such files; which of the two is the rarer does not matter.

    Parameters
    ----------
    path : path-like
        The .bed file. The .bim and .fam stand beside it under the same name.

    Attributes
    ----------
    samples : list of str
        Individual ids (.fam column 2), in file order.
    variants : DataFrame
        Columns chromosome (str), position (int), variant_id, ref, alt, in file order.

    Raises
    ------
    InputError
        A file is missing or malformed, sample ids repeat, or the .bed has not the size that the
        .bim and .fam imply.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.samples = _read_fam(self.path.with_suffix(".fam"))
        self.variants = _read_bim(self.path.with_suffix(".bim"))
        self._bytes_per_variant = (len(self.samples) + 3) // 4
        self._check_bed()

    def blocks(
        self,
        samples: Sequence[str] | None = None,
        size: int = 1024,
        variants: np.ndarray | None = None,
    ) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield consecutive blocks of variants with the dosages of their alternate alleles.

        Parameters
        ----------
        samples : sequence of str, optional
            Whose genotypes, in this order; everyone in file order without it.
        size : int
            Variants a block.
        variants : ndarray of int, optional
            Row numbers of `self.variants` to read, in this order; all of them without it.

        Yields
        ------
        variants : DataFrame
            The block's rows of `self.variants`.
        dosages : ndarray of int8, shape (variants, samples)
            0, 1 or 2 copies of `alt`; -1 where missing.

        Raises
        ------
        InputError
            A sample id is not in the file.
        """
        byte, shift = self._places(samples)
        rows = np.arange(len(self.variants)) if variants is None else np.asarray(variants)
        unpack = _compiled_unpack()
        with self.path.open("rb") as bed:
            packed = np.memmap(bed, np.uint8, "r", len(BED_MAGIC), self._packed_shape())
            for start in range(0, len(rows), size):
                block = rows[start : start + size]
                dosages = np.empty((len(block), len(byte)), dtype=np.int8)
                unpack(packed[block], byte, shift, ALT_DOSAGE_OF_BED_CODE, dosages)
                yield self.variants.iloc[block], dosages

    def dosages(self, variants: np.ndarray, samples: Sequence[str] | None = None) -> np.ndarray:
        """Dosages of a few variants at once: `blocks` with a single block.

        Parameters
        ----------
        variants : ndarray of int
            Row numbers of `self.variants`.
        samples : sequence of str, optional
            Whose genotypes, in this order.

        Returns
        -------
        ndarray of int8, shape (variants, samples)
        """
        blocks = list(self.blocks(samples, max(len(variants), 1), np.asarray(variants, dtype=int)))
        if not blocks:
            count = len(self.samples) if samples is None else len(samples)
            return np.empty((0, count), dtype=np.int8)
        return blocks[0][1]

    def _packed_shape(self) -> tuple[int, int]:
        return len(self.variants), self._bytes_per_variant

    def _places(self, samples: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
        """Byte, and bits to shift within it, of each sample's genotype."""
        if samples is None:
            index = np.arange(len(self.samples))
        else:
            index = pd.Index(self.samples).get_indexer(list(samples))
            unknown = [s for s, found in zip(samples, index, strict=True) if found < 0]
            if unknown:
                raise InputError(
                    f"{self.path.name}: {len(unknown)} sample ids are not in the .fam "
                    f"(first: '{unknown[0]}'); ask only for ids that the file holds"
                )
        return index >> 2, (2 * (index & 3)).astype(np.uint8)

    def _check_bed(self) -> None:
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file")
        with self.path.open("rb") as bed:
            magic = bed.read(len(BED_MAGIC))
        if magic == BED_SAMPLE_MAJOR:
            raise InputError(
                f"{self.path.name}: a sample-major .bed; rewrite it with 'plink2 --make-bed'"
            )
        if magic != BED_MAGIC:
            raise InputError(
                f"{self.path.name}: not a PLINK 1 .bed (starts with bytes {magic.hex(' ')}, "
                f"expected {BED_MAGIC.hex(' ')})"
            )
        variants, width = self._packed_shape()
        expected = len(BED_MAGIC) + variants * width
        found = self.path.stat().st_size
        if found != expected:
            raise InputError(
                f"{self.path.name}: {found} bytes, but {variants} variants (.bim) of "
                f"{len(self.samples)} samples (.fam) take {expected}; the file is cut short or "
                "the .bim or .fam belongs to another"
            )


READERS = {".bed": BedGenotypes}


def open_genotypes(path: str | os.PathLike) -> BedGenotypes:
    """Open a genotype file, the reader chosen by its suffix.

    Parameters
    ----------
    path : path-like
        A PLINK 1 .bed file, with .bim and .fam beside it.

    Returns
    -------
    BedGenotypes
        With `samples`, `variants`, `blocks(samples, size)` and `dosages(variants, samples)`.

    Raises
    ------
    InputError
        The suffix is of no supported format, or the file is unusable.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path.name}: genotypes are read from {', '.join(sorted(READERS))} files, "
            f"not '{path.suffix}'; convert with 'plink2 --make-bed'"
        )
    return reader(path)


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


def _read_fam(path: Path) -> list[str]:
    table = _read_columns(path, 6, {1: "sample_id"})
    repeated = table.loc[table["sample_id"].duplicated(), "sample_id"]
    if len(repeated):
        raise InputError(
            f"{path.name}: individual id '{repeated.iloc[0]}' stands there more than once; "
            "ids (column 2) must be unique"
        )
    return table["sample_id"].tolist()


def _read_bim(path: Path) -> pd.DataFrame:
    names = {0: "chromosome", 1: "variant_id", 3: "position", 4: "alt", 5: "ref"}
    table = _read_columns(path, 6, names)
    position = pd.to_numeric(table["position"], errors="coerce")
    wrong = np.flatnonzero(position.isna() | (position % 1 != 0))
    if len(wrong):
        raise InputError(
            f"{path.name}: line {wrong[0] + 1}: position '{table['position'].iloc[wrong[0]]}' "
            "is not a whole number"
        )
    table["position"] = position.astype(np.int64)
    return table[VARIANT_COLUMNS]


def _read_columns(path: Path, width: int, names: dict[int, str]) -> pd.DataFrame:
    """Read a headerless table of `width` columns, keeping those named, as text."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; a .bed needs its .bim and .fam beside it")
    try:
        table = pd.read_csv(
            path, sep=r"\s+", header=None, dtype=str, keep_default_na=False, quoting=3
        )
    except pd.errors.EmptyDataError:
        raise InputError(f"{path.name}: the file is empty") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not a table of {width} columns: {error}") from None
    if table.shape[1] < width or table.iloc[:, :width].eq("").any(axis=None):
        raise InputError(f"{path.name}: expected {width} columns in every line")
    return table[list(names)].rename(columns=names)


@cache
def _compiled_unpack():
    """Compile the unpacking loop; numba is imported only where genotypes are read."""
    import numba

    @numba.njit(nogil=True)
    def unpack(packed, byte, shift, dosage_of_code, out):
        for variant in range(packed.shape[0]):
            for sample in range(byte.size):
                code = (packed[variant, byte[sample]] >> shift[sample]) & 3
                out[variant, sample] = dosage_of_code[code]

    return unpack
