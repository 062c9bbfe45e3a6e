"""Ctrl-C, and being asked to end: a clean stop, one line, and the status shells expect."""

import signal
import sys
from types import FrameType

# A scheduler or a container that wants its machine back sends SIGTERM and waits a while before it
# kills; a terminal that is closed sends SIGHUP.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """The command was asked to stop; its status is 128 and the signal's number, as of a shell."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.number = number


def stop_on_signals() -> None:
    """Let signals end this process by way of `Stopped`, so that what is unfinished is removed.

    A second one ends it at once. Signals that it was started to ignore, as by `nohup`, still are.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def tell(stopped: Stopped) -> None:
    """End the processes of this one, and say why it ends and what to do."""
    import multiprocessing  # takes 20 ms, which a signal that comes at once would fall into

    for child in multiprocessing.active_children():
        child.kill()
    by = "Ctrl-C" if stopped.number == signal.SIGINT else signal.Signals(stopped.number).name
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has written ^C
    print(
        f"regreveal: stopped by {by}; nothing is left half-written: run the same again to go on",
        file=sys.stderr,
        flush=True,
    )


def _stop(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is _stop:
            signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)
