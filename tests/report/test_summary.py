"""The summary says what the numbers say, also where registration does not win."""

import dataclasses
import re

import numpy as np
import pytest

from regreveal.report.chapters.contents import make_contents
from regreveal.report.folder.run import read_run
from regreveal.report.parts import Group, Text
from regreveal.report.summary import answers, glance_table, lead, not_made
from regreveal.report.words import listed, plural

from .run_folder import TARGETS


def _with(run, **changes):
    comparison = dataclasses.replace(run.comparisons[0], **changes)
    return dataclasses.replace(run, comparisons=[comparison])


def _with_truth(run, summary):
    return _with(run, truth=dataclasses.replace(run.comparisons[0].truth, summary=summary))


def _found(run, native, registered):
    """Let the two arms have found so many planted loci."""
    truth = run.comparisons[0].truth.summary.copy()
    truth.loc[truth["arm"] == "registered", "found"] = registered
    truth.loc[truth["arm"] == "native", "found"] = native
    return _with_truth(run, truth)


def _undecided(run):
    """Let no phenotype be told apart."""
    probes = run.comparisons[0].probes
    differences = probes.differences.assign(q_value=0.06)
    return _with(run, probes=dataclasses.replace(probes, differences=differences))


def _sentences(run):
    groups = [chapter for chapter in make_contents(run) if isinstance(chapter, Group)]
    return [sentence for group in groups for sentence in group.findings]


@pytest.fixture(scope="module")
def run(full_run):
    return read_run(full_run)


def test_it_counts_planted_loci_found_by_each(run):
    summary = run.comparisons[0].truth.summary.set_index("arm")
    text = " ".join(_sentences(run))
    told = re.search(
        r"Of the (\d+) planted [^.]*arm found (\d+) [^.]*arm (\d+); [^.]*found (\d+)\.", text
    )
    expected = [20, *(summary.loc[arm, "found"] for arm in ("registered", "native", "oracle"))]
    assert [int(count) for count in told.groups()] == expected
    assert "1 locus of registered" in text


@pytest.mark.parametrize(("found", "words"), [(0, "did worse"), (1, "Neither did better")])
def test_it_says_so_where_registration_does_not_find_more(run, found, words):
    assert words in " ".join(_sentences(_found(run, 1, found)))


def test_it_names_what_registration_gives_up(run):
    text = " ".join(_sentences(run))
    assert "1 worse (heart rate)" in text
    assert "heart rate (R² 0.08 against 0.62)" in text
    open_targets = [n for n, (_, a, b) in TARGETS.items() if abs(a - b) <= 0.04]
    assert open_targets == ["bmi", "smoking"]
    assert "for BMI and smoking the arms could not be told apart" in text
    (answer,) = answers(run)
    assert "Predicted better as recorded: heart rate (alignment)." in answer.sentences


def test_it_does_not_claim_a_win_without_one(run):
    text = " ".join(_sentences(_undecided(run)))
    assert "predicts none better than the native arm and none worse" in text
    assert "gives up" not in text


def test_an_oracle_that_found_nothing_means_that_nothing_can_be_said(run):
    truth = run.comparisons[0].truth.summary.assign(found=0, share_of_oracle=np.nan)
    text = " ".join(_sentences(_with_truth(run, truth)))
    assert "do not allow the arms to be compared" in text
    assert "Neither" not in text


def test_it_says_what_was_not_asked_for(probes_run):
    text = " ".join(not_made(read_run(probes_run)))
    for analysis in ("a latent GWAS", "a PheWAS", "clusters of variants"):
        assert analysis in text
    assert "linear probes" not in text


def test_failed_registrations_are_told_and_few_are_hidden(run):
    arm = run.arms["registered"]
    for failed, words in ((15, "15 by"), (2, "fewer than 5 by"), (0, "none by")):
        changed = dataclasses.replace(arm, description=arm.description | {"n_failed": failed})
        arms = run.arms | {"registered": changed}
        chapters = {c.anchor: c for c in make_contents(dataclasses.replace(run, arms=arms))}
        texts = [p.text for p in chapters["recordings"].parts if isinstance(p, Text)]
        assert f"{words} QRSAlignment (registered)" in texts[-1]


def test_words_are_joined_as_in_a_sentence():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [plural(n, "locus", "loci") for n in (0, 1, 2)] == ["no loci", "1 locus", "2 loci"]


def test_an_arm_that_overfits_is_told(run):
    text = " ".join(_sentences(run))
    assert "The native autoencoder was at its best after 600 of 2,000 steps" in text
    assert "registered autoencoder was at its best" not in text


def test_the_question_is_answered_from_the_counts(run):
    (answer,) = answers(run)
    assert answer.title == "Does registration reveal more?"
    assert answer.verdict == "In these data, yes."
    found = run.comparisons[0].truth.summary.set_index("arm")["found"]
    told = f"Planted loci found (of 20): {found['registered']} registered, {found['native']} as"
    assert answer.sentences[0].startswith(told)


def test_it_says_no_where_registration_does_not_win_and_in_part_where_it_wins_some(run):
    phewas = run.comparisons[0].phewas
    alike = _with(_undecided(run), phewas=dict.fromkeys(phewas, phewas["native"]))
    verdicts = [
        answers(_found(changed, 3, registered))[0].verdict
        for changed, registered in ((alike, 1), (alike, 3), (alike, 4), (run, 1))
    ]
    no, same, part, also_part = verdicts
    assert no == "In these data, no."
    assert same == "No difference in these data."
    assert part == also_part == "In part."


def test_fusions_and_phases_do_not_answer_for_registration(images_run):
    run = read_run(images_run)
    registration, others = answers(run)
    assert registration.title == "Does registration reveal more?"
    text = " ".join(others.sentences)
    assert "fused" in text
    assert "fused" not in " ".join(registration.sentences)
    assert "all 4 comparisons" in registration.sentences[0]


def test_the_first_screen_has_a_row_a_comparison_and_signs_whom_it_favours(run):
    (first,) = run.comparisons
    summary = first.truth.summary.assign(found=[15, 9, 2], false=[0, 1, 0])
    truth = dataclasses.replace(first.truth, summary=summary.assign(arm=["oracle", *first.arms]))
    second = dataclasses.replace(first, name="second", truth=truth)
    both = dataclasses.replace(run, comparisons=[first, second])
    table = glance_table(both)
    rows = {
        row[0].text: dict(zip([c.title for c in table.columns], row, strict=True))
        for row in table.rows
    }
    assert list(rows) == ["alignment", "second"]
    assert rows["second"]["Baseline → compared"].text == "native → registered"
    found = first.truth.summary.set_index("arm")["found"]
    told = rows["alignment"]["Planted loci"].text
    assert told.startswith(f"▲ {found['native']} → {found['registered']} of 20")
    assert rows["second"]["Planted loci"].text == "▼ 9 → 2 of 20, 1 false"
    differences = first.probes.differences
    better = (differences["difference"] > 0) & (differences["q_value"] < 0.05)
    told = f"▲ {better.sum()} better, 1 worse of {len(TARGETS)}"
    assert rows["alignment"]["Phenotypes"].text == told


def test_the_lead_counts_people_and_hides_few(run):
    assert "registered against native" in lead(run)
    assert "the same 300 participants" in lead(run)
    assert "the same <5 participants" in lead(_with(run, participants=3))
