"""The chapter of all arms: every number of Table 2 that is there, and why others are not."""

import re

import numpy as np
import pandas as pd
import pytest

from regreveal.comparison.latex import to_latex
from regreveal.comparison.table2 import COLUMNS, as_table
from regreveal.report.chapters.comparison import comparison_section, p_value, table2_tables
from regreveal.report.folder.run import read_run
from tests.comparison.latex_parser import Tex

ROW = {
    "comparison": "ecg", "arm": "ecg_native", "baseline": "", "modality": "ecg",
    "registration": "none", "shape": "5000 × 12", "latent_size": 24, "reduction": 2500.0,
    "participants": 2990, "r2_targets": 10, "r2": 0.056, "r2_low": 0.05, "r2_high": 0.06,
    "loci": 0, "planted": 24, "planted_found": 0, "planted_share": 0.0, "lambda_gc": 1.01,
    "weights": 415430, "seconds_training": 39.5, "empty": "PheWAS: not made; seeds: not made",
}  # fmt: skip
AGAINST = ROW | {
    "arm": "ecg_aligned", "baseline": "ecg_native", "registration": "QRSAlignment", "r2": 0.508,
    "r2_low": 0.49, "r2_high": 0.52, "r2_difference": 0.452, "r2_difference_low": 0.443,
    "r2_difference_high": 0.461, "r2_p": 3.2e-30, "loci": 23, "planted_found": 23,
    "planted_share": 23 / 24, "loci_tested_again": 20, "loci_replicated": 17, "seeds": 3,
    "loci_in_all_seeds": 12, "loci_in_any_seed": 25,
}  # fmt: skip
ALONE = {"comparison": "", "arm": "a_b%", "empty": "results: in no comparison"}


def tables(*rows):
    texts = ("comparison", "modality", "registration", "shape", "empty")
    table = as_table(list(rows)).fillna(dict.fromkeys(texts, ""))
    return table2_tables(table, "Seed 1.")


def cells(table, row):
    return {c.title: cell for c, cell in zip(table.columns, table.rows[row], strict=True)}


def test_scores_have_their_intervals_and_differences_their_p():
    native, aligned = (cells(tables(ROW, AGAINST)["table2-numbers"], row) for row in (0, 1))
    assert native["R²; phenotypes"].text == "0.056 (0.050 to 0.060); 10"
    assert native["Difference of R²"].text == "–"
    assert aligned["Difference of R²"].text == "0.452 (0.443 to 0.461)"
    assert aligned["Difference of R²"].strong
    assert aligned["p"].text == "3 × 10⁻³⁰"
    assert not native["Difference of R²"].strong


def test_loci_are_told_with_how_many_there_could_be():
    shown = tables(ROW, AGAINST)
    assert cells(shown["table2-genome"], 1)["Planted loci found"].text == "23 of 24 (96 %)"
    row = cells(shown["table2-evidence"], 1)
    assert row["Loci replicated"].text == "17 of 20"
    assert row["In all seeds; seeds"].text == "12 of 25; 3"


def test_comparisons_are_named_where_there_are_several():
    shown = tables(ROW, AGAINST, ROW | {"comparison": "other"}, ALONE)["table2-arms"]
    assert [row[0].text for row in shown.rows] == ["ecg", "ecg", "other", "none"]
    assert "Comparison" not in cells(tables(ROW, AGAINST)["table2-arms"], 0)


def test_a_table_that_nothing_fills_is_left_out():
    assert "table2-categories" not in tables(ROW, AGAINST)
    assert "table2-categories" in tables(ROW | {"auc": 0.6, "auc_targets": 2}, AGAINST)


def test_columns_that_nothing_fills_are_left_out_and_the_note_says_why():
    shown = tables(ROW, AGAINST)
    titles = [column.title for table in shown.values() for column in table.columns]
    assert {"Loci", "Loci replicated"} <= set(titles)
    assert not {"Bonferroni", "Shared", "FDR"} & set(titles)
    assert "Seed 1. Empty, for some arms or all: PheWAS and seeds (not made)." in (
        shown["table2-genome"].note
    )


def test_few_participants_are_not_counted_out():
    shown = tables(ROW | {"participants": 3})["table2-numbers"]
    assert cells(shown, 0)["n"].text == "<5"


@pytest.mark.parametrize(
    ("p", "written"),
    [
        (0.8274, "0.827"),
        (0.001, "0.001"),
        (0.00099, "1 × 10⁻³"),
        (3.2e-30, "3 × 10⁻³⁰"),
        (0.0, "< 10⁻³⁰⁰"),
        (np.nan, "–"),
    ],
)
def test_p_values_are_written_as_people_do(p, written):
    assert p_value(p) == written


def test_as_latex_every_table_compiles_whatever_arms_are_called():
    odd = AGAINST | {"arm": "a_b%$#^~\\{}", "comparison": "50% & more"}
    for name, table in tables(ROW, odd, ALONE).items():
        read = Tex(to_latex(table, name)).tables[0]
        assert len(read["rows"]) == 4
        assert len(read["layout"]) == len(table.columns)


def test_the_chapter_shows_the_table_of_the_run(full_run):
    run = read_run(full_run)
    section = comparison_section(run)
    shown = {part.title: part for part in section.parts if hasattr(part, "rows")}
    assert len(shown) == 6
    assert [table.note for table in shown.values()] == [""] * 6
    told = [part.text for part in section.parts if "seed 7" in getattr(part, "text", "")]
    assert told == [section.parts[-1].text]
    in_paper = table2_tables(run.table2, "Made with seed 7.")
    assert all("seed 7" in table.note for table in in_paper.values())
    assert cells(shown["Genome."], 1)["Loci"].text == "19"
    assert not re.search("person-", str(shown))


def test_every_column_of_the_file_is_described():
    assert all(COLUMNS.values())
    assert list(as_table([{}]).columns) == list(COLUMNS)
    assert isinstance(as_table([ROW])["loci"].dtype, pd.Int64Dtype)
