"""The chapter on diseases, of an invented run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regreveal.report.chapters.diseases import findings, parts
from regreveal.report.folder.phewas import Diseases
from regreveal.report.folder.run import read_run
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Table

COLOURS = {"native": "#D55E00", "registered": "#0072B2"}


@pytest.fixture(scope="module")
def comparison(full_run):
    return read_run(full_run).comparisons[0]


def _of(shown, kind):
    return [part for part in shown if isinstance(part, kind)]


def test_the_chapter_shows_both_arms_and_how_they_differ(comparison):
    shown = parts(comparison, COLOURS)
    assert [figure.name for figure in _of(shown, Figure)] == [
        f"alignment-phewas{part}" for part in ("", "-qq", "-arms")
    ]
    hits, incident = _of(shown, Table)
    assert hits.columns[-1].title == "Difference"
    assert "comparisons/alignment/phewas_differences.tsv" in hits.files
    assert incident.title.startswith("Incident")
    assert [cell.text for cell in incident.rows[0][1:3]] == ["60", "<5"]
    told = " ".join(text.text for text in _of(shown, Text))
    assert "5 in registered only and 0 in native only" in told
    assert "a difference of 0.99 (0.54 to 1.44), p = 2 × 10⁻⁵" in told
    assert "fewer than 20 cases (1)" in told


def test_what_is_found_by_chance_is_told_with_the_qq_plot(comparison):
    qq = _of(parts(comparison, COLOURS), Figure)[1]
    assert "4.8 % of p are below 0.05 with permuted labels" in qq.caption
    assert "draw in twenty" not in qq.caption
    summaries = {
        arm: table.assign(threshold=4.2)
        for arm, table in comparison.diseases.null_summaries.items()
    }
    diseases = replace(comparison.diseases, null_summaries=summaries)
    qq = _of(parts(replace(comparison, diseases=diseases), COLOURS), Figure)[1]
    assert "passes −log₁₀ p of 4.20 in native and 4.20 in registered" in qq.caption


def test_without_nulls_and_incident_disease_the_chapter_is_shorter(comparison):
    diseases = Diseases(comparison.diseases.differences, comparison.diseases.overall)
    shown = parts(replace(comparison, diseases=diseases), COLOURS)
    assert len(_of(shown, Table)) == 1
    assert "Dotted" not in _of(shown, Figure)[1].caption


def test_incident_disease_without_a_hit_is_told(comparison):
    incident = {
        arm: table.assign(bonferroni=1.0) for arm, table in comparison.diseases.incident.items()
    }
    shown = parts(
        replace(comparison, diseases=replace(comparison.diseases, incident=incident)), COLOURS
    )
    tested = int(next(iter(incident.values()))["neg_log10_p"].notna().sum())
    assert shown[-1].text == (
        f"Of {tested} incident phecodes, none passes Bonferroni's correction."
    )


def test_the_finding_says_how_far_the_arms_differ(comparison):
    (text,) = findings(comparison)
    assert "5 of 44 in registered and 0 of 44 in native" in text
    assert "differs by 0.99 (0.54 to 1.44) on average" in text
    nothing = pd.Series({"phecodes": 0, "difference": np.nan, "low": np.nan, "high": np.nan})
    diseases = replace(comparison.diseases, overall=nothing)
    assert "differs" not in findings(replace(comparison, diseases=diseases))[0]
