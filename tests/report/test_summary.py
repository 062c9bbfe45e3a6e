"""The summary says what the numbers say, also where registration does not win."""

import dataclasses
import re

import numpy as np
import pytest

from regreveal.report.folder.run import read_run
from regreveal.report.summary import glance_table, summarise
from regreveal.report.words import listed, plural

from .run_folder import TARGETS


def _with(run, **changes):
    comparison = dataclasses.replace(run.comparisons[0], **changes)
    return dataclasses.replace(run, comparisons=[comparison])


def _with_truth(run, summary):
    return _with(run, truth=dataclasses.replace(run.comparisons[0].truth, summary=summary))


def _sentences(run):
    return [sentence for findings in summarise(run) for sentence in findings.sentences]


@pytest.fixture(scope="module")
def run(full_run):
    return read_run(full_run)


def test_it_counts_planted_loci_found_by_each(run):
    summary = run.comparisons[0].truth.summary.set_index("arm")
    first = _sentences(run)[0]
    told = re.search(r"Of the (\d+) planted .*arm found (\d+) .*arm (\d+); .*found (\d+)\.", first)
    expected = [20, *(summary.loc[arm, "found"] for arm in ("registered", "native", "oracle"))]
    assert [int(count) for count in told.groups()] == expected
    assert "1 locus of registered" in _sentences(run)[1]


@pytest.mark.parametrize(("found", "words"), [(0, "did worse"), (1, "Neither did better")])
def test_it_says_so_where_registration_does_not_find_more(run, found, words):
    truth = run.comparisons[0].truth.summary.copy()
    truth.loc[truth["arm"] == "registered", "found"] = found
    truth.loc[truth["arm"] == "native", "found"] = 1
    assert words in _sentences(_with_truth(run, truth))[0]


def test_it_names_what_registration_gives_up(run):
    text = " ".join(_sentences(run))
    assert "1 worse (heart rate)" in text
    assert "heart rate (R² 0.08 against 0.62)" in text
    open_targets = [n for n, (_, a, b) in TARGETS.items() if abs(a - b) <= 0.04]
    assert open_targets == ["bmi", "smoking"]
    assert "for BMI and smoking the arms could not be told apart" in text


def test_it_does_not_claim_a_win_without_one(run):
    differences = run.comparisons[0].probes.differences.assign(q_value=0.06)
    text = " ".join(
        _sentences(
            _with(
                run, probes=dataclasses.replace(run.comparisons[0].probes, differences=differences)
            )
        )
    )
    assert "predicts none better than the native arm and none worse" in text
    assert "gives up" not in text


def test_an_oracle_that_found_nothing_means_that_nothing_can_be_said(run):
    truth = run.comparisons[0].truth.summary.assign(found=0, share_of_oracle=np.nan)
    text = " ".join(_sentences(_with_truth(run, truth)))
    assert "do not allow the arms to be compared" in text
    assert "Neither" not in text


def test_it_says_what_was_not_asked_for(probes_run):
    text = " ".join(_sentences(read_run(probes_run)))
    assert "did not ask for a latent GWAS, a PheWAS and clusters of variants" in text
    assert "planted" not in text


def test_failed_registrations_are_told_and_few_are_hidden(run):
    arm = run.arms["registered"]
    for failed, words in (
        (15, "register 15 "),
        (2, "register fewer than 5 "),
        (0, "registered every"),
    ):
        changed = dataclasses.replace(arm, description=arm.description | {"n_failed": failed})
        arms = run.arms | {"registered": changed}
        assert words in " ".join(_sentences(dataclasses.replace(run, arms=arms)))


def test_words_are_joined_as_in_a_sentence():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [plural(n, "locus", "loci") for n in (0, 1, 2)] == ["no loci", "1 locus", "2 loci"]


def test_an_arm_that_overfits_is_told(run):
    text = " ".join(_sentences(run))
    assert "The native autoencoder was at its best after 600 of 2,000 steps" in text
    assert "registered autoencoder was at its best" not in text


def test_clusters_that_are_not_told_apart_are_no_cluster(run):
    clusters = {
        arm: dataclasses.replace(found, clusters=found.clusters.assign(cluster=1, stability=np.nan))
        for arm, found in run.comparisons[0].clusters.items()
    }
    text = " ".join(_sentences(_with(run, clusters=clusters)))
    assert "could not be told apart" in text
    assert "of like direction" not in text


def test_several_comparisons_get_a_heading_and_a_row_each(run):
    assert glance_table(run) is None
    assert [findings.title for findings in summarise(run)] == [""]
    (first,) = run.comparisons
    truth = first.truth.summary.assign(found=[15, 2, 9], false=[0, 1, 0])
    second = dataclasses.replace(
        first, name="second", truth=dataclasses.replace(first.truth, summary=truth)
    )
    both = dataclasses.replace(run, comparisons=[first, second])
    assert [findings.title for findings in summarise(both)] == ["alignment", "second", "All arms"]
    rows = [[cell.text for cell in row] for row in glance_table(both).rows]
    assert [row[:2] for row in rows] == [
        ["alignment", "native → registered"],
        ["second", "native → registered"],
    ]
    by_arm = truth.set_index("arm")
    expected = [by_arm.loc[arm, "found"] for arm in ("native", "registered")]
    assert rows[1][2:6] == [*map(str, expected), "20", str(truth["false"][1:].sum())]
    better = (first.probes.differences["difference"] > 0) & (
        first.probes.differences["q_value"] < 0.05
    )
    assert rows[0][6] == f"{better.sum()} of {len(TARGETS)}"
