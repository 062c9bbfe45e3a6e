"""Options that several commands have, so that each says the same of them."""

import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Latents = Annotated[
    Path, typer.Option(help="Latents: .parquet, or ml4h's hidden_*.tsv.", show_default=False)
]
GenotypeFiles = Annotated[
    list[Path],
    typer.Option(
        help="PLINK .bed or .pgen, .bgen, .vcf.gz or .bcf; once for each file, such as one a "
        "chromosome.",
        show_default=False,
    ),
]
RefFirst = Annotated[
    bool,
    typer.Option(
        "--ref-first", help="BGEN's first allele is the reference (as UK Biobank's), not its last."
    ),
]
Covariates = Annotated[
    Path | None,
    typer.Option("--covariates", "--covar", help="Table with sample_id: .tsv, .csv or .parquet."),
]
CovariateColumns = Annotated[
    str | None, typer.Option(help="Columns to use, with commas between; all by default.")
]
AnalysisSplits = Annotated[
    Path | None, typer.Option(help="Split file, to use its analysis participants only.")
]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="List of participants, the only ones to analyse: a line each, its id or, as in "
        "PLINK, family id and id."
    ),
]
Remove = Annotated[Path | None, typer.Option(help="Such a list of participants to leave out.")]
Genes = Annotated[
    Path | None,
    typer.Option(help="Table of genes (chromosome, start, end, gene), or NCBI's .gene.loc."),
]

Diagnoses = Annotated[
    list[Path],
    typer.Option(
        help="Table with sample_id, icd10 or icd9, and date, a row an event, or UK Biobank's "
        "hesin_diag and hesin; may be given several times."
    ),
]
PhecodeMaps = Annotated[
    list[Path],
    typer.Option(help="Map of codes to phecodes, and its description; may be given several times."),
]
MinimumCount = Annotated[int, typer.Option(help="Days with a code of it that make a case.", min=1)]
WindowDays = Annotated[
    int, typer.Option(help="Days after the visit that still belong to it.", min=0)
]
Until = Annotated[
    datetime.datetime | None,
    typer.Option(
        help="Last day of the records, after which a date is impossible; by default today.",
        formats=["%Y-%m-%d"],
    ),
]


class Edition(StrEnum):
    """Of ICD-10: the World Health Organization's, or the clinical modification."""

    who = "who"
    cm = "cm"


Icd10Edition = Annotated[
    Edition | None,
    typer.Option(help="Whose ICD-10 codes to use, where the map has those of both."),
]

Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        help="Address of a Dask scheduler whose workers do the work, such as tcp://head:8786.",
        show_default=False,
    ),
]

NewFolder = Annotated[
    Path, typer.Option(help="Folder for the results: a new one, or empty.", show_default=False)
]
