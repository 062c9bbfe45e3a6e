"""Two arms that know equally much: how often their paired difference is said to be none.

Cohorts are drawn anew. Two latent spaces see the same traits through noise of their own, equally
strongly; ten phenotypes, six continuous and four binary, are made of the traits and go together.
Of every cohort: whether 95 % intervals of the paired difference hold zero, of single phenotypes, of
the mean over them, and of what latents add to covariates; whether p-values are uniform; and whether
any of the ten is called different at 5 %, by p alone, by Bonferroni's and by the step-down
correction (that is the family-wise error).

    python benchmarks/phenome/probes_null.py --cohorts 200
"""

import argparse

import numpy as np
import pandas as pd
from scipy.stats import kstest

from regreveal.phenome.probes.run import run_probes
from regreveal.store.cohort import make_splits

CONTINUOUS, BINARY = 6, 4


def draw(n, dimensions, generator):
    """Two arms, and phenotypes and covariates of the same people."""
    traits = generator.normal(size=(n, 2))
    seen = np.zeros((2, dimensions))
    seen[[0, 1], [0, 1]] = 1
    arms = {name: traits @ seen + generator.normal(size=(n, dimensions)) for name in ("a", "b")}
    age = generator.normal(size=n)
    shares = np.linspace(0, 1, CONTINUOUS + BINARY)
    values = traits[:, :1] * shares + traits[:, 1:] * (1 - shares) + 0.3 * age[:, None]
    values = values + 0.8 * generator.normal(size=values.shape)
    ids = pd.Index([f"p{i}" for i in range(n)], name="sample_id")
    table = pd.DataFrame(values, ids, [f"continuous {i}" for i in range(CONTINUOUS + BINARY)])
    for place in range(BINARY):
        column = table.columns[2 * place]
        cases = table[column] > table[column].quantile(0.7)
        table = table.drop(columns=column).assign(**{f"binary {place}": cases})
    return arms, table, pd.DataFrame({"age": age}, index=ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=200)
    parser.add_argument("--participants", type=int, default=300)
    parser.add_argument("--dimensions", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    held = {name: [] for name in ("r2", "auc", "mean r2", "mean auc", "gain r2", "gain auc")}
    p_values, rejected = {"r2": [], "auc": []}, []
    for _ in range(arguments.cohorts):
        arms, table, covariates = draw(arguments.participants, arguments.dimensions, generator)
        shares = {"train": 0.0, "validation": 0.0, "analysis": 1.0}
        splits = make_splits(table.index, shares, int(generator.integers(1 << 30)))
        folds = splits.set_index("sample_id")["fold"]
        found = run_probes(arms, table, folds, covariates=covariates)
        differences = found.differences
        gains = found.adjusted.differences
        for prefix, rows in (("", differences), ("mean ", found.means), ("gain ", gains)):
            for metric, of_metric in rows.groupby("metric"):
                held[prefix + metric] += list((of_metric["low"] < 0) & (of_metric["high"] > 0))
        for metric, of_metric in differences.groupby("metric"):
            p_values[metric] += list(of_metric["p"])
        alone = differences["p"].min()
        corrected = differences["p_corrected"].min()
        rejected.append([alone < 0.05, alone * len(differences) < 0.05, corrected < 0.05])
    print("interval of the difference\theld zero")
    for name, rows in held.items():
        print(f"{name}\t{np.mean(rows):.3f} of {len(rows)}")
    for metric, p in p_values.items():
        below = ", ".join(f"{np.mean(np.array(p) < level):.3f}" for level in (0.01, 0.05, 0.1))
        distance = kstest(p, "uniform")[0]
        print(
            f"p of {metric}: below 0.01, 0.05, 0.1: {below}; farthest from uniform {distance:.3f}"
        )
    for name, share in zip(
        ("alone", "Bonferroni", "step-down"), np.mean(rejected, axis=0), strict=True
    ):
        print(f"any phenotype called different, {name}: {share:.3f}")


if __name__ == "__main__":
    main()
