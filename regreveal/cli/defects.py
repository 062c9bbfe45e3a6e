"""What nobody foresaw: one line that says what to do, or the traceback for who looks into it."""

import sys
import traceback
from pathlib import Path

from regreveal.errors import printable

STATUS = 70  # EX_SOFTWARE of sysexits.h: neither the input nor the arguments are at fault


def describe(error: Exception) -> str:
    """Say in one line what went wrong, where in RegReveal, and whom to tell.

    Parameters
    ----------
    error : Exception
        With its traceback.
    """
    message = printable(" ".join(str(error).split()))
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return (
        f"unexpected {what} (in {_place(error)}); this is a defect of RegReveal, or of its "
        "installation: look at `regreveal doctor`, and report it to its maintainers with what "
        "`regreveal --debug`, followed by the same command, prints"
    )


def _place(error: Exception) -> str:
    """Give the last line of RegReveal's own that was being executed."""
    package = Path(__file__).parents[1]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(package)
    ]
    # All errors come by way of the command line, which is RegReveal's own.
    last = frames[-1]
    return f"{Path(last.filename).relative_to(package.parent)}, line {last.lineno}"


def exit_with_defect(error: Exception) -> None:
    """Print the line, and exit with status 70."""
    print(f"regreveal: {describe(error)}", file=sys.stderr)
    sys.exit(STATUS)
