"""`regreveal phecodes`: who has which disease, from diagnoses with their dates."""

import datetime
import enum
from pathlib import Path
from typing import Annotated

import typer


class Timing(enum.StrEnum):
    """When a case may have got the disease."""

    ever = "ever"
    prevalent = "prevalent"
    incident = "incident"


class Edition(enum.StrEnum):
    """Of ICD-10: the World Health Organization's, or the clinical modification."""

    who = "who"
    cm = "cm"


def phecodes(
    diagnoses: Annotated[
        list[Path],
        typer.Option(
            help="Table with sample_id, icd10 or icd9, and date, a row an event, or UK Biobank's "
            "hesin_diag and hesin; may be given several times."
        ),
    ],
    phecodes: Annotated[
        list[Path],
        typer.Option(
            help="Map of codes to phecodes, and its description; may be given several times."
        ),
    ],
    participants: Annotated[
        Path, typer.Option(help="Table with sample_id and sex (female or male).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    minimum_count: Annotated[
        int, typer.Option(help="Days with a code of it that make a case.", min=1)
    ] = 1,
    timing: Annotated[
        Timing, typer.Option(help="Whether cases had it ever, by the visit or only after it.")
    ] = Timing.ever,
    visit_column: Annotated[
        str | None, typer.Option(help="Column of --participants with the date of the visit.")
    ] = None,
    window_days: Annotated[
        int, typer.Option(help="Days after the visit that belong to it.", min=0)
    ] = 0,
    until: Annotated[
        datetime.datetime | None,
        typer.Option(
            help="Last day of the records, after which a date is impossible; by default today.",
            formats=["%Y-%m-%d"],
        ),
    ] = None,
    icd10_edition: Annotated[
        Edition | None,
        typer.Option(help="Whose ICD-10 codes to use, where the map has those of both."),
    ] = None,
) -> None:
    """Say who is a case, a control or neither, of every phecode, and since when.

    Writes phecode_status.parquet (a row a participant, a column a phecode: 1 case, 0 control,
    missing neither), phecode_dates.parquet (first date and number of days of every phecode
    somebody has), phecodes.tsv (counts, by reason), unmapped_icd.tsv and phecodes.json.
    """
    from regreveal.phenome.phecodes.run import run_phecodes

    table = run_phecodes(
        diagnoses,
        phecodes,
        participants,
        out,
        minimum_count=minimum_count,
        timing=timing,
        visit_column=visit_column,
        window_days=window_days,
        until=until.date() if until else None,
        edition=icd10_edition.upper() if icd10_edition else None,
    )
    found = int((table["cases"] > 0).sum())
    typer.echo(f"{found} of {len(table)} phecodes have cases: {out / 'phecodes.tsv'}")
