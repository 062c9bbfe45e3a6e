"""How often the 95 % intervals of probes hold the truth, and how wide they are.

Cohorts are drawn anew; two arms see the same trait, as strongly or not. The truth is what the same
procedure scores on average over cohorts, and zero for the difference of equal arms.
A ratio near 1 says that the standard error in the interval is the standard deviation over cohorts.

    python benchmarks/probe_intervals.py --cohorts 400
"""

import argparse

import numpy as np
import pandas as pd

from regreveal.phenome.probes import TWO_SIDED_95, compare_probes, probe

# Participants, dimensions, and how strongly a trait moves two of the dimensions of either arm.
SETTINGS = [
    (126, 16, (0.0, 0.0)),
    (126, 16, (0.5, 0.5)),
    (126, 32, (0.5, 0.8)),
    (600, 32, (0.5, 0.6)),
    (3000, 32, (0.5, 0.5)),
]
CASES = {"number": None, "category, 30 %": 0.7, "category, 10 %": 0.9}


def draw_cohort(n, dimensions, strengths, quantile, generator):
    trait = generator.normal(size=n)
    carriers = np.arange(dimensions) < 2
    arms = [
        trait[:, None] * strength * carriers + generator.normal(size=(n, dimensions))
        for strength in strengths
    ]
    target = trait + 0.7 * generator.normal(size=n)
    if quantile is not None:
        target = target > np.quantile(target, quantile)
    ids = [f"person-{row}" for row in range(n)]
    folds = pd.Series(generator.permutation(n) % 5, index=ids)
    return arms, pd.Series(target, index=ids, name="target"), folds


def measure(n, dimensions, strengths, quantile, cohorts, seed):
    """Coverage and ratio of standard error to standard deviation: of a score, of a difference."""
    generator = np.random.default_rng(seed)
    scores, differences = [], []
    for _ in range(cohorts):
        arms, target, folds = draw_cohort(n, dimensions, strengths, quantile, generator)
        kind = "number" if quantile is None else "category"
        one, other = (probe(latents, target, folds, kind) for latents in arms)
        difference = compare_probes(other, one)
        scores.append((other.score, other.low, other.high))
        differences.append((difference.difference, difference.low, difference.high))
    summary = []
    for rows in (scores, differences):
        value, low, high = np.transpose(rows)
        equal_arms = rows is differences and strengths[0] == strengths[1]
        truth = 0.0 if equal_arms else value.mean()
        error = np.sqrt(np.mean((high - low) ** 2)) / (2 * TWO_SIDED_95)
        summary += [np.mean((low <= truth) & (truth <= high)), error / value.std()]
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("target\tn\tdimensions\tstrengths\tscore covered\tratio\tdifference covered\tratio")
    for name, quantile in CASES.items():
        for n, dimensions, strengths in SETTINGS:
            cohorts = arguments.cohorts if n < 3000 else arguments.cohorts // 4
            figures = measure(n, dimensions, strengths, quantile, cohorts, arguments.seed)
            told = "\t".join(f"{figure:.3f}" for figure in figures)
            print(f"{name}\t{n}\t{dimensions}\t{strengths}\t{told}", flush=True)


if __name__ == "__main__":
    main()
