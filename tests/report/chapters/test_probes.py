from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from regreveal.phenome.probes.run import run_probes
from regreveal.report.chapters.probes import gains_table, measures_table, parts, probe_table
from regreveal.report.folder.probes import Probes, read_probes
from regreveal.report.parts import Figure, Text
from regreveal.store.cohort import make_splits, write_table

ARMS = ("native", "registered")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the probes of a comparison leave, where the registered arm knows more."""
    folder = tmp_path_factory.mktemp("comparison")
    generator = np.random.default_rng(1)
    n = 200
    ids = pd.Index([f"person-{i}" for i in range(n)], name="sample_id")
    latents = generator.normal(size=(n, 3))
    interval = 90 + 10 * latents[:, 0] + 2 * generator.normal(size=n)
    sex = np.where(latents[:, 1] + 0.4 * generator.normal(size=n) > 0, "male", "female")
    targets = pd.DataFrame({"qrs_duration": interval, "sex": sex, "constant": 1.0}, index=ids)
    folds = make_splits(ids, {"train": 0.0, "validation": 0.0, "analysis": 1.0}, 1)
    found = run_probes(
        {"native": generator.normal(size=(n, 3)), "registered": latents},
        targets,
        folds.set_index("sample_id")["fold"],
        units={"qrs_duration": "ms"},
        covariates=pd.DataFrame({"age": generator.normal(size=n), "sex": sex}, index=ids),
        floor=True,
        true_traits=pd.DataFrame({"qrs_duration": interval}, index=ids),
    )
    tables = {
        "probes": found.scores,
        "probe_differences": found.differences,
        "probe_means": found.means,
        "probe_calibration": found.calibration,
        "probe_gains": found.adjusted.gains,
        "probe_gain_differences": found.adjusted.differences,
    }
    for name, table in tables.items():
        write_table(table, folder / f"{name}.tsv")
    return folder


@pytest.fixture(scope="module")
def probes(folder) -> Probes:
    return read_probes(folder, adjusted=True)


def _rows(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_table_gives_the_difference_with_its_corrected_p_and_says_what_was_not_scored(probes):
    table = probe_table(probes.scores, probes.differences, *ARMS, 200)
    of_interval, of_sex, of_constant = _rows(table)
    assert of_interval[:3] == ["QRS duration", "R²", "200"]
    assert of_interval[-1] == "≤0.0001"
    assert [cell.strong for cell in table.rows[0]][3:5] == [False, True]
    assert of_sex[1] == "ROC AUC"
    assert of_constant[3:] == ["–"] * 4
    assert "constant: constant, in all participants" in table.note


def test_errors_are_told_in_units_beside_those_of_knowing_nothing(probes):
    of_interval, of_sex = _rows(measures_table(probes.scores, *ARMS))
    assert of_interval[1:4] == ["continuous", "RMSE", "ms"]
    native, registered = map(float, of_interval[5].split(" → "))
    assert registered < 3 < 9 < float(of_interval[4]) < native + 2
    assert of_interval[6] == "–"
    assert float(of_interval[-1]) > 0.9
    assert of_sex[1:4] == ["binary", "Average precision", ""]
    assert float(of_sex[5].split(" → ")[1]) > float(of_sex[4])


def test_gains_over_covariates_leave_the_target_itself_out(probes):
    of_interval, of_sex, _ = _rows(gains_table(probes.gains, probes.gain_differences, *ARMS))
    assert of_interval[1] == "age and sex"
    assert of_sex[1] == "age"
    assert of_interval[2].startswith("R² ")
    assert float(of_interval[4].split()[0]) > 0.8


def test_figures_are_drawn_of_what_the_tables_hold(probes, tmp_path):
    comparison = SimpleNamespace(
        name="alignment", arms=ARMS, probes=probes, participants=200, file=lambda name: name
    )
    colours = dict(zip(ARMS, ("#D55E00", "#0072B2"), strict=True))
    shown = parts(comparison, colours)
    figures = [part for part in shown if isinstance(part, Figure)]
    assert [figure.name for figure in figures] == ["alignment-probes", "alignment-calibration"]
    assert "shuffled labels" in figures[0].caption
    assert "planted traits" in figures[0].caption
    for figure in figures:
        figure.draw(path=tmp_path / f"{figure.name}.png")
        assert (tmp_path / f"{figure.name}.png").stat().st_size > 5000
        assert (tmp_path / f"{figure.name}.pdf").exists()
    assert any(isinstance(part, Text) and "On average" in part.text for part in shown)


def test_without_gains_and_classes_there_are_none_in_the_chapter(folder):
    probes = read_probes(folder)
    assert probes.gains is None
    only_numbers = Probes(
        probes.scores, probes.differences, probes.means, probes.calibration.iloc[:0]
    )
    comparison = SimpleNamespace(
        name="alignment", arms=ARMS, probes=only_numbers, participants=200, file=lambda name: name
    )
    titles = [part.title for part in parts(comparison, {}) if not isinstance(part, Text)]
    assert not any("covariates" in title or "probabilities" in title for title in titles)
