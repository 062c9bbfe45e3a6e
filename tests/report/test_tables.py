"""Tables: hidden counts, and bold only where the interval allows it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regreveal.report.chapters.diseases import phewas_table
from regreveal.report.chapters.genome import loci_table, truth_table
from regreveal.report.chapters.latents import retrieval_table
from regreveal.report.chapters.left_out import dropped_table
from regreveal.report.chapters.probes import probe_table
from regreveal.report.folder.run import FusionRun
from regreveal.report.tables import MOST_ROWS, Cell, hide_small, number, with_interval


@given(st.integers(1, 4))
def test_one_to_four_participants_are_not_counted_out(count):
    assert hide_small(count) == "<5"


@given(st.one_of(st.just(0), st.integers(5, 10**9)))
def test_other_numbers_of_participants_are_written_out(count):
    assert hide_small(count).replace(",", "") == str(count)


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_counts_out_of_a_data_frame_are_hidden_too(kind):
    assert hide_small(kind(4)) == "<5"
    assert hide_small(kind(1234)) == "1,234"


@pytest.mark.parametrize(
    ("count", "told"),
    [(2990, "2,990"), (2989, "≥2,986"), (2986, "≥2,986"), (2985, "2,985"), (4, "<5")],
)
def test_one_to_four_others_are_not_to_be_counted_out(count, told):
    assert hide_small(count, of=2990) == told


def test_a_negative_count_is_a_defect():
    with pytest.raises(ValueError, match="-1"):
        hide_small(-1)


def test_numbers_have_true_minus_signs_and_a_dash_where_there_is_none():
    assert number(-0.12345) == "−0.123"
    assert number(np.nan) == number(np.inf) == "–"
    assert with_interval(0.5, -0.1, 0.61, 2) == "0.50 (−0.10 to 0.61)"
    assert with_interval(np.nan, np.nan, np.nan) == "–"


def _probes(difference: float, low: float, high: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    scores = [
        {"arm": arm, "target": "age", "score": score, "low": score - 0.1, "high": score + 0.1}
        for arm, score in (("native", 0.3), ("aligned", 0.3 + difference))
    ]
    differences = [
        {"target": "age", "metric": "r2", "n": 50, "arm": "aligned", "reason": ""}
        | {"difference": difference, "low": low, "high": high, "p_corrected": 0.04}
    ]
    return pd.DataFrame(scores), pd.DataFrame(differences)


@pytest.mark.parametrize(
    ("interval", "native_bold", "aligned_bold"),
    [
        ((0.2, 0.05, 0.35), False, True),
        ((-0.2, -0.35, -0.05), True, False),
        ((0.2, -0.05, 0.45), False, False),
        ((np.nan, np.nan, np.nan), False, False),
    ],
)
def test_an_arm_is_bold_only_where_the_interval_leaves_out_zero(
    interval, native_bold, aligned_bold
):
    native, aligned = probe_table(*_probes(*interval), "native", "aligned", 100).rows[0][3:5]
    assert (native.strong, aligned.strong) == (native_bold, aligned_bold)


def test_planted_variants_have_a_tick_where_found():
    truth = pd.DataFrame(
        {"gene": ["TTN", "MYH6"], "trait": "p_amplitude", "chromosome": "2", "position": 1000}
    ).assign(variance_explained=0.04, oracle=True, neg_log10_p_oracle=[20.0, 30.0])
    truth = truth.assign(aligned=[False, True], neg_log10_p_aligned=[5.1, 12.0])
    rows = truth_table(truth, ["aligned"]).rows
    assert [row[0].text for row in rows] == ["MYH6", "TTN"]
    assert [row[-1].text for row in rows] == ["✓ 12.0", "5.1"]
    assert [row[-1].strong for row in rows] == [True, False]


def test_a_long_table_shows_its_strongest_and_says_where_the_rest_is():
    count = MOST_ROWS + 7
    loci = pd.DataFrame({"neg_log10_p": np.arange(count) + 8.0, "chromosome": "1", "position": 5})
    loci = loci.assign(variant_id="rs1", ref="A", alt="C", alt_frequency=0.2, n_variants=3)
    table = loci_table(loci.assign(nearest_gene=""), "aligned")
    assert len(table.rows) == MOST_ROWS
    assert table.rows[0][5].text == f"{count + 7:.1f}"
    assert table.note == "7 more loci are in loci.tsv."


def test_retrieval_among_few_tells_no_counts():
    retrieval = pd.DataFrame([("a", "b", 3, 1 / 3, 1.0), ("b", "a", 50, 0.5, 0.9)])
    table = retrieval_table([FusionRun("heart", ["a", "b"], retrieval, pd.DataFrame())])
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["heart", "a → b", "<5", "–", "–"],
        ["heart", "b → a", "50", "50.0 (2.0)", "90.0 (20.0)"],
    ]


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([30, 3, 9], ["30", "<5", "not told"]),
        ([30, 3, 1], ["30", "<5", "<5"]),
        ([3], ["<5"]),
        ([30, 9], ["30", "9"]),
    ],
)
def test_a_hidden_count_does_not_follow_from_how_many_an_arm_left_out_in_all(counts, told):
    dropped = pd.DataFrame({"stage": "registration", "arm": "a", "reason": "", "count": counts})
    assert [row[-1].text for row in dropped_table(dropped).rows] == told


def test_small_groups_are_hidden_in_every_table_that_counts_people():
    dropped = pd.DataFrame({"stage": "gwas", "arm": ["a", "b"], "reason": "why", "count": [3, 30]})
    assert [row[-1].text for row in dropped_table(dropped).rows] == ["<5", "30"]
    scan = pd.DataFrame(
        {"name": "Gout", "category": "other", "n_cases": 2, "n_controls": 1, "odds_ratio": 2.0}
        | {"low": 1.5, "high": 2.5, "neg_log10_p": 9.0, "bonferroni": 0.001},
        index=["274"],
    )
    differences = pd.DataFrame(
        {"difference": 0.2, "low": 0.1, "high": 0.3, "q_value": 0.01}, index=["274"]
    )
    row = phewas_table({"native": scan}, ["274"], differences, 500).rows[0]
    assert row[2].text == "<5 / <5"
    scores, differences = _probes(0.1, 0.0, 0.2)
    table = probe_table(scores, differences.assign(n=4), "native", "aligned", 100)
    assert table.rows[0][2].text == "<5"


def test_people_without_a_value_do_not_follow_from_how_many_have_one():
    scores, differences = _probes(0.1, 0.0, 0.2)
    table = probe_table(scores, differences.assign(n=97), "native", "aligned", 100)
    assert table.rows[0][2].text == "≥96"
    scan = pd.DataFrame(
        {"name": "Gout", "category": "other", "n_cases": 30, "n_controls": 468, "odds_ratio": 2.0}
        | {"low": 1.5, "high": 2.5, "neg_log10_p": 9.0, "bonferroni": 0.001},
        index=["274"],
    )
    differences = pd.DataFrame(
        {"difference": 0.2, "low": 0.1, "high": 0.3, "q_value": 0.01}, index=["274"]
    )
    assert phewas_table({"native": scan}, ["274"], differences, 500).rows[0][2].text == "30 / ≥466"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (Cell("0.512 (0.480 to 0.544)"), 0.512),
        (Cell("−0.3"), -0.3),
        (Cell("1,234"), 1234),
        (Cell("✓ 12.0"), 12),
        (Cell("12 of 14"), 12),
        (Cell("<5"), 2.5),
        (Cell("–"), None),
        (Cell("≤0.0001"), 1e-4),
        (Cell("3 × 10⁻⁸"), 3e-8),
        (Cell("< 10⁻²¹⁴"), 1e-214),
        (Cell("12.5 × 10³"), 12500),
        (Cell("p = 0.01"), None),
        (Cell("X: 5,000", value=23e9), 23e9),
        (Cell("3 × 10⁻⁸", value=3e-8), 3e-8),
        (Cell("none", value=np.nan), None),
    ],
)
def test_a_cell_is_sorted_by_its_value_or_the_number_it_begins_with(cell, value):
    assert cell.sorted_by == value


def test_variants_are_sorted_along_the_genome():
    places = [("10", 5), ("2", 9), ("X", 1), ("2", 8)]
    loci = pd.DataFrame(places, columns=["chromosome", "position"]).assign(
        variant_id="rs1", ref="A", alt="C", alt_frequency=0.2, n_variants=3, nearest_gene=""
    )
    rows = loci_table(loci.assign(neg_log10_p=9.0), "aligned").rows
    ordered = sorted((row[2] for row in rows), key=lambda cell: cell.sorted_by)
    assert [cell.text for cell in ordered] == ["2: 8", "2: 9", "10: 5", "X: 1"]
