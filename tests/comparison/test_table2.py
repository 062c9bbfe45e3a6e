"""Table 2: what the files of a run say of each arm, and nothing else."""

import json
import math
import shutil
import tomllib

import numpy as np
import pandas as pd
import pytest

from regreveal.comparison.arm_costs import arm_costs, made_by
from regreveal.comparison.table2 import COLUMNS, make_table2
from tests.report.run_folder import TARGETS, make_run_folder

SECONDS = {
    "data": 50.0,
    "arms/registered/fit registration": 1.0,
    "arms/registered/register": 10.0,
    "arms/registered/train": 20.0,
    "arms/registered/embed": 3.0,
    "arms/native/train": 40.0,
    "arms/native/embed": 4.0,
    "arms/phase/fit registration": 60.0,
    "arms/phase/register": 6.0,
    "arms/phase/embed": 0.5,
    "fusions/heart/train": 70.0,
    "arms/ecg_fused/embed": 2.0,
    "comparisons/alignment/probes": 0.8,
    "comparisons/alignment/registered/gwas": 12.0,
    "comparisons/alignment/registered/phewas": 0.3,
    "comparisons/alignment/registered/clusters": 0.2,
    "comparisons/alignment/registered/directions": 0.1,
    "comparisons/alignment/registered_too/gwas": 1000.0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with two comparisons, fused arms and arms that are in no comparison."""
    return make_run_folder(tmp_path_factory.mktemp("runs") / "run", fusion=True)


@pytest.fixture(scope="module")
def stages():
    return {name: {"seconds": s, "finished": True} for name, s in SECONDS.items()}


def table_of(run, stages=None):
    experiment = tomllib.loads((run / "experiment.toml").read_text())
    return make_table2(run, experiment, stages or {})


def test_every_arm_has_a_row_in_each_of_its_comparisons_and_one_where_it_has_none(run):
    table = table_of(run)
    assert list(table.columns) == list(COLUMNS)
    assert table[["comparison", "arm", "baseline"]].to_numpy().tolist() == [
        ["alignment", "native", ""],
        ["alignment", "registered", "native"],
        ["fused", "registered", ""],
        ["fused", "ecg_fused", "registered"],
        ["", "cine_fused", ""],
        ["", "number", ""],
        ["", "phase", ""],
    ]
    assert "in no comparison" in table.iloc[4]["empty"]
    assert table.iloc[4:][["r2", "auc"]].isna().all(axis=None)


def test_scores_are_those_of_the_probes_and_the_difference_is_of_the_arm_compared(run):
    native, registered = table_of(run).to_dict("records")[:2]
    numbers = np.array([scores for metric, *scores in TARGETS.values() if metric == "r2"])
    assert [native["r2"], registered["r2"]] == pytest.approx(numbers.mean(axis=0))
    assert registered["r2_targets"] == len(numbers)
    difference = np.diff(numbers.mean(axis=0)).item()
    assert registered["r2_difference"] == pytest.approx(difference)
    assert registered["r2_difference_low"] == pytest.approx(difference - 0.02)
    assert registered["r2_p"] == 0.001
    assert math.isnan(native["r2_difference"])
    told_apart = [after - before for _, before, after in TARGETS.values()]
    told_apart = [d for d in told_apart if abs(d) > 0.04]
    assert registered["targets_better"] == sum(d > 0 for d in told_apart)
    assert registered["targets_worse"] == sum(d < 0 for d in told_apart)


def test_the_interval_of_a_mean_is_told_where_the_probes_give_one(run, tmp_path):
    folder = tmp_path / "run"
    make_run_folder(folder)
    file = folder / "comparisons/alignment/probe_means.tsv"
    means = pd.read_csv(file, sep="\t")
    means = means.assign(score_low=0.1, score_high=0.2, baseline_low=0.3, baseline_high=0.4)
    means.to_csv(file, sep="\t", index=False)
    native, registered = table_of(folder).to_dict("records")[:2]
    assert (registered["r2_low"], registered["r2_high"]) == (0.1, 0.2)
    assert (native["auc_low"], native["auc_high"]) == (0.3, 0.4)
    assert math.isnan(table_of(run).loc[0, "r2_low"])


def test_loci_phecodes_and_planted_variants_are_counted_in_the_files(run):
    folder = run / "comparisons/alignment"
    for row in table_of(run).to_dict("records")[:2]:
        loci = pd.read_csv(folder / row["arm"] / "gwas/loci.tsv", sep="\t")
        phewas = pd.read_csv(folder / row["arm"] / "phewas/phewas.tsv", sep="\t")
        truth = pd.read_csv(folder / "truth.tsv", sep="\t")
        assert row["loci"] == len(loci)
        assert row["planted"] == 20
        assert row["planted_found"] == truth[row["arm"]].sum()
        assert row["planted_share"] == pytest.approx(truth[row["arm"]].mean())
        assert row["phecodes_tested"] == phewas["neg_log10_p"].count()
        assert row["phecodes_bonferroni"] == (phewas["bonferroni"] < 0.05).sum()
        assert row["lambda_gc"] == 1.013


def test_loci_that_are_shared_replicated_and_found_again_are_those_of_the_other_analyses(tmp_path):
    run = make_run_folder(tmp_path / "run")
    folder = run / "comparisons/alignment"
    places = pd.DataFrame(
        {
            "class": ["shared", "unique", "weaker in the other", "unique"],
            "loci_native": [1, 0, 0, 2],
            "loci_registered": [2, 1, 3, 0],
        }
    )
    places.to_csv(folder / "shared_loci.tsv", sep="\t", index=False)
    shutil.rmtree(folder / "native/replication")
    summary = pd.DataFrame(
        {
            "discovery": ["1", "2", "either"],
            "tested": [5, 6, 9],
            "joint_replicated": [4, 3, 6],
            "direction_replicated": [4, 5, 8],
        }
    )
    summary.to_csv(folder / "registered/replication/summary.tsv", sep="\t", index=False)
    told = {"seeds": [1, 2, 3], "places_in_any": 25, "places_in_all": 12}
    (folder / "registered/recurrence.json").write_text(json.dumps(told))
    native, registered = table_of(run).to_dict("records")
    kinds = ("loci_shared", "loci_weaker", "loci_unique")
    assert [native[kind] for kind in kinds] == [1, 0, 2]
    assert [registered[kind] for kind in kinds] == [2, 3, 1]
    assert registered["loci_tested_again"] == 9
    assert registered["loci_replicated"] == 6
    assert registered["loci_replicated_direction"] == 8
    assert registered["seeds"] == 3
    assert (registered["loci_in_all_seeds"], registered["loci_in_any_seed"]) == (12, 25)
    assert pd.isna(native["loci_replicated"])
    assert "replication: not made" in native["empty"]
    assert "replication" not in registered["empty"]


def test_sizes_are_of_one_participant(run):
    row = table_of(run).loc[0]
    assert row["shape"] == "5000 × 12"
    assert row["tensor_values"] == 60_000
    assert row["reduction"] == 60_000 / 16


def test_bytes_are_those_on_disk(tmp_path):
    run = make_run_folder(tmp_path / "run", genetics=False)
    arm = run / "arms/native"
    described = json.loads((arm / "arm.json").read_text()) | {"tensor_bytes": 240_000.0}
    (arm / "arm.json").write_text(json.dumps(described))
    pd.DataFrame({"latent_0": np.zeros(50)}).to_parquet(arm / "embedding.parquet")
    size = (arm / "embedding.parquet").stat().st_size / 50
    row = table_of(run).loc[0]
    assert row["embedding_bytes"] == size
    assert row["reduction_bytes"] == pytest.approx(240_000 / size)
    assert math.isnan(table_of(run).loc[1, "reduction_bytes"])


def test_what_was_not_asked_for_stays_empty_and_is_named(tmp_path):
    run = make_run_folder(tmp_path / "run", genetics=False)
    table = table_of(run)
    assert table[["loci", "phecodes_tested", "planted", "lambda_gc"]].isna().all(axis=None)
    assert table["r2"].notna().all()
    for what in ("GWAS", "PheWAS", "planted loci", "memory"):
        assert (table["empty"].str.count(rf"\b{what}: ") == 1).all()
    assert not table["empty"].str.contains("probes").any()


def test_seconds_are_of_the_stages_that_made_an_arm_and_of_its_own_analyses(run, stages):
    native, registered, _, fused, *_, phase = table_of(run, stages).to_dict("records")
    assert math.isnan(native["seconds_registration"])
    assert native["seconds_training"] == 40.0
    assert registered["seconds_registration"] == 11.0
    assert registered["seconds_gwas"] == 12.0
    assert registered["seconds_phewas"] == 0.3
    assert registered["seconds_other"] == pytest.approx(0.3)
    assert native["seconds_probes"] == registered["seconds_probes"] == 0.8
    # It goes on from the registered arm, and its encoder was trained in the fusion.
    assert fused["seconds_registration"] == 11.0
    assert fused["seconds_training"] == 70.0
    # A registration that gives latents is the training of a network.
    assert math.isnan(phase["seconds_registration"])
    assert phase["seconds_training"] == 60.0
    assert phase["seconds_embedding"] == 6.5


def test_an_unfinished_stage_and_one_of_another_comparison_do_not_count(run, stages):
    described = {
        "a": {"registration": None, "latents_by": "autoencoder", "fusion": None, "after": None}
    }
    stages = {
        "arms/a/train": {"seconds": 5.0, "finished": True, "peak_memory_mib": 800},
        "arms/a/embed": {"finished": False},
        "comparisons/x/a/gwas": {"seconds": 7.0, "finished": True, "peak_memory_mib": None},
        "comparisons/y/a/gwas": {"seconds": 9.0, "finished": True, "peak_memory_mib": 9000},
    }
    costs, empty = arm_costs(stages, described, "a", "x")
    assert costs["seconds_training"] == 5.0
    assert math.isnan(costs["seconds_embedding"])
    assert costs["seconds_gwas"] == 7.0
    assert costs["peak_memory_mib"] == 800
    assert not empty


def test_registrations_are_named_in_their_order():
    arm = {"registration": None, "fusion": None, "after": None}
    described = {
        "native": arm,
        "moved": arm | {"registration": "Affine"},
        "warped": arm | {"registration": "VoxelMorph", "after": "moved"},
        "fused": arm | {"fusion": "head", "after": "warped"},
    }
    named = [made_by(described, name) for name in described]
    assert named == [
        "none",
        "Affine",
        "Affine, then VoxelMorph",
        "Affine, then VoxelMorph, then DropFuse (head)",
    ]
