from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bed_reader import to_bed
from linear_toy import IDS, N

from regreveal.experiment.analyses import directions, phewas
from regreveal.experiment.analysis_settings import Directions, Gwas, Phewas
from regreveal.store.cohort import write_table


class Compared:
    """A comparison of one arm, the toy, whose GWAS and PheWAS are done."""

    name = "toys"

    def __init__(self, toy, folder, **tables):
        self.folder = folder
        self.experiment = SimpleNamespace(gwas=None, phewas=None, directions=Directions(), seed=1)
        vars(self.experiment).update(tables)
        self.participants = pd.DataFrame({"fold": 0}, index=pd.Index(IDS, name="sample_id"))
        self.toy = toy
        self.arms = {
            "toy": SimpleNamespace(
                folder=toy.model.folder.parent,
                tensor_map=toy.model.tensor_map,
                first_map=toy.model.tensor_map,
                store=lambda data: toy.model.store,
                after_registration=lambda data: ["arms/toy/register"],
            )
        }
        self.data = SimpleNamespace(
            paths=SimpleNamespace(genotypes=folder / "genome.bed"),
            files=lambda *names: dict.fromkeys(names),
            tensor_files=lambda tensor_map: {},
        )
        self.stages = {}
        self.manifest = SimpleNamespace(run=self.run)

    def run(self, name, work, **keyed):
        self.stages[name] = keyed
        work()

    def stage(self, step):
        return f"comparisons/{self.name}/{step}"

    def embedded(self, arm):
        return [f"arms/{arm}/embed"]

    def embedding(self, arm):
        return self.toy.embedding

    def covariates(self, columns):
        return self.toy.cohort if columns else None


@pytest.fixture
def folder(toy, tmp_path):
    """Genotypes of three variants, and what the GWAS and the PheWAS left of the arm."""
    dosages = np.column_stack([toy.variables[0].numbers.to_numpy()] * 3)
    told = {"iid": IDS, "sid": ["rs1", "rs2", "rs3"]}
    told |= {"allele_1": list("CGT"), "allele_2": list("AAA")}
    to_bed(tmp_path / "genome.bed", dosages, properties=told)
    loci = pd.DataFrame(
        {
            "row": [0, 1, 2],
            "variant_id": ["rs1", "rs2", "rs3"],
            "nearest_gene": ["WEAK", "STRONG", "SECOND"],
            "neg_log10_p_corrected": [8.1, 30.5, 9.0],
        }
    )
    write_table(loci, tmp_path / "toy/gwas/loci.tsv")
    found = pd.DataFrame(
        {
            "phecode": ["401", "250.10", "427", "715"],
            "name": ["a", "b", "c", "d"],
            "category": "any",
            "method": "logistic",
            "reason": "",
            "neg_log10_p": [5.0, 9.0, 0.4, np.nan],
            "bonferroni": [1e-4, 1e-8, 1.0, np.nan],
        }
    )
    write_table(found, tmp_path / "toy/phewas/phewas.tsv")
    return tmp_path


def asked(folder):
    table = pd.read_csv(folder / "toy/directions/directions.tsv", sep="\t", dtype=str)
    return table["name"].tolist(), table["label"].tolist(), table["n"].tolist()


def test_strongest_loci_and_significant_phecodes_are_decoded(toy, folder, monkeypatch):
    status = pd.DataFrame({"401": 0.0, "250.10": np.arange(N) % 2, "427": 0.0, "715": 0.0}, IDS)
    names = ["Hypertension", "Diabetes", "Arrhythmia", "Arthritis"]
    info = pd.DataFrame({"name": names}, index=status.columns)
    diseases = SimpleNamespace(table=SimpleNamespace(status=status, info=info))
    monkeypatch.setattr(phewas, "prepare", lambda compared, options: diseases)
    asked_for = Directions(variants=2, phecodes=4)
    analyses = {"gwas": Gwas(covariates=["age"]), "phewas": Phewas(), "directions": asked_for}
    compared = Compared(toy, folder, **analyses)
    directions.run_stages(compared)
    names, labels, n = asked(folder)
    assert names == ["rs2", "rs3", "250.10", "401"]
    assert labels == ["STRONG", "SECOND", "Diabetes", "Hypertension"]
    assert n == [str(N - 4), str(N - 4), str(N), str(N)]
    (keyed,) = compared.stages.values()
    assert keyed["after"] == [
        "arms/toy/embed",
        "arms/toy/register",
        "comparisons/toys/toy/gwas",
        "comparisons/toys/toy/phewas",
    ]


def test_fewer_are_decoded_where_fewer_are_asked_for(toy, folder):
    compared = Compared(
        toy, folder, gwas=Gwas(), directions=Directions(variants=1, steps=[-1, 0, 1])
    )
    directions.run_stages(compared)
    assert asked(folder)[0] == ["rs2"]
    with np.load(folder / "toy/directions/01.npz") as arrays:
        assert arrays["steps"].tolist() == [-1, 0, 1]


def test_arm_without_loci_leaves_an_empty_table(toy, folder):
    loci = folder / "toy/gwas/loci.tsv"
    loci.write_text(loci.read_text().splitlines()[0] + "\n")
    directions.run_stages(Compared(toy, folder, gwas=Gwas()))
    assert asked(folder) == ([], [], [])
