"""Genomes with the structure that genetic analyses must cope with: LD, ancestry, families."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

# Autosomes 1-22 in Mb, GRCh37.
# fmt: off
CHROMOSOME_MB = np.array([
    249, 243, 198, 191, 180, 171, 159, 146, 141, 135, 135,
    133, 115, 107, 102, 90, 81, 78, 59, 63, 48, 51,
])
# fmt: on
ANCESTRIES = ("European", "African", "South Asian")
ANCESTRY_SHARES = (0.87, 0.06, 0.07)
FST = 0.1
ADMIXED_SHARE = 0.03
SIBLING_SHARE = 0.08  # of participants: about that of UK Biobank
MISSING_RATE = 0.002

FOUNDERS = 300  # haplotypes each ancestry descends from
LD_MB = 0.4  # distance over which founders' alleles lose their correlation
SEGMENT_MB = 2.0  # mean length copied from one founder
ADMIXTURE_TRACT_MB = 15.0  # mean length of one ancestry in an admixed person
CROSSOVER_MB = 100.0

PLANTED_FREQUENCIES = (0.15, 0.85)
HAPLOTYPES_AT_ONCE = 256


@dataclass
class Genome:
    """Genotypes of everyone, without missing calls, and where they come from.

    Attributes
    ----------
    variants : DataFrame
        `chromosome`, `position`, `variant_id`, `ref`, `alt`, and `gene`: which planted gene the
        variant lies in, or empty.
    dosages : ndarray of int8, shape (variants, participants)
        Copies of the alt allele.
    ancestry : ndarray, shape (participants, 3)
        Fractions of descent from each of `ANCESTRIES`.
    siblings : ndarray of int, shape (pairs, 2)
        Rows of participants with the same parents.
    """

    variants: pd.DataFrame
    dosages: np.ndarray
    ancestry: np.ndarray
    siblings: np.ndarray


def draw_genome(
    participants: int, variants: int, genes: pd.DataFrame, rng: np.random.Generator
) -> Genome:
    """Draw participants as mosaics of founder haplotypes.

    Founders carry an allele where a Gaussian process along the chromosome is under the quantile of
    the allele's frequency, so that LD decays with distance; frequencies drift between ancestries
    by the model of Balding and Nichols.

    Parameters
    ----------
    participants, variants : int
        How many; each gene's variant counts among the variants.
    genes : DataFrame
        `chromosome`, `start`, `end`, `gene`: genes to place one common variant in.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    Genome
        Everyone's genotypes.

    References
    ----------
    Balding and Nichols (1995), Genetica 96:3. Li and Stephens (2003), Genetics 165:2213.
    """
    table = _draw_variants(variants, genes, rng)
    gaps = _gaps_mb(table)
    frequencies = _draw_frequencies((table["gene"] != "").to_numpy(), rng)
    founders = _draw_founders(frequencies, gaps, rng)

    pairs = round(participants * SIBLING_SHARE / 2)
    siblings = rng.permutation(participants)[: 2 * pairs].reshape(pairs, 2)
    ancestry = _draw_ancestry(participants, rng)
    ancestry[siblings[:, 1]] = ancestry[siblings[:, 0]]

    dosages = np.empty((participants, len(table)), dtype=np.int8)
    step = HAPLOTYPES_AT_ONCE // 2
    for first in range(0, participants, step):
        rows = slice(first, first + step)
        haplotypes = _mosaics(founders, gaps, np.repeat(ancestry[rows], 2, axis=0), rng)
        dosages[rows] = haplotypes[::2] + haplotypes[1::2]
    for pair in siblings:
        parents = _mosaics(founders, gaps, np.repeat(ancestry[pair[:1]], 4, axis=0), rng)
        for child in pair:
            dosages[child] = _gamete(parents[:2], gaps, rng) + _gamete(parents[2:], gaps, rng)
    return Genome(table, np.ascontiguousarray(dosages.T), ancestry, siblings)


def call_genotypes(dosages: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lose a few calls, as genotyping does.

    Parameters
    ----------
    dosages : ndarray of int8, shape (variants, participants)
        True copies of the alt allele.
    rng : numpy.random.Generator
        Which are lost.

    Returns
    -------
    ndarray of int8, shape (variants, participants)
        The same with -1 where there is no call.
    """
    called = dosages.copy()
    count = rng.binomial(called.size, MISSING_RATE)
    called.ravel()[rng.integers(called.size, size=count)] = -1
    return called


def principal_components(
    called: np.ndarray, variants: pd.DataFrame, count: int, seed: int
) -> np.ndarray:
    """Principal components of standardised common variants no closer than LD reaches.

    Parameters
    ----------
    called : ndarray of int8, shape (variants, participants)
        Dosages, -1 where missing.
    variants : DataFrame
        `chromosome` and `position` of each.
    count : int
        How many components.
    seed : int
        Of the randomised decomposition.

    Returns
    -------
    ndarray, shape (participants, count)
        Components, each with variance 1.
    """
    from sklearn.utils.extmath import randomized_svd

    rows = _thinned(called, variants)
    dosages = called[rows].astype(np.float64)
    present = dosages >= 0
    mean = np.where(present, dosages, 0).sum(axis=1) / present.sum(axis=1)
    spread = np.sqrt(mean * (1 - mean / 2))
    standardised = np.where(present, (dosages - mean[:, None]) / spread[:, None], 0.0)
    left, _, _ = randomized_svd(standardised.T, count, n_iter=6, random_state=seed)
    return left * np.sqrt(len(left))


def write_plink(
    prefix: Path, called: np.ndarray, variants: pd.DataFrame, sample_ids: list[str], sex: np.ndarray
) -> None:
    """Write PLINK 1 files whose first allele, the one counted, is alt.

    Parameters
    ----------
    prefix : Path
        Path of the files but for .bed, .bim and .fam.
    called : ndarray of int8, shape (variants, participants)
        Dosages of alt, -1 where missing.
    variants : DataFrame
        `chromosome`, `position`, `variant_id`, `ref`, `alt`.
    sample_ids : list of str
        Names of the participants.
    sex : ndarray of str
        "female" or "male".
    """
    from bed_reader import to_bed

    properties = {
        "fid": sample_ids,
        "iid": sample_ids,
        "sex": np.where(sex == "male", 1, 2),
        "chromosome": variants["chromosome"].astype(str),
        "sid": variants["variant_id"],
        "bp_position": variants["position"],
        "allele_1": variants["alt"],
        "allele_2": variants["ref"],
    }
    values = np.where(called < 0, np.int8(-127), called)
    to_bed(prefix.with_suffix(".bed"), values.T, properties)


def _draw_variants(count: int, genes: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Place one variant in the middle of each gene and the others anywhere."""
    in_genes = pd.DataFrame(
        {
            "chromosome": genes["chromosome"],
            "position": (genes["start"] + genes["end"]) // 2,
            "gene": genes["gene"],
        }
    )
    shares = CHROMOSOME_MB / CHROMOSOME_MB.sum()
    # A few too many, since no two variants may share a position.
    chromosome = rng.choice(np.arange(1, 23), size=count + 100, p=shares)
    position = rng.integers(1, CHROMOSOME_MB[chromosome - 1] * 1_000_000)
    anywhere = pd.DataFrame({"chromosome": chromosome, "position": position, "gene": ""})
    table = pd.concat([in_genes, anywhere], ignore_index=True)
    table = table.drop_duplicates(["chromosome", "position"]).head(count)
    table = table.sort_values(["chromosome", "position"], ignore_index=True)
    alleles = np.array([("A", "G"), ("C", "T"), ("G", "A"), ("T", "C"), ("A", "C"), ("G", "T")])
    table[["ref", "alt"]] = alleles[rng.integers(len(alleles), size=len(table))]
    table["variant_id"] = (
        table[["chromosome", "position", "ref", "alt"]].astype(str).agg(":".join, axis=1)
    )
    return table


def _gaps_mb(variants: pd.DataFrame) -> np.ndarray:
    """Distance of each variant to the one before it, infinite at the start of a chromosome."""
    gaps = np.diff(variants["position"], prepend=0) / 1e6
    gaps[np.diff(variants["chromosome"], prepend=0) != 0] = np.inf
    return gaps


def _draw_frequencies(planted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Alt frequencies, shape (ancestries, variants); many rare, those planted common everywhere."""
    minor = 0.5 * 0.02 ** rng.random(len(planted))
    minor[planted] = rng.uniform(0.3, 0.5, planted.sum())
    alt_is_major = rng.random(len(planted)) < 0.15
    ancestral = np.where(alt_is_major, 1 - minor, minor)
    concentration = (1 - FST) / FST
    drifted = rng.beta(
        ancestral * concentration,
        (1 - ancestral) * concentration,
        size=(len(ANCESTRIES), len(planted)),
    )
    drifted[:, planted] = drifted[:, planted].clip(*PLANTED_FREQUENCIES)
    return drifted


def _draw_founders(
    frequencies: np.ndarray, gaps: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Founder haplotypes, shape (ancestries * FOUNDERS, variants)."""
    ancestries, variants = frequencies.shape
    correlation = np.exp(-gaps / LD_MB)
    process = rng.standard_normal((variants, ancestries * FOUNDERS), dtype=np.float32)
    for variant in range(1, variants):
        kept = correlation[variant]
        process[variant] *= np.sqrt(1 - kept**2)
        process[variant] += kept * process[variant - 1]
    threshold = np.repeat(norm.ppf(frequencies), FOUNDERS, axis=0)
    founders = (threshold > process.T).astype(np.int8)
    # Only variants that somebody carries are genotyped: the others get one carrier.
    unseen = np.flatnonzero(founders.min(axis=0) == founders.max(axis=0))
    founders[rng.integers(FOUNDERS, size=len(unseen)), unseen] ^= 1
    return founders


def _draw_ancestry(participants: int, rng: np.random.Generator) -> np.ndarray:
    ancestry = np.eye(len(ANCESTRIES))[
        rng.choice(len(ANCESTRIES), size=participants, p=ANCESTRY_SHARES)
    ]
    admixed = rng.random(participants) < ADMIXED_SHARE
    ancestry[admixed] = rng.dirichlet(np.ones(len(ANCESTRIES)), size=admixed.sum())
    return ancestry


def _mosaics(
    founders: np.ndarray, gaps: np.ndarray, ancestry: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Haplotypes copied piece by piece from founders, shape (len(ancestry), variants)."""
    shape = (len(ancestry), len(gaps))
    starts = rng.random(shape, dtype=np.float32) < 1 - np.exp(-gaps / SEGMENT_MB)
    new_tract = np.zeros(shape, dtype=bool)
    new_tract[:, 0] = True
    admixed = np.flatnonzero(ancestry.max(axis=1) < 1)
    tract_ends = 1 - np.exp(-gaps / ADMIXTURE_TRACT_MB)
    new_tract[admixed] |= rng.random((len(admixed), len(gaps))) < tract_ends
    starts |= new_tract

    tract_row = np.nonzero(new_tract)[0]
    cumulative = np.cumsum(ancestry, axis=1)[tract_row]
    tract_ancestry = (rng.random((len(tract_row), 1)) > cumulative[:, :-1]).sum(axis=1)
    segment_tract = np.cumsum(new_tract)[starts.ravel()] - 1
    founder = tract_ancestry[segment_tract] * FOUNDERS + rng.integers(
        FOUNDERS, size=len(segment_tract)
    )
    copied = founder.astype(np.int32)[np.cumsum(starts, dtype=np.int32) - 1].reshape(shape)
    return founders[copied, np.arange(len(gaps))]


def _gamete(parent: np.ndarray, gaps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One recombined haplotype of a parent (2, variants), crossovers by Haldane's map."""
    recombination = 0.5 * (1 - np.exp(-2 * gaps / CROSSOVER_MB))
    strand = np.cumsum(rng.random(len(gaps)) < recombination) % 2
    return np.where(strand == 0, parent[0], parent[1])


def _thinned(called: np.ndarray, variants: pd.DataFrame) -> np.ndarray:
    """Rows of common variants at least `2 * LD_MB` from the one taken before."""
    frequency = np.where(called < 0, 0, called).mean(axis=1) / 2
    common = np.flatnonzero(np.minimum(frequency, 1 - frequency) > 0.05)
    place = variants["chromosome"].to_numpy() * 1e9 + variants["position"].to_numpy()
    rows, last = [], -np.inf
    for row in common:
        if place[row] - last >= 2e6 * LD_MB:
            rows.append(row)
            last = place[row]
    return np.array(rows)
