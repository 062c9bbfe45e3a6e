"""The page in a real browser: nothing goes wrong in it, nothing is cut off, and tables sort."""

import re
from dataclasses import replace

import pytest

from regreveal.report.folder.run import read_run
from regreveal.report.html import write_page
from regreveal.report.parts import Section
from regreveal.report.tables import Cell, Column, Table

from .browser import CHROMIUM, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

WIDTHS = {"laptop": 1280, "telephone": 480}
# Elements that reach beyond the window, but for those in a container that is scrolled.
TOO_WIDE = """
[...document.querySelectorAll("body *")].filter((element) => {
  const inside = element.parentElement.closest(".scroll, pre, .links");
  return !inside && element.getBoundingClientRect().right > window.innerWidth + 1;
}).map((element) => element.outerHTML.slice(0, 120))
"""
CUT_OFF = """
[...document.querySelectorAll("h1, h2, h3, h4, p, li, td, th, figcaption, button, input")]
  .filter((element) => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
  .map((element) => element.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def tab():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(full_run, full_page, images_run, images_page):
    """Files of pages that, together, have everything."""
    return {"genetics": full_run / "report.html", "images": images_run / "report.html"}


def _table(title: str) -> str:
    """Find the table of a figure by what its caption begins with."""
    return (
        "[...document.querySelectorAll('figure.table')].find((figure) => "
        f"/^(Table [0-9]+[.] )?{title}/.test(figure.querySelector('figcaption').textContent))"
    )


def _column(tab, title: str, column: int) -> list[str]:
    rows = f"[...{_table(title)}.querySelector('tbody').rows]"
    return tab.run(f"{rows}.map((row) => row.cells[{column}].textContent)")


def _click(tab, title: str, column: int) -> str:
    """Click a head of a table; give what it then says of the order."""
    head = f"{_table(title)}.querySelectorAll('th')[{column}]"
    return tab.run(f"({head}.querySelector('button').click(), {head}.getAttribute('aria-sort'))")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
@pytest.mark.parametrize("page", ["genetics", "images"])
def test_nothing_goes_wrong_nothing_is_asked_for_and_nothing_is_cut_off(tab, pages, page, width):
    tab.open(pages[page], width)
    assert tab.errors == []
    assert tab.requests == []
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run(TOO_WIDE) == []
    assert tab.run(CUT_OFF) == []
    decoded = "Promise.all([...document.images].map((image) => image.decode())).then(() => true)"
    assert tab.run(decoded)
    assert tab.run("[...document.images].every((image) => image.naturalWidth > 100)")


def test_the_answer_is_on_the_first_screen(tab, pages):
    tab.open(pages["images"], 1280, 800)
    assert tab.run("document.querySelector('.glance table').getBoundingClientRect().bottom") < 800
    assert tab.run("document.querySelector('.verdict').getBoundingClientRect().top") < 300


def test_a_click_sorts_by_numbers_and_two_more_turn_it_round_and_back(tab, pages):
    tab.open(pages["genetics"], 1280)
    loci = "Loci of the registered arm"
    before = _column(tab, loci, 2)
    assert _click(tab, loci, 2) == "descending"
    places = [tuple(map(int, re.findall(r"\d+", p.replace(",", "")))) for p in before]
    described = [f"{chromosome}: {position:,}" for chromosome, position in sorted(places)]
    assert _column(tab, loci, 2) == described[::-1]
    assert _click(tab, loci, 2) == "ascending"
    assert _column(tab, loci, 2) == described
    assert _click(tab, loci, 2) == "none"
    assert _column(tab, loci, 2) == before


def test_text_is_sorted_by_the_alphabet_and_only_one_head_says_so(tab, pages):
    tab.open(pages["genetics"], 1280)
    assert _click(tab, "Linear probes", 0) == "ascending"
    told = _column(tab, "Linear probes", 0)
    assert told == sorted(told, key=str.lower)
    assert _click(tab, "Linear probes", 2) == "descending"
    states = tab.run(
        f"[...{_table('Linear probes')}.querySelectorAll('th')].map((h) => h.ariaSort)"
    )
    assert states.count("none") == len(states) - 1


def test_hidden_counts_and_dashes_sort_without_giving_anything_away(tab, pages):
    tab.open(pages["genetics"], 1280)
    _click(tab, "Linear probes", 3)
    assert _column(tab, "Linear probes", 3)[-1] == "–"
    _click(tab, "Linear probes", 3)
    assert _column(tab, "Linear probes", 3)[-1] == "–"
    hidden = "[...document.querySelectorAll('td')].filter((cell) => cell.textContent === '<5')"
    assert set(tab.run(f"{hidden}.map((cell) => cell.dataset.v)")) == {"2.5"}


def test_the_keyboard_sorts_too(tab, pages):
    tab.open(pages["genetics"], 1280)
    table = _table("Linear probes")
    tab.run(f"{table}.querySelectorAll('th button')[2].focus()")
    tab.press("Enter")
    assert tab.run(f"{table}.querySelectorAll('th')[2].ariaSort") == "descending"


@pytest.fixture(scope="module")
def long_table(full_run, tmp_path_factory):
    """A page with a table of 80 genes."""
    folder = tmp_path_factory.mktemp("long")
    rows = [[Cell(f"GENE{i}"), Cell(f"{i / 8:.1f} (of 10)")] for i in range(80)]
    table = Table("Genes.", "Many.", (Column("Gene"), Column("Score", number=True)), rows)
    run = replace(read_run(full_run), folder=folder)
    return write_page(run, [Section("genes", "Genes", [table])], [], folder / "report.html")


SHOWN = f"[...{_table('Genes')}.querySelector('tbody').rows].filter((r) => r.offsetHeight).length"


def test_a_long_table_is_folded_unfolded_and_searched(tab, long_table):
    tab.open(long_table, 1280)
    assert tab.run(SHOWN) == 15
    tab.run(f"{_table('Genes')}.querySelector('.unfold').click()")
    assert tab.run(SHOWN) == 80
    tab.run(f"{_table('Genes')}.querySelector('.unfold').click()")
    _click(tab, "Genes", 1)
    assert _column(tab, "Genes", 0)[0] == "GENE79"
    assert tab.run(SHOWN) == 15
    tab.run(
        "((box) => { box.value = ' gene7 '; box.dispatchEvent(new Event('input')); })"
        f"({_table('Genes')}.querySelector('input'))"
    )
    assert tab.run(SHOWN) == 11
    assert tab.run(f"{_table('Genes')}.querySelector('.told').textContent") == "11 of 80 rows"


def test_a_long_table_is_printed_up_to_sixty_rows_and_says_so(tab, long_table):
    tab.open(long_table, 1280)
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run(SHOWN) == 60
    note = f"{_table('Genes')}.querySelector('.printed')"
    assert tab.run(f"{note}.textContent") == "The first 60 of 80 rows are printed."
    assert tab.run(f"{note}.offsetHeight") > 0
    tab.call("Emulation.setEmulatedMedia", media="")
    assert tab.run(f"{note}.offsetHeight") == 0


def test_the_contents_mark_where_one_is(tab, pages):
    tab.open(pages["genetics"], 1280)
    marked = "[...document.querySelectorAll('nav [aria-current]')].map((a) => a.hash)"
    assert tab.run(marked) == ["#summary"]
    tab.run("document.getElementById('alignment-diseases').scrollIntoView()")
    tab.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    assert tab.run(marked) == ["#alignment-diseases"]
    assert tab.run("document.querySelector('nav [aria-current]').closest('details').open")


def test_without_scripts_every_row_is_there(tab, pages):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(pages["genetics"], 1280)
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.run("document.querySelectorAll('th button, input').length") == 0
    assert tab.run("[...document.querySelectorAll('td')].every((cell) => cell.offsetHeight > 0)")


def test_a_printed_page_has_its_pictures_and_no_buttons(tab, pages, tmp_path):
    tab.open(pages["genetics"], 1280)
    tab.call("Emulation.setEmulatedMedia", media="print")
    visible = "[...document.querySelectorAll('%s')].filter((one) => one.offsetHeight).length"
    assert tab.run(visible % "nav, .tools, .copy") == 0
    assert tab.run(visible % "tbody tr") == tab.run("document.querySelectorAll('tbody tr').length")
    tab.call("Emulation.setEmulatedMedia", media="")
    tab.printed(tmp_path / "report.pdf")
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.count(b"/Subtype /Image") >= tab.run("document.images.length")
    assert len(re.findall(rb"/Type /Page\b", pdf)) > 5
