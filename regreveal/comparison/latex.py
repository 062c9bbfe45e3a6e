r"""Tables as LaTeX: what an article needs no package for but booktabs, in plain ASCII.

`to_latex` takes any table of finished text as the report has them (`regreveal.report.tables.Table`:
a title, a caption, columns, rows of cells, a note).
"""

import os
import re
import textwrap
import unicodedata
from pathlib import Path

from regreveal.store.atomic import atomic_path

TEXT_WIDTH = 345.0  # points: an article's at 10 pt
# Sizes, and the mean width of a character in tables of names and numbers, in points (Computer
# Modern's digits have half the size of the type).
SIZES = {"small": 4.6, "footnotesize": 4.2, "scriptsize": 3.8}
COLUMN_GAP = 6.0  # points, twice \tabcolsep
WRAPPED = 26  # characters of a column whose long texts take lines
MOST_ROWS = 45  # of a float: a page has no room for more
HEAD = 9  # characters: heads of narrower columns than this are not broken further

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    # In LaTeX's first encoding these are other signs: an upside-down "!", a dash.
    "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": r"\`{}",
    # A row that began with one of them would be an argument of the line break before it.
    "[": "{[}", "]": "{]}", "*": "{*}",
    "\u00a0": "~", "\u202f": r"\,", "\u2009": r"\,",
    "−": "$-$", "–": "--", "—": "---", "×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$",
    "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "→": r"$\rightarrow$", "✓": r"$\surd$",
    "°": r"$^{\circ}$", "∞": r"$\infty$", "√": r"$\surd$", "…": r"\ldots{}",
    "“": "``", "”": "''", "‘": "`", "’": "'", "„": ",,",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "Δ": r"$\Delta$", "δ": r"$\delta$",
    "θ": r"$\theta$", "λ": r"$\lambda$", "μ": r"$\mu$", "µ": r"$\mu$", "ρ": r"$\rho$",
    "σ": r"$\sigma$", "τ": r"$\tau$", "χ": r"$\chi$", "ψ": r"$\psi$", "ω": r"$\omega$",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "§": r"\S{}",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
_INTERVAL = re.compile(r"(?<=\()(\d[\d.,]*) to (\d[\d.,]*)(?=\))")


def to_latex(table, label: str = "") -> str:
    r"""Write a table as a float with booktabs' rules.

    Parameters
    ----------
    table : Table
        `title`, `caption`, `note`; `columns` with `title`, `number`, `italic` and `wrap`; `rows` of
        cells with `text` and `strong`.
    label : str
        For \ref, without "tab:".

    Returns
    -------
    str
        ASCII. Numbers stand to the right, intervals with an en dash where no limit is negative,
        true minus signs; the size of type is the largest of three in which the table is no wider
        than an article's text, and one wider still stands out on both sides alike. A long table
        goes on in further floats of the same number.
    """
    columns = list(table.columns)
    widths = [
        _width(column, [row[place].text for row in table.rows])
        for place, column in enumerate(columns)
    ]
    size = next((size for size in SIZES if _points(widths, size) <= TEXT_WIDTH), "scriptsize")
    layout = "".join(
        f"p{{{width * SIZES[size]:.0f}pt}}" if column.wrap else "r" if column.number else "l"
        for column, width in zip(columns, widths, strict=True)
    )
    head = [_head(column, width) for column, width in zip(columns, widths, strict=True)]
    rows = [
        [_cell(cell, column) for cell, column in zip(row, columns, strict=True)]
        for row in table.rows
    ]
    begin = rf"\begin{{tabular}}{{{layout}}}"
    floats = []
    for start in range(0, max(len(rows), 1), MOST_ROWS):
        shown = [_row(row) for row in rows[start : start + MOST_ROWS]]
        tabular = [begin, r"\toprule", _row(head), r"\midrule", *shown, r"\bottomrule"]
        caption = rf"\caption{{\textbf{{{escape(table.title)}}} {escape(table.caption)}}}"
        if start:  # the same table, of the same number
            caption = rf"\addtocounter{{table}}{{-1}}\caption{{{escape(table.title)} (continued)}}"
        elif label:
            caption += rf"\label{{tab:{label}}}"
        is_last = start + MOST_ROWS >= len(rows)
        floats += _float(size, caption, tabular, table.note if is_last else "")
    return "\n".join([*floats, ""])


def _float(size: str, caption: str, tabular: list[str], note: str) -> list[str]:
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\{size}",
        rf"\setlength{{\tabcolsep}}{{{COLUMN_GAP / 2:.0f}pt}}",
        caption,
        r"\medskip",
        r"\makebox[\linewidth][c]{%",
        *tabular,
        r"\end{tabular}}",
    ]
    if note:
        lines += [r"\par\medskip", rf"\parbox{{\linewidth}}{{\scriptsize {escape(note)}}}"]
    return [*lines, r"\end{table}"]


def to_text(table) -> str:
    """Write a table as tab-separated text, as it reads, with plain minus signs."""
    rows = [[column.title for column in table.columns]]
    rows += [[cell.text for cell in row] for row in table.rows]
    lines = ["\t".join(" ".join(text.split()) for text in row) for row in rows]
    return "\n".join(lines).replace("−", "-") + "\n"


def write_tables(tables: dict, folder: str | os.PathLike) -> None:
    """Write tables for others to use, each as `<name>.tsv` and `<name>.tex`.

    Parameters
    ----------
    tables : dict of str to Table
    folder : path-like
        Made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        for suffix, text in ((".tsv", to_text(table)), (".tex", to_latex(table, name))):
            with atomic_path(folder / f"{name}{suffix}") as temporary:
                temporary.write_text(text, encoding="utf-8")


def escape(text: str) -> str:
    """Write text so that LaTeX sets it as it reads, in ASCII.

    Letters with accents are composed; a character that an article cannot set without a package
    is told by its number, such as [U+5FC3], and never left out.
    """
    text = " ".join(re.split(r"[ \t\n\r]+", text))
    text = _INTERVAL.sub("\\1–\\2", text)
    written, place = [], 0
    while place < len(text):
        for digits, sign in ((_RAISED, "^"), (_LOWERED, "_")):
            end = place
            while end < len(text) and text[end] in digits:
                end += 1
            if end > place:
                written.append(f"${sign}{{{''.join(digits[c] for c in text[place:end])}}}$")
                place = end
                break
        else:
            written.append(_character(text[place], text[place - 1 : place]))
            place += 1
    return "".join(written)


def _character(character: str, before: str) -> str:
    if character == "-" and before == "-":
        return "{}-"  # or two hyphens would become a dash
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii() and character.isprintable():
        return character
    base, *marks = unicodedata.normalize("NFD", character)
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        dotless = rf"\{base}" if base in "ij" else base
        return rf"\{_ACCENTS[marks[0]]}{{{dotless}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _width(column, texts: list[str]) -> int:
    """Characters that a column is wide, by its longest text and the longest word of its head."""
    longest = max(map(len, texts), default=0)
    words = max(map(len, column.title.split()), default=0)
    if column.wrap:
        longest = min(longest, WRAPPED)
    return max(longest, words, min(len(column.title), HEAD), 1)


def _points(widths: list[int], size: str) -> float:
    return sum(width * SIZES[size] + COLUMN_GAP for width in widths)


def _head(column, width: int) -> str:
    """Write the head of a column in lines no longer than the column is wide."""
    lines = textwrap.wrap(column.title, width, break_long_words=False) or [""]
    lines = [escape(line) for line in lines]
    if len(lines) == 1 or column.wrap:
        return " ".join(lines)
    side, stack = "r" if column.number else "l", r" \\ ".join(lines)
    return rf"\shortstack[{side}]{{{stack}}}"


def _cell(cell, column) -> str:
    text = escape(cell.text)
    if column.italic and text:
        text = rf"\textit{{{text}}}"
    return rf"\textbf{{{text}}}" if cell.strong else text


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
