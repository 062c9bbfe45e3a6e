import numpy as np
import pandas as pd
import pytest

from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.relatedness import find_families, kinship, related_pairs

PEOPLE = 300
VARIANTS = 5000


def variant_table(count, chromosome="1", spacing=100_000):
    return pd.DataFrame(
        {
            "chromosome": chromosome,
            "variant_id": [f"rs{i}" for i in range(count)],
            "centimorgan": 0,
            "position": spacing * np.arange(count) + 1,
            "alt": "A",
            "ref": "G",
        }
    )


def founders(people, rng, count=VARIANTS, frequency=(0.1, 0.5)):
    """Haplotypes of unrelated people, (variants, people, 2)."""
    frequencies = rng.uniform(*frequency, (count, 1, 1))
    return (rng.random((count, people, 2)) < frequencies).astype(np.int8)


def child(one, other, rng):
    """Haplotypes of a child, variants unlinked."""
    picked = [
        np.take_along_axis(parent, rng.integers(0, 2, (len(parent), 1)), axis=1)[:, 0]
        for parent in (one, other)
    ]
    return np.stack(picked, axis=1)


def pedigree(rng):
    """Unrelated people, and families of which each pair's degree is known.

    Adds, to founders 0 to 5: two children of 0 and 1, one of 0 and 2, a grandchild, a duplicate.
    """
    people = list(founders(PEOPLE, rng).transpose(1, 0, 2))
    siblings = [child(people[0], people[1], rng) for _ in range(2)]
    half = child(people[0], people[2], rng)
    grandchild = child(siblings[0], people[3], rng)
    people += [*siblings, half, grandchild, people[4].copy()]
    # Parents and children: 2 + 2 + 2 + 2; siblings; the duplicate.
    first = 8 + 1 + 1
    # Half-siblings 2; grandparents 2; uncle and nephew 1.
    second = 5
    return np.array(people).sum(axis=2).T.astype(np.int8), first, second


def test_degrees_of_a_pedigree_are_counted(bed_writer):
    rng = np.random.default_rng(0)
    dosages, first, second = pedigree(rng)
    genotypes = open_genotypes(bed_writer(dosages, variants=variant_table(VARIANTS)))
    found = related_pairs(genotypes, genotypes.samples)
    assert (found.first_degree, found.second_degree) == (first, second)
    assert (found.participants, found.variants) == (PEOPLE + 5, 4000)


def test_missing_calls_do_not_make_or_hide_relatives(bed_writer):
    rng = np.random.default_rng(1)
    dosages, first, second = pedigree(rng)
    dosages[rng.random(dosages.shape) < 0.03] = -1
    genotypes = open_genotypes(bed_writer(dosages, variants=variant_table(VARIANTS)))
    found = related_pairs(genotypes, genotypes.samples)
    assert (found.first_degree, found.second_degree) == (first, second)


def test_kinship_is_what_theory_expects():
    rng = np.random.default_rng(2)
    one, other, third = founders(3, rng, count=100_000).transpose(1, 0, 2)
    people = [child(one, other, rng), child(one, other, rng), child(one, third, rng), third]
    calls = np.array(people).sum(axis=2).T.astype(np.int8)
    expected = [[0.5, 0.25, 0.125, 0], [0.25, 0.5, 0.125, 0], [0.125, 0.125, 0.5, 0.25]]
    np.testing.assert_allclose(kinship(calls[:, :3], calls), expected, atol=0.012)


def test_kinship_follows_the_published_counts():
    # Equation 11 as in the paper: counts of both heterozygous, and of opposite homozygotes.
    rng = np.random.default_rng(3)
    calls = rng.integers(-1, 3, (400, 6)).astype(np.int8)
    given = kinship(calls[:, :2], calls[:, 2:])
    for i in range(2):
        for j in range(4):
            x, y = calls[:, i], calls[:, 2 + j]
            both = (x >= 0) & (y >= 0)
            x, y = x[both], y[both]
            het_x, het_y = (x == 1).sum(), (y == 1).sum()
            least = min(het_x, het_y)
            shared = ((x == 1) & (y == 1)).sum() - 2 * (abs(x - y) == 2).sum()
            expected = shared / (2 * least) + 1 / 2 - (het_x + het_y) / (4 * least)
            assert given[i, j] == pytest.approx(expected, abs=1e-6)


def test_someone_without_heterozygous_calls_is_nobodys_relative():
    calls = np.array([[0, 0], [2, 2], [0, 2]], dtype=np.int8)
    assert np.isnan(kinship(calls, calls)).all()


def test_unrelated_people_of_several_populations_stay_unrelated(bed_writer):
    rng = np.random.default_rng(4)
    # Balding and Nichols: three populations at FST 0.1.
    ancestral = rng.uniform(0.1, 0.9, VARIANTS)
    dosages = np.hstack(
        [
            rng.binomial(2, rng.beta(ancestral * 9, (1 - ancestral) * 9)[:, None], (VARIANTS, 250))
            for _ in range(3)
        ]
    ).astype(np.int8)
    genotypes = open_genotypes(bed_writer(dosages, variants=variant_table(VARIANTS)))
    assert related_pairs(genotypes, genotypes.samples)[:2] == (0, 0)


def test_only_common_autosomal_variants_apart_from_each_other_count(bed_writer):
    rng = np.random.default_rng(5)
    rare = founders(100, rng, 50, (0.001, 0.01)).sum(axis=2)
    common = founders(100, rng, 300, (0.3, 0.5)).sum(axis=2)
    mostly_missing = founders(100, rng, 40).sum(axis=2)
    mostly_missing[:, ::3] = -1
    tables = [
        variant_table(50, "1"),
        variant_table(100, "2"),
        variant_table(100, "X"),
        variant_table(100, "3", spacing=10_000),
        variant_table(40, "4"),
    ]
    dosages = np.vstack([rare, common, mostly_missing]).astype(np.int8)
    genotypes = open_genotypes(bed_writer(dosages, variants=pd.concat(tables)))
    # All of chromosome 2, and of chromosome 3 one in each 100 kb.
    assert related_pairs(genotypes, genotypes.samples).variants == 110


def test_too_few_variants_tell_nothing(bed_writer):
    rng = np.random.default_rng(6)
    dosages, first, _ = pedigree(rng)
    for count, tells in ((500, (None, None)), (1500, (first, None))):
        path = bed_writer(dosages[:count], variants=variant_table(count), name=f"{count}.bed")
        genotypes = open_genotypes(path)
        assert related_pairs(genotypes, genotypes.samples)[:2] == tells


def test_dosages_count_as_the_calls_they_are_near_to(bed_writer):
    rng = np.random.default_rng(7)
    dosages, first, second = pedigree(rng)

    class Imputed:
        """Fractional dosages around the same calls; a tenth of the last 2,000 rows say nothing."""

        variant_count = VARIANTS

        def blocks(self, samples, size, variants):
            table = variant_table(VARIANTS).iloc[variants]
            values = dosages[variants].astype(np.float32)
            values += rng.uniform(-0.09, 0.09, values.shape).astype(np.float32)
            values[(rng.random(values.shape) < 0.1) & (variants >= 3000)[:, None]] = 0.5
            yield table, values

    found = related_pairs(Imputed(), [f"p{i}" for i in range(dosages.shape[1])])
    assert (found.first_degree, found.second_degree) == (first, second)
    assert 3000 <= found.variants < 3010


def test_a_sample_is_drawn_from_many_and_by_seed(bed_writer):
    rng = np.random.default_rng(8)
    # Everyone is there twice: a sample of a half holds a quarter of the pairs.
    people = founders(300, rng).sum(axis=2)
    genotypes = open_genotypes(
        bed_writer(np.hstack([people, people]).astype(np.int8), variants=variant_table(VARIANTS))
    )
    found = [
        related_pairs(genotypes, genotypes.samples, seed=seed, participants=300, variants=3000)
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1]
    assert found[0].participants == 300
    for one in found:
        assert 45 <= one.first_degree <= 105


def test_europeans_have_the_relatives_that_plink_finds(shared_data):
    genotypes = open_genotypes(shared_data / "genetics/eur_1000g/EUR_subset.bed")
    found = related_pairs(genotypes, genotypes.samples)
    # plink2 --make-king-table on all variants: no pair above 0.177, two above 0.0884.
    assert (found.first_degree, found.second_degree) == (0, 2)
    pairs = [("HG00120", "HG00116"), ("HG00124", "HG00119"), ("NA11933", "NA11931")]
    calls = genotypes.dosages(np.arange(genotypes.variant_count), np.ravel(pairs).tolist())
    given = kinship(calls[:, ::2], calls[:, 1::2])
    np.testing.assert_allclose(np.diag(given), [0.10636, 0.163174, 0.0670654], rtol=1e-5)


def test_families_are_those_of_a_pedigree(bed_writer):
    rng = np.random.default_rng(0)
    dosages, first, second = pedigree(rng)
    genotypes = open_genotypes(bed_writer(dosages, variants=variant_table(VARIANTS)))
    families = find_families(genotypes, genotypes.samples)
    _, sizes = np.unique(families.family, return_counts=True)
    # Founders 0 to 3 with their descendants, founder 4 with the duplicate, and all others alone.
    together = [0, 1, 2, 3, PEOPLE, PEOPLE + 1, PEOPLE + 2, PEOPLE + 3]
    assert len(set(families.family[together])) == 1
    assert families.family[4] == families.family[PEOPLE + 4]
    assert sorted(sizes)[-3:] == [1, 2, 8]
    assert (families.degree, families.pairs) == (2, first + second)


def test_few_variants_tell_no_families(bed_writer):
    dosages = founders(50, np.random.default_rng(1), 100).sum(axis=2)
    genotypes = open_genotypes(bed_writer(dosages.astype(np.int8), variants=variant_table(100)))
    families = find_families(genotypes, genotypes.samples)
    assert families.degree == 0
    assert len(set(families.family)) == 50
