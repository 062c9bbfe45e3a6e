import numpy as np
import pytest
from bed_reader import open_bed

from regreveal.simulation.genome import (
    ANCESTRIES,
    FST,
    MISSING_RATE,
    call_genotypes,
    principal_components,
    write_plink,
)


def of_one_ancestry(genome, number):
    return np.flatnonzero(genome.ancestry[:, number] == 1)


def frequencies(genome, people):
    return genome.dosages[:, people].mean(axis=1) / 2


def test_ld_decays_with_distance(genome):
    dosages = genome.dosages[:, of_one_ancestry(genome, 0)].astype(float)
    frequency = dosages.mean(axis=1) / 2
    common = np.flatnonzero(np.minimum(frequency, 1 - frequency) > 0.1)
    z = dosages[common] - dosages[common].mean(axis=1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    chromosome = genome.variants["chromosome"].to_numpy()[common]
    position = genome.variants["position"].to_numpy()[common] / 1e6
    first, second = np.triu_indices(len(common), 1)
    r2 = (z @ z.T)[first, second] ** 2
    same = chromosome[first] == chromosome[second]
    distance = np.where(same, np.abs(position[first] - position[second]), np.inf)

    near, middle, far = (
        r2[(distance >= low) & (distance < high)].mean()
        for low, high in [(0, 0.1), (0.2, 0.5), (5, 20)]
    )
    unlinked = r2[~same].mean()
    assert near > 0.2
    assert near > 2 * middle > 8 * far
    # Without LD, r² is 1/n; relatives and shared founders add a little.
    assert unlinked == pytest.approx(1 / dosages.shape[1], rel=0.2)
    assert far == pytest.approx(unlinked, rel=0.2)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_allele_frequencies_drift_between_ancestries_by_the_fst_asked(genome, one, other):
    # Hudson's estimator, as a ratio of sums: Bhatia et al. (2013), Genome Res. 23:1514.
    people = [of_one_ancestry(genome, number) for number in (one, other)]
    p, q = (frequencies(genome, group) for group in people)
    n, m = (2 * len(group) for group in people)
    between = (p - q) ** 2 - p * (1 - p) / (n - 1) - q * (1 - q) / (m - 1)
    total = p * (1 - q) + q * (1 - p)
    assert between.sum() / total.sum() == pytest.approx(FST, abs=0.02)


def test_siblings_share_half_and_others_nothing(genome):
    europeans = set(of_one_ancestry(genome, 0))
    pairs = np.array([pair for pair in genome.siblings if set(pair) <= europeans])
    assert len(pairs) >= 8
    frequency = frequencies(genome, sorted(europeans))
    centred = genome.dosages - 2 * frequency[:, None]
    variance = (2 * frequency * (1 - frequency)).sum()
    shared = np.array([(centred[:, i] * centred[:, j]).sum() / variance for i, j in pairs])
    # The SD of what two siblings share is 0.04 in people; here also the noise of 3000 variants.
    assert shared.mean() == pytest.approx(0.5, abs=3 * 0.06 / np.sqrt(len(pairs)))
    strangers = [
        (centred[:, i] * centred[:, j]).sum() / variance
        for i, j in zip(pairs[:-1, 0], pairs[1:, 0], strict=True)
    ]
    assert np.abs(strangers).max() < 0.15


def test_siblings_share_long_stretches_as_meiosis_makes_them(genome):
    frequency = frequencies(genome, slice(None))
    common = np.flatnonzero(np.minimum(frequency, 1 - frequency) > 0.05)
    z = genome.dosages[common] - 2 * frequency[common, None]
    z /= z.std(axis=1, keepdims=True)
    pieces = np.array_split(np.arange(len(common)), 200)
    chromosome = genome.variants["chromosome"].to_numpy()[common]
    adjacent = [k for k in range(199) if chromosome[pieces[k][0]] == chromosome[pieces[k + 1][-1]]]

    def covariance_of_neighbouring_pieces(pairs):
        shared = np.array([[(z[rows, i] * z[rows, j]).mean() for rows in pieces] for i, j in pairs])
        shared -= shared.mean()
        return np.mean([shared[:, k] * shared[:, k + 1] for k in adjacent])

    # Sharing has variance 1/8 anywhere; pieces of some 14 Mb are correlated 0.55 by Haldane's map.
    europeans = set(of_one_ancestry(genome, 0))
    pairs = [pair for pair in genome.siblings if set(pair) <= europeans]
    strangers = [(pairs[k - 1][0], pairs[k][0]) for k in range(len(pairs))]
    assert covariance_of_neighbouring_pieces(pairs) == pytest.approx(0.07, abs=0.035)
    assert abs(covariance_of_neighbouring_pieces(strangers)) < 0.02


def test_most_people_are_of_one_ancestry_and_some_are_admixed(genome):
    admixed = genome.ancestry.max(axis=1) < 1
    assert 0.015 < admixed.mean() < 0.05
    assert 0.8 < (genome.ancestry[:, 0] == 1).mean() < 0.9
    np.testing.assert_allclose(genome.ancestry.sum(axis=1), 1)


def test_admixed_people_carry_each_ancestry_in_their_share(genome):
    reference = np.array(
        [frequencies(genome, of_one_ancestry(genome, a)) for a in range(len(ANCESTRIES))]
    )
    admixed = np.flatnonzero(genome.ancestry.max(axis=1) < 1)
    # Least squares of a person's dosages on the ancestries' frequencies gives the fractions.
    estimated = np.linalg.lstsq(2 * reference.T, genome.dosages[:, admixed], rcond=None)[0].T
    assert np.abs(estimated - genome.ancestry[admixed]).mean() < 0.1


def test_there_are_rare_and_common_variants_and_someone_carries_most(genome):
    frequency = frequencies(genome, slice(None))
    minor = np.minimum(frequency, 1 - frequency)
    assert 0.1 < (minor < 0.01).mean() < 0.5
    assert (minor > 0.05).mean() > 0.4
    assert (minor > 0).mean() > 0.97
    assert minor[genome.variants["gene"] != ""].min() > 0.1


def test_variants_are_sorted_and_named_once(genome):
    place = genome.variants["chromosome"] * 1_000_000_000 + genome.variants["position"]
    assert place.is_monotonic_increasing
    assert place.is_unique
    assert genome.variants["variant_id"].is_unique
    assert (genome.variants["ref"] != genome.variants["alt"]).all()


def test_few_calls_are_lost_and_none_is_changed(genome):
    called = call_genotypes(genome.dosages, np.random.default_rng(0))
    lost = called < 0
    assert lost.mean() == pytest.approx(MISSING_RATE, rel=0.1)
    assert (called[~lost] == genome.dosages[~lost]).all()


def test_principal_components_tell_ancestries_apart(genome):
    called = call_genotypes(genome.dosages, np.random.default_rng(0))
    components = principal_components(called, genome.variants, 10, seed=3)
    assert components.shape == (1500, 10)
    design = np.column_stack([np.ones(1500), components[:, :2]])
    fitted = design @ np.linalg.lstsq(design, genome.ancestry, rcond=None)[0]
    residual = ((genome.ancestry - fitted) ** 2).sum(axis=0)
    total = ((genome.ancestry - genome.ancestry.mean(axis=0)) ** 2).sum(axis=0)
    assert (1 - residual / total > 0.95).all()


def test_plink_files_count_the_alt_allele(genome, tmp_path):
    called = call_genotypes(genome.dosages[:50, :101], np.random.default_rng(0))
    variants = genome.variants.head(50)
    ids = [f"P{i}" for i in range(101)]
    write_plink(tmp_path / "g", called, variants, ids, np.array(["male"] + ["female"] * 100))

    with open_bed(tmp_path / "g.bed") as bed:
        assert list(bed.iid) == ids
        assert list(bed.allele_1) == variants["alt"].to_list()
        assert list(bed.allele_2) == variants["ref"].to_list()
        assert list(bed.bp_position) == variants["position"].to_list()
        np.testing.assert_array_equal(bed.read(dtype="int8").T, np.where(called < 0, -127, called))
    # PLINK 1's own words: 00 two copies of the first allele of .bim, 01 missing, 10 one, 11 none.
    content = np.frombuffer((tmp_path / "g.bed").read_bytes(), np.uint8)
    assert content[:3].tolist() == [0x6C, 0x1B, 0x01]
    pairs = (content[3:].reshape(50, -1)[:, :, None] >> np.array([0, 2, 4, 6])) & 3
    decoded = np.array([2, -1, 1, 0])[pairs].reshape(50, -1)[:, :101]
    np.testing.assert_array_equal(decoded, called)
