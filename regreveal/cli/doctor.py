"""`regreveal doctor`: whether RegReveal works where it is installed."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    folder: Annotated[
        Path, typer.Option(help="Where data and runs are to lie: looked at for room and speed.")
    ] = Path("."),
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Without self-tests: some seconds, as for a health check."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON, for programs and for reports of errors.")
    ] = False,
    dask: Annotated[
        str | None, typer.Option(help="Look at a Dask cluster, too: its scheduler's address.")
    ] = None,
) -> None:
    """Look at versions, devices, memory, threads and disk, test each engine, and say what to do.

    The exit status is 1 if something is broken; warnings do not count.
    """
    import sys

    from regreveal.doctor import check
    from regreveal.doctor.examination import examine

    checks = []
    # Told as it goes on: a library may take its time, or hang.
    for found in examine(folder, quick, dask):
        checks.append(found)
        if not as_json and sys.stderr.isatty():
            typer.echo(f"\r\033[K{found.group}: {found.name}", nl=False, err=True)
    if not as_json and sys.stderr.isatty():
        typer.echo("\r\033[K", nl=False, err=True)
    if as_json:
        typer.echo(check.as_json(checks))
    else:
        from rich.console import Console

        width = None if sys.stdout.isatty() else 160
        check.print_table(checks, Console(width=width))
    if check.worst(checks) == check.Status.broken:
        raise typer.Exit(1)
