"""What a chapter of the report is made of."""

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
    """A figure that has been drawn.

    Parameters
    ----------
    name : str
        Of its files in `figures/`, without the suffix.
    title, caption : str
    width : float
        On the page, in rem.
    """

    name: str
    title: str
    caption: str
    width: float = 52.0


@dataclass(frozen=True)
class Section:
    """A chapter."""

    anchor: str
    title: str
    parts: list[Text | Figure | Table]
