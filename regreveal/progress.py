"""Progress that suits a terminal and a log file alike."""

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from regreveal.errors import printable

Item = TypeVar("Item")

LOG_EVERY_SECONDS = 10.0


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items`, showing on standard error how far along they are.

    On a terminal this is a bar; elsewhere (a container's log, a batch job, a process beside
    another) it is a line every ten seconds, and nothing at all for work that ends sooner.

    Parameters
    ----------
    items : iterable
        What is worked through.
    description : str
        What is being done, such as "Aligning beats".
    total : int, optional
        How many items there are, where `items` cannot tell.

    Yields
    ------
    object
        The items, unchanged.
    """
    description = printable(description)  # it may name a file, or a tensor map
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    if sys.stderr.isatty() and multiprocessing.parent_process() is None:
        yield from _bar(items, description, total)
    else:
        yield from _lines(items, description, total)


def _bar(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, escape(description), total=total, console=console, transient=True)


def _lines(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    started = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_EVERY_SECONDS:
            last = now
            of_total = f"/{total}" if total else ""
            rate = done / (now - started)
            print(f"{description}: {done}{of_total} ({rate:.3g}/s)", file=sys.stderr, flush=True)
