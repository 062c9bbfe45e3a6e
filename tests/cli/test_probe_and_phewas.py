import json
import shutil

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from regreveal.cli.phewas import phewas
from regreveal.cli.probe import probe
from regreveal.errors import InputError
from regreveal.store.cohort import make_splits, write_table
from regreveal.store.embedding import Embedding

app = typer.Typer()
app.command()(probe)
app.command()(phewas)


@pytest.fixture
def data(tmp_path):
    """A cohort of 700: 100 to train, 600 to analyse, of whom ten were not embedded."""
    generator = np.random.default_rng(0)
    ids = [f"person-{i}" for i in range(700)]
    latents = generator.normal(size=(700, 4))
    splits = make_splits(ids, {"train": 1 / 7, "validation": 0, "analysis": 6 / 7}, seed=1)
    write_table(splits, tmp_path / "splits.parquet")
    analysed = splits["sample_id"][splits["split"] == "analysis"]
    trained = splits["sample_id"][splits["split"] == "train"].tolist()
    embedded = [i for i in ids if i not in set(analysed[:10])]
    rows = [ids.index(i) for i in embedded]
    seen = {"trained_on": trained[:80], "validated_on": trained[80:]}
    Embedding(embedded, latents[rows], seen).write(tmp_path / "good.parquet")
    Embedding(ids, generator.normal(size=(700, 3))).write(tmp_path / "noise.parquet")
    cohort = pd.DataFrame(
        {
            "sample_id": ids,
            "age": generator.normal(60, 8, 700),
            "sex": generator.choice(["female", "male"], 700),
            "ancestry": generator.choice(["a", "b"], 700),
        }
    )
    write_table(cohort, tmp_path / "cohort.tsv")
    heart_rate = 60 + 5 * latents[:, 0] + generator.normal(size=700)
    phenotypes = pd.DataFrame({"sample_id": ids, "heart_rate": heart_rate, "grade": 0})
    phenotypes["grade"] = np.digitize(latents[:, 1], [-0.5, 0.5])
    write_table(phenotypes, tmp_path / "phenotypes.tsv")
    ill = np.array(ids)[latents[:, 2] + generator.normal(size=700) > 1]
    events = [(person, "I48.0", "2020-01-01") for person in ill] + [(ids[0], "Z99", "2020-01-01")]
    diagnoses = pd.DataFrame(events, columns=["sample_id", "icd10", "date"])
    write_table(diagnoses, tmp_path / "diagnoses.tsv")
    (tmp_path / "phecodes.tsv").write_text("icd10\tphecode\nI48\t427.2\nI10\t401.1\n")
    (tmp_path / "phecode_info.tsv").write_text(
        "phecode\tname\tcategory\texclude_from\texclude_to\tsex\n"
        "427.2\tAtrial fibrillation\tcirculatory\t426\t427.99\tboth\n"
        "401.1\tHypertension\tcirculatory\t401\t405.99\tboth\n"
    )
    return tmp_path


def _run(command, data, *more, **changed):
    options = (
        {
            "probe": {
                "embedding": f"noise={data}/noise.parquet",
                "phenotypes": data / "phenotypes.tsv",
                "splits": data / "splits.parquet",
            },
            "phewas": {
                "embedding": data / "good.parquet",
                "diagnoses": data / "diagnoses.tsv",
                "phecodes": data / "phecodes.tsv",
                "phecode-info": data / "phecode_info.tsv",
                "covariates": data / "cohort.tsv",
            },
        }[command]
        | {"out": data / "out"}
        | changed
    )
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    shutil.rmtree(options["out"], ignore_errors=True)
    return CliRunner().invoke(app, [command, *arguments, *more])


def test_probe_compares_embeddings_on_the_same_analysis_participants(data):
    good = f"good={data}/good.parquet"
    result = _run("probe", data, "--embedding", good, "--categorical", "grade")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(data / "out/probes.tsv", sep="\t").set_index(["arm", "target"])
    assert (scores["n"] == 590).all()
    assert scores.loc[("good", "heart_rate"), "score"] > 0.9
    assert scores.loc[("noise", "heart_rate"), "score"] < 0.1
    assert scores.loc[("good", "grade"), "metric"] == "auc"
    differences = pd.read_csv(data / "out/differences.tsv", sep="\t")
    assert (differences["low"] > 0).all()
    assert (differences["baseline"] == "noise").all()
    told = json.loads((data / "out/probe.json").read_text())
    assert told["participants"] == 590
    assert told["left_out"]["not an analysis participant"] == 100
    assert told["left_out"]["not in embedding 'good'"] == 10
    assert "left out     100  not an analysis participant\n" in result.output


def test_probe_tells_units_and_what_latents_add_to_covariates(data):
    (data / "info.tsv").write_text(
        "phenotype\tunits\ttype\nheart_rate\t/min\t\ngrade\t\tcategorical\n"
    )
    good = f"good={data}/good.parquet"
    more = ("--embedding", good, "--phenotype-info", str(data / "info.tsv"))
    more += ("--covariates", str(data / "cohort.tsv"), "--adjust", "age,sex")
    result = _run("probe", data, *more)
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(data / "out/probes.tsv", sep="\t").set_index(["arm", "target"])
    assert scores.loc[("good", "heart_rate"), "units"] == "/min"
    assert scores.loc[("good", "grade"), "type"] == "categorical"
    assert scores["floor"].notna().all()
    gains = pd.read_csv(data / "out/gains.tsv", sep="\t")
    assert (gains["adjusted_for"] == "age, sex").all()
    of_arms = pd.read_csv(data / "out/gain_differences.tsv", sep="\t")
    assert (of_arms["low"] > 0).all()
    calibration = pd.read_csv(data / "out/calibration.tsv", sep="\t")
    assert set(calibration["target"]) == {"grade"}


def test_phewas_leaves_out_those_the_model_has_seen(data):
    result = _run("phewas", data)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(data / "out/phewas.tsv", sep="\t", dtype={"phecode": str})
    table = table.set_index("phecode")
    assert table.loc["427.2", "neg_log10_p"] > 8
    assert table.loc["401.1", "reason"] == "fewer than 20 cases"
    told = json.loads((data / "out/phewas.json").read_text())
    assert told["participants"] == 590
    seen = "seen in training or validation by the model of 'latents'"
    assert told["left_out"] == {seen: 100}
    assert f"left out     100  {seen}\n" in result.output
    assert (told["events_unmapped"], told["phecodes"], told["phecodes_tested"]) == (1, 2, 1)
    unmapped = pd.read_csv(data / "out/unmapped_icd.tsv", sep="\t")
    assert unmapped.to_dict("records") == [{"vocabulary": "icd10", "code": "Z99", "events": 1}]


def test_phewas_tests_disease_after_the_visit_and_what_cannot_be(data):
    cohort = pd.read_csv(data / "cohort.tsv", sep="\t").assign(visit="2018-01-01")
    write_table(cohort, data / "visits.tsv")
    options = ("--incident", "--visit", "visit", "--end-of-follow-up", "2021-01-01")
    null = ("--null", "labels,gaussian", "--null-repeats", "2")
    result = _run("phewas", data, *options, *null, covariates=data / "visits.tsv")
    assert result.exit_code == 0, result.output
    incident = pd.read_csv(data / "out/phewas_incident.tsv", sep="\t", dtype={"phecode": str})
    row = incident.set_index("phecode").loc["427.2"]
    assert row["neg_log10_p"] > 8
    assert row["n_earlier"] == 0
    nulls = pd.read_csv(data / "out/phewas_null.tsv", sep="\t")
    assert nulls.groupby("null")["repeat"].max().to_dict() == {"gaussian": 2, "labels": 2}


def test_phewas_takes_a_map_of_both_editions_and_the_end_of_the_records(data):
    (data / "both.tsv").write_text(
        "vocabulary_id\ticd\tphecode\nICD10\tI48\t427.2\nICD10CM\tI48\t401.1\n"
    )
    maps = {"phecodes": data / "both.tsv"}
    assert "say which edition" in str(_run("phewas", data, **maps).exception)
    for edition, phecode in (("who", "427.2"), ("cm", "401.1")):
        result = _run("phewas", data, "--icd10-edition", edition, **maps)
        assert result.exit_code == 0, result.output
        table = pd.read_csv(data / "out/phewas.tsv", sep="\t", dtype={"phecode": str})
        assert table.set_index("phecode")["n_cases"].gt(0).to_dict() == {
            "427.2": phecode == "427.2",
            "401.1": phecode == "401.1",
        }
        told = json.loads((data / "out/phewas.json").read_text())
        assert told["icd10_edition"] == edition.upper()
    result = _run("phewas", data, "--minimum-count", "2", "--until", "2019-12-31")
    assert "none has a date" in str(result.exception)


@pytest.mark.parametrize(
    ("command", "changed", "message"),
    [
        ("probe", {"targets": "heart_rate,blood"}, "no column 'blood'"),
        ("probe", {"phenotypes": "nowhere.tsv"}, "no such file"),
        ("probe", {"phenotype-info": "nowhere.tsv"}, "no such file"),
        ("probe", {"categorical": "blood"}, "--categorical: 'blood' is not among the targets"),
        ("probe", {"adjust": "age"}, "--adjust names columns of --covariates"),
        ("phewas", {"covariate-columns": "age,height"}, "no column 'height'"),
        ("phewas", {"embedding": "nowhere.parquet"}, "no such file"),
        ("phewas", {"null": "labels,noise"}, "--null: no kind 'noise'; expected of labels"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(data, command, changed, message):
    result = _run(command, data, **changed)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (data / "out").exists()


def test_no_common_participant_is_an_error_that_counts(data):
    strangers = pd.DataFrame({"sample_id": ["x", "y"], "heart_rate": [60.0, 70.0]})
    write_table(strangers, data / "others.tsv")
    result = _run("probe", data, phenotypes=data / "others.tsv")
    assert "no participant is left of 700" in str(result.exception)
    assert "not in the phenotypes: 600" in str(result.exception)


def test_two_embeddings_of_one_name_are_refused(data):
    result = _run("probe", data, "--embedding", f"noise={data}/good.parquet")
    assert "two are named 'noise'" in str(result.exception)
