"""Health: what the assessment measured, and the diagnoses of a lifetime."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from regreveal.simulation.traits import read_table

MEASUREMENT_NOISE = 0.2  # SD of a device's error, in SDs of the trait
MISSING_SHARE = 0.03
FIRST_DAY, LAST_DAY = np.datetime64("1990-01-01"), np.datetime64("2022-12-31")
FIRST_ICD10_DAY = np.datetime64("1996-04-01")  # hospitals coded in ICD-9 before
FIRST_VISIT, LAST_VISIT = np.datetime64("2014-05-01"), np.datetime64("2020-03-01")


@dataclass
class Lifestyle:
    """What is true of participants beside their image traits.

    Attributes
    ----------
    bmi, sbp : ndarray, shape (participants,)
        Body mass index (kg/m²) and systolic blood pressure (mmHg).
    smoking : ndarray of bool, shape (participants,)
        Whether ever a smoker.
    """

    bmi: np.ndarray
    sbp: np.ndarray
    smoking: np.ndarray


def draw_lifestyle(
    traits: pd.DataFrame, age: np.ndarray, male: np.ndarray, rng: np.random.Generator
) -> Lifestyle:
    """Draw body mass, smoking and blood pressure, which go along with some ECG traits.

    Parameters
    ----------
    traits : DataFrame, shape (participants, traits)
        True traits; those of the ECG are used.
    age, male : ndarray, shape (participants,)
        Years, and whether male.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    Lifestyle
        For the same participants.
    """
    z = _standardised(traits)
    n = len(traits)
    # A stout body lifts the heart into a more horizontal axis and damps the voltages.
    bmi = -0.25 * z["frontal_axis"] - 0.2 * z["r_amplitude"] + 0.9 * rng.standard_normal(n)
    smoking = 0.3 * z["heart_rate"] + 0.15 * (male - 0.5) + rng.standard_normal(n) > 0.2
    sbp = 0.3 * _standardised(age) + 0.25 * bmi + 0.15 * z["r_amplitude"]
    sbp = sbp + 0.85 * rng.standard_normal(n)
    return Lifestyle(
        bmi=(27 + 4.5 * bmi.to_numpy()).clip(15, 60),
        sbp=(135 + 17 * sbp.to_numpy()).clip(80, 230),
        smoking=smoking.to_numpy(),
    )


def measure(traits: pd.DataFrame, lifestyle: Lifestyle, rng: np.random.Generator) -> pd.DataFrame:
    """Measure everything with a device's error, and lose some of it.

    Parameters
    ----------
    traits : DataFrame, shape (participants, traits)
        True traits.
    lifestyle : Lifestyle
        Of the same participants.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame
        The traits as measured, `bmi`, `sbp`, and `smoking` ("yes" or "no"); 3 % is missing.
    """
    measured = traits.copy()
    measured["bmi"], measured["sbp"] = lifestyle.bmi, lifestyle.sbp
    measured += rng.standard_normal(measured.shape) * MEASUREMENT_NOISE * measured.std().to_numpy()
    measured["smoking"] = np.where(lifestyle.smoking, "yes", "no")
    return measured.mask(rng.random(measured.shape) < MISSING_SHARE)


def phenotype_info(traits: pd.DataFrame) -> pd.DataFrame:
    """Describe what was measured, and the cohort's age, sex and ancestry.

    Parameters
    ----------
    traits : DataFrame
        `modality`, `trait` and `units` of each.

    Returns
    -------
    DataFrame
        `phenotype`, `units`, `type` and `description`; a type is given to classes only.
    """
    measured = pd.DataFrame({"phenotype": traits["trait"], "units": traits["units"], "type": ""})
    spoken = traits["trait"].str.replace("_", " ")
    measured["description"] = spoken + " (" + traits["modality"] + "), as measured"
    columns = ["phenotype", "units", "type", "description"]
    return pd.concat([measured, pd.DataFrame(_BESIDE_TRAITS, columns=columns)], ignore_index=True)


_BESIDE_TRAITS = [
    ("bmi", "kg/m2", "", "body mass index"),
    ("sbp", "mmHg", "", "systolic blood pressure"),
    ("smoking", "", "binary", "ever smoked"),
    ("age", "years", "", "age at the assessment"),
    ("sex", "", "binary", "sex"),
    ("ancestry", "", "categorical", "ancestry that makes up most of the genome"),
]


def draw_visits(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the day of each participant's assessment, shape (n,), as text (YYYY-MM-DD)."""
    days = (LAST_VISIT - FIRST_VISIT).astype(int)
    return (FIRST_VISIT + rng.integers(0, days + 1, n)).astype(str)


def draw_diagnoses(
    traits: pd.DataFrame,
    lifestyle: Lifestyle,
    age: np.ndarray,
    male: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Give diseases to those whose liability is beyond what the prevalence leaves healthy.

    A liability is a weighted sum of standardised age, sex, traits and habits, by `diseases.tsv`,
    and chance, which makes up its variance to 1 (risks go along with each other, so that the sum
    of squared weights does not tell how much is left to chance). Codes fall on more days the later
    it is, since people get older, and before FIRST_ICD10_DAY are of ICD-9.

    Parameters
    ----------
    traits : DataFrame, shape (participants, traits)
        True traits.
    lifestyle, age, male
        Of the same participants.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame
        One row per code given: `row` of the participant, `icd10` or `icd9`, the other empty, and
        `date` (YYYY-MM-DD), by participant and date.
    """
    z = _standardised(traits)
    for name in ("bmi", "sbp", "smoking"):
        z[name] = _standardised(getattr(lifestyle, name).astype(float))
    z_age, z_male = _standardised(age), _standardised(male.astype(float))
    days = (LAST_DAY - FIRST_DAY).astype(int)
    events = []
    for disease in read_table("diseases.tsv").itertuples():
        liability = disease.age * z_age + disease.male * z_male
        for trait, weight in parse_risks(disease.risks).items():
            liability = liability + weight * z[trait].to_numpy()
        chance = 1 - liability.var()
        liability = liability + np.sqrt(chance) * rng.standard_normal(len(traits))
        can_have = {"both": True, "male": male, "female": ~male}[disease.sex]
        ill = np.flatnonzero((liability > norm.isf(disease.prevalence)) & can_have)
        rows = np.repeat(ill, 1 + rng.poisson(1.0, len(ill)))
        later = np.sqrt(rng.integers(0, days + 1, len(rows)) / days)  # density rises with time
        dates = FIRST_DAY + np.rint(days * later).astype(int)
        codes = rng.choice(disease.icd10.split(";"), len(rows))
        old = dates < FIRST_ICD10_DAY
        given = {"icd10": np.where(old, "", codes), "icd9": np.where(old, disease.icd9, "")}
        events.append(pd.DataFrame({"row": rows, **given, "date": dates}))
    by_date = ["row", "date", "icd10", "icd9"]
    diagnoses = pd.concat(events).sort_values(by_date, ignore_index=True)
    diagnoses["date"] = diagnoses["date"].dt.strftime("%Y-%m-%d")
    return diagnoses.drop_duplicates(ignore_index=True)


def parse_risks(risks: str) -> dict[str, float]:
    """Read "pr_interval:0.65;bmi:0.1" as a mapping."""
    pairs = (entry.split(":") for entry in risks.split(";") if entry)
    return {trait: float(weight) for trait, weight in pairs}


def phecode_map() -> pd.DataFrame:
    """Give the small map that comes with the biobank: `vocabulary_id`, `icd` and `phecode`."""
    diseases = read_table("diseases.tsv").rename(columns={"icd9": "ICD9", "icd10": "ICD10"})
    codes = diseases.melt("phecode", ["ICD9", "ICD10"], "vocabulary_id", "icd")
    codes = codes.assign(icd=codes["icd"].str.split(";")).explode("icd")
    codes = codes.sort_values(["vocabulary_id", "icd"], ignore_index=True)
    return codes[["vocabulary_id", "icd", "phecode"]]


def phecode_info() -> pd.DataFrame:
    """Give each phecode's `name`, `category`, `exclude_from`, `exclude_to` and `sex`."""
    columns = ["phecode", "name", "category", "exclude_from", "exclude_to", "sex"]
    return read_table("diseases.tsv")[columns]


def disease_truth() -> pd.DataFrame:
    """Give which disease depends on what: `phecode`, `name`, `risk`, `weight`, `prevalence`."""
    rows = [
        (disease.phecode, disease.name, risk, weight, disease.prevalence)
        for disease in read_table("diseases.tsv").itertuples()
        for risk, weight in {
            "age": disease.age,
            "male": disease.male,
            **parse_risks(disease.risks),
        }.items()
        if weight != 0
    ]
    return pd.DataFrame(rows, columns=["phecode", "name", "risk", "weight", "prevalence"])


def _standardised(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)
