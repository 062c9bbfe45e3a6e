"""How often replication along a learned direction passes without an effect, and power with one.

    python benchmarks/genetics/replication.py --variants 20000

Null: genotypes that have nothing to do with the latents; the direction is learned from one half and
tested, one-sided, in the other. Power: effects of one size in Gaussian latents; what replicates
stands between the two figures that a replication's table expects.
"""

import argparse

import numpy as np
from scipy import stats

from regreveal.genetics.halves import one_sided
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.transforms import transform_latents
from regreveal.genetics.univariate import TraitSpace
from regreveal.genetics.winners_curse import replication_power

BLOCK = 250
LEVELS = (0.05, 0.01, 1e-3, 1e-4)


def latents_of(kind: str, n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Latents without structure but their tails."""
    values = rng.standard_normal((n, k))
    if kind == "elliptical t5":
        values /= np.sqrt(rng.chisquare(5, (n, 1)) / 5)
    elif kind == "lognormal":
        values = np.exp(0.7 * values) @ rng.standard_normal((k, k))
    return values


def null_p_values(
    kind: str, people: int, dimensions: int, carriers: int, variants: int, rng: np.random.Generator
) -> np.ndarray:
    """One-sided p-values in the second half, by directions learned in the first."""
    latents = latents_of(kind, 2 * people, dimensions, rng)
    first, second = (transform_latents(half, "radial") for half in np.split(latents, 2))
    space, p = LatentSpace(first), []
    frequency = carriers / (2 * people)
    for _ in range(0, variants, BLOCK):
        dosages = rng.binomial(2, frequency, (BLOCK, 2 * people)).astype(np.int8)
        directions = space.directions(space.project(dosages[:, :people], "additive"))
        traits = TraitSpace(second @ directions.T)
        effects = traits.effects(traits.project(dosages[:, people:]))
        beta, _, neg_log10_p = (np.diagonal(values) for values in effects)
        p.append(10.0 ** -one_sided(beta, neg_log10_p))
    return np.concatenate(p)


def power(size: float, dimensions: int, leads: int, rng: np.random.Generator) -> list[float]:
    """Share that passes 0.005 among effects found at 5e-8, and what was expected of it."""
    threshold, level = 5e-8, 0.005
    effect = np.zeros(dimensions)
    effect[0] = np.sqrt(size)
    limit, found = stats.chi2.isf(threshold, dimensions), []
    while sum(map(len, found)) < leads:
        drawn = effect + rng.standard_normal((20_000, dimensions))
        found.append(drawn[(drawn**2).sum(axis=1) > limit])
    drawn = np.concatenate(found)[:leads]
    others, chi2 = effect + rng.standard_normal(drawn.shape), (drawn**2).sum(axis=1)
    joint, direction = replication_power(
        -stats.chi2.logsf(chi2, dimensions) / np.log(10),
        np.full(leads, dimensions),
        threshold,
        1.0,
        level,
        dimensions,
    )
    passed = (others**2).sum(axis=1) > stats.chi2.isf(level, dimensions)
    along = (others * drawn).sum(axis=1) / np.sqrt(chi2) > stats.norm.isf(level)
    return [
        *(joint.cautious.mean(), passed.mean(), joint.hopeful.mean()),
        *(direction.cautious.mean(), along.mean(), direction.hopeful.mean()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=1500, help="in a half")
    parser.add_argument("--dimensions", type=int, default=24)
    parser.add_argument("--leads", type=int, default=400, help="of each size of effect")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    heads = "".join(f"{f'at {level:g}':>9}" for level in LEVELS)
    print(
        f"observed over nominal, {asked.variants} variants\n{'':>16}{'carriers':>9}{heads}   KS p"
    )
    for kind in ("gaussian", "elliptical t5", "lognormal"):
        for carriers in (20, 100, 700):
            sizes = asked.people, asked.dimensions, carriers, asked.variants
            p = null_p_values(kind, *sizes, rng)
            ratios = "".join(f"{(p < level).mean() / level:9.2f}" for level in LEVELS)
            print(f"{kind:>16}{carriers:9d}{ratios}{stats.kstest(p, 'uniform').pvalue:7.2f}")
    print("\npower: expected cautiously, seen, expected hopefully; jointly and along the direction")
    for size in (30, 45, 60, 90):
        told = power(size, asked.dimensions, asked.leads, rng)
        print(f"noncentrality {size:3d}" + "".join(f"{value:8.2f}" for value in told))


if __name__ == "__main__":
    main()
