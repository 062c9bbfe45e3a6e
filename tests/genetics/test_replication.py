import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.halves import one_sided, split_in_halves
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.replication import replicate, summarise
from regreveal.genetics.transforms import transform_latents
from regreveal.store.embedding import Embedding

PEOPLE = [f"p{i}" for i in range(1200)]
FOLD = pd.Series(np.arange(1200) % 5, index=PEOPLE)


def apart(count):
    """Variants so far from each other that each is a locus of its own."""
    return pd.DataFrame(
        {
            "chromosome": np.repeat(["1", "2"], -(-count // 2))[:count],
            "variant_id": [f"rs{i}" for i in range(count)],
            "centimorgan": 0,
            "position": 1_000_000 * np.arange(1, count + 1),
            "alt": "A",
            "ref": "C",
        }
    )


def halves(seed):
    return split_in_halves(np.arange(1200), FOLD.to_numpy(), seed)


@pytest.fixture
def study(bed_writer):
    """Make 30 variants, and a covariate that is in the latents, too.

    Variant 0 moves the latents; 1 moves them one way in one half and the other way in the other.
    """
    rng = np.random.default_rng(3)
    dosages = rng.binomial(2, rng.uniform(0.2, 0.5, 30)[:, None], (30, 1200)).astype(np.int8)
    age = rng.normal(60, 8, 1200)
    latents = rng.standard_normal((1200, 6)) @ rng.standard_normal((6, 6))
    latents += 0.05 * age[:, None]
    latents[:, 2] += 1.2 * dosages[0]
    latents[:, 4] += 1.5 * dosages[1] * np.where(halves(7) == 1, 1, -1)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    covariates = pd.DataFrame({"age": age}, index=pd.Index(PEOPLE, name="sample_id"))
    return (
        Embedding(PEOPLE, latents, {}),
        bed_writer(dosages, PEOPLE, apart(30)),
        covariates,
        dosages,
    )


def test_halves_keep_families_together_and_folds_balanced():
    rng = np.random.default_rng(0)
    family = np.concatenate([np.repeat(np.arange(60), 3), 60 + np.arange(820)])
    fold = rng.integers(0, 5, 1000)
    half = split_in_halves(family, fold, 1)
    assert all(len(set(half[family == number])) == 1 for number in range(60))
    for number in range(5):
        sizes = np.bincount(half[fold == number], minlength=3)[1:]
        assert abs(sizes[0] - sizes[1]) <= 3
    assert abs((half == 1).sum() - 500) <= 2
    assert (half == split_in_halves(family, fold, 1)).all()
    assert 300 < (half == split_in_halves(family, fold, 2)).sum() < 700


def test_a_true_effect_replicates_and_an_opposite_one_only_jointly(study, tmp_path):
    embedding, bed, covariates, _ = study
    result = replicate(embedding, bed, covariates, tmp_path, fold=FOLD, seed=7, coding="additive")
    leads = result.leads.set_index(["variant_id", "discovery"])
    for discovery in (1, 2):
        assert leads.loc[("rs0", discovery), ["replicated_joint", "replicated_direction"]].all()
        assert leads.loc[("rs1", discovery), "replicated_joint"]
        assert not leads.loc[("rs1", discovery), "replicated_direction"]
        assert leads.loc[("rs1", discovery), "direction_beta"] < 0
    summary = result.summary.set_index("discovery")
    counts = summary.loc["either", ["leads", "joint_replicated", "direction_replicated"]]
    assert counts.tolist() == [2, 2, 1]
    # Clopper and Pearson's interval of one of two.
    low, high = stats.beta(1, 2).ppf(0.025), stats.beta(2, 1).ppf(0.975)
    told = summary.loc["either", ["direction_low", "direction_high"]].astype(float)
    np.testing.assert_allclose(told, [low, high])
    assert pd.read_csv(tmp_path / "leads.tsv", sep="\t").shape == result.leads.shape
    assert json.loads((tmp_path / "replication.json").read_text())["participants"] == {
        "1": 600, "2": 600,
    }  # fmt: skip


def test_both_tests_are_those_of_other_programs(study, tmp_path):
    embedding, bed, covariates, dosages = study
    leads = replicate(
        embedding, bed, covariates, tmp_path, fold=FOLD, seed=7, coding="additive"
    ).leads
    lead = leads[(leads["variant_id"] == "rs0") & (leads["discovery"] == 1)].iloc[0]
    genotype = np.where(dosages[0] < 0, np.nan, dosages[0])
    parts = []
    for number in (1, 2):
        chosen = halves(7) == number
        age = covariates[["age"]].to_numpy()[chosen]
        latents = transform_latents(embedding.latents[chosen], "radial", age)
        known = np.where(np.isnan(genotype[chosen]), np.nanmean(genotype[chosen]), genotype[chosen])
        parts.append((latents, sm.add_constant(age), known))
    (latents, design, dosage), (others, other_design, other_dosage) = parts
    # The discriminant: slopes of all latents, in the metric of what covariates leave of them.
    slopes = np.linalg.lstsq(np.column_stack([design, dosage]), latents, rcond=None)[0][-1]
    rest = latents - design @ np.linalg.lstsq(design, latents, rcond=None)[0]
    score = others @ np.linalg.solve(rest.T @ rest, slopes)
    fit = sm.OLS(score / score.std(), np.column_stack([other_design, other_dosage])).fit()
    assert lead["direction_beta"] == pytest.approx(fit.params[-1], rel=1e-9)
    assert lead["direction_standard_error"] == pytest.approx(fit.bse[-1], rel=1e-9)
    expected = -stats.t.logsf(fit.tvalues[-1], fit.df_resid) / np.log(10)
    assert lead["direction_neg_log10_p"] == pytest.approx(expected, rel=1e-9)
    space = LatentSpace(others, other_design[:, 1:])
    tested = space.test(dosages[:1, halves(7) == 2], "additive")
    joint = space.skewness.neg_log10_p(tested, "additive")[0]
    assert lead["joint_neg_log10_p"] == pytest.approx(joint, rel=1e-9)


def test_p_values_are_uniform_without_an_effect(bed_writer, tmp_path):
    rng = np.random.default_rng(5)
    count = 300
    frequency = rng.uniform(0.05, 0.5, count)[:, None]
    dosages = rng.binomial(2, frequency, (count, 1200)).astype(np.int8)
    # Far out together, and skewed: what autoencoders' latents are like.
    latents = rng.standard_normal((1200, 8)) / np.sqrt(rng.chisquare(5, (1200, 1)) / 5)
    latents[:, 0] += 0.3 * latents[:, 1] ** 2
    leads = replicate(
        Embedding(PEOPLE, latents, {}),
        bed_writer(dosages, PEOPLE, apart(count)),
        None,
        tmp_path,
        fold=FOLD,
        coding="additive",
        threshold=0.9999,
    ).leads
    assert len(leads) > 580
    for test in ("direction", "joint"):
        for discovery, table in leads.groupby("discovery"):
            p = 10.0 ** -table[f"{test}_neg_log10_p"]
            assert stats.kstest(p, "uniform").pvalue > 0.01, (test, discovery)
    assert leads["replicated_direction"].sum() <= 2


def test_discoveries_are_those_of_a_gwas_of_the_half(study, tmp_path):
    embedding, bed, covariates, _ = study
    leads = replicate(embedding, bed, covariates, tmp_path / "halves", fold=FOLD, seed=7).leads
    some = [name for name, half in zip(PEOPLE, halves(7), strict=True) if half == 2]
    alone = run_gwas(
        embedding, bed, covariates, tmp_path / "alone", participants=some, examine=False
    ).loci
    found = leads[leads["discovery"] == 2]
    assert found["variant_id"].tolist() == alone["variant_id"].tolist()
    np.testing.assert_allclose(
        found["discovery_neg_log10_p"], alone["neg_log10_p_corrected"], rtol=1e-12
    )
    # With three genotype groups, power on one direction is not told.
    assert leads["direction_power_cautious"].isna().all()
    assert leads["joint_power_cautious"].between(0, 1).all()


def test_a_lead_that_too_few_carry_in_the_other_half_is_counted_not_tested(bed_writer, tmp_path):
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.3, (4, 1200)).astype(np.int8)
    in_first = np.flatnonzero(halves(7) == 1)
    dosages[0] = 0
    dosages[0, in_first[:60]] = 1
    latents = rng.standard_normal((1200, 4))
    latents[:, 0] += 3 * dosages[0]
    result = replicate(
        Embedding(PEOPLE, latents, {}),
        bed_writer(dosages, PEOPLE, apart(4)),
        None,
        tmp_path,
        fold=FOLD,
        seed=7,
    )
    assert result.leads["reason"].tolist() == ["too few carriers in the other half"]
    assert not result.leads["replicated_joint"].any()
    assert result.summary.set_index("discovery").loc["1", ["leads", "tested"]].tolist() == [1, 0]


def test_confounders_are_projected_out_of_both_halves_alike(study, tmp_path):
    embedding, bed, covariates, _ = study
    leads = replicate(
        *(embedding, bed, covariates, tmp_path),
        fold=FOLD,
        seed=7,
        coding="additive",
        project_out_columns=["age"],
    ).leads
    of_first = leads[leads["variant_id"] == "rs0"]
    assert of_first["replicated_direction"].tolist() == [True, True]


def test_nothing_found_is_told_as_nothing(bed_writer, tmp_path):
    rng = np.random.default_rng(1)
    dosages = rng.binomial(2, 0.3, (5, 1200)).astype(np.int8)
    result = replicate(
        Embedding(PEOPLE, rng.standard_normal((1200, 4)), {}),
        bed_writer(dosages, PEOPLE, apart(5)),
        None,
        tmp_path,
        fold=FOLD,
    )
    assert len(result.leads) == 0
    assert result.summary["leads"].tolist() == [0, 0, 0]
    assert result.summary["direction_low"].isna().all()
    pd.testing.assert_frame_equal(summarise(result.leads), result.summary)


def test_too_few_people_for_halves_are_an_error_of_one_line(bed_writer, tmp_path):
    rng = np.random.default_rng(1)
    dosages = rng.binomial(2, 0.3, (5, 60)).astype(np.int8)
    embedding = Embedding(PEOPLE[:60], rng.standard_normal((60, 30)), {})
    genotypes = bed_writer(dosages, PEOPLE[:60], apart(5))
    with pytest.raises(InputError, match="30 participants in a half are too few for 30 dimensions"):
        replicate(embedding, genotypes, None, tmp_path, fold=FOLD[:60])


def test_one_sided_p_is_half_for_effects_as_expected():
    values = one_sided(np.array([1.0, -1.0, 0.0]), -np.log10([0.04, 0.04, 1.0]))
    np.testing.assert_allclose(10.0**-values, [0.02, 0.98, 0.5])


def test_on_chromosome_x_sex_is_a_covariate_of_the_directed_test(bed_writer, tmp_path):
    rng = np.random.default_rng(4)
    male = rng.random(1200) < 0.5
    dosages = rng.binomial(2, 0.4, (6, 1200)).astype(np.int8)
    # Men have one copy, which files write as two; and they differ in the latents, too.
    dosages[:, male] = 2 * rng.binomial(1, 0.6, (6, male.sum()))
    latents = rng.standard_normal((1200, 5)) + male[:, None]
    latents[:, 1] += 0.8 * dosages[2]
    variants = apart(6).assign(chromosome="X", position=10_000_000 * np.arange(1, 7))
    bed = bed_writer(dosages, PEOPLE, variants)
    fam = pd.read_csv(bed.with_suffix(".fam"), sep=" ", header=None)
    fam[4] = np.where(male, 1, 2)
    fam.to_csv(bed.with_suffix(".fam"), sep=" ", header=False, index=False)
    embedding = Embedding(PEOPLE, latents, {})
    leads = replicate(embedding, bed, None, tmp_path, fold=FOLD, seed=7, coding="additive").leads
    assert leads["variant_id"].tolist() == ["rs2", "rs2"]
    latents = embedding.latents  # in single precision
    lead, halved = leads.iloc[0], halves(7)
    first, second = (transform_latents(latents[halved == number], "radial") for number in (1, 2))
    designs = [sm.add_constant(male[halved == number].astype(float)) for number in (1, 2)]
    dosage, other_dosage = (dosages[2, halved == number] for number in (1, 2))
    slopes = np.linalg.lstsq(np.column_stack([designs[0], dosage]), first, rcond=None)[0][-1]
    rest = first - designs[0] @ np.linalg.lstsq(designs[0], first, rcond=None)[0]
    score = second @ np.linalg.solve(rest.T @ rest, slopes)
    fit = sm.OLS(score / score.std(), np.column_stack([designs[1], other_dosage])).fit()
    assert lead["direction_beta"] == pytest.approx(fit.params[-1], rel=1e-9)
    expected = -stats.t.logsf(fit.tvalues[-1], fit.df_resid) / np.log(10)
    assert lead["direction_neg_log10_p"] == pytest.approx(expected, rel=1e-9)
