"""What the report is made of: texts, figures and tables, in chapters, in groups of chapters."""

from collections.abc import Callable
from dataclasses import dataclass

from regreveal.report.tables import Table


@dataclass(frozen=True)
class Text:
    """A paragraph, its first words in bold, or, by `kind`, a heading or a block of code."""

    text: str
    kind: str = "text"
    lead: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure, and how it is drawn: the page draws all of them, in several processes.

    Parameters
    ----------
    name : str
        Of its files in `figures/`, without the suffix.
    title, caption : str
    draw : callable
        Called as `draw(path=...)` with the PNG to write; a PDF is written beside it. It goes to
        another process: a `functools.partial` of a module's function, with plain data.
    width : float
        On the page, in rem.
    files : tuple of str
        What is drawn, to link to: paths from the run folder.
    """

    name: str
    title: str
    caption: str
    draw: Callable[..., None]
    width: float = 52.0
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A chapter.

    Parameters
    ----------
    anchor, title : str
    parts : list of Text, Figure or Table
    copied : bool
        Whether its texts are there to be taken along: they get a button.
    """

    anchor: str
    title: str
    parts: list[Text | Figure | Table]
    copied: bool = False


@dataclass(frozen=True)
class Group:
    """Chapters that belong together, such as those of a comparison.

    Parameters
    ----------
    anchor, title : str
    short : str
        The title in the contents.
    sections : list of Section
    findings : tuple of str
        What was found in them, in sentences.
    """

    anchor: str
    title: str
    short: str
    sections: list[Section]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headline:
    """One figure of a comparison on the first screen.

    Parameters
    ----------
    title : str
        Of its column, the same for every comparison.
    text : str
        Of the cell: before → after, the baseline first, such as "0 → 23 of 24".
    favours : int
        1 if it speaks for the arm compared with the baseline, -1 for the baseline, 0 for neither.
    counted : str
        What is counted, for a sentence over several comparisons: "planted loci found". Empty where
        it is not a count.
    before, after, of : int
        The counts, and how many there are; `of` is 0 where nobody knows.
    """

    title: str
    text: str
    favours: int
    counted: str = ""
    before: int = 0
    after: int = 0
    of: int = 0
