"""Tables on a terminal, of words that may be anybody's."""

import sys
from collections.abc import Iterable, Sequence


def print_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[str] = (),
    width: int | None = None,
) -> None:
    """Print a table; a name in it is text, whatever signs it has.

    Parameters
    ----------
    titles : sequence of str
        Of the columns of words, which come first.
    rows : iterable of sequence of str
        As many cells each as there are titles in all.
    numbers : sequence of str
        Titles of the columns of numbers: to the right, and never broken.
    width : int, optional
        Signs a line, into a file or a pipe.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from regreveal.errors import printable

    table = Table(*titles)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        # As strings, brackets in them would be taken for colours and links.
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else width).print(table)
