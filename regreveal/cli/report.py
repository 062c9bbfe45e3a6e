"""`regreveal report`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
) -> None:
    """Make the report of a finished run again: report.html, figures/ and tables/."""
    from regreveal.report.html import build_report

    print(f"The report is at {build_report(run)}")
