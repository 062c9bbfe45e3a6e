"""What an experiment may ask of a PheWAS, and what its stages leave."""

import dataclasses
import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import expit

from regreveal.errors import InputError
from regreveal.experiment.analyses import phewas
from regreveal.experiment.analysis_settings import Phewas
from regreveal.experiment.data import DataPaths
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.run import _with_last_day
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding


def test_incident_and_prevalent_disease_need_a_visit():
    for asked in ({"incident": True}, {"timing": "prevalent"}):
        with pytest.raises(ValidationError, match="need `visit`, a column of the cohort"):
            Phewas(**asked)
        assert Phewas(**asked, visit="date").visit == "date"
    with pytest.raises(ValidationError):
        Phewas(null=["noise"])


class _Compared:
    """Two arms of 400 people, of whom the second knows who is ill."""

    def __init__(self, folder: Path, **settings):
        generator = np.random.default_rng(3)
        ids = [f"P{row:03d}" for row in range(400)]
        known = generator.normal(size=(400, 3))
        self.embeddings = {
            "native": Embedding(ids, generator.normal(size=(400, 3)), {}),
            "registered": Embedding(ids, known, {}),
        }
        self.arms = dict.fromkeys(self.embeddings)
        cohort = pd.DataFrame({"age": generator.normal(60, 8, 400), "visit": "2012-01-01"}, ids)
        cohort["sex"] = np.where(generator.random(400) < 0.5, "female", "male")
        write_table(cohort.rename_axis("sample_id").reset_index(), folder / "cohort.tsv")
        ill = np.array(ids)[generator.random(400) < expit(2 * known[:, 0] - 1)]
        events = pd.DataFrame({"sample_id": ill, "icd10": "I48.0", "date": "2015-01-01"})
        write_table(events, folder / "diagnoses.tsv")
        (folder / "phecodes.tsv").write_text("icd10\tphecode\nI48\t427.2\n")
        (folder / "phecode_info.tsv").write_text(
            "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
            "427.2\tAtrial fibrillation\tcirculatory\t\t\tboth\n"
        )
        names = ("cohort", "diagnoses", "phecodes", "phecode_info")
        paths = DataPaths(folder, **{name: folder / f"{name}.tsv" for name in names})
        self.data = SimpleNamespace(paths=paths, files=paths.files)
        self.experiment = SimpleNamespace(phewas=Phewas(covariates=["age"], **settings), seed=1)
        self.participants = cohort
        self.folder = folder / "comparison"
        self.stages = []
        self.manifest = SimpleNamespace(run=self._run)

    def _run(self, stage, action, outputs, **keyed):
        action()
        assert all(path.exists() for path in outputs)
        self.stages.append(stage)

    def stage(self, step):
        return step

    def embedded(self, *arms):
        return list(arms)

    def embedding(self, arm):
        return self.embeddings[arm]


def test_stages_leave_both_phewas_and_how_they_differ(tmp_path):
    compared = _Compared(tmp_path, incident=True, visit="visit", end_of_follow_up="2020-01-01")
    phewas.run_stages(compared)
    assert compared.stages == ["native/phewas", "registered/phewas", "phewas_differences"]
    differences = pd.read_csv(compared.folder / "phewas_differences.tsv", sep="\t")
    assert differences["significant_in"].tolist() == ["gained"]
    assert (differences["low"] > 0).all()
    written = {path.name for path in (compared.folder / "registered/phewas").iterdir()}
    assert written == {
        "phecode_counts.tsv",
        "phewas.json",
        "phewas.tsv",
        "phewas_incident.tsv",
        "phewas_null.tsv",
        "phewas_null_summary.tsv",
        "unmapped_icd.tsv",
    }


def test_diagnoses_that_have_changed_are_read_again(tmp_path):
    compared = _Compared(tmp_path, null=[])
    phewas.run_stages(compared)
    before = pd.read_csv(compared.folder / "native/phewas/phewas.tsv", sep="\t")
    events = pd.read_csv(tmp_path / "diagnoses.tsv", sep="\t")
    write_table(events.iloc[:-20], tmp_path / "diagnoses.tsv")
    phewas.run_stages(compared)
    after = pd.read_csv(compared.folder / "native/phewas/phewas.tsv", sep="\t")
    assert after.loc[0, "n_cases"] == before.loc[0, "n_cases"] - 20


def test_hospital_records_and_maps_may_be_of_several_files(tmp_path):
    compared = _Compared(tmp_path, null=[])
    phewas.run_stages(compared)
    single = pd.read_csv(compared.folder / "native/phewas/phewas.tsv", sep="\t")
    events = pd.read_csv(tmp_path / "diagnoses.tsv", sep="\t")
    # Half of them in ICD-9, and their days in a table of their own.
    records = events.assign(eid=events["sample_id"], ins_index=0)
    old = np.arange(len(records)) % 2 == 0
    records["diag_icd10"] = np.where(old, "", "I480")
    records["diag_icd9"] = np.where(old, "42731", "")
    write_table(
        records[["eid", "ins_index", "diag_icd9", "diag_icd10"]], tmp_path / "hesin_diag.tsv"
    )
    episodes = records[["eid", "ins_index", "date"]].rename(columns={"date": "epistart"})
    write_table(episodes, tmp_path / "hesin.tsv")
    (tmp_path / "icd9.tsv").write_text("icd9\tphecode\n427.3\t427.2\n")
    named = {"diagnoses": "hesin_diag.tsv", "episodes": "hesin.tsv", "phecodes_icd9": "icd9.tsv"}
    files = {name: tmp_path / file for name, file in named.items()}
    compared.data.paths = dataclasses.replace(compared.data.paths, **files)
    phewas.run_stages(compared)
    several = pd.read_csv(compared.folder / "native/phewas/phewas.tsv", sep="\t")
    pd.testing.assert_frame_equal(several, single)


def test_an_experiment_says_which_edition_its_codes_are_of_and_when_records_end(tmp_path):
    # To I48 the WHO's map gives fibrillation, and that of the clinical modification flutter.
    compared = _Compared(tmp_path, null=[], icd10_edition="who")
    (tmp_path / "phecodes.tsv").write_text(
        "vocabulary_id\ticd\tphecode\nICD10\tI48\t427.2\nICD10CM\tI48\t427.22\n"
    )
    with (tmp_path / "phecode_info.tsv").open("a") as file:
        file.write("427.22\tAtrial flutter\tcirculatory\t\t\tboth\n")
    phewas.run_stages(compared)

    def cases() -> pd.Series:
        table = pd.read_csv(
            compared.folder / "native/phewas/phewas.tsv", sep="\t", dtype={"phecode": str}
        )
        return table.set_index("phecode")["n_cases"]

    ill = cases()["427.2"]
    assert ill > 20
    assert cases()["427.22"] == 0
    compared.experiment.phewas = Phewas(null=[], icd10_edition="cm")
    phewas.run_stages(compared)
    assert cases().to_dict() == {"427.2": ill, "427.22": ill}  # rolled up
    compared.experiment.phewas = Phewas(null=[])
    with pytest.raises(InputError, match="say which edition"):
        phewas.run_stages(compared)

    # All diagnoses are of 2015: of records that end before, none is dated.
    prevalent = {"timing": "prevalent", "visit": "visit", "window_days": 5000}
    compared.experiment.phewas = Phewas(null=[], icd10_edition="who", **prevalent)
    phewas.run_stages(compared)
    assert cases()["427.2"] == ill
    compared.experiment.phewas = Phewas(
        null=[], icd10_edition="who", until="2014-12-31", **prevalent
    )
    with pytest.raises(InputError, match="none has a date"):
        phewas.run_stages(compared)


def test_the_end_of_records_is_a_day():
    assert Phewas(until="2023-03-31").until == "2023-03-31"
    with pytest.raises(ValidationError, match="Invalid isoformat string: 'March'"):
        Phewas(until="March")
    with pytest.raises(ValidationError, match="'who' or 'cm'"):
        Phewas(icd10_edition="WHO10")


@pytest.mark.parametrize(("given", "used"), [("", "2024-05-01"), ('until = "2020-02-29"', None)])
def test_a_run_takes_one_day_for_the_end_of_the_records_however_often_it_goes_on(given, used):
    experiment = parse_experiment(
        'title = "x"\n[data.simulate]\n[arms.a]\ntensor_map = "m"\n[arms.b]\ntensor_map = "m"\n'
        f'[comparisons.c]\nbaseline = "a"\nagainst = "b"\n[phewas]\n{given}',
        "e.toml",
    )
    data = SimpleNamespace(files=lambda *names: {})
    manifest = SimpleNamespace(first_seen=lambda files: datetime.date(2024, 5, 1))
    known = _with_last_day(experiment, data, manifest)
    assert known.phewas.until == (used or "2020-02-29")
