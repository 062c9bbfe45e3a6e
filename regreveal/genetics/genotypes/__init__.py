"""Genotype files of any format as one stream of blocks, oriented to the alternate allele."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from regreveal.errors import InputError
from regreveal.genetics.genotypes.base import VARIANT_COLUMNS, Genotypes
from regreveal.genetics.genotypes.bed import BedGenotypes
from regreveal.genetics.genotypes.chromosomes import canonical_chromosome, chromosome_rank
from regreveal.genetics.genotypes.several import SeveralGenotypes

__all__ = [
    "VARIANT_COLUMNS",
    "BedGenotypes",
    "Genotypes",
    "canonical_chromosome",
    "chromosome_rank",
    "files_read_with",
    "open_genotypes",
]

# Named, not imported: each format's library loads only when a file of it is opened.
READERS = {
    ".bed": ("bed", "BedGenotypes"),
    ".pgen": ("pgen", "PgenGenotypes"),
    ".bgen": ("bgen", "BgenGenotypes"),
    ".vcf": ("vcf", "VcfGenotypes"),
    ".vcf.gz": ("vcf", "VcfGenotypes"),
    ".vcf.bgz": ("vcf", "VcfGenotypes"),
    ".bcf": ("vcf", "VcfGenotypes"),
}
# What else of a file's name is read with it; a .pgen has one of the two tables of variants.
BESIDE = {".bed": (".bim", ".fam"), ".pgen": (".pvar", ".pvar.zst", ".psam"), ".bgen": (".sample",)}


def open_genotypes(
    path: str | os.PathLike | Sequence[str | os.PathLike], ref_first: bool = False
) -> Genotypes:
    """Open a genotype file, the reader chosen by its suffix, or several as one.

    Parameters
    ----------
    path : path-like, or sequence of them
        PLINK 1 .bed (with .bim and .fam beside it), PLINK 2 .pgen (with .pvar or .pvar.zst, and
        .psam), .bgen, .vcf, .vcf.gz, .vcf.bgz or .bcf. Several hold the same people, such as a
        file a chromosome.
    ref_first : bool
        Of BGEN, whose files do not say it: the first allele is the reference, as in UK Biobank's
        imputed data, not the last.

    Returns
    -------
    Genotypes

    Raises
    ------
    InputError
        The suffix is of no supported format, or a file is unusable or has other people.
    """
    if not isinstance(path, str | os.PathLike):
        files = [open_genotypes(each, ref_first) for each in path]
        return files[0] if len(files) == 1 else SeveralGenotypes(files)
    path = Path(path)
    name = path.name.lower()
    for suffix, (module, reader) in READERS.items():
        if name.endswith(suffix):
            options = {"ref_first": ref_first} if suffix == ".bgen" else {}
            return getattr(import_module(f"{__name__}.{module}"), reader)(path, **options)
    raise InputError(
        f"{path.name}: genotypes are read from {', '.join(READERS)} files; "
        "convert others with 'plink2 --make-pgen'"
    )


def files_read_with(path: Path) -> list[Path]:
    """List a genotype file and those beside it that decide what it says, without opening any.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Path
        The file first; of the others those that are there.
    """
    beside = [path.with_suffix(suffix) for suffix in BESIDE.get(path.suffix.lower(), ())]
    return [path, *(file for file in beside if file.exists())]
