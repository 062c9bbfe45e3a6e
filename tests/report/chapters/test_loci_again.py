"""The chapters on shared, replicated and recurring loci."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.report.chapters import recurrence, replication, shared_loci
from regreveal.report.folder.replication import read_replication
from regreveal.report.folder.run import read_run
from regreveal.report.folder.shared_loci import read_shared_loci
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Table

COLOURS = {"native": "#D55E00", "registered": "#0072B2"}


@pytest.fixture(scope="module")
def comparison(full_run):
    return read_run(full_run).comparisons[0]


def of_kind(parts, kind):
    return [part for part in parts if isinstance(part, kind)]


def rows(table):
    return [[cell.text for cell in row] for row in table.rows]


@pytest.mark.parametrize("chapter", [shared_loci, replication, recurrence])
def test_each_chapter_has_a_figure_that_can_be_drawn(chapter, comparison, tmp_path):
    (figure,) = of_kind(chapter.parts(comparison, COLOURS), Figure)
    figure.draw(path=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert (tmp_path / "figure.pdf").exists()
    assert figure.files


def test_loci_are_counted_by_the_arms_that_have_them(comparison):
    table = comparison.shared_loci
    both, alone = (table["found"] == "both").sum(), (table["found"] == "registered").sum()
    (told,) = shared_loci.findings(comparison)
    assert told.startswith(f"{both} locus is found by both arms, {alone} by registered alone")
    assert "and none by native alone (1 of these" in told
    assert "below 0.001 (McNemar's test)." in told
    few = replace(comparison, shared_loci=table[table["found"] == "registered"].head(2))
    assert "p = 0.5 (McNemar's test)" in shared_loci.findings(few)[0]


def test_what_one_arm_has_is_bold_there_only(comparison):
    (table,) = of_kind(shared_loci.parts(comparison, COLOURS), Table)
    for row in table.rows:
        native, registered = row[3].strong, row[4].strong
        assert (native, registered) == {
            "both arms": (True, True), "registered": (False, True), "native": (True, False),
        }[row[2].text]  # fmt: skip


def test_arms_without_loci_are_said_to_have_none(comparison):
    nothing = replace(comparison, shared_loci=comparison.shared_loci.iloc[:0])
    (text,) = shared_loci.parts(nothing, COLOURS)
    assert "Neither arm has a locus" in text.text
    assert shared_loci.findings(nothing) == []


def test_replication_is_counted_with_intervals_and_expectations(comparison):
    counts, *leads = of_kind(replication.parts(comparison, COLOURS), Table)
    of_registered = rows(counts)[3]
    # One of six could not be tested, and of the five one did not replicate along the direction.
    assert of_registered[:4] == ["registered", "found in the first half", "6", "5"]
    assert of_registered[4:6] == ["5 (48–100 %)", "3.0 to 4.8"]
    assert of_registered[6] == "4 (28–99 %)"
    assert len(leads) == 2
    assert "too few carriers in the other half" in [row[-1] for row in rows(leads[1])]
    (told,) = replication.findings(comparison)
    assert "direction first found: 4 of 6 in registered (5 by the joint test)" in told


def test_an_arm_that_found_nothing_in_either_half_has_no_row_of_leads(comparison):
    found = comparison.replication["native"]
    summary = found.summary.assign(leads=0, tested=0)
    empty = replace(found, leads=found.leads.iloc[:0], summary=summary)
    without = replace(comparison, replication=comparison.replication | {"native": empty})
    parts = replication.parts(without, COLOURS)
    assert len(of_kind(parts, Table)) == 2
    assert rows(of_kind(parts, Table)[0])[0][4:] == ["–"] * 4
    assert "and none in native" in replication.findings(without)[0]


def test_neither_arm_has_leads_and_nothing_is_drawn(comparison):
    empty = {
        arm: replace(found, leads=found.leads.iloc[:0], summary=found.summary.assign(tested=0))
        for arm, found in comparison.replication.items()
    }
    parts = replication.parts(replace(comparison, replication=empty), COLOURS)
    assert of_kind(parts, Figure) == []


def test_seeds_are_told_as_a_range_beside_the_number(comparison):
    parts = recurrence.parts(comparison, COLOURS)
    (text,) = of_kind(parts, Text)
    own = comparison.recurrence["registered"].description["loci"]["7"]
    high = comparison.recurrence["registered"].description["loci_high"]
    assert text.text.startswith(f"registered finds {own} loci ({own}–{high} over 3 training seeds)")
    (table,) = of_kind(parts, Table)
    assert rows(table)[0] == ["7 and 8", "0.90", "0.930", "0.810"]
    assert recurrence.findings(comparison) == [f"Trained again, {text.text}"]


def test_seeds_that_find_nothing_are_told_in_few_words(comparison):
    found = comparison.recurrence["registered"]
    nothing = replace(found, description=found.description | {"places_in_any": 0})
    told = "registered finds no locus with any of 3 training seeds."
    assert recurrence.sentence(nothing, "registered") == told


def test_arms_that_were_not_trained_again_have_no_chapter(comparison):
    without = replace(comparison, recurrence={})
    assert recurrence.parts(without, COLOURS) == []
    assert recurrence.findings(without) == []


def test_a_locus_without_a_gene_is_named_by_its_place():
    row = pd.Series({"nearest_gene": "", "chromosome": "7", "start": 1234567})
    assert shared_loci.place_name(row) == "7: 1,234,567"


def test_more_loci_than_fit_are_counted(comparison):
    many = pd.concat([comparison.shared_loci] * 9, ignore_index=True)
    figure, _ = shared_loci.parts(replace(comparison, shared_loci=many), COLOURS)
    assert f"The 60 strongest of {len(many)}." in figure.caption
    assert len(figure.draw.args[0]) == 60


def test_files_that_are_missing_or_of_another_kind_are_errors_of_one_line(full_run, tmp_path):
    with pytest.raises(InputError, match="summary.tsv: no such file"):
        read_replication(tmp_path)
    (tmp_path / "shared_loci.tsv").write_text("locus\tchromosome\n")
    with pytest.raises(InputError, match="no column 'start'"):
        read_shared_loci(tmp_path, ("a", "b"))
    assert np.isfinite(
        read_replication(full_run / "comparisons/alignment/registered/replication").leads["level"]
    ).all()
