import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from regreveal.simulation.genome import call_genotypes, draw_genome, principal_components
from regreveal.simulation.traits import HOME_SHARE, draw_traits, read_table

TRAITS, LOCI = read_table("traits.tsv"), read_table("loci.tsv")


def draw(participants, variants, planted_genes, seed):
    rng = np.random.default_rng(seed)
    genome = draw_genome(participants, variants, planted_genes, rng)
    age, male = rng.uniform(45, 80, participants), rng.random(participants) < 0.48
    return genome, age, male, draw_traits(genome, age, male, TRAITS, LOCI, rng)


@pytest.fixture(scope="module")
def few_variants(planted_genes):
    """So few variants that they are unlinked, which makes a Haseman-Elston estimate precise."""
    return draw(3000, 400, planted_genes, seed=5)


def residualised(columns, covariates):
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(columns)), covariates]))
    return columns - basis @ (basis.T @ columns)


def test_heritability_is_what_was_asked(few_variants):
    genome, age, male, drawn = few_variants
    covariates = np.column_stack([age, male, genome.ancestry[:, 1:]])
    y = residualised(drawn.traits.to_numpy(), covariates)
    of_total = y.var(axis=0) / drawn.traits.to_numpy().var(axis=0)
    y /= y.std(axis=0)
    frequency = genome.dosages.mean(axis=1) / 2
    common = np.minimum(frequency, 1 - frequency) > 0.01
    x = residualised(genome.dosages[common].T.astype(float), covariates)
    x /= x.std(axis=0)
    n, m = x.shape
    # Haseman and Elston's regression of phenotype products on relatedness, off the diagonal.
    relatedness = x @ x.T / m
    np.fill_diagonal(relatedness, 0)
    estimate = np.einsum("it,ij,jt->t", y, relatedness, y) / (relatedness**2).sum() * of_total
    for trait, asked, found in zip(TRAITS["trait"], TRAITS["heritability"], estimate, strict=True):
        standard_error = np.sqrt(2 * m / n**2 + 4 * asked / n)
        assert found == pytest.approx(asked, abs=3 * standard_error), trait
    error = (estimate - TRAITS["heritability"]).mean()
    assert abs(error) < 3 * standard_error / np.sqrt(len(TRAITS))


def test_heritability_table_adds_up_and_says_what_came_true(few_variants):
    _, _, _, drawn = few_variants
    table = drawn.heritability
    np.testing.assert_allclose(table["planted"] + table["polygenic"], table["heritability"])
    assert table["heritability"].between(0.1, 0.4).all()
    n = len(drawn.traits)
    for row in table.itertuples():
        r = np.corrcoef(drawn.genetic[row.trait], drawn.traits[row.trait])[0, 1]
        standard_error = 2 * np.sqrt(row.heritability / n) * (1 - row.heritability)
        assert r**2 == pytest.approx(row.heritability, abs=3 * standard_error)
        assert row.realised == pytest.approx(row.heritability, abs=3 * standard_error)


def test_planted_effects_are_those_of_the_table(few_variants):
    genome, age, male, drawn = few_variants
    covariates = np.column_stack([age, male, genome.ancestry[:, 1:]])
    row_of = {name: row for row, name in enumerate(genome.variants["variant_id"])}
    z = []
    for trait, causal in drawn.causal.groupby("trait"):
        dosages = genome.dosages[[row_of[v] for v in causal["variant_id"]]].T.astype(float)
        x = residualised(dosages, covariates)
        y = residualised(drawn.traits[trait].to_numpy()[:, None], covariates)[:, 0]
        fitted, residual, _, _ = np.linalg.lstsq(x, y, rcond=None)
        error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * residual[0] / (len(y) - 10))
        z.extend((fitted - causal["effect"]) / error)
        explained = (
            causal["effect"] ** 2 * x.var(axis=0) / TRAITS.set_index("trait")["sd"][trait] ** 2
        )
        np.testing.assert_allclose(explained, causal["variance_explained"], rtol=0.05)
    assert len(z) == len(LOCI)
    assert (np.square(z)).sum() < chi2.isf(1e-4, len(z))


def test_age_sex_and_ancestry_do_what_they_are_to(few_variants):
    genome, age, male, drawn = few_variants
    four_errors = 4 / np.sqrt(len(age))
    for row in TRAITS.itertuples():
        values = drawn.traits[row.trait]
        assert np.corrcoef(values, age)[0, 1] == pytest.approx(row.age, abs=four_errors)
        assert np.corrcoef(values, male)[0, 1] == pytest.approx(row.male, abs=four_errors)
        assert values.mean() == pytest.approx(row.mean, abs=0.08 * row.sd)
        assert values.std() == pytest.approx(row.sd, rel=0.06)
        others = np.column_stack([age, male])
        left = residualised(values.to_numpy()[:, None], others)
        with_ancestry = residualised(
            values.to_numpy()[:, None], np.column_stack([others, genome.ancestry[:, 1:]])
        )
        share = (left.var() - with_ancestry.var()) / values.var()
        assert share == pytest.approx(row.ancestry, abs=0.02)
    assert (TRAITS["ancestry"] >= 0.05).sum() >= 2


def test_siblings_share_a_home_beside_their_genes(planted_genes, monkeypatch):
    monkeypatch.setattr("regreveal.simulation.genome.SIBLING_SHARE", 0.9)
    genome, age, male, drawn = draw(2000, 300, planted_genes, seed=6)
    known = np.column_stack([age, male, genome.ancestry[:, 1:], drawn.genetic])
    shared = residualised(drawn.traits.to_numpy(), known) / drawn.traits.std().to_numpy()
    one, other = shared[genome.siblings[:, 0]], shared[genome.siblings[:, 1]]
    # Of 900 pairs and 8 traits, a mean product of about 0.7² has an error of 0.7²/sqrt(7200).
    assert (one * other).mean() == pytest.approx(HOME_SHARE, abs=4 * 0.5 / np.sqrt(one.size))


def test_planted_loci_are_well_apart(planted_genes):
    genes = planted_genes.sort_values(["chromosome", "start"])
    distance = genes["start"].diff()[genes["chromosome"].diff() == 0]
    assert distance.min() > 5_000_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_oracle_gwas_finds_the_planted_loci_and_nothing_else(planted_genes, seed):
    genome, age, male, drawn = draw(4000, 1500, planted_genes, seed)
    rng = np.random.default_rng(seed)
    called = call_genotypes(genome.dosages, rng)
    components = principal_components(called, genome.variants, 10, seed)
    chosen = rng.permutation(4000)[:3000]

    covariates = np.column_stack([age, male, components])[chosen]
    y = residualised(drawn.traits.to_numpy()[chosen], covariates)
    dosages = called[:, chosen].T.astype(float)
    dosages = np.where(dosages < 0, dosages.mean(axis=0), dosages)
    enough = np.minimum(dosages.sum(axis=0), (2 - dosages).sum(axis=0)) >= 20
    x = residualised(dosages, covariates)
    r = (x / np.maximum(np.linalg.norm(x, axis=0), 1e-9)).T @ (y / np.linalg.norm(y, axis=0))
    statistic = np.where(enough[:, None], 2987 * r**2 / (1 - r**2), 0)
    significant = chi2.sf(statistic, 1) < 5e-8 / len(TRAITS)

    variants = genome.variants
    found = {
        causal.gene
        for causal in drawn.causal.itertuples()
        if significant[
            (variants["variant_id"] == causal.variant_id).to_numpy(),
            TRAITS["trait"].to_list().index(causal.trait),
        ].any()
    }
    planted = variants[variants["gene"] != ""]
    near = np.zeros(len(variants), dtype=bool)
    for locus in planted.itertuples():
        near |= (
            (variants["chromosome"] == locus.chromosome)
            & ((variants["position"] - locus.position).abs() < 2_000_000)
        ).to_numpy()
    assert len(found) >= 0.9 * len(planted)
    assert not significant[~near].any()
    # Small effects everywhere are no confounding: each of m variants adds n/m of their share of
    # what covariates leave, and those in LD with it a little.
    left = y.var(axis=0) / drawn.traits.to_numpy()[chosen].var(axis=0)
    expected = 1 + 3000 / len(variants) * drawn.heritability["polygenic"].to_numpy() / left
    inflation = np.median(statistic[enough & ~near], axis=0) / chi2.median(1)
    assert (inflation / expected).mean() == pytest.approx(1.03, abs=0.1)


def test_ancestry_confounds_and_the_components_account_for_it(genome):
    rng = np.random.default_rng(2)
    components = principal_components(genome.dosages, genome.variants, 10, seed=1)
    trait = genome.ancestry @ [0.0, 1.0, -1.0] + rng.standard_normal(genome.dosages.shape[1])
    common = genome.dosages[genome.dosages.mean(axis=1) > 0.02].T.astype(float)

    def inflation(covariates):
        x = residualised(common, covariates)
        y = residualised(trait[:, None], covariates)[:, 0]
        r = x.T @ y / (np.linalg.norm(x, axis=0) * np.linalg.norm(y))
        return np.median(r**2) * len(y) / chi2.median(1)

    assert inflation(np.empty((len(trait), 0))) > 2
    assert inflation(components) == pytest.approx(1, abs=0.12)


def test_traits_that_ancestry_shapes_mislead_those_who_do_not_ask_for_it(planted_genes):
    genome, age, male, drawn = draw(4000, 1500, planted_genes, seed=4)
    components = principal_components(genome.dosages, genome.variants, 10, seed=4)
    common = genome.dosages[genome.dosages.mean(axis=1) > 0.02].T.astype(float)

    def inflation(covariates):
        covariates = np.column_stack([age, male, covariates])
        x = residualised(common, covariates)
        y = residualised(drawn.traits.to_numpy(), covariates)
        r = x.T @ y / (np.linalg.norm(x, axis=0)[:, None] * np.linalg.norm(y, axis=0))
        return np.median(r**2, axis=0) * len(y) / chi2.median(1)

    shaped = (TRAITS["ancestry"] > 0.05).to_numpy()
    blind, aware = inflation(np.empty((4000, 0))), inflation(components)
    assert (blind[shaped] > 3 * aware[shaped]).all()
    # What is left is polygenic: as much as with everyone's true ancestry known.
    assert (aware / inflation(genome.ancestry[:, 1:])).mean() == pytest.approx(1, abs=0.03)


def test_the_same_seed_gives_the_same_traits(planted_genes):
    one, other = (draw(200, 300, planted_genes, seed=9)[3] for _ in range(2))
    pd.testing.assert_frame_equal(one.traits, other.traits)
    pd.testing.assert_frame_equal(one.causal, other.causal)
