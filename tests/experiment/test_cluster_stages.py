"""The stages that cluster lead variants, and look for a fusion's from each modality."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bed_reader import to_bed

from regreveal.experiment.analyses import clusters, modalities
from regreveal.experiment.analyses.clusters import planted_traits
from regreveal.experiment.analysis_settings import Clusters, Gwas
from regreveal.store.embedding import Embedding

PEOPLE, SIZE = 900, 8
IDS = [f"p{i}" for i in range(PEOPLE)]
ARMS = ("native", "registered")
TRAITS = ["pr", "pr", "pr", "qt", "qt", "qt"]
POSITIONS = [(i + 1) * 10_000_000 for i in range(6)]


class Manifest:
    """Runs every stage at once."""

    def __init__(self, folder):
        self.folder, self.used = folder, []

    def run(self, name, work, **_):
        self.used.append(name)
        work()


@pytest.fixture
def run(tmp_path):
    """Two arms of which the second knows two traits, each of three variants."""
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.35, (PEOPLE, 6)).astype(np.int8)
    directions = np.linalg.qr(rng.standard_normal((SIZE, 2)))[0].T
    effects = 0.5 * directions[[TRAITS.index(trait) // 3 for trait in TRAITS]]
    for arm, strength in zip(ARMS, (0.1, 1.0), strict=True):
        latents = rng.standard_normal((PEOPLE, SIZE)) + strength * dosages @ effects
        Embedding(IDS, latents).write(tmp_path / f"{arm}.parquet")
    names = [f"1:{position}:A:G" for position in POSITIONS]
    properties = {
        "iid": IDS, "fid": IDS, "chromosome": ["1"] * 6, "bp_position": POSITIONS, "sid": names,
        "allele_1": ["G"] * 6, "allele_2": ["A"] * 6,
    }  # fmt: skip
    to_bed(tmp_path / "genome.bed", dosages.astype(float), properties=properties)
    planted = pd.DataFrame({"variant_id": names, "chromosome": "1", "position": POSITIONS})
    planted = planted.assign(modality="ecg", trait=TRAITS, variance_explained=0.05)
    planted.to_csv(tmp_path / "causal.tsv", sep="\t", index=False)
    found = {"native": [1], "registered": [0, 1, 2, 3, 4, 5]}
    for arm, rows in found.items():
        loci = planted.iloc[rows].assign(
            row=rows, start=planted["position"], end=planted["position"], ref="A", alt="G",
            neg_log10_p_corrected=9.0, nearest_gene=[f"GENE{i}" for i in rows],
        )  # fmt: skip
        folder = tmp_path / "comparisons/ecg" / arm / "gwas"
        folder.mkdir(parents=True)
        loci.drop(columns=["trait", "modality"]).to_csv(folder / "loci.tsv", sep="\t", index=False)
    arms = {
        arm: SimpleNamespace(
            embedding=tmp_path / f"{arm}.parquet",
            first_map=SimpleNamespace(modality="ecg"),
            stage=lambda step, arm=arm: f"arms/{arm}/{step}",
        )
        for arm in ARMS
    }
    experiment = SimpleNamespace(
        clusters=Clusters(bootstraps=10, permutations=199),
        gwas=Gwas(coding="additive"),
        seed=1,
        comparisons={"ecg": SimpleNamespace(arms=ARMS)},
        arms_of=lambda fusion: ARMS,
    )
    paths = SimpleNamespace(
        genotypes=tmp_path / "genome.bed", causal_variants=tmp_path / "causal.tsv"
    )
    data = SimpleNamespace(
        paths=paths, files=lambda *names: {}, stages=[], ids_of_split=lambda split: IDS[100:]
    )
    return SimpleNamespace(
        name="ecg",
        experiment=experiment,
        comparison=SimpleNamespace(baseline="native", against="registered"),
        arms=arms,
        data=data,
        manifest=Manifest(tmp_path),
        folder=tmp_path / "comparisons/ecg",
        participants=pd.DataFrame(index=IDS[100:]),
        stage=lambda step: f"comparisons/ecg/{step}",
        embedding=lambda arm: Embedding.read(arms[arm].embedding),
        covariates=lambda columns: None,
    )


def test_leads_are_clustered_where_there_are_two_and_compared_where_three(run):
    clusters.run_stages(run)
    assert not (run.folder / "native/clusters/clusters.tsv").exists()
    own = pd.read_csv(run.folder / "registered/clusters/clusters.tsv", sep="\t")
    assert own.groupby("cluster")["variant_id"].count().tolist() == [3, 3]
    agreement = pd.read_csv(run.folder / "cluster_agreement.tsv", sep="\t").iloc[0]
    assert (agreement["baseline"], agreement["against"]) == ARMS
    assert agreement["variants"] == 6
    leads = pd.read_csv(run.folder / "cluster_agreement/lead_variants.tsv", sep="\t")
    assert leads["found_in"].tolist() == [
        "registered", "native;registered", *["registered"] * 4,
    ]  # fmt: skip
    told = json.loads((run.folder / "cluster_agreement.json").read_text())
    assert told["spaces"]["registered"]["participants"] == PEOPLE - 100
    assert told["spaces"]["registered"]["bootstraps"] == 10


def test_clusters_are_held_against_the_planted_traits_in_every_space(run):
    clusters.run_stages(run)
    truth = pd.read_csv(run.folder / "cluster_truth.tsv", sep="\t")
    told = truth.set_index(["arm", "lead_variants_of"])["rand_index"]
    assert told["registered", "own"] == 1
    assert told["registered", "both"] == 1
    assert told["native", "both"] < 0.7
    assert ("native", "own") not in told
    assert (truth["variants"] == 6).all()


def test_a_given_height_reaches_the_clusters(run):
    run.experiment.clusters = Clusters(height=0.001, bootstraps=2, permutations=99)
    clusters.run_stages(run)
    own = pd.read_csv(run.folder / "registered/clusters/clusters.tsv", sep="\t")
    assert own["cluster"].nunique() == 6


def test_a_lead_counts_for_the_nearest_planted_variant_and_its_strongest_trait(run):
    planted = pd.DataFrame(
        {
            "variant_id": ["a", "a", "b", "c"],
            "chromosome": ["1", "1", "1", "2"],
            "position": [1_000_000, 1_000_000, 1_300_000, 5],
            "modality": ["ecg", "cardiac", "ecg", "ecg"],
            "trait": ["pr", "lv_volume", "qt", "axis"],
            "variance_explained": [0.02, 0.05, 0.04, 0.01],
        }
    )
    planted.to_csv(run.data.paths.causal_variants, sep="\t", index=False)
    strongest = clusters._strongest_traits(run)
    leads = pd.DataFrame(
        {
            "variant_id": ["near a", "nearer b", "far", "elsewhere"],
            "chromosome": ["1", "1", "1", "3"],
            "position": [900_000, 1_200_000, 2_000_000, 1_000_000],
        }
    )
    assert planted_traits(leads, strongest).to_dict() == {"near a": "pr", "nearer b": "qt"}


def test_leads_of_a_fusion_are_looked_for_from_both_modalities(run):
    modalities.run_stage("heart", run.experiment, run.arms, run.data, run.manifest)
    groups = pd.read_csv(run.manifest.folder / "fusions/heart/modality_groups.tsv", sep="\t")
    assert groups["gene"].tolist() == [f"GENE{i}" for i in range(6)]
    assert (groups["neg_log10_p_second"] > 7).all()
    assert set(groups["group"]) <= {"only registered", "unclear"}
    assert (groups["group"] == "only registered").sum() >= 4
    told = json.loads((run.manifest.folder / "fusions/heart/modality_groups.json").read_text())
    assert told["pairs"][0]["participants"] == PEOPLE - 100
    assert sum(told["pairs"][0]["groups"].values()) == 6


def test_a_fusion_nobody_compares_is_left_alone(run):
    run.experiment.comparisons = {}
    modalities.run_stage("heart", run.experiment, run.arms, run.data, run.manifest)
    assert run.manifest.used == []


def test_modalities_without_people_in_common_give_an_empty_table(run):
    run.data.ids_of_split = lambda split: []
    modalities.run_stage("heart", run.experiment, run.arms, run.data, run.manifest)
    assert pd.read_csv(run.manifest.folder / "fusions/heart/modality_groups.tsv", sep="\t").empty
