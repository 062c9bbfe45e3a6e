"""`regreveal report`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
) -> None:
    """Make the report of a finished run again: report.html, figures/ and tables/."""
    from regreveal.report.html import build_report
    from regreveal.store.atomic import locked

    # Of a run only: a lock would be left in, or make, whatever folder is named by mistake.
    is_run = (run / "manifest.json").is_file()
    with locked(run / ".lock", wait=False) if is_run else nullcontext():
        page = build_report(run)
    print(f"The report is at {page}")
