import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.phecode_records import phecode_records
from regreveal.simulation.health import (
    MISSING_SHARE,
    disease_truth,
    draw_diagnoses,
    draw_lifestyle,
    draw_visits,
    measure,
    parse_risks,
    phecode_info,
    phecode_map,
)
from regreveal.simulation.traits import read_table
from regreveal.store.cohort import write_table

N = 20_000


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    table = read_table("traits.tsv")
    z = rng.standard_normal((N, len(table)))
    traits = pd.DataFrame(
        table["mean"].to_numpy() + z * table["sd"].to_numpy(), columns=table["trait"].to_list()
    )
    age, male = rng.uniform(45, 80, N), rng.random(N) < 0.48
    lifestyle = draw_lifestyle(traits, age, male, rng)
    return traits, age, male, lifestyle


@pytest.fixture(scope="module")
def diagnoses(people):
    traits, age, male, lifestyle = people
    return draw_diagnoses(traits, lifestyle, age, male, np.random.default_rng(2))


@pytest.fixture(scope="module")
def has(diagnoses):
    """Phecode to whether each person has it."""
    code = diagnoses["icd10"].where(diagnoses["icd10"] != "", diagnoses["icd9"])
    vocabulary = np.where(diagnoses["icd10"] != "", "ICD10", "ICD9")
    coded = diagnoses.assign(icd=code, vocabulary_id=vocabulary)
    coded = coded.merge(phecode_map(), how="left", validate="many_to_one")
    assert coded["phecode"].notna().all()
    return {code: np.isin(np.arange(N), rows["row"]) for code, rows in coded.groupby("phecode")}


def test_every_disease_is_as_common_as_asked_and_keeps_to_its_sex(people, has):
    male = people[2]
    for disease in read_table("diseases.tsv").itertuples():
        can_have = {"both": np.ones(N, bool), "male": male, "female": ~male}[disease.sex]
        ill = has[disease.phecode]
        assert not ill[~can_have].any()
        # Diseases of one sex are as common as asked in that sex at the mean of what else counts.
        if disease.male == 0 or disease.sex == "both":
            error = np.sqrt(disease.prevalence / can_have.sum())
            assert ill[can_have].mean() == pytest.approx(
                disease.prevalence, abs=4 * error + 0.1 * disease.prevalence
            ), disease.name


def test_risks_that_go_along_with_each_other_leave_the_prevalence_as_asked():
    # Blood pressure rises with age and body mass, and hypertension depends on all three.
    n, rng = 100_000, np.random.default_rng(4)
    table = read_table("traits.tsv")
    traits = pd.DataFrame(rng.standard_normal((n, len(table))), columns=table["trait"].to_list())
    age, male = rng.uniform(45, 80, n), rng.random(n) < 0.48
    lifestyle = draw_lifestyle(traits, age, male, rng)
    diagnoses = draw_diagnoses(traits, lifestyle, age, male, rng)
    hypertension = (diagnoses["icd10"] == "I10") | (diagnoses["icd9"] == "401.9")
    prevalence = diagnoses.loc[hypertension, "row"].nunique() / n
    assert prevalence == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / n))


def test_diseases_follow_the_traits_of_the_truth_and_no_others(people, has):
    traits, age, male, _ = people
    truth = disease_truth()
    z = (traits - traits.mean()) / traits.std()
    covariates = np.column_stack([np.ones(N), age, male])
    checked_null = 0
    for disease in read_table("diseases.tsv").itertuples():
        risks = parse_risks(disease.risks)
        ill = has[disease.phecode].astype(float)
        ill -= covariates @ np.linalg.lstsq(covariates, ill, rcond=None)[0]
        statistic = pd.Series(z.T @ ill / (ill.std() * np.sqrt(N)), index=z.columns)
        for trait in set(risks) & set(z.columns):
            assert np.sign(statistic[trait]) == np.sign(risks[trait])
            assert abs(statistic[trait]) > 5, (disease.name, trait)
        # Body mass, smoking and blood pressure go along with ECG traits: no null where they count.
        if not set(risks) - set(z.columns):
            null = statistic.drop(list(risks))
            assert null.abs().max() < norm.isf(1e-5)
            checked_null += len(null)
    assert checked_null > 100
    assert set(truth.loc[truth["phecode"] == "426.2", "risk"]) == {"age", "male", "pr_interval"}


def test_conduction_diseases_depend_on_conduction(has, people):
    traits = people[0]
    for phecode, trait in [
        ("426.2", "pr_interval"),
        ("426.3", "qrs_duration"),
        ("426.9", "qt_interval"),
    ]:
        assert traits[trait][has[phecode]].mean() > traits[trait].mean() + traits[trait].std()


def test_codes_have_dates_and_come_in_order(diagnoses):
    dates = pd.to_datetime(diagnoses["date"], format="%Y-%m-%d")
    assert dates.between("1990-01-01", "2022-12-31").all()
    assert not diagnoses.duplicated().any()
    assert diagnoses.groupby("row")["date"].apply(lambda d: d.is_monotonic_increasing).all()
    assert diagnoses.duplicated(["row", "icd10"]).any()
    # A code a row: of ICD-9 until March 1996, of ICD-10 after.
    assert ((diagnoses["icd9"] != "") == (dates < "1996-04-01")).all()
    assert ((diagnoses["icd10"] == "") == (dates < "1996-04-01")).all()


def test_a_good_part_of_the_ill_fell_ill_after_their_visit(diagnoses):
    visit = pd.to_datetime(draw_visits(N, np.random.default_rng(5)))
    assert (visit.min(), visit.max()) == (pd.Timestamp("2014-05-01"), pd.Timestamp("2020-03-01"))
    for codes in (["I48.0", "I48.9"], ["E11.9", "E11.6"]):
        first = diagnoses[diagnoses["icd10"].isin(codes)].groupby("row")["date"].min()
        assert 0.1 < (pd.to_datetime(first) > visit[first.index]).mean() < 0.4


def test_phecode_tables_are_complete():
    codes, info = phecode_map(), phecode_info()
    assert not codes.duplicated(["vocabulary_id", "icd"]).any()
    assert info["phecode"].is_unique
    assert set(codes["phecode"]) == set(info["phecode"])
    number = info["phecode"].astype(float)
    assert (info["exclude_from"] <= number).all()
    assert (number <= info["exclude_to"]).all()
    assert set(info["sex"]) == {"both", "female", "male"}
    assert info["category"].nunique() >= 8
    assert len(info) >= 25
    by_vocabulary = codes.groupby("vocabulary_id")["icd"]
    assert by_vocabulary.get_group("ICD10").str.fullmatch(r"[A-Z]\d\d(\.\d)?").all()
    assert by_vocabulary.get_group("ICD9").str.fullmatch(r"\d{3}(\.\d{1,2})?").all()


def test_the_simulated_tables_are_read_as_a_users_are(diagnoses, has, tmp_path):
    named = diagnoses.assign(sample_id=diagnoses["row"].astype(str)).drop(columns="row")
    tables = {"diagnoses": named, "phecodes": phecode_map(), "phecode_info": phecode_info()}
    for name, table in tables.items():
        write_table(table, tmp_path / f"{name}.tsv")
    phecode_map_read = read_phecode_map(tmp_path / "phecodes.tsv", tmp_path / "phecode_info.tsv")
    records = phecode_records(read_diagnoses(tmp_path / "diagnoses.tsv"), phecode_map_read)
    assert records.counts["unmapped"] == records.counts["rows_without_code"] == 0
    found = records.events.groupby("phecode", observed=True)["sample_id"].apply(
        lambda ids: set(ids.astype(int))
    )
    assert found.to_dict() == {phecode: set(np.flatnonzero(ill)) for phecode, ill in has.items()}


def test_liabilities_leave_room_for_chance():
    truth = disease_truth()
    assert (truth["weight"] ** 2).groupby(truth["phecode"]).sum().max() < 0.8
    assert truth["prevalence"].between(0.005, 0.3).all()


def test_measurements_are_near_the_truth_and_some_are_missing(people):
    traits, _, _, lifestyle = people
    measured = measure(traits, lifestyle, np.random.default_rng(3))
    assert measured.isna().to_numpy().mean() == pytest.approx(MISSING_SHARE, rel=0.1)
    for trait in traits:
        # Noise of 0.2 SD: the correlation is 1 / sqrt(1 + 0.2²).
        assert measured[trait].corr(traits[trait]) == pytest.approx(1 / np.sqrt(1.04), abs=0.005)
    assert set(measured["smoking"].dropna()) == {"yes", "no"}
    assert measured["bmi"].dropna().between(10, 65).all()
