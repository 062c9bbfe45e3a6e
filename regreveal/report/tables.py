"""Tables of the report, and how numbers stand in them."""

from dataclasses import dataclass

import numpy as np

SMALLEST_COUNT = 5  # participants; fewer than this are not counted out
MOST_ROWS = 30


@dataclass(frozen=True)
class Column:
    """Head of a column: numbers stand to the right, genes in italics, long texts take lines."""

    title: str
    number: bool = False
    italic: bool = False
    wrap: bool = False

    @property
    def classes(self) -> str:
        """Its class attribute."""
        chosen = {"number": self.number, "italic": self.italic, "wrap": self.wrap}
        return " ".join(name for name, is_set in chosen.items() if is_set)


@dataclass(frozen=True)
class Cell:
    """One finished text of a table."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table of finished text.

    Parameters
    ----------
    title, caption : str
    columns : tuple of Column
    rows : list of list of Cell
    note : str
        What a reader must know of what is not in the table.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    note: str = ""


def hide_small(count: int) -> str:
    """Write a number of participants; 1 to 4 as "<5".

    Nobody is pointed at by 0, which stays.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if count < 0:
        raise ValueError(f"{count} participants: expected 0 or more")
    return f"<{SMALLEST_COUNT}" if 0 < count < SMALLEST_COUNT else f"{int(count):,}"


def number(value: float | None, decimals: int = 3) -> str:
    """Write a number with a true minus sign; a dash where there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{decimals}f}".replace("-", "−")


def with_interval(value: float, low: float, high: float, decimals: int = 3) -> str:
    """Write an estimate with its 95 % interval, such as "0.512 (0.480 to 0.544)"."""
    if not np.isfinite(value):
        return "–"
    low, high = number(low, decimals), number(high, decimals)
    return f"{number(value, decimals)} ({low} to {high})"


def rest(count: int, what: str, file: str) -> str:
    """Say how many rows a table leaves out, and where they are."""
    return f"{count - MOST_ROWS} more {what} are in {file}." if count > MOST_ROWS else ""
