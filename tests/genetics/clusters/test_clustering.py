import json

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score

from regreveal.errors import InputError
from regreveal.genetics.clusters.clustering import cluster_variants

GROUPS = np.repeat([0, 1, 2], 4)
NAMES = [f"rs{i}" for i in range(len(GROUPS))]


def planted(n=4000, k=12, effect=0.35, seed=0):
    """Draw three groups of variants, each moving the latents along its own direction."""
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, rng.uniform(0.2, 0.5, len(GROUPS))[:, None], (len(GROUPS), n))
    directions = np.linalg.qr(rng.standard_normal((k, 3)))[0].T
    latents = rng.standard_normal((n, k)) + dosages.T @ (effect * directions[GROUPS])
    return latents, dosages.astype(np.int8)


def test_planted_groups_come_back_stably():
    latents, dosages = planted()
    result = cluster_variants(latents, dosages, NAMES, bootstraps=30)
    assert adjusted_rand_score(GROUPS, result.clusters) == 1
    assert (result.stability > 0.9).all()
    assert result.rand_index > 0.9
    same = np.equal.outer(GROUPS, GROUPS)
    assert result.co_clustering[same].min() > 0.8
    assert result.co_clustering[~same].max() < 0.2


def test_distances_are_cosines_between_count_weighted_centroid_differences():
    latents, dosages = planted(n=500)
    dosages[3:7] = 2 - dosages[3:7]
    dosages[:, :7] = -1
    result = cluster_variants(latents, dosages, NAMES, bootstraps=1)
    centred = latents - latents.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    white = centred @ vectors / np.sqrt(values)
    directions = []
    for dosage in dosages:
        common, rare = (0, 2) if (dosage == 0).sum() >= (dosage == 2).sum() else (2, 0)
        start, het, hom = (white[dosage == value].mean(axis=0) for value in (common, 1, rare))
        counts = [(dosage == 1).sum(), (dosage == rare).sum()]
        directions.append(counts[0] * (het - start) + counts[1] * (hom - start))
    expected = squareform(pdist(np.array(directions), "cosine"))
    np.testing.assert_allclose(result.distances, expected, atol=1e-10)
    np.testing.assert_allclose(result.cosines, 1 - expected, atol=1e-10)


def test_units_of_the_latents_do_not_matter():
    latents, dosages = planted(n=1000)
    one = cluster_variants(latents, dosages, NAMES, bootstraps=1)
    other = cluster_variants(latents * np.geomspace(1, 1e4, 12), dosages, NAMES, bootstraps=1)
    np.testing.assert_allclose(one.distances, other.distances, atol=1e-9)


def test_covariates_do_not_make_clusters():
    rng = np.random.default_rng(1)
    latents, dosages = planted(n=2000)
    ancestry = dosages[[0, 4, 8]].sum(axis=0)[:, None] + rng.standard_normal((2000, 1))
    moved = latents + 5 * ancestry
    one = cluster_variants(latents, dosages, NAMES, covariates=ancestry, bootstraps=1)
    other = cluster_variants(moved, dosages, NAMES, covariates=ancestry, bootstraps=1)
    np.testing.assert_allclose(one.distances, other.distances, atol=1e-8)


def test_which_allele_the_file_calls_the_reference_does_not_matter():
    latents, dosages = planted()
    assert ((dosages == 0).sum(axis=1) != (dosages == 2).sum(axis=1)).all()
    turned = np.where((np.arange(len(GROUPS)) % 2 == 0)[:, None], 2 - dosages, dosages)
    one = cluster_variants(latents, dosages, NAMES, bootstraps=1)
    other = cluster_variants(latents, turned, NAMES, bootstraps=1)
    np.testing.assert_allclose(one.directions, other.directions)


def test_unsigned_distances_keep_opposite_effects_of_one_trait_together():
    sign = np.where(np.arange(len(GROUPS)) % 2 == 0, -1, 1)
    latents, dosages = planted(effect=0.35 * sign[:, None])
    signed = cluster_variants(latents, dosages, NAMES, bootstraps=1)
    unsigned = cluster_variants(latents, dosages, NAMES, signed=False, bootstraps=1)
    assert signed.distances.to_numpy().max() > 1.5
    assert unsigned.distances.to_numpy().max() <= 1
    assert adjusted_rand_score(GROUPS, unsigned.clusters) == 1
    np.testing.assert_allclose(unsigned.cosines, 1 - signed.distances, atol=1e-12)
    assert unsigned.cosines.to_numpy().min() < -0.5


def test_unrelated_directions_stay_alone_and_nothing_is_said_of_stability():
    rng = np.random.default_rng(2)
    latents = rng.standard_normal((800, 60))
    dosages = rng.binomial(2, 0.4, (6, 800)).astype(np.int8)
    result = cluster_variants(latents, dosages, NAMES[:6], bootstraps=5)
    assert sorted(result.clusters) == [1, 2, 3, 4, 5, 6]
    assert np.isnan(result.stability).all()
    assert np.isnan(result.rand_index)


def test_one_direction_makes_one_cluster_and_nothing_is_said_of_stability():
    rng = np.random.default_rng(11)
    dosages = rng.binomial(2, 0.4, (6, 8000)).astype(np.int8)
    latents = rng.standard_normal((8000, 3))
    latents[:, 0] += 0.5 * dosages.sum(axis=0)
    result = cluster_variants(latents, dosages, NAMES[:6], bootstraps=5)
    assert set(result.clusters) == {1}
    assert np.isnan(result.stability).all()
    assert np.isnan(result.co_clustering).all()
    assert np.isnan(result.rand_index)


@pytest.mark.parametrize(("rows", "clusters"), [([0, 1], [1, 1]), ([0, 4], [1, 2])])
def test_two_variants_are_together_or_apart(rows, clusters):
    latents, dosages = planted()
    result = cluster_variants(latents, dosages[rows], ["a", "b"], bootstraps=3)
    assert sorted(result.clusters) == clusters
    assert np.isnan(result.stability).all()


def test_files_hold_what_was_found(tmp_path):
    latents, dosages = planted(n=600)
    genes = [f"GENE{group}" for group in GROUPS]
    result = cluster_variants(latents, dosages, NAMES, genes, bootstraps=3)
    result.write(tmp_path)
    distances = pd.read_csv(tmp_path / "distances.tsv", sep="\t", index_col="variant_id")
    np.testing.assert_allclose(distances, result.distances, atol=1e-9)
    clusters = pd.read_csv(tmp_path / "clusters.tsv", sep="\t")
    assert list(clusters.columns) == ["variant_id", "gene", "cluster", "stability", "reliability"]
    assert list(clusters["gene"]) == genes
    assert pd.read_csv(tmp_path / "left_out.tsv", sep="\t").empty
    cosines = pd.read_csv(tmp_path / "cosines.tsv", sep="\t", index_col="variant_id")
    np.testing.assert_allclose(cosines, result.cosines, atol=1e-9)
    linkage = pd.read_csv(tmp_path / "linkage.tsv", sep="\t")
    np.testing.assert_allclose(linkage.iloc[:, :4], result.linkage, atol=1e-9)


def test_the_same_seed_gives_the_same_stability():
    latents, dosages = planted(n=400, effect=0.1)
    one, same, other = (
        cluster_variants(latents, dosages, NAMES, bootstraps=20, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.stability, same.stability)
    assert (one.stability != other.stability).any()


def test_without_bootstraps_nothing_is_said_of_stability():
    latents, dosages = planted(n=400)
    result = cluster_variants(latents, dosages, NAMES, bootstraps=0)
    assert np.isnan(result.stability).all()
    assert np.isnan(result.rand_index)


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        (slice(0, 3), ["rs0", "rs1"], "3 rows of dosages, 2 variant ids"),
    ],
)
def test_labels_that_do_not_match_are_refused(rows, names, message):
    latents, dosages = planted(n=100)
    with pytest.raises(InputError, match=message):
        cluster_variants(latents, dosages[rows], names)


def test_variants_without_a_direction_are_left_out_and_named(tmp_path):
    latents, dosages = planted()
    unusable = np.array([[2] * 4000, [1] * 4000, [-1] * 4000], np.int8)
    names = [*NAMES, "same", "heterozygous", "unknown"]
    result = cluster_variants(latents, np.vstack([dosages, unusable]), names, bootstraps=2)
    assert result.variant_ids == NAMES
    assert adjusted_rand_score(GROUPS, result.clusters) == 1
    result.write(tmp_path)
    left_out = pd.read_csv(tmp_path / "left_out.tsv", sep="\t", index_col="variant_id")
    assert left_out["reason"].to_dict() == {
        "same": "everyone has the same genotype",
        "heterozygous": "nobody is homozygous",
        "unknown": "no genotype is known",
    }


def test_variants_without_reference_homozygotes_are_as_good_as_others():
    latents, dosages = planted()
    dosages[0] = np.where(dosages[0] == 0, 1, dosages[0])
    result = cluster_variants(latents, 2 - dosages, NAMES, bootstraps=1)
    assert result.left_out.empty
    assert len(result.clusters) == len(NAMES)


@pytest.mark.parametrize("usable", [0, 1])
def test_fewer_than_two_variants_leave_files_without_a_tree(tmp_path, usable):
    latents, dosages = planted(n=100)
    dosages[usable:] = 2
    result = cluster_variants(latents, dosages, NAMES, bootstraps=2)
    assert len(result.clusters) == usable
    assert result.linkage.shape == (0, 4)
    result.write(tmp_path)
    assert len(pd.read_csv(tmp_path / "clusters.tsv", sep="\t")) == usable


def test_ids_that_repeat_are_told_apart():
    latents, dosages = planted(n=300)
    result = cluster_variants(latents, dosages[:4], [".", "rs1", ".", "."], bootstraps=1)
    assert result.variant_ids == [".", "rs1", ". (2)", ". (3)"]


def test_a_given_height_is_where_the_tree_is_cut():
    latents, dosages = planted()
    whole = cluster_variants(latents, dosages, NAMES, signed=False, height=0.95, bootstraps=1)
    apart = cluster_variants(latents, dosages, NAMES, signed=False, height=0.01, bootstraps=1)
    assert (whole.height, whole.height_rule) == (0.95, "given")
    assert whole.clusters.max() < 3
    assert apart.clusters.max() == len(NAMES)
    with pytest.raises(InputError, match="height 0; expected a distance above 0"):
        cluster_variants(latents, dosages, NAMES, height=0)


def test_weak_effects_in_many_dimensions_are_grouped_though_their_cosines_are_small():
    latents, dosages = planted(n=4000, k=200, effect=0.35)
    result = cluster_variants(latents, dosages, NAMES, signed=False, bootstraps=10)
    together = np.equal.outer(GROUPS, GROUPS) & ~np.eye(len(GROUPS), dtype=bool)
    assert np.abs(result.cosines.to_numpy()[together]).mean() < 0.5
    assert adjusted_rand_score(GROUPS, result.clusters) == 1
    fixed = cluster_variants(latents, dosages, NAMES, signed=False, height=0.5, bootstraps=1)
    assert adjusted_rand_score(GROUPS, fixed.clusters) < 0.5


def test_planted_groups_are_nodes_of_high_support():
    latents, dosages = planted(effect=0.25)
    result = cluster_variants(latents, dosages, NAMES, bootstraps=40)
    table = result.cluster_table()
    assert (table["support"] > 0.95).all()
    assert (table["bootstrap"] > 0.9).all()
    assert table["variants"].tolist() == [4, 4, 4]
    assert np.isnan(result.nodes["support"].iloc[-1])
    # Within a group every order is as good as any other.
    within = result.nodes["bootstrap"][result.linkage[:, 3] < 4]
    assert within.mean() < 0.8


def test_planted_factors_are_told_apart_in_a_good_recording_and_not_in_a_bad_one(tmp_path):
    """Traits of genes, age, ancestry and home, and two recordings that mix them with nuisance."""
    rng = np.random.default_rng(12)
    people, traits, size = 4000, 5, 20
    group = np.repeat(range(traits), 4)
    ancestry = rng.standard_normal((people, 2))
    age = rng.standard_normal((people, 1))
    frequency = np.clip(0.3 + 0.03 * ancestry[:, :1] + np.zeros(len(group)), 0.05, 0.95)
    dosages = rng.binomial(2, frequency).T.astype(np.int8)
    sign = rng.choice([-1, 1], len(group))
    genetic = 0.3 * (dosages.T * sign) @ np.eye(traits)[group]
    latent_traits = genetic + 0.4 * age + ancestry @ rng.normal(0, 0.3, (2, traits))
    latent_traits += rng.standard_normal((people, traits))
    arms = {}
    for arm, nuisance in (("registered", 0.3), ("native", 6.0)):
        mixed = np.tanh(latent_traits / 3) @ rng.standard_normal((traits, size))
        latents = mixed + nuisance * rng.standard_normal((people, size))
        arms[arm] = cluster_variants(
            latents,
            dosages,
            [f"rs{i}" for i in range(len(group))],
            covariates=np.hstack([age, ancestry]),
            signed=False,
            bootstraps=20,
        )
    scores = {arm: adjusted_rand_score(group, found.clusters) for arm, found in arms.items()}
    assert scores["registered"] >= 0.8
    assert arms["registered"].stability.mean() > 0.8
    assert scores["native"] < 0.5
    assert arms["native"].reliability.mean() < 0.5 < arms["registered"].reliability.mean()


def test_all_that_the_report_reads_is_written(tmp_path):
    latents, dosages = planted(n=600)
    result = cluster_variants(latents, dosages, NAMES, bootstraps=4)
    result.write(tmp_path)
    nodes = pd.read_csv(tmp_path / "linkage.tsv", sep="\t")
    np.testing.assert_allclose(nodes["support"], result.nodes["support"], atol=1e-9)
    pairs = pd.read_csv(tmp_path / "pairs.tsv", sep="\t")
    assert len(pairs) == 66
    assert (pairs["low"] <= pairs["denoised_cosine"] + 1e-9).all()
    together = pd.read_csv(tmp_path / "co_clustering.tsv", sep="\t", index_col="variant_id")
    np.testing.assert_allclose(together, result.co_clustering, atol=1e-9)
    resampled = pd.read_csv(tmp_path / "bootstrap_clusters.tsv", sep="\t")
    np.testing.assert_array_equal(resampled, result.resampled)
    told = json.loads((tmp_path / "clusters.json").read_text())
    assert told["height_rule"] == "midway"
    assert told["variants"] == 12
    assert told["chance"] < 1 - told["height"] < told["ceiling"]
