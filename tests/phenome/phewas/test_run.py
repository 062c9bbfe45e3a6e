import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from regreveal.errors import InputError
from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.phecode_records import phecode_records
from regreveal.phenome.phecodes.status import phecode_status
from regreveal.phenome.phewas.cox import cox_scan
from regreveal.phenome.phewas.run import (
    PhewasOptions,
    prepare_phewas,
    read_phewas,
    run_differences,
    run_phewas,
)
from regreveal.phenome.phewas.scan import phewas
from regreveal.store.cohort import design_matrix
from regreveal.store.embedding import Embedding

COVARIATES = ("age", "sex", "ancestry")


class Study:
    """300 people, of whom 290 are asked for and 7 lack a value; half were ill by their visit."""

    def __init__(self, folder):
        generator = np.random.default_rng(27)
        self.latents = generator.normal(size=(300, 4)).astype(np.float32)
        ids = [f"person-{row}" for row in range(300)]
        self.embedding = Embedding(ids, self.latents, {})
        self.cohort = pd.DataFrame(
            {
                "age": generator.normal(60, 8, 300),
                "sex": generator.choice(["female", "male"], 300),
                "ancestry": generator.choice(["African", "European"], 300),
                "visit": "2015-06-01",
            },
            index=pd.Index(ids, name="sample_id"),
        )
        self.cohort.iloc[:4, 0] = np.nan
        self.cohort.iloc[4:6, 1] = None
        self.cohort = self.cohort.drop("person-6")
        self.participants = ids[:290]
        self.ill = np.flatnonzero(generator.random(300) < expit(-1 + 2 * self.latents[:, 0]))
        self.years = generator.choice([2012, 2017, 2019], len(self.ill))
        events = [
            f"{ids[row]}\tI48.0\t{year}-06-01"
            for row, year in zip(self.ill, self.years, strict=True)
        ]
        events += ["person-9\tZ00\t2016-01-01", "person-9\tZ00\t2020-06-01"]
        text = "\n".join(["sample_id\ticd10\tdate", *events]) + "\n"
        (folder / "diagnoses.tsv").write_text(text)
        (folder / "phecodes.tsv").write_text("icd10\tphecode\nI48\t427.2\nC61\t185\n")
        (folder / "phecode_info.tsv").write_text(
            "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
            "427.2\tAtrial fibrillation\tcirculatory\t\t\tboth\n"
            "185\tProstate cancer\tneoplasms\t\t\tmale\n"
        )
        phecode_map = read_phecode_map(folder / "phecodes.tsv", folder / "phecode_info.tsv")
        self.records = phecode_records(read_diagnoses(folder / "diagnoses.tsv"), phecode_map)
        self.folder = folder / "results"

    def prepare(self, **options):
        options = PhewasOptions(**{"covariates": COVARIATES} | options)
        return prepare_phewas(self.participants, self.cohort, self.records, options), options

    def run(self, seed=0, left_out=None, **options):
        data, options = self.prepare(**options)
        return run_phewas(self.embedding, data, self.folder, options, seed, left_out)


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def test_a_run_tests_those_with_all_covariates_and_counts_the_others(study):
    table = study.run(seed=3, left_out={"seen by the model": 12})
    chosen = study.participants[7:]
    expected = phewas(
        study.latents[7:290],
        phecode_status(study.records, study.cohort.loc[chosen, "sex"]).status,
        design_matrix(study.cohort, list(COVARIATES), chosen)[0],
        study.records.info,
        seed=3,
    )
    pd.testing.assert_frame_equal(table, expected)
    assert table.set_index("phecode").loc["427.2", "neg_log10_p"] > 5
    assert json.loads((study.folder / "phewas.json").read_text()) == {
        "participants": 283,
        "left_out": {"seen by the model": 12},
        "missing_covariate_values": 7,
        "events": study.records.counts["diagnoses"],
        "events_unmapped": 2,
        "icd10_edition": "WHO",
        "phecodes": 2,
        "phecodes_tested": 1,
        "seed": 3,
        "minimum_cases": 20,
    }


def test_a_run_writes_its_tables(study):
    table = study.run(minimum_cases=10)
    files = ["phecode_counts.tsv", "phewas.json", "phewas.tsv", "unmapped_icd.tsv"]
    assert sorted(path.name for path in study.folder.iterdir()) == files
    written = read_phewas(study.folder / "phewas.tsv")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert set(written["reason"]) == {"", "fewer than 10 cases"}
    unmapped = pd.read_csv(study.folder / "unmapped_icd.tsv", sep="\t")
    assert unmapped.to_numpy().tolist() == [["icd10", "Z00", 2]]
    counts = pd.read_csv(study.folder / "phecode_counts.tsv", sep="\t").drop(columns="phecode")
    assert (counts.drop(columns="cases_of_other_sex").sum(axis=1) == 283).all()


def test_what_cannot_be_is_set_beside_where_asked_for(study):
    study.run(null=("labels", "latents"), null_repeats=3)
    nulls = pd.read_csv(study.folder / "phewas_null.tsv", sep="\t")
    assert len(nulls) == 2 * 3 * 1
    assert (nulls["neg_log10_p"] < 5).all()
    summary = pd.read_csv(study.folder / "phewas_null_summary.tsv", sep="\t")
    assert summary["repeats"].tolist() == [3, 3]


def test_disease_after_the_visit_is_tested_among_those_free_of_it(study):
    study.run(incident=True, visit="visit", end_of_follow_up="2018-06-01")
    table = pd.read_csv(study.folder / "phewas_incident.tsv", sep="\t", dtype={"phecode": str})
    row = table.set_index("phecode").loc["427.2"]
    analysed = (study.ill >= 7) & (study.ill < 290)
    at = study.years[analysed]
    assert row["n_earlier"] == np.sum(at == 2012)
    assert row["n_cases"] == np.sum(at == 2017)
    assert row["n_controls"] == 283 - np.sum(at < 2018)
    # Two years to the first record (2016 has a day more), three to the end of follow-up.
    expected = row["n_cases"] * 731 / 365.25 + row["n_controls"] * 1096 / 365.25
    assert row["person_years"] == pytest.approx(expected, abs=0.06)
    assert row["hazard_ratio"] > 1
    assert row["method"] == "cox"
    data, _ = study.prepare(incident=True, visit="visit", end_of_follow_up="2018-06-01")
    space = data.space(study.embedding, seed=0)
    tests = cox_scan(space, data.incident.status, data.incident.years)
    assert row["beta"] == pytest.approx(tests.loc["427.2", "beta"])


def test_the_time_of_the_visit_does_not_matter(study):
    # Those of 2012 now fall ill on the day after their visit.
    study.cohort["visit"] = "2012-05-31"
    data, _ = study.prepare(incident=True, visit="visit")
    for time in ("T12:30:00", "T12:30:00Z"):
        study.cohort["visit"] = "2012-05-31" + time
        timed, _ = study.prepare(incident=True, visit="visit")
        pd.testing.assert_frame_equal(timed.incident.status, data.incident.status)
        np.testing.assert_array_equal(timed.incident.years("427.2"), data.incident.years("427.2"))
    ill = data.incident.status["427.2"] == 1
    assert data.incident.years("427.2")[ill].min() == pytest.approx(1 / 365.25)


def test_follow_up_ends_with_the_records_or_with_a_person(study):
    data, _ = study.prepare(incident=True, visit="visit")
    assert (data.incident.end == pd.Timestamp("2020-06-01")).all()
    study.cohort["died"] = None
    study.cohort.iloc[10:20, study.cohort.columns.get_loc("died")] = "2014-01-01"
    data, _ = study.prepare(incident=True, visit="visit", end_of_follow_up="died")
    dead = study.cohort.index[10:20]
    assert data.incident.status.loc[dead].isna().all(axis=None)
    assert (data.incident.end.drop(dead) == pd.Timestamp("2020-06-01")).all()


def test_differences_of_two_runs_are_written(study, tmp_path):
    data, options = study.prepare()
    noise = np.random.default_rng(1).normal(size=(300, 4))
    arms = {"noise": Embedding(study.embedding.sample_ids, noise, {}), "good": study.embedding}
    tables = {
        arm: run_phewas(one, data, tmp_path / arm, options, seed=2) for arm, one in arms.items()
    }
    files = tmp_path / "phewas_differences.tsv", tmp_path / "phewas_overall.tsv"
    run_differences(arms, tables, data, files, seed=2)
    differences = pd.read_csv(files[0], sep="\t", dtype={"phecode": str}).set_index("phecode")
    assert differences.loc["427.2", "significant_in"] == "gained"
    assert differences.loc["427.2", "low"] > 0
    overall = pd.read_csv(files[1], sep="\t")
    assert overall.loc[0, ["gained", "lost", "phecodes"]].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": ["bmi"]}, "no column 'bmi' .there are: age, sex, ancestry, visit."),
        ({"incident": True}, "need the day of the visit"),
        ({"timing": "prevalent", "visit": "day"}, "no column 'day'"),
        ({"incident": True, "visit": "ancestry"}, "'ancestry' has .* that are no days, such as"),
        (
            {"incident": True, "visit": "visit", "end_of_follow_up": "soon"},
            "'soon' is neither a day .yyyy-mm-dd. nor a column",
        ),
    ],
)
def test_what_cannot_be_used_ends_in_one_clear_line(study, options, message):
    with pytest.raises(InputError, match=message):
        study.run(**options)
    assert not study.folder.exists()


def test_a_run_of_nobody_or_of_no_sex_ends_in_one_clear_line(study):
    everybody = study.participants
    study.participants = everybody[:7]
    with pytest.raises(InputError, match="none of 7 participants has sex and all covariates"):
        study.run()
    study.participants, study.cohort = everybody, study.cohort.drop(columns="sex")
    with pytest.raises(InputError, match="no column 'sex'"):
        study.run()
