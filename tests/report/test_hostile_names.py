"""Whatever a name, unit or label says, it is text on the page, in LaTeX and in figures."""

import json
import shutil
import tomllib
from html.parser import HTMLParser

import pandas as pd
import pytest
import tomlkit

from regreveal.report.html import build_report
from regreveal.report.pictures import Picture
from tests.comparison.latex_parser import Tex

# What begins an element, an attribute, an entity, a formula, a command of LaTeX, a template.
EVIL = "<script>alert(1)</script>\"'&$\\frac{$_^%#~\\input{x}`{{1}}</title>"
# Columns and fields that a user's files, tensor maps or experiment fill.
COLUMNS = (
    "variant_id", "nearest_gene", "gene", "trait", "target", "name", "category", "phecode",
    "label", "unit", "units", "reason", "positive_class", "ref", "alt",
)  # fmt: skip
FIELDS = ("title", "description", "units", "covariates", "targets", "tensor_map", "input")


class Structure(HTMLParser):
    """Elements of a page with the names of their attributes, in order, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.links, self.text, self.inside = [], [], "", ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.links += [value for name, value in attributes if name in ("href", "action")]

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}",))

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.text += data


def poison_tables(folder):
    """Add what is hostile to every name of every table; give what the names were, by column."""
    files = [*folder.rglob("*.tsv"), *folder.rglob("manova.tsv.gz")]
    read = {"sep": "\t", "dtype": str, "keep_default_na": False}
    tables = {file: pd.read_csv(file, **read) for file in files}
    names = {
        column: {v for table in tables.values() if column in table for v in table[column] if v}
        for column in COLUMNS
    }
    for file, table in tables.items():
        # A matrix has variants at its head.
        table = table.rename(columns={name: name + EVIL for name in names["variant_id"]})
        for column in table:
            if column in COLUMNS:
                table[column] = [value + EVIL if value else value for value in table[column]]
        table.to_csv(file, sep="\t", index=False)
    return names


def poisoned(value, key=""):
    """Add what is hostile to the fields of a description that are a user's."""
    if isinstance(value, dict):
        return {name: poisoned(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner, key) for inner in value]
    return value + EVIL if isinstance(value, str) and key in FIELDS else value


@pytest.fixture(scope="module")
def hostile(full_run, tmp_path_factory):
    """A run with hostile names in all its files, its page, and the figures that it would have."""
    run = tmp_path_factory.mktemp("names") / "run"
    shutil.copytree(full_run, run, ignore=shutil.ignore_patterns("figures", "tables", "*.html"))
    names = poison_tables(run)
    for file in run.rglob("*.json"):
        if file.name != "manifest.json":
            file.write_text(json.dumps(poisoned(json.loads(file.read_text()))))
    experiment = run / "experiment.toml"
    experiment.write_text(tomlkit.dumps(poisoned(tomllib.loads(experiment.read_text()))))
    drawn = {}

    def not_drawn(figures, folder):
        folder.mkdir()
        drawn.update({figure.name: figure for figure in figures})
        return {name: Picture(f"data:image/webp;base64,{name}", 1, 1) for name in drawn}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regreveal.report.html.draw_figures", not_drawn)
        page = Structure(build_report(run).read_text())
    return run, names, page, drawn


def test_no_element_and_no_attribute_comes_of_a_name(full_page, hostile):
    _, names, page, _ = hostile
    clean = Structure(full_page)
    assert page.elements == clean.elements
    assert page.links == clean.links
    assert page.text.count(EVIL) > 200
    told = page.text.replace("_", " ")  # as targets are written
    for column in ("variant_id", "gene", "target", "name", "category", "units", "reason", "label"):
        assert any(f"{name}{EVIL}".replace("_", " ") in told for name in names[column]), column
    for own in ("Does aligning ECGs reveal more biology?", "The median beat.", "age", "ecg.median"):
        assert f"{own}{EVIL}".replace("_", " ") in told, own


def test_no_command_of_latex_comes_of_a_name(full_run, full_page, hostile):
    run, *_ = hostile
    files = sorted((run / "tables").glob("*.tex"))
    assert [f.name for f in files] == sorted(f.name for f in (full_run / "tables").glob("*.tex"))
    escaped = 0
    for file in files:
        text, clean = file.read_text(), (full_run / "tables" / file.name).read_text()
        escaped += text.count(r"\textbackslash{}input\{x\}")
        assert rows_and_columns(text) == rows_and_columns(clean)
    assert escaped > 100


def rows_and_columns(latex):
    """Sizes of the tables, which a strict reader of LaTeX takes from a file."""
    return [(len(table["rows"]), len(table["layout"])) for table in Tex(latex).tables]


@pytest.mark.parametrize("name", ["phewas", "replication", "phewas-arms"])
def test_no_formula_comes_of_a_name(hostile, tmp_path, name):
    *_, figures = hostile
    figures[f"alignment-{name}"].draw(path=tmp_path / "figure.png")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
