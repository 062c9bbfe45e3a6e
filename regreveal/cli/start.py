"""Where the `regreveal` command begins: signals are answered before anything else is loaded."""

import sys

from regreveal.cli.stopping import Stopped, stop_on_signals, tell


def start() -> None:
    """Load the command line and run it; end with one line where a signal stops either."""
    stop_on_signals()
    try:
        from regreveal.cli.main import main

        main()
    except Stopped as stopped:
        tell(stopped)
        sys.exit(stopped.code)
