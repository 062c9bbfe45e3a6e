from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.experiment.analyses import probes
from regreveal.experiment.analysis_settings import Probes
from regreveal.experiment.data import DataPaths
from regreveal.report.folder.probes import read_probes
from regreveal.store.cohort import make_splits, write_table

N = 150


@pytest.fixture
def compared(tmp_path):
    """A comparison of two arms, of data with a description of the phenotypes and true traits."""
    generator = np.random.default_rng(1)
    ids = pd.Index([f"person-{i}" for i in range(N)], name="sample_id")
    latents = {name: generator.normal(size=(N, 3)) for name in ("native", "registered")}
    trait = latents["registered"][:, 0]
    phenotypes = pd.DataFrame(
        {"pr_interval": 160 + 20 * trait, "grade": np.resize([1, 2, 3], N)}, index=ids
    )
    cohort = pd.DataFrame({"age": generator.uniform(45, 80, N), "sex": "female"}, index=ids)
    cohort.loc[ids[::2], "sex"] = "male"
    write_table(phenotypes, tmp_path / "phenotypes.tsv")
    write_table(cohort, tmp_path / "cohort.tsv")
    write_table(pd.DataFrame({"pr_interval": trait}, index=ids), tmp_path / "traits.tsv")
    (tmp_path / "info.tsv").write_text(
        "phenotype\tunits\ttype\npr_interval\tms\t\ngrade\t\tcategorical\n"
    )
    shares = {"train": 0.0, "validation": 0.0, "analysis": 1.0}
    paths = DataPaths(
        tensors=tmp_path,
        cohort=tmp_path / "cohort.tsv",
        phenotypes=tmp_path / "phenotypes.tsv",
        phenotype_info=tmp_path / "info.tsv",
        true_traits=tmp_path / "traits.tsv",
    )
    settings = Probes(targets=["pr_interval", "grade", "sex"], adjust=["age", "sex"])
    return SimpleNamespace(
        name="alignment",
        experiment=SimpleNamespace(probes=settings, targets_of=lambda name: settings.targets),
        comparison=SimpleNamespace(baseline="native", model_dump=dict),
        arms=dict.fromkeys(latents),
        all_arms={},
        data=SimpleNamespace(paths=paths, files=paths.files),
        participants=make_splits(ids, shares, 1).set_index("sample_id"),
        latents=latents.get,
        folder=tmp_path / "out",
        stage=lambda step: step,
        embedded=lambda *arms: list(arms),
        manifest=SimpleNamespace(run=_run),
    )


def _run(name, make, outputs, settings, files, after):
    make()
    assert all(path.is_file() for path in outputs)
    assert {"phenotypes", "phenotype_info", "cohort", "true_traits"} == set(files)


def test_what_the_stage_writes_is_what_the_report_reads(compared):
    probes.run_stages(compared)
    found = read_probes(compared.folder, adjusted=True)
    scores = found.scores.set_index(["target", "arm"])
    assert scores.loc[("pr_interval", "registered"), "ceiling"] > 0.95
    assert scores.loc[("pr_interval", "native"), "units"] == "ms"
    assert abs(scores.loc[("pr_interval", "native"), "floor"]) < 0.2
    assert scores.loc[("grade", "native"), "type"] == "categorical"
    assert "given" in scores.loc[("grade", "native"), "type_reason"]
    adjusted = found.gains.groupby("target")["adjusted_for"].first()
    assert adjusted.to_dict() == {"pr_interval": "age, sex", "grade": "age, sex", "sex": "age"}
    assert len(found.gain_differences) == 3


def test_a_figure_that_a_registration_does_not_have_is_named(compared, tmp_path):
    folder = tmp_path / "arm"
    write_table(pd.DataFrame({"sample_id": ["a"], "ok": [True]}), folder / "qc.parquet")
    compared.all_arms = {"registered": SimpleNamespace(folder=folder)}
    compared.experiment.targets_of = lambda name: ["registered.beats"]
    with pytest.raises(InputError, match=r"'registered.beats': .* has no figure 'beats'"):
        probes.run_stages(compared)
