"""The chapters on clusters of lead variants, and on what the modalities of a fusion see."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.genetics.clusters.modality_groups import group_by_modality
from regreveal.report.chapters import clusters
from regreveal.report.chapters.modalities import modality_parts
from regreveal.report.folder.clusters import read_clusters, read_modality_groups
from regreveal.report.folder.comparison import read_comparison
from regreveal.report.folder.run import FusionRun
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Table

ARMS = ("native", "registered")
COLOURS = {"native": "#D55E00", "registered": "#0072B2"}


@pytest.fixture(scope="module")
def comparison(full_run):
    settings = {"baseline": ARMS[0], "against": ARMS[1]}
    folder = full_run / "comparisons/alignment"
    return read_comparison(folder, "alignment", settings, {"clusters": {}, "gwas": {}})


def cells(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_each_arm_and_both_together_are_shown(comparison, tmp_path):
    parts = clusters.parts(comparison, COLOURS)
    figures = {part.name: part for part in parts if isinstance(part, Figure)}
    assert set(figures) == {
        "alignment-registered-clusters",
        "alignment-cluster-heights",
        "alignment-tanglegram",
        "alignment-cluster-pair",
    }
    for figure in figures.values():
        figure.draw(path=tmp_path / f"{figure.name}.png")
        assert (tmp_path / f"{figure.name}.png").stat().st_size > 5000
    texts = [part.text for part in parts if isinstance(part, Text)]
    assert "The native arm has 1 locus; clusters need at least two." in texts


def test_tables_say_what_the_files_say(comparison):
    parts = [part for part in clusters.parts(comparison, COLOURS) if isinstance(part, Table)]
    of_arm, agreement, truth = parts
    found = comparison.clusters["registered"]
    assert len(of_arm.rows) == found.clusters["cluster"].max()
    assert f"cut at a distance of {found.summary['height']:.2f}, midway" in of_arm.caption
    row = comparison.shared_clusters.agreement.iloc[0]
    assert cells(agreement)[0][0] == str(row["variants"])
    assert cells(agreement)[0][3].startswith(f"{row['rand_index']:.2f} (".replace("-", "−"))
    assert cells(truth) == [
        ["registered", "its own", "12", "4", "5", "0.81 (0.70 to 0.90)", "1 × 10⁻⁴", "0.90"]
    ]
    assert truth.note == "Up to 1 lead variant of a row, near no planted one, is not counted."


def test_the_summary_names_clusters_and_the_planted_grouping(comparison):
    told = " ".join(clusters.findings(comparison))
    count = comparison.clusters["registered"].clusters["cluster"].nunique()
    assert f"of the registered arm fall into {count} clusters of like direction" in told
    assert "the adjusted Rand index of these clusters is 0.81 in registered." in told


def test_where_nothing_is_planted_or_compared_nothing_is_said_of_it(comparison):
    shared = comparison.shared_clusters
    bare = replace(shared, agreement=shared.agreement[:0], truth=shared.truth[:0])
    bare = replace(comparison, shared_clusters=bare)
    names = [part.name for part in clusters.parts(bare, COLOURS) if isinstance(part, Figure)]
    assert names == ["alignment-registered-clusters", "alignment-cluster-heights"]
    assert "Rand" not in " ".join(clusters.findings(bare))


def test_heights_are_not_drawn_of_two_variants(comparison):
    found = comparison.clusters["registered"]
    pair = replace(found, clusters=found.clusters[:2], table=found.table[:0])
    of_two = replace(comparison, clusters={"registered": pair})
    names = [part.name for part in clusters.parts(of_two, COLOURS) if isinstance(part, Figure)]
    assert "alignment-cluster-heights" not in names


def test_an_empty_folder_is_an_arm_without_clusters_and_half_a_folder_is_refused(tmp_path):
    assert read_clusters(tmp_path / "nowhere") is None
    (tmp_path / "clusters").mkdir()
    assert read_clusters(tmp_path / "clusters") is None
    (tmp_path / "clusters/cosines.tsv").write_text("variant_id\n")
    with pytest.raises(InputError, match=r"clusters\.tsv: no such file"):
        read_clusters(tmp_path / "clusters")


@pytest.fixture
def fusion(tmp_path):
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.4, (3, 800)).astype(np.int8)
    effects = 0.6 * np.eye(3, 6)
    one = rng.standard_normal((800, 6)) + dosages.T @ effects
    effects[1] = 0
    other = rng.standard_normal((800, 6)) + dosages.T @ effects
    variants = pd.DataFrame({"variant_id": ["rs1", "rs2", "rs3"], "gene": ["A", "B", ""]})
    groups = group_by_modality(
        {"ecg": one, "cine": other}, dosages, variants.assign(found_in="ecg"), transform="none"
    )
    groups.to_csv(tmp_path / "modality_groups.tsv", sep="\t", index=False, na_rep="NA")
    return FusionRun("heart", ["ecg", "cine"], pd.DataFrame(), read_modality_groups(tmp_path))


def test_modality_groups_are_counted_drawn_and_listed(fusion, tmp_path):
    heading, told, figure, table = modality_parts(fusion)
    assert heading.text == "heart: what ecg and cine see"
    assert told.text == (
        "Of 3 lead variants of either arm: 2 shared, 1 only ecg, 0 only cine and 0 unclear."
    )
    figure.draw(path=tmp_path / "groups.png")
    assert [row[:2] for row in cells(table)][-1] == ["B", "only ecg"]
    assert {row[0] for row in cells(table)} == {"A", "B", "rs3"}


def test_a_fusion_that_was_not_looked_at_has_no_part(fusion, tmp_path):
    nothing = read_modality_groups(tmp_path / "elsewhere")
    assert modality_parts(replace(fusion, modality_groups=nothing)) == []
