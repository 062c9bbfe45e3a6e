"""Are participants visibly related? Pairs of relatives in a random sample of them.

The latent GWAS takes people as independent. Relatives are not, and principal components do not
replace a treatment of relatedness; whoever has relatives should know.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from regreveal.genetics.genotypes import Genotypes
from regreveal.genetics.genotypes.ploidy import HUMAN_AUTOSOMES, chromosome_kind
from regreveal.genetics.output.files import fingerprint

# Geometric means of the expected kinships 1/2 (twins), 1/4, 1/8 and 1/16 part the degrees.
FIRST_DEGREE = 0.177
SECOND_DEGREE = 0.0884

COMMON = 0.05
SPACING = 100_000  # base pairs
MOST_MISSING = 0.05
# A dosage farther than this from a whole number is no call, as in PLINK 2.
CERTAIN = 0.1

# Estimates of unrelated pairs vary by 1 / √variants. With fewer than these, pairs out of 8 million
# cross the thresholds by chance (docs/statistics.md, "Relatedness").
LEAST_VARIANTS = {FIRST_DEGREE: 700, SECOND_DEGREE: 3000}

# Of all pairs among more people than these, kinship is estimated by fewer variants, or it would
# take minutes.
MANY_PEOPLE, MANY_VARIANTS, FEW_VARIANTS = 8000, 4000, 1000

CANDIDATES_EACH = 20
PEOPLE_AT_ONCE = 1000

Told = TypeVar("Told")
_TOLD: dict[str, object] = {}


class Relatedness(NamedTuple):
    """Pairs of relatives in a sample of participants.

    Attributes
    ----------
    first_degree : int or None
        Pairs with kinship above 0.177: siblings, parents and children, twins, duplicates. None
        where variants are too few to tell.
    second_degree : int or None
        Pairs with kinship from 0.0884 to 0.177, such as half-siblings.
    participants : int
        How many were sampled. Of all pairs among N, the sample shows (participants / N)².
    variants : int
        How many were used.
    """

    first_degree: int | None
    second_degree: int | None
    participants: int
    variants: int


def related_pairs(
    genotypes: Genotypes,
    sample_ids: Sequence[str],
    seed: int = 0,
    participants: int = 4000,
    variants: int = 4000,
    autosomes: int = HUMAN_AUTOSOMES,
) -> Relatedness:
    """Count pairs of relatives among a random sample of participants.

    Kinship is estimated by KING-robust, which people of different ancestries do not mislead: it
    compares two people with each other, never with a population's allele frequencies.

    Parameters
    ----------
    genotypes : Genotypes
    sample_ids : sequence of str
        Participants, of whom some are sampled.
    seed : int
        Of the choice of participants and variants.
    participants : int
        Most to sample.
    variants : int
        Most to use: autosomal, minor allele frequency above 5 % and calls missing in at most 5 %
        of the sample, at most one in each 100 kb.
    autosomes : int
        Pairs of autosomes of the species.

    Returns
    -------
    Relatedness
    """
    rng = np.random.default_rng(seed)
    sampled = len(sample_ids)
    if sampled > participants:
        sampled = participants
        sample_ids = [sample_ids[i] for i in np.sort(rng.permutation(len(sample_ids))[:sampled])]
    calls = _common_calls(genotypes, sample_ids, variants, autosomes, rng)
    coefficients = _pairs_above(calls, SECOND_DEGREE)[1]
    first = int((coefficients > FIRST_DEGREE).sum())
    second = len(coefficients) - first
    return Relatedness(
        first if len(calls) >= LEAST_VARIANTS[FIRST_DEGREE] else None,
        second if len(calls) >= LEAST_VARIANTS[SECOND_DEGREE] else None,
        sampled,
        len(calls),
    )


class Families(NamedTuple):
    """Who belongs together among all participants.

    Attributes
    ----------
    family : ndarray of int, shape (n,)
        The same number for relatives, and for relatives of relatives.
    degree : int
        2 where second-degree relatives were told, 1 where only first-degree ones, and 0 where
        variants are too few for either: then everyone is a family of their own.
    pairs : int
        Pairs of relatives of these degrees.
    variants : int
        How many were used.
    """

    family: np.ndarray
    degree: int
    pairs: int
    variants: int


def find_families(
    genotypes: Genotypes,
    sample_ids: Sequence[str],
    seed: int = 0,
    autosomes: int = HUMAN_AUTOSOMES,
) -> Families:
    """Join relatives to families, by the kinship of all pairs.

    Parameters
    ----------
    genotypes : Genotypes
    sample_ids : sequence of str, length n
        All of them are compared: up to 8,000 by 4,000 variants, which tell relatives of the second
        degree, and more by 1,000, which tell those of the first.
    seed : int
        Of the choice of variants.
    autosomes : int
        Pairs of autosomes of the species.

    Returns
    -------
    Families
    """
    variants = MANY_VARIANTS if len(sample_ids) <= MANY_PEOPLE else FEW_VARIANTS
    rng = np.random.default_rng(seed)
    calls = _common_calls(genotypes, sample_ids, variants, autosomes, rng)
    enough = [limit for limit, least in LEAST_VARIANTS.items() if len(calls) >= least]
    if not enough:
        return Families(np.arange(len(sample_ids)), 0, 0, len(calls))
    pairs, _ = _pairs_above(calls, min(enough))
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(sample_ids),) * 2)
    _, family = connected_components(links, directed=False)
    return Families(family, len(enough), len(pairs), len(calls))


def once_for_the_same(
    function: Callable[..., Told],
    genotypes: Genotypes,
    sample_ids: Sequence[str],
    autosomes: int = HUMAN_AUTOSOMES,
) -> Told:
    """Call `related_pairs` or `find_families` once in this process for the same people and files.

    An experiment's arms have the same participants, and pairs of them take longer than a scan.
    """
    same = fingerprint(
        {"of": function.__name__, "autosomes": autosomes},
        [list(sample_ids), genotypes.identity],
        genotypes.paths,
    )
    if same not in _TOLD:
        _TOLD[same] = function(genotypes, sample_ids, autosomes=autosomes)
    return _TOLD[same]


def _pairs_above(calls: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of people above a kinship, as places (pairs, 2), and their kinship (pairs,)."""
    people, places, coefficients = calls.shape[1], [], []
    for start in range(0, people, PEOPLE_AT_ONCE):
        some = calls[:, start : start + PEOPLE_AT_ONCE]
        for other in range(start, people, PEOPLE_AT_ONCE):
            pairs = kinship(some, calls[:, other : other + PEOPLE_AT_ONCE])
            related = np.argwhere(pairs > limit)
            if other == start:
                related = related[related[:, 0] < related[:, 1]]
            coefficients.append(pairs[tuple(related.T)])
            places.append(related + np.array([start, other]))
    return np.concatenate(places), np.concatenate(coefficients)


def kinship(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """KING-robust kinship of each of some people with each of others.

    1/2 − Σ(x − y)² / (4 · min(h_x, h_y)), over the variants that both are called at; h is the
    number of them at which a person is heterozygous.

    Parameters
    ----------
    some, others : ndarray of int8, shapes (variants, a) and (variants, b)
        Dosages 0, 1, 2, and -1 where missing.

    Returns
    -------
    ndarray of float32, shape (a, b)
        NaN where a person is heterozygous nowhere.

    References
    ----------
    Manichaikul et al. (2010), Bioinformatics 26:2867, equation 11.
    """
    known, dosage, het = _indicators(some)
    other_known, other_dosage, other_het = _indicators(others)
    squares = (dosage**2).T @ other_known + known.T @ other_dosage**2
    squares -= 2 * (dosage.T @ other_dosage)
    least = np.minimum(het.T @ other_known, known.T @ other_het)
    return 0.5 - squares / np.where(least > 0, 4 * least, np.nan)


def _indicators(calls: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Known or not, dosage (0 where not), heterozygous or not; float32 holds their sums exactly."""
    known = (calls >= 0).astype(np.float32)
    return known, calls * known, (calls == 1).astype(np.float32)


def _common_calls(
    genotypes: Genotypes,
    sample_ids: Sequence[str],
    variants: int,
    autosomes: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw common autosomal variants from everywhere; gives calls, (variants, participants)."""
    count = genotypes.variant_count
    candidates = np.unique(
        np.linspace(0, count - 1, min(count, CANDIDATES_EACH * variants), dtype=np.int64)
    )
    candidates = rng.permutation(candidates)
    taken, calls = set(), []
    for start in range(0, len(candidates), variants):
        rows = np.sort(candidates[start : start + variants])
        for table, dosages in genotypes.blocks(sample_ids, 256, rows):
            called = _called(dosages)
            kinds = chromosome_kind(table["chromosome"], table["position"], autosomes=autosomes)
            usable = _is_common(called) & (kinds == "autosome")
            places = zip(table["chromosome"], table["position"] // SPACING, strict=True)
            for row, place in enumerate(places):
                if usable[row] and place not in taken:
                    taken.add(place)
                    calls.append(called[row])
        if len(calls) >= variants:
            break
    chosen = np.sort(rng.permutation(len(calls))[:variants])
    return np.array([calls[i] for i in chosen], dtype=np.int8).reshape(-1, len(sample_ids))


def _called(dosages: np.ndarray) -> np.ndarray:
    """Whole dosages as int8, -1 where missing or uncertain."""
    if dosages.dtype == np.int8:
        return dosages
    nearest = np.rint(dosages)
    return np.where(np.abs(dosages - nearest) <= CERTAIN, nearest, -1).astype(np.int8)


def _is_common(called: np.ndarray) -> np.ndarray:
    known = (called >= 0).sum(axis=1)
    frequency = np.where(called > 0, called, 0).sum(axis=1) / (2 * np.maximum(known, 1))
    rarer = np.minimum(frequency, 1 - frequency)
    return (rarer > COMMON) & (known >= (1 - MOST_MISSING) * called.shape[1])
