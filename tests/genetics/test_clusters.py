import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_rand_score

from regreveal.errors import InputError
from regreveal.genetics.clusters import cluster_variants

GROUPS = np.repeat([0, 1, 2], 4)
NAMES = [f"rs{i}" for i in range(len(GROUPS))]


def planted(n=4000, k=12, effect=0.35, seed=0):
    """Draw three groups of variants, each moving the latents along its own direction."""
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, rng.uniform(0.2, 0.5, len(GROUPS))[:, None], (len(GROUPS), n))
    directions = np.linalg.qr(rng.standard_normal((k, 3)))[0].T
    latents = rng.standard_normal((n, k)) + effect * dosages.T @ directions[GROUPS]
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
    dosages[:, :7] = -1
    result = cluster_variants(latents, dosages, NAMES, bootstraps=1)
    centred = latents - latents.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    white = centred @ vectors / np.sqrt(values)
    directions = []
    for dosage in dosages:
        ref, het, hom = (white[dosage == value].mean(axis=0) for value in (0, 1, 2))
        counts = [(dosage == 1).sum(), (dosage == 2).sum()]
        directions.append(counts[0] * (het - ref) + counts[1] * (hom - ref))
    expected = squareform(pdist(np.array(directions), "cosine"))
    np.testing.assert_allclose(result.distances, expected, atol=1e-10)


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


def test_unsigned_distances_do_not_depend_on_which_allele_is_the_reference():
    latents, dosages = planted()
    turned = np.where((np.arange(len(GROUPS)) % 2 == 0)[:, None], 2 - dosages, dosages)
    signed = cluster_variants(latents, turned, NAMES, bootstraps=1)
    unsigned = cluster_variants(latents, turned, NAMES, signed=False, bootstraps=1)
    assert signed.distances.to_numpy().max() > 1.5
    assert unsigned.distances.to_numpy().max() <= 1
    assert adjusted_rand_score(GROUPS, unsigned.clusters) == 1


def test_directions_at_random_make_one_cluster():
    rng = np.random.default_rng(2)
    latents = rng.standard_normal((800, 60))
    dosages = rng.binomial(2, 0.4, (6, 800)).astype(np.int8)
    result = cluster_variants(latents, dosages, NAMES[:6], bootstraps=5)
    assert set(result.clusters) == {1}


def test_files_hold_what_was_found(tmp_path):
    latents, dosages = planted(n=600)
    genes = [f"GENE{group}" for group in GROUPS]
    result = cluster_variants(latents, dosages, NAMES, genes, bootstraps=3)
    result.write(tmp_path)
    distances = pd.read_csv(tmp_path / "distances.tsv", sep="\t", index_col="variant_id")
    np.testing.assert_allclose(distances, result.distances, atol=1e-9)
    clusters = pd.read_csv(tmp_path / "clusters.tsv", sep="\t")
    assert list(clusters.columns) == ["variant_id", "gene", "cluster", "stability"]
    assert list(clusters["gene"]) == genes
    linkage = pd.read_csv(tmp_path / "linkage.tsv", sep="\t")
    np.testing.assert_allclose(linkage, result.linkage, atol=1e-9)


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
        (slice(0, 1), ["rs0"], "1 variants; expected at least 2"),
        (slice(0, 3), ["rs0", "rs1"], "3 rows of dosages, 2 variant ids"),
        (slice(0, 2), ["rs0", "rs0"], "'rs0' is given twice"),
    ],
)
def test_unusable_variants_are_refused(rows, names, message):
    latents, dosages = planted(n=100)
    with pytest.raises(InputError, match=message):
        cluster_variants(latents, dosages[rows], names)


def test_a_variant_without_reference_homozygotes_is_refused():
    latents, dosages = planted(n=100)
    dosages[1] = 2
    with pytest.raises(InputError, match="'rs1' has 100 carriers and 0 reference homozygotes"):
        cluster_variants(latents, dosages, NAMES)
