"""`regreveal phecodes`: who has which disease, from diagnoses with their dates."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import (
    Diagnoses,
    Icd10Edition,
    MinimumCount,
    NewFolder,
    PhecodeMaps,
    Until,
    WindowDays,
)


class Timing(StrEnum):
    """When a case may have got the disease."""

    ever = "ever"
    prevalent = "prevalent"
    incident = "incident"


def phecodes(
    diagnoses: Diagnoses,
    phecodes: PhecodeMaps,
    participants: Annotated[
        Path, typer.Option(help="Table with sample_id and sex (female or male).")
    ],
    out: NewFolder,
    minimum_count: MinimumCount = 1,
    timing: Annotated[
        Timing, typer.Option(help="Whether cases had it ever, by the visit or only after it.")
    ] = Timing.ever,
    visit_column: Annotated[
        str | None, typer.Option(help="Column of --participants with the date of the visit.")
    ] = None,
    window_days: WindowDays = 0,
    until: Until = None,
    icd10_edition: Icd10Edition = None,
) -> None:
    """Say who is a case, a control or neither, of every phecode, and since when.

    Writes phecode_status.parquet (a row a participant, a column a phecode: 1 case, 0 control,
    missing neither), phecode_dates.parquet (first date and number of days of every phecode
    somebody has), phecodes.tsv (counts, by reason), unmapped_icd.tsv and phecodes.json.
    """
    from regreveal.phenome.phecodes.run import run_phecodes
    from regreveal.store.atomic import new_folder

    with new_folder(out) as folder:
        table = run_phecodes(
            diagnoses,
            phecodes,
            participants,
            folder,
            minimum_count=minimum_count,
            timing=timing,
            visit_column=visit_column,
            window_days=window_days,
            until=until.date() if until else None,
            edition=icd10_edition.upper() if icd10_edition else None,
        )
    found = int((table["cases"] > 0).sum())
    typer.echo(f"{found} of {len(table)} phecodes have cases: {out / 'phecodes.tsv'}")
