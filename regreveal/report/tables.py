"""Tables of the report, and how numbers stand in them."""

import re
from dataclasses import dataclass

import numpy as np

from regreveal.privacy import SMALLEST_COUNT

MOST_ROWS = 300


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
    """One finished text of a table.

    Parameters
    ----------
    text : str
    strong : bool
    value : float, optional
        What a column of numbers is sorted by; by default the number that the text begins with.
        Never a count that the text hides.
    favours : int, optional
        1 if it speaks for the second arm of a comparison, -1 for the first, 0 for neither.
    link : str
        Where on the page it leads.
    """

    text: str
    strong: bool = False
    value: float | None = None
    favours: int | None = None
    link: str = ""

    @property
    def sorted_by(self) -> float | None:
        """The value, or the number that the text begins with; None where there is neither."""
        if self.value is not None:
            return self.value if np.isfinite(self.value) else None
        if self.text == f"<{SMALLEST_COUNT}":
            return SMALLEST_COUNT / 2
        text = self.text.replace("−", "-").replace(",", "")
        if scientific := _SCIENTIFIC.match(text):
            return float(f"{scientific[1] or 1}e{scientific[2].translate(_RAISED)}")
        begins = _NUMBER.match(text)
        return float(begins[1]) if begins else None


# "0.51 (0.48 to 0.54)", "✓ 12.0", "≤0.001"; and "3 × 10⁻⁸", "< 10⁻⁸".
_NUMBER = re.compile(r"[^\w.-]*(-?\d+(?:\.\d+)?)")
_SCIENTIFIC = re.compile(r"[^\w.-]*(?:(-?\d+(?:\.\d+)?) × )?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


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
    files : tuple of str
        Where all of it is, to link to: paths from the run folder.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    note: str = ""
    files: tuple[str, ...] = ()


def hide_small(count: int, of: int | None = None) -> str:
    """Write a number of participants; 1 to 4 as "<5".

    Nobody is pointed at by 0, which stays.

    Parameters
    ----------
    count : int
    of : int, optional
        A number told elsewhere that these are some of. Where 1 to 4 are the others, the count says
        no more than that: "≥2,986" of 2,990.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if count < 0:
        raise ValueError(f"{count} participants: expected 0 or more")
    if of is not None and SMALLEST_COUNT <= of - SMALLEST_COUNT < count < of:
        return f"≥{int(of) - SMALLEST_COUNT + 1:,}"
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
