import gzip
import json

import numpy as np
import pandas as pd
import pysam
import pytest
import statsmodels.api as sm
from typer.testing import CliRunner

from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED, TABLE_COLUMNS
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.loci import read_loci
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.matching import match_participants
from regreveal.genetics.skewness import SkewnessCorrection
from regreveal.genetics.trait_gwas import run_univariate_gwas
from regreveal.genetics.transforms import transform_latents
from regreveal.store.embedding import Embedding

PEOPLE = [f"p{i}" for i in range(400)]


@pytest.fixture
def study(bed_writer):
    """Make a small study: one causal variant, files in disorder, gaps everywhere."""
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, rng.uniform(0.1, 0.5, 60)[:, None], (60, 400)).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    dosages[7] = 0
    dosages[8] = 0
    dosages[8, :3] = 1
    variants = pd.DataFrame(
        {
            "chromosome": rng.permutation(np.repeat(["10", "2", "X"], 20)),
            "variant_id": [f"rs{i}" for i in range(60)],
            "centimorgan": 0,
            "position": rng.permutation(60) * 400_000 + 1,
            "alt": "A",
            "ref": "C",
        }
    )
    variants.loc[0, "position"] = 0
    latents = rng.standard_normal((400, 5))
    latents[:, 2] += 0.9 * np.maximum(dosages[30], 0)
    order = rng.permutation(400)[:390]
    embedding = Embedding(
        [PEOPLE[i] for i in order] + ["without genotypes"],
        np.vstack([latents[order], np.zeros(5)]),
        {"trained_on": ["p0", "elsewhere"]},
    )
    covariates = pd.DataFrame(
        {"age": rng.normal(60, 8, 400), "sex": rng.choice(["female", "male"], 400)},
        index=pd.Index(PEOPLE, name="sample_id"),
    )
    covariates.loc[embedding.sample_ids[3], "age"] = np.nan
    covariates = covariates.drop(embedding.sample_ids[4:6])
    return embedding, bed_writer(dosages, PEOPLE, variants), covariates


def read(path):
    return pd.read_csv(path, sep="\t", dtype={"chromosome": str})


def test_the_table_has_the_tests_of_every_variant_in_genome_order(study, tmp_path):
    embedding, bed, covariates = study
    result = run_gwas(
        *(embedding, bed, covariates, tmp_path / "out"),
        transform="none",
        block_size=7,
        sex_column="sex",
    )
    table = read(tmp_path / "out/manova.tsv.gz")
    assert list(table.columns) == [*TABLE_COLUMNS, CORRECTED]
    assert list(pd.unique(table["chromosome"])) == ["2", "10", "X"]
    assert all(part["position"].is_monotonic_increasing for _, part in table.groupby("chromosome"))
    assert sorted(table["variant_id"]) == sorted(f"rs{i}" for i in range(60))

    genotypes = open_genotypes(bed)
    used = [name for name in embedding.sample_ids[:390] if name in covariates.index]
    used = [name for name in used if np.isfinite(covariates.loc[name, "age"])]
    design = covariates.loc[used].assign(sex=lambda c: c["sex"] == "male").astype(float)
    rows = genotypes.variants.set_index("variant_id").index.get_indexer(table["variant_id"])
    space = LatentSpace(embedding.select(used), design)
    dosages = genotypes.dosages(rows, used)
    in_par1 = table["position"].between(1, 2_781_479)
    on_x = ((table["chromosome"] == "X") & ~in_par1).to_numpy()[:, None]
    dosages[on_x & (dosages == 1) & design["sex"].to_numpy(bool)] = -1  # men with two X
    expected = space.test(dosages, minimum_count=20)
    pd.testing.assert_frame_equal(
        table[expected.columns], expected, rtol=1e-10, check_dtype=False, obj="table"
    )
    # Only radial latents have the norms that the correction for skewness relies on.
    pd.testing.assert_series_equal(table[CORRECTED], table["neg_log10_p"], check_names=False)
    assert result.summary["participants"] == {
        "phenotyped": 391,
        "genotyped_without_phenotype": 10,
        "without_genotypes": 1,
        "without_covariates": 2,
        "missing_covariate_values": 1,
        "analysed": 387,
        "seen_in_training": int("p0" in used),
    }
    assert result.summary["variants"] == {
        "read": 60,
        "tested": 58,
        "no_variation": 1,
        "too_few": 1,
        "missing_genotypes": int((table["n"] < 387).sum()),
        "unplaced": 1,
        "male_heterozygotes": int(on_x.sum()),
    }
    assert json.loads((tmp_path / "out/gwas.json").read_text()) == result.summary


def test_tabix_finds_a_region(study, tmp_path):
    run_gwas(*study, tmp_path)
    table = read(tmp_path / "manova.tsv.gz")
    inside = table.query("chromosome == '10' and 5_000_000 <= position <= 12_000_000")
    with pysam.TabixFile(str(tmp_path / "manova.tsv.gz")) as tabix:
        rows = [row.split("\t")[2] for row in tabix.fetch("10", 4_999_999, 12_000_000)]
    assert rows == list(inside["variant_id"])
    assert len(rows) > 0


def test_the_planted_variant_is_the_locus_and_its_p_value_is_exact(study, tmp_path):
    embedding, bed, covariates = study
    genes = pd.DataFrame({"chromosome": ["2", "10", "X"], "start": 1, "end": 2, "gene": "GENE"})
    result = run_gwas(embedding, bed, covariates, tmp_path, transform="none", genes=genes)
    loci = read(tmp_path / "loci.tsv")
    assert list(loci["variant_id"]) == ["rs30"] == list(result.loci["variant_id"])
    assert loci["nearest_gene"][0] == "GENE"
    genotypes = open_genotypes(bed)
    used = match_participants(embedding.sample_ids, PEOPLE, covariates).sample_ids
    dosage = genotypes.dosages(np.array([30]), used)[0]
    known = dosage >= 0
    assert not known.all()
    names = [name for name, there in zip(used, known, strict=True) if there]
    design = covariates.loc[names].assign(sex=lambda c: c["sex"] == "male").astype(float)
    exact = LatentSpace(embedding.select(names), design).test(dosage[None, known])
    assert loci["neg_log10_p_exact"][0] == pytest.approx(exact["neg_log10_p"][0], rel=1e-8)
    table = read(tmp_path / "manova.tsv.gz").set_index("variant_id")
    assert loci[CORRECTED][0] == pytest.approx(table.loc["rs30", CORRECTED], rel=1e-8)
    assert loci[CORRECTED][0] != pytest.approx(loci["neg_log10_p_exact"][0], rel=1e-3)
    assert genotypes.variants["variant_id"][loci["row"][0]] == "rs30"


def test_radial_latents_are_corrected_for_skewness(study, tmp_path):
    embedding, bed, _ = study
    run_gwas(embedding, bed, None, tmp_path)
    table = read(tmp_path / "manova.tsv.gz").dropna()
    used = [name for name in PEOPLE if name in embedding.sample_ids]
    space = LatentSpace(transform_latents(embedding.select(used)))
    expected = SkewnessCorrection(space.whitened).neg_log10_p(table, "genotype")
    np.testing.assert_allclose(table[CORRECTED], expected, rtol=1e-9)


@pytest.mark.parametrize("coding", ["genotype", "additive"])
def test_the_order_of_participants_and_blocks_changes_nothing(study, tmp_path, coding):
    embedding, bed, covariates = study
    order = np.random.default_rng(1).permutation(len(embedding.sample_ids))
    shuffled = Embedding([embedding.sample_ids[i] for i in order], embedding.latents[order])
    run_gwas(embedding, bed, covariates, tmp_path / "one", coding=coding)
    run_gwas(shuffled, bed, covariates[::-1], tmp_path / "two", coding=coding, block_size=1)
    one, two = (read(tmp_path / name / "manova.tsv.gz") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


def test_dimensions_have_their_own_effects(study, tmp_path):
    embedding, bed, _ = study
    result = run_gwas(embedding, bed, None, tmp_path, transform="none", per_dimension=True)
    assert len(list((tmp_path / "dimensions").glob("*.tsv.gz"))) == 5
    table = read(tmp_path / "dimensions/latent_2.tsv.gz").set_index("rsid")
    assert list(table.columns[:8]) == [
        *("chromosome", "base_pair_location", "effect_allele", "other_allele", "beta"),
        *("standard_error", "effect_allele_frequency", "neg_log_10_p_value"),
    ]
    used = [name for name in PEOPLE if name in embedding.sample_ids]
    dosage = open_genotypes(bed).dosages(np.array([30]), used)[0].astype(float)
    dosage[dosage < 0] = dosage[dosage >= 0].mean()
    fit = sm.OLS(embedding.select(used)[:, 2], sm.add_constant(dosage)).fit()
    assert table.loc["rs30", "beta"] == pytest.approx(fit.params[1], rel=1e-6)
    assert table.loc["rs30", "standard_error"] == pytest.approx(fit.bse[1], rel=1e-6)
    assert (table.loc["rs30", "effect_allele"], table.loc["rs30", "other_allele"]) == ("A", "C")
    assert "rs7" not in table.index  # the same in everyone
    assert result.summary["settings"]["dimensions"] == 5


def test_only_the_participants_asked_for_are_analysed(study, tmp_path):
    embedding, bed, covariates = study
    chosen = embedding.sample_ids[10:300]
    result = run_gwas(embedding, bed, covariates, tmp_path, participants=chosen)
    assert result.summary["participants"]["analysed"] == 290
    assert result.summary["participants"]["not_asked_for"] == 101
    assert read(tmp_path / "manova.tsv.gz")["n"].max() <= 290


def test_univariate_gwas_finds_each_traits_own_locus(study, tmp_path):
    embedding, bed, covariates = study
    used = [name for name in PEOPLE if name in embedding.sample_ids]
    dosages = open_genotypes(bed).dosages(np.arange(60), used)
    rng = np.random.default_rng(2)
    traits = pd.DataFrame(
        {"height": dosages[12] + rng.standard_normal(390), "weight": rng.standard_normal(390)},
        index=used,
    )
    traits.iloc[0, 0] = np.nan
    result = run_univariate_gwas(traits, bed, covariates, tmp_path, transform="none")
    loci = read(tmp_path / "loci.tsv")
    assert list(loci.columns[:2]) == ["trait", "locus"]
    assert list(zip(loci["trait"], loci["variant_id"], strict=True)) == [("height", "rs12")]
    assert result.summary["settings"]["threshold"] == pytest.approx(2.5e-8)
    assert result.summary["participants"]["incomplete_traits"] == 1
    assert set(result.tables) == {"height", "weight"}
    table = read(result.tables["height"]).set_index("rsid")
    assert table["neg_log_10_p_value"].idxmax() == "rs12"
    assert table.loc["rs12", "beta"] == pytest.approx(1, abs=0.3)


def test_nothing_found_still_writes_whole_files(study, tmp_path):
    embedding, bed, _ = study
    run_gwas(embedding, bed, None, tmp_path / "latent", threshold=1e-300)
    traits = pd.DataFrame(embedding.latents[:390, :2], index=embedding.sample_ids[:390])
    run_univariate_gwas(traits, bed, None, tmp_path / "traits", threshold=1e-300)
    for name in ("latent", "traits"):
        assert read_loci(tmp_path / name / "loci.tsv").empty
    assert "neg_log10_p_exact" in read_loci(tmp_path / "latent/loci.tsv")


def test_the_latent_test_wants_twenty_carriers_and_a_single_trait_five(bed_writer, tmp_path):
    rng = np.random.default_rng(3)
    dosages = (np.arange(400) < np.array([4, 5, 19, 20])[:, None]).astype(np.int8)
    bed = bed_writer(dosages, PEOPLE)
    embedding = Embedding(PEOPLE, rng.standard_normal((400, 3)))
    run_gwas(embedding, bed, None, tmp_path / "latent")
    tested = read(tmp_path / "latent/manova.tsv.gz")["neg_log10_p"].notna()
    assert list(tested) == [False, False, False, True]
    traits = pd.DataFrame({"height": rng.standard_normal(400)}, index=PEOPLE)
    result = run_univariate_gwas(traits, bed, None, tmp_path / "trait")
    assert list(read(result.tables["height"])["rsid"]) == ["rs1", "rs2", "rs3"]


def test_leads_are_clumped_with_the_covariates_of_the_test(bed_writer, tmp_path):
    rng = np.random.default_rng(4)
    ancestry = rng.integers(0, 2, 400)
    dosages = rng.binomial(2, np.where(ancestry == 1, 0.9, 0.1), (2, 400)).astype(np.int8)
    variants = pd.DataFrame(
        {
            "chromosome": "1",
            "variant_id": ".",
            "centimorgan": 0,
            "position": [1, 900_000],
            "alt": "A",
            "ref": "C",
        },
        index=[0, 1],
    )
    bed = bed_writer(dosages, PEOPLE, variants)
    latents = rng.standard_normal((400, 3)) + 4 * dosages.T @ np.eye(3)[:2]
    covariates = pd.DataFrame({"pc_1": ancestry}, index=PEOPLE).astype(float)
    result = run_gwas(Embedding(PEOPLE, latents), bed, covariates, tmp_path, coding="additive")
    assert list(result.loci["row"]) == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coding": "dominant"}, "coding 'dominant'"),
        ({"transform": "log"}, "transform 'log'"),
        ({"participants": []}, "no participant has a phenotype, genotypes and all covariates"),
        ({"participants": PEOPLE[:8]}, "too few for 5 dimensions"),
        ({"covariate_columns": ["height"]}, "no column 'height'"),
        ({"dtype": "float16"}, "dtype 'float16'"),
    ],
)
def test_bad_options_leave_no_file_that_looks_whole(study, tmp_path, options, message):
    with pytest.raises(InputError, match=message) as error:
        run_gwas(*study, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_ids_of_another_study_are_an_empty_intersection(study, tmp_path):
    embedding, bed, covariates = study
    other = Embedding([f"x{i}" for i in range(391)], embedding.latents)
    with pytest.raises(InputError, match="do the files use the same sample ids"):
        run_gwas(other, bed, covariates, tmp_path)


def genotype_pcs(dosages, count):
    """Principal components of standardised genotypes, missing values at the mean."""
    known = dosages >= 0
    mean = np.where(known, dosages, 0).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    centred = np.where(known, dosages - mean, 0)
    sd = centred.std(axis=1, keepdims=True)
    standardised = centred[sd[:, 0] > 0] / sd[sd > 0][:, None]
    _, vectors = np.linalg.eigh(standardised.T @ standardised)
    return vectors[:, ::-1][:, :count]


def test_mouse_mhc_leads_by_the_public_command(shared_data, tmp_path):
    """Hold the real result: CD8+ T cells and haemoglobin of 1,197 mice, 20 PCs of the same mice."""
    from regreveal.cli.main import app

    source = shared_data / "genetics/mouse_hs1940"
    for suffix in ("bed", "bim", "fam"):
        packed = (source / f"mouse_hs1940.{suffix}.gz").read_bytes()
        (tmp_path / f"mouse.{suffix}").write_bytes(gzip.decompress(packed))
    genotypes = open_genotypes(tmp_path / "mouse.bed")
    traits = pd.read_csv(source / "mouse_hs1940.pheno.txt.gz", sep=r"\s+", header=None)[[0, 5]]
    complete = traits.notna().all(axis=1).to_numpy()
    assert complete.sum() == 1197
    mice = [name for name, there in zip(genotypes.samples, complete, strict=True) if there]
    Embedding(mice, traits[complete].to_numpy()).write(tmp_path / "traits.parquet")
    dosages = genotypes.dosages(np.arange(len(genotypes.variants)), mice)
    pcs = pd.DataFrame(genotype_pcs(dosages, 20)).add_prefix("pc_")
    pcs.insert(0, "sample_id", mice)
    pcs.to_csv(tmp_path / "pcs.tsv", sep="\t", index=False)

    arguments = ["gwas", "--coding", "additive", "--transform", "none"]
    for option, name in (
        ("--embedding", "traits.parquet"),
        ("--genotypes", "mouse.bed"),
        ("--covariates", "pcs.tsv"),
        ("--out", "out"),
    ):
        arguments += [option, str(tmp_path / name)]
    outcome = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0
    assert "1197 participants" in outcome.output
    table = read(tmp_path / "out/manova.tsv.gz")
    lead = table.loc[table["neg_log10_p"].idxmax()]
    assert lead["variant_id"] == "rs3023452"
    assert lead["chromosome"] == "17"
    assert lead["neg_log10_p"] == pytest.approx(15.33, abs=0.1)
    loci = read(tmp_path / "out/loci.tsv")
    assert "rs3023452" in set(loci["variant_id"])
    for figure in ("manhattan.png", "qq.png"):
        assert (tmp_path / "out" / figure).stat().st_size > 0
