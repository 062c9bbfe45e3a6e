"""Whether intervals of how two arms' PheWAS differ hold the truth, where there is no difference.

Cohorts are drawn anew. Two spaces know the same three traits equally well, each with noise of its
own, and share more or less of what else they hold; diseases follow the traits.
"""

import argparse

import numpy as np
import pandas as pd

from regreveal.phenome.phewas.differences import phewas_differences
from regreveal.phenome.phewas.scan import describe, scan
from regreveal.phenome.phewas.split_half import SplitSpace

# strength of the traits in a disease, cases, dimensions, share of the rest that both spaces hold
SETTINGS = [
    (0.0, 24, 12, 0.5), (0.0, 60, 12, 0.5), (0.0, 400, 12, 0.5),
    (0.6, 24, 12, 0.5), (0.6, 60, 12, 0.5), (0.6, 400, 12, 0.5),
    (1.5, 24, 12, 0.5), (1.5, 60, 12, 0.5), (1.5, 400, 12, 0.5),
    (1.0, 100, 40, 0.0), (1.0, 100, 40, 0.95),
]  # fmt: skip


def cohort(strength, cases, dimensions, shared, people, phecodes, seed):
    """Draw a cohort and compare its two arms."""
    generator = np.random.default_rng(seed)
    traits = generator.standard_normal((people, 3))
    common = generator.standard_normal((people, dimensions - 3))
    covariates = np.column_stack([generator.standard_normal(people), np.arange(people) % 2])
    ids = pd.Index([f"{row:06d}" for row in range(people)])
    spaces = {}
    for arm in ("baseline", "arm"):
        own = generator.standard_normal(common.shape)
        held = np.column_stack([traits, np.sqrt(shared) * common + np.sqrt(1 - shared) * own])
        held += generator.standard_normal(held.shape)
        mixed = held @ generator.standard_normal((dimensions, dimensions))
        spaces[arm] = SplitSpace.of(mixed, covariates, ids, seed)
    risk = strength * traits @ generator.standard_normal((3, phecodes)) / np.sqrt(3)
    risk += 0.3 * covariates[:, :1] + generator.logistic(size=(people, phecodes))
    ill = np.zeros((people, phecodes), np.float32)
    np.put_along_axis(ill, np.argsort(-risk, axis=0)[:cases], 1, axis=0)
    status = pd.DataFrame(ill, ids, [f"{column}" for column in range(phecodes)])
    info = pd.DataFrame({"name": "", "category": ""}, index=status.columns)
    tables = {arm: describe(scan(space, status), status, info) for arm, space in spaces.items()}
    return phewas_differences(spaces, status, tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1500)
    parser.add_argument("--phecodes", type=int, default=20)
    parser.add_argument("--cohorts", type=int, default=200)
    parser.add_argument("--settings", type=int, nargs="+", default=list(range(len(SETTINGS))))
    arguments = parser.parse_args()
    each = "each: covered  p < 0.01  SD/SE"
    mean = "mean: covered  SD/SE |  gained  lost  McNemar p < 0.05"
    print(f"strength  cases  dims  shared |  {each} |  {mean}")
    for chosen in arguments.settings:
        setting = SETTINGS[chosen]
        compared = [
            cohort(*setting, arguments.people, arguments.phecodes, seed)
            for seed in range(arguments.cohorts)
        ]
        each, mean = (pd.concat(tables) for tables in zip(*compared, strict=True))
        covered = [np.mean((table["low"] < 0) & (table["high"] > 0)) for table in (each, mean)]
        ratio = [
            table["difference"].std() / np.sqrt(np.mean(table["standard_error"] ** 2))
            for table in (each, mean)
        ]
        strength, cases, dimensions, shared = setting
        print(
            f"{strength:8}  {cases:5}  {dimensions:4}  {shared:6} | {covered[0]:14.3f}  "
            f"{np.mean(each['p'] < 0.01):8.4f}  {ratio[0]:5.2f} | {covered[1]:14.3f}  "
            f"{ratio[1]:5.2f} | {mean['gained'].sum():7}  {mean['lost'].sum():4}  "
            f"{np.mean(mean['p_counts'] < 0.05):16.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
