"""Traits from genes, age, sex, ancestry, home and chance, in shares that are asked for.

Two kinds of structure can mislead a study that does not handle it. Ancestry makes up 8 % of the
variance of R amplitude, 6 % of that of the PR interval and 1 % elsewhere (`traits.tsv`), apart from
what planted variants do; and the home one grew up in makes up 10 % of every trait's variance, which
siblings share beside their genes.

`loci.tsv` plants variants that explain 2.5-5 % of a trait's variance: up to 5 % of the QT interval
and of T amplitude, which other differences between beats hide, and less of what aligned beats show
plainly (R amplitude, PR interval). Those of P amplitude are hard to find at any of these sizes.
"""

from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd

from regreveal.simulation.genome import Genome

POLYGENIC_VARIANTS = 2000
HOME_SHARE = 0.1  # of each trait's variance
FARTHEST_SDS = 3.5  # nobody is farther from a trait's mean: it keeps waves in their order


@dataclass
class Traits:
    """Everyone's true traits and what made them.

    Attributes
    ----------
    traits : DataFrame, shape (participants, traits)
        In the units of `traits.tsv`.
    genetic : DataFrame, shape (participants, traits)
        Genetic part of `traits`, in the same units, around 0.
    causal : DataFrame
        One row per planted variant and trait: `variant_id`, `chromosome`, `position`, `gene`,
        `modality`, `trait`, `effect` (per alt allele, in the trait's units),
        `variance_explained`.
    heritability : DataFrame
        One row per trait: `trait`, `heritability` (asked), `planted` and `polygenic` (its two
        parts), `realised` (share of the variance in these participants), `ancestry` and `home`
        (shares asked).
    """

    traits: pd.DataFrame
    genetic: pd.DataFrame
    causal: pd.DataFrame
    heritability: pd.DataFrame


def read_table(name: str) -> pd.DataFrame:
    """Read one of the tables that this package carries, such as "loci.tsv"."""
    path = resources.files("regreveal.simulation") / name
    with path.open() as file:
        codes = {"phecode": str, "icd9": str}
        return pd.read_csv(file, sep="\t", dtype=codes, keep_default_na=False)


def draw_traits(
    genome: Genome,
    age: np.ndarray,
    male: np.ndarray,
    traits: pd.DataFrame,
    loci: pd.DataFrame,
    rng: np.random.Generator,
) -> Traits:
    """Draw true traits with the heritability asked, of planted variants and a polygenic rest.

    Genetic parts are relative to what ancestry makes one expect (dosages are residualised on the
    ancestry fractions), so a share of variance is one within ancestry; what ancestry itself does
    is a part of its own, as are age and sex.

    Parameters
    ----------
    genome : Genome
        Whose `variants` name the planted genes.
    age, male : ndarray, shape (participants,)
        Years, and whether male.
    traits : DataFrame
        `trait`, `mean`, `sd`, `heritability`, `age` and `male` (correlations with these), and
        `ancestry` (share of variance).
    loci : DataFrame
        `modality`, `gene`, `trait`, `variance_explained` (share of the trait's variance).
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    Traits
        For everyone in the genome.
    """
    participants = genome.dosages.shape[1]
    names = traits["trait"].to_list()
    ancestry = np.column_stack([np.ones(participants), genome.ancestry[:, 1:]])
    basis, _ = np.linalg.qr(ancestry)

    genetic = pd.DataFrame(0.0, index=range(participants), columns=names)
    sd = traits.set_index("trait")["sd"]
    planted, causal = _planted_parts(genome, basis, loci, sd, rng)
    for (_, trait), part in planted.items():
        genetic[trait] += part
    polygenic = _polygenic_parts(genome, basis, len(names), rng)

    values = pd.DataFrame(index=genetic.index, columns=names, dtype=float)
    heritability = []
    for column, row in enumerate(traits.itertuples()):
        explained = loci.loc[loci["trait"] == row.trait, "variance_explained"].sum()
        rest = row.heritability - explained
        genetic[row.trait] += np.sqrt(rest) * row.sd * polygenic[:, column]
        known = row.age * _standardised(age) + row.male * _standardised(male)
        known += np.sqrt(row.ancestry) * _ancestry_effect(genome.ancestry, rng)
        known += np.sqrt(HOME_SHARE) * _home_effect(genome, rng)
        chance = 1 - row.heritability - row.age**2 - row.male**2 - row.ancestry - HOME_SHARE
        z = genetic[row.trait] / row.sd + known
        z += np.sqrt(chance) * rng.standard_normal(participants)
        values[row.trait] = row.mean + row.sd * z.clip(-FARTHEST_SDS, FARTHEST_SDS)
        realised = genetic[row.trait].var() / values[row.trait].var()
        shares = (explained, rest, realised, row.ancestry, HOME_SHARE)
        heritability.append((row.trait, row.heritability, *shares))
    columns = ["trait", "heritability", "planted", "polygenic", "realised", "ancestry", "home"]
    return Traits(values, genetic, causal, pd.DataFrame(heritability, columns=columns))


def _planted_parts(genome, basis, loci, sd, rng) -> tuple[dict, pd.DataFrame]:
    """Give each planted variant's part of its traits, and the table of causal variants."""
    row_of_gene = {gene: row for row, gene in genome.variants["gene"].items() if gene}
    parts, causal = {}, []
    for locus in loci.itertuples():
        row = row_of_gene[locus.gene]
        dosage = _within_ancestry(genome.dosages[row].astype(float)[:, None], basis)[:, 0]
        sign = rng.choice([-1, 1])
        effect = sign * np.sqrt(locus.variance_explained / dosage.var()) * sd[locus.trait]
        parts[locus.gene, locus.trait] = effect * dosage
        variant = genome.variants.loc[row]
        causal.append(
            {
                "variant_id": variant["variant_id"],
                "chromosome": variant["chromosome"],
                "position": variant["position"],
                "gene": locus.gene,
                "modality": locus.modality,
                "trait": locus.trait,
                "effect": effect,
                "variance_explained": locus.variance_explained,
            }
        )
    return parts, pd.DataFrame(causal)


def _polygenic_parts(genome, basis, count, rng) -> np.ndarray:
    """Standardised scores of many variants with small effects, shape (participants, count)."""
    frequency = genome.dosages.mean(axis=1) / 2
    common = np.minimum(frequency, 1 - frequency) > 0.01
    eligible = np.flatnonzero(common & (genome.variants["gene"] == "").to_numpy())
    rows = rng.choice(eligible, size=min(POLYGENIC_VARIANTS, len(eligible)), replace=False)
    dosages = genome.dosages[np.sort(rows)].astype(np.float64)
    effects = rng.standard_normal((len(rows), count)) / dosages.std(axis=1)[:, None]
    scores = _within_ancestry(dosages.T @ effects, basis)
    return scores / scores.std(axis=0)


def _within_ancestry(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return columns - basis @ (basis.T @ columns)


def _ancestry_effect(ancestry: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _standardised(ancestry @ rng.standard_normal(ancestry.shape[1]))


def _home_effect(genome: Genome, rng: np.random.Generator) -> np.ndarray:
    """Effect of everyone's home, of variance 1: siblings grew up in the same."""
    effect = rng.standard_normal(genome.dosages.shape[1])
    effect[genome.siblings[:, 1]] = effect[genome.siblings[:, 0]]
    return effect


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
