"""`regreveal ingest`: raw files into a store."""

from pathlib import Path
from typing import Annotated

import typer

ingest_app = typer.Typer(help="Read raw files of any known format into a store.")


@ingest_app.callback()
def ingest() -> None:
    """Read raw files of any known format into a store."""


@ingest_app.command()
def ecg(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders: CardioSoft XML, WFDB, DICOM waveforms, ml4h HD5.",
        ),
    ],
    store: Annotated[Path, typer.Option(help="Folder of the store; made if it is not there.")],
    report: Annotated[
        Path | None, typer.Option(help="Table to write, one row a file: what became of it, why.")
    ] = None,
) -> None:
    """Read ECGs into a store as 12 leads in mV at 500 Hz; one that is there already is skipped."""
    from regreveal.ingest.ecg import ingest_ecg
    from regreveal.ingest.outcomes import summarise
    from regreveal.store.cohort import write_table
    from regreveal.store.tensors import TensorStore

    files = ingest_ecg(paths, TensorStore(store))
    for row in summarise(files).itertuples():
        typer.echo(f"{row.outcome:<8} {row.count:>7}  {row.reason}".rstrip())
    if report is not None:
        write_table(files, report)
