"""Tables as LaTeX: they compile, and say what the table said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regreveal.comparison.latex import TEXT_WIDTH, escape, to_latex, to_text, write_tables
from regreveal.report.tables import Cell, Column, Table

from .latex_parser import Tex

SPECIALS = '_ % & # $ ~ ^ \\ { } < > | " ` [ ] * -- --- −'


def table(*rows, columns=None, note="") -> Table:
    columns = columns or (Column("Arm"), Column("R²", number=True))
    return Table("Title.", "Caption.", columns, [[Cell(text) for text in r] for r in rows], note)


def test_a_table_is_a_float_with_three_rules_its_caption_and_its_note():
    text = to_latex(table(("native", "0.1"), ("aligned", "0.5"), note="Seed 1."), "probes")
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{table}"):
        assert text.count(part) == 1
    assert r"\caption{\textbf{Title.} Caption.}\label{tab:probes}" in text
    assert "Seed 1." in text
    read = Tex(text).tables[0]
    assert read["layout"] == ["l", "r"]
    assert read["rows"] == [["Arm", "R$^{2}$"], ["native", "0.1"], ["aligned", "0.5"]]


def test_names_full_of_special_characters_compile():
    rows = Tex(to_latex(table((SPECIALS, "[1]"), ("a_b%c&d#e$f~g^h\\i", "*2")))).tables[0]["rows"]
    assert rows[2][0] == r"a\_b\%c\&d\#e\$f\textasciitilde{}g\textasciicircum{}h\textbackslash{}i"
    assert rows[1][1] == "{[}1{]}"


@given(st.text(max_size=40), st.text(max_size=40), st.booleans(), st.booleans(), st.booleans())
def test_any_text_compiles_in_any_column(one, other, number, wrap, strong):
    columns = (Column(one, number=number, wrap=wrap), Column(other, italic=wrap))
    rows = [[Cell(other, strong), Cell(one)], [Cell(one), Cell(other, strong)]]
    read = Tex(to_latex(Table(one, other, columns, rows, one)))
    assert len(read.tables) == 1


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.512 (0.480 to 0.544)", "0.512 (0.480--0.544)"),
        ("−0.010 (−0.031 to 0.011)", "$-$0.010 ($-$0.031 to 0.011)"),
        ("2,990 (1 to 1,200)", "2,990 (1--1,200)"),
        ("p < 5 × 10⁻⁸", r"p $<$ 5 $\times$ 10$^{-8}$"),
        ("−log₁₀ p", "$-$log$_{10}$ p"),
        ("λGC of 5 %", r"$\lambda$GC of 5 \%"),
        ("–", "--"),
        ("well--known", "well-{}-known"),
        ("Özge Ñandú, naïve Łukasz", r"\"{O}zge \~{N}and\'{u}, na\"{\i}ve \L{}ukasz"),
        ("心 x", "{[}U+5FC3{]} x"),
        ("two\nlines", "two lines"),
    ],
)
def test_signs_are_written_as_they_are_set(text, written):
    assert escape(text) == written


def test_a_wide_table_is_set_smaller_and_a_wider_one_stands_out_on_both_sides():
    narrow = to_latex(table(("a", "1")))
    wide = to_latex(table(("a" * 75, "1")))
    wider = to_latex(table(("a" * 160, "1")))
    assert r"\small" in narrow
    assert r"\footnotesize" in wide
    assert r"\scriptsize" in wider
    assert all(r"\makebox[\linewidth][c]" in text for text in (narrow, wide, wider))


def test_a_long_table_goes_on_in_floats_of_the_same_number():
    text = to_latex(table(*(("a", str(i)) for i in range(100)), note="Seed 1."), "long")
    tables = Tex(text).tables
    assert [len(read["rows"]) - 1 for read in tables] == [45, 45, 10]
    assert [row[1] for read in tables for row in read["rows"][1:]] == [str(i) for i in range(100)]
    assert text.count(r"\label{tab:long}") == 1
    assert text.count(r"\addtocounter{table}{-1}") == 2
    assert text.count("Seed 1.") == 1


def test_heads_take_lines_and_long_texts_wrap():
    columns = (Column("Fold change of variance explained", number=True), Column("Genes", wrap=True))
    text = to_latex(table(("0.1", "TTN, " * 30), columns=columns))
    layout = Tex(text).tables[0]["layout"]
    assert layout[0] == "r"
    assert layout[1].startswith("p{")
    assert int(layout[1][2:-3]) < TEXT_WIDTH / 2
    assert r"\shortstack[r]{Fold \\ change of \\ variance \\ explained}" in text


def test_bold_and_italics_stay():
    columns = (Column("Gene", italic=True), Column("p"))
    rows = [[Cell("TTN"), Cell("0.1", True)]]
    read = Tex(to_latex(Table("T", "C", columns, rows))).tables[0]["rows"]
    assert read[1] == [r"\textit{TTN}", r"\textbf{0.1}"]


def test_as_text_it_has_the_same_rows_with_plain_minus_signs():
    assert to_text(table(("a\tb", "−0.1"))) == "Arm\tR²\na b\t-0.1\n"


def test_tables_are_written_in_both_forms(tmp_path):
    write_tables({"probes": table(("a", "1"))}, tmp_path / "tables")
    assert (tmp_path / "tables/probes.tsv").read_text() == "Arm\tR²\na\t1\n"
    assert r"\label{tab:probes}" in (tmp_path / "tables/probes.tex").read_text()


@pytest.mark.parametrize(
    "broken",
    [
        r"\begin{tabular}{lr} a & b & c \\ \end{tabular}",
        r"\begin{tabular}{lr} a \\ \end{tabular}",
        r"\begin{tabular}{lr} a & b \\ ",
        r"\begin{tabular}{lr} a & b_1 \\ \end{tabular}",
        r"\begin{tabular}{lr} a & {b \\ \end{tabular}",
        r"\begin{tabular}{lr} a & $b \\ \end{tabular}",
        r"\begin{tabular}{lr} a & \rotatebox{90}{b} \\ \end{tabular}",
        r"\begin{tabular}{lr} a & b \\ [x] & c \\ \end{tabular}",
        r"\begin{table}[htbp] a \end{tabular}",
        "é",
        "50 %",
    ],
)
def test_the_reader_of_these_tests_is_strict(broken):
    with pytest.raises((AssertionError, ValueError, IndexError)):
        Tex(broken)
