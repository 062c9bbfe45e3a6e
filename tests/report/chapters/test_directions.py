import re

import pytest

from regreveal.errors import InputError
from regreveal.report.chapters.directions import findings, parts
from regreveal.report.folder.run import read_run
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Table


@pytest.fixture(scope="module")
def comparison(full_run):
    return read_run(full_run).comparisons[0]


@pytest.fixture(scope="module")
def shown(comparison):
    return parts(comparison, dict.fromkeys(comparison.arms, "#000000"))


def test_arm_with_directions_has_one_figure_of_all_of_them(shown, tmp_path):
    (figure,) = [part for part in shown if isinstance(part, Figure)]
    assert figure.name == "alignment-registered-directions"
    assert figure.files[-1] == "comparisons/alignment/registered/directions/02.npz"
    figure.draw(path=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert (tmp_path / "figure.pdf").exists()


def test_arm_without_and_directions_not_decoded_are_named(shown):
    texts = " ".join(part.text for part in shown if isinstance(part, Text))
    assert "The native arm has no locus and no associated phecode to decode." in texts
    assert "Condition 1 2 (102.2) of the registered arm is not decoded: fewer than 20" in texts


def test_tables_tell_effects_and_checks_and_hide_small_counts(shown):
    sizes, beliefs = (
        [
            dict(zip((c.title for c in table.columns), (cell.text for cell in row), strict=True))
            for row in table.rows
        ]
        for table in shown
        if isinstance(table, Table)
    )
    assert [row["Direction"] for row in sizes] == ["SCN5A (rs1010)", "Condition 1 1 (101.1)"]
    assert [row["Direction"] for row in beliefs] == [row["Direction"] for row in sizes]
    assert sizes[0]["Effect, SD"] == "0.35 per G allele"
    assert sizes[0]["Scores"] == "−0.20 / 0.20 / –"
    assert sizes[0]["Beyond"] == "<5"
    assert beliefs[0]["Distance"] == "2.9 (4.3)"
    assert (beliefs[0]["Slope"], beliefs[0]["Likeness"]) == ("0.92", "0.96")


def test_finding_says_how_far_pictures_are_like_people(comparison):
    (told,) = findings(comparison)
    assert re.search(r"correlation of 0\.96 for 2 directions of registered\.", told)


def test_run_without_the_tensors_is_refused_in_one_line(copy_of_run):
    file = copy_of_run / "comparisons/alignment/registered/directions/02.npz"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match=r"02\.npz: cannot be read"):
        read_run(copy_of_run)
    file.unlink()
    with pytest.raises(InputError, match=r"02\.npz: no such file"):
        read_run(copy_of_run)
