"""Runs of invented latents: their probes, GWAS and PheWAS are real, and take a second."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from bed_reader import to_bed

from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.comparisons import analyse, choose_participants
from regreveal.experiment.data import DataPaths, Dataset
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.manifest import Manifest
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

PEOPLE, VARIANTS = 260, 60
CAUSAL = (10, 40)
EXPERIMENT = """\
title = "A little run"
seed = {seed}

[data]
folder = "{data}"

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = {{ method = "QRSAlignment", input = "ecg.rest_10s" }}

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = {targets}

[gwas]
coding = "{coding}"
covariates = {covariates}

[phewas]
covariates = ["age"]
"""
SETTINGS = {
    "targets": ["pr_interval", "smoking"],
    "coding": "additive",
    "covariates": ["age"],
}


def sample_ids() -> list[str]:
    """Ids of everybody in the data; none may turn up in what is written for others."""
    return [f"person-{7_000_001 + 13 * i}" for i in range(PEOPLE)]


def make_data(folder: Path, seed: int = 5) -> Path:
    """Write genotypes of which two move a trait, the trait, and a disease that follows it."""
    rng = np.random.default_rng(seed)
    (folder / "tensors").mkdir(parents=True)
    (folder / "genotypes").mkdir()
    genotypes = rng.binomial(2, rng.uniform(0.25, 0.5, VARIANTS), (PEOPLE, VARIANTS)).astype(float)
    ids = sample_ids()
    to_bed(
        folder / "genotypes/genome.bed",
        genotypes,
        properties={
            "iid": ids,
            "sid": [f"rs{i}" for i in range(VARIANTS)],
            "chromosome": ["1"] * (VARIANTS // 2) + ["2"] * (VARIANTS // 2),
            "bp_position": np.tile(np.arange(1, VARIANTS // 2 + 1) * 2_000_000, 2),
            "allele_1": ["G"] * VARIANTS,
            "allele_2": ["A"] * VARIANTS,
        },
    )
    trait = genotypes[:, CAUSAL] @ [1.0, -1.0] + 0.5 * rng.normal(size=PEOPLE)
    cohort = {"sample_id": ids, "age": rng.normal(60, 8, PEOPLE).round(1)}
    cohort |= {"sex": rng.choice(["female", "male"], PEOPLE)}
    write_table(pd.DataFrame(cohort), folder / "cohort.tsv")
    phenotypes = {"sample_id": ids, "pr_interval": trait, "qt_interval": rng.normal(size=PEOPLE)}
    phenotypes |= {"smoking": np.where(rng.random(PEOPLE) < 0.4, "yes", "no")}
    write_table(pd.DataFrame(phenotypes), folder / "phenotypes.tsv")
    ill = np.flatnonzero(trait + 0.5 * rng.normal(size=PEOPLE) > np.quantile(trait, 0.7))
    events = pd.DataFrame({"sample_id": np.array(ids)[ill], "icd10": "I48.0"})
    write_table(events, folder / "diagnoses.tsv")
    (folder / "phecodes.tsv").write_text("icd10\tphecode\nI48\t427.2\n")
    (folder / "phecode_info.tsv").write_text(
        "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
        "427.2\tAtrial fibrillation\tcirculatory\t\t\tboth\n"
    )
    return folder


def make_run(
    folder: Path,
    data: Path,
    *,
    seed: int = 1,
    latent_size: int = 4,
    left_out: tuple[int, ...] = (),
    **settings,
) -> Path:
    """Write a finished run whose registered arm knows the trait and whose native arm does not.

    Parameters
    ----------
    folder, data : Path
    seed : int
        Of the latents' noise, the folds and the run.
    latent_size : int
    left_out : tuple of int
        Places of participants who were not analysed.
    settings
        Instead of `SETTINGS`.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    told = {**SETTINGS, **settings}
    text = EXPERIMENT.format(
        seed=seed,
        data=data,
        coding=told["coding"],
        targets=json.dumps(told["targets"]),
        covariates=json.dumps(told["covariates"]),
    )
    (folder / "experiment.toml").write_text(text)
    experiment = parse_experiment(text, folder / "experiment.toml")
    ids = sample_ids()
    split = np.where(np.isin(np.arange(PEOPLE), left_out), "train", "analysis")
    splits = pd.DataFrame(
        {"split": split, "fold": rng.permutation(PEOPLE) % 5}, pd.Index(ids, name="sample_id")
    )
    trait = pd.read_csv(data / "phenotypes.tsv", sep="\t")["pr_interval"].to_numpy()
    with Manifest(folder, seed) as manifest:
        stage = partial(manifest.run, outputs=[folder / "splits.parquet"], settings=seed)
        stage("splits", lambda: write_table(splits, folder / "splits.parquet"))
        dataset = Dataset(
            DataPaths.of_folder(data), folder / "arms", ["splits"], splits, simulated=False
        )
        arms = {
            name: ArmStages(name, experiment, dataset, dataset, manifest)
            for name in experiment.arms
        }
        for name, arm in arms.items():
            latents = rng.normal(size=(PEOPLE, latent_size))
            if name == "registered":
                latents[:, 0] = trait + 0.4 * latents[:, 0]
            manifest.run(
                arm.stage("embed"),
                partial(_write_arm, arm.folder, ids, latents),
                outputs=[arm.embedding],
                settings=[seed, latent_size],
            )
        compared = Compared("alignment", experiment, arms, dataset, manifest)
        choose_participants(compared)
        analyse(compared)
    return folder


def _write_arm(folder: Path, ids: list[str], latents: np.ndarray) -> None:
    registered = folder.name == "registered"
    (folder / "model").mkdir(parents=True)
    Embedding(ids, latents, {}).write(folder / "embedding.parquet")
    described = {
        "tensor_map": "ecg.median" if registered else "ecg.rest_10s",
        "shape": [600, 12] if registered else [5000, 12],
        "registration": "QRSAlignment" if registered else None,
        "latents_by": "autoencoder",
        "fusion": None,
        "after": None,
    }
    (folder / "arm.json").write_text(json.dumps(described))
    model = {"latent_size": latents.shape[1], "explained_variance": 0.6, "weights": 1000}
    model |= {"steps": 100, "batch_size": 32}
    (folder / "model/model.json").write_text(json.dumps(model))
