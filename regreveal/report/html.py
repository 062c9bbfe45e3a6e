"""The report: one self-contained page, made of the files of a run folder and nothing else."""

import base64
import importlib.resources
import os
import re
import shutil
import tempfile
from pathlib import Path

import jinja2

from regreveal.report.chapters.contents import make_sections
from regreveal.report.folder.run import Run, read_run
from regreveal.report.parts import Figure, Section
from regreveal.report.summary import glance_table, listed, summarise
from regreveal.report.tables import Table, hide_small
from regreveal.store.atomic import atomic_path

FIGURES = "figures"


def build_report(run_folder: str | os.PathLike) -> Path:
    """Write `report.html` and `figures/` of a finished run.

    Parameters
    ----------
    run_folder : path-like
        As `regreveal run` leaves it.

    Returns
    -------
    Path
        The page. It needs no other file: figures are embedded.

    Raises
    ------
    InputError
        If the run is not finished, or a file of it is missing or damaged; the folder is then left
        as it was.
    """
    run = read_run(run_folder)
    with tempfile.TemporaryDirectory(dir=run.folder, prefix=".figures-") as temporary:
        drawn = Path(temporary) / FIGURES
        page = _render(run, make_sections(run, drawn), drawn)
        shutil.rmtree(run.folder / FIGURES, ignore_errors=True)
        os.rename(drawn, run.folder / FIGURES)
    report = run.folder / "report.html"
    with atomic_path(report) as path:
        path.write_text(page, encoding="utf-8")
    return report


def _render(run: Run, chapters: list[Section], drawn: Path) -> str:
    templates = importlib.resources.files("regreveal.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("report.html.j2").render(
        title=run.experiment["title"],
        lead=_lead(run),
        style=(templates / "style.css").read_text("utf-8"),
        summary=summarise(run),
        sections=_numbered(chapters, drawn),
        glance=glance_table(run),
    )


def _unbroken(text: str) -> str:
    """Keep numbers with their units and relations on one line."""
    return re.sub(
        r" (?=%)|(?<=\d) (?=s\b|[<×])|(?<=\bp) (?=[<=])|(?<=[<=×]) (?=\d)", "\u00a0", text
    )


def _numbered(chapters: list[Section], drawn: Path) -> list[dict]:
    """Give figures and tables their numbers, in the order of the page, and figures their pixels."""
    figures = tables = 0
    numbered = []
    for section in chapters:
        parts = []
        for part in section.parts:
            if isinstance(part, Figure):
                figures += 1
                png = base64.b64encode((drawn / f"{part.name}.png").read_bytes()).decode("ascii")
                parts.append({"kind": "figure", "number": figures, "png": png, **vars(part)})
            elif isinstance(part, Table):
                tables += 1
                parts.append({"kind": "table", "number": tables, **vars(part)})
            else:
                parts.append(vars(part))
        numbered.append({"anchor": section.anchor, "title": section.title, "parts": parts})
    return numbered


def _lead(run: Run) -> str:
    """Say under the title what was compared, and on whom."""
    simulated = "simulate" in run.experiment["data"]
    told = [
        f"{c.baseline} against {c.against} on {hide_small(c.participants)} participants"
        for c in run.comparisons
    ] or [listed(list(run.arms))]
    sentence = f"Autoencoders{' of simulated data' if simulated else ''}: {'; '.join(told)}."
    if simulated:
        sentence += " Everybody here is simulated; nobody's data are shown."
    elif "training" in run.experiment:
        sentence += " The autoencoders learned from simulated people only."
    return sentence
