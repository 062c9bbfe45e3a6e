"""PLINK 1 .bed files."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import Genotypes, Scratch, sex_of_codes
from regreveal.genetics.genotypes.lines import LineTable

BED_MAGIC = b"\x6c\x1b\x01"
BED_SAMPLE_MAJOR = b"\x6c\x1b\x00"

# Two bits a genotype: homozygous for .bim column 5, missing, heterozygous, homozygous for column 6.
ALT_DOSAGE_OF_BED_CODE = np.array([2, -1, 1, 0], dtype=np.int8)

# The four dosages of every possible byte; the lowest bits are the first sample's.
ALT_DOSAGES_OF_BYTE = ALT_DOSAGE_OF_BED_CODE[np.arange(256)[:, None] >> np.array([0, 2, 4, 6]) & 3]

BIM_COLUMNS = {"chromosome": 0, "position": 3, "variant_id": 1, "ref": 5, "alt": 4}


class BedGenotypes(Genotypes):
    """A PLINK 1 .bed file with its .bim and .fam.

    The alternate allele is column 5 of the .bim (PLINK's A1) and the reference allele column 6,
    as PLINK 2 reads such files; which of the two is the rarer does not matter.

    Parameters
    ----------
    path : path-like
        The .bed file. The .bim and .fam stand beside it under the same name.

    Raises
    ------
    InputError
        A file is missing or malformed, sample ids repeat, or the .bed has not the size that the
        .bim and .fam imply.
    """

    hard_calls = True

    def __init__(self, path: str | os.PathLike):
        fam = read_fam(Path(path).with_suffix(".fam"))
        super().__init__(path, fam["sample_id"], fam["sex"])
        self._bim = LineTable(self.path.with_suffix(".bim"))
        self.variant_count = self._bim.count
        self._bytes_per_variant = (len(self.samples) + 3) // 4
        self._scratch = Scratch()
        # The first line tells whether this is a .bim at all; others are parsed as they are needed.
        self.variant_rows(0, 1)
        self._check_bed()

    @property
    def paths(self) -> list[Path]:
        """The .bed, .bim and .fam."""
        return [self.path, self._bim.path, self.path.with_suffix(".fam")]

    def variant_rows(self, start: int, stop: int) -> pd.DataFrame:
        """Parse lines `start` to `stop` of the .bim, as the base class says."""
        return self._bim.columns(start, stop, BIM_COLUMNS, numbers=("position",))

    def _read(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        packed = self._packed(rows)
        unpack_everyone, unpack = _compiled_unpack()
        if len(places) == len(self.samples) and (places == np.arange(len(places))).all():
            unpack_everyone(packed, ALT_DOSAGES_OF_BYTE, out)
        else:
            unpack(packed, ALT_DOSAGES_OF_BYTE, places.astype(np.uint32), out)

    def _packed(self, rows: np.ndarray) -> np.ndarray:
        """Bytes of the rows; read, not mapped, so that memory does not grow with the file."""
        width = self._bytes_per_variant
        packed = self._scratch.array((len(rows), width), np.uint8)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        runs = zip([0, *breaks], [*breaks, len(rows)], strict=True)
        with self.path.open("rb", buffering=0) as bed:
            for first, last in runs:
                bed.seek(len(BED_MAGIC) + int(rows[first]) * width)
                if bed.readinto(packed[first:last]) != (last - first) * width:
                    raise InputError(f"{self.path.name}: has become shorter since it was opened")
        return packed

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
        expected = len(BED_MAGIC) + self.variant_count * self._bytes_per_variant
        found = self.path.stat().st_size
        if found != expected:
            raise InputError(
                f"{self.path.name}: {found} bytes, but {self.variant_count} variants (.bim) of "
                f"{len(self.samples)} samples (.fam) take {expected}; the file is cut short or "
                "the .bim or .fam belongs to another"
            )


def read_fam(path: Path) -> pd.DataFrame:
    """Read ids and sex from a .fam, or a .psam without header.

    Parameters
    ----------
    path : Path
        White-space separated columns: family, individual, father, mother, sex, and any more.

    Returns
    -------
    DataFrame
        Columns sample_id and family_id (str) and sex (1 male, 2 female, 0 unknown), in file order.

    Raises
    ------
    InputError
        The file is missing or malformed.
    """
    people = LineTable(path)
    table = people.columns(0, people.count, {"sample_id": 1, "family_id": 0, "sex": 4})
    return table.assign(sex=sex_of_codes(table["sex"]))


@cache
def _compiled_unpack():
    """Compile the unpacking loops; numba is imported only where genotypes are read."""
    import numba

    @numba.njit(nogil=True)
    def unpack_everyone(packed, dosages_of_byte, out):
        whole = out.shape[1] // 4
        for variant in range(packed.shape[0]):
            for byte in range(whole):
                four = dosages_of_byte[packed[variant, byte]]
                for place in range(4):
                    out[variant, 4 * byte + place] = four[place]
            for sample in range(4 * whole, out.shape[1]):
                out[variant, sample] = dosages_of_byte[packed[variant, whole], sample - 4 * whole]

    @numba.njit(nogil=True)
    def unpack(packed, dosages_of_byte, places, out):
        # Four dosages move at once as one word; everyone's fit into the cache, from which any
        # order of them is picked faster than bits are.
        word_of_byte = dosages_of_byte.reshape(-1).view(np.uint32)
        words = np.empty(packed.shape[1], dtype=np.uint32)
        everyone = words.view(np.int8)
        for variant in range(packed.shape[0]):
            for byte in range(packed.shape[1]):
                words[byte] = word_of_byte[packed[variant, byte]]
            for sample in range(places.size):
                out[variant, sample] = everyone[places[sample]]

    return unpack_everyone, unpack
