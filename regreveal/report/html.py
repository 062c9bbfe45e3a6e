"""The report: one self-contained page, made of the files of a run folder and nothing else."""

import base64
import hashlib
import importlib.resources
import os
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import jinja2

from regreveal.comparison.latex import write_tables
from regreveal.report import summary
from regreveal.report.chapters.contents import make_contents
from regreveal.report.folder.run import Run, read_run
from regreveal.report.parts import Figure, Group, Section, Text
from regreveal.report.pictures import Picture, draw_figures
from regreveal.report.tables import Table
from regreveal.store.atomic import atomic_path

FIGURES, TABLES = "figures", "tables"
PRINTED_ROWS = 60  # of a long table; as page.js has it, which folds and sorts


def build_report(run_folder: str | os.PathLike) -> Path:
    """Write `report.html`, `figures/` and `tables/` of a finished run.

    Parameters
    ----------
    run_folder : path-like
        As `regreveal run` leaves it.

    Returns
    -------
    Path
        The page. It needs no other file: figures are embedded. Its links lead to files of the run
        folder beside it.

    Raises
    ------
    InputError
        If the run is not finished, or a file of it is missing or damaged; the folder is then left
        as it was.
    """
    run = read_run(run_folder)
    page = run.folder / "report.html"
    return write_page(run, make_contents(run), summary.not_made(run), page)


def write_page(
    run: Run, contents: Sequence[Section | Group], notes: Sequence[str], page: Path
) -> Path:
    """Write one self-contained page of chapters, and its `figures/` and `tables/` beside it.

    Parameters
    ----------
    run : Run
        Whose title, first screen and folder, for links, the page has.
    contents : sequence of Section or Group
    notes : sequence of str
        What is to be known of them, in sentences, on the first screen.
    page : Path
        In the run's folder.

    Returns
    -------
    Path
        The page.
    """
    with tempfile.TemporaryDirectory(dir=run.folder, prefix=".figures-") as temporary:
        drawn = Path(temporary) / FIGURES
        figures = [part for part in _parts(contents) if isinstance(part, Figure)]
        text = _render(run, contents, notes, draw_figures(figures, drawn))
        written = Path(temporary) / TABLES
        tables = [part for part in _parts(contents) if isinstance(part, Table)]
        write_tables({_table_name(n, table): table for n, table in enumerate(tables, 1)}, written)
        for made in (drawn, written):
            shutil.rmtree(run.folder / made.name, ignore_errors=True)
            os.rename(made, run.folder / made.name)
    with atomic_path(page) as path:
        path.write_text(text, encoding="utf-8")
    return page


def _parts(contents: Sequence[Section | Group]) -> Iterator:
    for chapter in contents:
        for section in chapter.sections if isinstance(chapter, Group) else [chapter]:
            yield from section.parts


def _render(
    run: Run,
    contents: Sequence[Section | Group],
    notes: Sequence[str],
    pictures: Mapping[str, Picture],
) -> str:
    templates = importlib.resources.files("regreveal.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    script = (templates / "page.js").read_text("utf-8")
    numbers = {Figure: count(1), Table: count(1)}
    shown: dict[Picture, int] = {}

    def section(chapter: Section) -> dict:
        parts = [_described(part, numbers, run.folder, pictures, shown) for part in chapter.parts]
        return vars(chapter) | {"parts": parts}

    chapters = [
        vars(chapter) | {"sections": [section(one) for one in chapter.sections]}
        if isinstance(chapter, Group)
        else section(chapter)
        for chapter in contents
    ]
    return environment.get_template("report.html.j2").render(
        title=run.experiment["title"],
        lead=summary.lead(run),
        style=(templates / "style.css").read_text("utf-8"),
        script=script,
        # By this the browser runs no other script than this one, whatever a name in a run says.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        answers=summary.answers(run),
        notes=notes,
        glance=summary.glance_table(run),
        chapters=chapters,
        printed_rows=PRINTED_ROWS,
    )


def _unbroken(text: str) -> str:
    """Keep numbers with their units and relations on one line."""
    return re.sub(
        r" (?=%)|(?<=\d) (?=s\b|[<×])|(?<=\bp) (?=[<=])|(?<=[<=×]) (?=\d)", "\u00a0", text
    )


def _described(
    part: Text | Figure | Table,
    numbers: dict[type, Iterator[int]],
    folder: Path,
    pictures: Mapping[str, Picture],
    shown: dict[Picture, int],
) -> dict:
    """Give what the template needs of a part: its number, and for figures the picture.

    A picture that is on the page already, by its number in `shown`, is not embedded again.
    """
    described = dict(vars(part))
    if isinstance(part, Figure | Table):
        described["number"] = next(numbers[type(part)])
        described["links"] = [_link(name) for name in part.files if (folder / name).is_file()]
    if isinstance(part, Table):
        name = _table_name(described["number"], part)
        names = [f"{TABLES}/{name}.{suffix}" for suffix in ("tsv", "tex")]
        described["links"] = [_link(name) for name in names] + described["links"]
        described["kind"] = "table"
    if isinstance(part, Figure):
        names = [f"{FIGURES}/{part.name}.{suffix}" for suffix in ("png", "pdf")]
        described["links"] = [_link(name) for name in names] + described["links"]
        picture, number = pictures[part.name], described["number"]
        described |= {"kind": "figure", "picture": picture}
        first = shown.setdefault(picture, number)
        described["same_as"] = first if first != number else None
    return described


def _table_name(number: int, table: Table) -> str:
    """Name a table's files by its number and title: "table-07-linear-probes"."""
    words = re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-")
    return f"table-{number:02d}-{words}"


def _link(name: str) -> dict[str, str]:
    """Lead to a file of the run folder, whatever signs its name has."""
    if name.startswith((f"{FIGURES}/", f"{TABLES}/")):
        suffix = name.rsplit(".", 1)[-1]
        told = "LaTeX" if suffix == "tex" else suffix.upper()
    else:
        told = re.sub(r"^comparisons/[^/]*/", "", name)
    return {"href": urllib.parse.quote(name), "name": told}
